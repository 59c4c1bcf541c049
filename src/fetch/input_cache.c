#include "fetch/input_cache.h"

#include "base/hex.h"
#include "base/map.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum { NAME_SIZE = 2 * DIGEST_SIZE + 1, FILE_MODE = 0444, LINKS_UNUSED = 1 };

struct cached_file {
    struct digest digest;
    int64_t size;
    int64_t used_us; // Wall clock, kept as its time of access.
    bool is_verified;
    int64_t inode; // As it was when it was verified,
    int64_t modified_ns;
};

struct input_cache {
    char *folder;
    int64_t size_max;
    int64_t used;
    int64_t reserved;
    int64_t left;      // Bytes of parts that nobody writes to.
    struct map *files; // By the digest's digits.
    struct map *parts; // Those that are written to, likewise.
};

static void write_name(const struct digest *digest, char name[NAME_SIZE])
{
    hex_encode(digest->bytes, DIGEST_SIZE, name);
}

static char *path_of(const struct input_cache *cache, const struct digest *digest, bool is_part)
{
    char name[NAME_SIZE];
    write_name(digest, name);
    return memory_format("%s/%s%s", cache->folder, is_part ? "parts/" : "", name);
}

static int64_t modified_ns(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

static struct cached_file *find(const struct input_cache *cache, const struct digest *digest)
{
    char name[NAME_SIZE];
    write_name(digest, name);
    return map_find_text(cache->files, text_of(name));
}

static struct cached_file *add(struct input_cache *cache, const struct digest *digest, int64_t size)
{
    char name[NAME_SIZE];
    struct cached_file *file = NEW(struct cached_file);
    file->digest = *digest;
    file->size = size;
    write_name(digest, name);
    struct cached_file *former = map_set_text(cache->files, text_of(name), file);
    cache->used += size - (former ? former->size : 0);
    free(former);
    return file;
}

static void forget(struct input_cache *cache, struct cached_file *file)
{
    char name[NAME_SIZE];
    write_name(&file->digest, name);
    (void)map_set_text(cache->files, text_of(name), NULL);
    cache->used -= file->size;
    free(file);
}

static void remove_file(struct input_cache *cache, struct cached_file *file)
{
    AUTO_FREE char *path = path_of(cache, &file->digest, false);
    (void)unlink(path);
    forget(cache, file);
}

// What an earlier life has left. Anything else in the folder is not ours, and stays.
static enum status scan(struct input_cache *cache, struct error *error)
{
    DIR *folder = opendir(cache->folder);
    if (!folder) {
        return error_set_errno(error, errno, "cannot read %s", cache->folder);
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct digest digest;
        struct stat info;
        if (!hex_decode(text_of(entry->d_name), digest.bytes, DIGEST_SIZE) ||
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode)) {
            continue;
        }
        struct cached_file *file = add(cache, &digest, info.st_size);
        file->used_us = (int64_t)info.st_atim.tv_sec * 1000000 + info.st_atim.tv_nsec / 1000;
    }
    (void)closedir(folder);
    return OK;
}

typedef void visit_part_fn(struct input_cache *cache, int folder_fd, const char *name,
                           const struct stat *info);

static void each_left_part(struct input_cache *cache, visit_part_fn *visit)
{
    AUTO_FREE char *path = memory_format("%s/parts", cache->folder);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        struct stat info;
        if (!map_find_text(cache->parts, text_of(entry->d_name)) &&
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode)) {
            visit(cache, dirfd(folder), entry->d_name, &info);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
}

static void count_part(struct input_cache *cache, int folder_fd, const char *name,
                       const struct stat *info)
{
    (void)folder_fd;
    (void)name;
    cache->left += info->st_size;
}

static void remove_part(struct input_cache *cache, int folder_fd, const char *name,
                        const struct stat *info)
{
    if (unlinkat(folder_fd, name, 0) == 0) {
        cache->left -= info->st_size;
    }
}

