// A scheduler with a clock of its own, checked after every step; shared by the scheduler's tests.
#ifndef LODE_TESTS_JOBS_SITE_H
#define LODE_TESTS_JOBS_SITE_H

#include "../cmocka_all.h"

#include "base/memory.h"
#include "jobs/scheduler.h"

enum { SECOND = 1000000, LEASES_MAX = 64 };

struct site {
    struct scheduler *scheduler;
    int64_t now_us;
    struct lease leases[LEASES_MAX]; // Of the last call of site_lease.
    size_t count;
};

static inline struct site site_start(void)
{
    return (struct site){.scheduler = scheduler_new(NULL), .now_us = SECOND};
}

static inline void site_check(const struct site *site)
{
    struct error error = {0};
    if (scheduler_check(site->scheduler, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static inline void site_stop(struct site *site)
{
    site_check(site);
    scheduler_free(site->scheduler);
}

// A job of tasks that need one core and nothing else.
static inline struct job_plan plan_of(int64_t id, int64_t group, int64_t count)
{
    return (struct job_plan){.id = id,
                             .group = group,
                             .count = count,
                             .need = {.cpu_millis = 1000},
                             .retries = retries_default(),
                             .submitted_us = id};
}

static inline void site_add(struct site *site, struct job_plan plan)
{
    assert_int_equal(scheduler_add_job(site->scheduler, &plan, NULL, NULL), OK);
}

static inline void site_add_worker_at(struct site *site, int64_t id, int64_t place, int64_t cpus)
{
    const struct resources capacity = {.cpu_millis = cpus * 1000,
                                       .memory_bytes = INT64_C(1) << 40,
                                       .disk_bytes = INT64_C(1) << 40};
    scheduler_add_worker(site->scheduler, id, place, &capacity, site->now_us);
}

static inline void site_add_worker(struct site *site, int64_t id, int64_t cpus)
{
    site_add_worker_at(site, id, 0, cpus);
}

static inline size_t site_lease(struct site *site, int64_t worker)
{
    site->count = scheduler_lease(site->scheduler, worker, site->now_us, site->leases, LEASES_MAX);
    site_check(site);
    return site->count;
}

static inline enum task_verdict site_finish(struct site *site, const struct lease *lease,
                                            int64_t index, enum task_outcome outcome)
{
    struct task_id task = {lease->job, index};
    enum task_verdict verdict = scheduler_finish(site->scheduler, lease->id, lease->worker, task,
                                                 outcome, SECOND, site->now_us);
    site_check(site);
    return verdict;
}

// Finishes a whole lease that took `wall_us`; returns how many tasks were fresh.
static inline int64_t site_finish_all(struct site *site, const struct lease *lease, int64_t wall_us)
{
    struct ranges fresh = {0};
    scheduler_finish_range(site->scheduler, lease->id, lease->worker, lease->job, lease->from,
                           lease->to, wall_us, site->now_us, &fresh);
    int64_t total = ranges_total(&fresh);
    ranges_done(&fresh);
    site_check(site);
    return total;
}

static inline struct job_figures site_figures(const struct site *site, int64_t job)
{
    struct job_figures figures = {0};
    assert_true(scheduler_figures(site->scheduler, job, &figures));
    return figures;
}

#endif
