// SHA-256 (FIPS 180-4), the name of every blob, file and cached result.
#ifndef LODE_CRYPTO_DIGEST_H
#define LODE_CRYPTO_DIGEST_H

#include "base/status.h"
#include "base/text.h"

enum { DIGEST_SIZE = 32, DIGEST_TEXT_SIZE = 72 };

struct digest {
    unsigned char bytes[DIGEST_SIZE];
};

// The digest of `length` bytes.
struct digest digest_of(const void *bytes, size_t length);

// A digest made piece by piece: new, update..., then finish, which frees it, or free, which takes NULL.
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_update(struct digest_stream *stream, const void *bytes, size_t length);
struct digest digest_stream_finish(struct digest_stream *stream);
void digest_stream_free(struct digest_stream *stream);

// The digest of a file from the descriptor's start to its end, read with pread; *size is its length in bytes.
enum status digest_file(int fd, struct digest *out, int64_t *size, struct error *error);

// "sha256:" and 64 lower-case hexadecimal digits; returns `out`.
char *digest_to_text(const struct digest *digest, char out[DIGEST_TEXT_SIZE]);
// Reads that form, or the 64 digits alone; INVALID otherwise.
enum status digest_from_text(struct text text, struct digest *out, struct error *error);
// The next 64 hexadecimal digits in a row that stand in a text, of which is left what follows the first of them: no digest in a longer row is missed. False: there are none.
bool digest_next(struct text *rest, struct digest *out);

bool digest_equal(const struct digest *a, const struct digest *b);

#endif
