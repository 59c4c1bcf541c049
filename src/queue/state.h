// The queue's own view of itself, shared by its files and by nobody else.
//
// Everything here belongs to the store's writer thread. A change goes through an operation (struct queue_op): `run` changes the
// database and memory alike within the common transaction, `done` answers after the commit. When a `run` fails after it touched
// memory, or a commit fails, memory is built anew from the database before the next one.
#ifndef LODE_QUEUE_STATE_H
#define LODE_QUEUE_STATE_H

#include "base/map.h"
#include "crypto/pass.h"
#include "jobs/scheduler.h"
#include "prepare/cache.h"
#include "queue/queue.h"
#include "records/outcome.h"
#include "records/rows.h"
#include "store/blobs.h"
#include "store/store.h"

enum {
    QUEUE_TICK_US = 250000,
    LEASES_A_POLL_MAX = 256,
    LEASE_UNSEEN_US =
        5000000,             // A lease that its worker does not speak of for so long never arrived.
    DROP_DELAY_US = 1000000, // A waiting worker hears of ended jobs after so long at the latest.
    CACHE_PIECE = 1000,      // Tasks answered from the cache in one write.
    GROUPS_SAID_MAX = 300,   // Bytes of what workers work for, in an answer.
    PLACES_VERSION_SHIFT =
        20, // Changes of the places in one life of the site; its number takes the bits above.
};

struct active_job {
    struct job_row row;
    char *owner;
    char *group;
    char *name;
    char *offer;
    struct place *place; // NULL: here.
    char *hold_reason;   // Why it is held; NULL: it is not.
    char *hold_change;
    char *there_why; // What its place says of why nothing of it has begun there; NULL: nothing.
    char *there_change;
    enum place_begun there_begun; // What of it has, as its place said last.
    char *description;       // JSON for workers, without the opening brace and the job's number.
    struct ranges told;      // Numbers of the workers that have its description.
    struct map *checkpoints; // Of its tasks that have not ended, by index; NULL: none.
    int64_t unmet_needs;
    int64_t twin; // The job whose results it waits for, as that one computes the same; 0: none.
    bool is_twin_over;               // That one has ended: its results are being looked for.
    struct ranges followers;         // Numbers of the jobs whose twin it is.
    struct active_job *family_older; // In the list of its family; see queue.families.
    struct active_job *family_newer;
    bool is_looking_up; // Its tasks are being answered from the cache.
    bool is_gathering;  // Its input_from is being looked at.
    unsigned
        contributed; // A bit for each enum runner_class: its family knows that it has such results.
    unsigned run_by; // The same: workers of it have had leases, in this life of the site.
    bool is_dirty;   // Its progress differs from the database.
    bool is_changed; // Its followers have not heard of the last change.
    bool has_ended;  // No longer active; lives until its followers have heard.
};

// Where jobs run that do not run here. Kept as long as the queue.
struct place {
    int64_t number; // The scheduler's.
    char *fingerprint;
    int64_t jobs; // That have not ended.
    char problem
        [JOB_MESSAGE_MAX]; // What keeps jobs from getting there, as its worker says; empty: nothing.
    char change[JOB_MESSAGE_MAX];
};

// A list of places that somebody waits for.
struct places_wait {
    struct places_wait *next;
    int64_t version;
    int64_t until_us;
    struct queue_answer answer;
};

// A lease as the worker knows it. A number is never used twice, not even by another life of the site.
struct given_lease {
    int64_t number;    // On the wire.
    int64_t scheduled; // The scheduler's.
    int64_t job;
    int64_t from;
    int64_t to;
    int64_t seen_us;
};

// The last result of a worker.
struct last_report {
    int64_t job; // 0: there was none.
    int64_t index;
    enum poll_outcome outcome;
    int64_t code;
    int64_t time_us;
};

