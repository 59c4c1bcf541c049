// The durable queue of a site: jobs are submitted, workers lease tasks and report results, everyone can ask.
//
// All state belongs to the store's writer thread: a request is a store_write, its answer comes after the commit. So nothing
// that was answered is ever lost, and what a poll leases is never of a job that a crash forgets.
// Answers are JSON documents as docs/protocols/api.md and worker.md have them.
#ifndef LODE_QUEUE_QUEUE_H
#define LODE_QUEUE_QUEUE_H

#include "base/json.h"
#include "jobs/spec.h"
#include "prepare/destination.h"
#include "protocol/hello.h"
#include "protocol/poll_parse.h"
#include "records/handover.h"

struct store;
struct sql;
struct blobs;
struct queue;
struct runner;

enum {
    QUEUE_OWNER_MAX = 64,
    QUEUE_RUNNERS_MAX = 1000,        // Workers of one credential of another class than site.
    QUEUE_RUNNERS_LISTED_MAX = 2000, // The same, with those that are lost or gone and still listed.
    QUEUE_LIVE_MAX = 1 << 20,        // Bytes of live output kept of one running task.
};

// What the program knows of places. All functions may be called on the writer's thread, and must not block.
struct queue_place_ops {
    // Appends the name and the URL of the site with this fingerprint; nothing where they are not known.
    void (*describe)(void *context, const char *place, struct buffer *name, struct buffer *url);
};

struct queue_options {
    struct store *store;
    struct blobs *blobs;
    const struct prepare_catalog_ops *catalog; // NULL: no dataset is known.
    void *catalog_context;
    int64_t
        lease_timeout_us; // A worker with leases that was not heard for so long is lost. 0: 5 s. Another one after 30 s.
    int64_t gone_timeout_us; // So is one that left its waiting poll so long ago. 0: 3 s.
    int64_t over_kept_us;    // One that is lost or gone is listed for so long. 0: ten minutes.
    const struct queue_place_ops *places; // NULL: places are shown by their fingerprints.
    void *places_context;
    // Within the write that ends a job: what else ends with it. May be NULL.
    enum status (*job_ended)(void *context, struct sql *sql, int64_t job, struct error *error);
    void *job_ended_context;
    // Can somebody work for the group of this name? NOT_FOUND, with the way out. NULL: any that is named. Called within a change; also by registrations.
    enum status (*check_group)(struct sql *sql, struct text name, struct error *error);
    struct digest task_key; // Seals the tokens of tasks (queue/task_access.h).
};

// Reads the active jobs and goes on with them. The store must have been opened with QUEUE_MIGRATIONS.
enum status queue_open(const struct queue_options *options, struct queue **out,
                       struct error *error);
// Answers all who wait, as far as there is something to say. Then close the store, then free.
void queue_stop(struct queue *queue);
void queue_free(struct queue *queue);

// How an answer comes: once, on the writer's thread, after the commit. The document is borrowed for the call.
typedef void queue_done_fn(void *context, enum status status, const struct error *error,
                           struct text document);
struct queue_answer {
    queue_done_fn *done;
    void *context;
};

// What is written together with a change, so that neither is there without the other: an entry of the audit log about the job or
// worker of that number. Its failure is that of the change. The context must live until the answer. NULL as `write`: nothing.
struct queue_witness {
    enum status (*write)(struct sql *sql, void *context, int64_t number, struct error *error);
    void *context;
};

// --- jobs

// Why a job is not to start yet although it could, and what will change that; texts for `why`.
struct queue_hold {
    struct text reason; // Empty: it is not held.
    struct text change;
};

struct queue_submission {
    struct job_spec *spec; // Taken in every case.
    struct prepare_destination to;
    struct queue_hold hold;
    struct text owner;
    struct text idempotency_key; // Empty: none.
    // Digest of what the user asked for, for the same key with something else to be refused (CORRUPT). NULL: not compared.
    const struct digest *request;
    // Of a job that another site brings: the digest of the key under which its user submitted it there. NULL: not said. Jobs with the same one that
    // compute the same are one submission that came by several ways, and run once, whatever `cache` says.
    const struct digest *origin;
    int64_t wait_us;              // Answer when the job has ended, or after so long.
    struct queue_witness witness; // Not asked when the key gives an earlier job again.
};
// Looks at the data and files and submits. Blocks for the disk: not on a loop, nor on the writer's thread.
// INVALID, NOT_FOUND (blob, dataset), CONFLICT (changed data, or other data than the spec's digests say) ...: the same as *answer's. What was submitted under
// the same key before is given again even when it could not be submitted any more.
void queue_submit(struct queue *queue, const struct queue_submission *submission,
                  struct queue_answer answer);

