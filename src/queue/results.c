// What tasks leave behind: rows of ended tasks, chunks of answers, and attempts that were not the last.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/runners.h"
#include "records/jobs_sql.h"
#include "records/made_for.h"

#include <stdio.h>

static struct sql_value stream_bytes(const struct poll_stream *stream)
{
    return stream->size > 0 && !stream->is_blob
               ? sql_blob(stream->bytes.bytes, stream->bytes.length)
               : sql_null();
}

static struct sql_value stream_digest(const struct poll_stream *stream)
{
    return stream->is_blob ? sql_blob(stream->digest.bytes, DIGEST_SIZE) : sql_null();
}

static struct sql_value text_or_null(struct text text)
{
    return text.length > 0 ? sql_text(text) : sql_null();
}

// A job's results are offered to later jobs from its first own success on: those for everyone to all, the others to those that they are for.
static enum status contribute(struct queue *queue, struct sql *sql, struct active_job *job,
                              enum runner_class kind, struct error *error)
{
    unsigned bit = 1U << kind;
    if ((job->contributed & bit) != 0 || job->row.cache == SPEC_CACHE_OFF ||
        kind == RUNNER_JOB_TOKEN) {
        return OK;
    }
    queue->is_touched = true;
    job->contributed |= bit;
    if (kind != RUNNER_SITE) {
        const struct runner_job made = made_for_row(&job->row);
        AUTO_BUFFER struct buffer scope = {0};
        runner_scope(kind, &made, &scope);
        return sql_run(sql, SQL_INSERT_SCOPED_FAMILY,
                       SQL_VALUES(sql_blob(job->row.family.bytes, DIGEST_SIZE),
                                  sql_text(buffer_text(&scope)), sql_int64(job->row.id)),
                       NULL, error);
    }
    return sql_run(sql, SQL_INSERT_FAMILY,
                   SQL_VALUES(sql_blob(job->row.family.bytes, DIGEST_SIZE), sql_int64(job->row.id)),
                   NULL, error);
}

static void note_failure(struct active_job *job, const struct task_row *row)
{
    struct job_progress *progress = &job->row.progress;
    progress->failed++;
    if (progress->first_failed >= 0 && progress->first_failed <= row->index) {
        return;
    }
    progress->first_failed = row->index;
    progress->exit_code = outcome_exit_code(row->outcome, row->code);
    if (job->row.count == 1) {
        (void)snprintf(progress->message, sizeof progress->message, "%.*s",
                       TEXT_ARGS(row->message));
    } else {
        (void)snprintf(progress->message, sizeof progress->message, "task %lld: %.*s",
                       (long long)row->index, TEXT_ARGS(row->message));
    }
}

enum status task_commit(struct queue *queue, struct sql *sql, struct active_job *job,
                        const struct task_row *row, struct error *error)
{
    struct job_progress *progress = &job->row.progress;
    job_touch(queue, job);
    progress->seq++;
    bool is_cached = row->cached_job > 0;
    TRY(sql_run(
        sql, SQL_INSERT_TASK,
        SQL_VALUES(sql_int64(job->row.id), sql_int64(row->index), sql_int64(progress->seq),
                   sql_int64(row->state), sql_int64(row->outcome), sql_int64(row->code),
                   sql_int64(row->worker), sql_int64(row->started_us), sql_int64(row->wall_us),
                   sql_int64(row->cpu_us), sql_int64(row->peak_bytes), stream_bytes(&row->output),
                   sql_int64(row->output.size), stream_digest(&row->output),
                   stream_bytes(&row->error_output), sql_int64(row->error_output.size),
                   stream_digest(&row->error_output), text_or_null(row->outputs),
                   text_or_null(row->message), is_cached ? sql_int64(row->cached_job) : sql_null(),
                   is_cached ? sql_int64(row->cached_index) : sql_null(), sql_int64(row->kind),
                   sql_int64(row->attempts)),
        NULL, error));
    if (row->state == JOB_SUCCEEDED) {
        progress->succeeded++;
        progress->cached += is_cached;
    } else {
        progress->failures[outcome_cause(row->outcome)]++;
        note_failure(job, row);
    }
    if (row->state == JOB_SUCCEEDED && !is_cached) {
        TRY(contribute(queue, sql, job, row->kind, error));
    }
    TRY(checkpoint_drop(queue, sql, job, row->index, error));
    live_drop_task(queue, job->row.id, row->index);
    job_check_end(queue, job);
    return OK;
}

