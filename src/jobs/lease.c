// Gives leases: which job, how much of it, and what a worker's leases leave of its capacity.
//
// A worker starts its leases in the order in which it got them, as far as they fit into its capacity; the others wait at the worker.
// The books follow by the same rule. A started lease that is nearly done makes room for one more, so that no slot waits for the site.
#include "jobs/state.h"

#include "base/memory.h"

#include <math.h>

enum {
    STREAM_FIRST_COUNT =
        2000, // Items in a stream job's lease while nothing is known of their time.
    LEASE_LEAST_PART =
        50, // Even at a job's end a lease is worth this part of lease_target_us, or a slot's share.
    HELD_BACK_MAX =
        256, // Jobs that one look passes over as they wait for others that have their inputs.
    CANDIDATES_MAX = 8, // Jobs that are looked at for locality.
    UNFIT_MAX = 1000,   // Jobs that are passed over as they are not for this worker.
    LOCALITY_WINDOW_US =
        60000000, // Jobs submitted within so long are of one age when it comes to locality.
    PATIENCE_TARGETS =
        10, // After so many lease_target_us of being passed over by smaller jobs a worker is emptied for a job.
};

static void list_append(struct lease_list *list, struct lease_state *lease)
{
    lease->previous = list->last;
    lease->next = NULL;
    *(list->last ? &list->last->next : &list->first) = lease;
    list->last = lease;
    list->need = resources_sum(&list->need, &lease->job->plan.need);
}

static void list_remove(struct lease_list *list, struct lease_state *lease)
{
    *(lease->previous ? &lease->previous->next : &list->first) = lease->next;
    *(lease->next ? &lease->next->previous : &list->last) = lease->previous;
    list->need = resources_rest(&list->need, &lease->job->plan.need);
}

struct lease_state *lease_open(struct scheduler *scheduler, struct job_state *job,
                               struct worker_state *worker)
{
    struct lease_state *lease = NEW(struct lease_state);
    lease->lease.id = ++scheduler->leases_given;
    lease->lease.job = job->plan.id;
    lease->lease.worker = worker->id;
    lease->job = job;
    lease->worker = worker;
    list_append(&worker->waiting, lease);
    heard_follow_leases(scheduler, worker);
    (void)map_set_int64(scheduler->leases, lease->lease.id, lease);
    load_add(&job->group->running, &job->plan.need, 1);
    job->group->served = lease->lease.id;
    group_refresh(job->group);
    return lease;
}

void lease_close(struct scheduler *scheduler, struct lease_state *lease)
{
    struct job_state *job = lease->job;
    struct worker_state *worker = lease->worker;
    list_remove(lease->is_started ? &worker->started : &worker->waiting, lease);
    worker->is_strained = worker->is_strained && !worker_is_idle(worker);
    heard_follow_leases(scheduler, worker);
    worker->alone_count -= lease->is_alone;
    job->started_count -= lease->is_started;
    if (lease->is_started && job->plan.checkpoint_us > 0) {
        yield_note_end(scheduler, lease);
    }
    (void)map_set_int64(scheduler->leases, lease->lease.id, NULL);
    load_add(&job->group->running, &job->plan.need, -1);
    group_refresh(job->group);
    free(lease);
}

static void start_if_it_fits(struct scheduler *scheduler, struct lease_state *lease)
{
    struct worker_state *worker = lease->worker;
    struct resources sum = resources_sum(&worker->started.need, &lease->job->plan.need);
    if (resources_fit(&sum, &worker->capacity)) {
        list_remove(&worker->waiting, lease);
        list_append(&worker->started, lease);
        lease->is_started = true;
        lease->job->started_count++;
        lease->heard_us = scheduler->now_us;
        if (lease->job->plan.checkpoint_us > 0) {
            yield_note_start(scheduler, lease);
        }
    }
}

void worker_start_waiting(struct scheduler *scheduler, struct worker_state *worker)
{
    struct lease_state *lease = worker->waiting.first;
    while (lease) {
        struct lease_state *next = lease->next;
        start_if_it_fits(scheduler, lease);
        lease = next;
    }
}

int64_t lease_left_us(const struct lease_state *lease, int64_t now_us)
{
    const struct job_state *job = lease->job;
    if (!lease->is_started || job->walls_seen == 0) {
        return -1;
    }
    double left_us = (double)lease->left * job->mean_wall_us - (double)(now_us - lease->heard_us);
    return left_us > 0 ? (int64_t)fmin(left_us, 1e18) : 0;
}

