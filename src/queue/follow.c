// Those who follow jobs: requests that wait for a change, watches of event streams, and the live output of running tasks.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/second_look.h"

#include <stdatomic.h>

enum {
    WATCH_SILENCE_US = 15000000, // A watch is called after so long at the latest.
    LIVE_TASKS_MAX = 1000,       // Tasks of one site whose live output is kept.
    LIVE_BYTES_MAX = 64 << 20,   // Of all of them; beyond, each that grows keeps
    LIVE_LEAST = 16 << 10,       // so much.
};

struct show_op {
    struct queue_op op;
    int64_t job;
    struct queue_view view;
    struct buffer document;
    bool is_waiting;
    struct queue_answer answer;
};

static void add_wait(struct queue *queue, const struct show_op *show)
{
    struct job_wait *wait = NEW(struct job_wait);
    wait->job = show->job;
    wait->view = show->view;
    wait->until_us = clock_steady_us() + show->view.wait_us;
    wait->answer = show->answer;
    wait->next = queue->waits;
    queue->waits = wait;
}

static enum status run_show(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct show_op *self = (struct show_op *)op;
    const struct active_job *job = queue_find_job(op->queue, self->job);
    bool is_new = self->view.after_version >= 0 && job &&
                  job->row.progress.version > self->view.after_version;
    bool is_stuck =
        self->view.after_version < 0 && job && job_shown_state(op->queue, job) == JOB_HELD;
    if (job && self->view.wait_us > 0 && !is_new && !is_stuck && !op->queue->is_stopping) {
        self->is_waiting = true;
        return OK;
    }
    return job_write_document(op->queue, sql, self->job, !self->view.is_brief, &self->document,
                              error);
}

// Answers those waits that the state of their job satisfies; the others stay. `job` < 0: of all jobs.
static void tell_waits(struct queue *queue, int64_t id, int64_t now_us)
{
    for (struct job_wait **at = &queue->waits; *at;) {
        struct job_wait *wait = *at;
        const struct active_job *job = NULL;
        bool is_over = wait->until_us <= now_us || queue->is_stopping;
        if (id >= 0 && wait->job != id) {
            at = &wait->next;
            continue;
        }
        job = queue_find_job(queue, wait->job);
        if (job && !is_over) {
            is_over = wait->view.after_version >= 0
                          ? job->row.progress.version > wait->view.after_version
                          : job_shown_state(queue, job) == JOB_HELD;
            if (!is_over) {
                at = &wait->next;
                continue;
            }
        }
        *at = wait->next;
        wait->view.wait_us = 0;
        queue_show_job(queue, wait->job, &wait->view, wait->answer);
        free(wait);
    }
}

static void done_show(struct queue_op *op, enum status status, const struct error *error)
{
    struct show_op *self = (struct show_op *)op;
    if (status != OK) {
        queue_answer_error(self->answer, status, error);
    } else if (self->is_waiting) {
        add_wait(op->queue, self);
        // It may have changed between `run` and here, in the same batch.
        tell_waits(op->queue, self->job, clock_steady_us());
    } else {
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&self->document));
    }
    buffer_done(&self->document);
    free(self);
}

void queue_show_job(struct queue *queue, int64_t job, const struct queue_view *view,
                    struct queue_answer answer)
{
    struct show_op *self = NEW(struct show_op);
    self->op.run = run_show;
    self->op.done = done_show;
    self->job = job;
    self->view = *view;
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}

static void tell_watches(struct queue *queue, int64_t job, int64_t now_us)
{
    if (queue->is_stopping) {
        return; // They have been told for the last time.
    }
    for (struct queue_watch *watch = queue->watches; watch; watch = watch->next) {
        if (job < 0 || watch->job == job) {
            watch->last_us = now_us;
            watch->changed(watch->context);
        }
    }
}

// When tasks of it read data.
static void look_again(struct queue *queue, const struct job_row *row)
{
    const struct job_progress *progress = &row->progress;
    if (row->locality != 0 && queue->looks && progress->succeeded > progress->cached) {
        second_looks_add(queue->looks, row->id, progress->finished_us);
    }
}

