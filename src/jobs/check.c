// Do the books agree with each other? For tests and the simulator: looks at everything.
#include "jobs/state.h"

#include <math.h>

static enum status check_disjoint(struct ranges *all, int64_t from, int64_t to, int64_t job,
                                  const char *place, struct error *error)
{
    if (from >= to || ranges_add(all, from, to) != to - from) {
        return error_set(error, CORRUPT, "job %lld: %lld-%lld is %s and elsewhere too",
                         (long long)job, (long long)from, (long long)to, place);
    }
    return OK;
}

// Is each index in exactly one place, and are the counts of the places right?
static enum status check_places(const struct job_state *job, struct ranges *all,
                                struct error *error)
{
    int64_t id = job->plan.id;
    int64_t leased = 0;
    for (size_t i = 0; i < job->done.count; i++) {
        const struct range *each = &job->done.items[i];
        TRY(check_disjoint(all, each->from, each->to, id, "done", error));
    }
    for (size_t i = 0; i < job->again.count; i++) {
        const struct range *each = &job->again.items[i];
        TRY(check_disjoint(all, each->from, each->to, id, "to run again", error));
    }
    for (size_t i = 0; i < job->alone.count; i++) {
        const struct range *each = &job->alone.items[i];
        TRY(check_disjoint(all, each->from, each->to, id, "on its last chance", error));
    }
    for (size_t i = 0; i < job->held.count; i++) {
        const struct range *each = &job->held.items[i];
        TRY(check_disjoint(all, each->from, each->to, id, "held", error));
    }
    for (struct fit_node *node = fit_tree_first(&job->pieces); node; node = fit_node_next(node)) {
        const struct piece *piece = (const struct piece *)node;
        TRY(check_disjoint(all, node->key.second, piece->to, id, "leased", error));
        leased += piece->to - node->key.second;
    }
    struct range gap;
    int64_t cursor = job->cursor;
    while (ranges_first_gap(&job->done, cursor, job->plan.count, &gap)) {
        TRY(check_disjoint(all, gap.from, gap.to, id, "untouched", error));
        cursor = gap.to;
    }
    if (ranges_total(all) != job->plan.count || leased != job->leased_count ||
        ranges_total(&job->done) != job->done_count ||
        ranges_total(&job->held) != job->held_count ||
        ranges_total(&job->alone) != job->alone_count) {
        return error_set(error, CORRUPT, "job %lld: %lld of %lld indices, %lld leased not %lld",
                         (long long)id, (long long)ranges_total(all), (long long)job->plan.count,
                         (long long)leased, (long long)job->leased_count);
    }
    return OK;
}

static enum status check_pools(const struct job_state *job, struct error *error)
{
    for (const struct pool_entry *entry = job->entries; entry; entry = entry->next) {
        bool is_here = job->node.is_in && job->plan.place == 0;
        if (entry->job != job || entry->node.is_in != is_here ||
            !fit_tree_is_sound(&entry->pool->ready)) {
            return error_set(error, CORRUPT, "job %lld is out of order in a pool",
                             (long long)job->plan.id);
        }
    }
    return OK;
}

static enum status check_job(const struct job_state *job, struct error *error)
{
    struct ranges all = {0};
    enum status status = check_places(job, &all, error);
    ranges_done(&all);
    TRY(status);
    bool is_ready = !job->is_held && job_waiting(job) > 0;
    if (job->plan.place != job->group->place->number) {
        return error_set(error, CORRUPT, "job %lld is at the wrong place", (long long)job->plan.id);
    }
    if (is_ready != job->node.is_in || !fit_tree_is_sound(&job->pieces)) {
        return error_set(error, CORRUPT, "job %lld is in the wrong tree", (long long)job->plan.id);
    }
    return check_pools(job, error);
}

static enum status check_lease(const struct lease_state *lease, struct error *error)
{
    int64_t left = 0;
    for (const struct piece *piece = lease->pieces; piece; piece = piece->next) {
        left += piece->to - piece->node.key.second;
        if (piece->lease != lease || (piece->next && piece->next->node.key.second < piece->to)) {
            return error_set(error, CORRUPT, "lease %lld: its pieces are out of order",
                             (long long)lease->lease.id);
        }
    }
    if (left <= 0 || left != lease->left) {
        return error_set(error, CORRUPT, "lease %lld has %lld tasks left, its pieces %lld",
                         (long long)lease->lease.id, (long long)lease->left, (long long)left);
    }
    return OK;
}

// What is asked of a worker's leases and held for others, as the worker counts it.
static enum status check_yields(const struct worker_state *worker, struct error *error)
{
    int64_t yielding = 0;
    int64_t resumable = 0;
    for (const struct lease_state *lease = worker->started.first; lease; lease = lease->next) {
        yielding += lease->is_yielding;
        resumable += lease->job->plan.checkpoint_us > 0 && worker->place->number == 0;
    }
    if (yielding != worker->yielding_count || resumable != worker->resumable_count ||
        (resumable > 0) != (worker->ring_next != NULL) ||
        (worker->promised_to && worker->reserved_count <= 0)) {
        return error_set(error, CORRUPT, "worker %lld: %lld of %lld leases are given up, not %lld",
                         (long long)worker->id, (long long)yielding, (long long)resumable,
                         (long long)worker->yielding_count);
    }
    return OK;
}

