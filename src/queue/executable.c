#include "queue/executable.h"

#include "base/map.h"
#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

enum { EXECUTABLES_MAX = 10000 };

struct known {
    struct stat info;
    struct digest digest;
};

struct executables {
    pthread_mutex_t mutex; // Guards the map and its values.
    struct map *known;     // By path.
};

struct executables *executables_new(void)
{
    struct executables *executables = NEW(struct executables);
    (void)pthread_mutex_init(&executables->mutex, NULL);
    executables->known = map_new();
    return executables;
}

static void forget_all(struct executables *executables)
{
    size_t at = 0;
    for (struct known *each; (each = map_next(executables->known, &at)) != NULL;) {
        free(each);
    }
    map_free(executables->known);
}

void executables_free(struct executables *executables)
{
    if (executables) {
        forget_all(executables);
        (void)pthread_mutex_destroy(&executables->mutex);
        free(executables);
    }
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool find(struct executables *executables, struct text path, const struct stat *info,
                 struct digest *out)
{
    (void)pthread_mutex_lock(&executables->mutex);
    const struct known *known = map_find_text(executables->known, path);
    bool is_known = known && is_same(&known->info, info);
    if (is_known) {
        *out = known->digest;
    }
    (void)pthread_mutex_unlock(&executables->mutex);
    return is_known;
}

static void remember(struct executables *executables, struct text path, const struct stat *info,
                     const struct digest *digest)
{
    struct known *known = NEW(struct known);
    known->info = *info;
    known->digest = *digest;
    (void)pthread_mutex_lock(&executables->mutex);
    if (map_count(executables->known) >= EXECUTABLES_MAX) {
        forget_all(executables);
        executables->known = map_new();
    }
    free(map_set_text(executables->known, path, known));
    (void)pthread_mutex_unlock(&executables->mutex);
}

enum status executables_digest(struct executables *executables, struct text path,
                               struct digest *out, struct error *error)
{
    AUTO_FREE char *name = text_copy(path);
    struct stat info;
    AUTO_CLOSE int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) < 0) {
        return error_set_errno(error, errno, "cannot look at %s", name);
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(error, INVALID, "%s is no plain file", name);
    }
    if (find(executables, path, &info, out)) {
        return OK;
    }
    int64_t size = 0;
    TRY(digest_file(fd, out, &size, error));
    remember(executables, path, &info, out);
    return OK;
}
