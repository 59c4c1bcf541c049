#include "http/offload.h"

#include "base/memory.h"
#include "os/thread.h"

#include <pthread.h>
#include <stdbool.h>

struct work {
    struct work *next;
    void (*run)(void *context);
    void *context;
};

struct offload {
    pthread_mutex_t mutex; // Guards first, last and is_ending.
    pthread_cond_t has_news;
    struct work *first;
    struct work *last;
    bool is_ending;
    int steps_back;
    unsigned thread_count;
    pthread_t threads[];
};

// The next piece of work; NULL when there will be none.
static struct work *take(struct offload *offload)
{
    pthread_mutex_lock(&offload->mutex);
    while (!offload->first && !offload->is_ending) {
        pthread_cond_wait(&offload->has_news, &offload->mutex);
    }
    struct work *work = offload->first;
    if (work) {
        offload->first = work->next;
    }
    pthread_mutex_unlock(&offload->mutex);
    return work;
}

static void *work_on(void *context)
{
    struct offload *offload = context;
    struct work *work;
    if (offload->steps_back > 0) {
        thread_stand_back(offload->steps_back);
    }
    while ((work = take(offload))) {
        work->run(work->context);
        free(work);
    }
    return NULL;
}

enum status offload_new(const struct offload_options *options, struct offload **out,
                        struct error *error)
{
    size_t threads_size = options->threads * sizeof(pthread_t);
    struct offload *offload = memory_new(1, sizeof *offload + threads_size);
    offload->steps_back = options->steps_back;
    pthread_mutex_init(&offload->mutex, NULL);
    pthread_cond_init(&offload->has_news, NULL);
    while (offload->thread_count < options->threads) {
        enum status status = thread_start(&offload->threads[offload->thread_count], options->name,
                                          work_on, offload, error);
        if (status != OK) {
            offload_free(offload);
            return status;
        }
        offload->thread_count++;
    }
    *out = offload;
    return OK;
}

void offload_run(struct offload *offload, void (*run)(void *context), void *context)
{
    struct work *work = NEW(struct work);
    work->run = run;
    work->context = context;
    pthread_mutex_lock(&offload->mutex);
    if (offload->is_ending) {
        pthread_mutex_unlock(&offload->mutex);
        free(work);
        return;
    }
    if (offload->first) {
        offload->last->next = work;
    } else {
        offload->first = work;
    }
    offload->last = work;
    pthread_cond_signal(&offload->has_news);
    pthread_mutex_unlock(&offload->mutex);
}

void offload_stop(struct offload *offload)
{
    pthread_mutex_lock(&offload->mutex);
    offload->is_ending = true;
    pthread_cond_broadcast(&offload->has_news);
    pthread_mutex_unlock(&offload->mutex);
    for (unsigned i = 0; i < offload->thread_count; i++) {
        pthread_join(offload->threads[i], NULL);
    }
    offload->thread_count = 0;
}

void offload_free(struct offload *offload)
{
    if (!offload) {
        return;
    }
    offload_stop(offload);
    pthread_cond_destroy(&offload->has_news);
    pthread_mutex_destroy(&offload->mutex);
    free(offload);
}
