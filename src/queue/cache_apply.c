// Answers tasks that were computed before with what came out then, as the plan of the look-up says (prepare/cache.h).
#include "queue/state.h"

#include "base/memory.h"
#include "records/jobs_sql.h"
#include "records/made_for.h"

enum { COLUMN_CHUNK_CLASS = 13 }; // Of SQL_CACHED_CHUNKS.

static bool has_blob(const struct queue *queue, const struct poll_stream *stream)
{
    return !stream->is_blob || blob_exists(queue->blobs, &stream->digest);
}

static bool has_outputs(const struct queue *queue, struct text outputs)
{
    AUTO_JSON json_t *list = NULL;
    if (outputs.length == 0) {
        return true;
    }
    if (json_parse(outputs, &list, NULL) != OK) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct digest digest;
        struct text text = json_text(json_array_get(json_array_get(list, i), 1));
        if (digest_from_text(text, &digest, NULL) != OK || !blob_exists(queue->blobs, &digest)) {
            return false;
        }
    }
    return true;
}

static enum status copy_task(struct queue *queue, struct sql *sql, struct active_job *job,
                             const struct cache_run *run, struct task_row *row, struct error *error)
{
    int64_t index = run->from + row->index - run->first_index;
    if (!has_blob(queue, &row->output) || !has_blob(queue, &row->error_output) ||
        !has_outputs(queue, row->outputs)) {
        return OK;
    }
    queue->is_touched = true;
    if (scheduler_mark_done(queue->scheduler, job->row.id, index, index + 1) == 0) {
        return OK;
    }
    row->cached_job = run->first_job;
    row->cached_index = row->index;
    row->index = index;
    row->attempts = 1;
    return task_commit(queue, sql, job, row, error);
}

static enum status copy_tasks(struct queue *queue, struct sql *sql, struct active_job *job,
                              const struct cache_run *run, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    AUTO_ARENA struct arena arena = {0};
    struct runner_job made;
    TRY(made_for_read(sql, run->first_job, &arena, &made, error));
    const struct runner_job asks = made_for_row(&job->row);
    TRY(sql_query(sql, SQL_CACHED_TASKS,
                  SQL_VALUES(sql_int64(run->first_job), sql_int64(run->first_index),
                             sql_int64(run->first_index + run->count)),
                  &rows, error));
    while (status == OK && !job->has_ended && sql_next(rows, &status, error)) {
        struct task_row row;
        task_row_read(rows, &row);
        if (runner_may_reuse(row.kind, &made, &asks)) {
            status = copy_task(queue, sql, job, run, &row, error);
        }
    }
    return status;
}

static enum status copy_chunks(struct queue *queue, struct sql *sql, struct active_job *job,
                               int64_t first_job, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    AUTO_ARENA struct arena arena = {0};
    struct runner_job made;
    TRY(made_for_read(sql, first_job, &arena, &made, error));
    const struct runner_job asks = made_for_row(&job->row);
    TRY(sql_query(sql, SQL_CACHED_CHUNKS, SQL_VALUES(sql_int64(first_job)), &rows, error));
    while (status == OK && !job->has_ended && sql_next(rows, &status, error)) {
        struct chunk_row row;
        chunk_row_read(rows, &row);
        row.cached_job = first_job;
        row.kind = (enum runner_class)sql_column_int64(rows, COLUMN_CHUNK_CLASS);
        if (!runner_may_reuse(row.kind, &made, &asks) || !blob_exists(queue->blobs, &row.answers) ||
            !has_blob(queue, &row.error_output)) {
            continue;
        }
        queue->is_touched = true;
        if (scheduler_mark_done(queue->scheduler, job->row.id, row.from, row.to) ==
            row.to - row.from) {
            status = chunk_commit(queue, sql, job, &row, error);
        }
    }
    return status;
}

enum status cache_apply_piece(struct queue *queue, struct sql *sql, struct active_job *job,
                              struct cache_plan *plan, struct error *error)
{
    int64_t left = CACHE_PIECE;
    if (plan->stream_job > 0) {
        TRY(copy_chunks(queue, sql, job, plan->stream_job, error));
        plan->stream_job = 0;
    }
    while (plan->run_count > 0 && left > 0 && !job->has_ended) {
        struct cache_run *last = &plan->runs[plan->run_count - 1];
        struct cache_run part = *last;
        part.count = part.count < left ? part.count : left;
        TRY(copy_tasks(queue, sql, job, &part, error));
        left -= part.count;
        last->from += part.count;
        last->first_index += part.count;
        last->count -= part.count;
        plan->run_count -= last->count == 0;
    }
    if (job->has_ended) {
        plan->run_count = 0;
    }
    return OK;
}

struct apply_op {
    struct queue_op op;
    int64_t job;
    struct cache_plan plan;
};

static enum status run_apply(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct apply_op *self = (struct apply_op *)op;
    struct queue *queue = op->queue;
    struct active_job *job = queue_find_job(queue, self->job);
    if (!job) {
        self->plan.run_count = 0;
        return OK;
    }
    TRY(cache_apply_piece(queue, sql, job, &self->plan, error));
    if (self->plan.run_count == 0 && !job->has_ended) {
        job->is_looking_up = false;
        TRY(twins_join(queue, sql, job, error));
        return job_look_at_needs(queue, sql, job, error);
    }
    return OK;
}

static void done_apply(struct queue_op *op, enum status status, const struct error *error)
{
    (void)error;
    struct apply_op *self = (struct apply_op *)op;
    if (status == OK && self->plan.run_count > 0) {
        queue_enqueue(op->queue, op);
        return;
    }
    if (status != OK) {
        op->queue->needs_reload = true; // Then the rest of the job is computed.
    }
    cache_plan_done(&self->plan);
    free(self);
}

void cache_apply(struct queue *queue, int64_t job, struct cache_plan *plan)
{
    struct apply_op *self = NEW(struct apply_op);
    self->op.run = run_apply;
    self->op.done = done_apply;
    self->job = job;
    self->plan = *plan;
    *plan = (struct cache_plan){0};
    queue_enqueue(queue, &self->op);
}
