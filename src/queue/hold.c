// Held jobs: submitted and durable, but not to start before something has come, such as data that is being moved.
#include "queue/state.h"

#include "base/memory.h"
#include "prepare/prepare.h"
#include "records/jobs_sql.h"

void job_set_hold(struct active_job *job, struct text reason, struct text change)
{
    free(job->hold_reason);
    free(job->hold_change);
    bool is_held = reason.length > 0;
    job->hold_reason = is_held ? text_copy(text_slice(reason, 0, JOB_MESSAGE_MAX)) : NULL;
    job->hold_change = is_held ? text_copy(text_slice(change, 0, JOB_MESSAGE_MAX)) : NULL;
}

enum status hold_insert(struct sql *sql, int64_t job, struct text reason, struct text change,
                        struct error *error)
{
    return sql_run(sql, SQL_INSERT_HOLD,
                   SQL_VALUES(sql_int64(job), sql_text(text_slice(reason, 0, JOB_MESSAGE_MAX)),
                              sql_text(text_slice(change, 0, JOB_MESSAGE_MAX))),
                   NULL, error);
}

enum status holds_load(struct queue *queue, struct sql *sql, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_ACTIVE_HOLDS, SQL_NO_VALUES, &rows, error));
    while (status == OK && sql_next(rows, &status, error)) {
        struct active_job *job = queue_find_job(queue, sql_column_int64(rows, 0));
        if (job) {
            job_set_hold(job, sql_column_text(rows, 1), sql_column_text(rows, 2));
            status = job_look_at_needs(queue, sql, job, error);
        }
    }
    return status;
}

struct hold_op {
    struct queue_op op;
    int64_t job;
    char *words; // The message, or the reason.
    char *change;
    char *offer;
    struct queue_witness witness;
    struct job_spec *spec;
    struct prepared prepared;
    struct buffer document;
    struct queue_answer answer;
};

static void hold_op_free(struct hold_op *self)
{
    prepared_done(&self->prepared);
    spec_free(self->spec);
    buffer_done(&self->document);
    free(self->words);
    free(self->change);
    free(self->offer);
    free(self);
}

static void done_hold(struct queue_op *op, enum status status, const struct error *error)
{
    struct hold_op *self = (struct hold_op *)op;
    if (status == OK) {
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&self->document));
    } else {
        queue_answer_error(self->answer, status, error);
    }
    hold_op_free(self);
}

static struct hold_op *new_hold(int64_t job, struct queue_answer answer)
{
    struct hold_op *self = NEW(struct hold_op);
    self->op.done = done_hold;
    self->job = job;
    self->answer = answer;
    return self;
}

// NULL, with CONFLICT in *error, when it is not held.
static struct active_job *find_held(const struct hold_op *self, struct error *error)
{
    struct active_job *job = queue_find_job(self->op.queue, self->job);
    if (!job || !job->hold_reason) {
        (void)error_set(error, CONFLICT, "job %lld is not held", (long long)self->job);
        return NULL;
    }
    return job;
}

static enum status answer_job(struct hold_op *self, struct sql *sql, struct error *error)
{
    TRY(queue_flush(self->op.queue, sql, error));
    return job_write_document(self->op.queue, sql, self->job, true, &self->document, error);
}

static enum status run_fail(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct hold_op *self = (struct hold_op *)op;
    struct active_job *job = find_held(self, error);
    if (!job) {
        return CONFLICT;
    }
    job_fail(op->queue, job, self->words);
    return answer_job(self, sql, error);
}

void queue_fail_held(struct queue *queue, int64_t job, struct text message,
                     struct queue_answer answer)
{
    struct hold_op *self = new_hold(job, answer);
    self->op.run = run_fail;
    self->words = text_copy(message);
    queue_enqueue(queue, &self->op);
}

// Does it go where it goes under that offer still?
static bool is_under(const struct active_job *job, const char *offer)
{
    AUTO_JSON json_t *now = NULL;
    struct text id = TEXT_NONE;
    if (job->row.offer.length > 0 && json_parse(job->row.offer, &now, NULL) == OK) {
        id = json_text(json_object_get(now, "offer"));
    }
    return text_equal(id, text_of(offer));
}

