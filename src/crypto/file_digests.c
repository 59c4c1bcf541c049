#include "crypto/file_digests.h"

#include "base/map.h"
#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

enum { FILES_MAX = 10000 };

struct known {
    struct stat info;
    struct digest digest;
};

struct file_digests {
    pthread_mutex_t mutex; // Guards the map and its values.
    struct map *known;     // By path.
};

struct file_digests *file_digests_new(void)
{
    struct file_digests *digests = NEW(struct file_digests);
    (void)pthread_mutex_init(&digests->mutex, NULL);
    digests->known = map_new();
    return digests;
}

static void forget_all(struct file_digests *digests)
{
    size_t at = 0;
    for (struct known *each; (each = map_next(digests->known, &at)) != NULL;) {
        free(each);
    }
    map_free(digests->known);
}

void file_digests_free(struct file_digests *digests)
{
    if (digests) {
        forget_all(digests);
        (void)pthread_mutex_destroy(&digests->mutex);
        free(digests);
    }
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool find(struct file_digests *digests, struct text path, const struct stat *info,
                 struct digest *out)
{
    (void)pthread_mutex_lock(&digests->mutex);
    const struct known *known = map_find_text(digests->known, path);
    bool is_known = known && is_same(&known->info, info);
    if (is_known) {
        *out = known->digest;
    }
    (void)pthread_mutex_unlock(&digests->mutex);
    return is_known;
}

static void remember(struct file_digests *digests, struct text path, const struct stat *info,
                     const struct digest *digest)
{
    struct known *known = NEW(struct known);
    known->info = *info;
    known->digest = *digest;
    (void)pthread_mutex_lock(&digests->mutex);
    if (map_count(digests->known) >= FILES_MAX) {
        forget_all(digests);
        digests->known = map_new();
    }
    free(map_set_text(digests->known, path, known));
    (void)pthread_mutex_unlock(&digests->mutex);
}

enum status file_digests_get(struct file_digests *digests, struct text path, struct digest *out,
                             struct error *error)
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
    if (find(digests, path, &info, out)) {
        return OK;
    }
    int64_t size = 0;
    TRY(digest_file(fd, out, &size, error));
    remember(digests, path, &info, out);
    return OK;
}
