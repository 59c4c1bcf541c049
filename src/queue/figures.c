// How busy the site is, counted on the writer's thread for whoever asks on another one.
#include "queue/state.h"

#include <stdatomic.h>

enum { CPU_MILLIS = 1000 };

// Cores for which the worker has leases; one that waits behind another in the same slot counts too, so its capacity is the most.
static int64_t busy_millis(const struct queue *queue, const struct worker *worker)
{
    int64_t millis = 0;
    for (size_t i = 0; i < worker->lease_count && millis < worker->capacity.cpu_millis; i++) {
        const struct active_job *job = map_find_int64(queue->jobs, worker->leases[i].job);
        millis += job ? job->row.need.cpu_millis : 0;
    }
    return millis < worker->capacity.cpu_millis ? millis : worker->capacity.cpu_millis;
}

void figures_count(struct queue *queue)
{
    int64_t load[QUEUE_LOAD_COUNT] = {0};
    int64_t capacity = 0;
    int64_t busy = 0;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        // What others bring for certain jobs is none of what the site has to give, nor is what other sites have.
        if (!worker->is_over && !worker->place && worker->runner.kind == RUNNER_SITE) {
            capacity += worker->capacity.cpu_millis;
            busy += busy_millis(queue, worker);
            load[QUEUE_LOAD_WORKERS]++;
        }
    }
    at = 0;
    for (const struct active_job *job; (job = map_next(queue->jobs, &at)) != NULL;) {
        struct job_figures figures = {0};
        if (job->place) {
            continue;
        }
        (void)scheduler_figures(queue->scheduler, job->row.id, &figures);
        load[QUEUE_LOAD_WAITING] += figures.waiting;
    }
    load[QUEUE_LOAD_CPUS] = capacity / CPU_MILLIS;
    load[QUEUE_LOAD_BUSY] = (busy + CPU_MILLIS - 1) / CPU_MILLIS;
    for (int i = 0; i < QUEUE_LOAD_COUNT; i++) {
        atomic_store_explicit(&queue->load[i], load[i], memory_order_relaxed);
    }
}

struct queue_load_figures queue_load_figures(struct queue *queue)
{
    return (struct queue_load_figures){
        .cpus = atomic_load_explicit(&queue->load[QUEUE_LOAD_CPUS], memory_order_relaxed),
        .cpus_busy = atomic_load_explicit(&queue->load[QUEUE_LOAD_BUSY], memory_order_relaxed),
        .tasks_waiting =
            atomic_load_explicit(&queue->load[QUEUE_LOAD_WAITING], memory_order_relaxed),
        .workers = atomic_load_explicit(&queue->load[QUEUE_LOAD_WORKERS], memory_order_relaxed),
    };
}
