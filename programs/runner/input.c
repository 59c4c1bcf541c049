#include "runner/runner.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { DIGEST_DIGITS = 64 };

enum status item_file_parse(struct text line, struct item_file *out, struct error *error)
{
    struct text rest = line;
    struct text digest;
    struct text size;
    struct text stamp; // "<modified_us>", or "<modified_us>.<inode>".
    struct text modified;
    struct item_file file;
    if (!text_next_part(&rest, ' ', &digest) || digest.length != DIGEST_DIGITS ||
        !text_next_part(&rest, ' ', &size) || !text_to_int64(size, &file.size) ||
        !text_next_part(&rest, ' ', &stamp) || !text_next_part(&stamp, '.', &modified) ||
        !text_to_int64(modified, &file.modified_us) || rest.length == 0) {
        return error_set(error, INVALID, "the list of input files has the line \"%.100s\"",
                         line.length ? line.bytes : "");
    }
    file.path = rest;
    *out = file;
    return OK;
}

static enum status open_input(const struct runner_job *job, const char *path, int *fd,
                              struct error *error)
{
    AUTO_FREE char *folder = memory_copy_bytes(job->data_folder.bytes, job->data_folder.length);
    AUTO_CLOSE int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_NO_MAGICLINKS | (job->keeps_beneath ? RESOLVE_BENEATH : 0),
    };
    long opened = folder_fd < 0 ? -1 : syscall(SYS_openat2, folder_fd, path, &how, sizeof how);
    if (opened >= 0) {
        *fd = (int)opened;
        return OK;
    }
    if (errno == EXDEV || errno == ELOOP) {
        return error_set(error, INVALID, "input file %.200s leads out of its registered folder",
                         path);
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        return error_set(error, INVALID, "input file %.200s is missing", path);
    }
    (void)error_set_errno(error, errno, "input file %.200s cannot be read", path);
    return INVALID;
}

enum status item_file_check(const struct runner_job *job, struct text line, struct error *error)
{
    struct item_file file;
    TRY(item_file_parse(line, &file, error));
    AUTO_FREE char *path = text_copy(file.path);
    AUTO_CLOSE int fd = -1;
    TRY(open_input(job, path, &fd, error));
    struct stat info;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        return error_set(error, INVALID, "input file %.200s is no regular file any more", path);
    }
    if (info.st_size != file.size) {
        return error_set(error, INVALID,
                         "input file %.200s has %lld bytes, was registered with %lld", path,
                         (long long)info.st_size, (long long)file.size);
    }
    int64_t modified_us = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000;
    if (modified_us != file.modified_us) {
        return error_set(error, INVALID, "input file %.200s was modified after it was registered",
                         path);
    }
    return OK;
}