struct worker {
    int64_t id;
    char *name;
    char *owner;
    char *version;
    char *sandbox; // JSON
    char *sandbox_kind;
    char *groups;         // That it works for, in order: "physics,spare"; empty: for all.
    char *groups_said;    // What it said itself when it registered.
    char *secret_name;    // What an anonymous one calls itself, to know it again; NULL: `name`.
    struct runner runner; // What its credential says.
    struct place *place;  // NULL: here.
    struct resources capacity;
    int64_t process;  // On its own machine; 0: not said.
    int64_t heard_us; // Wall clock.
    int64_t gone_us;  // Since when it has left its waiting poll and not been heard; 0: it has not.
    bool is_silent;   // It has not closed that poll: its machine or network is gone.
    int64_t tasks_done;
    bool may_be_named; // By rows: it was given a lease, or reported something.
    struct last_report last_report;
    bool is_draining;   // It has begun to leave.
    bool is_full;       // Its disk is full: it gets nothing.
    int64_t notice_us;  // Its tasks are interrupted so long before its end.
    int64_t own_end_us; // When it is gone by its own word, steady time; INT64_MAX: it has not said.
    int64_t ordered_end_us; // When it is to be gone; INT64_MAX: nobody has ordered that.
    bool has_order;         // It has not been told of the last change of the order.
    bool is_over;           // Lost or gone: kept for a while, to be seen.
    int64_t over_us;        // Since when, steady time.
    bool has_left;          // It is over, and gone: it left in order.
    int64_t former;      // Its registration before this one, which holds its leases still; 0: none.
    int64_t lease_first; // Leases with greater numbers were given to this very registration.
    struct given_lease *leases;
    size_t lease_count;
    size_t lease_capacity;
    struct ranges drops; // Jobs that ended and that it has been told of.
    int64_t drops_since_us;
    struct ranges cancels; // Numbers of leases to stop.
    struct ranges yields;  // And of those to give up for others.
    struct queue_poll *waiting;
    int64_t waiting_until_us;
    char **labels;
    size_t label_count;
    char *serve_url; // Where other workers get files from it; empty: nowhere.
    char *serve_fingerprint;
    struct digest serve_key; // Between it and this site.
    struct reach *reach;     // NULL: it has not asked for a source.
    bool serves_near;        // To those near it only (reach.h).
    bool sees_files;         // It has this site's view of files: every path is the same file.
    struct worker_note *notes;
    size_t note_count;
};

struct job_wait {
    struct job_wait *next;
    int64_t job;
    struct queue_view view;
    int64_t until_us;
    struct queue_answer answer;
};

struct queue_watch {
    struct queue_watch *next;
    int64_t job;
    void (*changed)(void *context);
    void *context;
    int64_t last_us;
    _Atomic int64_t until_us; // 0: none.
};

// Live output of one running task.
struct live_stream {
    struct buffer bytes;
    int64_t offset; // Of the first byte that is kept.
};
struct live_task {
    struct live_task *next; // Of the same job.
    int64_t job;
    int64_t index;
    int64_t worker;  // 0: it has given the task back.
    int64_t attempt; // Behind the last one that came to nothing here, from 1.
    struct live_stream streams[2];
};

struct alarm;
struct crew;
struct gatherer;

enum { QUEUE_LOAD_CPUS, QUEUE_LOAD_BUSY, QUEUE_LOAD_WAITING, QUEUE_LOAD_WORKERS, QUEUE_LOAD_COUNT };

