// Leases that are given up for others: tasks with checkpoints lose nothing, so where their group has more than its share they need not run
// to their end before a group that waits gets its own.
//
// Workers that run such tasks stand in a ring, and each call looks at the next WORKERS_A_LOOK of it. For each it asks whom the worker would
// take if all of these tasks were gone, as for any lease, of the first GROUPS_A_WORKER groups; for the first of these that may have it, it
// takes no more than that one needs, and holds the room for it. An exchange leaves the one who gives no smaller than the one who gets, by
// their weights: so none can be followed by its opposite.
#include "jobs/state.h"

enum {
    WORKERS_A_LOOK = 256,  // In one call.
    GROUPS_A_WORKER = 4,   // That wait, from the poorest on: one choice among the jobs of each.
    LEASES_A_WORKER = 64,  // The newest of a worker that may be given up.
    CHECKPOINTS_LEAST = 2, // A task is to have stored one after so many intervals.
};
// A task that gave up its cores before keeps them as long, or for AGAIN_MAX_US; any other one for RAN_LEAST_US.
#define AGAIN_MAX_US INT64_C(600000000)
#define RAN_LEAST_US INT64_C(10000000)
#define WAIT_US INT64_C(2000000) // A group waits at least so long for room that comes by itself.
#define SERVED_WEIGHT 1.5        // Of the share of one to which it does.
#define LOOK_GAP_US INT64_C(15000000) // Behind such a gap it waits anew.
// A worker that has not done what it was asked for so long does not know how, or was not reached.
#define OPEN_US INT64_C(60000000)

// What one worker can do for the job that it would take next.
struct look {
    struct scheduler *scheduler;
    struct worker_state *worker;
    struct job_state *wanted;
    struct resources room; // That it has, less what is held for the job already.
    struct resources all;  // And what it would have without these leases.
    struct lease_state *leases[LEASES_A_WORKER]; // That may be given up, the newest first.
    size_t count;
    double richest; // The largest share of their groups.
    double weight;  // Of the share of the wanted job's group.
    struct lease *out;
    size_t out_count;
    size_t out_max;
};

static void ring_enter(struct scheduler *scheduler, struct worker_state *worker)
{
    struct worker_state *hand = scheduler->yield_hand;
    scheduler->yield_hand = hand ? hand : worker;
    worker->ring_next = hand ? hand : worker;
    worker->ring_previous = hand ? hand->ring_previous : worker;
    worker->ring_next->ring_previous = worker;
    worker->ring_previous->ring_next = worker;
    scheduler->ring_count++;
}

static void ring_leave(struct scheduler *scheduler, struct worker_state *worker)
{
    struct worker_state *next = worker->ring_next;
    worker->ring_previous->ring_next = next;
    next->ring_previous = worker->ring_previous;
    if (scheduler->yield_hand == worker) {
        scheduler->yield_hand = next == worker ? NULL : next;
    }
    worker->ring_next = NULL;
    worker->ring_previous = NULL;
    scheduler->ring_count--;
}

static void mark(struct lease_state *lease)
{
    lease->is_yielding = true;
    lease->worker->yielding_count++;
    load_add(&lease->job->group->yielding, &lease->job->plan.need, 1);
}

static void unmark(struct lease_state *lease)
{
    lease->is_yielding = false;
    lease->worker->yielding_count--;
    load_add(&lease->job->group->yielding, &lease->job->plan.need, -1);
}

void yield_note_start(struct scheduler *scheduler, struct lease_state *lease)
{
    struct worker_state *worker = lease->worker;
    if (worker->place->number == 0 && worker->resumable_count++ == 0) {
        ring_enter(scheduler, worker);
    }
}

void yield_note_end(struct scheduler *scheduler, struct lease_state *lease)
{
    struct worker_state *worker = lease->worker;
    if (lease->is_yielding) {
        unmark(lease);
    }
    if (worker->place->number == 0 && --worker->resumable_count == 0) {
        ring_leave(scheduler, worker);
    }
}

// A group's share when all is done that is asked for, and with so much more or less.
static double share_with(const struct group_state *group, const struct resources *need, double sign)
{
    struct load load = group->running;
    load.cpu_millis += group->promised.cpu_millis - group->yielding.cpu_millis;
    load.memory_bytes += group->promised.memory_bytes - group->yielding.memory_bytes;
    load.disk_bytes += group->promised.disk_bytes - group->yielding.disk_bytes;
    load_add(&load, need, sign);
    return load_share(group, &load);
}

