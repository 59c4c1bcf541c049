#include "runner/runner.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

// The worker is gone or talks nonsense: nothing that runs here has an owner any more.
static void end_orphaned(struct runner *runner, const char *reason)
{
    if (reason) {
        (void)fprintf(stderr, "lode-runner: %s\n", reason);
    }
    child_end_all(runner, 0);
    _exit(reason ? 1 : 0);
}

struct queued_range *range_first(struct runner *runner)
{
    return runner->range_count ? &runner->ranges[runner->range_first] : NULL;
}

struct queued_range *range_at(struct runner *runner, size_t at)
{
    return &runner->ranges[(runner->range_first + at) % RANGES_MAX];
}

void range_drop_first(struct runner *runner)
{
    buffer_done(&runner->ranges[runner->range_first].items);
    free(TAKE(runner->ranges[runner->range_first].token));
    runner->range_first = (runner->range_first + 1) % RANGES_MAX;
    runner->range_count--;
}

bool range_peek_item(const struct runner *runner, const struct queued_range *range,
                     struct text *item)
{
    *item = TEXT_NONE;
    if (runner->job.items == ITEMS_COUNT) {
        return true;
    }
    struct text items = buffer_text(&range->items);
    size_t end = text_find_byte(items, 0, '\n');
    if (end >= items.length) {
        return false;
    }
    *item = text_slice(items, 0, end);
    return true;
}

void range_use_item(const struct runner *runner, struct queued_range *range)
{
    range->next++;
    if (runner->job.items != ITEMS_COUNT) {
        buffer_consume(&range->items, text_find_byte(buffer_text(&range->items), 0, '\n') + 1);
    }
}

static struct queued_range *find_range(struct runner *runner, int64_t lease)
{
    for (size_t i = 0; i < runner->range_count; i++) {
        struct queued_range *range = range_at(runner, i);
        if (range->lease == lease) {
            return range;
        }
    }
    return NULL;
}

static enum status take_job(struct runner *runner, struct text payload, struct error *error)
{
    if (runner->has_job) {
        return error_set(error, CONFLICT, "a second job came");
    }
    buffer_append_text(&runner->job_frame, payload);
    struct text rest = buffer_text(&runner->job_frame);
    TRY(runner_get_job(&rest, &runner->job, error));
    runner->command = command_new(&runner->job);
    runner->has_job = true;
    return OK;
}

static enum status take_token(struct runner *runner, struct text rest, struct error *error)
{
    struct text token;
    TRY(runner_get_text(&rest, &token, error));
    free(runner->next_token);
    runner->next_token = memory_format("LODE_TOKEN=%.*s", TEXT_ARGS(token));
    return OK;
}

static enum status take_range(struct runner *runner, struct text rest, struct error *error)
{
    struct queued_range range = {0};
    TRY(runner_get_int64(&rest, 0, INT64_MAX, &range.lease, error));
    TRY(runner_get_int64(&rest, 0, INT64_MAX, &range.next, error));
    TRY(runner_get_int64(&rest, range.next, INT64_MAX, &range.to, error));
    TRY(runner_get_int64(&rest, 0, INT64_MAX, &range.attempt, error));
    TRY(runner_get_int64(&rest, 0, 1, &range.is_restored, error));
    if (runner->range_count == RANGES_MAX || !runner->has_job) {
        return error_set(error, CONFLICT, "a range came too many, or before its job");
    }
    range.token = TAKE(runner->next_token);
    runner->ranges[(runner->range_first + runner->range_count) % RANGES_MAX] = range;
    runner->range_count++;
    return OK;
}

static enum status take_items(struct runner *runner, struct text rest, struct error *error)
{
    int64_t lease = 0;
    struct text lines;
    TRY(runner_get_int64(&rest, 0, INT64_MAX, &lease, error));
    TRY(runner_get_text(&rest, &lines, error));
    struct queued_range *range = find_range(runner, lease);
    if (range && !range->is_cancelled) {
        buffer_append_text(&range->items, lines);
    }
    return OK;
}

static enum status take_cancel(struct runner *runner, struct text rest, struct error *error)
{
    int64_t lease = 0;
    TRY(runner_get_int64(&rest, 0, INT64_MAX, &lease, error));
    struct queued_range *range = find_range(runner, lease);
    if (range) {
        range->is_cancelled = true;
    } else {
        control_send_cancelled(runner, lease);
    }
    return OK;
}

static enum status take_signal(struct runner *runner, struct text rest, struct error *error)
{
    int64_t is_leaving = 0;
    TRY(runner_get_int64(&rest, 1, SIGRTMAX, &runner->signal, error));
    TRY(runner_get_int64(&rest, 0, 1, &is_leaving, error));
    runner->is_leaving = runner->is_leaving || is_leaving;
    for (size_t i = 0; runner->is_leaving && runner->job.is_stream && i < runner->range_count;
         i++) {
        range_at(runner, i)->is_cancelled = true; // What was answered has been said.
    }
    return OK;
}

