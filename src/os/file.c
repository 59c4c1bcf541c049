#include "os/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OPEN_TRIES_MAX = 32 };

enum status file_read(const char *path, size_t size_max, struct buffer *out, struct error *error)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    AUTO_BUFFER struct buffer content = {0};
    for (;;) {
        char *room = buffer_reserve(&content, 65536);
        ssize_t got = read(fd, room, 65536);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_set_errno(error, errno, "cannot read %s", path);
        }
        if (got == 0) {
            break;
        }
        buffer_advance(&content, (size_t)got);
        if (content.length > size_max) {
            return error_set(error, QUOTA, "%s is larger than %zu bytes", path, size_max);
        }
    }
    buffer_append_text(out, buffer_text(&content));
    return OK;
}

enum status file_write_all(int fd, struct text content, struct error *error)
{
    size_t at = 0;
    while (at < content.length) {
        ssize_t written = write(fd, content.bytes + at, content.length - at);
        if (written < 0 && errno != EINTR) {
            return error_set_errno(error, errno, "cannot write %zu bytes", content.length - at);
        }
        at += written > 0 ? (size_t)written : 0;
    }
    return OK;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return memory_copy_string(".");
    }
    return memory_copy_bytes(path, slash == path ? 1 : (size_t)(slash - path));
}

enum status file_sync_folder(const char *path, struct error *error)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        return error_set_errno(error, errno, "cannot sync folder %s", path);
    }
    return OK;
}

enum status file_write_atomic(const char *path, struct text content, mode_t mode,
                              struct error *error)
{
    AUTO_FREE char *folder = folder_of(path);
    AUTO_FREE char *temporary = memory_format("%s.XXXXXX", path);
    AUTO_CLOSE int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot create %s", temporary);
    }
    if (file_write_all(fd, content, NULL) != OK || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
        rename(temporary, path) < 0) {
        enum status status = error_set_errno(error, errno, "cannot write %s", path);
        (void)unlink(temporary);
        return status;
    }
    return file_sync_folder(folder, error);
}

enum status file_make_folder(const char *path, struct error *error)
{
    if (path[0] == '\0') {
        return error_set(error, INVALID, "a folder needs a name");
    }
    AUTO_FREE char *copy = memory_copy_string(path);
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        bool is_end = *at == '\0';
        *at = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST) {
            return error_set_errno(error, errno, "cannot make folder %s", copy);
        }
        if (is_end) {
            break;
        }
        *at = '/';
    }
    struct stat info;
    if (stat(path, &info) < 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    if (!S_ISDIR(info.st_mode)) {
        return error_set(error, CONFLICT, "%s exists and is not a folder", path);
    }
    return OK;
}

// -1 with errno set when it fails.
static int open_resolved(int folder_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    bool is_new = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = is_new ? mode : 0,
        .resolve = resolve | RESOLVE_NO_MAGICLINKS,
    };
    long opened = -1;
    int tries = 0;
    do { // The kernel gives up on ".." when something was renamed meanwhile (openat2(2)).
        opened = syscall(SYS_openat2, folder_fd, path, &how, sizeof how);
    } while (opened < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < OPEN_TRIES_MAX);
    return (int)opened;
}

enum status file_open_beneath(int folder_fd, const char *path, int flags, mode_t mode, int *fd,
                              struct error *error)
{
    int opened = open_resolved(folder_fd, path, flags, mode, RESOLVE_BENEATH);
    if (opened < 0 && errno == EXDEV) {
        (void)error_set(error, DENIED, "path \"%.200s\" leaves its folder", path);
        error_fix(error, "use a path without \"..\" and without links that lead out");
        return DENIED;
    }
    if (opened < 0) {
        return error_set_errno(error, errno, "cannot open %.200s", path);
    }
    *fd = opened;
    return OK;
}

enum status file_open_in_root(int root_fd, const char *path, int flags, mode_t mode, int *fd,
                              struct error *error)
{
    int opened = open_resolved(root_fd, path, flags, mode, RESOLVE_IN_ROOT);
    if (opened < 0) {
        return error_set_errno(error, errno, "cannot open %.200s", path);
    }
    *fd = opened;
    return OK;
}
