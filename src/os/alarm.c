#include "os/alarm.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"

#include <stdbool.h>

struct alarm {
    void (*ring)(void *context);
    void *context;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    int64_t at_us; // INT64_MAX: none.
    bool is_ending;
};

static void *run(void *context)
{
    struct alarm *alarm = context;
    (void)pthread_mutex_lock(&alarm->mutex);
    while (!alarm->is_ending) {
        if (alarm->at_us > clock_steady_us()) {
            (void)condition_wait_until(&alarm->changed, &alarm->mutex, alarm->at_us);
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
    alarm->ring = ring;
    alarm->context = context;
    alarm->at_us = INT64_MAX;
    condition_init(&alarm->changed);
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