// Whatever is given up, the task gets further each time that it runs; and what has stored nothing when it should have is not trusted to.
static bool may_yield(const struct lease_state *lease, int64_t now_us)
{
    const struct job_plan *plan = &lease->job->plan;
    int64_t most_us = INT64_MAX / CHECKPOINTS_LEAST;
    int64_t some_us =
        CHECKPOINTS_LEAST * (plan->checkpoint_us < most_us ? plan->checkpoint_us : most_us);
    int64_t again_us = some_us < AGAIN_MAX_US ? some_us : AGAIN_MAX_US;
    int64_t ran_us = now_us - lease->heard_us;
    if (plan->checkpoint_us == 0 || lease->is_asked || ran_us < RAN_LEAST_US) {
        return false;
    }
    if (lease->has_yielded) {
        return lease->has_stored && ran_us >= again_us;
    }
    return lease->has_stored || ran_us < some_us;
}

void scheduler_note_checkpoint(struct scheduler *scheduler, struct task_id task)
{
    const struct job_state *job = map_find_int64(scheduler->jobs, task.job);
    const struct piece *piece = job ? job_find_piece(job, task.index) : NULL;
    if (piece) {
        piece->lease->has_stored = true;
    }
}

// Is the worker at it still, with what it was asked before?
static bool is_open(struct scheduler *scheduler, struct worker_state *worker)
{
    if (worker->yielding_count == 0 && !worker->promised_to) {
        return false;
    }
    if (scheduler->now_us - worker->asked_us < OPEN_US) {
        return true;
    }
    if (worker->promised_to) {
        worker_end_reservation(scheduler, worker);
    }
    for (struct lease_state *lease = worker->started.first; lease; lease = lease->next) {
        if (lease->is_yielding) {
            unmark(lease);
        }
    }
    return false;
}

// Finds what the worker may give up.
static void find_leases(struct look *look)
{
    struct scheduler *scheduler = look->scheduler;
    struct worker_state *worker = look->worker;
    struct resources held = resources_sum(&worker->started.need, &worker->waiting.need);
    look->room = resources_rest(&worker->capacity, &held);
    look->all = look->room;
    for (struct lease_state *lease = worker->started.last; lease; lease = lease->previous) {
        const struct job_state *job = lease->job;
        if (lease_is_nearly_done(scheduler, lease, scheduler->now_us)) {
            look->room = resources_sum(&look->room, &job->plan.need);
            look->all = resources_sum(&look->all, &job->plan.need);
        } else if (look->count < LEASES_A_WORKER && may_yield(lease, scheduler->now_us)) {
            double share = group_share(job->group);
            look->richest = share > look->richest ? share : look->richest;
            look->all = resources_sum(&look->all, &job->plan.need);
            look->leases[look->count++] = lease;
        }
    }
}

// How the worker's own order has it: below 0, the job's group comes first there; above, the lease's; 0: their shares decide.
static int order_of(const struct worker_state *worker, const struct job_state *job,
                    const struct lease_state *lease)
{
    if (worker->pool || worker->group_count == 0) {
        return 0;
    }
    int of_lease = worker_rank(worker, lease->job->plan.group);
    // What it has of a group for which it works no more comes last.
    return of_lease < 0 ? -1 : worker_rank(worker, job->plan.group) - of_lease;
}

// The lease whose group has most without it, and no less than `share` (but for groups that come later there); of one group the least
// urgent, then the newest. NULL: there is none.
static struct lease_state *find_richest(const struct look *look, double share)
{
    struct lease_state *best = NULL;
    double best_rest = 0;
    for (size_t i = 0; i < look->count; i++) {
        struct lease_state *lease = look->leases[i];
        const struct job_state *job = lease->job;
        int order = order_of(look->worker, look->wanted, lease);
        double rest = share_with(job->group, &job->plan.need, -1);
        // Of the wanted job's own group that is always less.
        if (lease->is_yielding || order > 0 || (order == 0 && rest < share)) {
            continue;
        }
        if (!best || rest > best_rest ||
            (rest == best_rest && job->plan.priority < best->job->plan.priority)) {
            best = lease;
            best_rest = rest;
        }
    }
    return best;
}