// The job that a submission's key made before, for who has much to do before he submits.
struct queue_repeat {
    int64_t job;  // 0: none.
    bool is_held; // It was not released: what was to be done for it may not have been begun.
};
// CORRUPT as queue_submit. May wait for the database.
enum status queue_find_repeat(struct queue *queue, const struct queue_submission *submission,
                              struct queue_repeat *out, struct error *error);

// The owner of a job into `owner` (QUEUE_OWNER_MAX + 1 bytes); NOT_FOUND. May wait for the database.
enum status queue_job_owner(struct queue *queue, int64_t job, char *owner, struct error *error);

// CONFLICT when the job has ended; NOT_FOUND. May wait for the database.
enum status queue_job_lasts(struct queue *queue, int64_t job, struct error *error);

struct queue_view {
    int64_t wait_us;
    int64_t
        after_version; // With wait_us: answer when the job's version is greater than this; < 0: when it has ended, or is held.
    bool is_brief; // Without spec and setups: for who may know of the job, but not what is in it.
};
// A job's document, at the latest after wait_us.
void queue_show_job(struct queue *queue, int64_t job, const struct queue_view *view,
                    struct queue_answer answer);

struct queue_job_filter {
    struct text state; // Empty: any.
    struct text owner;
    int64_t before; // Jobs with smaller numbers; 0: all.
    int64_t limit;
};
enum status queue_list_jobs(struct queue *queue, const struct queue_job_filter *filter,
                            struct buffer *out, struct error *error);

// Cancelling what is cancelled changes nothing and is not witnessed.
void queue_cancel_job(struct queue *queue, int64_t job, struct text by,
                      struct queue_witness witness, struct queue_answer answer);
// Of an ended job the failed and cancelled tasks run again, of another one the held ones. Blocks for the disk, as queue_submit. CONFLICT
// also when the job's data is other data by now.
void queue_retry_job(struct queue *queue, int64_t job, struct queue_witness witness,
                     struct queue_answer answer);
// A held task of a job that has not ended runs again. CONFLICT when it is not held. The answer is the job.
void queue_retry_task(struct queue *queue, int64_t job, int64_t index, struct queue_witness witness,
                      struct queue_answer answer);
// `index` < 0: the job. With `may_read`, who asks may read what its tasks print: the answer has the last line of the one that failed. Waits for the
// writer's thread, and blocks for the disk.
enum status queue_why(struct queue *queue, int64_t job, int64_t index, bool may_read,
                      struct buffer *out, struct error *error);

// A held job starts, at the place that is given now, with the data as it is known now: blocks for the disk, as queue_submit. CONFLICT
// when it is not held, or would compute something else than when it was submitted. The answer is the job.
void queue_release(struct queue *queue, int64_t job, const struct prepare_destination *to,
                   struct queue_answer answer);
// A site refused a job as it was planned: its place takes back what was leased of it, and it is held until it is released with what is known then. No
// change when it is held already, or goes there under another offer by now. CONFLICT when it is at no other site (any more), or the witness says so.
struct queue_refusal {
    const char *offer; // That it came under; NULL: none.
    struct queue_hold hold;
};
void queue_hold_refused(struct queue *queue, int64_t job, const struct queue_refusal *refusal,
                        struct queue_witness witness, struct queue_answer answer);
// The document that a job was submitted with. NOT_FOUND. *out is the caller's (spec_free). May wait for the database.
enum status queue_job_spec(struct queue *queue, int64_t job, struct job_spec **out,
                           struct error *error);
// What it waits for cannot come: it fails with the message. CONFLICT when it is not held.
void queue_fail_held(struct queue *queue, int64_t job, struct text message,
                     struct queue_answer answer);
// CONFLICT when it is not held; INVALID without a reason.
void queue_set_hold_reason(struct queue *queue, int64_t job, const struct queue_hold *hold,
                           struct queue_answer answer);

// CONFLICT, naming the job, while one that has not ended uses the dataset (by the identifier it is registered by). May wait for
// the database.
enum status queue_check_unused(struct queue *queue, const char *dataset, struct error *error);

// --- tasks; all of these may wait for the database and must not be called on the writer's thread

struct queue_page {
    struct text state; // Of tasks; empty: any.
    int64_t from;      // The first index.
    int64_t limit;
};
enum status queue_list_tasks(struct queue *queue, int64_t job, const struct queue_page *page,
                             struct buffer *out, struct error *error);