struct queue {
    struct store *store;
    struct blobs *blobs;
    struct prepare_site site; // What jobs are prepared with: the same store and blobs.
    struct scheduler_options scheduler_options;
    int64_t gone_timeout_us;
    int64_t over_kept_us;
    struct scheduler *scheduler;
    struct map *jobs;    // Active ones by id.
    struct map *workers; // By id.
    struct map *
        families; // The last one of the active jobs of a family that wait for no twin, by its digest.
    struct map *weights; // Of groups, by number, where they were told.
    struct job_wait *waits;
    struct map *places; // By fingerprint.
    enum status (*job_ended)(void *context, struct sql *sql, int64_t job, struct error *error);
    void *job_ended_context;
    enum status (*check_group)(struct sql *sql, struct text name, struct error *error);
    const struct queue_place_ops *place_ops;
    void *place_context;
    struct places_wait *places_waits;
    int64_t places_version; // Another one after each change of where jobs are to go.
    struct queue_watch *watches;
    struct map *live; // Lists of struct live_task by job.
    int64_t live_count;
    size_t live_bytes; // Of their output.
    int64_t last_job;
    int64_t last_old_job; // Of earlier lives of the site.
    int64_t opened_us;    // Steady time when this one began.
    int64_t last_worker;
    int64_t lease_base;        // Number on the wire minus the scheduler's.
    int64_t lease_last;        // The largest number given.
    struct active_job **dirty; // Of the operation under way.
    size_t dirty_count;
    size_t dirty_capacity;
    struct active_job **changed; // Since the last commit that was told of.
    size_t changed_count;
    size_t changed_capacity;
    bool is_touched;           // The operation under way changed memory.
    bool needs_reload;         // Memory may differ from the database.
    bool tell_all;             // After a reload.
    int64_t tick_us;           // Steady time of the last tick.
    int64_t forget_uploads_us; // Then old uploads of runners are forgotten.
    int64_t lenient_until_us;  // Until then silence loses nobody: the site itself did not listen.
    bool has_work;             // There may be something to lease for waiting workers.
    bool has_runners;          // There has been a worker of another class than that of the site.
    bool has_job_runners;      // And one that is for one job.
    _Atomic bool is_stopping;
    char executor_problem[JOB_MESSAGE_MAX];
    char executor_change[JOB_MESSAGE_MAX];
    struct alarm *alarm;                    // Its own too.
    struct task_leases *task_leases;        // Its own too.
    struct uploads *uploads;                // Its own too.
    struct second_looks *looks;             // Its own too. NULL: there is no catalogue.
    _Atomic int64_t load[QUEUE_LOAD_COUNT]; // As of the last tick, for other threads.
    struct gatherer *gatherer;              // Its own too.
    struct crew *claimer; // Its own too: claims blobs that lose a name (checkpoint.c).
    // Jobs that the gatherer is to be asked for once what was changed is durable, as it reads the database.
    struct ranges to_gather;
    struct map *spreads;      // By digest: files that workers fetch, and who has them (sources.c).
    struct ranges to_look_up; // Their twins have ended.
};

struct queue_op {
    struct queue *queue;
    // Changes the database and memory. `is_touched` must be set before memory is changed.
    enum status (*run)(struct queue_op *op, struct sql *sql, struct error *error);
    // Answers, and frees the operation.
    void (*done)(struct queue_op *op, enum status status, const struct error *error);
};
void queue_enqueue(struct queue *queue, struct queue_op *op);
// Has the change of the job or worker of that number witnessed.
enum status queue_witness_change(const struct queue_witness *witness, struct sql *sql,
                                 int64_t number, struct error *error);
// Builds memory anew when it may differ from the database: the first thing of all that runs on the writer's thread.
enum status queue_settle(struct queue *queue, struct sql *sql, struct error *error);
void queue_answer_error(struct queue_answer answer, enum status status, const struct error *error);

// --- load.c
enum status queue_load(struct queue *queue, struct sql *sql, struct error *error);
void queue_forget_jobs(struct queue *queue);
// Makes the job of a row active, with tasks that are done already. The texts are copied.
enum status queue_activate(struct queue *queue, struct sql *sql, const struct job_row *row,
                           struct text description, const struct ranges *done,
                           struct active_job **out, struct error *error);
void active_job_free(struct active_job *job);

// --- progress.c: what becomes of jobs
struct active_job *queue_find_job(const struct queue *queue, int64_t job);
// Its progress changed: it is written at the end of the operation, and followers hear of it after the commit.
void job_touch(struct queue *queue, struct active_job *job);
// A result tells that the job began earlier than is known: what a lease starts is not written before its first result, so a killed site has forgotten it.
void job_began(struct active_job *job, int64_t started_us);
// Ends the job when all its tasks have ended.
void job_check_end(struct queue *queue, struct active_job *job);
void job_end(struct queue *queue, struct active_job *job, enum job_state state,
             const char *message);
