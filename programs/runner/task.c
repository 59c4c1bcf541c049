#include "runner/runner.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/room.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_FOUND = 127, EXIT_NOT_STARTED = 126 };

// Why a running task is being ended from here.
enum ending { ENDING_NONE, ENDING_WALLTIME, ENDING_DISK, ENDING_MEMORY, ENDING_CANCEL };

struct task {
    struct queued_range *range;
    pid_t child;
    int status;
    struct rusage usage;
    int64_t started_us; // Steady time.
    int64_t kill_us;    // Steady time of SIGKILL after SIGTERM; INT64_MAX: none is due.
    int64_t disk_look_us;
    int64_t disk_peak;
    int64_t memory_look_us; // INT64_MAX: none.
    int64_t memory_peak;
    enum ending ending;
    bool is_known;  // The worker has been told that it runs.
    bool is_warned; // It has been told that the worker leaves.
    bool was_full;  // The disk had no room left at some look.
};

static int64_t time_us(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

static void end_task(const struct runner *runner, struct task *task, enum ending ending,
                     bool is_gentle, int64_t now_us)
{
    task->ending = ending;
    task->kill_us = is_gentle ? now_us + KILL_GRACE_US : INT64_MAX;
    child_signal(runner, task->child, is_gentle ? SIGTERM : SIGKILL);
}

// Passes on what the worker has for the task. SIGTERM and SIGKILL are meant to end it; others ask those who know of them.
static void pass_signal(struct runner *runner, struct task *task)
{
    int number = (int)runner->signal;
    runner->signal = 0;
    task->is_warned = runner->is_leaving;
    if (number == SIGTERM || number == SIGKILL) {
        child_signal(runner, task->child, number);
    } else if (number != 0) {
        child_ask(runner, task->child, number);
    }
}

static int64_t bytes_printed(const struct log_file *file)
{
    struct stat about;
    return fstat(file->fd, &about) == 0 ? about.st_size : 0;
}

// What is in the task's folders and what it has printed.
static int64_t disk_used(const struct runner *runner)
{
    return folders_bytes(runner, runner->job.disk_bytes) + bytes_printed(&runner->out) +
           bytes_printed(&runner->err);
}

static void look_at_disk(struct runner *runner, struct task *task, int64_t now_us)
{
    int64_t bytes = disk_used(runner);
    task->disk_look_us = clock_steady_us() + DISK_LOOK_US;
    task->disk_peak = bytes > task->disk_peak ? bytes : task->disk_peak;
    task->was_full = task->was_full || !room_is_left(runner->log_folder_fd, false);
    if (bytes >= runner->job.disk_bytes) {
        end_task(runner, task, ENDING_DISK, false, now_us);
    }
}

static void look_at_memory(struct runner *runner, struct task *task, int64_t now_us)
{
    int64_t bytes = memory_used(runner, task->child, &task->memory_look_us);
    task->memory_peak = bytes > task->memory_peak ? bytes : task->memory_peak;
    if (bytes > runner->job.memory_bytes) {
        end_task(runner, task, ENDING_MEMORY, false, now_us);
    }
}

// What time demands at `now_us`: limits, the note that it runs, the flush of older results.
static void keep_time(struct runner *runner, struct task *task, int64_t now_us)
{
    if (now_us >= task->kill_us) {
        task->kill_us = INT64_MAX;
        child_signal(runner, task->child, SIGKILL);
    }
    if (control_flush_delay_us(runner) == 0) {
        control_flush(runner);
    }
    if (!task->is_known && now_us - task->started_us >= RUNNING_NOTE_US) {
        control_send_running(runner, task->range->lease, task->range->next);
        task->is_known = true;
    }
    pass_signal(runner, task);
    if (task->ending != ENDING_NONE) {
        return;
    }
    if (task->range->is_cancelled) {
        end_task(runner, task, ENDING_CANCEL, false, now_us);
    } else if (now_us - task->started_us >= runner->job.walltime_us) {
        end_task(runner, task, ENDING_WALLTIME, true, now_us);
    } else if (now_us >= task->memory_look_us) {
        look_at_memory(runner, task, now_us);
    } else if (runner->job.disk_bytes > 0 && now_us >= task->disk_look_us) {
        look_at_disk(runner, task, now_us);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Microseconds until keep_time has something to do.
static int64_t next_moment(const struct runner *runner, const struct task *task, int64_t now_us)
{
    int64_t next_us = earlier(task->kill_us, task->disk_look_us);
    next_us = task->ending == ENDING_NONE ? earlier(next_us, task->memory_look_us) : next_us;
    int64_t flush_us = control_flush_delay_us(runner);
    if (flush_us >= 0) {
        next_us = earlier(next_us, now_us + flush_us);
    }
    if (!task->is_known) {
        next_us = earlier(next_us, task->started_us + RUNNING_NOTE_US);
    }
    if (task->ending == ENDING_NONE && runner->job.walltime_us < INT64_MAX - task->started_us) {
        next_us = earlier(next_us, task->started_us + runner->job.walltime_us);
    }
    return next_us > now_us ? next_us - now_us : 0;
}

static void wait_for_end(struct runner *runner, struct task *task)
{
    int64_t now_us = task->started_us;
    for (;;) {
        struct pollfd ready[] = {{.fd = runner->signal_fd, .events = POLLIN},
                                 {.fd = runner->control_fd, .events = POLLIN}};
        int64_t wait_us = earlier(next_moment(runner, task, now_us), INT64_C(3600000000));
        int count = poll(ready, 2, (int)((wait_us + 999) / 1000));
        if (count > 0 && ready[0].revents) {
            struct signalfd_siginfo info;
            (void)!read(runner->signal_fd, &info, sizeof info);
            if (child_ended(task->child, &task->status, &task->usage)) {
                return;
            }
        }
        if (count > 0 && ready[1].revents) {
            control_read(runner);
        }
        now_us = clock_steady_us();
        keep_time(runner, task, now_us);
    }
}

// Fills in how the task ended; the texts of details live in `detail`.
static void describe_end(const struct runner *runner, const struct task *task,
                         struct runner_result *result, char detail[RUNNER_DETAIL_MAX])
{
    int64_t limit = runner->job.disk_bytes;
    bool is_file_limit = WIFSIGNALED(task->status) && WTERMSIG(task->status) == SIGXFSZ;
    result->outcome = WIFSIGNALED(task->status) ? OUTCOME_SIGNAL : OUTCOME_EXITED;
    result->code = WIFSIGNALED(task->status) ? WTERMSIG(task->status) : WEXITSTATUS(task->status);
    detail[0] = '\0';
    if (task->ending == ENDING_WALLTIME) {
        result->outcome = OUTCOME_WALLTIME;
        (void)snprintf(detail, RUNNER_DETAIL_MAX, "ran %.1f s, the limit is %.1f s of walltime",
                       (double)result->wall_us / 1e6, (double)runner->job.walltime_us / 1e6);
    } else if (limit > 0 && (task->disk_peak >= limit || is_file_limit)) {
        result->outcome = OUTCOME_DISK;
        (void)snprintf(detail, RUNNER_DETAIL_MAX,
                       task->disk_peak < limit
                           ? "one file reached the limit of %.1f MiB of disk, %.1f MiB were used"
                           : "the limit is %.1f MiB of disk, at least %.1f MiB were used",
                       (double)limit / MIB, (double)task->disk_peak / MIB);
    }
    bool is_failure = result->outcome == OUTCOME_SIGNAL ||
                      (result->outcome == OUTCOME_EXITED && result->code != 0);
    bool is_over = runner->job.memory_bytes > 0 && task->memory_peak > runner->job.memory_bytes;
    if (is_failure && is_over) {
        result->outcome = OUTCOME_MEMORY;
        memory_describe(runner, task->memory_peak, detail);
    }
    result->detail = text_of(detail);
}

// After a result that is held: waits until the worker has looked at what the task left.
static void wait_for_worker(struct runner *runner)
{
    control_flush(runner);
    while (!runner->may_continue) {
        control_wait(runner, -1);
    }
    runner->may_continue = false;
}

static void report(struct runner *runner, struct task *task, struct runner_result *result)
{
    AUTO_BUFFER struct buffer printed = {0};
    AUTO_BUFFER struct buffer errors = {0};
    bool is_success = result->outcome == OUTCOME_EXITED && result->code == 0;
    int64_t hold = (is_success ? HOLD_SUCCESS : HOLD_FAILURE) | (task->is_warned ? HOLD_WARNED : 0);
    result->is_held = (runner->job.holds & hold) != 0;
    result->is_warned = task->is_warned;
    log_file_take(runner, &runner->out, task->is_known, &printed, &result->out);
    log_file_take(runner, &runner->err, task->is_known, &errors, &result->err);
    if (task->range->is_cancelled) {
        return;
    }
    control_add_result(runner, result);
    if (result->is_held) {
        wait_for_worker(runner);
    }
}

// A task that could not be started: the reason is the task's, the input's or the machine's.
static void report_refusal(struct runner *runner, struct task *task, struct runner_result *result,
                           enum runner_outcome outcome, int64_t code, const char *detail)
{
    result->outcome = outcome;
    result->code = code;
    result->started_us = clock_real_us();
    result->detail = text_slice(text_of(detail), 0, RUNNER_DETAIL_MAX);
    report(runner, task, result);
}

// 0 when it was started; else it has been reported.
static int start_task(struct runner *runner, struct task *task, struct runner_result *result,
                      struct text item)
{
    struct error error;
    const char *program = NULL;
    command_tell_range(runner->command, task->range);
    if (command_prepare(runner->command, result->index, item, &error) != OK ||
        (runner->job.items == ITEMS_FILES && item_file_check(&runner->job, item, &error) != OK)) {
        report_refusal(runner, task, result, OUTCOME_INPUT, 0, error.detail);
        return -1;
    }
    if (command_program(runner->command, &program, &error) != OK) {
        report_refusal(runner, task, result, OUTCOME_EXITED, EXIT_NOT_FOUND, error.detail);
        return -1;
    }
    const int descriptors[3] = {runner->null_fd, runner->out.fd, runner->err.fd};
    int failed = child_start(program, command_arguments(runner->command),
                             command_environment(runner->command), descriptors, &task->child);
    if (failed == 0) {
        return 0;
    }
    (void)error_set_errno(&error, failed, "cannot start %.200s", program);
    enum runner_outcome outcome = failed == EAGAIN   ? OUTCOME_PIDS
                                  : failed == ENOMEM ? OUTCOME_WORKER
                                                     : OUTCOME_EXITED;
    report_refusal(runner, task, result, outcome,
                   failed == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_STARTED, error.detail);
    return -1;
}

// An input file that changed while the task read it: nobody knows what came out. The detail lives in `error`.
static void judge_item(const struct runner *runner, struct text item, struct runner_result *result,
                       struct error *error)
{
    bool is_success = result->outcome == OUTCOME_EXITED && result->code == 0;
    if (is_success && runner->job.items == ITEMS_FILES &&
        item_file_check(&runner->job, item, error) != OK) {
        result->outcome = OUTCOME_INPUT;
        result->detail = text_slice(text_of(error->detail), 0, RUNNER_DETAIL_MAX);
    }
}

// On a full disk programs fail that can do nothing for it, and others go on with files that end too early: nothing can be said of what
// came of the task.
static void judge_disk(const struct runner *runner, const struct task *task,
                       struct runner_result *result)
{
    bool is_failure = result->outcome == OUTCOME_SIGNAL ||
                      (result->outcome == OUTCOME_EXITED && result->code != 0);
    bool is_success = result->outcome == OUTCOME_EXITED && result->code == 0;
    if ((is_failure || is_success) &&
        (task->was_full || !room_is_left(runner->log_folder_fd, is_failure))) {
        result->outcome = OUTCOME_WORKER;
        result->detail = TEXT("the worker's disk was full while it ran");
    }
}

static void run_task(struct runner *runner, struct queued_range *range, struct text item)
{
    struct task task = {.range = range, .kill_us = INT64_MAX};
    struct runner_result result = {
        .lease = range->lease, .index = range->next, .out.file = -1, .err.file = -1};
    int64_t real_us = clock_real_us();
    task.started_us = clock_steady_us();
    runner->signal = 0; // It was for the one before.
    task.disk_look_us = task.started_us + DISK_LOOK_US;
    task.memory_look_us =
        runner->job.memory_bytes > 0 ? task.started_us + MEMORY_LOOK_US : INT64_MAX;
    if (start_task(runner, &task, &result, item) != 0) {
        return;
    }
    wait_for_end(runner, &task);
    result.started_us = real_us;
    result.wall_us = clock_steady_us() - task.started_us;
    result.cpu_us = time_us(&task.usage.ru_utime) + time_us(&task.usage.ru_stime);
    // The largest of its processes, or all of them together as they were seen.
    result.peak_bytes = (int64_t)task.usage.ru_maxrss * 1024;
    result.peak_bytes = task.memory_peak > result.peak_bytes ? task.memory_peak : result.peak_bytes;
    child_end_all(runner, task.child);
    if (runner->job.disk_bytes > 0) {
        int64_t bytes = disk_used(runner);
        task.disk_peak = bytes > task.disk_peak ? bytes : task.disk_peak;
    }
    char detail[RUNNER_DETAIL_MAX];
    struct error error;
    describe_end(runner, &task, &result, detail);
    judge_item(runner, item, &result, &error);
    judge_disk(runner, &task, &result);
    events_judge(runner, &result);
    report(runner, &task, &result);
    folders_empty(runner);
    shared_remove(runner);
}

void task_run_next(struct runner *runner)
{
    struct queued_range *range = range_first(runner);
    struct text item;
    bool is_cancelled = range->is_cancelled || runner->is_leaving;
    if (is_cancelled || range->next >= range->to) {
        int64_t lease = range->lease;
        range_drop_first(runner);
        if (is_cancelled) {
            control_send_cancelled(runner, lease);
        }
        return;
    }
    if (!range_peek_item(runner, range, &item)) {
        control_flush(runner);
        control_wait(runner, -1);
        return;
    }
    // The queue may grow while the task runs (ITEMS moves the buffer), so the line is kept apart.
    AUTO_FREE char *line = item.length ? text_copy(item) : NULL;
    run_task(runner, range, (struct text){line, item.length});
    if (!range->is_cancelled) {
        range_use_item(runner, range);
    }
}
