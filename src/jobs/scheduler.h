// Which worker runs which tasks next: a pure function of jobs, workers and time. No I/O, no clock, no randomness.
//
// A job is a plan over indices [0, count). Waiting tasks cost nothing: the scheduler holds, per job, a cursor, the ranges to run
// again, and the set of finished indices as ranges. Workers get leases of ranges, each to be run one task after another in one slot.
#ifndef LODE_JOBS_SCHEDULER_H
#define LODE_JOBS_SCHEDULER_H

#include "base/buffer.h"
#include "base/ranges.h"
#include "base/status.h"
#include "jobs/spec.h"

struct scheduler;

struct scheduler_options {
    int64_t
        lease_timeout_us; // A worker with leases that has not been heard for so long has lost them. 0: 5 s.
    int64_t
        idle_timeout_us; // So has one without, and one of another place. 0: 30 s, or the former.
    int64_t lease_target_us; // A lease should keep a slot busy for about so long. 0: 500 ms.
    int64_t
        ahead_us; // A slot whose lease has less than this left may get its next one already. 0: 150 ms.
    int64_t lease_count_max; // Tasks in one lease. 0: 10000 (stream: 50000).
};

struct scheduler *scheduler_new(const struct scheduler_options *options);
void scheduler_free(struct scheduler *scheduler);

// What the scheduler needs to know of a job.
struct job_plan {
    int64_t id;
    int64_t group;          // Fair share is between groups of one place.
    const char *group_name; // For people; copied. NULL: its number.
    int64_t place;          // Where it is to run: 0: here. Only workers of that place get it.
    int64_t owner;          // Whose it is, for workers that are limited to one owner's.
    bool is_spare;          // Workers that are for spare jobs alone may have it too.
    int64_t priority;
    int64_t count;
    struct resources need;
    struct retries retries;
    bool fails_when_lost; // A task that was lost too often fails; else it is held.
    int64_t walltime_us;  // What a task may take, as far as its user has said so; 0: nobody has.
    int64_t
        checkpoint_us; // A task that is interrupted loses about so much; 0: all of it. Its leases are of one task each.
    int64_t submitted_us;
    bool is_stream;
    const char *const *labels; // That a worker must have (spec.h); copied.
    size_t label_count;
    uint64_t
        inputs; // A hash of its inputs; workers that ran a job with the same are preferred. 0: none.
    int64_t input_bytes; // That a worker which has not got them has to fetch for a task.
};

// Adds a job whose tasks in `done` (may be NULL) are finished already. CONFLICT when the id is known.
enum status scheduler_add_job(struct scheduler *scheduler, const struct job_plan *plan,
                              const struct ranges *done, struct error *error);
// Forgets a job; its leases end (the caller tells the workers). Unknown ids are ignored.
void scheduler_remove_job(struct scheduler *scheduler, int64_t id);
// Marks indices as finished without a lease (cache hits, retried jobs); returns how many were not finished before.
int64_t scheduler_mark_done(struct scheduler *scheduler, int64_t job, int64_t from, int64_t to);
// A held job gets no leases (dependencies); it starts as not held.
void scheduler_hold(struct scheduler *scheduler, int64_t id, bool is_held);
// The job is to run at another place than it was. It must have no leases; unknown ids are ignored.
void scheduler_move_job(struct scheduler *scheduler, int64_t id, int64_t place);
void scheduler_set_group_weight(struct scheduler *scheduler, int64_t id,
                                double weight); // Default 1.

// A worker of a place (0: here) and what it has in all. Known id: its capacity changes, its place does not.
void scheduler_add_worker(struct scheduler *scheduler, int64_t id, int64_t place,
                          const struct resources *capacity, int64_t now_us);
// The groups that it works for: it gets tasks of the first that has any for it, of the others only meanwhile. None: for all, by their
// shares. What it has goes on. More than WORKER_GROUPS_MAX are not taken.
enum { WORKER_GROUPS_MAX = 16 };
void scheduler_set_worker_groups(struct scheduler *scheduler, int64_t id, const int64_t *groups,
                                 size_t count);
// What jobs the worker is limited to, beside its place and groups; all zero: nothing. Not for workers of another place. Looks at all jobs,
// unless the limit is to one; from then on a lease is as cheap as any. What it has goes on. Unknown ids are ignored.
struct worker_limits {
    int64_t owner;    // To this owner's; 0: anybody's, and the next two are 0 too.
    int64_t since_us; // Of these to those that were submitted then or later.
    int64_t job;      // Of these to this one; 0: any.
    bool is_spare;    // To spare ones.
};
void scheduler_limit_worker(struct scheduler *scheduler, int64_t id,
                            const struct worker_limits *limits);
// The labels that it has from now on, "NAME=VALUE" or "NAME"; copied. At first it has none. Unknown ids are ignored.
void scheduler_set_worker_labels(struct scheduler *scheduler, int64_t id, const char *const *labels,
                                 size_t count);
