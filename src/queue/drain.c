// Workers that leave: their own word, an operator's order, and when they are gone.
#include "queue/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"

#define SECONDS 1e6

static int64_t later(int64_t now_us, int64_t in_us)
{
    return in_us < INT64_MAX - now_us ? now_us + in_us : INT64_MAX;
}

int64_t worker_end_us(const struct worker *worker)
{
    return worker->own_end_us < worker->ordered_end_us ? worker->own_end_us
                                                       : worker->ordered_end_us;
}

void worker_tell_end(struct queue *queue, const struct worker *worker)
{
    int64_t end_us = worker_end_us(worker);
    // Its tasks are interrupted so long before.
    end_us = end_us == INT64_MAX ? end_us : end_us - worker->notice_us;
    scheduler_set_worker_end(queue->scheduler, worker->id, end_us);
}

void worker_note_end(struct queue *queue, struct worker *worker, int64_t leaves_in_us)
{
    if (leaves_in_us >= 0) {
        worker->own_end_us = later(clock_steady_us(), leaves_in_us);
        worker_tell_end(queue, worker);
    }
}

void worker_begin_end(struct worker *worker, const struct worker_hello *hello)
{
    int64_t now_us = clock_steady_us();
    worker->notice_us = hello->notice_us;
    worker->own_end_us = hello->leaves_in_us >= 0 ? later(now_us, hello->leaves_in_us) : INT64_MAX;
    worker->ordered_end_us =
        hello->drain_in_us >= 0 ? later(now_us, hello->drain_in_us) : INT64_MAX;
}

void worker_write_order(struct worker *worker, struct buffer *out)
{
    worker->has_order = false;
    if (worker->ordered_end_us == INT64_MAX) {
        return;
    }
    int64_t left_us = worker->ordered_end_us - clock_steady_us();
    buffer_printf(out, ",\"drain_in_seconds\":%.3f", left_us > 0 ? (double)left_us / SECONDS : 0.0);
}

void worker_write_leaving(const struct worker *worker, struct buffer *out)
{
    char text[CALENDAR_TEXT_SIZE];
    int64_t end_us = worker_end_us(worker);
    if (end_us == INT64_MAX || worker->is_over) {
        buffer_append_string(out, ",\"leaves_at\":null");
        return;
    }
    // Whole milliseconds, so that it stays the same from one look to the next, or nearly so.
    int64_t at_us = (clock_real_us() + end_us - clock_steady_us()) / 1000 * 1000;
    buffer_printf(out, ",\"leaves_at\":\"%s\"", calendar_format(at_us, text));
}

void worker_leave(struct queue *queue, struct worker *worker)
{
    queue->is_touched = true;
    queue->has_work = true;
    poll_release(queue, worker);
    worker->is_over = true;
    worker->over_us = clock_steady_us();
    worker->has_left = true;
    worker_forget_leases(queue, worker);
    scheduler_remove_worker(queue->scheduler, worker->id, false, clock_steady_us(), NULL);
}

enum status worker_get(const struct queue *queue, int64_t id, struct worker **out,
                       struct error *error)
{
    struct worker *worker = map_find_int64(queue->workers, id);
    if (worker && !worker->is_over) {
        *out = worker;
        return OK;
    }
    if (worker) {
        (void)error_set(error, NOT_FOUND, "worker %lld (%.80s) is %s", (long long)id, worker->name,
                        worker->has_left ? "gone" : "lost");
    } else {
        (void)error_set(error, NOT_FOUND, "there is no worker %lld", (long long)id);
    }
    error_fix(error, "lode workers lists those that there are");
    return NOT_FOUND;
}

struct drain_op {
    struct queue_op op;
    int64_t worker;
    int64_t in_us; // < 0: the order is called off.
    struct queue_witness witness;
    struct queue_answer answer;
};

static enum status call_off(struct worker *worker, struct error *error)
{
    long long id = (long long)worker->id;
    if (worker->is_draining) {
        (void)error_set(error, CONFLICT, "worker %lld has begun to leave", id);
        error_fix(error, "start it again once it is gone");
        return CONFLICT;
    }
    if (worker->ordered_end_us == INT64_MAX) {
        (void)error_set(error, CONFLICT, "worker %lld is not being drained", id);
        error_fix(error, "lode workers shows which are; an end that a worker was started "
                         "with (--lifetime) is its own");
        return CONFLICT;
    }
    worker->ordered_end_us = INT64_MAX;
    return OK;
}

static enum status find_drained(struct queue *queue, int64_t id, struct worker **out,
                                struct error *error)
{
    struct worker *worker = NULL;
    TRY(worker_get(queue, id, &worker, error));
    if (worker->place) {
        (void)error_set(error, CONFLICT,
                        "worker %lld is this site's link to another one, which is not drained",
                        (long long)id);
        error_fix(error, "deny the other site instead: lode sites deny NAME");
        return CONFLICT;
    }
    *out = worker;
    return OK;
}

static enum status run_drain(struct queue_op *op, struct sql *sql, struct error *error)
{
    const struct drain_op *self = (const struct drain_op *)op;
    struct worker *worker = map_find_int64(op->queue->workers, self->worker);
    if (worker && worker->has_left && self->in_us >= 0) {
        return OK; // It is as it was to be.
    }
    TRY(find_drained(op->queue, self->worker, &worker, error));
    op->queue->is_touched = true;
    if (self->in_us < 0) {
        TRY(call_off(worker, error));
    } else {
        worker->ordered_end_us = later(clock_steady_us(), self->in_us);
    }
    worker->has_order = true;
    worker_tell_end(op->queue, worker);
    return queue_witness_change(&self->witness, sql, worker->id, error);
}

static void done_drain(struct queue_op *op, enum status status, const struct error *error)
{
    struct drain_op *self = (struct drain_op *)op;
    struct worker *worker = map_find_int64(op->queue->workers, self->worker);
    if (status == OK && worker) {
        AUTO_BUFFER struct buffer body = {0};
        poll_release(op->queue, worker); // It hears of it at once.
        op->queue->has_work = true;
        worker_write(op->queue, worker, &body);
        buffer_append_byte(&body, '\n');
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&body));
    } else {
        queue_answer_error(self->answer, status == OK ? NOT_FOUND : status, error);
    }
    free(self);
}

void queue_drain_worker(struct queue *queue, int64_t worker, int64_t in_us,
                        struct queue_witness witness, struct queue_answer answer)
{
    struct drain_op *self = NEW(struct drain_op);
    self->op.run = run_drain;
    self->op.done = done_drain;
    self->worker = worker;
    self->in_us = in_us;
    self->witness = witness;
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}
