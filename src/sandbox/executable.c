#include "sandbox/executable.h"

#include "base/map.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "os/file.h"

#include <fcntl.h>

enum { KNOWN_MAX = 1000 };

struct executable_cache {
    struct map *known; // "device:inode:size:seconds.nanoseconds" -> digest text
};

struct executable_cache *executable_cache_new(void)
{
    struct executable_cache *executable_cache = NEW(struct executable_cache);
    executable_cache->known = map_new();
    return executable_cache;
}

static void forget_all(struct executable_cache *executable_cache)
{
    size_t at = 0;
    for (void *digest = map_next(executable_cache->known, &at); digest;
         digest = map_next(executable_cache->known, &at)) {
        free(digest);
    }
    map_free(executable_cache->known);
}

void executable_cache_free(struct executable_cache *executable_cache)
{
    if (executable_cache) {
        forget_all(executable_cache);
        free(executable_cache);
    }
}

// The digest of an open program as it is now; NULL when it cannot be read. Borrowed until the next call.
static const char *digest_of_program(struct executable_cache *executable_cache, int fd)
{
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0) {
        return NULL;
    }
    AUTO_FREE char *key = memory_format("%lld:%lld:%lld:%lld.%ld", (long long)info.st_dev,
                                        (long long)info.st_ino, (long long)info.st_size,
                                        (long long)info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
    char *known = map_find_text(executable_cache->known, text_of(key));
    if (known) {
        return known;
    }
    struct digest digest;
    int64_t size = 0;
    char text[DIGEST_TEXT_SIZE];
    if (digest_file(fd, &digest, &size, NULL) != OK) {
        return NULL;
    }
    if (map_count(executable_cache->known) >= KNOWN_MAX) {
        forget_all(executable_cache);
        executable_cache->known = map_new();
    }
    known = memory_copy_string(digest_to_text(&digest, text));
    free(map_set_text(executable_cache->known, text_of(key), known));
    return known;
}

static struct text search_path(const struct job *job, const struct executable_view *view)
{
    for (size_t i = 0; i < job->environment_count; i++) {
        if (text_starts_with(job->environment[i], TEXT("PATH="))) {
            return text_slice(job->environment[i], 5, job->environment[i].length);
        }
    }
    return text_of(view->search_path);
}

// Is the path one that tasks see as the machine has it?
static bool is_of_machine(const char *path)
{
    static const char *const tops[] = {"/usr/", "/bin/", "/sbin/", "/lib", NULL};
    for (size_t i = 0; tops[i]; i++) {
        if (strncmp(path, tops[i], strlen(tops[i])) == 0) {
            return !strstr(path, "/../");
        }
    }
    return false;
}

// What tasks see under the path, open; -1: nothing, or nothing that is the same for all tasks.
static int open_program(const struct executable_view *view, const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    size_t length = view->prefix ? strlen(view->prefix) : 0;
    bool is_in_prefix =
        length > 0 && strncmp(path, view->prefix, length) == 0 && path[length] == '/';
    int fd = -1;
    if (!view->root || (view->prefix && !is_in_prefix)) {
        return is_of_machine(path) ? open(path, flags) : -1;
    }
    AUTO_CLOSE int root_fd = open(view->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root_fd >= 0 && file_open_in_root(root_fd, path + length, flags, 0, &fd, NULL) == OK
               ? fd
               : -1;
}

static const struct job_file *find_job_file(const struct job *job, const char *word)
{
    const char *name = strncmp(word, "./", 2) == 0       ? word + 2
                       : strncmp(word, "/work/", 6) == 0 ? word + 6
                                                         : NULL;
    for (size_t i = 0; name && i < job->file_count; i++) {
        if (strcmp(name, job->files[i].name) == 0) {
            return &job->files[i];
        }
    }
    return NULL;
}

struct executable executable_find(struct executable_cache *executable_cache, const struct job *job,
                                  const struct executable_view *view, struct arena *arena)
{
    const char *word = job->command[0].bytes;
    const struct job_file *file = find_job_file(job, word);
    struct executable unknown = {.path = "", .digest = ""};
    if (file) {
        return (struct executable){.path = arena_format(arena, "/work/%s", file->name),
                                   .digest = file->digest};
    }
    if (strchr(word, '{')) {
        return unknown; // Another one for each task.
    }
    struct text rest = strchr(word, '/') ? TEXT("/") : search_path(job, view);
    for (struct text part; text_next_part(&rest, ':', &part);) {
        const char *path =
            strchr(word, '/') ? word : arena_format(arena, "%.*s/%s", TEXT_ARGS(part), word);
        AUTO_CLOSE int fd = open_program(view, path);
        const char *digest = digest_of_program(executable_cache, fd);
        if (digest) {
            bool is_own_root = view->root && !view->prefix;
            return (struct executable){
                .path = is_own_root ? arena_format(arena, "%s%s", view->label, path) : path,
                .digest = arena_copy(arena, text_of(digest))};
        }
    }
    return unknown;
}
