#include "os/alarm.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

struct alarm {
    void (*ring)(void *context);
    void *context;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    int64_t at_us; // INT64_MAX: none.
    bool is_ending;
};

static void wait_until(struct alarm *alarm, int64_t at_us)
{
    if (at_us == INT64_MAX) {
        (void)pthread_cond_wait(&alarm->changed, &alarm->mutex);
        return;
    }
    struct timespec until = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
    (void)pthread_cond_timedwait(&alarm->changed, &alarm->mutex, &until);
}

static void *run(void *context)
{
    struct alarm *alarm = context;
    (void)pthread_mutex_lock(&alarm->mutex);
    while (!alarm->is_ending) {
        if (alarm->at_us > clock_steady_us()) {
            wait_until(alarm, alarm->at_us);
            continue;
        }
        alarm->at_us = INT64_MAX;
        (void)pthread_mutex_unlock(&alarm->mutex);
        alarm->ring(alarm->context);
        (void)pthread_mutex_lock(&alarm->mutex);
    }
    (void)pthread_mutex_unlock(&alarm->mutex);
    return NULL;
}

static void destroy(struct alarm *alarm)
{
    (void)pthread_cond_destroy(&alarm->changed);
    (void)pthread_mutex_destroy(&alarm->mutex);
    free(alarm);
}

enum status alarm_new(void (*ring)(void *context), void *context, struct alarm **out,
                      struct error *error)
{
    struct alarm *alarm = NEW(struct alarm);
    pthread_condattr_t steady;
    alarm->ring = ring;
    alarm->context = context;
    alarm->at_us = INT64_MAX;
    (void)pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&alarm->changed, &steady);
    (void)pthread_condattr_destroy(&steady);
    (void)pthread_mutex_init(&alarm->mutex, NULL);
    enum status status = thread_start(&alarm->thread, "alarm", run, alarm, error);
    if (status != OK) {
        destroy(alarm);
        return status;
    }
    *out = alarm;
    return OK;
}

void alarm_free(struct alarm *alarm)
{
    if (!alarm) {
        return;
    }
    (void)pthread_mutex_lock(&alarm->mutex);
    alarm->is_ending = true;
    (void)pthread_cond_signal(&alarm->changed);
    (void)pthread_mutex_unlock(&alarm->mutex);
    (void)pthread_join(alarm->thread, NULL);
    destroy(alarm);
}

void alarm_set(struct alarm *alarm, int64_t at_us)
{
    (void)pthread_mutex_lock(&alarm->mutex);
    if (at_us < alarm->at_us) {
        alarm->at_us = at_us;
        (void)pthread_cond_signal(&alarm->changed);
    }
    (void)pthread_mutex_unlock(&alarm->mutex);
}