void follow_tell(struct queue *queue)
{
    if (queue->needs_reload) {
        // Some of it did not happen, and what is listed as dirty must live. All are told after the reload.
        return;
    }
    int64_t now_us = clock_steady_us();
    for (size_t i = 0; i < queue->changed_count; i++) {
        struct active_job *job = queue->changed[i];
        job->is_changed = false;
        tell_waits(queue, job->row.id, now_us);
        tell_watches(queue, job->row.id, now_us);
        if (job->has_ended) {
            look_again(queue, &job->row);
            active_job_free(job);
        }
    }
    queue->changed_count = 0;
    if (queue->tell_all) {
        queue->tell_all = false;
        tell_waits(queue, -1, now_us);
        tell_watches(queue, -1, now_us);
    }
}

void follow_stop(struct queue *queue)
{
    int64_t now_us = clock_steady_us();
    atomic_store(&queue->is_stopping, true);
    tell_waits(queue, -1, now_us);
    for (struct queue_watch *watch = queue->watches; watch; watch = watch->next) {
        watch->changed(watch->context);
    }
}

void follow_free(struct queue *queue)
{
    while (queue->watches) {
        struct queue_watch *watch = queue->watches;
        queue->watches = watch->next;
        free(watch);
    }
}

void follow_tick(struct queue *queue)
{
    int64_t now_us = clock_steady_us();
    tell_waits(queue, -1, now_us);
    for (struct queue_watch *watch = queue->watches; watch; watch = watch->next) {
        int64_t until_us = atomic_load(&watch->until_us);
        bool is_due = until_us > 0 && until_us <= now_us;
        if (is_due || now_us - watch->last_us > WATCH_SILENCE_US) {
            atomic_store(&watch->until_us, 0);
            watch->last_us = now_us;
            watch->changed(watch->context);
        }
    }
}

struct watch_op {
    struct queue_op op;
    struct queue_watch *watch;
};

static enum status run_nothing(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)op;
    (void)sql;
    (void)error;
    return OK;
}

static void done_watch(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    struct queue_watch *watch = ((struct watch_op *)op)->watch;
    watch->next = op->queue->watches;
    op->queue->watches = watch;
    tell_watches(op->queue, watch->job, clock_steady_us());
    free(op);
}

void queue_watch_job(struct queue *queue, int64_t job, int64_t until_us,
                     void (*changed)(void *context), void *context, struct queue_watch **out)
{
    struct watch_op *self = NEW(struct watch_op);
    struct queue_watch *watch = NEW(struct queue_watch);
    watch->job = job;
    watch->changed = changed;
    watch->context = context;
    watch->last_us = clock_steady_us();
    atomic_init(&watch->until_us, until_us);
    self->op.run = run_nothing;
    self->op.done = done_watch;
    self->watch = watch;
    *out = watch;
    queue_enqueue(queue, &self->op);
}

void queue_watch_until(struct queue_watch *watch, int64_t until_us)
{
    atomic_store(&watch->until_us, until_us);
}

struct unwatch {
    struct queue *queue;
    struct queue_watch *watch;
};

static enum status run_unwatch(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)error;
    const struct unwatch *self = context;
    struct queue_watch **at = &self->queue->watches;
    while (*at && *at != self->watch) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = self->watch->next;
    }
    return OK;
}

void queue_unwatch(struct queue *queue, struct queue_watch *watch)
{
    struct unwatch self = {queue, watch};
    struct error error;
    (void)store_write_wait(queue->store, run_unwatch, &self, &error);
    free(watch);
}

static void live_task_free(struct queue *queue, struct live_task *task)
{
    queue->live_bytes -= task->streams[0].bytes.length + task->streams[1].bytes.length;
    buffer_done(&task->streams[0].bytes);
    buffer_done(&task->streams[1].bytes);
    free(task);
}

struct live_task *live_find(struct queue *queue, int64_t job, int64_t index)
{
    struct live_task *task = map_find_int64(queue->live, job);
    while (task && task->index != index) {
        task = task->next;
    }
    return task;
}

static struct live_task *live_make(struct queue *queue, const struct worker *worker,
                                   const struct poll_log *log)
{
    if (queue->live_count >= LIVE_TASKS_MAX) {
        return NULL;
    }
    struct live_task *task = NEW(struct live_task);
    task->job = log->job;
    task->index = log->index;
    task->worker = worker->id;
    task->attempt = log->attempt;
    task->next = map_find_int64(queue->live, log->job);
    (void)map_set_int64(queue->live, log->job, task);
    queue->live_count++;
    return task;
}

