#include "base/buffer.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

void buffer_init(struct buffer *buffer, size_t max)
{
    *buffer = (struct buffer){.max = max};
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){.max = buffer->max};
}

static bool has_room(struct buffer *buffer, size_t length)
{
    if (buffer->is_overflown ||
        (buffer->max > 0 && (length > buffer->max || buffer->length > buffer->max - length))) {
        buffer->is_overflown = true;
        return false;
    }
    size_t need = buffer->length + length + 1;
    if (need > buffer->capacity) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity * 2;
        buffer->capacity = capacity < need ? need : capacity;
        buffer->bytes = memory_resize(buffer->bytes, buffer->capacity, 1);
    }
    return true;
}

void buffer_append_growing(struct buffer *buffer, const void *bytes, size_t length)
{
    if (!has_room(buffer, length)) {
        return;
    }
    if (length > 0) {
        memcpy(buffer->bytes + buffer->length, bytes, length);
    }
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
}

void buffer_append_int64(struct buffer *buffer, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buffer_append(buffer, digits + at, sizeof digits - at);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && has_room(buffer, (size_t)length)) {
        (void)vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

static void append_json_byte(struct buffer *buffer, unsigned char byte)
{
    switch (byte) {
    case '"':
        buffer_append(buffer, "\\\"", 2);
        break;
    case '\\':
        buffer_append(buffer, "\\\\", 2);
        break;
    case '\n':
        buffer_append(buffer, "\\n", 2);
        break;
    case '\t':
        buffer_append(buffer, "\\t", 2);
        break;
    case '\r':
        buffer_append(buffer, "\\r", 2);
        break;
    case '\b':
        buffer_append(buffer, "\\b", 2);
        break;
    case '\f':
        buffer_append(buffer, "\\f", 2);
        break;
    default:
        buffer_printf(buffer, "\\u%04x", byte);
    }
}

// The end of the run of bytes from `from` that need no escape and are whole UTF-8 sequences.
static size_t plain_run(struct text text, size_t from)
{
    size_t at = from;
    while (at < text.length) {
        unsigned char byte = (unsigned char)text.bytes[at];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            break;
        }
        if (byte < 0x80) {
            at++;
            continue;
        }
        size_t step = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
        if (at + step > text.length || !text_is_utf8(text_slice(text, at, at + step))) {
            break;
        }
        at += step;
    }
    return at;
}

void buffer_append_json_string(struct buffer *buffer, struct text text)
{
    buffer_append_byte(buffer, '"');
    for (size_t at = 0; at < text.length;) {
        size_t end = plain_run(text, at);
        buffer_append(buffer, text.bytes + at, end - at);
        at = end;
        if (at < text.length) {
            unsigned char byte = (unsigned char)text.bytes[at++];
            if (byte >= 0x80) {
                buffer_append(buffer, "\xEF\xBF\xBD", 3);
            } else {
                append_json_byte(buffer, byte);
            }
        }
    }
    buffer_append_byte(buffer, '"');
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    assert(length <= buffer->length);
    if (length == 0) {
        return;
    }
    buffer->length -= length;
    memmove(buffer->bytes, buffer->bytes + length, buffer->length + 1);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->is_overflown = false;
    if (buffer->bytes) {
        buffer->bytes[0] = '\0';
    }
}

char *buffer_reserve(struct buffer *buffer, size_t length)
{
    return has_room(buffer, length) ? buffer->bytes + buffer->length : NULL;
}

void buffer_advance(struct buffer *buffer, size_t length)
{
    assert(buffer->length + length < buffer->capacity);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
}

char *buffer_take_string(struct buffer *buffer)
{
    char *string = buffer->bytes ? buffer->bytes : memory_copy_bytes("", 0);
    size_t max = buffer->max;
    *buffer = (struct buffer){.max = max};
    return string;
}
