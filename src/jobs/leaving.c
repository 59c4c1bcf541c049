// Workers that leave: which tasks they are still given, so that none is begun that cannot end.
#include "jobs/state.h"

enum {
    NEED_TENTHS = 15,      // Of the mean wall time: tasks differ.
    EARLY_FACTOR = 2,      // More of it while fewer tasks have ended than are with workers.
    UNKNOWN_DOUBLINGS = 2, // Of what was not enough for a task of which nothing else is known.
    CHECKPOINTS_LEAST = 3, // A task that goes on elsewhere is begun when so many can be stored.
};
#define UNKNOWN_NEED_US INT64_C(60000000)

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Of a job none of whose tasks has ended yet.
static int64_t unknown_need_us(const struct job_state *job)
{
    int64_t least_us = lesser(job->interrupted_us, INT64_MAX / UNKNOWN_DOUBLINGS);
    int64_t need_us = job->plan.walltime_us > 0 ? job->plan.walltime_us : UNKNOWN_NEED_US;
    least_us *= UNKNOWN_DOUBLINGS;
    return job->plan.walltime_us > 0 || need_us > least_us ? need_us : least_us;
}

int64_t job_need_us(const struct job_state *job)
{
    int64_t need_us = 0;
    if (job->walls_seen > 0) {
        // The first to end are the short ones.
        bool is_early = job->walls_seen < job->leased_count;
        double mean_us = job->mean_wall_us * NEED_TENTHS / 10 * (is_early ? EARLY_FACTOR : 1);
        need_us = mean_us < 1e18 ? (int64_t)mean_us : INT64_C(1000000000000000000);
        need_us = job->plan.walltime_us > 0 ? lesser(need_us, job->plan.walltime_us) : need_us;
    } else {
        need_us = unknown_need_us(job);
    }
    int64_t checkpoint_us = lesser(job->plan.checkpoint_us, INT64_MAX / CHECKPOINTS_LEAST);
    return checkpoint_us > 0 ? lesser(need_us, checkpoint_us * CHECKPOINTS_LEAST) : need_us;
}

bool worker_has_time(const struct worker_state *worker, const struct job_state *job, int64_t now_us)
{
    return worker->end_us == INT64_MAX || worker->end_us - now_us >= job_need_us(job);
}

void scheduler_set_worker_end(struct scheduler *scheduler, int64_t id, int64_t end_us)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (!worker) {
        return;
    }
    // A lease may begin so much later than it was given.
    worker->end_us = end_us != INT64_MAX ? end_us - scheduler->options.ahead_us : end_us;
    const struct job_state *job = map_find_int64(scheduler->jobs, worker->reserved_for);
    // What has time there still keeps its worker: the end is said anew with each poll, a little earlier or later.
    if (!job || !worker_has_time(worker, job, scheduler->now_us)) {
        worker_end_reservation(scheduler, worker);
    }
}

int64_t worker_time_count(const struct worker_state *worker, const struct job_state *job,
                          int64_t now_us)
{
    if (worker->end_us == INT64_MAX || job->walls_seen == 0) {
        return INT64_MAX;
    }
    int64_t need_us = job_need_us(job);
    int64_t count = (worker->end_us - now_us) / (need_us > 0 ? need_us : 1);
    return count > 1 ? count : 1;
}

void lease_note_interruption(const struct lease_state *lease, int64_t from, int64_t to,
                             int64_t now_us)
{
    struct job_state *job = lease->job;
    int64_t front = lease->pieces->node.key.second;
    bool is_leaving = lease->worker->is_draining || lease->worker->end_us != INT64_MAX;
    int64_t ran_us = now_us - lease->heard_us;
    if (is_leaving && lease->is_started && from <= front && front < to &&
        ran_us > job->interrupted_us) {
        job->interrupted_us = ran_us;
    }
}