// Keeps the last bytes, in no more memory than they need.
static void keep_last(struct queue *queue, struct live_stream *stream, size_t count)
{
    struct text all = buffer_text(&stream->bytes);
    size_t excess = all.length - count;
    struct buffer kept = {0};
    buffer_append_text(&kept, text_slice(all, excess, all.length));
    buffer_done(&stream->bytes);
    stream->bytes = kept;
    stream->offset += (int64_t)excess;
    queue->live_bytes -= excess;
}

// Another site counts its attempts itself. Of this site's workers another one has it when the one before has given it back, which is counted here alone.
int64_t live_times(struct queue *queue, const struct worker *worker, struct task_id task,
                   int64_t said)
{
    const struct live_task *live = live_find(queue, task.job, task.index);
    if (worker->place || !live) {
        return said;
    }
    return live->worker == worker->id ? live->attempt : live->attempt + 1;
}

// What was kept of another attempt is none of this one's.
static void take_attempt(struct queue *queue, const struct worker *worker,
                         const struct poll_log *log, struct live_task *task)
{
    struct task_id id = {log->job, log->index};
    int64_t attempt = live_times(queue, worker, id, log->attempt);
    task->worker = worker->id;
    if (attempt == task->attempt) {
        return;
    }
    task->attempt = attempt;
    for (int i = 0; i < 2; i++) {
        keep_last(queue, &task->streams[i], 0);
        task->streams[i].offset = 0;
    }
}

void live_append(struct queue *queue, const struct worker *worker, const struct poll_log *log)
{
    struct active_job *job = queue_find_job(queue, log->job);
    struct task_id id = {log->job, log->index};
    struct lease lease;
    // A worker that was given up may still run what another has now.
    if (!job || scheduler_find_task(queue->scheduler, id, &lease) != TASK_LEASED ||
        lease.worker != worker->id) {
        return;
    }
    struct live_task *task = live_find(queue, log->job, log->index);
    task = task ? task : live_make(queue, worker, log);
    if (!task) {
        return;
    }
    take_attempt(queue, worker, log, task);
    struct live_stream *stream = &task->streams[log->is_error_output];
    int64_t end = stream->offset + (int64_t)stream->bytes.length;
    if (log->offset != end) {
        // What is kept must be one run of bytes.
        keep_last(queue, stream, 0);
        stream->offset = log->offset;
    }
    buffer_append_text(&stream->bytes, log->bytes);
    queue->live_bytes += log->bytes.length;
    if (queue->live_bytes > LIVE_BYTES_MAX && stream->bytes.length > LIVE_LEAST) {
        keep_last(queue, stream, LIVE_LEAST);
    } else if (stream->bytes.length > QUEUE_LIVE_MAX) {
        keep_last(queue, stream, QUEUE_LIVE_MAX / 2);
    }
    if (!job->is_changed) {
        tell_watches(queue, log->job, clock_steady_us());
    }
}

void live_pass_on(struct queue *queue, const struct worker *former, const struct worker *worker)
{
    size_t at = 0;
    for (struct live_task *task; (task = map_next(queue->live, &at)) != NULL;) {
        for (; task; task = task->next) {
            task->worker = task->worker == former->id ? worker->id : task->worker;
        }
    }
}

void live_give_back(struct queue *queue, const struct worker *worker, int64_t job, int64_t from,
                    int64_t to)
{
    for (struct live_task *task = map_find_int64(queue->live, job); task; task = task->next) {
        bool is_meant = task->worker == worker->id && task->index >= from && task->index < to;
        task->worker = is_meant ? 0 : task->worker;
    }
}

void live_drop_task(struct queue *queue, int64_t job, int64_t index)
{
    struct live_task *first = map_find_int64(queue->live, job);
    struct live_task **at = &first;
    while (*at && (*at)->index != index) {
        at = &(*at)->next;
    }
    if (*at) {
        struct live_task *task = *at;
        *at = task->next;
        (void)map_set_int64(queue->live, job, first);
        queue->live_count--;
        live_task_free(queue, task);
    }
}

void live_drop_job(struct queue *queue, int64_t job)
{
    struct live_task *task = map_set_int64(queue->live, job, NULL);
    while (task) {
        struct live_task *next = task->next;
        queue->live_count--;
        live_task_free(queue, task);
        task = next;
    }
}

void live_free(struct queue *queue)
{
    size_t at = 0;
    for (struct live_task *task; (task = map_next(queue->live, &at)) != NULL;) {
        while (task) {
            struct live_task *next = task->next;
            live_task_free(queue, task);
            task = next;
        }
    }
}
