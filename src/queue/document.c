// The documents of jobs, as docs/protocols/api.md has them.
#include "queue/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "records/jobs_sql.h"
#include "records/record.h"

enum { COLUMN_SPEC = JOB_COLUMN_COUNT };

static void write_time(struct buffer *out, const char *name, int64_t time_us)
{
    char text[CALENDAR_TEXT_SIZE];
    if (time_us > 0) {
        buffer_printf(out, ",\"%s\":\"%s\"", name, calendar_format(time_us, text));
    } else {
        buffer_printf(out, ",\"%s\":null", name);
    }
}

// What is in memory only: tasks under way and held, and the start that is not written yet.
static struct job_figures look_at_active(const struct queue *queue, struct job_row *row)
{
    const struct active_job *job = queue_find_job(queue, row->id);
    struct job_figures figures = {0};
    if (!job || !scheduler_figures(queue->scheduler, row->id, &figures)) {
        return figures;
    }
    row->progress.state = job_shown_state(queue, job);
    row->progress.started_us = job->row.progress.started_us;
    row->progress.version = job->row.progress.version;
    return figures;
}

static void write_where(const struct queue *queue, const struct job_row *row, struct buffer *out)
{
    if (row->place.length == 0) {
        buffer_append_string(out, ",\"place\":null,\"at\":null");
        return;
    }
    AUTO_BUFFER struct buffer name = {0};
    AUTO_FREE char *place = text_copy(row->place);
    place_write_name(queue, place, &name);
    buffer_printf(out, ",\"place\":\"%s\",\"at\":", place);
    buffer_append_json_string(out, buffer_text(&name));
}

static bool has_ended(enum job_state state)
{
    return state == JOB_SUCCEEDED || state == JOB_FAILED || state == JOB_CANCELLED;
}

static void write_message(const struct queue *queue, const struct job_row *row,
                          const struct job_figures *figures, struct buffer *out)
{
    AUTO_BUFFER struct buffer held = {0};
    if (figures->held > 0) {
        held_message(queue, row->id, &held);
    }
    buffer_append_string(out, ",\"message\":");
    buffer_append_json_string(out, held.length > 0 ? buffer_text(&held)
                                                   : text_of(row->progress.message));
}

static void write_job(const struct queue *queue, const struct job_row *row,
                      const struct job_figures *figures, struct buffer *out)
{
    const struct job_progress *progress = &row->progress;
    char digest[DIGEST_TEXT_SIZE];
    int64_t ended = progress->succeeded + progress->failed + progress->cancelled;
    buffer_printf(out, "{\"id\":%lld,\"name\":", (long long)row->id);
    buffer_append_json_string(out, row->name);
    buffer_append_string(out, ",\"command\":");
    buffer_append_json_string(out, row->command);
    buffer_append_string(out, ",\"owner\":");
    buffer_append_json_string(out, row->owner);
    buffer_append_string(out, ",\"group\":");
    buffer_append_json_string(out, row->group);
    buffer_printf(out, ",\"state\":\"%s\",\"mode\":\"%s\"", job_state_name(progress->state),
                  row->mode == SPEC_STREAM ? "stream" : "command");
    write_where(queue, row, out);
    buffer_append_string(out, ",\"offer\":");
    buffer_append_text(out, row->offer.length > 0 ? row->offer : TEXT("null"));
    write_time(out, "submitted_at", row->submitted_us);
    write_time(out, "started_at", progress->started_us);
    write_time(out, "finished_at", progress->finished_us);
    buffer_printf(out,
                  ",\"tasks\":{\"total\":%lld,\"succeeded\":%lld,\"failed\":%lld,\"running\":%lld,"
                  "\"waiting\":%lld,\"held\":%lld,\"cancelled\":%lld,\"cached\":%lld}",
                  (long long)row->count, (long long)progress->succeeded,
                  (long long)progress->failed, (long long)figures->running,
                  (long long)(row->count - ended - figures->running - figures->held),
                  (long long)figures->held, (long long)progress->cancelled,
                  (long long)progress->cached);
    record_write_failures(progress->failures, out);
    // What was cancelled ended by nobody's program.
    if (!has_ended(progress->state) || progress->state == JOB_CANCELLED) {
        buffer_append_string(out, ",\"exit_code\":null");
    } else {
        buffer_printf(out, ",\"exit_code\":%lld", (long long)progress->exit_code);
    }
    write_message(queue, row, figures, out);
    buffer_printf(out, ",\"identity\":\"%s\",\"version\":%lld",
                  digest_to_text(&row->family, digest), (long long)progress->version);
}

