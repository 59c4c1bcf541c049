#include "shelf/remover.h"

#include "base/memory.h"
#include "os/crew.h"
#include "os/log.h"
#include "os/random.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct remover {
    enum status (*remove)(const char *path, struct error *error);
    struct crew *crew; // Of one: removing is work of the disk, which others use as well.
    _Atomic size_t left;
    _Atomic bool is_stopping;
};

struct removal {
    struct remover *remover;
    char *path;
};

enum status remover_new(enum status (*remove)(const char *path, struct error *error),
                        struct remover **out, struct error *error)
{
    struct remover *remover = NEW(struct remover);
    remover->remove = remove;
    enum status status = crew_start("remover", 1, &remover->crew, error);
    if (status != OK) {
        free(remover);
        return status;
    }
    *out = remover;
    return OK;
}

void remover_stop(struct remover *remover)
{
    remover->is_stopping = true;
}

void remover_free(struct remover *remover)
{
    if (remover) {
        remover_stop(remover);
        crew_stop(remover->crew);
        free(remover);
    }
}

static void run(void *context)
{
    struct removal *removal = context;
    struct remover *remover = removal->remover;
    struct error error = {0};
    if (!remover->is_stopping && remover->remove(removal->path, &error) != OK) {
        log_line(LOG_LEVEL_WARNING, "event=software-left detail=\"%s\"", error.detail);
    }
    free(removal->path);
    free(removal);
    remover->left--;
}

enum status remover_take(struct remover *remover, const char *path, struct error *error)
{
    uint64_t number = 0;
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash + 1 - path) : 0;
    random_fill(&number, sizeof number);
    AUTO_FREE char *gone = memory_format("%.*s" REMOVER_PREFIX "%016" PRIx64, folder, path, number);
    if (rename(path, gone) < 0) {
        return errno == ENOENT ? OK : error_set_errno(error, errno, "cannot rename %s", path);
    }
    struct removal *removal = NEW(struct removal);
    *removal = (struct removal){remover, TAKE(gone)};
    remover->left++;
    crew_add(remover->crew, run, removal);
    return OK;
}

size_t remover_left(const struct remover *remover)
{
    return remover->left;
}