// The worker sees all inputs where they lie, and need fetch none. Unknown ids are ignored.
void scheduler_set_worker_sees_inputs(struct scheduler *scheduler, int64_t id);
// The worker cannot run the job, and gets no lease of it any more. Unknown ids are ignored.
void scheduler_refuse(struct scheduler *scheduler, int64_t worker, int64_t job);
// A draining worker gets no new leases.
void scheduler_drain_worker(struct scheduler *scheduler, int64_t id, bool is_draining);
// Until when the worker lets tasks run; INT64_MAX: until it says so. It gets no task that is not expected to have ended by then. What a
// task needs is one and a half times the job's mean wall time, or three times while few have ended; when none has its walltime, and without one a minute, or twice
// what one had when its worker left. A task with checkpoints loses little, so it needs time for some of them only.
void scheduler_set_worker_end(struct scheduler *scheduler, int64_t id, int64_t end_us);
// The worker is gone: its leases end, unfinished tasks go back; the task at each lease's front counts as lost once more (when
// `is_lost`; not when it left in order, nor at another place, where it only carries tasks that run elsewhere). Each of these is
// appended to *losses (may be NULL when not is_lost). One that was lost too often is held, or has failed if its job says so.
struct task_id {
    int64_t job;
    int64_t index;
};
enum loss_end { LOSS_RETRY, LOSS_HELD, LOSS_FAILED };
struct loss {
    struct task_id task;
    int64_t times;  // That it was lost, with this one.
    int64_t ran_us; // At most, since its worker was given it or reported on the task before it.
    enum loss_end end;
};
struct loss_list {
    struct loss *items;
    size_t count;
    size_t capacity;
};
void loss_list_done(struct loss_list *list);
void scheduler_remove_worker(struct scheduler *scheduler, int64_t id, bool is_lost, int64_t now_us,
                             struct loss_list *losses);
// It has been heard.
void scheduler_touch_worker(struct scheduler *scheduler, int64_t id, int64_t now_us);
// The next worker whose time is up at `now_us`; 0 when there is none. Remove it with is_lost.
int64_t scheduler_expired_worker(const struct scheduler *scheduler, int64_t now_us);

struct lease {
    int64_t id; // Unique in the scheduler's life.
    int64_t job;
    int64_t worker;
    int64_t from;
    int64_t to;
};

// Gives the worker up to `max` leases of jobs of its place; returns how many. All bounded by capacity: the sum of the needs of leases that are not nearly
// done is at most the worker's capacity. The worker's own groups in their order, else fair share between groups (running need over weight), then priority, then age, then
// locality among equals. A job whose inputs another worker has waits for that, at most as long as fetching them would take. O(log jobs) a lease, and a look-up for each of the worker's groups. At another place a lease is all that waits of the job in one range: it is the scheduler
// there that divides it.
size_t scheduler_lease(struct scheduler *scheduler, int64_t worker, int64_t now_us,
                       struct lease *out, size_t max);

// Which leases their workers are to give up now, so that a group that waits gets its share: returns how many of `out`. To be called a few
// times a second; costs nothing while no job waits or none with checkpoints runs, else the look at 256 workers, one after another in
// turn, and for each the choice of a lease for 4 groups.
//
// Given up are leases of this site's own place (0) that were started and whose jobs have checkpoints, for a job of another group that may
// run on that very worker and finds no room there, once its group has waited for two seconds. Its group's share with that task (once and
// a half, while room comes to it by itself) is no larger than what is left of the others' without theirs, each by its weight; on workers
// with groups of their own these come in their order instead. A lease has run for ten seconds then, and one of two of its checkpoints'
// intervals or more has stored one; one whose task gave up its cores before has run for as long (ten minutes are enough) and stored one
// in any case. Each is named once. Of a worker come all that the waiting task needs, or none; what is freed is held for that job, for a minute. The worker gives them back with scheduler_return, or ends them after all.
size_t scheduler_yields(struct scheduler *scheduler, int64_t now_us, struct lease *out, size_t max);
// The task that runs has stored a checkpoint that is another one than it began with. Ignored for one that does not.
void scheduler_note_checkpoint(struct scheduler *scheduler, struct task_id task);

// When asking again for leases of this worker may succeed although nothing else happens (a lease will be nearly done); INT64_MAX:
// only after an event (a result, a new job). As estimated by its last scheduler_lease; for the timer of a waiting poll.
int64_t scheduler_lease_again_us(const struct scheduler *scheduler, int64_t worker, int64_t now_us);

// Is the lease in the books still? Fills *out then. A lease that a worker holds and that is not (its job was removed, its tasks were
// finished by others, the worker was given up) is to be cancelled there.
bool scheduler_find_lease(const struct scheduler *scheduler, int64_t id, struct lease *out);

// Takes back into the books a lease that a worker holds from before a restart of the site: the unfinished part of [from, to) of the
// job. A worker's running leases come first, then those that wait there, so that the books know which run. The lease gets a new id
// in *out, whose from and to are those asked for (clipped to the job), although what others have or finished is not in it.
// NOT_FOUND when job or worker is unknown, they are of two places, or nothing of it is left to do.
enum status scheduler_reattach(struct scheduler *scheduler, int64_t worker, int64_t job,
                               int64_t from, int64_t to, int64_t now_us, struct lease *out,
                               struct error *error);

