// Tasks as others see them: lists, records, output, answers. Runs on threads that may wait, beside the writer.
#include "queue/state.h"

#include "base/memory.h"
#include "os/file.h"
#include "records/items.h"
#include "records/jobs_sql.h"
#include "records/record.h"

#include <errno.h>

enum {
    COLUMN_SPEC = JOB_COLUMN_COUNT,
    COLUMN_INPUTS = JOB_COLUMN_COUNT + 1,
    ANSWERS_MAX = 4 << 20, // Bytes of answers in one reply, more or less.
};

// What only the writer's thread knows of a task.
struct look {
    struct queue *queue;
    int64_t job;
    int64_t index;
    bool is_error_output;
    int64_t offset;
    enum task_place place;
    struct queue_output *output; // May be NULL.
};

static void copy_live(const struct look *look, const struct live_stream *stream)
{
    int64_t from = look->offset > stream->offset ? look->offset : stream->offset;
    look->output->dropped = from - look->offset;
    buffer_append_text(&look->output->bytes, text_slice(buffer_text(&stream->bytes),
                                                        (size_t)(from - stream->offset), SIZE_MAX));
}

static enum status run_look(struct sql *sql, void *context, struct error *error)
{
    struct look *look = context;
    struct lease lease;
    TRY(queue_settle(look->queue, sql, error));
    look->place = TASK_UNKNOWN;
    if (queue_find_job(look->queue, look->job)) {
        look->place = scheduler_find_task(look->queue->scheduler,
                                          (struct task_id){look->job, look->index}, &lease);
    }
    struct live_task *live = look->output ? live_find(look->queue, look->job, look->index) : NULL;
    if (live) {
        AUTO_ROWS struct sql_rows *past = NULL;
        TRY(sql_first(sql, SQL_LAST_ATTEMPT,
                      SQL_VALUES(sql_int64(look->job), sql_int64(look->index)), &past, error));
        look->output->attempt = live->attempt + sql_column_int64(past, 0);
        copy_live(look, &live->streams[look->is_error_output]);
    }
    return OK;
}

static enum status check_job(struct sql *sql, int64_t job, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_JOB_STATE, SQL_VALUES(sql_int64(job)), &rows, error);
    return status == NOT_FOUND ? job_unknown(job, error) : status;
}

static enum status start_tasks(struct sql *sql, int64_t job, const struct queue_page *page,
                               struct sql_rows **rows, struct error *error)
{
    enum job_state state = JOB_WAITING;
    struct sql_value of = sql_int64(job);
    struct sql_value from = sql_int64(page->from);
    struct sql_value limit = sql_int64(page->limit + 1);
    if (page->state.length == 0) {
        return sql_query(sql, SQL_TASKS_FROM, SQL_VALUES(of, from, limit), rows, error);
    }
    if (!job_state_from_text(page->state, &state)) {
        (void)error_set(error, INVALID, "this is not a state of a task");
        error_fix(error, "succeeded, failed, running or held");
        return INVALID;
    }
    return sql_query(sql, SQL_TASKS_FROM_STATE, SQL_VALUES(of, from, limit, sql_int64(state)), rows,
                     error);
}

static void end_list(struct buffer *out, bool is_more, int64_t next)
{
    buffer_append_string(out, "],\"next\":");
    if (is_more) {
        buffer_printf(out, "\"%lld\"}\n", (long long)next);
    } else {
        buffer_append_string(out, "null}\n");
    }
}

static enum status list_tasks(struct sql *sql, int64_t job, const struct queue_page *page,
                              struct buffer *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    int64_t count = 0;
    int64_t next = 0;
    TRY(check_job(sql, job, error));
    TRY(start_tasks(sql, job, page, &rows, error));
    buffer_append_string(out, "{\"tasks\":[");
    while (sql_next(rows, &status, error)) {
        struct task_row row;
        task_row_read(rows, &row);
        next = row.index;
        if (count++ == page->limit) {
            break;
        }
        buffer_append_string(out, count > 1 ? "," : "");
        record_write_summary(job, &row, out);
    }
    end_list(out, count > page->limit, next);
    return status;
}

struct memory_list {
    struct queue *queue;
    int64_t job;
    const struct queue_page *page;
    struct buffer *out;
};

