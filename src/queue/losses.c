// Tasks whose workers were lost: each loss is recorded as an attempt, with what is known of the worker, and a task that was lost too
// often is held. What is held follows from those attempts alone, so a restart of the site finds it again.
#include "queue/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "records/jobs_sql.h"

enum {
    OUTPUT_SHOWN = 160,    // Bytes at the end of what the task wrote.
    LOSSES_SHOWN_MAX = 10, // In one answer.
};

// The end of what the task wrote, when that is text; on standard error, if there is any.
static void append_last_words(struct queue *queue, struct task_id task, struct buffer *out)
{
    const struct live_task *live = live_find(queue, task.job, task.index);
    for (int i = 1; live && i >= 0; i--) {
        struct text all = text_trim(buffer_text(&live->streams[i].bytes));
        size_t from = all.length > OUTPUT_SHOWN ? all.length - OUTPUT_SHOWN : 0;
        while (from < all.length && ((unsigned char)all.bytes[from] & 0xC0) == 0x80) {
            from++; // Not into the middle of a character.
        }
        struct text end = text_slice(all, from, all.length);
        if (end.length > 0 && text_is_utf8(end)) {
            buffer_append_string(out, "; the last that it wrote: ");
            buffer_append_text(out, end);
            return;
        }
    }
}

static void append_last_report(const struct worker *worker, struct buffer *out)
{
    const struct last_report *last = &worker->last_report;
    char time[CALENDAR_TEXT_SIZE];
    if (last->job == 0) {
        buffer_append_string(out, ", and it had reported no task");
        return;
    }
    buffer_printf(out,
                  ", and the last that it had reported was task %lld/%lld, which ended (%s %lld)",
                  (long long)last->job, (long long)last->index, outcome_name(last->outcome),
                  (long long)last->code);
    buffer_printf(out, " at %s", calendar_format(last->time_us, time));
}

// What is known of the loss, for people.
static void describe(struct queue *queue, const struct worker *worker, const char *reason,
                     const struct loss *loss, struct buffer *out)
{
    char heard[CALENDAR_TEXT_SIZE];
    buffer_printf(out,
                  "worker %lld \"%.80s\" was lost while it ran this task, for at most %.1f s: %s",
                  (long long)worker->id, worker->name, (double)loss->ran_us / 1e6, reason);
    buffer_printf(out, "; it was last heard of at %s", calendar_format(worker->heard_us, heard));
    append_last_report(worker, out);
    append_last_words(queue, loss->task, out);
}

static enum status commit_loss(struct queue *queue, struct sql *sql, const struct worker *worker,
                               const char *reason, const struct loss *loss, struct error *error)
{
    struct active_job *job = queue_find_job(queue, loss->task.job);
    AUTO_BUFFER struct buffer words = {0};
    if (!job) {
        return OK;
    }
    describe(queue, worker, reason, loss, &words);
    struct text message = text_slice(buffer_text(&words), 0, JOB_MESSAGE_MAX - 1);
    while (!text_is_utf8(message)) {
        message.length--;
    }
    const struct live_task *live = live_find(queue, loss->task.job, loss->task.index);
    int64_t times = live ? live->attempt : 1;
    if (loss->end == LOSS_FAILED) {
        const struct task_row row = {
            .index = loss->task.index,
            .state = JOB_FAILED,
            .outcome = OUTCOME_LOST,
            .worker = worker->id,
            .started_us = clock_real_us() - loss->ran_us,
            .wall_us = loss->ran_us,
            .message = message,
            .attempts = times,
        };
        return task_commit(queue, sql, job, &row, error);
    }
    const struct attempt_row attempt = {.index = loss->task.index,
                                        .times = times,
                                        .worker = worker->id,
                                        .outcome = OUTCOME_LOST,
                                        .code = loss->times,
                                        .ended_us = clock_real_us(),
                                        .message = message};
    return attempt_commit(queue, sql, job, &attempt, error);
}