// Ends the job as failed though none of its tasks ran to an end that says so; what was not done counts as cancelled.
void job_fail(struct queue *queue, struct active_job *job, const char *message);
// Writes dirty jobs, and carries ends over to the jobs that waited for them.
enum status queue_flush(struct queue *queue, struct sql *sql, struct error *error);
// Looks how many of the jobs that it needs have not succeeded; cancels it when one cannot any more, and has their outputs gathered when
// all have.
enum status job_look_at_needs(struct queue *queue, struct sql *sql, struct active_job *job,
                              struct error *error);
// As people are to see it; JOB_HELD when nothing is left of it but held tasks.
enum job_state job_shown_state(const struct queue *queue, const struct active_job *job);

// --- results.c: what tasks leave behind
// Commits the result of a task that has ended finally.
enum status task_commit(struct queue *queue, struct sql *sql, struct active_job *job,
                        const struct task_row *row, struct error *error);
enum status chunk_commit(struct queue *queue, struct sql *sql, struct active_job *job,
                         const struct chunk_row *row, struct error *error);
enum status results_commit(struct queue *queue, struct sql *sql, struct worker *worker,
                           const struct poll_body *body, struct error *error);
// Records an attempt that was not the task's last.
struct attempt_row {
    int64_t index;
    int64_t times; // It was begun so often since the one before came to nothing.
    int64_t worker;
    enum poll_outcome outcome;
    int64_t code;
    int64_t ended_us;
    struct text message;
};
enum status attempt_commit(struct queue *queue, struct sql *sql, struct active_job *job,
                           const struct attempt_row *row, struct error *error);
// --- places.c
// The place with this fingerprint, made when it is not known yet; NULL for an empty one: here.
struct place *place_get(struct queue *queue, struct text fingerprint);
static inline int64_t place_number(const struct place *place)
{
    return place ? place->number : 0;
}
// One job more or less is to go there. NULL is allowed.
void place_count(struct queue *queue, struct place *place, int64_t by);
// What its worker says that keeps jobs from getting there; empty: nothing.
void place_set_problem(struct place *place, struct text problem, struct text change);
// What the place says of its jobs.
void place_take_words(struct queue *queue, const struct place *place, const struct poll_body *body);
void place_forget_words(struct queue *queue, const struct place *place);
void job_forget_words(struct active_job *job); // It goes elsewhere.
// Its name as people know it, or its fingerprint.
void place_write_name(const struct queue *queue, const char *fingerprint, struct buffer *out);
void places_forget_jobs(struct queue *queue);
void places_free(struct queue *queue);
// Answers those who wait, as far as there is something new or their time is over.
void places_tell(struct queue *queue);

// --- hold.c
// Marks a job as held, in memory.
void job_set_hold(struct active_job *job, struct text reason, struct text change);
// The same for all of which the database says so.
enum status holds_load(struct queue *queue, struct sql *sql, struct error *error);
enum status hold_insert(struct sql *sql, int64_t job, struct text reason, struct text change,
                        struct error *error);

// --- twins.c: jobs that compute the same do so one after another
//
// A job that would compute what an earlier one computes already waits for that one, and then takes its results from the cache. So the cache answers at any
// time what it would answer later. A job waits for one with a smaller number that waits for none itself, and begins to wait only where it would
// begin to run: so whatever waits, waits for something that can run, and no ring of them can come about.
//
// The job is active, or is another computation now: its family knows it.
void twins_add(struct queue *queue, struct active_job *job);
// It has ended, or will be another computation. Those that wait for it look for its results once that is durable.
void twins_remove(struct queue *queue, struct active_job *job);
// Has the job wait if it could start, and another one computes the same.
enum status twins_join(struct queue *queue, struct sql *sql, struct active_job *job,
                       struct error *error);
// All that wait, as the database says.
enum status twins_load(struct queue *queue, struct sql *sql, struct error *error);
// What the gatherer does with a job whose twin has ended: it takes what there is of its results, and goes on with the rest. Blocks.
void twins_look_up(struct queue *queue, int64_t job);
// Workers of this class have tasks of the job: who may not reuse what comes of that does not wait for it any more.
void twins_note_class(struct queue *queue, struct active_job *job, enum runner_class kind);
// A worker has come: jobs that it may have do not wait for one that it may not have.
void twins_note_worker(struct queue *queue, const struct worker *worker);

