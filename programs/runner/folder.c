#include "runner/runner.h"

#include "base/memory.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// Trees of tasks can be deeper than any path or descriptor table allows. So nothing here recurses: removal moves inner
// folders up to the top before it looks into them, and measuring keeps a list of the folders that it still has to visit.
enum { VISITS_MAX = 1 << 20, DEPTH_TEXT_MAX = 4096 };

enum status folder_open(const char *path, struct folder *out, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open folder %s", path);
    }
    *out = (struct folder){.path = path, .fd = fd};
    return OK;
}

static bool is_kept(const char *name, const struct text *kept, int64_t kept_count)
{
    for (int64_t i = 0; i < kept_count; i++) {
        if (text_equal(text_of(name), kept[i])) {
            return true;
        }
    }
    return false;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static DIR *open_list(int folder_fd, const char *name)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(folder_fd, name, 0700, 0) == 0) {
        fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0) {
        (void)close(fd);
    }
    return list;
}

// Removes a file or an empty folder; false when it is a folder with something in it.
static bool remove_simple(int folder_fd, const char *name)
{
    if (unlinkat(folder_fd, name, 0) == 0) {
        return true;
    }
    if (errno != EISDIR && errno != EPERM) {
        return true; // A mount point, or gone.
    }
    return unlinkat(folder_fd, name, AT_REMOVEDIR) == 0 || (errno != ENOTEMPTY && errno != EEXIST);
}

// Empties the inner folder: files go, folders with content move up to the top under new names.
static void flatten(int top_fd, const char *name, int64_t *moved)
{
    (void)fchmodat(top_fd, name, 0700, 0);
    DIR *list = open_list(top_fd, name);
    if (!list) {
        return;
    }
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        if (is_dots(entry->d_name) || remove_simple(dirfd(list), entry->d_name)) {
            continue;
        }
        char fresh[48];
        (void)snprintf(fresh, sizeof fresh, ".lode-removed-%" PRId64, (*moved)++);
        (void)fchmodat(dirfd(list), entry->d_name, 0700, 0);
        (void)renameat(dirfd(list), entry->d_name, top_fd, fresh);
    }
    (void)closedir(list);
    (void)unlinkat(top_fd, name, AT_REMOVEDIR);
}

void folder_empty(const struct folder *folder, const struct text *kept, int64_t kept_count)
{
    int64_t moved = 0;
    int64_t moved_before = -1;
    (void)fchmod(folder->fd, 0700);
    // Each pass removes one level; a pass that found nothing to move is the last.
    while (moved != moved_before) {
        moved_before = moved;
        DIR *list = open_list(folder->fd, ".");
        if (!list) {
            return;
        }
        for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
            if (!is_dots(entry->d_name) && !is_kept(entry->d_name, kept, kept_count) &&
                !remove_simple(folder->fd, entry->d_name)) {
                flatten(folder->fd, entry->d_name, &moved);
            }
        }
        (void)closedir(list);
    }
}

// Folders to visit, as relative paths; too long ones are not followed: what they hold is counted when they are shorter.
struct visits {
    char **paths;
    size_t count;
    size_t capacity;
};

static void visits_add(struct visits *visits, const char *folder, const char *name)
{
    if (visits->count >= VISITS_MAX || strlen(folder) + strlen(name) + 2 > DEPTH_TEXT_MAX) {
        return;
    }
    if (visits->count == visits->capacity) {
        visits->capacity = visits->capacity ? visits->capacity * 2 : 16;
        visits->paths = memory_resize(visits->paths, visits->capacity, sizeof *visits->paths);
    }
    visits->paths[visits->count++] = memory_format("%s/%s", folder, name);
}

static int64_t visit(const struct folder *folder, dev_t device, const char *path,
                     struct visits *visits)
{
    int64_t bytes = 0;
    int fd = openat(folder->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        file_close_local(&fd);
        return 0;
    }
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        struct stat info;
        if (is_dots(entry->d_name) || fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            info.st_dev != device) {
            continue;
        }
        if (S_ISDIR(info.st_mode)) {
            visits_add(visits, path, entry->d_name);
        } else if (S_ISREG(info.st_mode)) {
            bytes += (int64_t)info.st_blocks * 512;
        }
    }
    (void)closedir(list);
    return bytes;
}

int64_t folder_bytes(const struct folder *folder, int64_t enough)
{
    struct stat info;
    if (fstat(folder->fd, &info) < 0) {
        return 0;
    }
    struct visits visits = {0};
    int64_t bytes = visit(folder, info.st_dev, ".", &visits);
    while (visits.count > 0 && bytes <= enough) {
        AUTO_FREE char *path = visits.paths[--visits.count];
        bytes += visit(folder, info.st_dev, path, &visits);
    }
    while (visits.count > 0) {
        free(visits.paths[--visits.count]);
    }
    free(visits.paths);
    return bytes;
}

// One call for an untouched folder: is there anything but "." and ".."?
static bool has_entries(const struct folder *folder, int64_t expected)
{
    union {
        struct dirent64 first;
        char bytes[4096];
    } block;
    if (lseek(folder->fd, 0, SEEK_SET) < 0) {
        return true;
    }
    int64_t count = 0;
    ssize_t got = getdents64(folder->fd, &block, sizeof block);
    for (ssize_t at = 0; at < got && count <= expected + 2;) {
        const struct dirent64 *entry = (const struct dirent64 *)(const void *)(block.bytes + at);
        at += entry->d_reclen;
        count++;
    }
    return got < 0 || count != expected + 2;
}

void folders_empty(const struct runner *runner)
{
    for (size_t i = 0; i < runner->folder_count; i++) {
        int64_t kept = i == 0 ? runner->job.kept_count : 0;
        if (has_entries(&runner->folders[i], kept)) {
            folder_empty(&runner->folders[i], runner->job.kept, kept);
        }
    }
}

int64_t folders_bytes(const struct runner *runner, int64_t enough)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < runner->folder_count && bytes <= enough; i++) {
        int64_t kept = i == 0 ? runner->job.kept_count : 0;
        if (has_entries(&runner->folders[i], kept)) {
            bytes += folder_bytes(&runner->folders[i], enough - bytes);
        }
    }
    return bytes;
}
