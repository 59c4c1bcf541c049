// Streamed mode: the command runs once, is fed item lines on its standard input, and gives one answer line for each.
//
// The items of a range stay in its buffer until they are answered, so that a program that crashed is started again with
// what it has not answered; the first unanswered item is the one that fails. The program is fed across ranges, so one
// that buffers its output is not waited for at the end of each. When it has read everything and rests, its input is
// closed, so that such a program gives its last answers; it is started again when there is more.
#include "runner/stream.h"

#include "os/clock.h"
#include "os/room.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

// A program that rests without having kept answers back was at work somewhere else: it is given more time from then on.
#define REST_MIN_US INT64_C(20000)
#define REST_MAX_US INT64_C(2000000)
#define END_GRACE_US INT64_C(1000000)
enum { REST_GROWTH = 4 };

static void fail_item(struct stream *stream, const struct runner_result *as)
{
    struct runner *runner = stream->runner;
    struct queued_range *range = range_first(runner);
    AUTO_BUFFER struct buffer errors = {0};
    stream_send_answers(stream);
    struct runner_result result = *as;
    stream_take_errors(runner, &errors);
    result.lease = range->lease;
    result.index = range->next;
    result.started_us = stream->real_us;
    result.wall_us = clock_steady_us() - stream->since_us;
    result.out = (struct runner_output){.file = -1};
    result.err = (struct runner_output){
        .file = -1, .size = (int64_t)errors.length, .bytes = buffer_text(&errors)};
    result.is_held = (runner->job.holds & HOLD_FAILURE) != 0;
    control_add_result(runner, &result);
    control_flush(runner);
    while (result.is_held && !runner->may_continue) {
        control_wait(runner, -1);
    }
    runner->may_continue = false;
    range_use_item(runner, range);
    stream->answered_from = range->next;
    stream_rewind(stream);
}