// --- workers.c
// The worker that is here; NULL also for one that is over.
struct worker *queue_find_worker(const struct queue *queue, int64_t id);
void workers_free(struct queue *queue);
// Tells all workers that know the job to stop and to drop it.
void workers_drop_job(struct queue *queue, const struct active_job *job);
// Takes back what is leased of a job that goes on: its workers are to drop it, and to be told of it anew.
void workers_take_back(struct queue *queue, struct active_job *job);
// Puts the workers back into a new scheduler.
void workers_reload(struct queue *queue);
// Tells workers which leases to give up now, so that others get their share.
void workers_ask_to_yield(struct queue *queue);
enum status workers_expire(struct queue *queue, struct sql *sql, struct error *error);
// Its first task was leased; `started_us` 0: before the site's own start, and when is known with its first result.
void job_start(struct queue *queue, struct active_job *job, int64_t started_us);
struct given_lease *worker_find_lease(struct worker *worker, int64_t number);
// Something of the lease was reported or returned, perhaps for the second time: the lease goes when nothing of it is left.
void worker_lease_reported(struct queue *queue, struct worker *worker, struct given_lease *lease);
// Whether the process of the worker that registers is registered already: that one's number, or 0.
int64_t worker_find_former(const struct queue *queue, const struct worker *worker);
// Ends the registration before this one, whose leases wait again: to be followed by worker_reconcile in the same change.
void worker_succeed_former(struct queue *queue, struct worker *worker);
// Compares the leases that the worker says it holds with the books.
void worker_reconcile(struct queue *queue, struct worker *worker, const struct poll_body *body);
// The answer to a poll: what there is for this worker. Returns whether there was anything.
bool worker_answer(struct queue *queue, struct worker *worker, bool with_leases,
                   struct buffer *out);
void worker_free(struct worker *worker);
// It holds none of its leases any more.
void worker_forget_leases(struct queue *queue, struct worker *worker);

// --- task_access.c: the leases whose tasks may ask the site, for task_access.h
struct task_leases *task_leases_new(const struct digest *key);
void task_leases_free(struct task_leases *leases);
bool job_has_api(const struct active_job *job);
// The worker has it from now on; nothing is done for other jobs.
void task_leases_add(struct queue *queue, const struct worker *worker,
                     const struct given_lease *lease);
void task_leases_remove(struct queue *queue, int64_t lease);
// Appends the token of the lease.
void task_token_write(const struct queue *queue, const struct worker *worker,
                      const struct given_lease *lease, struct buffer *out);

// --- uploads.c: what workers may send, for uploads.h
struct uploads *uploads_new(void);
void uploads_free(struct uploads *uploads);
void uploads_lease_given(struct queue *queue, const struct worker *worker,
                         const struct given_lease *lease);
// What became of a worker's leases; see policy/uploads.h.
enum { UPLOAD_BLOBS = 3 };
struct upload_news {
    enum {
        UPLOAD_REPORTED,   // Results of so many tasks of a lease of the job were taken.
        UPLOAD_RETURNED,   // So many of the lease were given back.
        UPLOAD_CHECKPOINT, // One of the job's task was taken.
        UPLOAD_ENDED,      // The lease is held no more.
    } what;
    int64_t job;
    int64_t lease;
    int64_t task;
    int64_t tasks;
    // What the results or the checkpoint name.
    const struct digest *blobs[UPLOAD_BLOBS]; // NULL: none.
    struct text files;                        // The digests that stand in it.
};
void uploads_note(struct queue *queue, const struct worker *worker, const struct upload_news *news);
// Forgets whom nothing is known of any more.
void uploads_tick(struct queue *queue, int64_t now_us);

// --- checkpoint.c
// Takes the checkpoints that a poll tells of.
enum status checkpoints_commit(struct queue *queue, struct sql *sql, const struct worker *worker,
                               const struct poll_body *body, struct error *error);
