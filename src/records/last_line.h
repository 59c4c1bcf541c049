// The last line that a task printed, for people who ask why it failed.
#ifndef LODE_RECORDS_LAST_LINE_H
#define LODE_RECORDS_LAST_LINE_H

#include "protocol/poll_parse.h"
#include "store/blobs.h"

enum {
    LAST_LINE_MAX = 400,        // Bytes of it that are shown: its beginning.
    LAST_LINE_LOOKED_AT = 4096, // Bytes at the stream's end among which it is looked for.
};

// Appends the last line of `printed` in which something can be seen, as UTF-8 in one line without control characters: escape sequences of terminals
// are left out, what is no UTF-8 becomes U+FFFD. A carriage return ends a line, too. Nothing when there is no such line.
void last_line_append(struct text printed, struct buffer *out);

// Appends that of the stream as a JSON string, or null when there is none, or its blob cannot be read.
void last_line_write(struct blobs *blobs, const struct poll_stream *stream, struct buffer *out);

#endif
