// What a worker may ask for: the data of the jobs that it was told of, and of no others.
#include "queue/state.h"

#include "base/memory.h"
#include "records/jobs_sql.h"

struct told_op {
    struct queue_op op;
    int64_t worker;
    char *owner;
    int64_t job;
    struct queue_answer answer;
};

// Leases from before a restart are of jobs that it was told of before.
static bool holds_lease(const struct worker *worker, int64_t job)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (worker->leases[i].job == job) {
            return true;
        }
    }
    return false;
}

enum status told_check(const struct queue *queue, int64_t worker, struct text owner, int64_t job,
                       struct error *error)
{
    const struct worker *found = queue_find_worker(queue, worker);
    const struct active_job *active = queue_find_job(queue, job);
    bool is_own = found && text_equal(text_of(found->owner), owner);
    if (is_own && active && (ranges_contains(&active->told, worker) || holds_lease(found, job))) {
        return OK;
    }
    return error_set(error, DENIED, "worker %lld has no job %lld to run", (long long)worker,
                     (long long)job);
}

static enum status run_told(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)sql;
    const struct told_op *self = (const struct told_op *)op;
    return told_check(op->queue, self->worker, text_of(self->owner), self->job, error);
}

static void done_told(struct queue_op *op, enum status status, const struct error *error)
{
    struct told_op *self = (struct told_op *)op;
    self->answer.done(self->answer.context, status, error, TEXT_NONE);
    free(self->owner);
    free(self);
}

void queue_check_told(struct queue *queue, int64_t worker, struct text owner, int64_t job,
                      struct queue_answer answer)
{
    struct told_op *self = NEW(struct told_op);
    self->op.run = run_told;
    self->op.done = done_told;
    self->worker = worker;
    self->owner = text_copy(owner);
    self->job = job;
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}

static const char *find_data(const json_t *spec, struct text name)
{
    const json_t *data = json_object_get(spec, "data");
    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *each = json_array_get(data, i);
        if (text_equal(json_text(json_object_get(each, "name")), name)) {
            return json_string_value(json_object_get(each, "id"));
        }
    }
    return text_equal(json_text(json_object_get(spec, "over_name")), name)
               ? json_string_value(json_object_get(spec, "over"))
               : NULL;
}

static enum status read_data(struct sql *sql, int64_t job, struct text name, struct arena *arena,
                             const char **out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    AUTO_JSON json_t *spec = NULL;
    enum status status = sql_first(sql, SQL_JOB_SPEC, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == NOT_FOUND) {
        return job_unknown(job, error);
    }
    TRY(status);
    TRY(json_parse(sql_column_text(rows, 0), &spec, error));
    const char *id = find_data(spec, name);
    if (!id) {
        return error_set(error, NOT_FOUND, "job %lld has no data \"%.*s\"", (long long)job,
                         TEXT_ARGS(text_slice(name, 0, 100)));
    }
    *out = arena_copy(arena, text_of(id));
    return OK;
}

enum status queue_job_data(struct queue *queue, int64_t job, struct text name, struct arena *arena,
                           const char **id, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = read_data(sql, job, name, arena, id, error);
    store_read_end(queue->store, sql);
    return status;
}
