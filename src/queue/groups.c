// Groups: whom a job is for, what their weights are, and which of them a worker works for.
//
// The queue knows groups by their names alone; who belongs to one, and what it weighs, others decide. Where an operator has moved a
// worker to is remembered by its owner and name, for the next time that it registers, as long as it says the same as then.
#include "queue/state.h"

#include "base/memory.h"
#include "queue/runners.h"
#include "records/jobs_sql.h"

int64_t group_number(struct text name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < name.length; i++) {
        hash = (hash ^ (unsigned char)name.bytes[i]) * UINT64_C(1099511628211);
    }
    return (int64_t)(hash >> 1);
}

struct group_weight {
    int64_t group;
    double weight;
};

void weights_reload(struct queue *queue)
{
    size_t at = 0;
    for (const struct group_weight *each; (each = map_next(queue->weights, &at)) != NULL;) {
        scheduler_set_group_weight(queue->scheduler, each->group, each->weight);
    }
}

void weights_free(struct queue *queue)
{
    size_t at = 0;
    for (struct group_weight *each; (each = map_next(queue->weights, &at)) != NULL;) {
        free(each);
    }
    map_free(queue->weights);
}

struct weight_op {
    struct queue_op op;
    struct group_weight weight;
};

static enum status run_weight(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)sql;
    (void)error;
    const struct group_weight *said = &((const struct weight_op *)op)->weight;
    struct group_weight *known = map_find_int64(op->queue->weights, said->group);
    if (!known) {
        known = NEW(struct group_weight);
        (void)map_set_int64(op->queue->weights, said->group, known);
    }
    *known = *said;
    scheduler_set_group_weight(op->queue->scheduler, said->group, said->weight);
    return OK;
}

// It has nothing to do with the database: what could fail is the batch, and then the next reload has it.
static void done_weight(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    op->queue->has_work = true;
    free(op);
}

void queue_set_group_weight(struct queue *queue, struct text name, double weight)
{
    struct weight_op *self = NEW(struct weight_op);
    self->op.run = run_weight;
    self->op.done = done_weight;
    self->weight = (struct group_weight){group_number(name), weight};
    queue_enqueue(queue, &self->op);
}

// "physics,spare"
static char *join(const struct text *names, size_t count)
{
    AUTO_BUFFER struct buffer all = {0};
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(&all, i > 0 ? "," : "");
        buffer_append_text(&all, names[i]);
    }
    return buffer_take_string(&all);
}

void worker_tell_groups(struct queue *queue, const struct worker *worker)
{
    int64_t groups[WORKER_GROUPS_MAX];
    size_t count = 0;
    struct text rest = text_of(worker->groups);
    struct text name;
    while (rest.length > 0 && count < WORKER_GROUPS_MAX && text_next_part(&rest, ',', &name)) {
        groups[count++] = group_number(name);
    }
    scheduler_set_worker_groups(queue->scheduler, worker->id, groups, count);
}

enum status worker_find_groups(struct sql *sql, struct worker *worker, const struct text *said,
                               size_t count, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    worker->groups_said = join(said, count);
    worker->groups = memory_copy_string(worker->groups_said);
    enum status status =
        sql_first(sql, SQL_FIND_MOVE,
                  SQL_VALUES(sql_text(text_of(worker->owner)), sql_text(text_of(worker->name)),
                             sql_text(text_of(worker->groups_said))),
                  &rows, error);
    if (status == OK) {
        free(worker->groups);
        worker->groups = text_copy(sql_column_text(rows, 0));
    }
    return status == NOT_FOUND ? OK : status;
}

void worker_write_groups(const struct worker *worker, struct buffer *out)
{
    struct text rest = text_of(worker->groups);
    struct text name;
    buffer_append_byte(out, '[');
    for (bool is_first = true; rest.length > 0 && text_next_part(&rest, ',', &name);
         is_first = false) {
        buffer_append_string(out, is_first ? "" : ",");
        buffer_append_json_string(out, name);
    }
    buffer_append_byte(out, ']');
}

static bool is_of_active_job(const struct queue *queue, struct text name)
{
    size_t at = 0;
    for (const struct active_job *job; (job = map_next(queue->jobs, &at)) != NULL;) {
        if (text_equal(job->row.group, name)) {
            return true;
        }
    }
    return false;
}

enum status group_check(const struct queue *queue, struct sql *sql, struct text name,
                        struct error *error)
{
    struct error unknown = {0};
    enum status status = queue->check_group ? queue->check_group(sql, name, &unknown) : OK;
    if (status == OK || (status == NOT_FOUND && is_of_active_job(queue, name))) {
        return OK;
    }
    if (error) {
        *error = unknown;
    }
    return status;
}