enum status input_cache_open(const char *folder, int64_t size_max, struct input_cache **out,
                             struct error *error)
{
    AUTO_FREE char *parts = memory_format("%s/parts", folder);
    TRY(file_make_folder(parts, error));
    struct input_cache *cache = NEW(struct input_cache);
    cache->folder = memory_copy_string(folder);
    cache->size_max = size_max;
    cache->files = map_new();
    cache->parts = map_new();
    each_left_part(cache, count_part);
    enum status status = scan(cache, error);
    if (status != OK) {
        input_cache_free(cache);
        return status;
    }
    *out = cache;
    return OK;
}

void input_cache_free(struct input_cache *cache)
{
    if (!cache) {
        return;
    }
    size_t at = 0;
    for (void *file; (file = map_next(cache->files, &at)) != NULL;) {
        free(file);
    }
    map_free(cache->files);
    map_free(cache->parts);
    free(cache->folder);
    free(cache);
}

int64_t input_cache_size_max(const struct input_cache *cache)
{
    return cache->size_max;
}

int64_t input_cache_used(const struct input_cache *cache)
{
    return cache->used + cache->reserved + cache->left;
}

enum cached input_cache_find(struct input_cache *cache, const struct digest *digest)
{
    struct stat info;
    struct cached_file *file = find(cache, digest);
    if (!file) {
        return CACHED_NOT;
    }
    AUTO_FREE char *path = path_of(cache, digest, false);
    if (lstat(path, &info) < 0 || !S_ISREG(info.st_mode)) {
        forget(cache, file);
        return CACHED_NOT;
    }
    bool is_same = info.st_size == file->size && (int64_t)info.st_ino == file->inode &&
                   modified_ns(&info) == file->modified_ns;
    return file->is_verified && is_same ? CACHED : CACHED_DOUBTFUL;
}

enum status input_cache_open_file(const struct input_cache *cache, const struct digest *digest,
                                  int *fd, struct error *error)
{
    AUTO_FREE char *path = path_of(cache, digest, false);
    *fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return *fd < 0 ? error_set_errno(error, errno, "cannot open %s", path) : OK;
}

// Its content is what its name says, as it lies there now.
static void mark_verified(struct input_cache *cache, struct cached_file *file)
{
    struct stat info;
    AUTO_FREE char *path = path_of(cache, &file->digest, false);
    if (lstat(path, &info) < 0) {
        return;
    }
    cache->used += info.st_size - file->size;
    file->size = info.st_size;
    file->inode = (int64_t)info.st_ino;
    file->modified_ns = modified_ns(&info);
    file->is_verified = true;
}

void input_cache_judge(struct input_cache *cache, const struct digest *digest, bool is_good)
{
    struct cached_file *file = find(cache, digest);
    if (file && is_good) {
        mark_verified(cache, file);
    } else if (file) {
        remove_file(cache, file);
    }
}

