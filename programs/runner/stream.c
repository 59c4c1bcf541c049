// Streamed mode: the command runs once, is fed item lines on its standard input, and gives one answer line for each.
//
// The items of a range stay in its buffer until they are answered, so that a program that crashed is started again with
// what it has not answered; the first unanswered item is the one that fails. The program is fed across ranges, so one
// that buffers its output is not waited for at the end of each. When it has read everything and rests, its input is
// closed, so that such a program gives its last answers; it is started again when there is more.
#include "runner/runner.h"

#include "base/memory.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PIPE_SIZE = 1 << 20,
    READ_SIZE = 256 << 10,
    FEED_SIZE = 256 << 10,    // Bytes prepared for the program ahead of its reading.
    ANSWERS_SIZE = 256 << 10, // Bytes of answers that are sent at once.
    EXIT_NOT_FOUND = 127,
    EXIT_NOT_STARTED = 126,
};

#define REST_US INT64_C(200000)

struct stream {
    struct runner *runner;
    pid_t child; // 0: not running
    int input;   // What the program reads.
    int output;
    struct buffer feed; // Lines for the program that are not written yet.
    size_t feed_at;
    size_t feeding;  // The range (counted from the first) that items are taken from.
    int64_t taken;   // Items that the program was given and has not answered, of all ranges.
    bool is_refused; // The next item of `feeding` cannot be fed; `refusal` says why.
    struct error refusal;
    struct buffer answers; // Complete lines, and a part of one.
    size_t answers_end;    // End of the complete lines.
    int64_t answered_from; // Index of the first line of `answers`.
    int64_t since_us;      // Steady time: start of what the next message tells of.
    int64_t real_us;
    int64_t progress_us; // Steady time of the last answer, or of the first item after idleness.
    int64_t disk_look_us;
    int64_t cpu_told_us;
    int64_t rest_us;     // Steady time since which the program has used no CPU time, and
    int64_t rest_cpu_us; // how much it had then.
    bool is_ended;       // The program has ended, or must.
    int status;
    enum runner_outcome ending; // Why it is ended from here; OUTCOME_EXITED: it was not.
    char detail[RUNNER_DETAIL_MAX];
};

static void close_pipes(struct stream *stream)
{
    if (stream->input >= 0) {
        (void)close(stream->input);
    }
    if (stream->output >= 0) {
        (void)close(stream->output);
    }
    stream->input = -1;
    stream->output = -1;
}

static bool open_pipe(int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return false;
    }
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    return fcntl(ends[ours], F_SETFL, O_NONBLOCK | (ours == 1 ? O_WRONLY : 0)) == 0;
}

// Starts the program; an outcome for the item at the front when that fails.
static enum status start_program(struct stream *stream, int64_t *code, struct error *error)
{
    struct runner *runner = stream->runner;
    const char *program = NULL;
    int input[2] = {-1, -1};
    int output[2] = {-1, -1};
    struct queued_range *range = range_first(runner);
    *code = EXIT_NOT_STARTED;
    struct runner_job plain = runner->job;
    runner->job.items = ITEMS_COUNT; // The program's arguments cannot depend on an item.
    enum status status = command_prepare(runner->command, range->next, TEXT_NONE, error);
    runner->job.items = plain.items;
    TRY(status);
    if (command_program(runner->command, &program, error) != OK) {
        *code = EXIT_NOT_FOUND;
        return NOT_FOUND;
    }
    if (!open_pipe(input, 1) || !open_pipe(output, 0)) {
        return error_set_errno(error, errno, "cannot make pipes for the program");
    }
    const int descriptors[3] = {input[0], output[1], runner->err.fd};
    int failed = child_start(program, command_arguments(runner->command),
                             command_environment(runner->command), descriptors, &stream->child);
    (void)close(input[0]);
    (void)close(output[1]);
    stream->input = input[1];
    stream->output = output[0];
    if (failed != 0) {
        close_pipes(stream);
        stream->child = 0;
        *code = failed == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_STARTED;
        return error_set_errno(error, failed, "cannot start %.200s", program);
    }
    stream->is_ended = false;
    stream->ending = OUTCOME_EXITED;
    stream->progress_us = clock_steady_us();
    stream->disk_look_us = stream->progress_us + DISK_LOOK_US;
    stream->cpu_told_us = 0;
    return OK;
}

