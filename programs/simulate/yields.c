// Jobs with checkpoints, whose tasks give way to groups that have less than their share: most workers do as they are asked, some time
// later, and some do not know how.
#include "random.h"
#include "world.h"

#include "base/map.h"

enum {
    ASKED_MAX = 64,
    NOTICE_MOST_S = 5,
    IGNORED_PART = 8, // One in so many is.
    LEAST_MEAN_S = 20,
    INTERVALS = 5, // Of so many seconds at most.
};

void yields_choose_job(const struct world *world, struct sim_job *job)
{
    uint64_t hash = random_mix(world->settings.seed ^ ((uint64_t)job->plan.id << 24));
    if (job->plan.place == 0 && !job->plan.is_stream &&
        random_part(hash) < world->settings.checkpoints) {
        job->plan.checkpoint_us = (1 + (int64_t)(hash % INTERVALS)) * 1000000;
        job->mean_us += LEAST_MEAN_S * 1e6;
    }
}

void yields_store(struct world *world, const struct sim_worker *worker)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct sim_lease *lease = &worker->leases[i];
        if (lease->is_started && world->jobs[lease->lease.job - 1].plan.checkpoint_us > 0) {
            scheduler_note_checkpoint(world->scheduler,
                                      (struct task_id){lease->lease.job, lease->next});
        }
    }
}

static struct sim_lease *find_lease(const struct sim_worker *worker, int64_t id)
{
    for (size_t i = 0; worker && i < worker->lease_count; i++) {
        if (worker->leases[i].lease.id == id) {
            return &worker->leases[i];
        }
    }
    return NULL;
}

static enum status ask(struct world *world, const struct lease *asked, struct error *error)
{
    struct sim_worker *worker = map_find_int64(world->workers_by_id, asked->worker);
    struct sim_lease *lease = find_lease(worker, asked->id);
    if (!lease) {
        return OK; // It has crashed, and is not missed yet.
    }
    const struct job_plan *plan = &world->jobs[asked->job - 1].plan;
    if (plan->checkpoint_us == 0 || plan->place != 0 || lease->is_asked ||
        world->now_us - lease->given_us < LEASE_KEPT_US) {
        return error_set(error, CORRUPT, "worker %lld is to give up lease %lld of job %lld",
                         (long long)asked->worker, (long long)asked->id, (long long)asked->job);
    }
    lease->is_asked = true;
    world->figures.yields++;
    audit_note(world, asked->worker, asked->job, asked->from);
    if (random_mix((uint64_t)asked->id) % IGNORED_PART != 0) {
        double notice_s = random_between(&world->random, 0, NOTICE_MOST_S);
        event_queue_add(&world->events,
                        (struct event){.time_us = world->now_us + (int64_t)(notice_s * 1e6),
                                       .kind = EVENT_YIELD,
                                       .subject = (uint32_t)(worker - world->workers),
                                       .epoch = worker->epoch,
                                       .run = lease->run});
    }
    return OK;
}

enum status yields_sweep(struct world *world, struct error *error)
{
    struct lease leases[ASKED_MAX];
    size_t count = scheduler_yields(world->scheduler, world->now_us, leases, ASKED_MAX);
    for (size_t i = 0; i < count; i++) {
        TRY(ask(world, &leases[i], error));
    }
    return OK;
}
