#include "sandbox/proving.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, BLOCKS_A_TURN = 16 };

void proving_begin(struct proving *proving, int *fd, const struct file_mark *mark)
{
    *proving = (struct proving){.hash = digest_stream_new(), .fd = file_take_fd(fd), .mark = *mark};
}

bool proving_is_on(const struct proving *proving)
{
    return proving->hash != NULL;
}

void proving_stop(struct proving *proving)
{
    if (proving->hash) {
        digest_stream_free(TAKE(proving->hash));
        file_close_local(&proving->fd);
    }
}

enum proving_step proving_read(struct proving *proving, struct digest *out)
{
    AUTO_FREE char *block = memory_new(BLOCK, 1);
    ssize_t got = 1;
    for (int i = 0; i < BLOCKS_A_TURN && got > 0; i++) {
        do {
            got = pread(proving->fd, block, BLOCK, proving->hashed);
        } while (got < 0 && errno == EINTR);
        if (got > 0) {
            digest_stream_update(proving->hash, block, (size_t)got);
            proving->hashed += got;
        }
    }
    if (got > 0) {
        return PROVING_ON;
    }
    struct stat info;
    bool is_same = got == 0 && fstat(proving->fd, &info) == 0;
    struct file_mark mark = is_same ? file_mark_of(&info) : (struct file_mark){0};
    is_same = is_same && file_mark_equal(&mark, &proving->mark);
    if (is_same) {
        *out = digest_stream_finish(TAKE(proving->hash));
        file_close_local(&proving->fd);
    }
    proving_stop(proving);
    return is_same ? PROVING_DONE : PROVING_LOST;
}
