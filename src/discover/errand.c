#include "discover/errand.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"

struct errand {
    const struct errand_work *work;
    void *context;
    pthread_t thread;
    pthread_cond_t changed;
    pthread_mutex_t mutex; // Guards what follows, and what both sides use of the context.
    bool is_left;
    bool is_over;
    bool is_abandoned; // Nobody waits for it any more: its thread frees it.
};

static void discard(struct errand *errand)
{
    errand->work->discard(errand->context);
    (void)pthread_cond_destroy(&errand->changed);
    (void)pthread_mutex_destroy(&errand->mutex);
    free(errand);
}

static void *run(void *context)
{
    struct errand *errand = context;
    errand->work->run(errand->context);
    errand_lock(errand);
    errand->is_over = true;
    errand_notify(errand);
    bool is_abandoned = errand->is_abandoned;
    errand_unlock(errand);
    if (is_abandoned) {
        discard(errand);
    }
    return NULL;
}

enum status errand_start(const struct errand_work *work, void *context, struct errand **out,
                         struct error *error)
{
    struct errand *errand = NEW(struct errand);
    errand->work = work;
    errand->context = context;
    (void)pthread_mutex_init(&errand->mutex, NULL);
    condition_init(&errand->changed);
    *out = errand;
    enum status status = thread_start(&errand->thread, work->name, run, errand, error);
    if (status != OK) {
        (void)pthread_cond_destroy(&errand->changed);
        (void)pthread_mutex_destroy(&errand->mutex);
        free(errand);
        *out = NULL;
    }
    return status;
}

void errand_lock(struct errand *errand)
{
    (void)pthread_mutex_lock(&errand->mutex);
}

void errand_unlock(struct errand *errand)
{
    (void)pthread_mutex_unlock(&errand->mutex);
}

void errand_notify(struct errand *errand)
{
    (void)pthread_cond_broadcast(&errand->changed);
}

bool errand_wait(struct errand *errand, int64_t until_us)
{
    return condition_wait_until(&errand->changed, &errand->mutex, until_us);
}

bool errand_is_left(const struct errand *errand)
{
    return errand->is_left;
}

void errand_leave(struct errand *errand, int64_t grace_us)
{
    int64_t until_us = clock_steady_us() + grace_us;
    errand_lock(errand);
    errand->is_left = true;
    errand->work->wake(errand->context);
    errand_notify(errand);
    while (!errand->is_over && errand_wait(errand, until_us)) {
    }
    if (!errand->is_over) {
        errand->is_abandoned = true;
        (void)pthread_detach(errand->thread);
        errand_unlock(errand);
        return;
    }
    errand_unlock(errand);
    (void)pthread_join(errand->thread, NULL);
    discard(errand);
}
