#include "os/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    TRIED_BYTES = 64 << 10,
    DOUBTFUL_BYTES =
        1 << 20, // With less than this free it is tried: some of it may be kept for others.
    DOUBTFUL_FILES = 16,
};

static const char TRIED_NAME[] = ".lode-room";

// How large a file the process may make: beyond its limit a signal would end it.
static off_t tried_size(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < TRIED_BYTES) {
        return (off_t)limit.rlim_cur;
    }
    return TRIED_BYTES;
}

static bool is_exhausted(int number)
{
    return number == ENOSPC || number == EDQUOT;
}

static bool can_write(int folder_fd)
{
    // Somebody may have put a pipe there, which is to hold nobody up.
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(folder_fd, TRIED_NAME, flags, 0600);
    if (fd < 0) {
        return !is_exhausted(errno);
    }
    off_t size = tried_size();
    int failed = size > 0 ? posix_fallocate(fd, 0, size) : 0;
    (void)unlinkat(folder_fd, TRIED_NAME, 0);
    (void)close(fd);
    return !is_exhausted(failed);
}

bool room_is_left(int folder_fd, bool is_doubtful)
{
    struct statvfs disk;
    if (fstatvfs(folder_fd, &disk) < 0) {
        return true;
    }
    bool has_few_files = disk.f_files > 0 && disk.f_favail < DOUBTFUL_FILES;
    bool has_few_bytes = (uint64_t)disk.f_bavail * disk.f_frsize < DOUBTFUL_BYTES;
    return (!is_doubtful && !has_few_files && !has_few_bytes) || can_write(folder_fd);
}