enum status chunk_commit(struct queue *queue, struct sql *sql, struct active_job *job,
                         const struct chunk_row *row, struct error *error)
{
    struct job_progress *progress = &job->row.progress;
    job_touch(queue, job);
    progress->seq++;
    TRY(sql_run(sql, SQL_INSERT_CHUNK,
                SQL_VALUES(sql_int64(job->row.id), sql_int64(row->from), sql_int64(row->to),
                           sql_int64(progress->seq), sql_blob(row->answers.bytes, DIGEST_SIZE),
                           sql_int64(row->answers_size), sql_int64(row->answers_first),
                           sql_int64(row->worker), sql_int64(row->started_us),
                           sql_int64(row->wall_us), sql_int64(row->cpu_us),
                           sql_int64(row->peak_bytes), stream_bytes(&row->error_output),
                           sql_int64(row->error_output.size), stream_digest(&row->error_output),
                           row->cached_job > 0 ? sql_int64(row->cached_job) : sql_null(),
                           sql_int64(row->kind)),
                NULL, error));
    progress->succeeded += row->to - row->from;
    if (row->cached_job > 0) {
        progress->cached += row->to - row->from;
    } else {
        TRY(contribute(queue, sql, job, row->kind, error));
    }
    job_check_end(queue, job);
    return OK;
}

static enum task_outcome blame(const struct poll_task *task)
{
    static const enum task_outcome OF_CAUSE[CAUSE_COUNT] = {
        [CAUSE_FAIL] = TASK_FAILED,         [CAUSE_LIMIT] = TASK_LIMITED,
        [CAUSE_LOST] = TASK_BLAME_WORKER,   [CAUSE_INPUT] = TASK_BLAME_INPUT,
        [CAUSE_WORKER] = TASK_BLAME_WORKER,
    };
    bool is_success = task->outcome == OUTCOME_EXITED && task->code == 0;
    return is_success ? TASK_SUCCEEDED : OF_CAUSE[outcome_cause(task->outcome)];
}

enum status attempt_commit(struct queue *queue, struct sql *sql, struct active_job *job,
                           const struct attempt_row *row, struct error *error)
{
    job_touch(queue, job);
    job->row.progress.failures[outcome_cause(row->outcome)]++;
    live_drop_task(queue, job->row.id, row->index);
    queue->has_work = true;
    return sql_run(sql, SQL_INSERT_ATTEMPT,
                   SQL_VALUES(sql_int64(job->row.id), sql_int64(row->index), sql_int64(row->worker),
                              sql_int64(row->outcome), sql_int64(row->code), sql_text(row->message),
                              sql_int64(row->ended_us), sql_int64(row->times)),
                   NULL, error);
}

static const struct digest *blob_of(const struct poll_stream *stream)
{
    return stream->is_blob ? &stream->digest : NULL;
}

// What the task sent has a name now, as far as its result names it. The lease is as the worker calls it: it may be one that it has lost.
static void name_uploads(struct queue *queue, const struct worker *worker,
                         const struct active_job *job, int64_t lease, const struct poll_task *task)
{
    const struct upload_news news = {
        .what = UPLOAD_REPORTED,
        .job = job->row.id,
        .lease = lease,
        .tasks = 1,
        .blobs = {blob_of(&task->output), blob_of(&task->error_output)},
        .files = task->outputs,
    };
    uploads_note(queue, worker, &news);
}

// The same of streamed tasks.
static void name_answers(struct queue *queue, const struct worker *worker,
                         const struct active_job *job, int64_t lease, const struct chunk_row *row)
{
    const struct upload_news news = {
        .what = UPLOAD_REPORTED,
        .job = job->row.id,
        .lease = lease,
        .tasks = row->to - row->from,
        .blobs = {&row->answers, blob_of(&row->error_output)},
    };
    uploads_note(queue, worker, &news);
}

// Of the lease, by the worker's number for it.
static int64_t scheduled_number(struct worker *worker, int64_t lease)
{
    const struct given_lease *given = worker_find_lease(worker, lease);
    return given ? given->scheduled : 0;
}

// Of who computed what the worker reports: of both, itself and who did at another site.
static enum runner_class class_of(const struct worker *worker, struct text made_by)
{
    return runner_of_both(worker->runner.kind, runner_of_elsewhere(made_by));
}

