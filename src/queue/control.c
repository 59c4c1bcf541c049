// A job that is there is cancelled, tried again, or asked why it waits.
#include "queue/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "prepare/prepare.h"
#include "queue/runners.h"
#include "records/jobs_sql.h"
#include "records/last_line.h"

#include <stdio.h>

enum {
    COLUMN_DESCRIPTION = JOB_COLUMN_COUNT,
    RETURN_US = 5000000, // So long workers may take to come back to a site that was started again.
};

struct control_op {
    struct queue_op op;
    int64_t job;
    int64_t index;
    char *by;
    struct buffer document;
    struct queue_witness witness;
    struct queue_answer answer;
};

static void done_control(struct queue_op *op, enum status status, const struct error *error)
{
    struct control_op *self = (struct control_op *)op;
    if (status == OK) {
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&self->document));
    } else {
        queue_answer_error(self->answer, status, error);
    }
    buffer_done(&self->document);
    free(self->by);
    free(self);
}

static struct control_op *new_control(int64_t job, struct queue_answer answer)
{
    struct control_op *self = NEW(struct control_op);
    self->op.done = done_control;
    self->job = job;
    self->index = -1;
    self->answer = answer;
    return self;
}

static enum status read_job(struct sql *sql, int64_t id, struct sql_rows **rows,
                            struct job_row *row, struct error *error)
{
    enum status status = sql_first(sql, SQL_ONE_JOB, SQL_VALUES(sql_int64(id)), rows, error);
    if (status == NOT_FOUND) {
        return job_unknown(id, error);
    }
    TRY(status);
    job_row_read(*rows, row);
    return OK;
}

static enum status run_cancel(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct control_op *self = (struct control_op *)op;
    struct active_job *job = queue_find_job(op->queue, self->job);
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct job_row row;
    TRY(read_job(sql, self->job, &rows, &row, error));
    if (!job && row.progress.state != JOB_CANCELLED) {
        (void)error_set(error, CONFLICT, "job %lld has ended already: it %s", (long long)self->job,
                        row.progress.state == JOB_SUCCEEDED ? "succeeded" : "failed");
        error_fix(error, "nothing is left to cancel; `lode job show %lld` says how it ended",
                  (long long)self->job);
        return CONFLICT;
    }
    if (job) {
        char message[JOB_MESSAGE_MAX];
        (void)snprintf(message, sizeof message, "cancelled by %s", self->by);
        job_end(op->queue, job, JOB_CANCELLED, message);
        TRY(queue_flush(op->queue, sql, error));
        TRY(queue_witness_change(&self->witness, sql, self->job, error));
    }
    return job_write_document(op->queue, sql, self->job, true, &self->document, error);
}

void queue_cancel_job(struct queue *queue, int64_t job, struct text by,
                      struct queue_witness witness, struct queue_answer answer)
{
    struct control_op *self = new_control(job, answer);
    self->op.run = run_cancel;
    self->by = text_copy(by);
    self->witness = witness;
    queue_enqueue(queue, &self->op);
}

static void undo_drops(struct queue *queue, int64_t job)
{
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        (void)ranges_remove(&worker->drops, job, job + 1);
    }
}

static enum status check_retry(const struct job_row *row, struct error *error)
{
    if (row->progress.failed + row->progress.cancelled == 0) {
        (void)error_set(error, CONFLICT, "job %lld has no failed or cancelled tasks",
                        (long long)row->id);
        error_fix(error,
                  "there is nothing to run again; `lode run --cache off` runs a command anew");
        return CONFLICT;
    }
    return OK;
}

// A job that ended while it was held was never made ready for where its data is.
static enum status check_never_held(struct sql *sql, int64_t job, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_HOLD_OF, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    (void)error_set(error, CONFLICT, "job %lld ended before its data had been brought to it",
                    (long long)job);
    error_fix(error, "submit it again");
    return CONFLICT;
}

