// Server-sent events (WHATWG HTML, section 9.2.6), read from bytes in any pieces.
#ifndef LODE_HTTP_EVENT_STREAM_H
#define LODE_HTTP_EVENT_STREAM_H

#include "base/buffer.h"

enum {
    EVENT_SIZE_MAX = 4 << 20,
    EVENT_NAME_MAX = 64
}; // Of one event's data; of its name and its id.

struct event {
    struct text name; // "message" when none was given.
    struct text id;   // The last one given; empty before.
    struct text data;
};

// Embedded: event_stream_init, event_stream_done.
struct event_stream {
    struct buffer line;
    struct buffer data;
    struct buffer name;
    struct buffer id;
    bool has_data;
    bool was_return;    // The last byte was CR: an LF behind it belongs to the same line end.
    bool is_past_start; // The first line, which may begin with a byte order mark, was read.
};

void event_stream_init(struct event_stream *stream);
void event_stream_done(struct event_stream *stream);

// Takes in bytes and calls `on_event` for each event that they complete; when it returns false, the rest of the bytes is
// dropped and CONFLICT returned. INVALID when an event is larger than the limits.
enum status event_stream_feed(struct event_stream *stream, struct text bytes,
                              bool (*on_event)(void *context, const struct event *event),
                              void *context, struct error *error);

// Forgets a half-read event, for a new connection. The last id stays.
void event_stream_restart(struct event_stream *stream);

#endif
