// Jobs come in, are cancelled, are tried again, and say why they wait.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "prepare/prepare.h"
#include "records/jobs_sql.h"

#include <stdio.h>

struct submit_op {
    struct queue_op op;
    struct job_spec *spec;
    struct prepared prepared;
    char *owner;
    char *idempotency; // Owner and key; NULL: none.
    bool has_request;
    struct digest request;
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
    TRY(sql_run(
        sql, SQL_INSERT_JOB,
        SQL_VALUES(
            sql_int64(row->id), sql_text(row->owner), sql_text(row->name), sql_int64(row->mode),
            sql_int64(row->cache), sql_text(buffer_text(&prepared->spec)),
            sql_text(buffer_text(&prepared->description)), sql_blob(row->family.bytes, DIGEST_SIZE),
            sql_int64(row->count),
            row->has_items ? sql_blob(row->items.bytes, DIGEST_SIZE) : sql_null(),
            sql_int64(row->items_kind), sql_int64(row->need.cpu_millis),
            sql_int64(row->need.memory_bytes), sql_int64(row->need.disk_bytes),
            sql_int64(row->retries.times[CAUSE_FAIL]), sql_int64(row->priority),
            sql_text(buffer_text(&prepared->inputs)), sql_int64(row->locality),
            sql_int64(row->submitted_us), string_or_null(self->idempotency), sql_text(row->command),
            sql_int64(row->first_index), sql_int64(row->gathers), sql_text(row->place),
            row->has_origin ? sql_blob(row->origin.bytes, DIGEST_SIZE) : sql_null(),
            self->idempotency && self->has_request ? sql_blob(self->request.bytes, DIGEST_SIZE)
                                                   : sql_null(),
            sql_int64(row->retries.times[CAUSE_LIMIT]), sql_int64(row->retries.times[CAUSE_LOST]),
            sql_int64(row->retries.times[CAUSE_INPUT]), sql_int64(row->retries.times[CAUSE_WORKER]),
            sql_int64(row->when_lost), sql_text(self->spec->group ? row->group : TEXT_NONE),
            sql_text(row->offer), sql_int64(row->walltime_us), sql_int64(row->checkpoint_us),
            sql_int64(row->need.software), sql_int64(row->is_spare)),
        NULL, error));
    return job_progress_insert(sql, row, error);
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

// A job of an older version does not say what was asked for.
static enum status check_request(const struct digest *request, struct text recorded, int64_t job,
                                 struct error *error)
{
    bool is_known = request && recorded.length == DIGEST_SIZE;
    if (!is_known || memcmp(recorded.bytes, request->bytes, DIGEST_SIZE) == 0) {
        return OK;
    }
    (void)error_set(error, CORRUPT,
                    "another document was submitted under this Idempotency-Key: it made job %lld",
                    (long long)job);
    error_fix(error, "a key is for one document: submit another one under a new key, or the "
                     "same one again to be given that job");
    return CORRUPT;
}

// The job that the same key (with its owner before it; NULL: none) made before; 0: none.
static enum status find_repeat(struct sql *sql, const char *key, const struct digest *request,
                               int64_t *job, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    *job = 0;
    if (!key) {
        return OK;
    }
    enum status status =
        sql_first(sql, SQL_FIND_IDEMPOTENCY, SQL_VALUES(sql_text(text_of(key))), &rows, error);
    if (status == OK) {
        *job = sql_column_int64(rows, 0);
        return check_request(request, sql_column_text(rows, 1), *job, error);
    }
    return status == NOT_FOUND ? OK : status;
}

// NULL: it has none.
static char *key_of(const struct queue_submission *submission)
{
    return submission->idempotency_key.length == 0
               ? NULL
               : memory_format("%.*s %.*s", TEXT_ARGS(submission->owner),
                               TEXT_ARGS(submission->idempotency_key));
}

enum status queue_find_repeat(struct queue *queue, const struct queue_submission *submission,
                              struct queue_repeat *out, struct error *error)
{
    struct sql *sql = NULL;
    AUTO_FREE char *key = key_of(submission);
    *out = (struct queue_repeat){0};
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = find_repeat(sql, key, submission->request, &out->job, error);
    if (status == OK && out->job > 0) {
        AUTO_ROWS struct sql_rows *rows = NULL;
        out->is_held =
            sql_first(sql, SQL_HOLD_OF, SQL_VALUES(sql_int64(out->job)), &rows, NULL) == OK;
    }
    store_read_end(queue->store, sql);
    return status;
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
    row->group = self->spec->group ? text_of(self->spec->group) : row->owner;
    row->submitted_us = clock_real_us();
    self->job = row->id;
    TRY(insert_job(sql, self, row, error));
    TRY(prepared_insert_uses(sql, &self->prepared, error));
    TRY(insert_needs(sql, self->spec, row->id, row->owner, error));
    TRY(match_insert(sql, row->id, self->spec, self->prepared.input_bytes, error));
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
        return OK;
    }
    return twins_join(queue, sql, job, error);
}

static enum status run_submit(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct submit_op *self = (struct submit_op *)op;
    TRY(find_repeat(sql, self->idempotency, self->has_request ? &self->request : NULL, &self->job,
                    error));
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

// It cannot be submitted; unless it was, before that became so.
static void refuse(struct queue *queue, const struct queue_submission *submission,
                   enum status status, const struct error *error, struct queue_answer answer)
{
    const struct queue_view view = {.wait_us = submission->wait_us, .after_version = -1};
    struct queue_repeat repeat = {0};
    if (queue_find_repeat(queue, submission, &repeat, NULL) == OK && repeat.job > 0) {
        queue_show_job(queue, repeat.job, &view, answer);
    } else {
        queue_answer_error(answer, status, error);
    }
}

void queue_submit(struct queue *queue, const struct queue_submission *submission,
                  struct queue_answer answer)
{
    struct submit_op *self = NEW(struct submit_op);
    struct error error = {0};
    self->spec = submission->spec;
    self->owner = text_copy(submission->owner);
    self->idempotency = key_of(submission);
    if (submission->request) {
        self->has_request = true;
        self->request = *submission->request;
    }
    self->wait_us = submission->wait_us;
    self->witness = submission->witness;
    self->hold_reason = text_copy(submission->hold.reason);
    self->hold_change = text_copy(submission->hold.change);
    self->answer = answer;
    self->op.run = run_submit;
    self->op.done = done_submit;
    const struct prepare_options options = {.to = submission->to,
                                            .owner = submission->owner,
                                            .key = submission->idempotency_key,
                                            .origin = submission->origin};
    enum status status = prepare_job(&queue->site, self->spec, &options, &self->prepared, &error);
    if (status != OK) {
        refuse(queue, submission, status, &error, answer);
        submit_free(self);
        return;
    }
    queue_enqueue(queue, &self->op);
}