// Of a job that has not ended: its held tasks run again, or the one of them.
static enum status check_held(const struct control_op *self, int64_t from, int64_t to,
                              struct error *error)
{
    int64_t first = scheduler_next_held(self->op.queue->scheduler, self->job, from);
    if (first >= 0 && first < to) {
        return OK;
    }
    if (self->index >= 0) {
        (void)error_set(error, CONFLICT, "task %lld of job %lld is not held",
                        (long long)self->index, (long long)self->job);
        error_fix(error, "`lode why %lld/%lld` says where it is", (long long)self->job,
                  (long long)self->index);
        return CONFLICT;
    }
    (void)error_set(error, CONFLICT, "job %lld has not ended yet, and none of its tasks is held",
                    (long long)self->job);
    error_fix(error, "wait for it, or cancel it first");
    return CONFLICT;
}

static enum status release_held(struct control_op *self, struct sql *sql, struct active_job *job,
                                struct error *error)
{
    struct queue *queue = self->op.queue;
    int64_t from = self->index >= 0 ? self->index : 0;
    int64_t to = self->index >= 0 ? self->index + 1 : job->row.count;
    TRY(check_held(self, from, to, error));
    TRY(held_release(queue, sql, job, from, to, error));
    TRY(queue_flush(queue, sql, error));
    TRY(queue_witness_change(&self->witness, sql, self->job, error));
    return job_write_document(queue, sql, self->job, true, &self->document, error);
}

static enum status run_retry_task(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct control_op *self = (struct control_op *)op;
    struct active_job *job = queue_find_job(op->queue, self->job);
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct job_row row;
    TRY(read_job(sql, self->job, &rows, &row, error));
    if (self->index >= row.count) {
        return error_set(error, NOT_FOUND, "job %lld has no task %lld; it has %lld",
                         (long long)self->job, (long long)self->index, (long long)row.count);
    }
    if (!job) {
        (void)error_set(error, CONFLICT, "job %lld has ended: none of its tasks is held",
                        (long long)self->job);
        error_fix(error, "`lode retry %lld` runs all that failed again", (long long)self->job);
        return CONFLICT;
    }
    return release_held(self, sql, job, error);
}

void queue_retry_task(struct queue *queue, int64_t job, int64_t index, struct queue_witness witness,
                      struct queue_answer answer)
{
    struct control_op *self = new_control(job, answer);
    self->op.run = run_retry_task;
    self->index = index;
    self->witness = witness;
    queue_enqueue(queue, &self->op);
}

static enum status run_retry(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct control_op *self = (struct control_op *)op;
    struct queue *queue = op->queue;
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct active_job *job = queue_find_job(queue, self->job);
    struct job_row row;
    if (job) {
        return release_held(self, sql, job, error);
    }
    TRY(read_job(sql, self->job, &rows, &row, error));
    TRY(check_retry(&row, error));
    TRY(check_never_held(sql, row.id, error));
    TRY(sql_run(sql, SQL_ARCHIVE_FAILED, SQL_VALUES(sql_int64(row.id)), NULL, error));
    TRY(sql_run(sql, SQL_DELETE_FAILED, SQL_VALUES(sql_int64(row.id)), NULL, error));
    TRY(sql_run(sql, SQL_PASS_ALL_ATTEMPTS, SQL_VALUES(sql_int64(row.id)), NULL, error));
    TRY(sql_run(sql, SQL_FORGET_SECOND_LOOK, SQL_VALUES(sql_int64(row.id)), NULL, error));
    struct ranges done = {0};
    enum status status = job_read_done(sql, row.id, &done, error);
    row.progress.state = JOB_WAITING;
    row.progress.finished_us = 0;
    row.progress.failed = 0;
    row.progress.cancelled = 0;
    row.progress.first_failed = -1;
    row.progress.exit_code = 0;
    row.progress.message[0] = '\0';
    undo_drops(queue, row.id);
    if (status == OK) {
        status = sql_run(sql, SQL_DELETE_TWIN, SQL_VALUES(sql_int64(row.id)), NULL, error);
    }
    if (status == OK) {
        status = queue_activate(queue, sql, &row, sql_column_text(rows, COLUMN_DESCRIPTION), &done,
                                &job, error);
    }
    ranges_done(&done);
    TRY(status);
    job_touch(queue, job);
    TRY(twins_join(queue, sql, job, error));
    TRY(queue_flush(queue, sql, error));
    TRY(queue_witness_change(&self->witness, sql, self->job, error));
    return job_write_document(queue, sql, self->job, true, &self->document, error);
}

