#include "fetch/part.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <unistd.h>

enum { READ_BLOCK = 256 << 10, BLOCKS_A_TURN = 16 };

void part_init(struct part *part, struct input_cache *cache, const struct digest *digest,
               int64_t size)
{
    *part = (struct part){.cache = cache, .digest = *digest, .size = size, .fd = -1};
}

void part_close(struct part *part)
{
    file_close_local(&part->fd);
    part->fd = -1;
    digest_stream_free(TAKE(part->hash));
    if (part->is_held) {
        input_cache_leave_part(part->cache, &part->digest);
        part->is_held = false;
    }
    input_cache_release(part->cache, part->reserved);
    part->reserved = 0;
}

enum status part_open(struct part *part, struct error *error)
{
    TRY(input_cache_reserve(part->cache, part->size, error));
    part->reserved = part->size;
    TRY(input_cache_open_part(part->cache, &part->digest, &part->fd, &part->there, error));
    part->is_held = true;
    part->hash = digest_stream_new();
    part->have = 0;
    if (part->there > part->size) {
        TRY(part_empty(part, error));
        part->there = 0;
    }
    return OK;
}

enum status part_open_whole(struct part *part, struct error *error)
{
    TRY(input_cache_open_file(part->cache, &part->digest, &part->fd, error));
    part->hash = digest_stream_new();
    part->have = 0;
    return OK;
}

enum part_read part_read_on(struct part *part, int64_t end)
{
    AUTO_FREE char *block = memory_new(READ_BLOCK, 1);
    for (int i = 0; i < BLOCKS_A_TURN && part->have < end; i++) {
        int64_t most = end - part->have < READ_BLOCK ? end - part->have : READ_BLOCK;
        ssize_t got = pread(part->fd, block, (size_t)most, part->have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? PART_READ_ALL : PART_READ_FAILED;
        }
        digest_stream_update(part->hash, block, (size_t)got);
        part->have += got;
    }
    return part->have < end ? PART_READ_MORE : PART_READ_ALL;
}

enum status part_append(struct part *part, struct text bytes, struct error *error)
{
    TRY(file_write_all(part->fd, bytes, error));
    digest_stream_update(part->hash, bytes.bytes, bytes.length);
    part->have += (int64_t)bytes.length;
    return OK;
}

enum status part_empty(struct part *part, struct error *error)
{
    if (ftruncate(part->fd, 0) < 0) {
        return error_set_errno(error, errno, "cannot empty what has come of a file");
    }
    return OK;
}

bool part_is_right(struct part *part)
{
    struct digest digest = digest_stream_finish(TAKE(part->hash));
    return digest_equal(&digest, &part->digest);
}

enum status part_keep(struct part *part, int64_t modified_us, struct error *error)
{
    part->is_held = false;
    TRY(input_cache_keep(part->cache, &part->digest, part->reserved, modified_us, error));
    part->reserved = 0;
    return OK;
}
