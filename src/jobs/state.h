// The scheduler's books, shared by the files of this folder only.
//
// Each index of a job is in exactly one place: finished (done), to run again (again), on its last chance (alone), held, in a piece of a
// lease, or untouched (at or after the cursor and not done).
//
// When a worker is lost, whatever it ran is suspected, however innocent. So a task that would be held if it were lost once more runs
// beside no other such task: when it is held, none but it had been suspected so often. Waiting are those of `again` and the untouched ones.
#ifndef LODE_JOBS_STATE_H
#define LODE_JOBS_STATE_H

#include "base/map.h"
#include "jobs/fit_tree.h"
#include "jobs/scheduler.h"

// Labels that jobs require are told apart by bits, so that a worker passes over jobs that it cannot run without looking at each. Those that
// have found no bit share the last one, which every worker has, and are compared as texts. The one before it is asked for by all jobs but
// spare ones, and all workers have it but those that are for spare ones alone.
enum { LABEL_BITS = 62 };
#define LABEL_NOT_SPARE (UINT64_C(1) << LABEL_BITS)
#define LABEL_UNNUMBERED (UINT64_C(1) << (LABEL_BITS + 1))
struct label_bit {
    char *text; // NULL: it is free.
    int64_t uses;
};

enum { INPUTS_REMEMBERED = 8, AVOIDED_REMEMBERED = 4 };

// Sums over many workers; exact below 2^53.
struct load {
    double cpu_millis;
    double memory_bytes;
    double disk_bytes;
};

// Unfinished indices [node.key.second, to) of one lease, in its job's tree of pieces.
struct piece {
    struct fit_node node; // First: a node's address is its piece's.
    int64_t to;
    struct lease_state *lease;
    struct piece *next; // Of the same lease, ascending.
};

// What is looked at for all leases of a worker comes first, to be in one cache line.
struct lease_state {
    struct lease_state *next; // In one of the worker's lists.
    struct job_state *job;
    int64_t left;     // Indices in the pieces.
    int64_t heard_us; // When it started or was last reported on.
    struct lease_state *previous;
    struct worker_state *worker;
    struct piece *pieces; // Ascending; never empty but inside one change.
    bool is_alone;        // It is of one task, on its last chance.
    bool is_started;      // As far as the worker's capacity says; the others wait at the worker.
    bool is_asked;        // Its worker has been asked to give it up.
    bool is_yielding;     // It is probable to do so.
    bool has_yielded;     // Its task has given up its cores before.
    bool has_stored;      // Its task has got further than the checkpoint from which it began.
    struct lease lease;
};

struct attempts {
    int32_t times[CAUSE_COUNT];
};

// The jobs that are ready and that workers of the same limits may have; kept while there is such a worker. So it is offered these
// without a look at others.
struct pool {
    struct pool *next; // Of the same owner.
    int64_t owner;
    int64_t since_us;
    int64_t job; // 0: all of the owner's that were submitted since then.
    int64_t worker_count;
    struct fit_tree ready; // Of entries.
};

// That a job is one of a pool's.
struct pool_entry {
    struct fit_node
        node; // In the pool's `ready` while the job is in its group's, and at this place. First.
    struct job_state *job;
    struct pool *pool;
    struct pool_entry *next; // Of the same job.
};

