// The scheduler's jobs, groups and workers: who comes, who goes, and what can be asked about them.
#include "jobs/scheduler.h"

#include "base/memory.h"
#include "jobs/state.h"

#include <assert.h>

static struct scheduler_options with_defaults(const struct scheduler_options *options)
{
    struct scheduler_options full = options ? *options : (struct scheduler_options){0};
    full.lease_timeout_us = full.lease_timeout_us > 0 ? full.lease_timeout_us : 5000000;
    full.idle_timeout_us = full.idle_timeout_us > 0 ? full.idle_timeout_us : 30000000;
    if (full.idle_timeout_us < full.lease_timeout_us) {
        full.idle_timeout_us = full.lease_timeout_us;
    }
    full.lease_target_us = full.lease_target_us > 0 ? full.lease_target_us : 500000;
    full.ahead_us = full.ahead_us > 0 ? full.ahead_us : 150000;
    return full;
}

// The place of that number, which is made when it is not known yet.
static struct place_state *place_get(struct scheduler *scheduler, int64_t number)
{
    struct place_state *place = map_find_int64(scheduler->places, number);
    if (!place) {
        place = NEW(struct place_state);
        place->number = number;
        place->scheduler = scheduler;
        place->groups = map_new();
        (void)map_set_int64(scheduler->places, number, place);
    }
    return place;
}

struct scheduler *scheduler_new(const struct scheduler_options *options)
{
    struct scheduler *scheduler = NEW(struct scheduler);
    scheduler->options = with_defaults(options);
    scheduler->jobs = map_new();
    scheduler->places = map_new();
    scheduler->weights = map_new();
    scheduler->workers = map_new();
    scheduler->leases = map_new();
    scheduler->holders = map_new();
    scheduler->pools = map_new();
    return scheduler;
}

// Frees what a job owns; its leases are gone already.
static void free_job(struct scheduler *scheduler, struct job_state *job)
{
    job_free_labels(scheduler, job);
    job_leave_pools(job);
    ranges_done(&job->done);
    ranges_done(&job->again);
    ranges_done(&job->held);
    ranges_done(&job->alone);
    ranges_done(&job->yielded);
    ranges_done(&job->refused);
    size_t at = 0;
    for (void *attempts; job->attempts && (attempts = map_next(job->attempts, &at));) {
        free(attempts);
    }
    map_free(job->attempts);
    free(job);
}

static void free_all(struct map *map)
{
    size_t at = 0;
    for (void *each; (each = map_next(map, &at));) {
        free(each);
    }
    map_free(map);
}

static void free_places(struct map *places)
{
    size_t at = 0;
    for (struct place_state *place; (place = map_next(places, &at));) {
        size_t group_at = 0;
        for (struct group_state *group; (group = map_next(place->groups, &group_at));) {
            free(group->name);
        }
        free_all(place->groups);
    }
    free_all(places);
}

void scheduler_free(struct scheduler *scheduler)
{
    if (!scheduler) {
        return;
    }
    size_t at = 0;
    for (struct lease_state *lease; (lease = map_next(scheduler->leases, &at));) {
        while (lease->pieces) {
            struct piece *next = lease->pieces->next;
            free(lease->pieces);
            lease->pieces = next;
        }
    }
    at = 0;
    for (struct job_state *job; (job = map_next(scheduler->jobs, &at));) {
        free_job(scheduler, job);
    }
    at = 0;
    for (struct worker_state *worker; (worker = map_next(scheduler->workers, &at));) {
        worker_free_labels(worker);
    }
    map_free(scheduler->jobs);
    free_all(scheduler->leases);
    free_places(scheduler->places);
    free_all(scheduler->weights);
    free_all(scheduler->workers);
    scheduler_free_holders(scheduler);
    scheduler_free_pools(scheduler);
    free(scheduler);
}

void scheduler_tell_time(struct scheduler *scheduler, int64_t now_us)
{
    scheduler->now_us = now_us > scheduler->now_us ? now_us : scheduler->now_us;
}

static struct group_state *group_get(struct scheduler *scheduler, int64_t place_number, int64_t id)
{
    struct place_state *place = place_get(scheduler, place_number);
    struct group_state *group = map_find_int64(place->groups, id);
    if (!group) {
        const double *weight = map_find_int64(scheduler->weights, id);
        group = NEW(struct group_state);
        group->id = id;
        group->place = place;
        group->weight = weight ? *weight : 1;
        (void)map_set_int64(place->groups, id, group);
    }
    return group;
}