// Whether a job that has ended may be retried at all, before its data is looked at.
static enum status check_ended(struct queue *queue, int64_t job, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    struct job_row row;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = read_job(sql, job, &rows, &row, error);
    bool is_undone =
        status == OK && (row.progress.state == JOB_FAILED || row.progress.state == JOB_CANCELLED);
    if (is_undone) {
        status = check_never_held(sql, job, error);
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    return status;
}

void queue_retry_job(struct queue *queue, int64_t job, struct queue_witness witness,
                     struct queue_answer answer)
{
    struct error error = {0};
    enum status status = check_ended(queue, job, &error);
    status = status == OK ? prepare_retry(&queue->site, job, &error) : status;
    if (status != OK) {
        queue_answer_error(answer, status, &error);
        return;
    }
    struct control_op *self = new_control(job, answer);
    self->op.run = run_retry;
    self->witness = witness;
    queue_enqueue(queue, &self->op);
}

// Of an ended job or task.
static void explain_end(int64_t job, enum job_state state, struct text message, struct buffer *why,
                        struct buffer *change)
{
    switch (state) {
    case JOB_SUCCEEDED:
        buffer_append_string(why, "it succeeded");
        buffer_append_string(change, "nothing has to change");
        return;
    case JOB_FAILED:
        buffer_append_string(why, "it failed: ");
        buffer_printf(change, "mend the cause and run `lode retry %lld`", (long long)job);
        break;
    case JOB_CANCELLED:
        buffer_append_string(why, "it was cancelled: ");
        buffer_printf(change, "`lode retry %lld` runs what was not done", (long long)job);
        break;
    case JOB_WAITING:
    case JOB_RUNNING:
    case JOB_HELD:
        return;
    }
    buffer_append_text(why, message);
}

static enum status explain_ended(struct sql *sql, const struct job_row *row, struct buffer *why,
                                 struct buffer *change, struct error *error)
{
    struct error held = {0};
    explain_end(row->id, row->progress.state, text_of(row->progress.message), why, change);
    enum status status = check_never_held(sql, row->id, &held);
    if (status == CONFLICT) { // There is nothing to retry.
        buffer_clear(change);
        buffer_append_string(change, held.fix);
        return OK;
    }
    if (status != OK && error) {
        *error = held;
    }
    return status;
}

static enum status explain_needs(struct sql *sql, int64_t job, struct buffer *why,
                                 struct buffer *change, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_UNMET_NEEDS, SQL_VALUES(sql_int64(job)), &rows, error));
    buffer_append_string(why, "it is to follow");
    size_t count = 0;
    for (; sql_next(rows, &status, error); count++) {
        buffer_printf(why, "%s job %lld", count == 0 ? "" : ",",
                      (long long)sql_column_int64(rows, 0));
    }
    // Whether they wait or run is not said: what is on disk of that may be a moment old.
    buffer_append_string(why, count == 1 ? ", which has not ended" : ", which have not ended");
    buffer_printf(change, "it starts when %s succeeded", count == 1 ? "that has" : "those have");
    return status;
}

// Of a job that goes elsewhere.
static void explain_travelling(const struct queue *queue, const struct active_job *job,
                               int64_t index, struct buffer *why, struct buffer *change)
{
    AUTO_BUFFER struct buffer name = {0};
    char since[CALENDAR_TEXT_SIZE];
    const struct place *place = job->place;
    int64_t started_us = job->row.progress.started_us;
    place_write_name(queue, place->fingerprint, &name);
    buffer_append_byte(&name, '\0');
    const struct place_words words = {
        .name = name.bytes,
        .handed = started_us > 0 ? calendar_format(started_us, since) : NULL,
        .begun = job->there_begun,
        .problem = place->problem[0] != '\0' ? place->problem : NULL,
        .change = place->change,
        .said = job->there_why,
        .said_change = job->there_change,
    };
    scheduler_why(queue->scheduler, job->row.id, index, &words, why, change);
}

