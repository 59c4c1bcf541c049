#include "os/crew.h"

#include "base/memory.h"
#include "os/thread.h"

#include <assert.h>
#include <stdbool.h>

struct work {
    void (*run)(void *context);
    void *context;
    struct work *next;
};

struct crew {
    pthread_t threads[CREW_SIZE_MAX];
    unsigned thread_count;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t added;
    struct work *first;
    struct work **last; // Where the next one is put.
    bool is_stopping;
};

static struct work *take(struct crew *crew)
{
    struct work *work = crew->first;
    if (work) {
        crew->first = work->next;
        crew->last = crew->first ? crew->last : &crew->first;
    }
    return work;
}

static void *serve(void *context)
{
    struct crew *crew = context;
    (void)pthread_mutex_lock(&crew->mutex);
    for (;;) {
        struct work *work = take(crew);
        if (!work && crew->is_stopping) {
            break;
        }
        if (!work) {
            (void)pthread_cond_wait(&crew->added, &crew->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&crew->mutex);
        work->run(work->context);
        free(work);
        (void)pthread_mutex_lock(&crew->mutex);
    }
    (void)pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

enum status crew_start(const char *name, unsigned size, struct crew **out, struct error *error)
{
    assert(size <= CREW_SIZE_MAX);
    struct crew *crew = NEW(struct crew);
    (void)pthread_mutex_init(&crew->mutex, NULL);
    (void)pthread_cond_init(&crew->added, NULL);
    crew->last = &crew->first;
    for (; crew->thread_count < size; crew->thread_count++) {
        enum status status =
            thread_start(&crew->threads[crew->thread_count], name, serve, crew, error);
        if (status != OK) {
            crew_stop(crew);
            return status;
        }
    }
    *out = crew;
    return OK;
}

void crew_stop(struct crew *crew)
{
    if (!crew) {
        return;
    }
    (void)pthread_mutex_lock(&crew->mutex);
    crew->is_stopping = true;
    (void)pthread_cond_broadcast(&crew->added);
    (void)pthread_mutex_unlock(&crew->mutex);
    for (unsigned i = 0; i < crew->thread_count; i++) {
        (void)pthread_join(crew->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&crew->added);
    (void)pthread_mutex_destroy(&crew->mutex);
    free(crew);
}

void crew_add(struct crew *crew, void (*run)(void *context), void *context)
{
    struct work *work = NEW(struct work);
    *work = (struct work){.run = run, .context = context};
    (void)pthread_mutex_lock(&crew->mutex);
    *crew->last = work;
    crew->last = &work->next;
    (void)pthread_cond_signal(&crew->added);
    (void)pthread_mutex_unlock(&crew->mutex);
}
