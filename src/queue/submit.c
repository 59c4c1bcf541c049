// Jobs come in, are cancelled, are tried again, and say why they wait.
#include "queue/prepare.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/queue_sql.h"

#include <stdio.h>

struct submit_op {
    struct queue_op op;
    struct job_spec *spec;
    struct prepared prepared;
    char *owner;
    char *idempotency; // Owner and key; NULL: none.
    char *hold_reason;
    char *hold_change;
    int64_t wait_us;
    int64_t job;
    bool is_looking_up;
    struct buffer document;
    struct queue_witness witness;
    struct queue_answer answer;
};

static void submit_free(struct submit_op *self)
{
    spec_free(self->spec);
    prepared_done(&self->prepared);
    buffer_done(&self->document);
    free(self->owner);
    free(self->idempotency);
    free(self->hold_reason);
    free(self->hold_change);
    free(self);
}

static struct sql_value string_or_null(const char *string)
{
    return string ? sql_text(text_of(string)) : sql_null();
}

static enum status insert_job(struct sql *sql, const struct submit_op *self,
                              const struct job_row *row, struct error *error)
{
    const struct prepared *prepared = &self->prepared;
    TRY(sql_run(sql, SQL_INSERT_JOB,
                SQL_VALUES(sql_int64(row->id), sql_text(row->owner), sql_text(row->name),
                           sql_int64(row->mode), sql_int64(row->cache),
                           sql_text(buffer_text(&prepared->spec)),
                           sql_text(buffer_text(&prepared->description)),
                           sql_blob(row->family.bytes, DIGEST_SIZE), sql_int64(row->count),
                           row->has_items ? sql_blob(row->items.bytes, DIGEST_SIZE) : sql_null(),
                           sql_int64(row->items_kind), sql_int64(row->need.cpu_millis),
                           sql_int64(row->need.memory_bytes), sql_int64(row->need.disk_bytes),
                           sql_int64(row->retries), sql_int64(row->priority),
                           sql_text(buffer_text(&prepared->inputs)), sql_int64(row->locality),
                           sql_int64(row->submitted_us), string_or_null(self->idempotency),
                           sql_text(row->command), sql_int64(row->first_index),
                           sql_int64(row->gathers), sql_text(row->place),
                           sql_int64(row->walltime_us), sql_int64(row->checkpoint_us)),
                NULL, error));
    return queue_insert_progress(sql, row, error);
}

static enum status insert_need(struct sql *sql, const char *field, int64_t job, int64_t needed,
                               struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_JOB_STATE, SQL_VALUES(sql_int64(needed)), &rows, error);
    if (status == NOT_FOUND) {
        return error_set(error, INVALID, "field \"%s\" names job %lld, which does not exist", field,
                         (long long)needed);
    }
    TRY(status);
    return sql_run(sql, SQL_INSERT_NEED, SQL_VALUES(sql_int64(job), sql_int64(needed)), NULL,
                   error);
}

// What a job has left is its owner's.
static enum status check_owner(struct sql *sql, int64_t needed, struct text owner,
                               struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_JOB_OWNER, SQL_VALUES(sql_int64(needed)), &rows, error));
    if (!text_equal(sql_column_text(rows, 0), owner)) {
        return error_set(
            error, DENIED,
            "field \"input_from\" names job %lld, whose outputs belong to another user",
            (long long)needed);
    }
    return OK;
}

static enum status insert_needs(struct sql *sql, const struct job_spec *spec, int64_t job,
                                struct text owner, struct error *error)
{
    for (size_t i = 0; i < spec->after_count; i++) {
        TRY(insert_need(sql, "after", job, spec->after[i], error));
    }
    for (size_t i = 0; i < spec->input_count; i++) {
        TRY(insert_need(sql, "input_from", job, spec->input_from[i], error));
        TRY(check_owner(sql, spec->input_from[i], owner, error));
    }
    return OK;
}