struct job_state {
    struct fit_node node; // In its group's `ready` while it waits and is not held. First.
    struct job_plan plan;
    struct group_state *group;
    struct ranges done;
    struct ranges again;
    struct ranges alone; // All before the cursor, as those held.
    struct ranges held;
    struct ranges
        yielded; // Of tasks that wait: those that gave up their cores for another group. Others may be in it.
    char **labels; // That a worker must have.
    size_t label_count;
    struct ranges refused;      // Numbers of workers that cannot run it.
    struct pool_entry *entries; // In the pools of workers that are limited to jobs like it.
    int64_t cursor;
    int64_t done_count;
    int64_t held_count;
    int64_t alone_count;
    int64_t leased_count;
    int64_t started_count; // Leases.
    struct fit_tree pieces;
    struct map *
        attempts; // By index: struct attempts of unfinished tasks that came to nothing before; NULL when none ever.
    double mean_wall_us;
    int64_t walls_seen;
    int64_t interrupted_us; // The most that a task had run when its worker left.
    int64_t
        passed_over_us; // Since when smaller jobs are preferred only because this one does not fit; 0: not.
    int64_t reserved;     // The worker that is being emptied for it; 0: none.
    int64_t promised;     // Of its tasks: those for which others give up their cores.
    int64_t held_back_us; // Since when it waits for a worker that has its inputs; 0: it does not.
    bool is_held;
};

struct group_state {
    struct fit_node
        node; // In its place's `groups_ready` while it has ready jobs; its need is the least of them. First.
    int64_t id;
    struct place_state *place;
    double weight;
    double share;         // Its group_share, as it is in the order;
    double had;           // that over the time it waits, in seconds of all there is,
    int64_t had_us;       // until then.
    double counted_share; // What of it is in its place's sums.
    double counted_weight;
    struct load running;
    struct load yielding; // Of that: what is being given up for others.
    struct load promised; // What others give up for it.
    int64_t
        looked_us; // When others last might have given up some for it; 0: since then nothing of it waited.
    int64_t window_us;   // While they might, its time is cut into windows: since when this one is,
    int64_t served_then; // and what `served` was then,
    int64_t served_before; // and when the one before began; -1: there is none.
    char *name;            // NULL: it has none for people.
    struct fit_tree ready;
    int64_t served; // The number of the last lease: who waits longest is first among equal shares.
};

// Where jobs run: this site (number 0), or another. Fair share is among the groups of one place.
struct place_state {
    int64_t number;
    struct map *groups;
    struct fit_tree groups_ready;
    const struct scheduler *scheduler;
    double ready_share; // Of groups_ready together, not divided by weights,
    double ready_weight;
    double level; // What of these a group has had that had its share all the time; as `had`.
    int64_t level_us;
    struct load total; // Of all its workers that are not draining.
    struct load keyed; // The total by which groups_ready is ordered now.
    int64_t worker_count;
    int64_t seeing_count; // Workers that see all inputs where they lie.
};

struct lease_list {
    struct lease_state *first;
    struct lease_state *last;
    struct resources need; // Of all of them together.
};

struct avoided_job {
    int64_t job;
    int64_t until_us;
};

struct worker_state {
    int64_t id;
    struct place_state *place;
    struct resources capacity;
    char **labels;
    size_t label_count;
    struct lease_list started; // Leases that run, as far as the books know.
    struct lease_list waiting; // Leases that wait at the worker, in the order in which they start.
    bool is_watched;           // It has leases, so it is to speak often.
    struct worker_state *heard_before; // In the order of heard_us.
    struct worker_state *heard_after;
    int64_t heard_us;
    int64_t end_us; // Leases are given that end until then; INT64_MAX: whatever they take.
    int64_t due_us; // When the first of its leases will be nearly done, as seen when it last asked.
    int64_t reserved_for; // The only job that it gets; 0: any.
    int64_t
        reserved_count; // So many leases of it, for which others are given up; 0: one, as it comes.
    struct group_state *promised_to; // The group of that job, when others are given up for it.
    struct resources promised_need;  // Of each of those leases.
    int64_t yielding_count;          // Of its leases.
    int64_t asked_us;                // When it was last asked to give up some.
    int64_t resumable_count;         // Of the started ones: those of jobs with checkpoints.
    struct worker_state *ring_next;  // While it has some: in the ring of yield.c.
    struct worker_state *ring_previous;
    int64_t groups[WORKER_GROUPS_MAX]; // That it works for, in order.
    size_t group_count;                // 0: for all.
    struct pool *pool;                 // That it is limited to; NULL: it is not.
    bool is_spare;                     // It is for spare jobs alone.
    int64_t alone_count;               // Of its leases that are of a task on its last chance.
    bool is_draining;
    bool sees_inputs; // All of them, where they lie.
    bool
        is_strained; // It may hold more than fits: leases taken back after a restart, or its capacity was changed.
    uint64_t inputs[INPUTS_REMEMBERED]; // Hashes of the inputs it has most likely at hand.
    size_t inputs_at;
    struct avoided_job avoided[AVOIDED_REMEMBERED]; // Jobs that it could not run a short while ago.
    size_t avoided_at;
};

