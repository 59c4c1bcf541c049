#include "runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum status log_file_open(const struct runner *runner, struct log_file *file, struct error *error)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s-%" PRId64, file->prefix, file->number + 1);
    int fd = openat(runner->log_folder_fd, name,
                    O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot create the log file %s", name);
    }
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    file->fd = fd;
    file->number++;
    return OK;
}

void log_file_take(const struct runner *runner, struct log_file *file, bool is_known,
                   struct buffer *keep, struct runner_output *out)
{
    struct stat info;
    *out = (struct runner_output){.file = -1};
    if (fstat(file->fd, &info) < 0) {
        return;
    }
    if (info.st_size <= RUNNER_INLINE_MAX && !is_known) {
        if (info.st_size == 0) {
            return;
        }
        char *room = buffer_reserve(keep, (size_t)info.st_size);
        ssize_t got = pread(file->fd, room, (size_t)info.st_size, 0);
        (void)!ftruncate(file->fd, 0);
        size_t length = got > 0 ? (size_t)got : 0;
        buffer_advance(keep, length);
        out->size = (int64_t)length;
        out->bytes = (struct text){room, length};
        return;
    }
    struct error error;
    out->size = info.st_size;
    out->file = file->number;
    if (log_file_open(runner, file, &error) != OK) {
        // Without a new file the next task would write into this one: the sandbox ends, and the worker says why.
        (void)fprintf(stderr, "lode-runner: %s\n", error.detail);
        _exit(1);
    }
}