enum status queue_list_outputs(struct queue *queue, int64_t job, const struct queue_page *page,
                               struct buffer *out, struct error *error);
enum status queue_show_task(struct queue *queue, int64_t job, int64_t index, struct buffer *out,
                            struct error *error);

// What a task wrote: bytes from `offset` on in *bytes, or an open file. NOT_FOUND when the task has not started.
struct queue_output {
    struct buffer bytes; // The caller's: buffer_done.
    int fd;              // -1: the content is in `bytes`. The caller's.
    int64_t size;        // Of the file.
    bool is_complete;    // There will be no more.
    int64_t dropped;     // Live output only: bytes from `offset` on that are no longer kept.
    int64_t attempt;     // That wrote it; 0: none has.
};
enum status queue_read_output(struct queue *queue, int64_t job, int64_t index, bool is_error_output,
                              int64_t offset, struct queue_output *out, struct error *error);

// The answers of a streamed job as lines from index `from` on, in order and as far as there are (about a chunk at a time);
// *next is the first index that is not among them.
enum status queue_read_answers(struct queue *queue, int64_t job, int64_t from, struct buffer *out,
                               int64_t *next, bool *is_complete, struct error *error);

// --- following

// What queue_read_events found out.
struct queue_events {
    bool is_more;        // Ask again at once.
    bool is_ended;       // The `end` event was among them.
    bool has_job;        // A `job` event was.
    bool is_job_omitted; // There would have been one.
};
// Appends the server-sent events of a job that come after *at, about 256 KiB at most, and moves *at. `wants_job`: with a `job` event
// when the job has changed. May wait for the database.
enum status queue_read_events(struct queue *queue, int64_t job, bool wants_job,
                              struct event_position *at, struct buffer *out,
                              struct queue_events *found, struct error *error);

// Calls `changed(context)` on the writer's thread at first, whenever there may be something new of the job, each 15 seconds, when
// the time given with queue_watch_until has come, and last when the queue stops. *out is to be ended with queue_unwatch, any
// thread but within `changed`; no call comes after that.
struct queue_watch;
// `until_us`: as with queue_watch_until; 0: none.
void queue_watch_job(struct queue *queue, int64_t job, int64_t until_us,
                     void (*changed)(void *context), void *context, struct queue_watch **out);
// A time of the steady clock, about a quarter of a second exact; any thread.
void queue_watch_until(struct queue_watch *watch, int64_t until_us);
void queue_unwatch(struct queue *queue, struct queue_watch *watch);
// Has queue_stop been called? Any thread.
bool queue_is_stopping(const struct queue *queue);

// --- workers

// A worker registers: the document of POST /v1/workers, which is taken in every case. `runner`: the class that its credential says (policy/runner.h),
// copied; NULL: of the site. DENIED when it asks for more than its class has, or its job has ended; QUOTA when its credential has QUEUE_RUNNERS_MAX workers already,
// or QUEUE_RUNNERS_LISTED_MAX with those that are over.
void queue_register_worker(struct queue *queue, json_t *document, struct text owner,
                           const struct runner *runner, struct queue_witness witness,
                           struct queue_answer answer);

// A poll under way. `is_gone` is set (any thread) when the one who asks has left: then it is answered without leases. Before that `is_silent` is, when
// nothing came of its machine any more.
struct queue_poll {
    int64_t worker;
    struct text owner;
    const struct runner *runner; // What its credential says; NULL: of the site. As the poll.
    struct poll_body *body;      // Taken.
    _Atomic bool is_gone;
    _Atomic bool is_silent;
    struct queue_answer answer;
};
// The poll must live until its answer. NOT_FOUND also when its credential has another class than when it registered: it is to do so again. DENIED when
// it speaks of a job that its class may not have. Blocks for the disk when it names blobs.
void queue_poll(struct queue *queue, struct queue_poll *poll);

// After how many seconds without anything of its machine a waiting poll is `is_silent`. Any thread.
int queue_silence_seconds(const struct queue *queue);

// The worker is to be gone in so many microseconds (0: as soon as it can; < 0: the order is called off). It starts nothing that would not
// have ended by then; what still runs goes on elsewhere. The answer is the worker. NOT_FOUND; CONFLICT: it is a link, or there is nothing to
// call off.
void queue_drain_worker(struct queue *queue, int64_t worker, int64_t in_us,
                        struct queue_witness witness, struct queue_answer answer);