// By heard_us.
struct heard_list {
    struct worker_state *first;
    struct worker_state *last;
};

struct scheduler {
    struct scheduler_options options;
    struct map *jobs;
    struct map *places;  // By number; 0 is always there.
    struct map *weights; // Of groups, by id: a double each, where it is not 1.
    struct map *workers;
    struct map *leases;
    struct heard_list heard_busy; // Workers with leases, of this place; and the others.
    struct heard_list heard_idle;
    struct map *pools;   // Lists of them, by owner.
    struct map *holders; // By the hash of inputs: how many workers remember them, an int64_t each.
    struct label_bit labels[LABEL_BITS];
    struct worker_state
        *yield_hand; // In the ring of workers that run tasks with checkpoints: the next to look at.
    int64_t ring_count;
    int64_t leases_given;
    int64_t now_us; // The latest time that was told.
};

void scheduler_tell_time(struct scheduler *scheduler, int64_t now_us);

// pieces.c: moving indices between the places.
int64_t job_waiting(const struct job_state *job);
// Does a task of it wait that the worker may have?
static inline bool job_has_for(const struct job_state *job, const struct worker_state *worker)
{
    return worker->alone_count == 0 || job_waiting(job) > job->alone_count;
}
// Takes up to count_max waiting indices into the lease, which gets one piece; false when none waits that its worker may have.
bool job_take(struct lease_state *lease, int64_t count_max);
// Takes what waits of [from, to) into the lease; returns how many.
int64_t job_take_part(struct lease_state *lease, int64_t from, int64_t to);
// The piece with the index, or NULL.
struct piece *job_find_piece(const struct job_state *job, int64_t index);
// The first piece that starts at `from` or later, and the one behind a piece; NULL at the end.
struct piece *job_piece_from(const struct job_state *job, int64_t from);
struct piece *job_piece_next(const struct piece *piece);
// Takes [from, to) out of all leases; ends leases that have nothing left. What was taken out is added to `again` when `is_again`.
// Returns how many.
int64_t job_cut(struct scheduler *scheduler, struct job_state *job, int64_t from, int64_t to,
                bool is_again);
// What the lease has of [from, to) waits again.
void lease_give_back(struct scheduler *scheduler, struct lease_state *lease, int64_t from,
                     int64_t to);
// Makes [from, to) finished wherever it was; appends what was not yet to *fresh (may be NULL). Returns how many.
int64_t job_commit(struct scheduler *scheduler, struct job_state *job, int64_t from, int64_t to,
                   struct ranges *fresh);
// Moves a waiting index to those on their last chance.
void job_leave_alone(struct job_state *job, int64_t index);
// Moves [from, to), as far as it waits, to the held ones; returns how many.
int64_t job_hold_tasks(struct job_state *job, int64_t from, int64_t to);
// Forgets what was counted of their attempts.
void job_forget_attempts(struct job_state *job, int64_t from, int64_t to);
// Brings the trees of ready jobs and groups into line with the job's state.
void job_refresh(struct job_state *job);

