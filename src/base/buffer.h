// A growing byte buffer with a named maximum.
#ifndef LODE_BASE_BUFFER_H
#define LODE_BASE_BUFFER_H

#include "base/status.h"
#include "base/text.h"

struct buffer {
    char *bytes; // Always NUL-terminated once anything was appended; NULL before.
    size_t length;
    size_t capacity;
    size_t max;        // 0: no limit but memory.
    bool is_overflown; // An append would have passed `max`; it and all later ones were dropped.
};

// An empty buffer that holds at most `max` bytes (0: unlimited). Embedded use: struct buffer b = {0} is unlimited.
void buffer_init(struct buffer *buffer, size_t max);
void buffer_done(struct buffer *buffer);

#define AUTO_BUFFER __attribute__((cleanup(buffer_done)))

// Of buffer_append, where there is no room yet.
void buffer_append_growing(struct buffer *buffer, const void *bytes, size_t length);

// Here, as documents are written by many short appends whose lengths the compiler knows.
static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    // Less than, as there is a zero behind. What has overflown takes nothing more.
    if (length > 0 && buffer->max == 0 && length < buffer->capacity - buffer->length) {
        memcpy(buffer->bytes + buffer->length, bytes, length);
        buffer->length += length;
        buffer->bytes[buffer->length] = '\0';
        return;
    }
    buffer_append_growing(buffer, bytes, length);
}

static inline void buffer_append_text(struct buffer *buffer, struct text text)
{
    buffer_append(buffer, text.bytes, text.length);
}

static inline void buffer_append_string(struct buffer *buffer, const char *string)
{
    buffer_append(buffer, string, strlen(string));
}

static inline void buffer_append_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_append_int64(struct buffer *buffer, int64_t value);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

// The text as a JSON string with its quotes (RFC 8259); bytes that are not UTF-8 become U+FFFD.
void buffer_append_json_string(struct buffer *buffer, struct text text);

// Drops the first `length` bytes.
void buffer_consume(struct buffer *buffer, size_t length);

// Empties it, keeping the memory.
void buffer_clear(struct buffer *buffer);

// Room for `length` more bytes at the returned place; buffer_advance says how many were written.
char *buffer_reserve(struct buffer *buffer, size_t length);
void buffer_advance(struct buffer *buffer, size_t length);

// The content; borrowed until the next change.
static inline struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){buffer->bytes, buffer->length};
}

// The content as a heap string (never NULL); the buffer is empty afterwards.
char *buffer_take_string(struct buffer *buffer);

#endif
