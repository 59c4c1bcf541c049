#include "queue/gather.h"

#include "base/memory.h"
#include "crypto/file_digests.h"
#include "os/alarm.h"
#include "os/clock.h"
#include "os/crew.h"
#include "queue/second_look.h"
#include "records/jobs_sql.h"

#include <stdio.h>

enum {
    LIFE_SHIFT =
        32, // Leases of one life of the site; a life's number takes the bits above, 2^53 in all.
    LEASE_DEFAULT_US = 5000000,
    OVER_KEPT_DEFAULT_US = 600000000,
    GONE_TIMEOUT_DEFAULT_US = 3000000, // Longer than a worker rests before it connects again.
};

enum status queue_settle(struct queue *queue, struct sql *sql, struct error *error)
{
    return queue->needs_reload ? queue_load(queue, sql, error) : OK;
}

static enum status run_op(struct sql *sql, void *context, struct error *error)
{
    struct queue_op *op = context;
    struct queue *queue = op->queue;
    TRY(queue_settle(queue, sql, error));
    queue->is_touched = false;
    enum status status = op->run(op, sql, error);
    if (status == OK) {
        status = queue_flush(queue, sql, error);
    }
    if (status != OK && queue->is_touched) {
        queue->needs_reload = true;
    }
    return status;
}

static void ask_gatherer(struct queue *queue)
{
    struct range job;
    while (queue->gatherer && ranges_take(&queue->to_gather, 1, &job)) {
        gatherer_ask(queue->gatherer, gather_outputs, job.from);
    }
    while (queue->gatherer && ranges_take(&queue->to_look_up, 1, &job)) {
        gatherer_ask(queue->gatherer, twins_look_up, job.from);
    }
}

static void done_op(void *context, enum status status, const struct error *error)
{
    struct queue_op *op = context;
    struct queue *queue = op->queue;
    op->done(op, status, error);
    polls_dispatch(queue);
    follow_tell(queue);
    places_tell(queue);
    ask_gatherer(queue);
}

void queue_enqueue(struct queue *queue, struct queue_op *op)
{
    op->queue = queue;
    store_write(queue->store, run_op, done_op, op);
}

enum status queue_witness_change(const struct queue_witness *witness, struct sql *sql,
                                 int64_t number, struct error *error)
{
    return witness->write ? witness->write(sql, witness->context, number, error) : OK;
}

void queue_answer_error(struct queue_answer answer, enum status status, const struct error *error)
{
    answer.done(answer.context, status, error, TEXT_NONE);
}

static enum status recover(struct sql *sql, void *context, struct error *error)
{
    return queue_load(context, sql, error);
}

static enum status run_tick(struct queue_op *op, struct sql *sql, struct error *error)
{
    return workers_expire(op->queue, sql, error);
}

static void done_tick(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    follow_tick(op->queue);
    figures_count(op->queue);
    workers_ask_to_yield(op->queue);
    op->queue->has_work = true;
    free(op);
}

// A check of the store has no `done`, so it asks for an operation that has one.
static enum status tick(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)error;
    struct queue *queue = context;
    if (queue->is_stopping) {
        return OK;
    }
    struct queue_op *op = NEW(struct queue_op);
    op->run = run_tick;
    op->done = done_tick;
    queue_enqueue(queue, op);
    return OK;
}

// Begins a life: numbers of leases that no earlier one has used.
static enum status begin_life(struct sql *sql, void *context, struct error *error)
{
    struct queue *queue = context;
    TRY(sql_run(sql, SQL_NEXT_LIFE, SQL_VALUES(sql_int64(clock_real_us())), NULL, error));
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_LAST_IDS, SQL_NO_VALUES, &rows, error));
    queue->lease_base = sql_column_int64(rows, 0) << LIFE_SHIFT;
    queue->lease_last = queue->lease_base;
    queue->places_version = sql_column_int64(rows, 0) << PLACES_VERSION_SHIFT;
    queue->last_job = sql_column_int64(rows, 1);
    queue->last_old_job = queue->last_job;
    queue->opened_us = clock_steady_us();
    queue->last_worker = sql_column_int64(rows, 2);
    sql_end(TAKE(rows));
    return queue_load(queue, sql, error);
}

