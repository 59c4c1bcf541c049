// Which workers have a job's inputs at hand, and how long a job waits for one of them.
//
// A task that runs where its inputs are begins at once; elsewhere they are fetched first. So waiting for a worker that has them pays for as
// long as fetching them would take, and no longer.
#include "jobs/state.h"

#include "base/memory.h"

enum { FETCH_BYTES_A_US = 100 };        // 100 MB/s, as of a network of 1 Gbit/s.
#define HOLD_BACK_MIN_US INT64_C(50000) // What is fetched sooner is not waited for.
#define HOLD_BACK_MAX_US INT64_C(10000000)

bool worker_has_inputs(const struct worker_state *worker, uint64_t inputs)
{
    for (size_t i = 0; inputs != 0 && i < INPUTS_REMEMBERED; i++) {
        if (worker->inputs[i] == inputs) {
            return true;
        }
    }
    return false;
}

static void count_holder(struct scheduler *scheduler, uint64_t inputs, int64_t by)
{
    int64_t *count = map_find_int64(scheduler->holders, (int64_t)inputs);
    if (inputs == 0) {
        return;
    }
    if (!count) {
        count = NEW(int64_t);
        (void)map_set_int64(scheduler->holders, (int64_t)inputs, count);
    }
    *count += by;
    if (*count == 0) {
        free(map_set_int64(scheduler->holders, (int64_t)inputs, NULL));
    }
}

void worker_remember_inputs(struct scheduler *scheduler, struct worker_state *worker,
                            uint64_t inputs)
{
    if (inputs == 0 || worker_has_inputs(worker, inputs)) {
        return;
    }
    uint64_t *place = &worker->inputs[worker->inputs_at++ % INPUTS_REMEMBERED];
    count_holder(scheduler, *place, -1);
    *place = inputs;
    count_holder(scheduler, inputs, 1);
}

void worker_forget_inputs(struct scheduler *scheduler, struct worker_state *worker)
{
    for (size_t i = 0; i < INPUTS_REMEMBERED; i++) {
        count_holder(scheduler, worker->inputs[i], -1);
        worker->inputs[i] = 0;
    }
    worker->place->seeing_count -= worker->sees_inputs;
    worker->sees_inputs = false;
}

void scheduler_set_worker_sees_inputs(struct scheduler *scheduler, int64_t id)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (worker && !worker->sees_inputs) {
        worker->sees_inputs = true;
        worker->place->seeing_count++;
    }
}

// How long the job waits for a worker that has its inputs.
static int64_t patience_of(const struct job_state *job)
{
    int64_t patience_us = job->plan.input_bytes / FETCH_BYTES_A_US;
    patience_us = patience_us < HOLD_BACK_MAX_US ? patience_us : HOLD_BACK_MAX_US;
    return patience_us < HOLD_BACK_MIN_US ? 0 : patience_us;
}

bool job_is_held_back(const struct job_state *job, int64_t now_us)
{
    return job->held_back_us != 0 && now_us < job->held_back_us + patience_of(job);
}

int64_t job_held_back_us(const struct scheduler *scheduler, struct job_state *job,
                         const struct worker_state *worker, int64_t now_us)
{
    const struct job_plan *plan = &job->plan;
    int64_t patience_us = patience_of(job);
    bool is_elsewhere = worker->place->seeing_count > 0 ||
                        map_find_int64(scheduler->holders, (int64_t)plan->inputs) != NULL;
    if (plan->inputs == 0 || patience_us == 0 || !is_elsewhere || worker->sees_inputs ||
        worker_has_inputs(worker, plan->inputs)) {
        return 0;
    }
    if (job->held_back_us == 0) {
        job->held_back_us = now_us;
    }
    int64_t until_us = job->held_back_us + patience_us;
    return until_us > now_us ? until_us : 0;
}

void scheduler_free_holders(struct scheduler *scheduler)
{
    size_t at = 0;
    for (void *count; (count = map_next(scheduler->holders, &at)) != NULL;) {
        free(count);
    }
    map_free(scheduler->holders);
}
