// Workers that work for groups in order: they get tasks of these only, and of a later one only while an earlier has nothing for them.
#include "random.h"
#include "world.h"

enum {
    GROUPS_LISTED = 2, // Groups 1 and 2 are in lists; the others share the workers without one.
    AVOIDING_US = 10000000, // A worker that could not run a job gets none of it for so long.
};

bool groups_is_listed(const struct world *world, int64_t group)
{
    return world->settings.dedicated > 0 && group <= GROUPS_LISTED;
}

static void set_groups(struct world *world, struct sim_worker *worker, int64_t first)
{
    worker->groups[0] = first;
    worker->groups[1] = GROUPS_LISTED + 1 - first;
    scheduler_set_worker_groups(world->scheduler, worker->id, worker->groups, SIM_WORKER_GROUPS);
}

// The first worker, which is the largest, and those of other places are for all.
void groups_choose(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    uint64_t hash = random_mix(world->settings.seed ^ ((uint64_t)at << 32) ^ 0x67726f757073ULL);
    worker->is_dedicated =
        at > 0 && worker->place == 0 && random_part(hash) < world->settings.dedicated;
    worker->groups[0] = 1 + (int64_t)(hash % GROUPS_LISTED);
}

void groups_register(struct world *world, struct sim_worker *worker)
{
    if (worker->is_dedicated) {
        set_groups(world, worker, worker->groups[0]);
    }
}

void groups_move_one(struct world *world)
{
    uint32_t at = (uint32_t)random_below(&world->random, (uint64_t)world->settings.workers);
    struct sim_worker *worker = &world->workers[at];
    if (worker->is_dedicated && worker->id != 0) {
        set_groups(world, worker, worker->groups[1]);
        world->figures.moves++;
    }
}

static int rank_of(const struct sim_worker *worker, int64_t group)
{
    for (int i = 0; i < SIM_WORKER_GROUPS; i++) {
        if (worker->groups[i] == group) {
            return i;
        }
    }
    return -1;
}

// Has the group a waiting job that would have fitted where one of `need` did, and tasks that any worker may have?
static bool has_waiting(const struct world *world, int64_t group, const struct resources *need)
{
    for (int64_t i = group - 1; i < world->settings.jobs; i += (int64_t)world->group_count) {
        const struct sim_job *job = &world->jobs[i];
        struct job_figures figures;
        if (job->is_submitted && !job->is_complete && job->plan.place == 0 &&
            job->plan.need.cpu_millis <= need->cpu_millis &&
            job->plan.need.memory_bytes <= need->memory_bytes &&
            scheduler_figures(world->scheduler, job->plan.id, &figures) &&
            figures.waiting > figures.alone) {
            return true;
        }
    }
    return false;
}

enum status groups_check_lease(struct world *world, const struct sim_worker *worker,
                               const struct lease *lease, struct error *error)
{
    const struct job_plan *plan = &world->jobs[lease->job - 1].plan;
    if (!worker->is_dedicated) {
        return OK;
    }
    int rank = rank_of(worker, plan->group);
    world->figures.dedicated++;
    if (rank < 0) {
        return error_set(error, CORRUPT, "worker %lld got a task of group %lld, not of its own",
                         (long long)worker->id, (long long)plan->group);
    }
    bool is_avoiding = world->now_us - worker->blamed_us < AVOIDING_US && worker->blamed_us > 0;
    // One that leaves may lack the time for what comes first.
    bool is_leaving = worker->end_us > 0;
    for (int i = 0; i < rank && !is_avoiding && !is_leaving; i++) {
        if (has_waiting(world, worker->groups[i], &plan->need)) {
            return error_set(error, CORRUPT,
                             "worker %lld got a task of group %lld while group %lld had one for it",
                             (long long)worker->id, (long long)plan->group,
                             (long long)worker->groups[i]);
        }
    }
    return OK;
}
