// Workers that are limited to one owner's jobs, to those that came after them, to one job, or to spare ones: they get no others.
#include "random.h"
#include "world.h"

enum { OWNERS = 16, LIMITS = 4 };
#define SPARE_PART 0.3

void limits_choose_job(struct job_plan *plan, uint64_t seed)
{
    uint64_t hash = random_mix(seed ^ ((uint64_t)plan->id << 24) ^ 0x6f776e657273ULL);
    plan->owner = 1 + (int64_t)(hash % OWNERS);
    plan->is_spare = random_part(hash) < SPARE_PART;
}

// The first worker, which is the largest, and those of other places are not limited.
void limits_choose(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    uint64_t hash = random_mix(world->settings.seed ^ ((uint64_t)at << 32) ^ 0x6c696d697473ULL);
    worker->is_limited =
        at > 0 && worker->place == 0 && random_part(hash) < world->settings.limited;
    worker->is_dedicated = worker->is_dedicated && !worker->is_limited;
    worker->limits = (struct worker_limits){.owner = 1 + (int64_t)(hash % OWNERS)};
    switch (hash / OWNERS % LIMITS) {
    case 0:
        worker->limits = (struct worker_limits){.is_spare = true};
        break;
    case 1: {
        struct job_plan plan = {.id = 1 + (int64_t)(hash % (uint64_t)world->settings.jobs)};
        limits_choose_job(&plan, world->settings.seed);
        worker->limits = (struct worker_limits){.owner = plan.owner, .job = plan.id};
        break;
    }
    case 2:
        worker->limits.since_us = 1; // When it registers.
        break;
    default:
        break;
    }
}

void limits_register(struct world *world, struct sim_worker *worker)
{
    if (!worker->is_limited) {
        return;
    }
    if (worker->limits.since_us > 0) {
        worker->limits.since_us = world->now_us + 1;
    }
    scheduler_limit_worker(world->scheduler, worker->id, &worker->limits);
}

enum status limits_check_lease(struct world *world, const struct sim_worker *worker,
                               const struct lease *lease, struct error *error)
{
    const struct job_plan *plan = &world->jobs[lease->job - 1].plan;
    const struct worker_limits *limits = &worker->limits;
    if (!worker->is_limited) {
        return OK;
    }
    world->figures.limited++;
    bool is_good = (limits->owner == 0 || plan->owner == limits->owner) &&
                   plan->submitted_us >= limits->since_us &&
                   (limits->job == 0 || plan->id == limits->job) &&
                   (!limits->is_spare || plan->is_spare);
    return is_good
               ? OK
               : error_set(error, CORRUPT,
                           "worker %lld got a task of job %lld, which its limits do not leave it",
                           (long long)worker->id, (long long)plan->id);
}