// shares.c
// Brings the tree of ready groups into line with a group whose share or ready jobs have changed.
void group_refresh(struct group_state *group);
// The first group in order is the one that should be: called before it is looked for.
void place_settle(struct place_state *place);
// Running need over weight, as a part of all there is at its place of the resource of which it takes the largest part.
double group_share(const struct group_state *group);
// The same if it ran this.
double load_share(const struct group_state *group, const struct load *load);
// Called when the total has changed: puts the groups in order again once it has changed by more than an eighth.
void place_follow_total(struct place_state *place);

// lease.c
struct lease_state *lease_open(struct scheduler *scheduler, struct job_state *job,
                               struct worker_state *worker);
// Ends a lease without pieces; frees it. Does not start what waits at the worker.
void lease_close(struct scheduler *scheduler, struct lease_state *lease);
// The best of these ready jobs of one group or pool that the worker may have and that fits into the room; NULL: none does.
struct job_state *worker_choose_in(const struct scheduler *scheduler, const struct fit_tree *ready,
                                   struct worker_state *worker, const struct resources *room);
// May its worker get the next lease ahead? Not in place of one with checkpoints: that may take hours more than the mean, and what waits
// behind it could go nowhere else.
bool lease_is_nearly_done(const struct scheduler *scheduler, const struct lease_state *lease,
                          int64_t now_us);
// The worker is no longer emptied for a job.
void worker_end_reservation(struct scheduler *scheduler, struct worker_state *worker);
// Starts the leases for which the worker has room, in order.
void worker_start_waiting(struct scheduler *scheduler, struct worker_state *worker);
// Does the worker hold no lease?
static inline bool worker_is_idle(const struct worker_state *worker)
{
    return !worker->started.first && !worker->waiting.first;
}
// The lease's time left by the job's mean; -1 when unknown or not started.
int64_t lease_left_us(const struct lease_state *lease, int64_t now_us);
// How many tasks like this could run at once on all workers of the place; at least 1.
double place_slots(const struct place_state *place, const struct resources *need);
// Where the group stands in the worker's list, -1 when it is not there; 0 for all groups when it has none.
int worker_rank(const struct worker_state *worker, int64_t group);
bool worker_avoids(const struct worker_state *worker, int64_t job, int64_t now_us);

// yield.c
// A lease of a job with checkpoints was started, and such a one ends.
void yield_note_start(struct scheduler *scheduler, struct lease_state *lease);
void yield_note_end(struct scheduler *scheduler, struct lease_state *lease);
// So many of the leases for which the worker is reserved were given, or will not be. `job` is NULL when it is gone, with all promises ended.
void promise_less(struct worker_state *worker, struct job_state *job, int64_t count);
// The job is going, here or from here.
void job_end_promises(struct scheduler *scheduler, const struct job_state *job);
// Says what is being given up for the job; false: nothing.
bool yield_explain(const struct scheduler *scheduler, const struct job_state *job,
                   struct buffer *why);
// That a lease is one of these, or a waiting task was; nothing otherwise.
void yield_explain_lease(const struct lease_state *lease, struct buffer *why);
void yield_explain_waiting(const struct job_state *job, int64_t index, struct buffer *why);

// why.c
void group_write_name(const struct group_state *group, struct buffer *out);

// heard.c
void heard_link(struct scheduler *scheduler, struct worker_state *worker);
void heard_unlink(struct scheduler *scheduler, struct worker_state *worker);
// The worker has got its first lease, or lost its last, or nothing has changed.
void heard_follow_leases(struct scheduler *scheduler, struct worker_state *worker);

// leaving.c
// How long a task of the job takes, to be on the safe side.
int64_t job_need_us(const struct job_state *job);
// Can a task of the job be expected to end before the worker leaves?
bool worker_has_time(const struct worker_state *worker, const struct job_state *job,
                     int64_t now_us);
// How many such tasks one after another can, at least 1.
int64_t worker_time_count(const struct worker_state *worker, const struct job_state *job,
                          int64_t now_us);
// [from, to) of the lease goes back as its worker leaves: how long the task at its front has run is remembered.
void lease_note_interruption(const struct lease_state *lease, int64_t from, int64_t to,
                             int64_t now_us);

