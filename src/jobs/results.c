// What ended attempts mean: commit, again, or too late. Causes are counted apart: a task's own failures against its retries, lost
// workers and workers' faults against attempts_lost_max.
#include "jobs/state.h"

#include "base/memory.h"

enum {
    MEAN_WINDOW = 32, // The mean wall time forgets over about so many tasks.
    AVOID_JOB_US =
        10000000, // A worker that could not run a job's task gets none of that job for so long, if there are others.
};

static void note_wall(struct job_state *job, int64_t count, int64_t wall_us)
{
    double sample_us = (double)(wall_us > 0 ? wall_us : 0) / (double)count;
    double weight = (double)count / (double)(count + MEAN_WINDOW);
    double plain = (double)count / (double)(count + job->walls_seen);
    weight = plain > weight ? plain : weight; // At first the mean of all.
    job->mean_wall_us += (sample_us - job->mean_wall_us) * weight;
    job->walls_seen += count;
}

// The lease when it is the worker's; it has been heard of now.
static struct lease_state *hear_lease(struct scheduler *scheduler, int64_t id, int64_t worker)
{
    struct lease_state *lease = map_find_int64(scheduler->leases, id);
    if (!lease || lease->worker->id != worker) {
        return NULL;
    }
    lease->heard_us = scheduler->now_us;
    return lease;
}

static struct attempts *attempts_of(struct job_state *job, int64_t index)
{
    if (!job->attempts) {
        job->attempts = map_new();
    }
    struct attempts *attempts = map_find_int64(job->attempts, index);
    if (!attempts) {
        attempts = NEW(struct attempts);
        (void)map_set_int64(job->attempts, index, attempts);
    }
    return attempts;
}

int64_t scheduler_attempts(const struct scheduler *scheduler, struct task_id task)
{
    const struct job_state *job = map_find_int64(scheduler->jobs, task.job);
    const struct attempts *attempts =
        job && job->attempts ? map_find_int64(job->attempts, task.index) : NULL;
    return attempts ? attempts->failed + attempts->lost : 0;
}

static void avoid_job(struct worker_state *worker, int64_t job, int64_t now_us)
{
    worker->avoided[worker->avoided_at++ % AVOIDED_REMEMBERED] =
        (struct avoided_job){job, now_us + AVOID_JOB_US};
}

// Counts one more failure of the task; true when it was the last that it may have.
static bool is_last_failure(struct scheduler *scheduler, struct job_state *job, int64_t index,
                            enum task_outcome outcome)
{
    struct attempts *attempts = attempts_of(job, index);
    if (outcome == TASK_FAILED) {
        return ++attempts->failed > job->plan.retries;
    }
    return ++attempts->lost >= scheduler->options.attempts_lost_max;
}

static enum task_verdict finish_badly(struct scheduler *scheduler, struct job_state *job,
                                      int64_t worker, int64_t index, enum task_outcome outcome)
{
    struct piece *piece = job_find_piece(job, index);
    struct worker_state *reporter = map_find_int64(scheduler->workers, worker);
    if (outcome == TASK_BLAME_WORKER && reporter) {
        avoid_job(reporter, job->plan.id, scheduler->now_us);
    }
    if (piece && piece->lease->worker != reporter) {
        return TASK_RETRY; // It runs elsewhere already: that attempt decides.
    }
    if (is_last_failure(scheduler, job, index, outcome)) {
        (void)job_commit(scheduler, job, index, index + 1, NULL);
        return TASK_COMMIT;
    }
    (void)job_cut(scheduler, job, index, index + 1, true);
    job_refresh(job);
    return TASK_RETRY;
}

enum task_verdict scheduler_finish(struct scheduler *scheduler, int64_t lease, int64_t worker,
                                   struct task_id task, enum task_outcome outcome, int64_t wall_us,
                                   int64_t now_us)
{
    scheduler_tell_time(scheduler, now_us);
    (void)hear_lease(scheduler, lease, worker);
    struct job_state *job = map_find_int64(scheduler->jobs, task.job);
    if (!job || task.index < 0 || task.index >= job->plan.count ||
        ranges_contains(&job->done, task.index)) {
        return TASK_DUPLICATE;
    }
    if (outcome == TASK_SUCCEEDED || outcome == TASK_FAILED) {
        note_wall(job, 1, wall_us);
    }
    if (outcome == TASK_SUCCEEDED || outcome == TASK_BLAME_INPUT) {
        (void)job_commit(scheduler, job, task.index, task.index + 1, NULL);
        return TASK_COMMIT;
    }
    return finish_badly(scheduler, job, worker, task.index, outcome);
}

void scheduler_finish_range(struct scheduler *scheduler, int64_t lease, int64_t worker, int64_t job,
                            int64_t from, int64_t to, int64_t wall_us, int64_t now_us,
                            struct ranges *fresh)
{
    scheduler_tell_time(scheduler, now_us);
    (void)hear_lease(scheduler, lease, worker);
    struct job_state *known = map_find_int64(scheduler->jobs, job);
    if (!known) {
        return;
    }
    int64_t count = to - from;
    from = from > 0 ? from : 0;
    to = to < known->plan.count ? to : known->plan.count;
    if (from < to) {
        note_wall(known, count, wall_us);
        (void)job_commit(scheduler, known, from, to, fresh);
    }
}

int64_t scheduler_mark_done(struct scheduler *scheduler, int64_t job, int64_t from, int64_t to)
{
    struct job_state *known = map_find_int64(scheduler->jobs, job);
    if (!known) {
        return 0;
    }
    from = from > 0 ? from : 0;
    to = to < known->plan.count ? to : known->plan.count;
    return job_commit(scheduler, known, from, to, NULL);
}

void scheduler_return(struct scheduler *scheduler, int64_t lease, int64_t from, int64_t to)
{
    struct lease_state *known = map_find_int64(scheduler->leases, lease);
    if (known) {
        lease_note_interruption(known, from, to, scheduler->now_us);
        lease_give_back(scheduler, known, from, to);
    }
}

void task_list_append(struct task_list *list, struct task_id task)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 8;
        list->items = memory_resize(list->items, list->capacity, sizeof *list->items);
    }
    list->items[list->count++] = task;
}

void task_list_done(struct task_list *list)
{
    free(list->items);
    *list = (struct task_list){0};
}

void worker_blame_fronts(struct scheduler *scheduler, struct worker_state *worker,
                         struct task_list *failed)
{
    if (worker->place->number != 0) {
        return; // What it carried runs elsewhere, whatever became of it.
    }
    for (struct lease_state *lease = worker->started.first; lease; lease = lease->next) {
        int64_t front = lease->pieces->node.key.second;
        if (is_last_failure(scheduler, lease->job, front, TASK_BLAME_WORKER)) {
            task_list_append(failed, (struct task_id){lease->job->plan.id, front});
        }
    }
}
