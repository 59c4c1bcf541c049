// Results on their way to the site. Those of a lease are reported in the order of their tasks; one that waits for an upload holds
// up those behind it, of that lease only.
#include "worker/state.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

// An output file of a task: its digest is known when it is uploaded.
struct held_output {
    struct held_result *held;
    const char *path;
    int64_t size;
    int64_t mode;
    char digest[DIGEST_TEXT_SIZE];
};

// What of a held result an upload is for.
struct held_upload {
    struct held_result *held;
    struct held_output *output; // Or
    char **stream;              // its `out` or `err`.
};

void report_mark(struct worker *worker, bool is_urgent)
{
    if (worker->ready_since_us == 0) {
        worker->ready_since_us = clock_steady_us();
    }
    worker->is_urgent = worker->is_urgent || is_urgent;
}

void report_write_task(struct buffer *out, const struct runner_result *result, struct text printed,
                       struct text errors, struct text outputs, struct text detail)
{
    const int64_t numbers[] = {result->index,      result->outcome, result->code,
                               result->started_us, result->wall_us, result->cpu_us,
                               result->peak_bytes};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        buffer_append_byte(out, i == 0 ? '[' : ',');
        buffer_append_int64(out, numbers[i]);
    }
    const struct text texts[] = {printed, errors, outputs};
    size_t nulls = 0; // Trailing ones are left out.
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].length == 0) {
            nulls++;
            continue;
        }
        for (; nulls > 0; nulls--) {
            buffer_append_string(out, ",null");
        }
        buffer_append_byte(out, ',');
        buffer_append_text(out, texts[i]);
    }
    if (detail.length > 0) {
        for (; nulls > 0; nulls--) {
            buffer_append_string(out, ",null");
        }
        buffer_append_byte(out, ',');
        buffer_append_json_string(out, detail);
    }
    buffer_append_byte(out, ']');
}

static struct text inline_output(struct arena *arena, const struct runner_output *output)
{
    if (output->size == 0 || output->file >= 0) {
        return TEXT_NONE;
    }
    AUTO_BUFFER struct buffer text = {0};
    buffer_append_byte(&text, '"');
    base64_append(&text, output->bytes.bytes, output->bytes.length);
    buffer_append_byte(&text, '"');
    return (struct text){arena_copy(arena, buffer_text(&text)), text.length};
}

// A streamed lease's single failed task is an entry of its own among the chunks.
static void wrap_task(const struct task_lease *lease, struct text task, struct buffer *out)
{
    if (lease->job->spec->is_stream) {
        buffer_printf(out, "{\"lease\":%" PRId64 ",\"job\":%" PRId64 ",\"tasks\":[", lease->id,
                      lease->job->spec->id);
        buffer_append_text(out, task);
        buffer_append_string(out, "]}");
    } else {
        buffer_append_text(out, task);
    }
}

struct held_result *held_add(struct task_lease *lease)
{
    struct held_result *held = NEW(struct held_result);
    held->lease = lease;
    if (lease->held_last) {
        lease->held_last->next = held;
    } else {
        lease->held_first = held;
    }
    lease->held_last = held;
    lease->job->worker->held_count++;
    return held;
}

void held_free(struct held_result *held)
{
    free(held->out);
    free(held->err);
    free(held->detail);
    free(held->outputs);
    buffer_done(&held->entry);
    arena_done(&held->arena);
    free(held);
}

static void write_held(const struct held_result *held, struct buffer *out)
{
    AUTO_BUFFER struct buffer outputs = {0};
    AUTO_BUFFER struct buffer task = {0};
    if (held->entry.length > 0) {
        buffer_append_text(out, buffer_text(&held->entry));
        return;
    }
    for (size_t i = 0; i < held->output_count; i++) {
        const struct held_output *output = &held->outputs[i];
        buffer_append_string(&outputs, i == 0 ? "[[" : ",[");
        buffer_append_json_string(&outputs, text_of(output->path));
        buffer_printf(&outputs, ",\"%s\",%" PRId64 ",%" PRId64 "]", output->digest, output->size,
                      output->mode);
    }
    buffer_append_string(&outputs, held->output_count > 0 ? "]" : "");
    report_write_task(&task, &held->result, text_of(held->out), text_of(held->err),
                      buffer_text(&outputs), text_of(held->detail));
    wrap_task(held->lease, buffer_text(&task), out);
}

void held_settle(struct task_lease *lease)
{
    struct worker *worker = lease->job->worker;
    while (lease->held_first && lease->held_first->uploads == 0) {
        struct held_result *held = lease->held_first;
        AUTO_BUFFER struct buffer text = {0};
        int64_t to = held->entry.length > 0 ? held->entry_to : held->result.index + 1;
        write_held(held, &text);
        lease->held_first = held->next;
        lease->held_last = held->next ? lease->held_last : NULL;
        worker->held_count--;
        held_free(held);
        if (!lease->is_dead) {
            ready_add(&lease->ready, buffer_text(&text), to);
            report_mark(worker, !lease->held_first && lease->done >= lease->to);
        }
    }
}

