#include "crypto/digest.h"

#include "base/hex.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <unistd.h>

enum { FILE_BLOCK_SIZE = 1 << 18 };

struct digest_stream {
    EVP_MD_CTX *context;
};

struct digest digest_of(const void *bytes, size_t length)
{
    struct digest digest;
    (void)SHA256(bytes, length, digest.bytes);
    return digest;
}

struct digest_stream *digest_stream_new(void)
{
    struct digest_stream *stream = NEW(struct digest_stream);
    stream->context = EVP_MD_CTX_new();
    if (!stream->context || EVP_DigestInit_ex(stream->context, EVP_sha256(), NULL) != 1) {
        abort();
    }
    return stream;
}

void digest_stream_update(struct digest_stream *stream, const void *bytes, size_t length)
{
    (void)EVP_DigestUpdate(stream->context, bytes, length);
}

struct digest digest_stream_finish(struct digest_stream *stream)
{
    struct digest digest = {{0}};
    (void)EVP_DigestFinal_ex(stream->context, digest.bytes, NULL);
    digest_stream_free(stream);
    return digest;
}

void digest_stream_free(struct digest_stream *stream)
{
    if (stream) {
        EVP_MD_CTX_free(stream->context);
        free(stream);
    }
}

enum status digest_file(int fd, struct digest *out, int64_t *size, struct error *error)
{
    AUTO_FREE char *block = memory_new(1, FILE_BLOCK_SIZE);
    struct digest_stream *stream = digest_stream_new();
    int64_t at = 0;
    for (;;) {
        ssize_t got = pread(fd, block, FILE_BLOCK_SIZE, at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            digest_stream_free(stream);
            return error_set_errno(error, errno, "cannot read at byte %lld", (long long)at);
        }
        if (got == 0) {
            break;
        }
        digest_stream_update(stream, block, (size_t)got);
        at += got;
    }
    *out = digest_stream_finish(stream);
    *size = at;
    return OK;
}

char *digest_to_text(const struct digest *digest, char out[DIGEST_TEXT_SIZE])
{
    memcpy(out, "sha256:", 7);
    hex_encode(digest->bytes, DIGEST_SIZE, out + 7);
    return out;
}

enum status digest_from_text(struct text text, struct digest *out, struct error *error)
{
    struct text digits = text;
    if (text_starts_with(text, TEXT("sha256:"))) {
        digits = text_slice(text, 7, text.length);
    }
    struct digest digest;
    if (!hex_decode(digits, digest.bytes, DIGEST_SIZE)) {
        (void)error_set(error, INVALID, "\"%.*s\" is not a SHA-256 digest",
                        (int)(text.length < 100 ? text.length : 100), text.bytes ? text.bytes : "");
        error_fix(error, "give sha256: and 64 hexadecimal digits");
        return INVALID;
    }
    *out = digest;
    return OK;
}

static bool is_hex_digit(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

bool digest_next(struct text *rest, struct digest *out)
{
    const size_t size = 2 * DIGEST_SIZE;
    size_t run = 0;
    for (size_t at = 0; at < rest->length; at++) {
        run = is_hex_digit(rest->bytes[at]) ? run + 1 : 0;
        size_t from = at + 1 - size;
        if (run >= size && digest_from_text(text_slice(*rest, from, at + 1), out, NULL) == OK) {
            *rest = text_slice(*rest, from + 1, rest->length);
            return true;
        }
    }
    *rest = TEXT_NONE;
    return false;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}
