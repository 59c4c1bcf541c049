#include "helper/channel.h"

#include "os/clock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { BLOCK_SIZE = 4096 };

void channel_done(struct channel *channel)
{
    buffer_done(&channel->pending);
}

static enum status await(int fd, short events, int64_t until_us, struct error *error)
{
    for (;;) {
        int64_t left_us = until_us - clock_steady_us();
        struct pollfd ready = {.fd = fd, .events = events};
        if (left_us <= 0) {
            return error_set(error, TIMEOUT, "the other side is silent for too long");
        }
        int64_t left_ms = (left_us + 999) / 1000;
        if (poll(&ready, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX) > 0) {
            return OK;
        }
    }
}

// Reads what comes first; *got 0: the other side has ended.
static enum status read_some(struct channel *channel, char *block, size_t *got, int64_t until_us,
                             struct error *error)
{
    if (channel->tls) {
        return tls_stream_read(channel->tls, block, BLOCK_SIZE, got, until_us, error);
    }
    TRY(await(channel->in_fd, POLLIN, until_us, error));
    ssize_t result = read(channel->in_fd, block, BLOCK_SIZE);
    if (result < 0) {
        return error_set(error, UNAVAILABLE, "the connection broke");
    }
    *got = (size_t)result;
    return OK;
}

enum status channel_read_line(struct channel *channel, size_t length_max, int64_t until_us,
                              struct buffer *line, bool *is_end, struct error *error)
{
    struct buffer *pending = &channel->pending;
    *is_end = false;
    for (;;) {
        size_t end = text_find_byte(buffer_text(pending), 0, '\n');
        bool is_complete = end < pending->length;
        size_t got = 0;
        if (end >= length_max) {
            return error_set(error, QUOTA, "the line has more than %zu bytes", length_max);
        }
        if (is_complete) {
            buffer_append(line, pending->bytes, end);
            buffer_consume(pending, end + 1);
            return OK;
        }
        char *block = buffer_reserve(pending, BLOCK_SIZE);
        TRY(read_some(channel, block, &got, until_us, error));
        buffer_advance(pending, got);
        if (got == 0 && pending->length > 0) {
            return error_set(error, INVALID, "the line has no end");
        }
        if (got == 0) {
            *is_end = true;
            return OK;
        }
    }
}

enum status channel_write(struct channel *channel, struct text text, int64_t until_us,
                          struct error *error)
{
    if (channel->tls) {
        return tls_stream_write(channel->tls, text, until_us, error);
    }
    while (text.length > 0) {
        TRY(await(channel->out_fd, POLLOUT, until_us, error));
        // A pipe that is ready takes this much without blocking (pipe(7)).
        size_t size = text.length < BLOCK_SIZE ? text.length : BLOCK_SIZE;
        ssize_t written = write(channel->out_fd, text.bytes, size);
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return error_set(error, UNAVAILABLE, "the connection broke");
        }
        text = text_slice(text, written > 0 ? (size_t)written : 0, text.length);
    }
    return OK;
}
