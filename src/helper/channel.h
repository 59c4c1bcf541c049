// One caller's connection: lines of bounded length over a pair of descriptors or over TLS, each by a deadline.
#ifndef LODE_HELPER_CHANNEL_H
#define LODE_HELPER_CHANNEL_H

#include "base/buffer.h"
#include "http/tls_stream.h"

struct channel {
    struct tls_stream *tls; // NULL: the descriptors. Borrowed.
    int in_fd;
    int out_fd;
    struct buffer pending; // What has come behind the last line.
};

void channel_done(struct channel *channel);

// Reads a line of at most `length_max` bytes with its end, which is left out. *is_end: the other side ended before one began. QUOTA for a line that is longer, INVALID
// for one without an end, TIMEOUT when it is not complete at `until_us` (steady clock), UNAVAILABLE when the connection broke.
enum status channel_read_line(struct channel *channel, size_t length_max, int64_t until_us,
                              struct buffer *line, bool *is_end, struct error *error);

enum status channel_write(struct channel *channel, struct text text, int64_t until_us,
                          struct error *error);

#endif