bool lease_is_nearly_done(const struct scheduler *scheduler, const struct lease_state *lease,
                          int64_t now_us)
{
    int64_t left_us = lease_left_us(lease, now_us);
    return left_us >= 0 && left_us < scheduler->options.ahead_us &&
           lease->job->plan.checkpoint_us == 0;
}

// Notes when a lease that is not nearly done will be.
static void note_due(const struct scheduler *scheduler, const struct lease_state *lease,
                     int64_t now_us)
{
    int64_t left_us = lease_left_us(lease, now_us);
    int64_t due_us = now_us + left_us - scheduler->options.ahead_us + 1;
    if (left_us >= scheduler->options.ahead_us && due_us < lease->worker->due_us) {
        lease->worker->due_us = due_us;
    }
}

// What the worker's leases that are not nearly done leave of its capacity.
static struct resources room_of(const struct scheduler *scheduler, struct worker_state *worker,
                                int64_t now_us)
{
    struct resources held = resources_sum(&worker->started.need, &worker->waiting.need);
    struct resources room = resources_rest(&worker->capacity, &held);
    worker->due_us = INT64_MAX;
    for (const struct lease_state *lease = worker->started.first; lease; lease = lease->next) {
        if (lease_is_nearly_done(scheduler, lease, now_us)) {
            room = resources_sum(&room, &lease->job->plan.need);
        } else {
            note_due(scheduler, lease, now_us);
        }
    }
    return room;
}

static double least_slots(double slots, double total, int64_t need)
{
    return need > 0 ? fmin(slots, floor(total / (double)need)) : slots;
}

double place_slots(const struct place_state *place, const struct resources *need)
{
    double slots = least_slots(1e18, place->total.cpu_millis, need->cpu_millis);
    slots = least_slots(slots, place->total.memory_bytes, need->memory_bytes);
    slots = least_slots(slots, place->total.disk_bytes, need->disk_bytes);
    return fmax(slots, 1);
}

// How many tasks the job's next lease has. About lease_target_us of work; towards the end less, so that all slots end together.
static int64_t lease_size(const struct scheduler *scheduler, const struct worker_state *worker,
                          const struct job_state *job)
{
    const struct scheduler_options *options = &scheduler->options;
    if (job->plan.place != 0) {
        return INT64_MAX;
    }
    if (job->plan.checkpoint_us > 0) {
        return 1; // Each begins with what the one before it has left.
    }
    double slots = place_slots(job->group->place, &job->plan.need);
    double waiting = (double)job_waiting(job);
    double wanted = job->plan.is_stream ? STREAM_FIRST_COUNT : 1;
    double least = 1;
    if (job->walls_seen > 0) {
        double mean_us = fmax(job->mean_wall_us, 0.001);
        wanted = (double)options->lease_target_us / mean_us;
        least = fmin(wanted / LEASE_LEAST_PART, ceil(waiting / slots));
    }
    int64_t max = options->lease_count_max;
    if (max == 0) {
        max = job->plan.is_stream ? 50000 : 10000;
    }
    int64_t in_time = worker_time_count(worker, job, scheduler->now_us);
    max = in_time < max ? in_time : max;
    double even = floor(waiting / (2 * slots));
    double size = fmin(fmin(wanted, fmax(even, least)), (double)max);
    return size < 1 ? 1 : (int64_t)size;
}

bool worker_avoids(const struct worker_state *worker, int64_t job, int64_t now_us)
{
    if (worker->place->worker_count < 2) {
        return false;
    }
    for (size_t i = 0; i < AVOIDED_REMEMBERED; i++) {
        if (worker->avoided[i].job == job && worker->avoided[i].until_us > now_us) {
            return true;
        }
    }
    return false;
}

// Is `job` as good a choice as `first` but for its place among equals?
static bool is_equal_choice(const struct job_state *first, const struct job_state *job)
{
    return job->plan.priority == first->plan.priority &&
           job->plan.submitted_us - first->plan.submitted_us <= LOCALITY_WINDOW_US;
}