// The task has ended.
enum status checkpoint_drop(struct queue *queue, struct sql *sql, struct active_job *job,
                            int64_t index, struct error *error);
// All of it have.
enum status checkpoints_drop_job(const struct queue *queue, struct sql *sql, struct active_job *job,
                                 struct error *error);
enum status checkpoints_load(struct sql *sql, struct active_job *job, struct error *error);
void job_forget_checkpoints(struct active_job *job);
// What a worker is told of the attempt that is to begin: nothing of jobs without checkpoints.
void checkpoint_write_attempt(const struct queue *queue, const struct active_job *job,
                              const struct given_lease *lease, struct buffer *out);
// Of who left the task's; RUNNER_SITE when there is none.
enum runner_class checkpoint_kind(const struct active_job *job, int64_t index);
// Is it a file of one of those that the lease's tasks go on from?
bool checkpoints_have_blob(const struct active_job *job, const struct given_lease *lease,
                           struct text digest);
// When the task's was taken; 0: there is none.
int64_t checkpoint_taken_us(const struct active_job *job, int64_t index);

// --- drain.c
// When the worker is gone, steady time; INT64_MAX: not known.
int64_t worker_end_us(const struct worker *worker);
// What a worker says of its end as it registers, and later (< 0: nothing).
void worker_begin_end(struct worker *worker, const struct worker_hello *hello);
void worker_note_end(struct queue *queue, struct worker *worker, int64_t leaves_in_us);
// The scheduler is to know it.
void worker_tell_end(struct queue *queue, const struct worker *worker);
// Members of a document: the order in a poll's answer, and when it is gone for who lists workers.
void worker_write_order(struct worker *worker, struct buffer *out);
void worker_write_leaving(const struct worker *worker, struct buffer *out);
// It is gone, in order: what it holds still goes to others, and nothing of that is to blame.
void worker_leave(struct queue *queue, struct worker *worker);
// The worker that is here. NOT_FOUND says what is known of another one: that it is gone, that it is lost, or that there is none.
enum status worker_get(const struct queue *queue, int64_t id, struct worker **out,
                       struct error *error);

// --- losses.c: tasks whose workers were lost, and those that are held for it
// The worker is gone, for the reason given. What it ran was lost once more; `reason` NULL: it has not died, and none of that is to blame.
enum status worker_lose(struct queue *queue, struct sql *sql, struct worker *worker,
                        const char *reason, struct error *error);
// Brings what was counted of a job's attempts, and which of its tasks are held, back into the scheduler's books.
enum status attempts_load(struct queue *queue, struct sql *sql, const struct active_job *job,
                          struct error *error);
// The held tasks among [from, to) of the job may run again.
enum status held_release(struct queue *queue, struct sql *sql, struct active_job *job, int64_t from,
                         int64_t to, struct error *error);
// Appends what is known of the workers that were lost with a task: {"at", "text"} with commas between, the last one first.
enum status losses_write(struct sql *sql, int64_t job, int64_t index, struct buffer *out,
                         struct error *error);
// "3 of its tasks are held ...", of a job with held tasks.
void held_message(const struct queue *queue, int64_t job, struct buffer *out);

// --- groups.c
// The scheduler's number of a group.
int64_t group_number(struct text name);
// Tells a new scheduler.
void weights_reload(struct queue *queue);
void weights_free(struct queue *queue);
// What a worker works for from now on: what it said, or where it was moved to.
enum status worker_find_groups(struct sql *sql, struct worker *worker, const struct text *said,
                               size_t count, struct error *error);
void worker_tell_groups(struct queue *queue, const struct worker *worker);
// Is the group one that somebody can work for, or that an active job is for? NOT_FOUND says which there are.
enum status group_check(const struct queue *queue, struct sql *sql, struct text name,
                        struct error *error);
// Appends those of the names for which nobody can work: "physisc","spaer".
enum status groups_find_unknown(const struct queue *queue, struct sql *sql,
                                const struct text *names, size_t count, struct buffer *out,
                                struct error *error);
