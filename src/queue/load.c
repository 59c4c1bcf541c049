// Active jobs from the database into memory: at the start, and whenever memory may differ from it.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "records/jobs_sql.h"

enum {
    COLUMN_DESCRIPTION = JOB_COLUMN_COUNT, // Behind JOB_COLUMNS.
    // Versions that were seen may not have been written (a start of tasks is not): they must not come again.
    VERSION_STEP = 1000,
};

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
        .owner = group_number(row->owner),
        .is_spare = row->is_spare,
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
static enum status load_job(struct queue *queue, struct sql *sql, const struct sql_rows *rows,
                            struct error *error)
{
    struct job_row row;
    job_row_read(rows, &row);
    row.progress.version += VERSION_STEP;
    struct ranges done = {0};
    enum status status = job_read_done(sql, row.id, &done, error);
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