static void unmark_all(struct lease_state *const *leases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unmark(leases[i]);
    }
}

// Marks leases until one more task of the wanted job would fit; returns how many, 0 when that cannot be.
static size_t mark_enough(struct look *look, struct lease_state **marked, struct resources *room)
{
    const struct resources *need = &look->wanted->plan.need;
    double share = share_with(look->wanted->group, need, 1) * look->weight;
    size_t max = look->out_max - look->out_count;
    size_t count = 0;
    while (!resources_fit(need, room)) {
        struct lease_state *lease = count < max ? find_richest(look, share) : NULL;
        if (!lease) {
            unmark_all(marked, count);
            return 0;
        }
        mark(lease);
        marked[count++] = lease;
        *room = resources_sum(room, &lease->job->plan.need);
    }
    for (size_t i = count; i-- > 0;) { // What is not needed with those that came behind it.
        struct resources less = resources_rest(room, &marked[i]->job->plan.need);
        if (resources_fit(need, &less)) {
            unmark(marked[i]);
            marked[i] = marked[--count];
            *room = less;
        }
    }
    return count;
}

static void promise(struct look *look)
{
    struct worker_state *worker = look->worker;
    struct job_state *job = look->wanted;
    worker->reserved_for = job->plan.id;
    worker->reserved_count++;
    worker->promised_to = job->group;
    worker->promised_need = job->plan.need;
    worker->asked_us = look->scheduler->now_us;
    job->promised++;
    load_add(&job->group->promised, &job->plan.need, 1);
    look->room = resources_rest(&look->room, &job->plan.need);
}

// Has leases given up for one more task of the wanted job: all that it needs, or none. False: none.
static bool yield_for_one(struct look *look)
{
    struct lease_state *marked[LEASES_A_WORKER];
    struct resources room = look->room;
    size_t count = mark_enough(look, marked, &room);
    if (count == 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t index = marked[i]->pieces->node.key.second;
        marked[i]->is_asked = true;
        (void)ranges_add(&marked[i]->job->yielded, index, index + 1);
        look->out[look->out_count++] = marked[i]->lease;
    }
    look->room = room;
    promise(look);
    return true;
}

// How heavily the group's share weighs when others are to give up some for it; 0: it has not waited for long enough. A group to which room
// comes by itself meanwhile is left well below the others: while its tasks come and go it has less for moments.
static double weight_of(struct group_state *group, int64_t now_us)
{
    bool is_new = group->looked_us == 0 || now_us - group->looked_us > LOOK_GAP_US;
    if (is_new || now_us - group->window_us >= WAIT_US) {
        group->served_before = is_new ? -1 : group->served_then;
        group->served_then = group->served;
        group->window_us = now_us;
    }
    group->looked_us = now_us;
    if (group->served_before < 0) {
        return 0;
    }
    return group->served_before != group->served ? SERVED_WEIGHT : 1;
}

// Has leases given up for the first of these jobs that the worker would take. True: there is nothing more to look for, as that was done,
// or as there is room for that job and it gets it by itself.
static bool yield_for(struct look *look, const struct fit_tree *ready)
{
    struct job_state *job = worker_choose_in(look->scheduler, ready, look->worker, &look->all);
    bool is_any = false;
    look->wanted = job;
    if (!job || (look->worker->reserved_for != 0 && look->worker->reserved_for != job->plan.id)) {
        return false;
    }
    if (resources_fit(&job->plan.need, &look->room)) {
        return true;
    }
    look->weight = weight_of(job->group, look->scheduler->now_us);
    while (look->weight > 0 && job_waiting(job) > job->promised && yield_for_one(look)) {
        is_any = true;
    }
    return is_any;
}

static void yield_of_worker(struct look *look)
{
    const struct worker_state *worker = look->worker;
    find_leases(look);
    if (look->count == 0) {
        return;
    }
    if (worker->pool) {
        (void)yield_for(look, &worker->pool->ready);
        return;
    }
    for (size_t i = 0; i < worker->group_count; i++) {
        const struct group_state *group = map_find_int64(worker->place->groups, worker->groups[i]);
        if (group && group->node.is_in && yield_for(look, &group->ready)) {
            return;
        }
    }
    const struct fit_node *node =
        worker->group_count > 0 ? NULL
                                : fit_tree_first_fit(&worker->place->groups_ready, &look->all);
    for (int i = 0; i < GROUPS_A_WORKER && node; i++) {
        const struct group_state *group = (const struct group_state *)node;
        if (group_share(group) < look->richest && yield_for(look, &group->ready)) {
            return;
        }
        node = fit_node_next_fit(node, &look->all);
    }
}