// ["physics","spare"]
void worker_write_groups(const struct worker *worker, struct buffer *out);
// Says so when workers are there and none of them works for the job's group.
bool groups_say_unserved(const struct queue *queue, const struct active_job *job,
                         struct buffer *why, struct buffer *change);

// --- told.c
// DENIED unless the worker is here, is this owner's, and was told of the job.
enum status told_check(const struct queue *queue, int64_t worker, struct text owner, int64_t job,
                       struct error *error);

// --- sources.c
void sources_free(struct queue *queue);
void worker_take_serving(struct worker *worker, const struct worker_hello *hello);
// What it is to know for it, as a member of the answer to its registration.
void worker_write_serving(const struct worker *worker, struct buffer *out);

// --- matches.c: what jobs require of workers, and what these have
enum status match_insert(struct sql *sql, int64_t job, const struct job_spec *spec,
                         int64_t input_bytes, struct error *error);
// Completes the plan of a job with what it requires; what it points to is in the arena.
enum status match_read(struct sql *sql, int64_t job, struct arena *arena, struct job_plan *plan,
                       struct error *error);
void worker_take_labels(struct worker *worker, const struct worker_hello *hello);
void worker_tell_labels(const struct queue *queue, const struct worker *worker);
void worker_drop_labels(struct worker *worker);
void worker_write_labels(const struct worker *worker, struct buffer *out);

// --- notes.c: what workers say of jobs that they have
void notes_take(struct queue *queue, struct worker *worker, const struct poll_body *body);
void notes_drop_job(struct worker *worker, int64_t job);
void notes_free(struct worker *worker);
// Appends what they say of the job.
void notes_explain(const struct queue *queue, int64_t job, struct buffer *why,
                   struct buffer *change);

// --- figures.c
// Counts what queue_load_figures tells.
void figures_count(struct queue *queue);

// --- poll.c: waiting polls
// Gives waiting workers what there is, and answers polls whose time is over.
void polls_dispatch(struct queue *queue);
// Looks again for waiting workers: what the alarm calls; the context is the queue.
void polls_ring(void *context);
// A worker's entry in lists.
void worker_write(const struct queue *queue, const struct worker *worker, struct buffer *out);
// Answers the poll that waits, if any.
void poll_release(struct queue *queue, struct worker *worker);

// --- follow.c: waits, watches, live output
void follow_tell(struct queue *queue); // After a commit.
void follow_tick(struct queue *queue);
void follow_stop(struct queue *queue); // Tells all for the last time.
void follow_free(struct queue *queue);
void live_append(struct queue *queue, const struct worker *worker, const struct poll_log *log);
void live_drop_task(struct queue *queue, int64_t job, int64_t index);
void live_drop_job(struct queue *queue, int64_t job);
struct live_task *live_find(struct queue *queue, int64_t job, int64_t index);
// How often the task was begun since an attempt of it came to nothing, as far as is known, when this worker had it last and says so often itself.
int64_t live_times(struct queue *queue, const struct worker *worker, struct task_id task,
                   int64_t said);
// What one had is the other's: it is the same process.
void live_pass_on(struct queue *queue, const struct worker *former, const struct worker *worker);
// The worker has given tasks [from, to) back: what it prints of them from now on is another attempt's.
void live_give_back(struct queue *queue, const struct worker *worker, int64_t job, int64_t from,
                    int64_t to);
void live_free(struct queue *queue);

// --- document.c
// The document of a job, with its spec and setups when `is_full`.
enum status job_write_document(struct queue *queue, struct sql *sql, int64_t job, bool is_full,
                               struct buffer *out, struct error *error);

// --- cache_apply.c
// Answers up to CACHE_PIECE tasks and takes them off the plan.
enum status cache_apply_piece(struct queue *queue, struct sql *sql, struct active_job *job,
                              struct cache_plan *plan, struct error *error);
// Answers the tasks of an active job from the plan, piece by piece; takes the plan.
void cache_apply(struct queue *queue, int64_t job, struct cache_plan *plan);

#endif
