// Who comes before a job, of those that a free worker would take: for one that fits nowhere nobody waits.
#include "jobs/state.h"

enum { LOOKED_AT_MAX = 100 }; // Whether they can run anywhere; of the others it is believed.

struct look {
    const struct scheduler *scheduler;
    const struct job_state *job;
    int64_t count;
};

static bool can_run(const struct scheduler *scheduler, const struct job_state *job)
{
    size_t at = 0;
    for (const struct worker_state *worker; (worker = map_next(scheduler->workers, &at)) != NULL;) {
        if (worker->place == job->group->place && worker_may_have(worker, job) &&
            worker_rank(worker, job->plan.group) >= 0 && !worker->is_draining &&
            worker_has_labels(worker, job) && !ranges_contains(&job->refused, worker->id) &&
            resources_fit(&job->plan.need, &worker->capacity) &&
            worker_has_time(worker, job, scheduler->now_us)) {
            return true;
        }
    }
    return false;
}

static bool counts(struct look *look, const struct fit_node *node)
{
    return ++look->count > LOOKED_AT_MAX ||
           can_run(look->scheduler, (const struct job_state *)node);
}

static const struct group_state *find_group(struct look *look)
{
    const struct group_state *own = look->job->group;
    const struct fit_node *node = fit_tree_first(&own->place->groups_ready);
    for (; node && node != &own->node; node = fit_node_next(node)) {
        const struct group_state *group = (const struct group_state *)node;
        const struct fit_node *job = fit_tree_first(&group->ready);
        while (job && !counts(look, job)) {
            job = fit_node_next(job);
        }
        if (job) {
            return group;
        }
    }
    return NULL;
}

struct jobs_ahead jobs_ahead_of(const struct scheduler *scheduler, const struct job_state *job)
{
    struct look look = {.scheduler = scheduler, .job = job};
    struct jobs_ahead ahead = {.group = find_group(&look)};
    const struct fit_node *node = fit_tree_first(&job->group->ready);
    for (; node && node != &job->node && ahead.count < JOBS_AHEAD_MAX; node = fit_node_next(node)) {
        ahead.count += counts(&look, node);
    }
    return ahead;
}