// How the program's end looks to the item that it was at.
static struct runner_result describe_end(struct stream *stream, const struct rusage *usage)
{
    struct runner_result result = {0};
    int status = stream->status;
    result.cpu_us = (int64_t)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec +
                    (int64_t)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec;
    result.peak_bytes = (int64_t)usage->ru_maxrss * 1024;
    if (stream->ending == OUTCOME_WALLTIME || stream->ending == OUTCOME_DISK ||
        stream->ending == OUTCOME_MEMORY) {
        result.outcome = stream->ending;
    } else if (stream->ending == OUTCOME_WORKER) { // The program broke the rules of streaming.
        result.outcome = OUTCOME_EXITED;
        result.code = 1;
    } else if (WIFSIGNALED(status)) {
        result.outcome = OUTCOME_SIGNAL;
        result.code = WTERMSIG(status);
    } else {
        result.outcome = OUTCOME_EXITED;
        result.code = WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
    }
    if (stream->ending == OUTCOME_EXITED) {
        (void)snprintf(stream->detail, sizeof stream->detail,
                       "the program ended (%s %d) before it answered this item",
                       WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if ((result.outcome == OUTCOME_EXITED || result.outcome == OUTCOME_SIGNAL) &&
        stream->ending == OUTCOME_EXITED && !room_is_left(stream->runner->log_folder_fd, true)) {
        result.outcome = OUTCOME_WORKER;
        (void)snprintf(stream->detail, sizeof stream->detail,
                       "the worker's disk was full when the program ended");
    }
    events_judge(stream->runner, &result);
    if (stream->ending == OUTCOME_MEMORY ||
        (result.outcome != OUTCOME_MEMORY && result.outcome != OUTCOME_PIDS)) {
        result.detail = text_of(stream->detail); // The worker describes those two.
    }
    return result;
}

// Its output has ended: gives it a moment to end by itself, so that its own status is seen.
static bool await_end(struct stream *stream, struct rusage *usage)
{
    int64_t until_us = clock_steady_us() + END_GRACE_US;
    for (;;) {
        // Looked at first: the signal that tells of its end may have been taken already.
        if (child_ended(stream->child, &stream->status, usage)) {
            return true;
        }
        int64_t left_us = until_us - clock_steady_us();
        struct pollfd ready = {.fd = stream->runner->signal_fd, .events = POLLIN};
        if (left_us <= 0 || poll(&ready, 1, (int)((left_us + 999) / 1000)) == 0) {
            return false;
        }
        struct signalfd_siginfo info;
        (void)!read(stream->runner->signal_fd, &info, sizeof info);
    }
}

// Was it right to take it for one that keeps answers back? Then they came at once when its input was closed.
static void learn_rest(struct stream *stream, int64_t now_us)
{
    if (stream->closed_us != 0 && now_us - stream->closed_us > stream->rest_limit_us) {
        stream->rest_limit_us *= REST_GROWTH;
        stream->rest_limit_us =
            stream->rest_limit_us < REST_MAX_US ? stream->rest_limit_us : REST_MAX_US;
    }
    stream->closed_us = 0;
}

// Ends the program, uses the answers that it still gave, and blames the first item that it left unanswered.
static void finish_program(struct stream *stream, bool is_blaming)
{
    struct runner *runner = stream->runner;
    struct rusage usage = {0};
    enum runner_outcome ending = stream->ending;
    bool is_reaped = false;
    if (ending == OUTCOME_EXITED && is_blaming) {
        is_reaped = await_end(stream, &usage);
    }
    if (!is_reaped) {
        child_signal(runner, stream->child, SIGKILL);
        while (wait4(stream->child, &stream->status, 0, &usage) < 0 && errno == EINTR) {
        }
    }
    child_end_all(runner, stream->child);
    learn_rest(stream, clock_steady_us());
    if (ending == OUTCOME_EXITED && is_blaming) {
        stream->is_ended = false;
        stream_read_answers(stream);
    }
    stream_close_pipes(stream);
    if (is_blaming && stream->taken > 0) {
        struct runner_result result = describe_end(stream, &usage);
        stream->child = 0;
        fail_item(stream, &result);
    } else {
        stream_send_answers(stream);
        stream_rewind(stream);
    }
    stream->child = 0;
    stream->is_ended = false;
    stream->ending = OUTCOME_EXITED;
    folders_empty(runner);
    shared_remove(runner);
}

static void keep_limits(struct stream *stream, int64_t now_us)
{
    struct runner *runner = stream->runner;
    char detail[RUNNER_DETAIL_MAX];
    if (stream->taken > 0 && now_us - stream->progress_us >= runner->job.walltime_us) {
        (void)snprintf(detail, sizeof detail, "no answer for %.1f s, the limit of walltime",
                       (double)runner->job.walltime_us / 1e6);
        stream_end_program(stream, OUTCOME_WALLTIME, detail);
    }
    if (runner->job.disk_bytes > 0 && now_us >= stream->disk_look_us) {
        int64_t bytes = folders_bytes(runner, runner->job.disk_bytes);
        stream->disk_look_us = clock_steady_us() + DISK_LOOK_US;
        if (bytes >= runner->job.disk_bytes) {
            (void)snprintf(detail, sizeof detail,
                           "the limit is %.1f MiB of disk, at least %.1f MiB were used",
                           (double)runner->job.disk_bytes / MIB, (double)bytes / MIB);
            stream_end_program(stream, OUTCOME_DISK, detail);
        }
    }
    if (runner->job.memory_bytes > 0 && now_us >= stream->memory_look_us) {
        int64_t bytes = memory_used(runner, stream->child, &stream->memory_look_us);
        if (bytes > runner->job.memory_bytes) {
            memory_describe(runner, bytes, detail);
            stream_end_program(stream, OUTCOME_MEMORY, detail);
        }
    }
}

// Closes the program's input when it has read all of it and rests: it may be keeping answers in a buffer.
static void close_input_of_resting(struct stream *stream, int64_t now_us)
{
    int unread = 0;
    int64_t cpu_us = stream_cpu_us(stream->child);
    bool is_waiting = stream->input >= 0 && stream->taken > 0 && stream->feed.length == 0 &&
                      ioctl(stream->input, FIONREAD, &unread) == 0 && unread == 0;
    if (!is_waiting || cpu_us != stream->rest_cpu_us || stream->progress_us > stream->rest_us) {
        stream->rest_cpu_us = cpu_us;
        stream->rest_us = now_us;
        return;
    }
    if (now_us - stream->rest_us >= stream->rest_limit_us && stream_is_asleep(stream->child)) {
        (void)close(stream->input);
        stream->input = -1;
        stream->closed_us = now_us;
        int64_t from_us = stream->rest_us > stream->since_us ? stream->rest_us : stream->since_us;
        stream->waited_us += now_us - from_us;
    }
}

// Waits for the worker or the program and moves bytes.
static void move_bytes(struct stream *stream)
{
    struct runner *runner = stream->runner;
    bool has_feed = stream->feed_at < stream->feed.length;
    struct pollfd ready[] = {
        {.fd = runner->control_fd, .events = POLLIN},
        {.fd = runner->signal_fd, .events = POLLIN},
        {.fd = stream->output, .events = POLLIN},
        {.fd = has_feed ? stream->input : -1, .events = POLLOUT},
    };
    int64_t wait_us = stream->taken > 0 || stream->answers_end > 0 ? RUNNER_BATCH_US : DISK_LOOK_US;
    (void)poll(ready, 4, (int)(wait_us / 1000));
    if (ready[0].revents) {
        control_read(runner);
    }
    if (ready[2].revents) {
        stream_read_answers(stream);
    }
    if (ready[1].revents) {
        struct signalfd_siginfo info;
        (void)!read(runner->signal_fd, &info, sizeof info);
        if (kill(stream->child, 0) == 0) {
            siginfo_t ended = {0};
            (void)waitid(P_PID, (id_t)stream->child, &ended, WEXITED | WNOHANG | WNOWAIT);
            stream->is_ended = stream->is_ended || ended.si_pid == stream->child;
        }
    }
}

// The first range is complete, cancelled, or its next item cannot be fed.
static bool settle_range(struct stream *stream, struct queued_range *range)
{
    struct runner *runner = stream->runner;
    if (range->is_cancelled) {
        int64_t lease = range->lease;
        if (stream->child > 0) {
            finish_program(stream, false);
        }
        stream->answered_from = range->next; // What it answered is not wanted any more.
        stream_end_range(stream);
        control_send_cancelled(runner, lease);
        return true;
    }
    if (stream->is_refused && stream->taken == 0 && range == range_at(runner, stream->feeding)) {
        struct runner_result result = {
            .outcome = OUTCOME_INPUT,
            .detail = text_slice(text_of(stream->refusal.detail), 0, RUNNER_DETAIL_MAX)};
        fail_item(stream, &result);
        return true;
    }
    if (range->next >= range->to) {
        stream_end_range(stream);
        return true;
    }
    return false;
}

// One turn with a range at hand.
static void serve_range(struct stream *stream, struct queued_range *range)
{
    if (stream->child == 0) {
        struct error error;
        int64_t code = 0;
        if (stream_start_program(stream, &code, &error) != OK) {
            struct runner_result result = {
                .outcome = OUTCOME_EXITED,
                .code = code,
                .detail = text_slice(text_of(error.detail), 0, RUNNER_DETAIL_MAX)};
            fail_item(stream, &result);
            return;
        }
    }
    stream_feed(stream);
    bool is_idle = stream->taken == 0;
    int64_t before_us = is_idle ? clock_steady_us() : 0;
    move_bytes(stream);
    int64_t now_us = clock_steady_us();
    stream->waited_us += is_idle ? now_us - before_us : 0; // For items, not for the program.
    if (!range->is_cancelled) {
        keep_limits(stream, now_us);
    }
    if (stream->is_ended && !range->is_cancelled) {
        finish_program(stream, true);
        return;
    }
    close_input_of_resting(stream, now_us);
    if (now_us - stream->since_us >= RUNNER_BATCH_US) {
        stream_send_answers(stream);
    }
}

void stream_run(struct runner *runner)
{
    struct stream stream = {
        .runner = runner, .input = -1, .output = -1, .rest_limit_us = REST_MIN_US};
    bool is_idle = true;
    for (;;) {
        struct queued_range *range = range_first(runner);
        if (!range) {
            is_idle = true;
            control_wait(runner, -1);
            continue;
        }
        if (is_idle) {
            is_idle = false;
            stream.answered_from = range->next;
            stream.since_us = clock_steady_us();
            stream.waited_us = 0;
            stream.real_us = clock_real_us();
        }
        if (!settle_range(&stream, range)) {
            serve_range(&stream, range);
        }
    }
}