static enum status take_frame(struct runner *runner, const struct runner_frame *frame,
                              struct error *error)
{
    // Only a worker's words are accepted; -Wswitch-enum wants all of them named.
    switch (frame->kind) {
    case RUNNER_JOB:
        return take_job(runner, frame->payload, error);
    case RUNNER_TOKEN:
        return take_token(runner, frame->payload, error);
    case RUNNER_RANGE:
        return take_range(runner, frame->payload, error);
    case RUNNER_ITEMS:
        return take_items(runner, frame->payload, error);
    case RUNNER_CONTINUE:
        runner->may_continue = true;
        return OK;
    case RUNNER_CANCEL:
        return take_cancel(runner, frame->payload, error);
    case RUNNER_SIGNAL:
        return take_signal(runner, frame->payload, error);
    case RUNNER_READY:
    case RUNNER_RESULTS:
    case RUNNER_RUNNING:
    case RUNNER_ANSWERS:
    case RUNNER_CANCELLED:
    case RUNNER_KIND_END:
        break;
    }
    return error_set(error, CORRUPT, "a frame of kind %d came", (int)frame->kind);
}

static void handle_incoming(struct runner *runner)
{
    struct error error;
    size_t at = 0;
    for (;;) {
        struct runner_frame frame;
        size_t used = 0;
        struct text rest = text_slice(buffer_text(&runner->incoming), at, runner->incoming.length);
        if (runner_take_frame(rest, &frame, &used, &error) != OK) {
            end_orphaned(runner, error.detail);
        }
        if (used == 0) {
            break;
        }
        if (take_frame(runner, &frame, &error) != OK) {
            end_orphaned(runner, error.detail);
        }
        at += used;
    }
    buffer_consume(&runner->incoming, at);
}

void control_read(struct runner *runner)
{
    for (;;) {
        char *room = buffer_reserve(&runner->incoming, READ_SIZE);
        ssize_t got = recv(runner->control_fd, room, READ_SIZE, MSG_DONTWAIT);
        if (got > 0) {
            buffer_advance(&runner->incoming, (size_t)got);
            if (got == READ_SIZE) {
                continue;
            }
            break;
        }
        if (got == 0) {
            end_orphaned(runner, NULL);
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            end_orphaned(runner, "the connection to the worker broke");
        }
        break;
    }
    handle_incoming(runner);
}

void control_wait(struct runner *runner, int64_t timeout_us)
{
    struct pollfd ready = {.fd = runner->control_fd, .events = POLLIN};
    int timeout_ms = timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000);
    if (poll(&ready, 1, timeout_ms) > 0) {
        control_read(runner);
    }
}

void control_flush(struct runner *runner)
{
    if (runner->batch_count > 0) {
        runner_end_frame(&runner->outgoing, runner->batch_begin);
        runner->batch_count = 0;
    }
    size_t at = 0;
    while (at < runner->outgoing.length) {
        ssize_t sent = send(runner->control_fd, runner->outgoing.bytes + at,
                            runner->outgoing.length - at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            end_orphaned(runner, NULL);
        }
        at += sent > 0 ? (size_t)sent : 0;
    }
    buffer_clear(&runner->outgoing);
}

void control_add_result(struct runner *runner, const struct runner_result *result)
{
    if (runner->batch_count == 0) {
        runner->batch_begin = runner_begin_frame(&runner->outgoing, RUNNER_RESULTS);
        runner->batch_since_us = clock_steady_us();
    }
    runner_put_result(&runner->outgoing, result);
    runner->batch_count++;
    if (runner->batch_count >= RUNNER_BATCH_MAX || control_flush_delay_us(runner) == 0) {
        control_flush(runner);
    }
}

int64_t control_flush_delay_us(const struct runner *runner)
{
    if (runner->batch_count == 0) {
        return -1;
    }
    int64_t delay_us = runner->batch_since_us + RUNNER_BATCH_US - clock_steady_us();
    return delay_us > 0 ? delay_us : 0;
}

static void send_numbers(struct runner *runner, enum runner_kind kind, const int64_t *numbers,
                         size_t count)
{
    control_flush(runner);
    size_t begin = runner_begin_frame(&runner->outgoing, kind);
    for (size_t i = 0; i < count; i++) {
        runner_put_int64(&runner->outgoing, numbers[i]);
    }
    runner_end_frame(&runner->outgoing, begin);
    control_flush(runner);
}

void control_send_running(struct runner *runner, int64_t lease, int64_t index)
{
    const int64_t numbers[] = {lease, index, runner->out.number, runner->err.number};
    send_numbers(runner, RUNNER_RUNNING, numbers, 4);
}

void control_send_cancelled(struct runner *runner, int64_t lease)
{
    send_numbers(runner, RUNNER_CANCELLED, &lease, 1);
}

void control_send_answers(struct runner *runner, const struct runner_answers *answers)
{
    control_flush(runner);
    size_t begin = runner_begin_frame(&runner->outgoing, RUNNER_ANSWERS);
    runner_put_answers(&runner->outgoing, answers);
    runner_end_frame(&runner->outgoing, begin);
    control_flush(runner);
}