static void explain_waiting(const struct queue *queue, const struct active_job *job, int64_t index,
                            struct buffer *why, struct buffer *change)
{
    struct job_figures figures = {0};
    if (job->place) {
        explain_travelling(queue, job, index, why, change);
        return;
    }
    (void)scheduler_figures(queue->scheduler, job->row.id, &figures);
    bool is_old = job->row.id <= queue->last_old_job && figures.leased == 0 && figures.waiting > 0;
    if (is_old && clock_steady_us() < queue->opened_us + RETURN_US) {
        buffer_append_string(why, "the site was started a moment ago, and its workers come back; "
                                  "of those that are here already: ");
        buffer_append_string(change, "wait some seconds, as what they run goes on; then: ");
    }
    if (figures.leased == 0 && figures.waiting > 0 &&
        (runners_say_unserved(queue, job, why, change) ||
         groups_say_unserved(queue, job, why, change))) {
        return;
    }
    scheduler_why(queue->scheduler, job->row.id, index, NULL, why, change);
    notes_explain(queue, job->row.id, why, change);
    if (queue->executor_problem[0] != '\0' && figures.leased == 0) {
        buffer_printf(why, "; %s", queue->executor_problem);
        buffer_printf(change, "; %s", queue->executor_change);
    }
}

// Why another owner's job has not ended yet is not said.
static void explain_twin(const struct queue *queue, const struct active_job *job,
                         struct buffer *why, struct buffer *change)
{
    const struct active_job *twin = queue_find_job(queue, job->twin);
    if (!twin) {
        buffer_printf(why, "the results of job %lld, which computed the same, are being looked up",
                      (long long)job->twin);
        buffer_append_string(change, "what is not among them starts as soon as that is done");
        return;
    }
    bool is_own = text_equal(twin->row.owner, job->row.owner);
    bool is_chosen = job->row.cache == SPEC_CACHE_USE;
    buffer_printf(why, "it waits for job %lld%s, which computes the same", (long long)job->twin,
                  is_own ? "" : " of another user");
    buffer_append_string(why, is_chosen ? "" : " and was submitted under the same key");
    buffer_append_string(change,
                         "it goes on by itself with the results of that one when that one ends");
    buffer_append_string(change, is_chosen
                                     ? "; submitted with --cache off it would compute anyway"
                                     : "; submitted under another key it would compute anyway");
    if (is_own && !twin->is_looking_up) {
        AUTO_BUFFER struct buffer unsaid = {0};
        buffer_printf(why, "; job %lld: ", (long long)job->twin);
        explain_waiting(queue, twin, -1, why, &unsaid);
    }
}

static enum status explain_job(struct queue *queue, struct sql *sql, const struct job_row *row,
                               int64_t index, struct buffer *why, struct buffer *change,
                               struct error *error)
{
    const struct active_job *job = queue_find_job(queue, row->id);
    if (!job) {
        return explain_ended(sql, row, why, change, error);
    }
    if (job->unmet_needs > 0) {
        return explain_needs(sql, row->id, why, change, error);
    }
    if (job->hold_reason) {
        buffer_append_string(why, job->hold_reason);
        buffer_append_string(change, job->hold_change);
        return OK;
    }
    if (job->twin > 0) {
        explain_twin(queue, job, why, change);
        return OK;
    }
    if (job->is_looking_up) {
        buffer_append_string(why, "its tasks are being looked up in the cache");
        buffer_append_string(change, "the rest starts as soon as that is done");
        return OK;
    }
    if (job->row.gathers) {
        buffer_append_string(why,
                             "the outputs of the jobs that it follows are being brought to it");
        buffer_append_string(change, "it starts as soon as that is done");
        return OK;
    }
    explain_waiting(queue, job, index, why, change);
    return OK;
}