// What runs or is held has no rows: the scheduler knows it.
static enum status list_running(struct sql *sql, void *context, struct error *error)
{
    const struct memory_list *self = context;
    struct queue *queue = self->queue;
    struct lease lease;
    int64_t count = 0;
    int64_t index = 0;
    int64_t from = self->page->from;
    TRY(queue_settle(queue, sql, error));
    TRY(check_job(sql, self->job, error));
    buffer_append_string(self->out, "{\"tasks\":[");
    while (scheduler_next_running(queue->scheduler, self->job, from, &index, &lease) &&
           count++ < self->page->limit) {
        const struct worker *worker = queue_find_worker(queue, lease.worker);
        buffer_append_string(self->out, count > 1 ? "," : "");
        const struct active_job *job = queue_find_job(queue, self->job);
        record_write_running(self->job, index, text_of(worker ? worker->name : ""),
                             checkpoint_taken_us(job, index), self->out);
        from = index + 1;
    }
    end_list(self->out, count > self->page->limit, index);
    return OK;
}

static enum status list_held(struct sql *sql, void *context, struct error *error)
{
    const struct memory_list *self = context;
    int64_t count = 0;
    int64_t index = self->page->from;
    TRY(queue_settle(self->queue, sql, error));
    TRY(check_job(sql, self->job, error));
    buffer_append_string(self->out, "{\"tasks\":[");
    while ((index = scheduler_next_held(self->queue->scheduler, self->job, index)) >= 0 &&
           count++ < self->page->limit) {
        buffer_append_string(self->out, count > 1 ? "," : "");
        record_write_held(self->job, index++, self->out);
    }
    end_list(self->out, count > self->page->limit, index);
    return OK;
}

enum status queue_list_tasks(struct queue *queue, int64_t job, const struct queue_page *page,
                             struct buffer *out, struct error *error)
{
    struct memory_list list = {queue, job, page, out};
    if (text_equal(page->state, TEXT("running"))) {
        return store_write_wait(queue->store, list_running, &list, error);
    }
    if (text_equal(page->state, TEXT("held"))) {
        return store_write_wait(queue->store, list_held, &list, error);
    }
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = list_tasks(sql, job, page, out, error);
    store_read_end(queue->store, sql);
    return status;
}

static enum status list_outputs(struct sql *sql, int64_t job, const struct queue_page *page,
                                struct buffer *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    bool is_first = true;
    int64_t count = 0;
    int64_t next = 0;
    TRY(check_job(sql, job, error));
    TRY(sql_query(sql, SQL_TASKS_WITH_OUTPUTS,
                  SQL_VALUES(sql_int64(job), sql_int64(page->from), sql_int64(page->limit + 1)),
                  &rows, error));
    buffer_append_string(out, "{\"outputs\":[");
    while (sql_next(rows, &status, error)) {
        next = sql_column_int64(rows, 0);
        if (count++ == page->limit) {
            break;
        }
        record_write_outputs(sql_column_text(rows, 1), next, &is_first, out);
    }
    end_list(out, count > page->limit, next);
    return status;
}

enum status queue_list_outputs(struct queue *queue, int64_t job, const struct queue_page *page,
                               struct buffer *out, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = list_outputs(sql, job, page, out, error);
    store_read_end(queue->store, sql);
    return status;
}

// A task of a streamed job is part of a chunk.
static enum status task_of_chunk(struct sql *sql, int64_t job, int64_t index,
                                 struct sql_rows **rows, struct task_row *out, struct error *error)
{
    struct chunk_row chunk;
    TRY(sql_first(sql, SQL_CHUNK_OF, SQL_VALUES(sql_int64(job), sql_int64(index)), rows, error));
    chunk_row_read(*rows, &chunk);
    *out = (struct task_row){
        .index = index,
        .state = JOB_SUCCEEDED,
        .attempts = 1,
        .worker = chunk.worker,
        .started_us = chunk.started_us,
        .wall_us = chunk.wall_us,
        .cpu_us = chunk.cpu_us,
        .peak_bytes = chunk.peak_bytes,
        .error_output = chunk.error_output,
        .cached_job = sql_column_int64(*rows, 13),
        .kind = (enum runner_class)sql_column_int64(*rows, 14),
        .cached_index = index,
    };
    return OK;
}