enum status scheduler_add_job(struct scheduler *scheduler, const struct job_plan *plan,
                              const struct ranges *done, struct error *error)
{
    if (map_find_int64(scheduler->jobs, plan->id)) {
        return error_set(error, CONFLICT, "job %lld is scheduled already", (long long)plan->id);
    }
    struct job_state *job = NEW(struct job_state);
    job->plan = *plan;
    if (job->plan.need.cpu_millis < 1) {
        job->plan.need.cpu_millis = 1; // Else a worker would take any number of its leases.
    }
    job_take_labels(scheduler, job);
    job->group = group_get(scheduler, plan->place, plan->group);
    if (plan->group_name && !job->group->name) {
        job->group->name = memory_copy_string(plan->group_name);
    }
    job->plan.group_name = NULL; // The group has it.
    job->node.key = (struct fit_key){-(double)plan->priority, plan->submitted_us, plan->id};
    job->node.need = job->plan.need;
    (void)map_set_int64(scheduler->jobs, plan->id, job);
    job_join_pools(scheduler, job);
    for (size_t i = 0; done && i < done->count; i++) {
        int64_t from = done->items[i].from > 0 ? done->items[i].from : 0;
        int64_t to = done->items[i].to < plan->count ? done->items[i].to : plan->count;
        job->done_count += ranges_add(&job->done, from, to);
    }
    job_refresh(job);
    return OK;
}

void scheduler_remove_job(struct scheduler *scheduler, int64_t id)
{
    struct job_state *job = map_find_int64(scheduler->jobs, id);
    if (!job) {
        return;
    }
    job->is_held = true;
    job_refresh(job);
    (void)job_cut(scheduler, job, 0, job->plan.count, false);
    job_end_promises(scheduler, job);
    (void)map_set_int64(scheduler->jobs, id, NULL);
    free_job(scheduler, job);
}

void scheduler_hold(struct scheduler *scheduler, int64_t id, bool is_held)
{
    struct job_state *job = map_find_int64(scheduler->jobs, id);
    if (job) {
        job->is_held = is_held;
        job_refresh(job);
    }
}

void scheduler_move_job(struct scheduler *scheduler, int64_t id, int64_t place)
{
    struct job_state *job = map_find_int64(scheduler->jobs, id);
    if (!job || job->plan.place == place) {
        return;
    }
    assert(job->leased_count == 0);
    bool was_held = job->is_held;
    job->is_held = true;
    job_refresh(job);
    struct worker_state *reserved = map_find_int64(scheduler->workers, job->reserved);
    if (reserved) {
        worker_end_reservation(scheduler, reserved);
    }
    job_end_promises(scheduler, job);
    job->plan.place = place;
    job->group = group_get(scheduler, place, job->plan.group);
    job->is_held = was_held;
    job_refresh(job);
}

void scheduler_set_group_weight(struct scheduler *scheduler, int64_t id, double weight)
{
    double *known = map_find_int64(scheduler->weights, id);
    if (!known) {
        known = NEW(double);
        (void)map_set_int64(scheduler->weights, id, known);
    }
    *known = weight > 1e-6 ? weight : 1e-6;
    size_t at = 0;
    for (const struct place_state *place; (place = map_next(scheduler->places, &at));) {
        struct group_state *group = map_find_int64(place->groups, id);
        if (group) {
            group->weight = *known;
            group_refresh(group);
        }
    }
}

void scheduler_add_worker(struct scheduler *scheduler, int64_t id, int64_t place,
                          const struct resources *capacity, int64_t now_us)
{
    scheduler_tell_time(scheduler, now_us);
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (worker) {
        if (!worker->is_draining) {
            load_add(&worker->place->total, &worker->capacity, -1);
        }
        heard_unlink(scheduler, worker);
        worker->is_strained = true;
    } else {
        worker = NEW(struct worker_state);
        worker->id = id;
        worker->end_us = INT64_MAX;
        worker->place = place_get(scheduler, place);
        worker->place->worker_count++;
        (void)map_set_int64(scheduler->workers, id, worker);
    }
    worker->capacity = *capacity;
    worker_refresh_labels(scheduler, worker);
    worker->heard_us = now_us;
    heard_link(scheduler, worker);
    if (!worker->is_draining) {
        load_add(&worker->place->total, &worker->capacity, 1);
    }
    place_follow_total(worker->place);
    worker_start_waiting(scheduler, worker);
}

void scheduler_set_worker_groups(struct scheduler *scheduler, int64_t id, const int64_t *groups,
                                 size_t count)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (!worker) {
        return;
    }
    worker->group_count = count < WORKER_GROUPS_MAX ? count : WORKER_GROUPS_MAX;
    for (size_t i = 0; i < worker->group_count; i++) {
        worker->groups[i] = groups[i];
    }
    worker_end_reservation(scheduler, worker);
}

