// The document of a transfer, as the API answers with it.
#include "transfer/state.h"

#include "base/calendar.h"

#include <assert.h>

const char *transfer_state_name(enum transfer_state state)
{
    static const char *const NAMES[] = {"waiting", "copying", "verifying",
                                        "done",    "failed",  "cancelled"};
    assert((unsigned)state < sizeof NAMES / sizeof NAMES[0]);
    return NAMES[state];
}

static void write_text(const char *name, struct text value, struct buffer *out)
{
    buffer_printf(out, ",\"%s\":", name);
    buffer_append_json_string(out, value);
}

static void write_time(const char *name, int64_t time_us, struct buffer *out)
{
    char text[CALENDAR_TEXT_SIZE];
    if (time_us == 0) {
        buffer_printf(out, ",\"%s\":null", name);
    } else {
        write_text(name, text_of(calendar_format(time_us, text)), out);
    }
}

static int64_t rate_of(const struct transfer *transfer, int64_t now_us)
{
    int64_t took_us = now_us - transfer->round_began_us;
    int64_t came = atomic_load(&transfer->bytes_done) - transfer->round_bytes;
    bool is_known = transfer->state == TRANSFER_COPYING && took_us > 0 && came > 0;
    return is_known ? (int64_t)((double)came * 1e6 / (double)took_us) : 0;
}

void transfer_write(const struct transfer *transfer, int64_t now_us, struct buffer *out)
{
    bool is_done = transfer->state == TRANSFER_DONE;
    buffer_printf(out, "{\"id\":%lld", (long long)transfer->number);
    write_text("dataset", text_of(transfer->id), out);
    write_text("owner", text_of(transfer->owner), out);
    write_text("state", text_of(transfer_state_name(transfer->state)), out);
    write_text("source", text_of(transfer->source), out);
    write_text("problem", text_of(transfer->problem), out);
    buffer_printf(out, ",\"files_total\":%lld,\"bytes_total\":%lld",
                  (long long)transfer->files_total, (long long)transfer->bytes_total);
    buffer_printf(out, ",\"files_done\":%lld,\"bytes_done\":%lld",
                  (long long)(is_done ? transfer->files_total : transfer->files_done),
                  (long long)(is_done ? transfer->bytes_total : transfer->bytes_done));
    buffer_printf(out, ",\"bytes_per_second\":%lld,\"version\":%lld",
                  (long long)rate_of(transfer, now_us), (long long)transfer->version);
    write_time("ordered_at", transfer->ordered_us, out);
    write_time("finished_at", transfer->finished_us, out);
    buffer_append_byte(out, '}');
}