// The row of an ended task, wherever it is; NOT_FOUND when it has not ended.
static enum status find_task(struct sql *sql, int64_t job, int64_t index, struct sql_rows **rows,
                             struct task_row *out, struct error *error)
{
    enum status status =
        sql_first(sql, SQL_ONE_TASK, SQL_VALUES(sql_int64(job), sql_int64(index)), rows, error);
    if (status == OK) {
        task_row_read(*rows, out);
        return OK;
    }
    return status == NOT_FOUND ? task_of_chunk(sql, job, index, rows, out, error) : status;
}

static enum status read_job(struct sql *sql, int64_t job, int64_t index, struct sql_rows **rows,
                            struct job_row *out, struct error *error)
{
    enum status status = sql_first(sql, SQL_JOB_RECORD, SQL_VALUES(sql_int64(job)), rows, error);
    if (status == NOT_FOUND) {
        return job_unknown(job, error);
    }
    TRY(status);
    job_row_read(*rows, out);
    if (index >= out->count) {
        (void)error_set(error, NOT_FOUND, "job %lld has no task %lld; it has %lld", (long long)job,
                        (long long)index, (long long)out->count);
        error_fix(error, "its tasks are %lld/0 to %lld/%lld", (long long)job, (long long)job,
                  (long long)out->count - 1);
        return NOT_FOUND;
    }
    return OK;
}

static enum status show_task(struct queue *queue, struct sql *sql, int64_t job, int64_t index,
                             enum task_place place, struct buffer *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *job_rows = NULL;
    AUTO_ROWS struct sql_rows *task_rows = NULL;
    struct job_row row;
    struct task_row task = {.index = index};
    TRY(read_job(sql, job, index, &job_rows, &row, error));
    enum status status = find_task(sql, job, index, &task_rows, &task, error);
    if (status == NOT_FOUND) {
        bool is_over = row.progress.state > JOB_RUNNING;
        task.state = is_over                ? JOB_CANCELLED
                     : place == TASK_LEASED ? JOB_RUNNING
                     : place == TASK_HELD   ? JOB_HELD
                                            : JOB_WAITING;
    } else {
        TRY(status);
    }
    return record_write(queue->blobs, sql, &row, sql_column_text(job_rows, COLUMN_SPEC),
                        sql_column_text(job_rows, COLUMN_INPUTS), &task, out, error);
}

enum status queue_show_task(struct queue *queue, int64_t job, int64_t index, struct buffer *out,
                            struct error *error)
{
    struct look look = {.queue = queue, .job = job, .index = index};
    struct sql *sql = NULL;
    // First where it is now, then the rows: what ends in between is seen as ended.
    TRY(store_write_wait(queue->store, run_look, &look, error));
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = show_task(queue, sql, job, index, look.place, out, error);
    store_read_end(queue->store, sql);
    return status;
}

static enum status read_ended_output(struct queue *queue, const struct poll_stream *stream,
                                     int64_t offset, struct queue_output *out, struct error *error)
{
    out->is_complete = true;
    out->dropped = 0;
    buffer_clear(&out->bytes);
    if (stream->is_blob) {
        return blob_open(queue->blobs, &stream->digest, &out->fd, &out->size, error);
    }
    size_t from = offset < (int64_t)stream->bytes.length ? (size_t)offset : stream->bytes.length;
    buffer_append_text(&out->bytes, text_slice(stream->bytes, from, SIZE_MAX));
    return OK;
}

static enum status read_output(struct queue *queue, struct sql *sql, const struct look *look,
                               struct error *error)
{
    AUTO_ROWS struct sql_rows *job_rows = NULL;
    AUTO_ROWS struct sql_rows *task_rows = NULL;
    struct job_row row;
    struct task_row task;
    TRY(read_job(sql, look->job, look->index, &job_rows, &row, error));
    enum status status = find_task(sql, look->job, look->index, &task_rows, &task, error);
    if (status == NOT_FOUND) {
        look->output->is_complete = row.progress.state > JOB_RUNNING;
        return OK;
    }
    TRY(status);
    look->output->attempt = task.attempts;
    return read_ended_output(queue, look->is_error_output ? &task.error_output : &task.output,
                             look->offset, look->output, error);
}

