#include "http/event_stream.h"

void event_stream_init(struct event_stream *stream)
{
    *stream = (struct event_stream){0};
    buffer_init(&stream->line, EVENT_SIZE_MAX);
    buffer_init(&stream->data, EVENT_SIZE_MAX);
    buffer_init(&stream->name, EVENT_NAME_MAX);
    buffer_init(&stream->id, EVENT_NAME_MAX);
}

void event_stream_done(struct event_stream *stream)
{
    buffer_done(&stream->line);
    buffer_done(&stream->data);
    buffer_done(&stream->name);
    buffer_done(&stream->id);
}

void event_stream_restart(struct event_stream *stream)
{
    buffer_clear(&stream->line);
    buffer_clear(&stream->data);
    buffer_clear(&stream->name);
    stream->has_data = false;
    stream->was_return = false;
    stream->is_past_start = false;
}

// Takes one "name: value" line of an event.
static void take_field(struct event_stream *stream, struct text line)
{
    size_t colon = text_find_byte(line, 0, ':');
    struct text name = text_slice(line, 0, colon);
    struct text value = text_slice(line, colon + 1, line.length);
    if (value.length > 0 && value.bytes[0] == ' ') {
        value = text_slice(value, 1, value.length);
    }
    if (text_equal(name, TEXT("data"))) {
        if (stream->has_data) {
            buffer_append_byte(&stream->data, '\n');
        }
        buffer_append_text(&stream->data, value);
        stream->has_data = true;
    } else if (text_equal(name, TEXT("event"))) {
        buffer_clear(&stream->name);
        buffer_append_text(&stream->name, value);
    } else if (text_equal(name, TEXT("id")) && !text_contains_byte(value, '\0')) {
        buffer_clear(&stream->id);
        buffer_append_text(&stream->id, value);
    }
}

static bool dispatch(struct event_stream *stream,
                     bool (*on_event)(void *context, const struct event *event), void *context)
{
    bool goes_on = true;
    if (stream->has_data) {
        struct event event = {
            .name = stream->name.length > 0 ? buffer_text(&stream->name) : TEXT("message"),
            .id = buffer_text(&stream->id),
            .data = buffer_text(&stream->data),
        };
        goes_on = on_event(context, &event);
    }
    buffer_clear(&stream->data);
    buffer_clear(&stream->name);
    stream->has_data = false;
    return goes_on;
}

static enum status end_line(struct event_stream *stream,
                            bool (*on_event)(void *context, const struct event *event),
                            void *context, struct error *error)
{
    struct text line = buffer_text(&stream->line);
    if (!stream->is_past_start && text_starts_with(line, TEXT("\xef\xbb\xbf"))) {
        line = text_slice(line, 3, line.length);
    }
    stream->is_past_start = true;
    bool goes_on = true;
    if (line.length == 0) {
        goes_on = dispatch(stream, on_event, context);
    } else {
        take_field(stream, line);
    }
    bool is_too_large = stream->line.is_overflown || stream->data.is_overflown ||
                        stream->name.is_overflown || stream->id.is_overflown;
    buffer_clear(&stream->line);
    if (is_too_large) {
        return error_set(error, INVALID, "an event of the site is larger than %d bytes",
                         EVENT_SIZE_MAX);
    }
    return goes_on ? OK : error_set(error, CONFLICT, "the reader of events had enough");
}

enum status event_stream_feed(struct event_stream *stream, struct text bytes,
                              bool (*on_event)(void *context, const struct event *event),
                              void *context, struct error *error)
{
    size_t at = 0;
    while (at < bytes.length) {
        if (stream->was_return && bytes.bytes[at] == '\n') {
            stream->was_return = false;
            at++;
            continue;
        }
        stream->was_return = false;
        size_t end = at;
        while (end < bytes.length && bytes.bytes[end] != '\n' && bytes.bytes[end] != '\r') {
            end++;
        }
        buffer_append_text(&stream->line, text_slice(bytes, at, end));
        if (stream->line.is_overflown) {
            return error_set(error, INVALID, "an event of the site is larger than %d bytes",
                             EVENT_SIZE_MAX);
        }
        if (end == bytes.length) {
            return OK;
        }
        stream->was_return = bytes.bytes[end] == '\r';
        at = end + 1;
        TRY(end_line(stream, on_event, context, error));
    }
    return OK;
}
