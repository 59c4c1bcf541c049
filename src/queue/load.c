// Active jobs from the database into memory: at the start, and whenever memory may differ from it.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/queue_sql.h"

enum {
    COLUMN_DESCRIPTION = JOB_COLUMN_COUNT, // Behind JOB_COLUMNS.
    // Versions that were seen may not have been written (a start of tasks is not): they must not come again.
    VERSION_STEP = 1000,
};

static void read_digest(struct text bytes, struct digest *out)
{
    if (bytes.length == DIGEST_SIZE) {
        memcpy(out->bytes, bytes.bytes, DIGEST_SIZE);
    }
}

static void read_progress(const struct sql_rows *rows, struct job_progress *out)
{
    out->state = (enum job_state)sql_column_int64(rows, 16);
    out->started_us = sql_column_int64(rows, 17);
    out->finished_us = sql_column_int64(rows, 18);
    out->succeeded = sql_column_int64(rows, 19);
    out->failed = sql_column_int64(rows, 20);
    out->cancelled = sql_column_int64(rows, 21);
    out->cached = sql_column_int64(rows, 22);
    out->first_failed = sql_column_int64(rows, 23);
    out->exit_code = sql_column_int64(rows, 24);
    struct text message = text_slice(sql_column_text(rows, 25), 0, JOB_MESSAGE_MAX - 1);
    if (message.length > 0) {
        memcpy(out->message, message.bytes, message.length);
    }
    out->seq = sql_column_int64(rows, 26);
    out->version = sql_column_int64(rows, 27);
    for (int i = 0; i < CAUSE_COUNT; i++) {
        out->failures[i] = sql_column_int64(rows, 38 + i);
    }
}

void job_row_read(const struct sql_rows *rows, struct job_row *out)
{
    *out = (struct job_row){
        .id = sql_column_int64(rows, 0),
        .owner = sql_column_text(rows, 1),
        .name = sql_column_text(rows, 2),
        .mode = (enum spec_mode)sql_column_int64(rows, 3),
        .cache = (enum spec_cache)sql_column_int64(rows, 4),
        .count = sql_column_int64(rows, 6),
        .has_items = !sql_column_is_null(rows, 7),
        .items_kind = (enum items_kind)sql_column_int64(rows, 8),
        .need = {.cpu_millis = sql_column_int64(rows, 9),
                 .memory_bytes = sql_column_int64(rows, 10),
                 .disk_bytes = sql_column_int64(rows, 11),
                 .software = sql_column_int64(rows, 47)},
        .priority = sql_column_int64(rows, 13),
        .locality = sql_column_int64(rows, 14),
        .submitted_us = sql_column_int64(rows, 15),
        .command = sql_column_text(rows, 28),
        .first_index = sql_column_int64(rows, 29),
        .gathers = sql_column_int64(rows, 30) != 0,
        .place = sql_column_text(rows, 31),
        .retries = {.times = {[CAUSE_FAIL] = sql_column_int64(rows, 12),
                              [CAUSE_LIMIT] = sql_column_int64(rows, 33),
                              [CAUSE_LOST] = sql_column_int64(rows, 34),
                              [CAUSE_INPUT] = sql_column_int64(rows, 35),
                              [CAUSE_WORKER] = sql_column_int64(rows, 36)}},
        .when_lost = (enum spec_when_lost)sql_column_int64(rows, 37),
        .walltime_us = sql_column_int64(rows, 45),
        .checkpoint_us = sql_column_int64(rows, 46),
        .offer = sql_column_text(rows, 44),
    };
    struct text group = sql_column_text(rows, 43);
    out->group = group.length > 0 ? group : out->owner;
    read_digest(sql_column_text(rows, 5), &out->family);
    read_digest(sql_column_text(rows, 7), &out->items);
    out->has_origin = !sql_column_is_null(rows, 32);
    read_digest(sql_column_text(rows, 32), &out->origin);
    read_progress(rows, &out->progress);
}

void active_job_free(struct active_job *job)
{
    if (job) {
        free(job->owner);
        free(job->group);
        free(job->name);
        free(job->offer);
        free(job->description);
        free(job->hold_reason);
        free(job->hold_change);
        free(job->there_why);
        free(job->there_change);
        ranges_done(&job->told);
        job_forget_checkpoints(job);
        ranges_done(&job->followers);
        free(job);
    }
}