enum status queue_read_output(struct queue *queue, int64_t job, int64_t index, bool is_error_output,
                              int64_t offset, struct queue_output *out, struct error *error)
{
    *out = (struct queue_output){.fd = -1};
    struct look look = {queue, job, index, is_error_output, offset, TASK_UNKNOWN, out};
    struct sql *sql = NULL;
    TRY(store_write_wait(queue->store, run_look, &look, error));
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = read_output(queue, sql, &look, error);
    store_read_end(queue->store, sql);
    return status;
}

// Appends lines [from, to) of the blob whose first line is line `first`.
static enum status append_lines(struct queue *queue, const struct chunk_row *chunk, int64_t from,
                                struct buffer *out, struct error *error)
{
    AUTO_CLOSE int fd = -1;
    int64_t size = 0;
    AUTO_BUFFER struct buffer bytes = {0};
    TRY(blob_open(queue->blobs, &chunk->answers, &fd, &size, error));
    char *place = buffer_reserve(&bytes, (size_t)size + 1);
    ssize_t got = pread(fd, place, (size_t)size, 0);
    if (got != size) {
        return error_set_errno(error, got < 0 ? errno : EIO, "cannot read answers");
    }
    buffer_advance(&bytes, (size_t)got);
    struct text rest = buffer_text(&bytes);
    size_t begin = 0;
    size_t end = 0;
    for (int64_t line = chunk->answers_first; line < chunk->to && end < rest.length; line++) {
        begin = line == from ? end : begin;
        end = text_find_byte(rest, end, '\n') + 1;
    }
    end = end < rest.length ? end : rest.length;
    buffer_append_text(out, text_slice(rest, begin, end));
    if (out->length > 0 && out->bytes[out->length - 1] != '\n') {
        buffer_append_byte(out, '\n');
    }
    return OK;
}

// The answers at *at, if there are any; a failed item's is null.
static enum status append_answers(struct queue *queue, struct sql *sql, int64_t job, int64_t *at,
                                  struct buffer *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *chunks = NULL;
    AUTO_ROWS struct sql_rows *tasks = NULL;
    enum status status =
        sql_first(sql, SQL_CHUNK_OF, SQL_VALUES(sql_int64(job), sql_int64(*at)), &chunks, error);
    if (status == OK) {
        struct chunk_row chunk;
        chunk_row_read(chunks, &chunk);
        TRY(append_lines(queue, &chunk, *at, out, error));
        *at = chunk.to;
        return OK;
    }
    if (status == NOT_FOUND) {
        status =
            sql_first(sql, SQL_ONE_TASK, SQL_VALUES(sql_int64(job), sql_int64(*at)), &tasks, error);
    }
    TRY(status);
    buffer_append_string(out, "null\n");
    (*at)++;
    return OK;
}

static enum status read_answers(struct queue *queue, struct sql *sql, int64_t job, int64_t from,
                                struct buffer *out, int64_t *next, bool *is_complete,
                                struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct job_row row;
    TRY(read_job(sql, job, 0, &rows, &row, error));
    if (row.mode != SPEC_STREAM) {
        (void)error_set(error, CONFLICT, "job %lld is not streamed", (long long)job);
        error_fix(error, "its tasks have outputs and logs: lode outputs, lode logs");
        return CONFLICT;
    }
    int64_t at = from;
    enum status status = OK;
    while (status == OK && at < row.count && out->length < ANSWERS_MAX) {
        status = append_answers(queue, sql, job, &at, out, error);
    }
    TRY(status == NOT_FOUND ? OK : status);
    *next = at;
    *is_complete = at >= row.count || (status == NOT_FOUND && row.progress.state > JOB_RUNNING);
    return OK;
}

enum status queue_read_answers(struct queue *queue, int64_t job, int64_t from, struct buffer *out,
                               int64_t *next, bool *is_complete, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = read_answers(queue, sql, job, from, out, next, is_complete, error);
    store_read_end(queue->store, sql);
    return status;
}

enum status queue_check_unused(struct queue *queue, const char *dataset, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status =
        sql_first(sql, SQL_WHO_USES, SQL_VALUES(sql_text(text_of(dataset))), &rows, error);
    if (status == OK) {
        (void)error_set(error, CONFLICT, "job %lld, which has not ended, uses %.300s",
                        (long long)sql_column_int64(rows, 0), dataset);
        error_fix(error, "wait for it (lode wait), or cancel it (lode cancel)");
        status = CONFLICT;
    } else if (status == NOT_FOUND) {
        status = OK;
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    return status;
}