enum status worker_lose(struct queue *queue, struct sql *sql, struct worker *worker,
                        const char *reason, struct error *error)
{
    struct loss_list losses = {0};
    enum status status = OK;
    queue->is_touched = true;
    queue->has_work = true;
    poll_release(queue, worker);
    worker->is_over = true;
    worker->over_us = clock_steady_us();
    worker_forget_leases(queue, worker);
    place_set_problem(worker->place, TEXT_NONE, TEXT_NONE);
    place_forget_words(queue, worker->place);
    // One that was ended when it was to be is not to blame either.
    bool is_blamed = reason != NULL && clock_steady_us() < worker_end_us(worker);
    scheduler_remove_worker(queue->scheduler, worker->id, is_blamed, clock_steady_us(), &losses);
    for (size_t i = 0; i < losses.count && status == OK; i++) {
        status = commit_loss(queue, sql, worker, reason, &losses.items[i], error);
    }
    loss_list_done(&losses);
    return status;
}

enum status attempts_load(struct queue *queue, struct sql *sql, const struct active_job *job,
                          struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    int64_t lost_max = job->row.retries.times[CAUSE_LOST];
    TRY(sql_query(sql, SQL_COUNTED_ATTEMPTS, SQL_VALUES(sql_int64(job->row.id)), &rows, error));
    while (sql_next(rows, &status, error)) {
        struct task_id task = {job->row.id, sql_column_int64(rows, 0)};
        enum task_cause cause = outcome_cause((enum poll_outcome)sql_column_int64(rows, 1));
        int64_t times = sql_column_int64(rows, 2);
        scheduler_recount(queue->scheduler, task, cause, times);
        if (cause == CAUSE_LOST && times > lost_max && job->row.when_lost == SPEC_LOST_HOLD) {
            (void)scheduler_hold_task(queue->scheduler, task);
        }
    }
    return status;
}

enum status held_release(struct queue *queue, struct sql *sql, struct active_job *job, int64_t from,
                         int64_t to, struct error *error)
{
    int64_t index = from;
    while ((index = scheduler_next_held(queue->scheduler, job->row.id, index)) >= 0 && index < to) {
        TRY(sql_run(sql, SQL_PASS_ATTEMPTS, SQL_VALUES(sql_int64(job->row.id), sql_int64(index)),
                    NULL, error));
        index++;
    }
    job_touch(queue, job);
    queue->has_work = true;
    (void)scheduler_release_tasks(queue->scheduler, job->row.id, from, to);
    return OK;
}

enum status losses_write(struct sql *sql, int64_t job, int64_t index, struct buffer *out,
                         struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_LOSSES_OF,
                  SQL_VALUES(sql_int64(job), sql_int64(index), sql_int64(OUTCOME_LOST),
                             sql_int64(LOSSES_SHOWN_MAX)),
                  &rows, error));
    for (bool is_first = true; sql_next(rows, &status, error); is_first = false) {
        char time[CALENDAR_TEXT_SIZE];
        buffer_printf(out, "%s{\"at\":\"%s\",\"text\":", is_first ? "" : ",",
                      calendar_format(sql_column_int64(rows, 1), time));
        buffer_append_json_string(out, sql_column_text(rows, 0));
        buffer_append_byte(out, '}');
    }
    return status;
}

void held_message(const struct queue *queue, int64_t job, struct buffer *out)
{
    struct job_figures figures = {0};
    int64_t first = scheduler_next_held(queue->scheduler, job, 0);
    if (first < 0 || !scheduler_figures(queue->scheduler, job, &figures)) {
        return;
    }
    buffer_printf(out,
                  "%lld task%s held, as workers were lost while running %s; the first is %lld/%lld",
                  (long long)figures.held, figures.held == 1 ? " is" : "s are",
                  figures.held == 1 ? "it" : "them", (long long)job, (long long)first);
}
