#include "catalog/watch.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"

// How often progress is looked at, which changes too often to be told of each time.
#define LOOK_INTERVAL_US INT64_C(200000)

struct waiter {
    int64_t ticket;
    int64_t deadline_us;
    void (*wake)(void *context);
    void *context;
    struct waiter *next;
};

struct watches {
    struct meter *meter;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards all below.
    pthread_cond_t changed;
    struct waiter *waiters;
    int64_t changes; // Tickets are numbers of changes.
    int64_t seen_files;
    int64_t seen_bytes;
    bool is_waking_all;
    bool is_stopping;
};

static void look_at_progress(struct watches *watches)
{
    int64_t files = atomic_load(&watches->meter->files_done);
    int64_t bytes = atomic_load(&watches->meter->bytes_done);
    if (files != watches->seen_files || bytes != watches->seen_bytes) {
        watches->seen_files = files;
        watches->seen_bytes = bytes;
        watches->changes++;
    }
}

// Takes those whose time has come off the list.
static struct waiter *take_due(struct watches *watches, int64_t now_us)
{
    struct waiter *due = NULL;
    for (struct waiter **at = &watches->waiters; *at;) {
        struct waiter *waiter = *at;
        bool is_due = watches->is_waking_all || waiter->ticket != watches->changes ||
                      waiter->deadline_us <= now_us;
        if (!is_due) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->next = due;
        due = waiter;
    }
    return due;
}

static void free_all(struct waiter *waiters, bool is_woken)
{
    while (waiters) {
        struct waiter *waiter = waiters;
        waiters = waiter->next;
        if (is_woken) {
            waiter->wake(waiter->context);
        }
        free(waiter);
    }
}

static void *run(void *context)
{
    struct watches *watches = context;
    (void)pthread_mutex_lock(&watches->mutex);
    while (!watches->is_stopping) {
        int64_t now_us = clock_steady_us();
        if (watches->waiters) {
            look_at_progress(watches);
        }
        struct waiter *due = take_due(watches, now_us);
        if (!due) {
            int64_t look_us = watches->waiters ? now_us + LOOK_INTERVAL_US : INT64_MAX;
            (void)condition_wait_until(&watches->changed, &watches->mutex, look_us);
            continue;
        }
        (void)pthread_mutex_unlock(&watches->mutex);
        free_all(due, true);
        (void)pthread_mutex_lock(&watches->mutex);
    }
    (void)pthread_mutex_unlock(&watches->mutex);
    return NULL;
}

enum status watches_new(struct meter *meter, struct watches **out, struct error *error)
{
    struct watches *watches = NEW(struct watches);
    watches->meter = meter;
    (void)pthread_mutex_init(&watches->mutex, NULL);
    condition_init(&watches->changed);
    enum status status = thread_start(&watches->thread, "watch", run, watches, error);
    if (status != OK) {
        (void)pthread_cond_destroy(&watches->changed);
        (void)pthread_mutex_destroy(&watches->mutex);
        free(watches);
        return status;
    }
    *out = watches;
    return OK;
}

void watches_free(struct watches *watches)
{
    if (!watches) {
        return;
    }
    (void)pthread_mutex_lock(&watches->mutex);
    watches->is_stopping = true;
    (void)pthread_cond_signal(&watches->changed);
    (void)pthread_mutex_unlock(&watches->mutex);
    (void)pthread_join(watches->thread, NULL);
    free_all(watches->waiters, false);
    (void)pthread_cond_destroy(&watches->changed);
    (void)pthread_mutex_destroy(&watches->mutex);
    free(watches);
}

int64_t watches_ticket(struct watches *watches)
{
    (void)pthread_mutex_lock(&watches->mutex);
    look_at_progress(watches);
    int64_t ticket = watches->changes;
    (void)pthread_mutex_unlock(&watches->mutex);
    return ticket;
}

void watches_add(struct watches *watches, int64_t ticket, int64_t deadline_us,
                 void (*wake)(void *context), void *context)
{
    struct waiter *waiter = NEW(struct waiter);
    *waiter = (struct waiter){
        .ticket = ticket, .deadline_us = deadline_us, .wake = wake, .context = context};
    (void)pthread_mutex_lock(&watches->mutex);
    waiter->next = watches->waiters;
    watches->waiters = waiter;
    (void)pthread_cond_signal(&watches->changed);
    (void)pthread_mutex_unlock(&watches->mutex);
}

void watches_change(struct watches *watches)
{
    (void)pthread_mutex_lock(&watches->mutex);
    watches->changes++;
    (void)pthread_cond_signal(&watches->changed);
    (void)pthread_mutex_unlock(&watches->mutex);
}

void watches_end(struct watches *watches)
{
    (void)pthread_mutex_lock(&watches->mutex);
    watches->is_waking_all = true;
    (void)pthread_cond_signal(&watches->changed);
    (void)pthread_mutex_unlock(&watches->mutex);
}
