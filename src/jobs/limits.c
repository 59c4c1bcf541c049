// What workers are limited to beside their groups: one owner's jobs, one job, or those that are spare.
//
// A worker of one owner chooses in a pool: the tree of the jobs that it may have, which follows each job as its group's tree does. Pools are made
// with their first worker and go with their last, so they cost nothing where there is none. Spare jobs are told apart by a bit of what they need.
#include "jobs/state.h"

#include "base/memory.h"

static bool is_for(const struct pool *pool, const struct job_plan *plan)
{
    return plan->owner == pool->owner && plan->submitted_us >= pool->since_us &&
           (pool->job == 0 || plan->id == pool->job);
}

static void add_entry(struct pool *pool, struct job_state *job)
{
    if (!is_for(pool, &job->plan)) {
        return;
    }
    struct pool_entry *entry = NEW(struct pool_entry);
    entry->node.key = job->node.key;
    entry->node.need = job->node.need;
    entry->job = job;
    entry->pool = pool;
    entry->next = job->entries;
    job->entries = entry;
    job_refresh_pools(job);
}

void job_join_pools(struct scheduler *scheduler, struct job_state *job)
{
    struct pool *pool = map_find_int64(scheduler->pools, job->plan.owner);
    for (; pool; pool = pool->next) {
        add_entry(pool, job);
    }
}

static void free_entry(struct pool_entry *entry)
{
    if (entry->node.is_in) {
        fit_tree_remove(&entry->pool->ready, &entry->node);
    }
    free(entry);
}

void job_leave_pools(struct job_state *job)
{
    while (job->entries) {
        struct pool_entry *next = job->entries->next;
        free_entry(job->entries);
        job->entries = next;
    }
}

void job_refresh_pools(struct job_state *job)
{
    bool is_here = job->node.is_in && job->plan.place == 0;
    for (struct pool_entry *entry = job->entries; entry; entry = entry->next) {
        if (is_here && !entry->node.is_in) {
            fit_tree_insert(&entry->pool->ready, &entry->node);
        } else if (!is_here && entry->node.is_in) {
            fit_tree_remove(&entry->pool->ready, &entry->node);
        }
    }
}

static struct pool *find_pool(const struct scheduler *scheduler, const struct worker_limits *limits)
{
    struct pool *pool = map_find_int64(scheduler->pools, limits->owner);
    while (pool && (pool->since_us != limits->since_us || pool->job != limits->job)) {
        pool = pool->next;
    }
    return pool;
}

static struct pool *make_pool(struct scheduler *scheduler, const struct worker_limits *limits)
{
    struct pool *pool = NEW(struct pool);
    pool->owner = limits->owner;
    pool->since_us = limits->since_us;
    pool->job = limits->job;
    pool->next = map_set_int64(scheduler->pools, pool->owner, pool);
    if (pool->job != 0) {
        struct job_state *job = map_find_int64(scheduler->jobs, pool->job);
        if (job) {
            add_entry(pool, job);
        }
        return pool;
    }
    size_t at = 0;
    for (struct job_state *job; (job = map_next(scheduler->jobs, &at)) != NULL;) {
        add_entry(pool, job);
    }
    return pool;
}

static void drop_entry(struct job_state *job, const struct pool *pool)
{
    for (struct pool_entry **at = &job->entries; *at; at = &(*at)->next) {
        if ((*at)->pool == pool) {
            struct pool_entry *entry = *at;
            *at = entry->next;
            free_entry(entry);
            return;
        }
    }
}

static void drop_entries(struct scheduler *scheduler, const struct pool *pool)
{
    if (pool->job != 0) {
        struct job_state *job = map_find_int64(scheduler->jobs, pool->job);
        if (job) {
            drop_entry(job, pool);
        }
        return;
    }
    size_t at = 0;
    for (struct job_state *job; (job = map_next(scheduler->jobs, &at)) != NULL;) {
        drop_entry(job, pool);
    }
}

static void free_pool(struct scheduler *scheduler, struct pool *pool)
{
    struct pool *first = map_find_int64(scheduler->pools, pool->owner);
    drop_entries(scheduler, pool);
    if (first == pool) {
        (void)map_set_int64(scheduler->pools, pool->owner, pool->next);
    } else {
        while (first->next != pool) {
            first = first->next;
        }
        first->next = pool->next;
    }
    free(pool);
}

void worker_leave_pool(struct scheduler *scheduler, struct worker_state *worker)
{
    struct pool *pool = worker->pool;
    worker->pool = NULL;
    if (pool && --pool->worker_count == 0) {
        free_pool(scheduler, pool);
    }
}

void scheduler_limit_worker(struct scheduler *scheduler, int64_t id,
                            const struct worker_limits *limits)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (!worker) {
        return;
    }
    struct pool *pool = NULL;
    if (limits->owner != 0) {
        pool = find_pool(scheduler, limits);
        pool = pool ? pool : make_pool(scheduler, limits);
        pool->worker_count++;
    }
    worker_leave_pool(scheduler, worker);
    worker_end_reservation(scheduler, worker);
    worker->pool = pool;
    worker->is_spare = limits->is_spare;
    worker_refresh_labels(scheduler, worker);
}

bool worker_may_have(const struct worker_state *worker, const struct job_state *job)
{
    return (!worker->pool || is_for(worker->pool, &job->plan)) &&
           (!worker->is_spare || job->plan.is_spare);
}

void scheduler_free_pools(struct scheduler *scheduler)
{
    size_t at = 0;
    for (struct pool *pool; (pool = map_next(scheduler->pools, &at)) != NULL;) {
        while (pool) {
            struct pool *next = pool->next;
            free(pool);
            pool = next;
        }
    }
    map_free(scheduler->pools);
}
