// Answers of streamed programs: gathered into blobs of a useful size.
#include "worker/state.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"

#include <inttypes.h>

static void on_upload(void *context, const struct transfer_end *end)
{
    struct held_result *held = context;
    held->uploads--;
    if (end->status != OK) {
        // The site would take no blob: nothing can be said of these tasks; they run again when the lease is lost.
        held->lease->is_dead = true;
        held->lease->job->worker->fault = *end->error;
        lease_cancel(held->lease->job->worker, held->lease->id);
    }
    held_settle(held->lease);
}

void gather_flush(struct task_lease *lease)
{
    struct gather *gather = &lease->gather;
    if (gather->from == gather->to) {
        return;
    }
    char text[DIGEST_TEXT_SIZE];
    struct digest digest = digest_of(gather->lines.bytes, gather->lines.length);
    struct held_result *held = held_add(lease);
    buffer_printf(&held->entry,
                  "{\"lease\":%" PRId64 ",\"job\":%" PRId64 ",\"stream\":{\"from\":%" PRId64
                  ",\"to\":%" PRId64
                  ",\"answers\":\"%s\",\"answers_size\":%zu,\"started_us\":%" PRId64
                  ",\"wall_us\":%" PRId64 ",\"cpu_us\":%" PRId64 ",\"peak_bytes\":%" PRId64,
                  lease->id, lease->job->spec->id, gather->from, gather->to,
                  digest_to_text(&digest, text), gather->lines.length, gather->started_us,
                  gather->wall_us, gather->cpu_us, gather->peak_bytes);
    if (gather->errors.length > 0) {
        buffer_append_string(&held->entry, ",\"stderr\":\"");
        base64_append(&held->entry, gather->errors.bytes, gather->errors.length);
        buffer_append_byte(&held->entry, '"');
    }
    buffer_append_string(&held->entry, "}}");
    held->entry_to = gather->to;
    held->uploads = 1;
    transfers_upload_bytes(lease->job->worker->transfers, buffer_text(&gather->lines), &digest,
                           on_upload, held);
    buffer_done(&gather->lines);
    buffer_done(&gather->errors);
    *gather = (struct gather){0};
}

void gather_answers(struct task_lease *lease, const struct runner_answers *answers)
{
    struct gather *gather = &lease->gather;
    if (gather->from == gather->to) {
        *gather = (struct gather){.from = answers->from,
                                  .to = answers->from,
                                  .started_us = answers->started_us,
                                  .since_us = clock_steady_us()};
    }
    buffer_append_text(&gather->lines, answers->lines);
    size_t room = RUNNER_INLINE_MAX - gather->errors.length;
    buffer_append_text(&gather->errors, text_slice(answers->errors, 0, room));
    gather->to = answers->to;
    gather->wall_us += answers->wall_us;
    gather->cpu_us += answers->cpu_us;
    gather->peak_bytes =
        answers->peak_bytes > gather->peak_bytes ? answers->peak_bytes : gather->peak_bytes;
    if (gather->lines.length >= GATHER_BYTES || gather->to - gather->from >= GATHER_COUNT ||
        lease->done >= lease->to) {
        gather_flush(lease);
    }
}

void gathers_flush_old(struct worker *worker, int64_t now_us)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        if (!lease->is_dead && lease->gather.to > lease->gather.from &&
            now_us - lease->gather.since_us >= GATHER_US) {
            gather_flush(lease);
        }
    }
}
