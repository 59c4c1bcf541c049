// Bytes as text: hexadecimal and base64.
#ifndef LODE_BASE_HEX_H
#define LODE_BASE_HEX_H

#include "base/buffer.h"

// Writes 2 * length lower-case digits and a NUL to `out`.
void hex_encode(const void *bytes, size_t length, char *out);

// Reads exactly 2 * length hexadecimal digits into `out`; false when the text is anything else.
bool hex_decode(struct text digits, void *out, size_t length);

// Appends standard base64 with padding (RFC 4648 section 4).
void base64_append(struct buffer *buffer, const void *bytes, size_t length);

// Appends the bytes that the base64 text stands for; INVALID when it is not strict RFC 4648.
enum status base64_decode(struct text text, struct buffer *out, struct error *error);

// Appends base64url without padding (RFC 4648 section 5).
void base64url_append(struct buffer *buffer, const void *bytes, size_t length);

// Appends the text with every byte but RFC 3986's unreserved ones as %XX: one path segment or query value.
void percent_append(struct buffer *buffer, struct text text);

// Appends the decoded text; INVALID on a broken escape. `%00` decodes to a NUL byte, which the caller must judge.
enum status percent_decode(struct text text, struct buffer *out, struct error *error);

#endif
