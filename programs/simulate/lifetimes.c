// Workers with a lifetime: each life has an end that the site knows from its start; then what runs is cut short and goes back without
// blame, and after a while the worker begins another life.
#include "random.h"
#include "world.h"

#include "base/map.h"

enum {
    LIFE_LEAST_S = 5,
    LIFE_MOST_S = 120,
    AWAY_MOST_S = 20,
    LEARNED_MEANS = 10, // After so many tasks one after another a job's mean is known.
};
#define USUAL_MAX 1.2 // Tasks that take longer than so many means are no fault of the estimate.

bool lifetime_has(const struct world *world, uint32_t at)
{
    uint64_t hash = random_mix(world->settings.seed ^ ((uint64_t)at << 32));
    return world->workers[at].place == 0 && random_part(hash) < world->settings.lifetimes;
}

void lifetime_begin(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    if (!lifetime_has(world, at)) {
        return;
    }
    if (worker->end_us <= world->now_us) {
        double life_s = random_between(&world->random, LIFE_LEAST_S, LIFE_MOST_S);
        worker->end_us = world->now_us + (int64_t)(life_s * 1e6);
        event_queue_add(&world->events, (struct event){.time_us = worker->end_us,
                                                       .kind = EVENT_LEAVE,
                                                       .subject = at,
                                                       .epoch = worker->epoch});
    }
    scheduler_set_worker_end(world->scheduler, worker->id, worker->end_us);
}

// Is what its tasks take known? The first to end are the short ones, and a restart of the site forgets it.
bool lifetime_is_known(const struct world *world, int64_t job)
{
    struct job_figures figures;
    double since_us = (double)(world->now_us - world->restarted_us);
    return scheduler_figures(world->scheduler, job, &figures) && figures.mean_wall_us > 0 &&
           figures.done > 2 * figures.leased &&
           since_us > LEARNED_MEANS * world->jobs[job - 1].mean_us;
}

// Tasks as long as the job's tasks are, for which there was not the time: they should not have been given.
static enum status judge_cut(struct world *world, const struct sim_worker *worker,
                             const struct sim_lease *lease, struct error *error)
{
    struct world_figures *figures = &world->figures;
    figures->cut++;
    if (!lease->was_known) {
        figures->cut_unknown++;
        return OK;
    }
    double total_us = 0;
    for (int64_t i = lease->lease.from; i < lease->lease.to; i++) {
        total_us += worker_attempt_us(world, lease->lease.job, lease->run, i);
    }
    int64_t left_us = worker->end_us - lease->given_us;
    double mean_us = world->jobs[lease->lease.job - 1].mean_us;
    double usual_us = mean_us * (double)(lease->lease.to - lease->lease.from);
    if (total_us <= (double)left_us) {
        figures->cut_late++; // It began late, behind others that took longer than expected.
    } else if (total_us <= USUAL_MAX * usual_us) {
        return error_set(
            error, CORRUPT,
            "worker %lld was given tasks of job %lld for %.3f s, %.3f s before its end",
            (long long)worker->id, (long long)lease->lease.job, total_us / 1e6,
            (double)left_us / 1e6);
    }
    return OK;
}

enum status lifetime_end(struct world *world, uint32_t at, struct error *error)
{
    struct sim_worker *worker = &world->workers[at];
    bool is_known = worker->state == SIM_UP && !worker->is_forgotten;
    world->figures.lives++;
    for (size_t i = 0; i < worker->lease_count && is_known; i++) {
        const struct sim_lease *lease = &worker->leases[i];
        if (lease->is_started) {
            TRY(judge_cut(world, worker, lease, error));
        }
        scheduler_return(world->scheduler, lease->lease.id, lease->next, lease->lease.to);
    }
    if (is_known) {
        (void)map_set_int64(world->workers_by_id, worker->id, NULL);
        scheduler_remove_worker(world->scheduler, worker->id, false, world->now_us, NULL);
        worker->is_forgotten = true;
    }
    worker->state = SIM_DOWN;
    worker->end_us = 0;
    worker->epoch++;
    worker->lease_count = 0;
    worker->used = (struct resources){0};
    double away_s = random_between(&world->random, 1, AWAY_MOST_S);
    event_queue_add(&world->events,
                    (struct event){.time_us = world->now_us + (int64_t)(away_s * 1e6),
                                   .kind = EVENT_COME_BACK,
                                   .subject = at,
                                   .epoch = worker->epoch});
    return OK;
}
