// Server-sent events in pieces of two sizes give the same events as at once.
#include "http/event_stream.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static bool record(void *context, const struct event *event)
{
    buffer_printf(context, "%.*s|%.*s|%.*s\n", TEXT_ARGS(event->name), TEXT_ARGS(event->id),
                  TEXT_ARGS(event->data));
    return true;
}

static void read_in_pieces(struct text all, size_t piece, struct buffer *out)
{
    struct event_stream stream;
    event_stream_init(&stream);
    struct error error;
    for (size_t at = 0; at < all.length; at += piece) {
        if (event_stream_feed(&stream, text_slice(all, at, at + piece), record, out, &error) !=
            OK) {
            break;
        }
    }
    event_stream_done(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text all = {(const char *)bytes, length};
    AUTO_BUFFER struct buffer whole = {0};
    AUTO_BUFFER struct buffer pieces = {0};
    read_in_pieces(all, length + 1, &whole);
    read_in_pieces(all, 3, &pieces);
    // An event that is too large ends the reading at a place that depends on the pieces.
    assert(length > 64 || text_equal(buffer_text(&whole), buffer_text(&pieces)));
    return 0;
}