struct job_state *worker_choose_in(const struct scheduler *scheduler, const struct fit_tree *ready,
                                   struct worker_state *worker, const struct resources *room)
{
    int64_t now_us = scheduler->now_us;
    struct job_state *first = NULL;
    int unfit = 0;
    int seen = 0;
    int held_back = 0;
    struct fit_node *node = fit_tree_first_fit(ready, room);
    for (; node && seen < CANDIDATES_MAX && unfit < UNFIT_MAX;
         node = fit_node_next_fit(node, room)) {
        struct job_state *job =
            worker->pool ? ((struct pool_entry *)node)->job : (struct job_state *)node;
        if (first && !is_equal_choice(first, job)) {
            break;
        }
        if (worker_avoids(worker, job->plan.id, now_us) || !job_has_for(job, worker) ||
            !worker_has_time(worker, job, now_us) || ranges_contains(&job->refused, worker->id) ||
            ((job->plan.need.labels & LABEL_UNNUMBERED) != 0 && !worker_has_labels(worker, job))) {
            unfit++;
            continue;
        }
        if (worker_has_inputs(worker, job->plan.inputs)) {
            return job;
        }
        int64_t until_us = job_held_back_us(scheduler, job, worker, now_us);
        if (until_us > 0 && held_back++ < HELD_BACK_MAX) {
            worker->due_us = until_us < worker->due_us ? until_us : worker->due_us;
            continue;
        }
        seen++;
        first = first ? first : job;
    }
    return first;
}

int worker_rank(const struct worker_state *worker, int64_t group)
{
    for (size_t i = 0; i < worker->group_count; i++) {
        if (worker->groups[i] == group) {
            return (int)i;
        }
    }
    return worker->group_count > 0 ? -1 : 0;
}

// Of the groups that the worker works for, those before it have nothing that fits.
static struct job_state *choose_of_own(const struct scheduler *scheduler,
                                       struct worker_state *worker, const struct resources *room)
{
    struct job_state *job = NULL;
    for (size_t i = 0; i < worker->group_count && !job; i++) {
        const struct group_state *group = map_find_int64(worker->place->groups, worker->groups[i]);
        if (group && group->node.is_in) {
            job = worker_choose_in(scheduler, &group->ready, worker, room);
        }
    }
    return job;
}

static struct job_state *choose(const struct scheduler *scheduler, struct worker_state *worker,
                                const struct resources *room)
{
    if (worker->pool) {
        return worker_choose_in(scheduler, &worker->pool->ready, worker, room);
    }
    if (worker->group_count > 0) {
        return choose_of_own(scheduler, worker, room);
    }
    struct fit_node *node = fit_tree_first_fit(&worker->place->groups_ready, room);
    for (; node; node = fit_node_next_fit(node, room)) {
        const struct group_state *group = (const struct group_state *)node;
        struct job_state *job = worker_choose_in(scheduler, &group->ready, worker, room);
        if (job) {
            return job;
        }
    }
    return NULL;
}

void worker_end_reservation(struct scheduler *scheduler, struct worker_state *worker)
{
    struct job_state *job = map_find_int64(scheduler->jobs, worker->reserved_for);
    if (job && job->reserved == worker->id) {
        job->reserved = 0;
    }
    promise_less(worker, job, worker->reserved_count);
    worker->promised_to = NULL;
    worker->reserved_for = 0;
}

// Smaller jobs must not keep a big one out for ever: a job that is first in line but finds no room, while others behind it do, gets
// a worker emptied for itself after a while. Returns whether `worker` is that worker from now on.
static bool reserves(struct scheduler *scheduler, struct worker_state *worker,
                     struct job_state *chosen, int64_t now_us)
{
    struct job_state *wanted = choose(scheduler, worker, &worker->capacity);
    if (!wanted || wanted == chosen) {
        return false;
    }
    if (wanted->passed_over_us == 0) {
        wanted->passed_over_us = now_us;
        return false;
    }
    int64_t patience_us = PATIENCE_TARGETS * scheduler->options.lease_target_us;
    if (wanted->reserved != 0 || now_us - wanted->passed_over_us < patience_us) {
        return false;
    }
    wanted->reserved = worker->id;
    worker->reserved_for = wanted->plan.id;
    return true;
}

// A group before that of the job for which the worker is being emptied has work for it by now.
static bool is_overtaken(const struct scheduler *scheduler, struct worker_state *worker,
                         const struct job_state *job)
{
    if (worker->group_count == 0) {
        return false;
    }
    const struct job_state *wanted = choose(scheduler, worker, &worker->capacity);
    return wanted && worker_rank(worker, wanted->plan.group) < worker_rank(worker, job->plan.group);
}