// Where a worker is to get a file of a job from: {"from": "site"}, {"from": "worker", "worker", "url", "fingerprint", "pass"} or {"from": "wait"}.
// Or, when `has_it`, that it has the file now, and others may get it from there. DENIED as below. Any thread.
enum { QUEUE_FAILED_MAX = 16, QUEUE_ADDRESS_SIZE = 64 };
struct queue_source_request {
    int64_t worker;
    struct text owner;
    int64_t job;
    struct digest digest;
    char address[QUEUE_ADDRESS_SIZE]; // From where it asks.
    int64_t failed[QUEUE_FAILED_MAX]; // Workers that it could not get the file from.
    size_t failed_count;
    int64_t unreached[QUEUE_FAILED_MAX]; // Workers that it could not reach lately, for any file.
    size_t unreached_count;
    bool has_it;
};
void queue_find_source(struct queue *queue, const struct queue_source_request *request,
                       struct queue_answer answer);

// Has the worker been told of the job, and is it this principal's? DENIED when not, or when there is no such worker or job: nothing is answered
// but OK or that. Any thread.
void queue_check_told(struct queue *queue, int64_t worker, struct text owner, int64_t job,
                      struct queue_answer answer);
// A worker of this principal, a runner, has uploaded the blob, which is durable: it may name it in what it reports. Waits for the writer's thread.
enum status queue_runner_uploaded(struct queue *queue, struct text owner,
                                  const struct digest *digest, struct error *error);
// Is this one of the files, items, software or checkpoints of a job that a worker of this principal has leased? Waits for the writer's thread.
enum status queue_runner_has_blob(struct queue *queue, struct text owner,
                                  const struct digest *digest, bool *out, struct error *error);
// The identifier of the dataset that a job has under this name, in the arena. Blocks for the disk. NOT_FOUND.
enum status queue_job_data(struct queue *queue, int64_t job, struct text name, struct arena *arena,
                           const char **id, struct error *error);

// Up to `limit` workers by number, those behind `after`.
void queue_list_workers(struct queue *queue, int64_t after, int64_t limit,
                        struct queue_answer answer);

// What a group weighs when the site is shared; 1 where nothing was told. Not kept: to be told after each start. Any thread.
void queue_set_group_weight(struct queue *queue, struct text name, double weight);

// The worker works for these groups from now on, in this order (none: for all), and does so when it registers again under its name.
// What it runs goes on. The answer is the worker. CONFLICT for one of another place, and for groups that its class has not.
void queue_move_worker(struct queue *queue, int64_t worker, const struct text *groups, size_t count,
                       struct queue_witness witness, struct queue_answer answer);

// Answers all polls that wait, as if there were news: who may not poll any more notices. Any thread.
void queue_release_polls(struct queue *queue);

// Where jobs that have not ended are to go: {"places": [{"place", "name", "url", "jobs"}], "version"}. With `wait_us`: at the latest
// then, else as soon as the version is another one than `version`.
void queue_list_places(struct queue *queue, int64_t version, int64_t wait_us,
                       struct queue_answer answer);

// A process of this machine has ended that was started as a worker of this name: if it registered, it is lost at once. `name` NULL: the link to
// other sites, which is a worker for each of them. `how` it ended, for people: "it was killed by signal 9". Any thread.
void queue_worker_ended(struct queue *queue, const char *name, int64_t process, const char *how);

// The workers of this principal may not serve any more: all are lost at once. Any thread.
void queue_drop_workers(struct queue *queue, struct text owner);

// What keeps the site's own executor from having workers, for `why`; empty when nothing does. Any thread.
void queue_set_executor_problem(struct queue *queue, const char *problem, const char *change);

// How busy the site's own workers are, as of the last quarter of a second. Any thread; never blocks.
struct queue_load_figures {
    int64_t cpus; // Of workers that are here.
    int64_t cpus_busy;
    int64_t tasks_waiting;
    int64_t workers;
};
struct queue_load_figures queue_load_figures(struct queue *queue);

// When a job with such a need would start on this site's own workers.
struct queue_estimate {
    int64_t worker_count;
    int64_t slots;      // Such tasks that run at once when nothing else does.
    int64_t free_slots; // Now.
    double start_seconds;
};
// The number of lines of a blob of items ("sha256:..."). NOT_FOUND when it is not here. Blocks for the disk.
enum status queue_count_items(struct queue *queue, const char *items, int64_t *count,
                              struct error *error);
// Waits for the writer's thread.
enum status queue_estimate(struct queue *queue, const struct resources *need,
                           struct queue_estimate *out, struct error *error);

// Sets what GET /v1/status says of jobs, tasks, workers and the sandbox. May wait for the database.
enum status queue_describe(struct queue *queue, json_t *status, struct error *error);

#endif
