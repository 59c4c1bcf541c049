// Files: whole, atomic, and strictly below a directory.
#ifndef LODE_OS_FILE_H
#define LODE_OS_FILE_H

#include "base/buffer.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

// Reads a whole file of at most `size_max` bytes. NOT_FOUND, DENIED, QUOTA (it is larger) or INTERNAL.
enum status file_read(const char *path, size_t size_max, struct buffer *out, struct error *error);

// Puts the content under `path` so that a crash leaves the old file or the new one: temporary file beside it, fsync,
// rename, fsync of the folder.
enum status file_write_atomic(const char *path, struct text content, mode_t mode,
                              struct error *error);

// Creates the folder and those above it (0700 for the new ones); OK when it exists. INVALID for an
// empty path.
enum status file_make_folder(const char *path, struct error *error);

// Opens `path` (relative, from outside) strictly below the open folder: no "..", no absolute path and no symbolic link
// can leave it (openat2 RESOLVE_BENEATH). `flags` and `mode` as for open; O_CLOEXEC is added. *fd is the caller's.
enum status file_open_beneath(int folder_fd, const char *path, int flags, mode_t mode, int *fd,
                              struct error *error);

// The same with the folder as the root of all paths, as after chroot: absolute symbolic links and ".." are looked up from it and stay below it.
enum status file_open_in_root(int root_fd, const char *path, int flags, mode_t mode, int *fd,
                              struct error *error);

// Writes everything, however many calls that takes.
enum status file_write_all(int fd, struct text content, struct error *error);

// Syncs the folder itself, so that a rename or a new name in it is durable.
enum status file_sync_folder(const char *path, struct error *error);

// Removes a file or a whole tree, of any depth and with folders that may not be read, without following symbolic links;
// OK when there is nothing.
enum status file_remove_tree(const char *path, struct error *error);

static inline void file_close_local(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}
// A local descriptor that closes itself; -1 means none: AUTO_CLOSE int fd = -1;
#define AUTO_CLOSE __attribute__((cleanup(file_close_local)))

// Hands over a descriptor: its value, leaving -1 behind.
static inline int file_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