static void on_upload(void *context, const struct transfer_end *end)
{
    struct held_upload *upload = context;
    struct held_result *held = upload->held;
    held->uploads--;
    if (end->status != OK) {
        held->result.outcome = OUTCOME_WORKER;
        free(held->detail);
        held->detail = memory_format("an output could not be uploaded: %s", end->error->detail);
        held->output_count = 0;
    } else if (upload->output) {
        (void)digest_to_text(end->digest, upload->output->digest);
        upload->output->size = end->size;
    } else {
        char digest[DIGEST_TEXT_SIZE];
        *upload->stream = memory_format("{\"blob\":\"%s\",\"size\":%" PRId64 "}",
                                        digest_to_text(end->digest, digest), end->size);
    }
    held_settle(held->lease);
    free(upload);
}

static void start_upload(struct held_result *held, int fd, struct held_output *output,
                         char **stream)
{
    struct held_upload *upload = NEW(struct held_upload);
    *upload = (struct held_upload){held, output, stream};
    held->uploads++;
    transfers_upload_file(held->lease->job->worker->transfers, fd, on_upload, upload);
}

void report_refused(struct task_lease *lease, const char *detail)
{
    char text[RUNNER_DETAIL_MAX];
    struct ready rest = lease->ready;
    struct runner_result result = {.lease = lease->id,
                                   .outcome = OUTCOME_WORKER,
                                   .started_us = clock_real_us(),
                                   .out.file = -1,
                                   .err.file = -1};
    int64_t to = lease->reported;
    lease->ready = (struct ready){0};
    (void)ready_settle(&rest, &to);
    (void)snprintf(text, sizeof text, "the site refused the result: %s", detail);
    for (result.index = lease->reported; result.index < to; result.index++) {
        AUTO_BUFFER struct buffer task = {0};
        AUTO_BUFFER struct buffer entry = {0};
        report_write_task(&task, &result, TEXT_NONE, TEXT_NONE, TEXT_NONE, text_of(text));
        wrap_task(lease, buffer_text(&task), &entry);
        ready_add(&lease->ready, buffer_text(&entry), result.index + 1);
    }
    if (rest.text.length > 0) {
        ready_add(&lease->ready, buffer_text(&rest.text), rest.to);
    }
    ready_done(&rest);
}

// Takes what a task printed: the small part as JSON text, a file to be uploaded.
static void hold_stream(struct held_result *held, const struct runner_output *output,
                        const char *prefix, const struct seat *seat, char **text)
{
    struct arena arena AUTO_ARENA = {0};
    if (output->file < 0) {
        struct text json = inline_output(&arena, output);
        *text = json.length > 0 ? text_copy(json) : NULL;
        return;
    }
    char name[40];
    (void)snprintf(name, sizeof name, "%s-%" PRId64, prefix, output->file);
    int fd = openat(slot_logs_fd(seat->slot), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    (void)unlinkat(slot_logs_fd(seat->slot), name, 0);
    if (fd >= 0 && output->size > 0) {
        start_upload(held, fd, NULL, text);
    } else {
        file_close_local(&fd);
    }
}

static void hold_outputs(struct held_result *held, const struct outputs *outputs)
{
    held->outputs = memory_new(outputs->count + 1, sizeof *held->outputs);
    held->output_count = outputs->count;
    for (size_t i = 0; i < outputs->count; i++) {
        held->outputs[i].path = arena_copy(&held->arena, text_of(outputs->items[i].path));
        held->outputs[i].mode = outputs->items[i].mode;
        start_upload(held, outputs->items[i].fd, &held->outputs[i], NULL);
    }
}

void report_result(struct task_lease *lease, const struct runner_result *result,
                   struct outputs *outputs, struct seat *seat)
{
    bool has_files =
        result->out.file >= 0 || result->err.file >= 0 || (outputs && outputs->count > 0);
    if (!has_files && !lease->held_first) {
        struct arena arena AUTO_ARENA = {0};
        AUTO_BUFFER struct buffer task = {0};
        AUTO_BUFFER struct buffer entry = {0};
        report_write_task(&task, result, inline_output(&arena, &result->out),
                          inline_output(&arena, &result->err), TEXT_NONE, result->detail);
        wrap_task(lease, buffer_text(&task), &entry);
        ready_add(&lease->ready, buffer_text(&entry), result->index + 1);
        report_mark(lease->job->worker, lease->done >= lease->to);
        return;
    }
    struct held_result *held = held_add(lease);
    held->result = *result;
    held->detail = result->detail.length > 0 ? text_copy(result->detail) : NULL;
    held->uploads = 1; // Nothing settles before all uploads are under way.
    hold_stream(held, &result->out, "out", seat, &held->out);
    hold_stream(held, &result->err, "err", seat, &held->err);
    if (outputs) {
        hold_outputs(held, outputs);
    }
    held->uploads--;
    held_settle(lease);
}
