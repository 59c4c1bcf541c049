// Poison tasks: whoever runs one dies. They must end up held, after as many workers as their job may lose, and nobody gets a held one.
#include "random.h"
#include "world.h"

#include "base/map.h"
#include "base/memory.h"

bool poison_is(const struct world *world, int64_t job_id, int64_t index)
{
    const struct sim_job *job = &world->jobs[job_id - 1];
    uint64_t hash = random_mix(world->settings.seed ^ ((uint64_t)job_id << 40) ^ (uint64_t)index);
    return world->settings.poison > 0 && job->plan.place == 0 && !job->is_mended &&
           random_part(random_mix(hash)) < world->settings.poison;
}

static struct sim_losses *losses_of(struct sim_job *job, int64_t index)
{
    struct sim_losses *losses = map_find_int64(job->losses, index);
    if (!losses) {
        losses = NEW(struct sim_losses);
        losses->index = index;
        (void)map_set_int64(job->losses, index, losses);
    }
    return losses;
}

enum status poison_take_loss(struct world *world, const struct loss *loss, struct error *error)
{
    struct sim_job *job = &world->jobs[loss->task.job - 1];
    int64_t index = loss->task.index;
    struct sim_losses *losses = losses_of(job, index);
    bool is_last = ++losses->times > job->plan.retries.times[CAUSE_LOST];
    if (loss->times != losses->times || loss->end != (is_last ? LOSS_HELD : LOSS_RETRY)) {
        return error_set(error, CORRUPT, "task %lld of job %lld was lost %lld times, not %lld",
                         (long long)index, (long long)job->plan.id, (long long)losses->times,
                         (long long)loss->times);
    }
    if (is_last) {
        (void)ranges_add(&job->held, index, index + 1);
        world->figures.held++;
        world->figures.held_innocent += !poison_is(world, job->plan.id, index);
    }
    audit_note(world, job->plan.id, index, loss->times);
    return OK;
}

enum status poison_check_lease(const struct world *world, const struct lease *lease,
                               struct error *error)
{
    struct range part;
    if (ranges_first_overlap(&world->jobs[lease->job - 1].held, lease->from, lease->to, &part)) {
        return error_set(error, CORRUPT, "task %lld of job %lld is held and was leased",
                         (long long)part.from, (long long)lease->job);
    }
    return OK;
}

void poison_recount(const struct world *world, const struct sim_job *job)
{
    size_t at = 0;
    for (const struct sim_losses *losses; (losses = map_next(job->losses, &at));) {
        struct task_id task = {job->plan.id, losses->index};
        scheduler_recount(world->scheduler, task, CAUSE_LOST, losses->times);
        if (ranges_contains(&job->held, losses->index)) {
            (void)scheduler_hold_task(world->scheduler, task);
        }
    }
}

static void forget_losses(struct sim_job *job)
{
    size_t at = 0;
    for (void *losses; (losses = map_next(job->losses, &at));) {
        free(losses);
    }
    map_free(job->losses);
    job->losses = map_new();
}

void poison_free(struct sim_job *job)
{
    forget_losses(job);
    map_free(job->losses);
    ranges_done(&job->held);
}

// Somebody mends the tasks of a job that has nothing left but held ones, and lets them run again.
static enum status mend(struct world *world, struct sim_job *job, struct error *error)
{
    int64_t id = job->plan.id;
    for (int64_t i = 0; i < job->plan.count; i++) {
        if (poison_is(world, id, i) && !ranges_contains(&job->held, i)) {
            return error_set(error, CORRUPT, "poison task %lld of job %lld is not held",
                             (long long)i, (long long)id);
        }
    }
    int64_t held = ranges_total(&job->held);
    if (scheduler_release_tasks(world->scheduler, id, 0, job->plan.count) != held) {
        return error_set(error, CORRUPT, "job %lld has not released its %lld held tasks",
                         (long long)id, (long long)held);
    }
    world->figures.released += held;
    job->is_mended = true;
    ranges_done(&job->held);
    forget_losses(job);
    return OK;
}

enum status poison_sweep(struct world *world, struct error *error)
{
    for (int64_t i = 0; i < world->settings.jobs; i++) {
        struct sim_job *job = &world->jobs[i];
        struct job_figures figures;
        int64_t held = ranges_total(&job->held);
        if (held == 0 || !scheduler_figures(world->scheduler, job->plan.id, &figures)) {
            continue;
        }
        if (figures.held != held) {
            return error_set(error, CORRUPT, "job %lld has %lld held tasks, not %lld",
                             (long long)job->plan.id, (long long)figures.held, (long long)held);
        }
        if (figures.waiting + figures.leased == 0) {
            TRY(mend(world, job, error));
        }
    }
    return OK;
}
