// Texts made smaller for keeping: each is one zstd frame (RFC 8878) with its size and a checksum of what it holds.
#ifndef LODE_STORE_COMPRESSED_H
#define LODE_STORE_COMPRESSED_H

#include "base/buffer.h"

// Appends the frame of the text, which may be empty.
void compressed_append(struct text text, struct buffer *out);

// Appends the text that a frame holds, whole or not at all. CORRUPT when it is no frame, one that is damaged or does not tell its size, more than one, or holds more
// than `size_max` bytes; never takes more memory than that and what zstd needs.
enum status compressed_read(struct text frame, size_t size_max, struct buffer *out,
                            struct error *error);

#endif