static enum status commit_one(struct queue *queue, struct sql *sql, struct worker *worker,
                              struct active_job *job, int64_t lease, const struct poll_task *task,
                              struct error *error)
{
    if (task->index >= job->row.count) {
        return error_set(error, INVALID, "job %lld has no task %lld", (long long)job->row.id,
                         (long long)task->index);
    }
    queue->is_touched = true;
    worker->last_report =
        (struct last_report){job->row.id, task->index, task->outcome, task->code, clock_real_us()};
    enum task_outcome outcome = blame(task);
    enum task_verdict verdict = scheduler_finish(
        queue->scheduler, scheduled_number(worker, lease), worker->id,
        (struct task_id){job->row.id, task->index}, outcome, task->wall_us, clock_steady_us());
    if (verdict == TASK_DUPLICATE) {
        return OK;
    }
    name_uploads(queue, worker, job, lease, task);
    job_began(job, task->started_us);
    AUTO_BUFFER struct buffer message = {0};
    outcome_message(task->outcome, task->code, task->detail, &message);
    int64_t times =
        live_times(queue, worker, (struct task_id){job->row.id, task->index}, task->attempts);
    if (verdict == TASK_RETRY) {
        const struct attempt_row attempt = {.index = task->index,
                                            .times = times,
                                            .worker = worker->id,
                                            .outcome = task->outcome,
                                            .code = task->code,
                                            .ended_us = task->started_us + task->wall_us,
                                            .message = buffer_text(&message)};
        return attempt_commit(queue, sql, job, &attempt, error);
    }
    worker->tasks_done++;
    struct task_row row = {
        .index = task->index,
        .state = outcome == TASK_SUCCEEDED ? JOB_SUCCEEDED : JOB_FAILED,
        .outcome = task->outcome,
        .code = task->code,
        .worker = worker->id,
        .started_us = task->started_us,
        .wall_us = task->wall_us,
        .cpu_us = task->cpu_us,
        .peak_bytes = task->peak_bytes,
        .output = task->output,
        .error_output = task->error_output,
        .outputs = task->outputs,
        .message = buffer_text(&message),
        .kind = runner_of_both(class_of(worker, task->made_by), checkpoint_kind(job, task->index)),
        .attempts = times,
    };
    return task_commit(queue, sql, job, &row, error);
}

static enum status commit_chunk(struct queue *queue, struct sql *sql, struct worker *worker,
                                struct active_job *job, int64_t lease,
                                const struct poll_chunk *chunk, struct error *error)
{
    if (chunk->to > job->row.count || job->row.mode != SPEC_STREAM) {
        return error_set(error, INVALID, "job %lld has no streamed tasks %lld to %lld",
                         (long long)job->row.id, (long long)chunk->from, (long long)chunk->to);
    }
    struct ranges fresh = {0};
    queue->is_touched = true;
    job_began(job, chunk->started_us);
    worker->last_report =
        (struct last_report){job->row.id, chunk->to - 1, OUTCOME_EXITED, 0, clock_real_us()};
    scheduler_finish_range(queue->scheduler, scheduled_number(worker, lease), worker->id,
                           job->row.id, chunk->from, chunk->to, chunk->wall_us, clock_steady_us(),
                           &fresh);
    enum status status = OK;
    for (size_t i = 0; status == OK && i < fresh.count; i++) {
        struct chunk_row row = {
            .from = fresh.items[i].from,
            .to = fresh.items[i].to,
            .answers = chunk->answers,
            .answers_size = chunk->answers_size,
            .answers_first = chunk->from,
            .worker = worker->id,
            .started_us = chunk->started_us,
            .wall_us = chunk->wall_us,
            .cpu_us = chunk->cpu_us,
            .peak_bytes = chunk->peak_bytes,
            .error_output = chunk->error_output,
            .kind = class_of(worker, chunk->made_by),
        };
        worker->tasks_done += row.to - row.from;
        name_answers(queue, worker, job, lease, &row);
        status = chunk_commit(queue, sql, job, &row, error);
    }
    ranges_done(&fresh);
    return status;
}

static enum status commit_result(struct queue *queue, struct sql *sql, struct worker *worker,
                                 const struct poll_result *result, struct error *error)
{
    struct active_job *job = queue_find_job(queue, result->job);
    if (job && result->has_chunk) {
        TRY(commit_chunk(queue, sql, worker, job, result->lease, &result->chunk, error));
    }
    for (size_t i = 0; i < result->task_count && job && !job->has_ended; i++) {
        TRY(commit_one(queue, sql, worker, job, result->lease, &result->tasks[i], error));
    }
    // The end of the job may have taken the lease with it.
    struct given_lease *lease = worker_find_lease(worker, result->lease);
    if (lease) {
        worker_lease_reported(queue, worker, lease);
    }
    return OK;
}

static enum status commit_setup(struct sql *sql, const struct worker *worker,
                                const struct poll_setup *setup, struct error *error)
{
    bool has_host = setup->host.length > 0 && worker->runner.kind != RUNNER_JOB_TOKEN;
    return sql_run(sql, SQL_INSERT_SETUP,
                   SQL_VALUES(sql_int64(setup->job), sql_int64(worker->id),
                              sql_text(setup->executable), sql_text(setup->executable_digest),
                              sql_text(has_host ? setup->host : text_of(worker->name)),
                              sql_text(setup->sandbox.length ? setup->sandbox
                                                             : text_of(worker->sandbox_kind))),
                   NULL, error);
}

enum status results_commit(struct queue *queue, struct sql *sql, struct worker *worker,
                           const struct poll_body *body, struct error *error)
{
    for (size_t i = 0; i < body->setup_count; i++) {
        if (queue_find_job(queue, body->setups[i].job)) {
            TRY(commit_setup(sql, worker, &body->setups[i], error));
        }
    }
    for (size_t i = 0; i < body->result_count; i++) {
        TRY(commit_result(queue, sql, worker, &body->results[i], error));
    }
    return OK;
}