size_t scheduler_yields(struct scheduler *scheduler, int64_t now_us, struct lease *out, size_t max)
{
    const struct place_state *here = map_find_int64(scheduler->places, 0);
    int64_t ring_count = scheduler->ring_count;
    size_t count = 0;
    scheduler_tell_time(scheduler, now_us);
    if (!here || !here->groups_ready.root) {
        return 0;
    }
    for (int64_t i = 0; i < ring_count && i < WORKERS_A_LOOK && count < max; i++) {
        struct worker_state *worker = scheduler->yield_hand;
        scheduler->yield_hand = worker->ring_next;
        if (!worker->is_draining && !is_open(scheduler, worker)) {
            struct look look = {.scheduler = scheduler,
                                .worker = worker,
                                .out = out,
                                .out_count = count,
                                .out_max = max};
            yield_of_worker(&look);
            count = look.out_count;
        }
    }
    return count;
}

void promise_less(struct worker_state *worker, struct job_state *job, int64_t count)
{
    if (worker->promised_to) {
        load_add(&worker->promised_to->promised, &worker->promised_need, -(double)count);
        job->promised -= count;
    }
    worker->reserved_count -= count;
}

void job_end_promises(struct scheduler *scheduler, const struct job_state *job)
{
    size_t at = 0;
    for (struct worker_state *worker;
         job->promised > 0 && (worker = map_next(scheduler->workers, &at)) != NULL;) {
        if (worker->reserved_for == job->plan.id && worker->promised_to) {
            worker_end_reservation(scheduler, worker);
        }
    }
}

// What is being given up for the job.
struct given_up {
    int64_t count;
    const struct group_state *group; // Of the first.
    bool is_of_several;
    bool is_by_order; // The worker's own.
};

static struct given_up find_given_up(const struct scheduler *scheduler, const struct job_state *job)
{
    struct given_up found = {0};
    size_t at = 0;
    for (const struct worker_state *worker; (worker = map_next(scheduler->workers, &at)) != NULL;) {
        const struct lease_state *lease =
            worker->reserved_for == job->plan.id ? worker->started.first : NULL;
        for (; lease; lease = lease->next) {
            if (lease->is_yielding) {
                found.count++;
                found.group = found.group ? found.group : lease->job->group;
                found.is_of_several = found.is_of_several || found.group != lease->job->group;
                found.is_by_order = found.is_by_order || order_of(worker, job, lease) < 0;
            }
        }
    }
    return found;
}

bool yield_explain(const struct scheduler *scheduler, const struct job_state *job,
                   struct buffer *why)
{
    const struct given_up found = find_given_up(scheduler, job);
    if (found.count == 0) {
        return false;
    }
    buffer_printf(why, "%lld task%s of ", (long long)found.count, found.count == 1 ? "" : "s");
    if (found.is_of_several) {
        buffer_append_string(why, "other groups");
    } else {
        buffer_append_string(why, "group ");
        group_write_name(found.group, why);
    }
    const char *reason = found.is_by_order     ? "for which it works after this job's"
                         : found.is_of_several ? "which have more than their shares"
                                               : "which has more than its share";
    buffer_printf(why, "%s, %s, %s cores for it", found.is_by_order ? " of their worker" : "",
                  reason, found.count == 1 ? "is giving up its" : "are giving up their");
    return true;
}

#define WHY_TEXT                                                                                   \
    "for another group, as its own has more than its share or comes after that one there, and "    \
    "goes on from its last checkpoint"

void yield_explain_lease(const struct lease_state *lease, struct buffer *why)
{
    if (lease->is_yielding) {
        buffer_append_string(why, "; it gives up its cores " WHY_TEXT);
    }
}

void yield_explain_waiting(const struct job_state *job, int64_t index, struct buffer *why)
{
    if (ranges_contains(&job->yielded, index)) {
        buffer_append_string(why, "it gave up its cores " WHY_TEXT "; ");
    }
}