enum status queue_open(const struct queue_options *options, struct queue **out, struct error *error)
{
    struct queue *queue = NEW(struct queue);
    queue->store = options->store;
    queue->blobs = options->blobs;
    queue->place_ops = options->places;
    queue->place_context = options->places_context;
    queue->job_ended = options->job_ended;
    queue->job_ended_context = options->job_ended_context;
    queue->check_group = options->check_group;
    queue->scheduler_options.lease_timeout_us =
        options->lease_timeout_us > 0 ? options->lease_timeout_us : LEASE_DEFAULT_US;
    queue->gone_timeout_us =
        options->gone_timeout_us > 0 ? options->gone_timeout_us : GONE_TIMEOUT_DEFAULT_US;
    queue->over_kept_us = options->over_kept_us > 0 ? options->over_kept_us : OVER_KEPT_DEFAULT_US;
    queue->jobs = map_new();
    queue->families = map_new();
    queue->workers = map_new();
    queue->weights = map_new();
    queue->places = map_new();
    queue->live = map_new();
    queue->spreads = map_new();
    queue->site = (struct prepare_site){options->store, options->blobs, options->catalog,
                                        options->catalog_context, file_digests_new()};
    queue->task_leases = task_leases_new(&options->task_key);
    queue->uploads = uploads_new();
    enum status status = alarm_new(polls_ring, queue, &queue->alarm, error);
    if (status == OK && queue->site.catalog) {
        status = second_looks_new(queue, &queue->looks, error);
    }
    if (status == OK) {
        status = gatherer_new(queue, &queue->gatherer, error);
    }
    if (status == OK) {
        status = crew_start("lode-claimer", 1, &queue->claimer, error);
    }
    if (status == OK) {
        status = store_write_wait(queue->store, begin_life, queue, error);
    }
    if (status != OK) {
        queue_free(queue);
        return status;
    }
    store_on_recover(queue->store, recover, queue);
    store_every(queue->store, QUEUE_TICK_US, tick, queue);
    *out = queue;
    return OK;
}

static enum status run_stop(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)error;
    struct queue *queue = context;
    if (queue->is_stopping) {
        return OK;
    }
    follow_stop(queue);
    places_tell(queue);
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        poll_release(queue, worker);
    }
    return OK;
}

void queue_stop(struct queue *queue)
{
    struct error error;
    (void)store_write_wait(queue->store, run_stop, queue, &error);
    // No poll waits any more, so nobody sets it.
    alarm_free(TAKE(queue->alarm));
    gatherer_stop(queue->gatherer);
    // The store's and the catalogue's last user that is not one of their own threads.
    second_looks_stop(queue->looks);
    // What `follow_stop` asked for is answered when everything asked before this has been done.
    (void)store_write_wait(queue->store, run_stop, queue, &error);
}

void queue_free(struct queue *queue)
{
    if (!queue) {
        return;
    }
    queue_forget_jobs(queue);
    places_free(queue);
    workers_free(queue);
    live_free(queue);
    follow_free(queue);
    map_free(queue->jobs);
    map_free(queue->families);
    map_free(queue->workers);
    weights_free(queue);
    map_free(queue->live);
    sources_free(queue);
    task_leases_free(queue->task_leases);
    uploads_free(queue->uploads);
    scheduler_free(queue->scheduler);
    file_digests_free(queue->site.programs);
    alarm_free(queue->alarm);
    second_looks_free(queue->looks);
    gatherer_free(queue->gatherer);
    crew_stop(queue->claimer);
    ranges_done(&queue->to_gather);
    ranges_done(&queue->to_look_up);
    free(queue->dirty);
    free(queue->changed);
    free(queue);
}

enum status queue_job_owner(struct queue *queue, int64_t job, char *owner, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_JOB_OWNER, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == OK) {
        struct text text = text_slice(sql_column_text(rows, 0), 0, QUEUE_OWNER_MAX);
        memcpy(owner, text.bytes ? text.bytes : "", text.length);
        owner[text.length] = '\0';
    } else if (status == NOT_FOUND) {
        status = job_unknown(job, error);
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    return status;
}

enum status queue_job_lasts(struct queue *queue, int64_t job, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_JOB_STATE, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == NOT_FOUND) {
        status = job_unknown(job, error);
    }
    enum job_state state = status == OK ? (enum job_state)sql_column_int64(rows, 0) : JOB_WAITING;
    if (state == JOB_SUCCEEDED || state == JOB_FAILED || state == JOB_CANCELLED) {
        (void)error_set(error, CONFLICT, "job %lld has ended: it %s%s", (long long)job,
                        state == JOB_CANCELLED ? "was " : "has ", job_state_name(state));
        error_fix(error, "name a job that is still to run; lode jobs lists them");
        status = CONFLICT;
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    return status;
}

bool queue_is_stopping(const struct queue *queue)
{
    return queue->is_stopping;
}

struct problem_op {
    struct queue_op op;
    char problem[JOB_MESSAGE_MAX];
    char change[JOB_MESSAGE_MAX];
};

static enum status run_problem(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)sql;
    (void)error;
    const struct problem_op *self = (const struct problem_op *)op;
    memcpy(op->queue->executor_problem, self->problem, sizeof self->problem);
    memcpy(op->queue->executor_change, self->change, sizeof self->change);
    return OK;
}

static void done_problem(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    free(op);
}

void queue_set_executor_problem(struct queue *queue, const char *problem, const char *change)
{
    struct problem_op *self = NEW(struct problem_op);
    self->op.run = run_problem;
    self->op.done = done_problem;
    (void)snprintf(self->problem, sizeof self->problem, "%s", problem);
    (void)snprintf(self->change, sizeof self->change, "%s", change);
    queue_enqueue(queue, &self->op);
}