// The part [from, to) of a lease that was not run is given back (drain, split of a straggler's range), without blame.
void scheduler_return(struct scheduler *scheduler, int64_t lease, int64_t from, int64_t to);

enum task_outcome {
    TASK_SUCCEEDED,
    TASK_FAILED,       // By itself: exit status, signal.
    TASK_LIMITED,      // It reached its walltime, or its limit of memory, disk or processes.
    TASK_BLAME_WORKER, // The worker could not run it (sandbox, disk): again elsewhere.
    TASK_BLAME_INPUT,  // An input is missing or changed: again elsewhere, if at all.
};
enum task_verdict {
    TASK_COMMIT,    // Final: record this result.
    TASK_RETRY,     // Not final: the task will run again; record the attempt.
    TASK_DUPLICATE, // Somebody else's result was committed already, or the job is gone: drop it.
};

// One task's attempt has ended (in any order within a lease; the lease may be long gone: its result is still used if nobody else's was).
enum task_verdict scheduler_finish(struct scheduler *scheduler, int64_t lease, int64_t worker,
                                   struct task_id task, enum task_outcome outcome, int64_t wall_us,
                                   int64_t now_us);
// The same for [from, to) that all succeeded in `wall_us` together; appends what is to commit to *fresh, in order.
void scheduler_finish_range(struct scheduler *scheduler, int64_t lease, int64_t worker, int64_t job,
                            int64_t from, int64_t to, int64_t wall_us, int64_t now_us,
                            struct ranges *fresh);

// Counts an attempt from before a restart of the site, as if the task had ended so in this life.
void scheduler_recount(struct scheduler *scheduler, struct task_id task, enum task_cause cause,
                       int64_t times);
// Holds a task that waits: it is not leased until it is released. For what was held before a restart. False: it does not wait.
bool scheduler_hold_task(struct scheduler *scheduler, struct task_id task);
// The held tasks of [from, to) wait again, and what was counted of their attempts is forgotten; returns how many.
int64_t scheduler_release_tasks(struct scheduler *scheduler, int64_t id, int64_t from, int64_t to);
// The first held task of the job from `from` on; -1: none.
int64_t scheduler_next_held(const struct scheduler *scheduler, int64_t id, int64_t from);

// Is every task of the job finished (succeeded or finally failed)? A held one is not.
bool scheduler_is_complete(const struct scheduler *scheduler, int64_t id);

// How often an attempt at the task has failed or was lost.
int64_t scheduler_attempts(const struct scheduler *scheduler, struct task_id task);

struct job_figures {
    int64_t done;   // Finished, either way.
    int64_t leased; // In leases and not finished.
    int64_t
        running; // Of these, as far as the books know: the first of each lease that its worker has started.
    int64_t waiting;
    int64_t alone; // Of these: on their last chance, which a worker has one at a time of.
    int64_t held;
    int64_t mean_wall_us; // Of one task, recent; 0 when unknown.
};
bool scheduler_figures(const struct scheduler *scheduler, int64_t id, struct job_figures *out);

// Where is a task now? Fills *lease when it is in one.
enum task_place { TASK_WAITING, TASK_LEASED, TASK_HELD, TASK_FINISHED, TASK_UNKNOWN };
enum task_place scheduler_find_task(const struct scheduler *scheduler, struct task_id task,
                                    struct lease *lease);

// How many of the worker's leases run, as far as the books know; the others wait there.
int64_t scheduler_worker_running(const struct scheduler *scheduler, int64_t id);
// The first task of the job from `from` on that runs, as far as the books know: the next one of a lease that its worker has started.
// Fills *index and the task's lease; false when there is none.
bool scheduler_next_running(const struct scheduler *scheduler, int64_t job, int64_t from,
                            int64_t *index, struct lease *lease);

// Why a job (or one task of it: index >= 0) is not running, in words for people: what it waits for, and what would change it. Both
// texts are appended. E.g. "needs 64 cpus; the largest worker has 2" / "ask for at most 2 cpus, or add a larger worker".
// `words`: of the job's place, when that is another one.
enum place_begun {
    PLACE_BEGUN_UNKNOWN, // Nothing was heard.
    PLACE_BEGUN_NOTHING,
    PLACE_BEGUN_SOMETHING,
};
struct place_words {
    const char *name;       // Of the site.
    const char *handed;     // When its first tasks were handed over to it; NULL: not yet.
    enum place_begun begun; // What of the job has begun there, as was last heard.
    const char *problem;    // What keeps its tasks from getting there; NULL: nothing that is known.
    const char *change;     // What would change that; with `problem`.
    const char *
        said; // What the site itself says of why nothing of the job has begun there; NULL: nothing.
    const char *said_change; // With `said`.
};
void scheduler_why(const struct scheduler *scheduler, int64_t job, int64_t index,
                   const struct place_words *words, struct buffer *why, struct buffer *change);

// Sanity of the books (for tests and the simulator): capacities, ranges disjoint and complete. CORRUPT names what is broken.
enum status scheduler_check(const struct scheduler *scheduler, struct error *error);

#endif