// inputs.c
bool worker_has_inputs(const struct worker_state *worker, uint64_t inputs);
// It has them from now on; those that it has had longest are forgotten.
void worker_remember_inputs(struct scheduler *scheduler, struct worker_state *worker,
                            uint64_t inputs);
void worker_forget_inputs(struct scheduler *scheduler, struct worker_state *worker);
// Until when the job is not for this worker, as others have its inputs; 0: it is.
int64_t job_held_back_us(const struct scheduler *scheduler, struct job_state *job,
                         const struct worker_state *worker, int64_t now_us);
bool job_is_held_back(const struct job_state *job, int64_t now_us);
void scheduler_free_holders(struct scheduler *scheduler);

// limits.c
// The job is new: the pools that it is for get it.
void job_join_pools(struct scheduler *scheduler, struct job_state *job);
void job_leave_pools(struct job_state *job);
// Brings the pools in line with whether the job is in its group's tree.
void job_refresh_pools(struct job_state *job);
// The worker is going, or gets other limits.
void worker_leave_pool(struct scheduler *scheduler, struct worker_state *worker);
// Is the job one that its limits leave it?
bool worker_may_have(const struct worker_state *worker, const struct job_state *job);
void scheduler_free_pools(struct scheduler *scheduler);

// ahead.c: who comes before a waiting job, of those that can run somewhere.
enum { JOBS_AHEAD_MAX = 1000 };
struct jobs_ahead {
    const struct group_state *group; // The first that comes before its own; NULL: none.
    int64_t count;                   // Of its own group, JOBS_AHEAD_MAX at most.
};
struct jobs_ahead jobs_ahead_of(const struct scheduler *scheduler, const struct job_state *job);

// labels.c
void job_take_labels(struct scheduler *scheduler, struct job_state *job);
void job_free_labels(struct scheduler *scheduler, struct job_state *job);
void worker_free_labels(struct worker_state *worker);
// Its capacity's bits, after its labels or the bits' meaning have changed.
void worker_refresh_labels(const struct scheduler *scheduler, struct worker_state *worker);
bool worker_has_label(const struct worker_state *worker, const char *required);
bool worker_has_labels(const struct worker_state *worker, const struct job_state *job);

// results.c: the task at the front of each started lease was lost once more; each is appended to *losses.
void loss_list_append(struct loss_list *list, const struct loss *loss);
void worker_blame_fronts(const struct scheduler *scheduler, const struct worker_state *worker,
                         struct loss_list *losses);
// What becomes of them, once they wait again.
void losses_settle(struct scheduler *scheduler, const struct loss_list *losses);

// What is asked for or there together; what is not used up, labels and the software, is that of `a`.
static inline struct resources resources_sum(const struct resources *a, const struct resources *b)
{
    return (struct resources){.cpu_millis = a->cpu_millis + b->cpu_millis,
                              .memory_bytes = a->memory_bytes + b->memory_bytes,
                              .disk_bytes = a->disk_bytes + b->disk_bytes,
                              .gpus = a->gpus + b->gpus,
                              .labels = a->labels,
                              .software = a->software};
}

static inline struct resources resources_rest(const struct resources *a, const struct resources *b)
{
    return (struct resources){.cpu_millis = a->cpu_millis - b->cpu_millis,
                              .memory_bytes = a->memory_bytes - b->memory_bytes,
                              .disk_bytes = a->disk_bytes - b->disk_bytes,
                              .gpus = a->gpus - b->gpus,
                              .labels = a->labels,
                              .software = a->software};
}

// sum += sign * part
static inline void load_add(struct load *sum, const struct resources *part, double sign)
{
    sum->cpu_millis += sign * (double)part->cpu_millis;
    sum->memory_bytes += sign * (double)part->memory_bytes;
    sum->disk_bytes += sign * (double)part->disk_bytes;
}

#endif