static enum status run_refused(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct hold_op *self = (struct hold_op *)op;
    struct active_job *job = queue_find_job(op->queue, self->job);
    if (!job || !job->place) {
        return error_set(error, CONFLICT, "job %lld does not go to another site (any more)",
                         (long long)self->job);
    }
    if (job->hold_reason || !is_under(job, self->offer)) {
        return answer_job(self, sql, error);
    }
    TRY(queue_witness_change(&self->witness, sql, self->job, error));
    op->queue->is_touched = true;
    workers_take_back(op->queue, job);
    TRY(hold_insert(sql, self->job, text_of(self->words), text_of(self->change), error));
    job_set_hold(job, text_of(self->words), text_of(self->change));
    job_touch(op->queue, job);
    TRY(job_look_at_needs(op->queue, sql, job, error));
    return answer_job(self, sql, error);
}

void queue_hold_refused(struct queue *queue, int64_t job, const struct queue_refusal *refusal,
                        struct queue_witness witness, struct queue_answer answer)
{
    struct hold_op *self = new_hold(job, answer);
    self->op.run = run_refused;
    self->words = text_copy(refusal->hold.reason);
    self->change = text_copy(refusal->hold.change);
    self->offer = memory_copy_string(refusal->offer);
    self->witness = witness;
    queue_enqueue(queue, &self->op);
}

static enum status run_reason(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct hold_op *self = (struct hold_op *)op;
    struct active_job *job = find_held(self, error);
    if (!job) {
        return CONFLICT;
    }
    if (self->words[0] == '\0') {
        return error_set(error, INVALID, "a job is not held without a reason");
    }
    op->queue->is_touched = true;
    TRY(hold_insert(sql, self->job, text_of(self->words), text_of(self->change), error));
    job_set_hold(job, text_of(self->words), text_of(self->change));
    return answer_job(self, sql, error);
}

void queue_set_hold_reason(struct queue *queue, int64_t job, const struct queue_hold *hold,
                           struct queue_answer answer)
{
    struct hold_op *self = new_hold(job, answer);
    self->op.run = run_reason;
    self->words = text_copy(hold->reason);
    self->change = text_copy(hold->change);
    queue_enqueue(queue, &self->op);
}

// Is everything that it runs with now among what it was submitted with? Then there may also be what others have left for it.
static enum status has_inputs(struct sql *sql, int64_t job, struct text now, bool *out,
                              struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    AUTO_JSON json_t *inputs = NULL;
    AUTO_JSON json_t *recorded = NULL;
    TRY(sql_first(sql, SQL_JOB_INPUTS, SQL_VALUES(sql_int64(job)), &rows, error));
    TRY(json_parse(sql_column_text(rows, 0), &recorded, error));
    TRY(json_parse(now, &inputs, error));
    *out = true;
    for (size_t i = 0; i < json_array_size(inputs) && *out; i++) {
        *out = json_equal(json_array_get(inputs, i), json_array_get(recorded, i));
    }
    return OK;
}

// What is done already was computed from, and counted by, what the job was submitted with.
static enum status check_same(struct sql *sql, const struct active_job *job,
                              const struct prepared *prepared, struct error *error)
{
    const struct job_row *now = &prepared->row;
    bool is_begun = job->row.progress.succeeded + job->row.progress.failed > 0;
    bool is_same = !is_begun || digest_equal(&job->row.family, &now->family);
    if (is_begun && now->gathers) {
        TRY(has_inputs(sql, job->row.id, buffer_text(&prepared->inputs), &is_same, error));
    }
    if (job->row.count == now->count && is_same) {
        return OK;
    }
    (void)error_set(error, CONFLICT,
                    "job %lld would compute something else now than when it was submitted: its "
                    "data is other data",
                    (long long)job->row.id);
    error_fix(error, "submit it again");
    return CONFLICT;
}