void scheduler_refuse(struct scheduler *scheduler, int64_t worker, int64_t job)
{
    struct worker_state *state = map_find_int64(scheduler->workers, worker);
    struct job_state *refused = map_find_int64(scheduler->jobs, job);
    if (!state || !refused) {
        return;
    }
    (void)ranges_add(&refused->refused, worker, worker + 1);
    if (state->reserved_for == job) {
        worker_end_reservation(scheduler, state);
    }
}

void scheduler_drain_worker(struct scheduler *scheduler, int64_t id, bool is_draining)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (worker && worker->is_draining != is_draining) {
        worker->is_draining = is_draining;
        worker_end_reservation(scheduler, worker);
        load_add(&worker->place->total, &worker->capacity, is_draining ? -1 : 1);
        place_follow_total(worker->place);
    }
}

void scheduler_remove_worker(struct scheduler *scheduler, int64_t id, bool is_lost, int64_t now_us,
                             struct loss_list *losses)
{
    scheduler_tell_time(scheduler, now_us);
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (!worker) {
        return;
    }
    struct loss_list fronts = {0};
    if (is_lost) {
        worker_blame_fronts(scheduler, worker, &fronts);
    }
    scheduler_drain_worker(scheduler, id, true);
    while (!worker_is_idle(worker)) { // Giving back what runs starts what waits, and so on.
        struct lease_state *lease = worker->started.first;
        lease_give_back(scheduler, lease ? lease : worker->waiting.first, 0, INT64_MAX);
    }
    losses_settle(scheduler, &fronts);
    for (size_t i = 0; i < fronts.count; i++) {
        loss_list_append(losses, &fronts.items[i]);
    }
    loss_list_done(&fronts);
    heard_unlink(scheduler, worker);
    worker_forget_inputs(scheduler, worker);
    worker_leave_pool(scheduler, worker);
    worker->place->worker_count--;
    (void)map_set_int64(scheduler->workers, id, NULL);
    worker_free_labels(worker);
    free(worker);
}

bool scheduler_is_complete(const struct scheduler *scheduler, int64_t id)
{
    const struct job_state *job = map_find_int64(scheduler->jobs, id);
    return job && job->done_count == job->plan.count;
}

bool scheduler_figures(const struct scheduler *scheduler, int64_t id, struct job_figures *out)
{
    const struct job_state *job = map_find_int64(scheduler->jobs, id);
    if (!job) {
        return false;
    }
    *out = (struct job_figures){
        .done = job->done_count,
        .leased = job->leased_count,
        .running = job->started_count,
        .waiting = job_waiting(job),
        .alone = job->alone_count,
        .held = job->held_count,
        .mean_wall_us = (int64_t)(job->mean_wall_us + 0.5),
    };
    return true;
}

enum task_place scheduler_find_task(const struct scheduler *scheduler, struct task_id task,
                                    struct lease *lease)
{
    const struct job_state *job = map_find_int64(scheduler->jobs, task.job);
    if (!job || task.index < 0 || task.index >= job->plan.count) {
        return TASK_UNKNOWN;
    }
    if (ranges_contains(&job->done, task.index)) {
        return TASK_FINISHED;
    }
    if (ranges_contains(&job->held, task.index)) {
        return TASK_HELD;
    }
    const struct piece *piece = job_find_piece(job, task.index);
    if (!piece) {
        return TASK_WAITING;
    }
    *lease = piece->lease->lease;
    return TASK_LEASED;
}

int64_t scheduler_worker_running(const struct scheduler *scheduler, int64_t id)
{
    const struct worker_state *worker = map_find_int64(scheduler->workers, id);
    int64_t count = 0;
    for (const struct lease_state *at = worker ? worker->started.first : NULL; at; at = at->next) {
        count++;
    }
    return count;
}

bool scheduler_next_running(const struct scheduler *scheduler, int64_t job, int64_t from,
                            int64_t *index, struct lease *lease)
{
    const struct job_state *state = map_find_int64(scheduler->jobs, job);
    const struct piece *piece = state ? job_piece_from(state, from) : NULL;
    while (piece && !(piece->lease->is_started && piece->lease->pieces == piece)) {
        piece = job_piece_next(piece);
    }
    if (piece) {
        *index = piece->node.key.second;
        *lease = piece->lease->lease;
    }
    return piece != NULL;
}

bool scheduler_find_lease(const struct scheduler *scheduler, int64_t id, struct lease *out)
{
    const struct lease_state *lease = map_find_int64(scheduler->leases, id);
    if (lease) {
        *out = lease->lease;
    }
    return lease != NULL;
}