// The job that the same key made before; 0: none.
static enum status find_repeat(struct sql *sql, struct submit_op *self, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (!self->idempotency) {
        return OK;
    }
    enum status status = sql_first(sql, SQL_FIND_IDEMPOTENCY,
                                   SQL_VALUES(sql_text(text_of(self->idempotency))), &rows, error);
    if (status == OK) {
        self->job = sql_column_int64(rows, 0);
    }
    return status == NOT_FOUND ? OK : status;
}

static enum status hold(struct submit_op *self, struct sql *sql, struct active_job *job,
                        struct error *error)
{
    struct text reason = text_of(self->hold_reason);
    struct text change = text_of(self->hold_change);
    if (reason.length == 0 || job->has_ended) {
        return OK;
    }
    job_set_hold(job, reason, change);
    TRY(hold_insert(sql, job->row.id, reason, change, error));
    return job_look_at_needs(self->op.queue, sql, job, error);
}

static enum status insert_all(struct submit_op *self, struct sql *sql, struct error *error)
{
    struct queue *queue = self->op.queue;
    struct job_row *row = &self->prepared.row;
    struct active_job *job = NULL;
    row->id = ++queue->last_job;
    row->owner = text_of(self->owner);
    row->submitted_us = clock_real_us();
    self->job = row->id;
    TRY(insert_job(sql, self, row, error));
    TRY(prepared_insert_uses(sql, &self->prepared, error));
    TRY(insert_needs(sql, self->spec, row->id, row->owner, error));
    TRY(queue_activate(queue, sql, row, buffer_text(&self->prepared.description), NULL, &job,
                       error));
    TRY(hold(self, sql, job, error));
    if (job->has_ended || job->unmet_needs > 0 || row->gathers) {
        return OK; // What it would take from the cache may be other results by then.
    }
    TRY(cache_apply_piece(queue, sql, job, &self->prepared.plan, error));
    if (!job->has_ended && self->prepared.plan.run_count > 0) {
        self->is_looking_up = true;
        job->is_looking_up = true;
        scheduler_hold(queue->scheduler, row->id, true);
    }
    return OK;
}

static enum status run_submit(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct submit_op *self = (struct submit_op *)op;
    TRY(find_repeat(sql, self, error));
    if (self->job == 0) {
        TRY(insert_all(self, sql, error));
        TRY(queue_witness_change(&self->witness, sql, self->job, error));
        TRY(queue_flush(op->queue, sql, error));
    }
    return job_write_document(op->queue, sql, self->job, true, &self->document, error);
}

static void done_submit(struct queue_op *op, enum status status, const struct error *error)
{
    struct submit_op *self = (struct submit_op *)op;
    if (status != OK) {
        queue_answer_error(self->answer, status, error);
        submit_free(self);
        return;
    }
    if (self->is_looking_up) {
        cache_apply(op->queue, self->job, &self->prepared.plan);
    }
    if (self->wait_us > 0) {
        const struct queue_view view = {.wait_us = self->wait_us, .after_version = -1};
        queue_show_job(op->queue, self->job, &view, self->answer);
    } else {
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&self->document));
    }
    submit_free(self);
}

void queue_submit(struct queue *queue, const struct queue_submission *submission,
                  struct queue_answer answer)
{
    struct submit_op *self = NEW(struct submit_op);
    struct error error = {0};
    self->spec = submission->spec;
    self->owner = text_copy(submission->owner);
    if (submission->idempotency_key.length > 0) {
        self->idempotency =
            memory_format("%s %.*s", self->owner, TEXT_ARGS(submission->idempotency_key));
    }
    self->wait_us = submission->wait_us;
    self->witness = submission->witness;
    self->hold_reason = text_copy(submission->hold.reason);
    self->hold_change = text_copy(submission->hold.change);
    self->answer = answer;
    self->op.run = run_submit;
    self->op.done = done_submit;
    const struct prepare_options options = {.to = submission->to, .owner = submission->owner};
    enum status status = prepare_job(queue, self->spec, &options, &self->prepared, &error);
    if (status != OK) {
        queue_answer_error(answer, status, &error);
        submit_free(self);
        return;
    }
    queue_enqueue(queue, &self->op);
}