enum status queue_activate(struct queue *queue, struct sql *sql, const struct job_row *row,
                           struct text description, const struct ranges *done,
                           struct active_job **out, struct error *error)
{
    struct place *place = place_get(queue, row->place);
    AUTO_FREE char *group = text_copy(row->group);
    struct job_plan plan = {
        .id = row->id,
        .place = place_number(place),
        .group = group_number(row->group),
        .group_name = group,
        .priority = row->priority,
        .count = row->count,
        .need = row->need,
        .retries = row->retries,
        .walltime_us = row->walltime_us,
        .checkpoint_us = row->checkpoint_us,
        .fails_when_lost = row->when_lost == SPEC_LOST_FAIL,
        .submitted_us = row->submitted_us,
        .is_stream = row->mode == SPEC_STREAM,
        .inputs = (uint64_t)row->locality,
    };
    AUTO_ARENA struct arena arena = {0};
    if (!place) { // Elsewhere the other site matches.
        TRY(match_read(sql, row->id, &arena, &plan, error));
    }
    queue->is_touched = true;
    TRY(scheduler_add_job(queue->scheduler, &plan, done, error));
    struct active_job *job = NEW(struct active_job);
    job->owner = text_copy(row->owner);
    job->group = TAKE(group);
    job->name = text_copy(row->name);
    job->description = text_copy(description);
    job->row = *row;
    job->row.owner = text_of(job->owner);
    job->row.group = text_of(job->group);
    job->row.name = text_of(job->name);
    job->offer = text_copy(row->offer);
    job->row.offer = text_of(job->offer);
    job->row.command = TEXT_NONE;
    job->place = place;
    job->row.place = text_of(place ? place->fingerprint : "");
    place_count(queue, place, 1);
    (void)map_set_int64(queue->jobs, row->id, job);
    twins_add(queue, job);
    queue->has_work = true;
    *out = job;
    return job_look_at_needs(queue, sql, job, error);
}

// The tasks that have ended, in order of index: a million of them are few ranges.
enum status queue_read_done(struct sql *sql, int64_t job, struct ranges *done, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *tasks = NULL;
    TRY(sql_query(sql, SQL_DONE_TASKS, SQL_VALUES(sql_int64(job)), &tasks, error));
    while (sql_next(tasks, &status, error)) {
        int64_t index = sql_column_int64(tasks, 0);
        (void)ranges_add(done, index, index + 1);
    }
    TRY(status);
    AUTO_ROWS struct sql_rows *chunks = NULL;
    TRY(sql_query(sql, SQL_DONE_CHUNKS, SQL_VALUES(sql_int64(job)), &chunks, error));
    while (sql_next(chunks, &status, error)) {
        (void)ranges_add(done, sql_column_int64(chunks, 0), sql_column_int64(chunks, 1));
    }
    return status;
}

static enum status load_job(struct queue *queue, struct sql *sql, const struct sql_rows *rows,
                            struct error *error)
{
    struct job_row row;
    job_row_read(rows, &row);
    row.progress.version += VERSION_STEP;
    struct ranges done = {0};
    enum status status = queue_read_done(sql, row.id, &done, error);
    struct active_job *job = NULL;
    if (status == OK) {
        status = queue_activate(queue, sql, &row, sql_column_text(rows, COLUMN_DESCRIPTION), &done,
                                &job, error);
    }
    if (status == OK && !job->has_ended) {
        status = checkpoints_load(sql, job, error);
    }
    if (status == OK) {
        status = attempts_load(queue, sql, job, error);
    }
    ranges_done(&done);
    return status;
}

void queue_forget_jobs(struct queue *queue)
{
    // An ended job is in `dirty` only until the end of its operation, and may be in `changed` too, which then frees it.
    for (size_t i = 0; i < queue->dirty_count; i++) {
        if (queue->dirty[i]->has_ended && !queue->dirty[i]->is_changed) {
            active_job_free(queue->dirty[i]);
        }
    }
    for (size_t i = 0; i < queue->changed_count; i++) {
        if (queue->changed[i]->has_ended) {
            active_job_free(queue->changed[i]);
        }
    }
    queue->changed_count = 0;
    queue->dirty_count = 0;
    size_t at = 0;
    for (struct active_job *job; (job = map_next(queue->jobs, &at)) != NULL;) {
        active_job_free(job);
    }
    map_free(queue->jobs);
    queue->jobs = map_new();
    map_free(queue->families);
    queue->families = map_new();
    places_forget_jobs(queue);
}

enum status queue_load(struct queue *queue, struct sql *sql, struct error *error)
{
    queue_forget_jobs(queue);
    scheduler_free(queue->scheduler);
    queue->scheduler = scheduler_new(&queue->scheduler_options);
    queue->lease_base = queue->lease_last;
    workers_reload(queue);
    weights_reload(queue);
    queue->needs_reload = true; // Until all of it has been read.
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    TRY(sql_query(sql, SQL_ACTIVE_JOBS, SQL_NO_VALUES, &rows, error));
    while (status == OK && sql_next(rows, &status, error)) {
        status = load_job(queue, sql, rows, error);
    }
    TRY(status);
    TRY(holds_load(queue, sql, error));
    TRY(twins_load(queue, sql, error));
    TRY(queue_flush(queue, sql, error));
    queue->needs_reload = false;
    queue->tell_all = true;
    queue->has_work = true;
    return OK;
}