static enum status write_setups(struct sql *sql, int64_t job, struct buffer *out,
                                struct error *error)
{
    static const char *const NAMES[] = {"executable", "executable_digest", "host", "sandbox",
                                        "worker"};
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_JOB_SETUPS, SQL_VALUES(sql_int64(job)), &rows, error));
    buffer_append_string(out, ",\"setups\":[");
    for (bool is_first = true; sql_next(rows, &status, error); is_first = false) {
        for (int i = 0; i < 5; i++) {
            buffer_printf(out, "%s\"%s\":", i > 0 ? "," : is_first ? "{" : ",{", NAMES[i]);
            struct text value = sql_column_text(rows, i);
            if (value.length > 0) {
                buffer_append_json_string(out, value);
            } else {
                buffer_append_string(out, "null");
            }
        }
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
    return status;
}

enum status job_write_document(struct queue *queue, struct sql *sql, int64_t job, bool is_full,
                               struct buffer *out, struct error *error)
{
    struct job_row row;
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_SHOW_JOB, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == NOT_FOUND) {
        return job_unknown(job, error);
    }
    TRY(status);
    job_row_read(rows, &row);
    struct job_figures figures = look_at_active(queue, &row);
    write_job(queue, &row, &figures, out);
    if (is_full) {
        buffer_append_string(out, ",\"spec\":");
        buffer_append_text(out, sql_column_text(rows, COLUMN_SPEC));
        TRY(write_setups(sql, job, out, error));
    }
    buffer_append_string(out, "}\n");
    return OK;
}

struct list_write {
    struct queue *queue;
    const struct queue_job_filter *filter;
    struct buffer *out;
};

// `state`: any, where the filter has none.
static enum status start_list(struct sql *sql, const struct queue_job_filter *filter,
                              enum job_state *state, struct sql_rows **rows, struct error *error)
{
    struct sql_value before = sql_int64(filter->before ? filter->before : INT64_MAX);
    struct sql_value limit = sql_int64(filter->limit + 1);
    struct sql_value owner = sql_text(filter->owner);
    if (filter->state.length == 0) {
        return filter->owner.length > 0
                   ? sql_query(sql, SQL_LIST_JOBS_OWNER, SQL_VALUES(before, limit, owner), rows,
                               error)
                   : sql_query(sql, SQL_LIST_JOBS, SQL_VALUES(before, limit), rows, error);
    }
    if (!job_state_from_text(filter->state, state)) {
        (void)error_set(error, INVALID, "state=%.40s is not a state of a job",
                        filter->state.length < 40 ? filter->state.bytes : "...");
        error_fix(error, "waiting, running, held, succeeded, failed or cancelled");
        return INVALID;
    }
    struct sql_value wanted = sql_int64(*state);
    if (!has_ended(
            *state)) { // Rows say how it was at the last result: what holds now is in memory.
        return sql_query(sql, SQL_LIST_JOBS_STATES,
                         SQL_VALUES(before, sql_int64(JOB_WAITING), sql_int64(JOB_RUNNING)), rows,
                         error);
    }
    return filter->owner.length > 0
               ? sql_query(sql, SQL_LIST_JOBS_STATE_OWNER, SQL_VALUES(before, limit, wanted, owner),
                           rows, error)
               : sql_query(sql, SQL_LIST_JOBS_STATE, SQL_VALUES(before, limit, wanted), rows,
                           error);
}

// Is it left out of the list? Only of jobs that have not ended the rows of others come, too.
static bool is_filtered(const struct queue_job_filter *filter, enum job_state state,
                        const struct job_row *row)
{
    bool is_foreign = filter->owner.length > 0 && !text_equal(filter->owner, row->owner);
    return filter->state.length > 0 && !has_ended(state) &&
           (row->progress.state != state || is_foreign);
}

