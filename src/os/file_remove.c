// Removes trees that a hostile task may have made: of any depth, with folders that nobody may read, links everywhere.
//
// Folders are never entered one below the other. What lies below a folder is lifted to the top one first, so that a tree
// of any depth needs two descriptors, no recursion, and no path longer than a name.
#include "os/file.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { NAME_SIZE = 32 };

struct removal {
    int top_fd;
    uint64_t next_name; // Of what is lifted.
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// A stream over an open folder, which it takes over; NULL with errno set.
static DIR *stream_of(int fd)
{
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (!list && fd >= 0) {
        (void)close(fd);
    }
    return list;
}

// Opens a folder, after making it ours to read and change where that is needed.
static DIR *open_inner(int top_fd, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat info;
    // A link is never changed here: fchmodat would follow it, so only a folder comes this far.
    if (fstatat(top_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return NULL;
    }
    if ((info.st_mode & S_IRWXU) != S_IRWXU && fchmodat(top_fd, name, S_IRWXU, 0) < 0) {
        return NULL;
    }
    return stream_of(openat(top_fd, name, flags));
}

// Moves a folder to the top one under a name that is free there.
static int lift(struct removal *removal, int folder_fd, const char *name)
{
    char target[NAME_SIZE];
    // Without the right to write in it, it could not be moved, as its ".." changes.
    (void)fchmodat(folder_fd, name, S_IRWXU, 0);
    for (;;) {
        (void)snprintf(target, sizeof target, ".removed-%llu",
                       (unsigned long long)removal->next_name++);
        if (renameat(folder_fd, name, removal->top_fd, target) == 0) {
            return 0;
        }
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
            return -1;
        }
    }
}

// Removes what is in a folder below the top one: files at once, folders by lifting them.
static int empty_inner(struct removal *removal, const char *name)
{
    DIR *list = open_inner(removal->top_fd, name);
    if (!list) {
        return -1;
    }
    int result = 0;
    errno = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(list)) != NULL;) {
        if (is_dots(entry->d_name)) {
            continue;
        }
        result = unlinkat(dirfd(list), entry->d_name, 0);
        if (result < 0 && (errno == EISDIR || errno == EPERM)) {
            result = lift(removal, dirfd(list), entry->d_name);
        }
    }
    int reason = errno;
    (void)closedir(list);
    errno = reason;
    return result;
}

// Removes one entry of the top folder. A folder that was not yet empty stays for the next round.
static int remove_entry(struct removal *removal, const char *name)
{
    if (unlinkat(removal->top_fd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -1;
    }
    if (unlinkat(removal->top_fd, name, AT_REMOVEDIR) == 0) {
        return 0;
    }
    if (empty_inner(removal, name) < 0) {
        return -1;
    }
    int result = unlinkat(removal->top_fd, name, AT_REMOVEDIR);
    return result < 0 && (errno == ENOTEMPTY || errno == EEXIST) ? 0 : result;
}

// One round over the top folder; *count says how many entries it found.
static int remove_round(struct removal *removal, DIR *top, size_t *count)
{
    *count = 0;
    rewinddir(top);
    for (struct dirent *entry; (entry = readdir(top)) != NULL;) {
        if (is_dots(entry->d_name)) {
            continue;
        }
        (*count)++;
        if (remove_entry(removal, entry->d_name) < 0) {
            return -1;
        }
    }
    return 0;
}

static int empty_top(const char *path)
{
    (void)chmod(path, S_IRWXU);
    DIR *top = stream_of(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!top) {
        return -1;
    }
    struct removal removal = {.top_fd = dirfd(top)};
    size_t count = 1;
    int result = 0;
    while (result == 0 && count > 0) {
        result = remove_round(&removal, top, &count);
    }
    int reason = errno;
    (void)closedir(top);
    errno = reason;
    return result;
}

enum status file_remove_tree(const char *path, struct error *error)
{
    if (unlink(path) == 0 || errno == ENOENT) {
        return OK;
    }
    bool is_folder = errno == EISDIR || errno == EPERM;
    if (!is_folder || ((rmdir(path) < 0) && (empty_top(path) < 0 || rmdir(path) < 0))) {
        return error_set_errno(error, errno, "cannot remove %s", path);
    }
    return OK;
}
