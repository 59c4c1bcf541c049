#include "records/last_line.h"

#include "base/buffer.h"
#include "os/file.h"

#include <unistd.h>

enum { ESCAPE = 0x1B, DELETE = 0x7F, CHARACTER_MAX = 4 };
#define REPLACEMENT "\xEF\xBF\xBD"

// The length of the escape sequence (ECMA-48) at the front: "ESC [ 3 1 m", "ESC M"; one that is cut ends with the line.
static size_t escape_length(struct text line)
{
    if (line.length < 2 || line.bytes[1] != '[') {
        return line.length < 2 ? line.length : 2;
    }
    size_t at = 2;
    while (at < line.length && !(line.bytes[at] >= 0x40 && line.bytes[at] <= 0x7E)) {
        at++;
    }
    return at < line.length ? at + 1 : at;
}

// The length of the character at the front; 0: it is no UTF-8.
static size_t character_length(struct text line)
{
    for (size_t length = 1; length <= CHARACTER_MAX && length <= line.length; length++) {
        if (text_is_utf8(text_slice(line, 0, length))) {
            return length;
        }
    }
    return 0;
}

static bool is_control(struct text character)
{
    unsigned char first = (unsigned char)character.bytes[0];
    // U+0080 to U+009F are control characters, too.
    return first < ' ' || first == DELETE ||
           (first == 0xC2 && (unsigned char)character.bytes[1] < 0xA0);
}

// Appends what can be seen of the line; false when that is nothing.
static bool append_visible(struct text line, struct buffer *out)
{
    size_t began = out->length;
    bool is_visible = false;
    for (size_t at = 0; at < line.length && out->length - began < LAST_LINE_MAX;) {
        struct text rest = text_slice(line, at, line.length);
        if (rest.bytes[0] == ESCAPE) {
            at += escape_length(rest);
            continue;
        }
        size_t length = character_length(rest);
        struct text character = text_slice(rest, 0, length > 0 ? length : 1);
        at += character.length;
        if (length == 0) {
            buffer_append_string(out, REPLACEMENT);
        } else if (is_control(character)) {
            buffer_append_byte(out, ' ');
        } else {
            buffer_append_text(out, character);
        }
        is_visible = is_visible || out->bytes[out->length - 1] != ' ';
    }
    return is_visible;
}

void last_line_append(struct text printed, struct buffer *out)
{
    for (size_t to = printed.length; to > 0;) {
        size_t from = to;
        while (from > 0 && printed.bytes[from - 1] != '\n' && printed.bytes[from - 1] != '\r') {
            from--;
        }
        AUTO_BUFFER struct buffer line = {0};
        if (append_visible(text_slice(printed, from, to), &line)) {
            buffer_append_text(out, text_trim(buffer_text(&line)));
            return;
        }
        to = from > 0 ? from - 1 : 0;
    }
}

// Of a stream with a blob: its end, in `keep`.
static enum status read_end(struct blobs *blobs, const struct poll_stream *stream,
                            struct buffer *keep)
{
    AUTO_CLOSE int fd = -1;
    int64_t size = 0;
    TRY(blob_open(blobs, &stream->digest, &fd, &size, NULL));
    int64_t length = size < LAST_LINE_LOOKED_AT ? size : LAST_LINE_LOOKED_AT;
    char *place = buffer_reserve(keep, LAST_LINE_LOOKED_AT);
    if (pread(fd, place, (size_t)length, size - length) != length) {
        return CORRUPT;
    }
    buffer_advance(keep, (size_t)length);
    return OK;
}

void last_line_write(struct blobs *blobs, const struct poll_stream *stream, struct buffer *out)
{
    AUTO_BUFFER struct buffer keep = {0};
    AUTO_BUFFER struct buffer line = {0};
    struct text end = stream->bytes;
    if (stream->is_blob) {
        end = read_end(blobs, stream, &keep) == OK ? buffer_text(&keep) : TEXT_NONE;
    }
    size_t from = end.length > LAST_LINE_LOOKED_AT ? end.length - LAST_LINE_LOOKED_AT : 0;
    last_line_append(text_slice(end, from, end.length), &line);
    if (line.length > 0) {
        buffer_append_json_string(out, buffer_text(&line));
    } else {
        buffer_append_string(out, "null");
    }
}