static enum status write_list(struct sql *sql, void *context, struct error *error)
{
    struct list_write *self = context;
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    int64_t count = 0;
    int64_t last = 0;
    bool is_more = false;
    enum job_state state = JOB_WAITING;
    TRY(queue_settle(self->queue, sql, error));
    TRY(start_list(sql, self->filter, &state, &rows, error));
    buffer_append_string(self->out, "{\"jobs\":[");
    while (sql_next(rows, &status, error)) {
        struct job_row row;
        job_row_read(rows, &row);
        struct job_figures figures = look_at_active(self->queue, &row);
        if (is_filtered(self->filter, state, &row)) {
            continue;
        }
        if (count == self->filter->limit) {
            is_more = true;
            break;
        }
        buffer_append_string(self->out, count++ > 0 ? "," : "");
        write_job(self->queue, &row, &figures, self->out);
        buffer_append_byte(self->out, '}');
        last = row.id;
    }
    buffer_append_string(self->out, "],\"next\":");
    if (is_more) {
        buffer_printf(self->out, "\"%lld\"}\n", (long long)last);
    } else {
        buffer_append_string(self->out, "null}\n");
    }
    return status;
}

enum status queue_list_jobs(struct queue *queue, const struct queue_job_filter *filter,
                            struct buffer *out, struct error *error)
{
    // On the writer's thread, as the tasks under way are in memory there.
    struct list_write self = {queue, filter, out};
    return store_write_wait(queue->store, write_list, &self, error);
}

struct describe {
    struct queue *queue;
    json_t *status;
};

// That of the site's own machine, whose workers see files as it does: of the one that has been there for longest.
static json_t *describe_sandbox(const struct queue *queue)
{
    const struct worker *own = NULL;
    json_t *sandbox = NULL;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (!worker->is_over && !worker->place && worker->sees_files &&
            (!own || worker->id < own->id)) {
            own = worker;
        }
    }
    if (own && json_parse(text_of(own->sandbox), &sandbox, NULL) == OK) {
        return sandbox;
    }
    return json_pack("{s:s, s:[], s:[]}", "kind", "unknown", "enforced", "not_enforced");
}

// How many workers run tasks without a sandbox, wherever they are.
static int64_t count_unsandboxed(const struct queue *queue)
{
    int64_t count = 0;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        count += !worker->is_over && !worker->place &&
                 text_equal(text_of(worker->sandbox_kind), TEXT("none"));
    }
    return count;
}

// A new array of the kinds of software that some worker here gives.
static json_t *software_of_workers(const struct queue *queue)
{
    int64_t last = -1;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (!worker->is_over && !worker->place && worker->capacity.software > last) {
            last = worker->capacity.software;
        }
    }
    json_t *kinds = json_array();
    for (int64_t i = 0; i <= last; i++) {
        (void)json_array_append_new(kinds, json_string(spec_software_name((enum spec_software)i)));
    }
    return kinds;
}

static enum status describe(struct sql *sql, void *context, struct error *error)
{
    struct describe *self = context;
    struct queue *queue = self->queue;
    int64_t counts[JOB_STATE_COUNT] = {0};
    int64_t running = 0;
    int64_t waiting = 0;
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(queue_settle(queue, sql, error));
    TRY(sql_query(sql, SQL_COUNT_STATES, SQL_NO_VALUES, &rows, error));
    while (sql_next(rows, &status, error)) {
        int64_t state = sql_column_int64(rows, 0);
        if (state > JOB_RUNNING && state <= JOB_CANCELLED) {
            counts[state] = sql_column_int64(rows, 1);
        }
    }
    TRY(status);
    size_t at = 0;
    for (const struct active_job *job; (job = map_next(queue->jobs, &at)) != NULL;) {
        struct job_figures figures = {0};
        (void)scheduler_figures(queue->scheduler, job->row.id, &figures);
        counts[job_shown_state(queue, job)]++;
        running += figures.running;
        waiting += figures.waiting + figures.leased - figures.running;
    }
    int64_t workers = 0;
    at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        workers += !worker->is_over && !worker->place;
    }
    json_t *jobs = json_object();
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        (void)json_object_set_new(jobs, job_state_name((enum job_state)i), json_integer(counts[i]));
    }
    (void)json_object_set_new(self->status, "jobs", jobs);
    (void)json_object_set_new(
        self->status, "tasks",
        json_pack("{s:I, s:I}", "running", (json_int_t)running, "waiting", (json_int_t)waiting));
    (void)json_object_set_new(self->status, "workers", json_integer(workers));
    (void)json_object_set_new(self->status, "sandbox", describe_sandbox(queue));
    (void)json_object_set_new(self->status, "workers_without_sandbox",
                              json_integer(count_unsandboxed(queue)));
    (void)json_object_set_new(self->status, "software", software_of_workers(queue));
    return OK;
}

enum status queue_describe(struct queue *queue, json_t *status, struct error *error)
{
    struct describe self = {queue, status};
    return store_write_wait(queue->store, describe, &self, error);
}