// Links share the time of access: what is used now is removed last.
static void touch(struct cached_file *file, const char *path)
{
    file->used_us = clock_real_us();
    const struct timespec times[2] = {
        {.tv_sec = file->used_us / 1000000, .tv_nsec = file->used_us % 1000000 * 1000},
        {.tv_nsec = UTIME_OMIT}};
    (void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

enum status input_cache_link(struct input_cache *cache, const struct digest *digest,
                             const char *path, int64_t *modified_us, struct error *error)
{
    char text[DIGEST_TEXT_SIZE];
    if (input_cache_find(cache, digest) != CACHED) {
        return error_set(error, CORRUPT,
                         "the file %s of this worker's cache is gone, or was touched",
                         digest_to_text(digest, text));
    }
    struct cached_file *file = find(cache, digest);
    AUTO_FREE char *source = path_of(cache, digest, false);
    if (link(source, path) < 0 && errno != EEXIST) {
        return error_set_errno(error, errno, "cannot link %s", path);
    }
    touch(file, path);
    *modified_us = file->modified_ns / 1000;
    return OK;
}

static int compare_use(const void *a, const void *b)
{
    const struct cached_file *first = *(struct cached_file *const *)a;
    const struct cached_file *second = *(struct cached_file *const *)b;
    return first->used_us < second->used_us ? -1 : first->used_us > second->used_us;
}

static bool is_in_use(const struct input_cache *cache, const struct cached_file *file)
{
    struct stat info;
    AUTO_FREE char *path = path_of(cache, &file->digest, false);
    return lstat(path, &info) == 0 && info.st_nlink > LINKS_UNUSED;
}

// Removes files until at most `goal` bytes are used, those used longest ago first.
static void evict(struct input_cache *cache, int64_t goal)
{
    size_t count = 0;
    size_t at = 0;
    int64_t removed = 0;
    int64_t before = cache->used;
    each_left_part(cache, remove_part);
    AUTO_FREE struct cached_file **files =
        memory_new(map_count(cache->files) + 1, sizeof(struct cached_file *));
    for (struct cached_file *file; (file = map_next(cache->files, &at)) != NULL;) {
        files[count++] = file;
    }
    qsort(files, count, sizeof(struct cached_file *), compare_use);
    for (size_t i = 0; i < count && input_cache_used(cache) > goal; i++) {
        if (!is_in_use(cache, files[i])) {
            remove_file(cache, files[i]);
            removed++;
        }
    }
    if (removed > 0) {
        log_line(LOG_LEVEL_INFO, "event=inputs-removed files=%" PRId64 " bytes=%" PRId64, removed,
                 before - cache->used);
    }
}

enum status input_cache_reserve(struct input_cache *cache, int64_t bytes, struct error *error)
{
    if (bytes > cache->size_max - input_cache_used(cache)) {
        int64_t low = cache->size_max / 100 * INPUT_CACHE_LOW_PERCENT;
        evict(cache, low > bytes ? low - bytes : 0);
    }
    if (bytes > cache->size_max - input_cache_used(cache)) {
        (void)error_set(
            error, QUOTA,
            "%lld bytes of inputs do not fit into this worker's cache: %lld of %lld are "
            "in use",
            (long long)bytes, (long long)input_cache_used(cache), (long long)cache->size_max);
        error_fix(error, "give it more room: lode worker --cache-size SIZE");
        return QUOTA;
    }
    cache->reserved += bytes;
    return OK;
}

void input_cache_release(struct input_cache *cache, int64_t bytes)
{
    cache->reserved -= bytes;
}

enum status input_cache_open_part(struct input_cache *cache, const struct digest *digest, int *fd,
                                  int64_t *have, struct error *error)
{
    struct stat info;
    char name[NAME_SIZE];
    AUTO_FREE char *path = path_of(cache, digest, true);
    AUTO_CLOSE int opened = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (opened < 0 || fstat(opened, &info) < 0) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    write_name(digest, name);
    (void)map_set_text(cache->parts, text_of(name), cache);
    cache->left -= info.st_size;
    *have = info.st_size;
    *fd = file_take_fd(&opened);
    return OK;
}

void input_cache_leave_part(struct input_cache *cache, const struct digest *digest)
{
    struct stat info;
    char name[NAME_SIZE];
    write_name(digest, name);
    AUTO_FREE char *path = path_of(cache, digest, true);
    if (map_set_text(cache->parts, text_of(name), NULL) && lstat(path, &info) == 0) {
        cache->left += info.st_size;
    }
}

// A crash may leave a file that was not written to its end: what an earlier life has left is doubtful, so nothing is synced.
enum status input_cache_keep(struct input_cache *cache, const struct digest *digest, int64_t size,
                             int64_t modified_us, struct error *error)
{
    AUTO_FREE char *part = path_of(cache, digest, true);
    AUTO_FREE char *path = path_of(cache, digest, false);
    int64_t seconds = modified_us / 1000000 - (modified_us % 1000000 < 0);
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_NOW},
        {.tv_sec = seconds, .tv_nsec = (modified_us - seconds * 1000000) * 1000}};
    if (utimensat(AT_FDCWD, part, times, AT_SYMLINK_NOFOLLOW) < 0 || chmod(part, FILE_MODE) < 0 ||
        rename(part, path) < 0) {
        return error_set_errno(error, errno, "cannot keep %s", path);
    }
    char name[NAME_SIZE];
    write_name(digest, name);
    (void)map_set_text(cache->parts, text_of(name), NULL);
    cache->reserved -= size;
    struct cached_file *file = add(cache, digest, size);
    file->used_us = clock_real_us();
    mark_verified(cache, file);
    return OK;
}