enum status groups_find_unknown(const struct queue *queue, struct sql *sql,
                                const struct text *names, size_t count, struct buffer *out,
                                struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct error unknown = {0};
        enum status status = group_check(queue, sql, names[i], &unknown);
        if (status == NOT_FOUND) {
            buffer_append_string(out, out->length > 0 ? "," : "");
            buffer_append_json_string(out, names[i]);
        } else if (status != OK) {
            if (error) {
                *error = unknown;
            }
            return status;
        }
    }
    return OK;
}

static enum status check_named(const struct queue *queue, struct sql *sql, const char *groups,
                               struct error *error)
{
    struct text rest = text_of(groups);
    struct text name;
    while (rest.length > 0 && text_next_part(&rest, ',', &name)) {
        TRY(group_check(queue, sql, name, error));
    }
    return OK;
}

struct move_op {
    struct queue_op op;
    int64_t worker;
    char *groups;
    struct queue_witness witness;
    struct queue_answer answer;
};

static enum status run_move(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct move_op *self = (struct move_op *)op;
    struct worker *worker = NULL;
    TRY(worker_get(op->queue, self->worker, &worker, error));
    if (worker->place) {
        return error_set(error, CONFLICT,
                         "worker %lld takes jobs to another site, which decides who runs them",
                         (long long)self->worker);
    }
    TRY(worker_check_groups(worker, self->groups, error));
    TRY(check_named(op->queue, sql, self->groups, error));
    op->queue->is_touched = true;
    TRY(sql_run(sql, SQL_SET_MOVE,
                SQL_VALUES(sql_text(text_of(worker->owner)), sql_text(text_of(worker->name)),
                           sql_text(text_of(worker->groups_said)), sql_text(text_of(self->groups))),
                NULL, error));
    TRY(queue_witness_change(&self->witness, sql, worker->id, error));
    free(worker->groups);
    bool is_all = self->groups[0] == '\0';
    worker->groups = is_all ? memory_copy_string(worker->runner.groups) : TAKE(self->groups);
    worker_tell_groups(op->queue, worker);
    return OK;
}

static void done_move(struct queue_op *op, enum status status, const struct error *error)
{
    struct move_op *self = (struct move_op *)op;
    const struct worker *worker = queue_find_worker(op->queue, self->worker);
    if (status == OK && worker) {
        AUTO_BUFFER struct buffer body = {0};
        worker_write(op->queue, worker, &body);
        buffer_append_byte(&body, '\n');
        op->queue->has_work = true; // It may have been waiting for tasks of these groups.
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&body));
    } else {
        struct error gone = {0};
        (void)error_set(&gone, NOT_FOUND, "worker %lld is lost", (long long)self->worker);
        queue_answer_error(self->answer, status == OK ? NOT_FOUND : status,
                           status == OK ? &gone : error);
    }
    free(self->groups);
    free(self);
}

void queue_move_worker(struct queue *queue, int64_t worker, const struct text *groups, size_t count,
                       struct queue_witness witness, struct queue_answer answer)
{
    struct move_op *self = NEW(struct move_op);
    self->op.run = run_move;
    self->op.done = done_move;
    self->worker = worker;
    self->groups = join(groups, count);
    self->witness = witness;
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}

bool groups_say_unserved(const struct queue *queue, const struct active_job *job,
                         struct buffer *why, struct buffer *change)
{
    AUTO_BUFFER struct buffer there = {0};
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        struct text rest = text_of(worker->groups);
        struct text name;
        if (worker->is_over || worker->place) {
            continue;
        }
        bool serves = rest.length == 0;
        while (rest.length > 0 && !serves && text_next_part(&rest, ',', &name)) {
            serves = text_equal(name, job->row.group);
        }
        if (serves) {
            return false;
        }
        if (there.length < GROUPS_SAID_MAX) {
            buffer_printf(&there, "%s%s (%s)", there.length > 0 ? ", " : "", worker->name,
                          worker->groups);
        }
    }
    if (there.length == 0) {
        return false; // There are no workers at all.
    }
    buffer_printf(why,
                  "no worker works for its group, \"%.*s\"; those that there are work for others: ",
                  TEXT_ARGS(job->row.group));
    buffer_append_text(why, buffer_text(&there));
    buffer_printf(
        change, "move one: lode worker move WORKER %.*s, or start one that works for it or for all",
        TEXT_ARGS(job->row.group));
    return true;
}
