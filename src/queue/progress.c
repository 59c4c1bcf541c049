// What becomes of jobs: their progress, their end, and the jobs that wait for them.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/runners.h"
#include "records/jobs_sql.h"

#include <stdio.h>

enum job_state job_shown_state(const struct queue *queue, const struct active_job *job)
{
    struct job_figures figures = {0};
    (void)scheduler_figures(queue->scheduler, job->row.id, &figures);
    bool is_held = figures.held > 0 && figures.waiting + figures.leased == 0;
    return is_held ? JOB_HELD : job->row.progress.state;
}

struct active_job *queue_find_job(const struct queue *queue, int64_t job)
{
    return map_find_int64(queue->jobs, job);
}

static void append(struct active_job ***list, size_t *count, size_t *capacity,
                   struct active_job *job)
{
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        *list = memory_resize(*list, *capacity, sizeof(struct active_job *));
    }
    (*list)[(*count)++] = job;
}

void job_touch(struct queue *queue, struct active_job *job)
{
    queue->is_touched = true;
    if (!job->is_dirty) {
        job->is_dirty = true;
        append(&queue->dirty, &queue->dirty_count, &queue->dirty_capacity, job);
    }
}

void job_began(struct active_job *job, int64_t started_us)
{
    struct job_progress *progress = &job->row.progress;
    bool is_earlier = progress->started_us == 0 || started_us < progress->started_us;
    if (started_us >= job->row.submitted_us && is_earlier) {
        progress->started_us = started_us;
    }
}

// In memory only: a poll that leases writes nothing. It is written with the job's next change.
void job_start(struct queue *queue, struct active_job *job, int64_t started_us)
{
    struct job_progress *progress = &job->row.progress;
    if (progress->state != JOB_WAITING) {
        return;
    }
    progress->state = JOB_RUNNING;
    progress->started_us = started_us;
    progress->version++;
    if (!job->is_changed) {
        job->is_changed = true;
        append(&queue->changed, &queue->changed_count, &queue->changed_capacity, job);
    }
}

void job_end(struct queue *queue, struct active_job *job, enum job_state state, const char *message)
{
    struct job_progress *progress = &job->row.progress;
    job_touch(queue, job);
    progress->state = state;
    progress->finished_us = clock_real_us();
    if (message) {
        (void)snprintf(progress->message, sizeof progress->message, "%s", message);
    }
    if (state == JOB_CANCELLED) {
        progress->cancelled = job->row.count - progress->succeeded - progress->failed;
    }
    if (progress->failed == 0) {
        progress->exit_code = 0;
    }
    job->has_ended = true;
    scheduler_remove_job(queue->scheduler, job->row.id);
    (void)map_set_int64(queue->jobs, job->row.id, NULL);
    twins_remove(queue, job);
    place_count(queue, job->place, -1);
    workers_drop_job(queue, job);
    runners_end_job(queue, job->row.id);
    live_drop_job(queue, job->row.id);
    queue->has_work = true;
}

void job_fail(struct queue *queue, struct active_job *job, const char *message)
{
    struct job_progress *progress = &job->row.progress;
    progress->cancelled = job->row.count - progress->succeeded - progress->failed;
    job_end(queue, job, JOB_FAILED, message);
    progress->exit_code = outcome_exit_code(OUTCOME_WORKER, 0);
}

void job_check_end(struct queue *queue, struct active_job *job)
{
    const struct job_progress *progress = &job->row.progress;
    if (!job->has_ended && progress->succeeded + progress->failed >= job->row.count) {
        job_end(queue, job, progress->failed > 0 ? JOB_FAILED : JOB_SUCCEEDED, NULL);
    }
}

enum status job_look_at_needs(struct queue *queue, struct sql *sql, struct active_job *job,
                              struct error *error)
{
    enum status status = OK;
    char message[JOB_MESSAGE_MAX] = "";
    job->unmet_needs = 0;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_UNMET_NEEDS, SQL_VALUES(sql_int64(job->row.id)), &rows, error));
    while (sql_next(rows, &status, error)) {
        enum job_state state = (enum job_state)sql_column_int64(rows, 1);
        job->unmet_needs++;
        if (state >= JOB_FAILED && message[0] == '\0') {
            (void)snprintf(message, sizeof message, "job %lld, which it was to follow, %s",
                           (long long)sql_column_int64(rows, 0),
                           state == JOB_FAILED ? "failed" : "was cancelled");
        }
    }
    TRY(status);
    queue->is_touched = true;
    if (message[0] != '\0') {
        job_end(queue, job, JOB_CANCELLED, message);
        return OK;
    }
    if (job->row.gathers && job->unmet_needs == 0 && !job->is_gathering && !job->hold_reason) {
        job->is_gathering = true;
        (void)ranges_add(&queue->to_gather, job->row.id, job->row.id + 1);
    }
    scheduler_hold(queue->scheduler, job->row.id,
                   job->unmet_needs > 0 || job->is_looking_up || job->row.gathers ||
                       job->hold_reason != NULL || job->twin > 0);
    queue->has_work = true;
    return OK;
}

// The jobs that wait for an ended one.
static enum status tell_followers(struct queue *queue, struct sql *sql, int64_t ended,
                                  struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_WHO_NEEDS, SQL_VALUES(sql_int64(ended)), &rows, error));
    while (status == OK && sql_next(rows, &status, error)) {
        struct active_job *job = queue_find_job(queue, sql_column_int64(rows, 0));
        if (job) {
            job_touch(queue, job);
            status = job_look_at_needs(queue, sql, job, error);
        }
    }
    return status;
}

enum status queue_flush(struct queue *queue, struct sql *sql, struct error *error)
{
    // The list grows while it is walked: a cancelled job cancels those behind it.
    for (size_t i = 0; i < queue->dirty_count; i++) {
        struct active_job *job = queue->dirty[i];
        job->row.progress.version++;
        TRY(job_progress_update(sql, &job->row, error));
        job->is_dirty = false;
        if (job->has_ended) {
            TRY(checkpoints_drop_job(queue, sql, job, error));
            TRY(tell_followers(queue, sql, job->row.id, error));
            TRY(queue->job_ended
                    ? queue->job_ended(queue->job_ended_context, sql, job->row.id, error)
                    : OK);
        }
    }
    for (size_t i = 0; i < queue->dirty_count; i++) {
        struct active_job *job = queue->dirty[i];
        if (!job->is_changed) {
            job->is_changed = true;
            append(&queue->changed, &queue->changed_count, &queue->changed_capacity, job);
        }
    }
    queue->dirty_count = 0;
    return OK;
}
