// Classes of workers in the queue: which jobs a worker gets and speaks of, and when it is to leave. What a class may do is said in policy/runner.h.
#ifndef LODE_QUEUE_RUNNERS_H
#define LODE_QUEUE_RUNNERS_H

#include "queue/state.h"

enum { RUNNERS_UPLOADS_FORGOTTEN_MAX = 1000 }; // At once.
// So long after the last upload a runner may name a blob; the blob itself has no longer either (store/blobs.h).
#define RUNNERS_UPLOAD_KEPT_US INT64_C(86400000000)

// A worker that registers gets the class of its credential. DENIED, saying why: it asks for groups that are not its class's, or brings jobs to another
// site; its job has ended. QUOTA: its credential has QUEUE_RUNNERS_MAX workers, or QUEUE_RUNNERS_LISTED_MAX are listed. An anonymous one gets a name that says nothing of it.
enum status worker_take_class(struct queue *queue, struct worker *worker,
                              const struct runner *runner, const struct worker_hello *hello,
                              struct error *error);
// The scheduler is to know its limits.
void worker_tell_limits(struct queue *queue, const struct worker *worker);
// May the worker work for these groups from now on? An empty list stands for all that its class has. CONFLICT when not.
enum status worker_check_groups(const struct worker *worker, const char *groups,
                                struct error *error);
bool worker_may_have_job(const struct worker *worker, const struct active_job *job);
// Its credential still says what it said when it registered, and lasts.
bool worker_is_as_said(const struct worker *worker, const struct runner *runner);
// Does it speak only of jobs that it may have? DENIED when not. What it says of leases is judged one by one (worker_reconcile).
enum status worker_check_words(const struct queue *queue, const struct worker *worker,
                               const struct poll_body *body, struct error *error);

// Claims what it names and has uploaded, and takes that out of body->blobs: what is left it may read, or may not name. Nothing else is claimed: that would keep for
// another day whatever a runner names. INVALID: it names too much. Blocks for the disk; not on the writer's thread.
enum status runner_claim_uploads(struct queue *queue, struct text owner, struct poll_body *body,
                                 struct error *error);
// May it read what is left of the blobs that it names? CONFLICT when not, whether they are here or not: that is not told.
enum status worker_check_uploads(const struct queue *queue, const struct worker *worker,
                                 const struct poll_body *body, struct error *error);

// The job has ended: workers that were for it alone leave.
void runners_end_job(struct queue *queue, int64_t job);
// Workers whose credentials have ended are lost, without blame.
enum status runners_expire(struct queue *queue, struct sql *sql, struct error *error);
// What was uploaded a day before this wall-clock time is forgotten, RUNNERS_UPLOADS_FORGOTTEN_MAX of it; *is_more: there may be more.
enum status runners_forget_uploads(struct sql *sql, int64_t now_us, bool *is_more,
                                   struct error *error);
// Calls that when its time has come: first an hour after the start, as reports of what came before it may be coming still.
enum status runners_tick(struct queue *queue, struct sql *sql, int64_t now_us, struct error *error);

// "class", whom it works for and whom its results are for, as members of a worker's entry in lists.
void worker_write_class(const struct worker *worker, struct buffer *out);
// Says so when workers are there and the class of none lets it run the job.
bool runners_say_unserved(const struct queue *queue, const struct active_job *job,
                          struct buffer *why, struct buffer *change);

#endif
