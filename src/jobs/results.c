// What ended attempts mean: commit, again, held, or too late. Causes are counted apart, each against its own number of retries.
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
    int64_t count = 0;
    for (int i = 0; attempts && i < CAUSE_COUNT; i++) {
        count += attempts->times[i];
    }
    return count;
}

static void avoid_job(struct worker_state *worker, int64_t job, int64_t now_us)
{
    worker->avoided[worker->avoided_at++ % AVOIDED_REMEMBERED] =
        (struct avoided_job){job, now_us + AVOID_JOB_US};
}

// Counts one more attempt of the task that came to nothing; true when it was the last that it may have for this cause.
static bool is_last_attempt(struct job_state *job, int64_t index, enum task_cause cause)
{
    return ++attempts_of(job, index)->times[cause] > job->plan.retries.times[cause];
}

static enum task_cause cause_of(enum task_outcome outcome)
{
    switch (outcome) {
    case TASK_LIMITED:
        return CAUSE_LIMIT;
    case TASK_BLAME_WORKER:
        return CAUSE_WORKER;
    case TASK_BLAME_INPUT:
        return CAUSE_INPUT;
    case TASK_SUCCEEDED:
    case TASK_FAILED:
        break;
    }
    return CAUSE_FAIL;
}

static enum task_verdict finish_badly(struct scheduler *scheduler, struct job_state *job,
                                      int64_t worker, int64_t index, enum task_outcome outcome)
{
    struct piece *piece = job_find_piece(job, index);
    struct worker_state *reporter = map_find_int64(scheduler->workers, worker);
    bool is_elsewhere = outcome == TASK_BLAME_WORKER || outcome == TASK_BLAME_INPUT;
    if (is_elsewhere && reporter) {
        avoid_job(reporter, job->plan.id, scheduler->now_us);
    }
    if ((piece && piece->lease->worker != reporter) || ranges_contains(&job->held, index)) {
        return TASK_RETRY; // It runs elsewhere already, where that attempt decides, or is held.
    }
    if (is_last_attempt(job, index, cause_of(outcome))) {
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
    if (outcome == TASK_SUCCEEDED || outcome == TASK_FAILED || outcome == TASK_LIMITED) {
        note_wall(job, 1, wall_us);
    }
    bool is_input_final = outcome == TASK_BLAME_INPUT && job->plan.retries.times[CAUSE_INPUT] == 0;
    if (outcome == TASK_SUCCEEDED || is_input_final) {
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

void scheduler_recount(struct scheduler *scheduler, struct task_id task, enum task_cause cause,
                       int64_t times)
{
    struct job_state *job = map_find_int64(scheduler->jobs, task.job);
    if (job && task.index >= 0 && task.index < job->plan.count &&
        !ranges_contains(&job->done, task.index)) {
        attempts_of(job, task.index)->times[cause] += (int32_t)times;
        if (cause == CAUSE_LOST && times == job->plan.retries.times[CAUSE_LOST]) {
            job_leave_alone(job, task.index);
        }
    }
}

bool scheduler_hold_task(struct scheduler *scheduler, struct task_id task)
{
    struct job_state *job = map_find_int64(scheduler->jobs, task.job);
    return job && task.index >= 0 && task.index < job->plan.count &&
           job_hold_tasks(job, task.index, task.index + 1) > 0;
}

int64_t scheduler_release_tasks(struct scheduler *scheduler, int64_t id, int64_t from, int64_t to)
{
    struct job_state *job = map_find_int64(scheduler->jobs, id);
    struct range part;
    int64_t released = 0;
    for (int64_t at = from; job && ranges_first_overlap(&job->held, at, to, &part); at = part.to) {
        released += ranges_remove(&job->held, part.from, part.to);
        (void)ranges_add(&job->again, part.from, part.to);
        job_forget_attempts(job, part.from, part.to);
    }
    if (job) {
        job->held_count -= released;
        job_refresh(job);
    }
    return released;
}

int64_t scheduler_next_held(const struct scheduler *scheduler, int64_t id, int64_t from)
{
    const struct job_state *job = map_find_int64(scheduler->jobs, id);
    struct range part;
    bool is_there = job && ranges_first_overlap(&job->held, from, job->plan.count, &part);
    return is_there ? part.from : -1;
}

void loss_list_append(struct loss_list *list, const struct loss *loss)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 8;
        list->items = memory_resize(list->items, list->capacity, sizeof *list->items);
    }
    list->items[list->count++] = *loss;
}

void loss_list_done(struct loss_list *list)
{
    free(list->items);
    *list = (struct loss_list){0};
}

void worker_blame_fronts(const struct scheduler *scheduler, const struct worker_state *worker,
                         struct loss_list *losses)
{
    if (worker->place->number != 0) {
        return; // What it carried runs elsewhere, whatever became of it.
    }
    for (struct lease_state *lease = worker->started.first; lease; lease = lease->next) {
        const struct job_plan *plan = &lease->job->plan;
        int64_t front = lease->pieces->node.key.second;
        bool is_last = is_last_attempt(lease->job, front, CAUSE_LOST);
        const struct loss loss = {
            .task = {plan->id, front},
            .times = attempts_of(lease->job, front)->times[CAUSE_LOST],
            .ran_us = scheduler->now_us - lease->heard_us,
            .end = !is_last                ? LOSS_RETRY
                   : plan->fails_when_lost ? LOSS_FAILED
                                           : LOSS_HELD,
        };
        loss_list_append(losses, &loss);
    }
}

void losses_settle(struct scheduler *scheduler, const struct loss_list *losses)
{
    for (size_t i = 0; i < losses->count; i++) {
        const struct loss *loss = &losses->items[i];
        struct job_state *job = map_find_int64(scheduler->jobs, loss->task.job);
        int64_t index = loss->task.index;
        if (loss->end == LOSS_HELD) {
            (void)job_hold_tasks(job, index, index + 1);
        } else if (loss->end == LOSS_FAILED) {
            (void)job_commit(scheduler, job, index, index + 1, NULL);
        } else if (loss->times == job->plan.retries.times[CAUSE_LOST]) {
            job_leave_alone(job, index);
        }
    }
}
