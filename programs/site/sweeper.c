#include "site/sweeper.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/thread.h"
#include "records/blob_names.h"

#include <inttypes.h>

#define PERIOD_US INT64_C(86400000000)
#define PAUSE_US INT64_C(20000) // Between two turns: the disk is for others.

struct sweeper {
    struct store *store;
    struct sweep *sweep;
    struct blob_names names;
    struct sweep_figures told;
    bool has_told_error; // Of this sweep.
    int64_t first_us;
    pthread_t thread;
    pthread_mutex_t lock; // Guards what follows.
    pthread_cond_t changed;
    bool is_ending;
};

static enum status read_names(void *context, struct sweep *sweep, bool is_first, bool *is_over,
                              struct error *error)
{
    struct sweeper *sweeper = context;
    if (is_first) {
        sweeper->names = (struct blob_names){0};
    }
    return blob_names_read(sweeper->store, &sweeper->names, sweep, is_over, error);
}

// False: it is to end.
static bool rest(struct sweeper *sweeper, int64_t until_us)
{
    (void)pthread_mutex_lock(&sweeper->lock);
    while (!sweeper->is_ending &&
           condition_wait_until(&sweeper->changed, &sweeper->lock, until_us)) {
    }
    bool goes_on = !sweeper->is_ending;
    (void)pthread_mutex_unlock(&sweeper->lock);
    return goes_on;
}

static void tell_removed(struct sweeper *sweeper)
{
    struct sweep_figures now = sweep_figures(sweeper->sweep);
    if (now.removed > sweeper->told.removed) {
        log_line(LOG_LEVEL_INFO, "event=blobs_removed count=%" PRId64 " bytes=%" PRId64,
                 now.removed - sweeper->told.removed,
                 now.removed_bytes - sweeper->told.removed_bytes);
    }
    sweeper->told = now;
    sweeper->has_told_error = false;
}

static void *run(void *context)
{
    struct sweeper *sweeper = context;
    int64_t next_us = sweeper->first_us;
    while (rest(sweeper, next_us)) {
        struct error error = {0};
        bool is_over = false;
        if (sweep_turn(sweeper->sweep, &is_over, &error) != OK && !sweeper->has_told_error) {
            log_line(LOG_LEVEL_WARNING, "event=sweep_delayed problem=\"%s\"", error.detail);
            sweeper->has_told_error = true;
        }
        if (is_over) {
            tell_removed(sweeper);
        }
        next_us = clock_steady_us() + (is_over ? PERIOD_US : PAUSE_US);
    }
    return NULL;
}

static void destroy(struct sweeper *sweeper)
{
    (void)pthread_cond_destroy(&sweeper->changed);
    (void)pthread_mutex_destroy(&sweeper->lock);
    sweep_free(sweeper->sweep);
    free(sweeper);
}

enum status sweeper_start(struct store *store, struct blobs *blobs, int64_t after_us,
                          struct sweeper **out, struct error *error)
{
    struct sweeper *sweeper = NEW(struct sweeper);
    const struct sweep_ops ops = {.read_names = read_names, .context = sweeper};
    sweeper->store = store;
    sweeper->first_us = clock_steady_us() + after_us;
    sweeper->sweep = sweep_new(blobs, &ops);
    (void)pthread_mutex_init(&sweeper->lock, NULL);
    condition_init(&sweeper->changed);
    enum status status = thread_start(&sweeper->thread, "sweeper", run, sweeper, error);
    if (status != OK) {
        destroy(sweeper);
        return status;
    }
    *out = sweeper;
    return OK;
}

void sweeper_stop(struct sweeper *sweeper)
{
    if (!sweeper) {
        return;
    }
    (void)pthread_mutex_lock(&sweeper->lock);
    sweeper->is_ending = true;
    (void)pthread_cond_signal(&sweeper->changed);
    (void)pthread_mutex_unlock(&sweeper->lock);
    (void)pthread_join(sweeper->thread, NULL);
    destroy(sweeper);
}