// Checks one of a worker's lists; adds its needs to those of all groups.
static enum status check_list(const struct worker_state *worker, const struct lease_list *list,
                              struct load *running, struct error *error)
{
    struct resources need = {0};
    int64_t alone = 0;
    for (const struct lease_state *lease = list->first; lease; lease = lease->next) {
        TRY(check_lease(lease, error));
        alone += lease->is_alone;
        need = resources_sum(&need, &lease->job->plan.need);
        if (lease->job->group->place != worker->place) {
            return error_set(error, CORRUPT, "lease %lld crosses from place %lld to place %lld",
                             (long long)lease->lease.id,
                             (long long)lease->job->group->place->number,
                             (long long)worker->place->number);
        }
        if (lease->worker != worker || lease->is_started != (list == &worker->started)) {
            return error_set(error, CORRUPT, "lease %lld is in the wrong list",
                             (long long)lease->lease.id);
        }
    }
    if (need.cpu_millis != list->need.cpu_millis || need.memory_bytes != list->need.memory_bytes ||
        need.disk_bytes != list->need.disk_bytes) {
        return error_set(error, CORRUPT, "worker %lld: its sums do not fit its leases",
                         (long long)worker->id);
    }
    if (alone > worker->alone_count || worker->alone_count > 1) {
        return error_set(error, CORRUPT, "worker %lld has %lld tasks on their last chance",
                         (long long)worker->id, (long long)worker->alone_count);
    }
    load_add(running, &need, 1);
    return OK;
}

// What has started fits, and what waits at the worker fits once more: it was given for what was nearly done. Leases taken back after
// a restart and a lowered capacity may hold more, but then nothing was given since.
static enum status check_worker(const struct worker_state *worker, struct load *running,
                                struct error *error)
{
    TRY(check_list(worker, &worker->started, running, error));
    TRY(check_list(worker, &worker->waiting, running, error));
    TRY(check_yields(worker, error));
    if (!worker->is_strained && (!resources_fit(&worker->started.need, &worker->capacity) ||
                                 !resources_fit(&worker->waiting.need, &worker->capacity))) {
        return error_set(error, CORRUPT, "worker %lld has more than its capacity",
                         (long long)worker->id);
    }
    return OK;
}

static enum status check_place(const struct place_state *place, struct load *running,
                               struct error *error)
{
    size_t at = 0;
    for (const struct group_state *group; (group = map_next(place->groups, &at));) {
        bool is_ready = group->ready.root != NULL;
        bool is_in_order =
            !is_ready || (group->node.key.first == group->share + group->had &&
                          group->share == group_share(group) &&
                          group->node.need.cpu_millis == group->ready.root->least.cpu_millis);
        if (group->place != place || group->node.is_in != is_ready ||
            !fit_tree_is_sound(&group->ready) || !is_in_order) {
            return error_set(error, CORRUPT, "group %lld is out of order", (long long)group->id);
        }
        running->cpu_millis -= group->running.cpu_millis;
        running->memory_bytes -= group->running.memory_bytes;
    }
    if (!fit_tree_is_sound(&place->groups_ready)) {
        return error_set(error, CORRUPT, "the groups of place %lld are out of order",
                         (long long)place->number);
    }
    if (fabs(running->cpu_millis) > 0.5 || fabs(running->memory_bytes) > 1e6) {
        return error_set(error, CORRUPT,
                         "what the groups of place %lld run is off by %.0f cpu_millis, %.0f bytes",
                         (long long)place->number, running->cpu_millis, running->memory_bytes);
    }
    return OK;
}

// Looks at all workers of the place and at its groups.
static enum status check_all_of_place(const struct scheduler *scheduler,
                                      const struct place_state *place, struct error *error)
{
    size_t at = 0;
    int64_t workers = 0;
    struct load running = {0};
    for (const struct worker_state *worker; (worker = map_next(scheduler->workers, &at));) {
        if (worker->place == place) {
            TRY(check_worker(worker, &running, error));
            workers++;
        }
    }
    if (workers != place->worker_count) {
        return error_set(error, CORRUPT, "place %lld has %lld workers, not %lld",
                         (long long)place->number, (long long)workers,
                         (long long)place->worker_count);
    }
    return check_place(place, &running, error);
}

// Are the sums of what is given up what its leases and workers say?
static enum status check_given_up(const struct scheduler *scheduler, struct error *error)
{
    double yielding = 0;
    double promised = 0;
    int64_t tasks = 0;
    size_t at = 0;
    for (const struct lease_state *lease; (lease = map_next(scheduler->leases, &at));) {
        yielding += lease->is_yielding ? (double)lease->job->plan.need.cpu_millis : 0;
    }
    at = 0;
    for (const struct worker_state *worker; (worker = map_next(scheduler->workers, &at));) {
        int64_t count = worker->promised_to ? worker->reserved_count : 0;
        promised += (double)(count * worker->promised_need.cpu_millis);
        tasks += count;
    }
    at = 0;
    for (const struct job_state *job; (job = map_next(scheduler->jobs, &at));) {
        tasks -= job->promised;
    }
    const struct place_state *here = map_find_int64(scheduler->places, 0);
    at = 0;
    for (const struct group_state *group; here && (group = map_next(here->groups, &at));) {
        yielding -= group->yielding.cpu_millis;
        promised -= group->promised.cpu_millis;
    }
    if (fabs(yielding) > 0.5 || fabs(promised) > 0.5 || tasks != 0) {
        return error_set(error, CORRUPT,
                         "what is given up is off by %.0f cpu_millis, what for by %.0f, of %lld "
                         "tasks",
                         yielding, promised, (long long)tasks);
    }
    return OK;
}

enum status scheduler_check(const struct scheduler *scheduler, struct error *error)
{
    size_t at = 0;
    for (const struct job_state *job; (job = map_next(scheduler->jobs, &at));) {
        TRY(check_job(job, error));
    }
    at = 0;
    for (const struct place_state *place; (place = map_next(scheduler->places, &at));) {
        TRY(check_all_of_place(scheduler, place, error));
    }
    return check_given_up(scheduler, error);
}