// The job that the worker gets next; NULL when there is none for its room.
static struct job_state *next_job(struct scheduler *scheduler, struct worker_state *worker,
                                  const struct resources *room, int64_t now_us)
{
    if (worker->reserved_for != 0) {
        struct job_state *job = map_find_int64(scheduler->jobs, worker->reserved_for);
        if (job && job->node.is_in && job_has_for(job, worker) &&
            resources_fit(&job->plan.need, &worker->capacity) &&
            worker_has_time(worker, job, now_us) && !is_overtaken(scheduler, worker, job)) {
            return resources_fit(&job->plan.need, room) ? job : NULL;
        }
        worker_end_reservation(scheduler, worker);
    }
    place_settle(worker->place);
    struct job_state *job = choose(scheduler, worker, room);
    return job && !reserves(scheduler, worker, job, now_us) ? job : NULL;
}

static void grant(struct scheduler *scheduler, struct worker_state *worker, struct job_state *job,
                  struct lease *out)
{
    int64_t size = lease_size(scheduler, worker, job);
    struct lease_state *lease = lease_open(scheduler, job, worker);
    (void)job_take(lease, size);
    job_refresh(job);
    start_if_it_fits(scheduler,
                     lease); // Those that wait did not fit before, so it is the only one that may.
    note_due(scheduler, lease, scheduler->now_us);
    job->passed_over_us = 0;
    if (worker->reserved_for == job->plan.id && worker->reserved_count > 1) {
        promise_less(worker, job, 1);
    } else if (worker->reserved_for == job->plan.id) {
        worker_end_reservation(scheduler, worker);
    }
    worker_remember_inputs(scheduler, worker, job->plan.inputs);
    *out = lease->lease;
}

size_t scheduler_lease(struct scheduler *scheduler, int64_t worker_id, int64_t now_us,
                       struct lease *out, size_t max)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, worker_id);
    if (!worker || worker->is_draining) {
        return 0;
    }
    scheduler_tell_time(scheduler, now_us);
    struct resources room = room_of(scheduler, worker, now_us);
    size_t count = 0;
    while (count < max) {
        struct job_state *job = next_job(scheduler, worker, &room, now_us);
        if (!job) {
            break;
        }
        grant(scheduler, worker, job, &out[count++]);
        room = resources_rest(&room, &job->plan.need);
    }
    return count;
}

int64_t scheduler_lease_again_us(const struct scheduler *scheduler, int64_t worker_id,
                                 int64_t now_us)
{
    const struct worker_state *worker = map_find_int64(scheduler->workers, worker_id);
    int64_t again_us = INT64_MAX;
    if (!worker || worker->is_draining || !worker->place->groups_ready.root) {
        return again_us;
    }
    if (worker->due_us > now_us) {
        again_us = worker->due_us;
    }
    for (size_t i = 0; i < AVOIDED_REMEMBERED; i++) {
        int64_t until_us = worker->avoided[i].until_us;
        if (until_us > now_us && until_us < again_us) {
            again_us = until_us;
        }
    }
    return again_us;
}

enum status scheduler_reattach(struct scheduler *scheduler, int64_t worker_id, int64_t job_id,
                               int64_t from, int64_t to, int64_t now_us, struct lease *out,
                               struct error *error)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, worker_id);
    struct job_state *job = map_find_int64(scheduler->jobs, job_id);
    if (!worker || !job) {
        return error_set(error, NOT_FOUND, "%s %lld is not known here", worker ? "job" : "worker",
                         (long long)(worker ? job_id : worker_id));
    }
    if (job->group->place != worker->place) {
        return error_set(error, NOT_FOUND, "job %lld is not for the place of worker %lld",
                         (long long)job_id, (long long)worker_id);
    }
    scheduler_tell_time(scheduler, now_us);
    from = from > 0 ? from : 0;
    to = to < job->plan.count ? to : job->plan.count;
    struct lease_state *lease = lease_open(scheduler, job, worker);
    if (from >= to || job_take_part(lease, from, to) == 0) {
        lease_close(scheduler, lease);
        return error_set(error, NOT_FOUND, "nothing of %lld-%lld is left to do in job %lld",
                         (long long)from, (long long)to, (long long)job_id);
    }
    lease->lease.from = from;
    lease->lease.to = to;
    worker->is_strained = true;
    worker_start_waiting(scheduler, worker);
    job_refresh(job);
    *out = lease->lease;
    return OK;
}