static void take_prepared(struct queue *queue, struct active_job *job,
                          const struct prepared *prepared)
{
    struct place *place = place_get(queue, prepared->row.place);
    free(job->description);
    free(job->offer);
    job->description = text_copy(buffer_text(&prepared->description));
    twins_remove(queue, job);
    job->offer = text_copy(prepared->row.offer);
    job->row.offer = text_of(job->offer);
    job->row.gathers = prepared->row.gathers;
    job->is_gathering = false;
    job->row.family = prepared->row.family;
    job->row.items = prepared->row.items;
    twins_add(queue, job);
    job->row.locality = prepared->row.locality;
    job_forget_words(job);
    place_count(queue, job->place, -1);
    place_count(queue, place, 1);
    job->place = place;
    job->row.place = text_of(place ? place->fingerprint : "");
    scheduler_move_job(queue->scheduler, job->row.id, place_number(place));
    job_set_hold(job, TEXT_NONE, TEXT_NONE);
}

static enum status run_release(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct hold_op *self = (struct hold_op *)op;
    struct prepared *prepared = &self->prepared;
    const struct job_row *row = &prepared->row;
    struct active_job *job = find_held(self, error);
    if (!job) {
        return CONFLICT;
    }
    TRY(check_same(sql, job, prepared, error));
    op->queue->is_touched = true;
    prepared->row.id = self->job;
    TRY(sql_run(sql, SQL_UPDATE_RELEASED,
                SQL_VALUES(sql_int64(row->id), sql_text(buffer_text(&prepared->description)),
                           sql_blob(row->family.bytes, DIGEST_SIZE),
                           row->has_items ? sql_blob(row->items.bytes, DIGEST_SIZE) : sql_null(),
                           sql_text(buffer_text(&prepared->inputs)), sql_int64(row->locality),
                           sql_text(row->place), sql_int64(row->gathers), sql_text(row->offer)),
                NULL, error));
    TRY(sql_run(sql, SQL_DELETE_HOLD, SQL_VALUES(sql_int64(row->id)), NULL, error));
    TRY(prepared_insert_uses(sql, prepared, error));
    take_prepared(op->queue, job, prepared);
    job_touch(op->queue, job);
    TRY(job_look_at_needs(op->queue, sql, job, error));
    TRY(twins_join(op->queue, sql, job, error));
    return answer_job(self, sql, error);
}

// The document that a job was submitted with, and owner and key as one text, which is the caller's; empty: none.
static enum status read_spec(struct queue *queue, int64_t job, struct job_spec **out, char **key,
                             struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    AUTO_JSON json_t *document = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = sql_first(sql, SQL_JOB_SPEC, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == OK) {
        status = json_parse(sql_column_text(rows, 0), &document, error);
        *key = text_copy(sql_column_text(rows, 1));
    } else if (status == NOT_FOUND) {
        status = job_unknown(job, error);
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    TRY(status);
    return spec_parse(document, out, error);
}

enum status queue_job_spec(struct queue *queue, int64_t job, struct job_spec **out,
                           struct error *error)
{
    AUTO_FREE char *key = NULL;
    return read_spec(queue, job, out, &key, error);
}

static enum status prepare_again(struct queue *queue, struct hold_op *self,
                                 const struct prepare_destination *to, struct error *error)
{
    char owner[QUEUE_OWNER_MAX + 1];
    AUTO_FREE char *key = NULL;
    TRY(queue_job_owner(queue, self->job, owner, error));
    TRY(read_spec(queue, self->job, &self->spec, &key, error));
    const struct prepare_options options = {
        .to = *to,
        .owner = text_of(owner),
        .key = text_slice(text_of(key), strlen(owner) + 1, SIZE_MAX),
        .is_again = true,
    };
    return prepare_job(&queue->site, self->spec, &options, &self->prepared, error);
}

void queue_release(struct queue *queue, int64_t job, const struct prepare_destination *to,
                   struct queue_answer answer)
{
    struct hold_op *self = new_hold(job, answer);
    struct error error = {0};
    self->op.run = run_release;
    enum status status = prepare_again(queue, self, to, &error);
    if (status != OK) {
        queue_answer_error(answer, status, &error);
        hold_op_free(self);
        return;
    }
    queue_enqueue(queue, &self->op);
}
