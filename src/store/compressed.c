#include "store/compressed.h"

#include <assert.h>
#include <zstd.h>

// The fastest that packs signed statements well: what they repeat stands close together, and a higher level packs them no better.
enum { LEVEL = 1 };

void compressed_append(struct text text, struct buffer *out)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    assert(context);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t room = ZSTD_compressBound(text.length);
    size_t length =
        ZSTD_compress2(context, buffer_reserve(out, room), room, text.bytes, text.length);
    assert(!ZSTD_isError(length)); // There is room for anything.
    buffer_advance(out, length);
    (void)ZSTD_freeCCtx(context);
}

enum status compressed_read(struct text frame, size_t size_max, struct buffer *out,
                            struct error *error)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.bytes, frame.length);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return error_set(error, CORRUPT, "%zu bytes are no compressed text", frame.length);
    }
    if (size > size_max) {
        return error_set(error, CORRUPT, "a compressed text claims %llu bytes, more than %zu", size,
                         size_max);
    }
    size_t got =
        ZSTD_decompress(buffer_reserve(out, (size_t)size), (size_t)size, frame.bytes, frame.length);
    if (ZSTD_isError(got) || got != size) {
        buffer_advance(out, 0); // As it was: what was written behind its end has no end.
        return error_set(error, CORRUPT, "a compressed text of %llu bytes is damaged: %s", size,
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "it is shorter");
    }
    buffer_advance(out, got);
    return OK;
}