static int64_t program_cpu_us(pid_t child)
{
    clockid_t clock;
    struct timespec time;
    if (child <= 0 || clock_getcpuclockid(child, &clock) != 0 || clock_gettime(clock, &time) < 0) {
        return 0;
    }
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int64_t program_peak_bytes(pid_t child)
{
    char path[64];
    char line[256];
    int64_t kibibytes = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *file = child > 0 ? fopen(path, "re") : NULL;
    while (file && fgets(line, sizeof line, file)) {
        struct text rest = text_of(line);
        if (text_starts_with(rest, TEXT("VmHWM:"))) {
            struct text number = text_trim(text_slice(rest, 6, rest.length));
            (void)text_to_int64(text_slice(number, 0, text_find_byte(number, 0, ' ')), &kibibytes);
            break;
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return kibibytes * 1024;
}

// The newest of what the program wrote to its standard error; the file is emptied.
static void take_errors(const struct runner *runner, struct buffer *out)
{
    struct stat info;
    if (fstat(runner->err.fd, &info) < 0 || info.st_size == 0) {
        return;
    }
    int64_t from = info.st_size > RUNNER_INLINE_MAX ? info.st_size - RUNNER_INLINE_MAX : 0;
    char *room = buffer_reserve(out, RUNNER_INLINE_MAX);
    ssize_t got = pread(runner->err.fd, room, RUNNER_INLINE_MAX, from);
    (void)!ftruncate(runner->err.fd, 0);
    buffer_advance(out, got > 0 ? (size_t)got : 0);
}

// Sends the complete answers that are there.
static void send_answers(struct stream *stream)
{
    struct runner *runner = stream->runner;
    struct queued_range *range = range_first(runner);
    if (!range || stream->answered_from == range->next) {
        return;
    }
    AUTO_BUFFER struct buffer errors = {0};
    take_errors(runner, &errors);
    int64_t cpu_us = program_cpu_us(stream->child);
    int64_t now_us = clock_steady_us();
    struct runner_answers message = {
        .lease = range->lease,
        .from = stream->answered_from,
        .to = range->next,
        .started_us = stream->real_us,
        .wall_us = now_us - stream->since_us,
        .cpu_us = cpu_us > stream->cpu_told_us ? cpu_us - stream->cpu_told_us : 0,
        .peak_bytes = program_peak_bytes(stream->child),
        .errors = buffer_text(&errors),
        .lines = text_slice(buffer_text(&stream->answers), 0, stream->answers_end),
    };
    control_send_answers(runner, &message);
    buffer_consume(&stream->answers, stream->answers_end);
    stream->answers_end = 0;
    stream->answered_from = range->next;
    stream->since_us = now_us;
    stream->real_us = clock_real_us();
    stream->cpu_told_us = cpu_us > 0 ? cpu_us : stream->cpu_told_us;
}

// Forgets what the program was given and has not answered: its successor gets it again.
static void rewind_items(struct stream *stream)
{
    for (size_t i = 0; i < stream->runner->range_count; i++) {
        struct queued_range *range = range_at(stream->runner, i);
        range->taken = 0;
        range->items_at = 0;
    }
    buffer_clear(&stream->feed);
    stream->feed_at = 0;
    stream->feeding = 0;
    stream->taken = 0;
    stream->is_refused = false;
    buffer_clear(&stream->answers);
    stream->answers_end = 0;
}

static void add_line(struct stream *stream, struct queued_range *range, struct text line)
{
    buffer_append_text(&stream->feed, line);
    buffer_append_byte(&stream->feed, '\n');
    range->taken++;
    stream->taken++;
}

// The line for the next item of the range goes to the program; false: there is none at present.
static bool take_item(struct stream *stream, struct queued_range *range)
{
    struct runner *runner = stream->runner;
    if (range->next + range->taken >= range->to) {
        return false;
    }
    if (runner->job.items == ITEMS_COUNT) {
        buffer_append_int64(&stream->feed, range->next + range->taken);
        add_line(stream, range, TEXT_NONE);
        return true;
    }
    struct text items = buffer_text(&range->items);
    size_t end = text_find_byte(items, range->items_at, '\n');
    if (end >= items.length) {
        return false;
    }
    struct text line = text_slice(items, range->items_at, end);
    if (runner->job.items == ITEMS_FILES) {
        struct item_file file;
        if (item_file_parse(line, &file, &stream->refusal) != OK ||
            item_file_check(&runner->job, line, &stream->refusal) != OK) {
            stream->is_refused = true;
            return false;
        }
        buffer_append_text(&stream->feed, runner->job.data_folder);
        buffer_append_byte(&stream->feed, '/');
        line = file.path;
    }
    add_line(stream, range, line);
    range->items_at = end + 1;
    return true;
}

// Takes items, range after range, until the program has enough ahead. A cancelled range is a barrier: the program ends
// before what comes behind it.
static void take_items(struct stream *stream)
{
    struct runner *runner = stream->runner;
    while (stream->feed.length - stream->feed_at < FEED_SIZE && !stream->is_refused) {
        struct queued_range *range = range_at(runner, stream->feeding);
        if (range->is_cancelled) {
            return;
        }
        if (take_item(stream, range)) {
            continue;
        }
        bool is_complete = range->next + range->taken >= range->to;
        if (!is_complete || stream->feeding + 1 >= runner->range_count) {
            return;
        }
        stream->feeding++;
    }
}

static void feed_program(struct stream *stream)
{
    if (stream->input < 0) {
        return; // This program gets no more; its successor will.
    }
    bool was_idle = stream->taken == 0;
    take_items(stream);
    if (was_idle && stream->taken > 0) {
        stream->progress_us = clock_steady_us();
    }
    while (stream->feed_at < stream->feed.length) {
        ssize_t written = write(stream->input, stream->feed.bytes + stream->feed_at,
                                stream->feed.length - stream->feed_at);
        if (written < 0 && errno != EINTR) {
            break; // Full; or broken: its end is seen on the other side.
        }
        stream->feed_at += written > 0 ? (size_t)written : 0;
    }
    if (stream->feed_at == stream->feed.length) {
        buffer_clear(&stream->feed);
        stream->feed_at = 0;
    }
}

static void end_program(struct stream *stream, enum runner_outcome ending, const char *detail)
{
    if (stream->ending == OUTCOME_EXITED) {
        stream->ending = ending;
        (void)snprintf(stream->detail, sizeof stream->detail, "%s", detail);
    }
    stream->is_ended = true;
}

// Forgets the items of the range that were answered.
static void use_items(struct stream *stream, struct queued_range *range, int64_t count)
{
    struct text items = buffer_text(&range->items);
    size_t used = 0;
    for (int64_t i = 0; stream->runner->job.items != ITEMS_COUNT && i < count; i++) {
        used = text_find_byte(items, used, '\n') + 1;
    }
    buffer_consume(&range->items, used);
    range->items_at -= used;
    range->next += count;
    range->taken -= count;
    stream->taken -= count;
}

static void end_range(struct stream *stream)
{
    struct runner *runner = stream->runner;
    send_answers(stream);
    range_drop_first(runner);
    stream->feeding -= stream->feeding > 0 ? 1 : 0;
    struct queued_range *range = range_first(runner);
    stream->answered_from = range ? range->next : 0;
}

// Gives the complete lines to the ranges at the front, in order.
static void count_answers(struct stream *stream)
{
    struct runner *runner = stream->runner;
    while (!stream->is_ended) {
        struct queued_range *range = range_first(runner);
        struct text all = buffer_text(&stream->answers);
        int64_t count = 0;
        size_t end = text_find_byte(all, stream->answers_end, '\n');
        while (end < all.length && range && count < range->taken) {
            count++;
            stream->answers_end = end + 1;
            end = text_find_byte(all, end + 1, '\n');
        }
        if (count > 0) {
            use_items(stream, range, count);
            stream->progress_us = clock_steady_us();
        }
        if (range && !range->is_cancelled && range->next >= range->to) {
            end_range(stream);
            continue;
        }
        if (end < all.length) {
            end_program(
                stream, OUTCOME_WORKER,
                "the program gave more answers than items: exactly one line for each is needed");
        } else if (all.length - stream->answers_end > RUNNER_ITEM_MAX) {
            end_program(stream, OUTCOME_WORKER, "the program gave an answer of more than 1 MiB");
        }
        return;
    }
}

static void read_answers(struct stream *stream)
{
    while (!stream->is_ended) {
        char *room = buffer_reserve(&stream->answers, READ_SIZE);
        ssize_t got = read(stream->output, room, READ_SIZE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return;
        }
        if (got == 0) {
            stream->is_ended = true;
            return;
        }
        buffer_advance(&stream->answers, (size_t)got);
        count_answers(stream);
        if (stream->answers_end >= ANSWERS_SIZE) {
            send_answers(stream);
        }
        if (got < READ_SIZE) {
            return;
        }
    }
}

static void fail_item(struct stream *stream, const struct runner_result *as)
{
    struct runner *runner = stream->runner;
    struct queued_range *range = range_first(runner);
    AUTO_BUFFER struct buffer errors = {0};
    send_answers(stream);
    struct runner_result result = *as;
    take_errors(runner, &errors);
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
    while (result.is_held && !runner->may_continue && !runner->is_stopping) {
        control_wait(runner, -1);
    }
    runner->may_continue = false;
    range_use_item(runner, range);
    stream->answered_from = range->next;
    rewind_items(stream);
}

// How the program's end looks to the item that it was at.
static struct runner_result describe_end(struct stream *stream, const struct rusage *usage)
{
    struct runner_result result = {0};
    int status = stream->status;
    result.cpu_us = (int64_t)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec +
                    (int64_t)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec;
    result.peak_bytes = (int64_t)usage->ru_maxrss * 1024;
    if (stream->ending == OUTCOME_WALLTIME || stream->ending == OUTCOME_DISK) {
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
    result.detail = text_of(stream->detail);
    return result;
}

// Ends the program, uses the answers that it still gave, and blames the first item that it left unanswered.
static void finish_program(struct stream *stream, bool is_blaming)
{
    struct runner *runner = stream->runner;
    struct rusage usage = {0};
    enum runner_outcome ending = stream->ending;
    bool is_reaped = false;
    if (ending == OUTCOME_EXITED && is_blaming) {
        // Its output has ended: give it a moment to end by itself, so that its own status is seen.
        struct pollfd ready = {.fd = runner->signal_fd, .events = POLLIN};
        (void)poll(&ready, 1, 1000);
        is_reaped = child_ended(stream->child, &stream->status, &usage);
    }
    if (!is_reaped) {
        child_signal(runner, stream->child, SIGKILL);
        while (wait4(stream->child, &stream->status, 0, &usage) < 0 && errno == EINTR) {
        }
    }
    child_end_all(runner, stream->child);
    if (ending == OUTCOME_EXITED && is_blaming) {
        stream->is_ended = false;
        read_answers(stream);
    }
    close_pipes(stream);
    if (is_blaming && stream->taken > 0) {
        struct runner_result result = describe_end(stream, &usage);
        stream->child = 0;
        fail_item(stream, &result);
    } else {
        send_answers(stream);
        rewind_items(stream);
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
        end_program(stream, OUTCOME_WALLTIME, detail);
    }
    if (runner->job.disk_bytes > 0 && now_us >= stream->disk_look_us) {
        int64_t bytes = folders_bytes(runner, runner->job.disk_bytes);
        stream->disk_look_us = clock_steady_us() + DISK_LOOK_US;
        if (bytes > runner->job.disk_bytes) {
            (void)snprintf(detail, sizeof detail,
                           "the limit is %" PRId64 " bytes of disk, at least %" PRId64 " were used",
                           runner->job.disk_bytes, bytes);
            end_program(stream, OUTCOME_DISK, detail);
        }
    }
}

// Closes the program's input when it has read all of it and rests: it may be keeping answers in a buffer.
static void close_input_of_resting(struct stream *stream, int64_t now_us)
{
    int unread = 0;
    int64_t cpu_us = program_cpu_us(stream->child);
    bool is_waiting = stream->input >= 0 && stream->taken > 0 && stream->feed.length == 0 &&
                      ioctl(stream->input, FIONREAD, &unread) == 0 && unread == 0;
    if (!is_waiting || cpu_us != stream->rest_cpu_us || stream->progress_us > stream->rest_us) {
        stream->rest_cpu_us = cpu_us;
        stream->rest_us = now_us;
    } else if (now_us - stream->rest_us >= REST_US) {
        (void)close(stream->input);
        stream->input = -1;
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
        read_answers(stream);
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
        end_range(stream);
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
        end_range(stream);
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
        if (start_program(stream, &code, &error) != OK) {
            struct runner_result result = {
                .outcome = OUTCOME_EXITED,
                .code = code,
                .detail = text_slice(text_of(error.detail), 0, RUNNER_DETAIL_MAX)};
            fail_item(stream, &result);
            return;
        }
    }
    feed_program(stream);
    move_bytes(stream);
    int64_t now_us = clock_steady_us();
    if (!range->is_cancelled) {
        keep_limits(stream, now_us);
    }
    if (stream->is_ended && !range->is_cancelled) {
        finish_program(stream, true);
        return;
    }
    close_input_of_resting(stream, now_us);
    if (now_us - stream->since_us >= RUNNER_BATCH_US) {
        send_answers(stream);
    }
}

void stream_run(struct runner *runner)
{
    struct stream stream = {.runner = runner, .input = -1, .output = -1};
    bool is_idle = true;
    while (!runner->is_stopping) {
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
            stream.real_us = clock_real_us();
        }
        if (!settle_range(&stream, range)) {
            serve_range(&stream, range);
        }
    }
    if (stream.child > 0) {
        finish_program(&stream, false);
    }
    buffer_done(&stream.feed);
    buffer_done(&stream.answers);
}