static enum status explain_task(struct queue *queue, struct sql *sql, const struct job_row *row,
                                int64_t index, struct buffer *why, struct buffer *change,
                                struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (index >= row->count) {
        return error_set(error, NOT_FOUND, "job %lld has no task %lld; it has %lld",
                         (long long)row->id, (long long)index, (long long)row->count);
    }
    enum status status = sql_first(sql, SQL_ONE_TASK,
                                   SQL_VALUES(sql_int64(row->id), sql_int64(index)), &rows, error);
    if (status == NOT_FOUND) {
        return explain_job(queue, sql, row, index, why, change, error);
    }
    TRY(status);
    struct task_row task;
    task_row_read(rows, &task);
    explain_end(row->id, task.state, task.message, why, change);
    if (task.cached_job > 0) {
        buffer_printf(why, "; its result came from the cache: task %lld of job %lld",
                      (long long)task.cached_index, (long long)task.cached_job);
    }
    return OK;
}

struct why_op {
    struct queue *queue;
    int64_t job;
    int64_t index;
    bool may_read;
    struct buffer document; // Without its last value.
    struct poll_stream error_output;
    struct buffer printed; // What of that is in the database.
};

// What the task that failed wrote to standard error; of a failed job, the first that did. Of others it stays empty.
static enum status find_error_output(struct why_op *self, struct sql *sql,
                                     const struct job_row *row, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct task_row task;
    bool is_failed_job = self->index < 0 && row->progress.state == JOB_FAILED;
    int64_t index = is_failed_job ? row->progress.first_failed : self->index;
    if (index < 0) {
        return OK;
    }
    enum status status = sql_first(sql, SQL_ONE_TASK,
                                   SQL_VALUES(sql_int64(row->id), sql_int64(index)), &rows, error);
    if (status != OK) {
        return status == NOT_FOUND ? OK : status;
    }
    task_row_read(rows, &task);
    if (task.state == JOB_FAILED) {
        buffer_append_text(&self->printed, task.error_output.bytes);
        self->error_output = task.error_output;
        self->error_output.bytes = buffer_text(&self->printed);
    }
    return OK;
}

static enum status run_why(struct sql *sql, void *context, struct error *error)
{
    struct why_op *self = context;
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct job_row row;
    TRY(queue_settle(self->queue, sql, error));
    TRY(read_job(sql, self->job, &rows, &row, error));
    if (self->index >= 0) {
        TRY(explain_task(self->queue, sql, &row, self->index, &why, &change, error));
    } else {
        TRY(explain_job(self->queue, sql, &row, -1, &why, &change, error));
    }
    if (self->may_read) {
        TRY(find_error_output(self, sql, &row, error));
    }
    buffer_append_string(&self->document, "{\"why\":");
    buffer_append_json_string(&self->document, buffer_text(&why));
    buffer_append_string(&self->document, ",\"change\":");
    buffer_append_json_string(&self->document, buffer_text(&change));
    buffer_append_string(&self->document, ",\"evidence\":[");
    if (self->index >= 0) {
        TRY(losses_write(sql, self->job, self->index, &self->document, error));
    }
    buffer_append_string(&self->document, "],\"stderr_line\":");
    return OK;
}

enum status queue_why(struct queue *queue, int64_t job, int64_t index, bool may_read,
                      struct buffer *out, struct error *error)
{
    struct why_op self = {.queue = queue, .job = job, .index = index, .may_read = may_read};
    enum status status = store_write_wait(queue->store, run_why, &self, error);
    if (status == OK) {
        buffer_append_text(out, buffer_text(&self.document));
        last_line_write(queue->blobs, &self.error_output, out);
        buffer_append_string(out, "}\n");
    }
    buffer_done(&self.document);
    buffer_done(&self.printed);
    return status;
}
