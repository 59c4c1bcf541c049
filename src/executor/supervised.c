// A process holds a lock of its folder, with its process number in it. When one of an earlier life of the site still serves, the
// thread watches over that one instead of starting another; it is no child, but its end can be seen and brought about all the same.
#include "executor/supervised.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BACK_OFF_FIRST_MS = 200,
    BACK_OFF_MAX_MS = 30000,
    TAKEN_RETRY_MS =
        2000, // It ended in order, or another one was faster: look again after so long.
    HEALTHY_US =
        10000000, // A process that lived so long was well; its end starts the back-off anew.
    PROCESS_TEXT_MAX = 32,
};

struct executor {
    char **arguments; // NULL-terminated.
    char *directory;
    char *name;
    supervised_explain_fn *explain;
    void (*report)(void *context, const char *problem, const char *change);
    void (*ended)(void *context, int64_t process, const char *how);
    void *context;
    pthread_t thread;
    int stop_fd; // Readable once the executor is to stop.
    _Atomic int64_t grace_us;
    bool has_problem; // One was reported. The thread's own.
};

// What ended a wait.
enum woken { WOKEN_BY_STOP, WOKEN_BY_FD, WOKEN_BY_TIME };

static enum status start_process(struct executor *executor, pid_t *pid, int *pid_fd)
{
    AUTO_CLOSE int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int descriptors[] = {nothing, STDERR_FILENO, STDERR_FILENO};
    struct process_options options = {
        .program = executor->arguments[0],
        .arguments = executor->arguments,
        .environment = environ,
        .descriptors = descriptors,
        .descriptor_count = sizeof descriptors / sizeof descriptors[0],
    };
    TRY(process_start(&options, pid, NULL));
    *pid_fd = (int)syscall(SYS_pidfd_open, *pid, 0);
    if (*pid_fd < 0) { // Without it nobody would see its end.
        int status = 0;
        (void)kill(*pid, SIGKILL);
        (void)process_has_ended(*pid, true, &status);
        return INTERNAL;
    }
    return OK;
}

// Waits for the stop or for `fd` (-1: none), up to `timeout_ms` (-1: for ever).
static enum woken wait_for(struct executor *executor, int fd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = executor->stop_fd, .events = POLLIN},
                            {.fd = fd, .events = POLLIN}};
    int ready = 0;
    do {
        ready = poll(fds, 2, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if ((fds[0].revents & POLLIN) != 0) {
        return WOKEN_BY_STOP;
    }
    return ready > 0 ? WOKEN_BY_FD : WOKEN_BY_TIME;
}

static int send_signal(int pid_fd, int signal_number)
{
    return (int)syscall(SYS_pidfd_send_signal, pid_fd, signal_number, NULL, 0);
}

// A descriptor of the process of an earlier life that still holds the folder's lock, or -1.
static int find_survivor(const struct executor *executor, pid_t *pid)
{
    char number[PROCESS_TEXT_MAX] = "";
    int64_t process = 0;
    AUTO_FREE char *path = memory_format("%s/lock", executor->directory);
    AUTO_CLOSE int lock_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (lock_fd < 0 || flock(lock_fd, LOCK_SH | LOCK_NB) == 0 ||
        pread(lock_fd, number, sizeof number - 1, 0) <= 0 ||
        !text_to_int64(text_trim(text_of(number)), &process)) {
        return -1;
    }
    AUTO_CLOSE int pid_fd = (int)syscall(SYS_pidfd_open, (pid_t)process, 0);
    // Still held: the number was not given to another process before it was opened.
    if (pid_fd < 0 || flock(lock_fd, LOCK_SH | LOCK_NB) == 0) {
        return -1;
    }
    *pid = (pid_t)process;
    return file_take_fd(&pid_fd);
}

static void end_process(struct executor *executor, int pid_fd)
{
    (void)send_signal(pid_fd, SIGTERM);
    struct pollfd ended = {.fd = pid_fd, .events = POLLIN};
    if (poll(&ended, 1, (int)(executor->grace_us / 1000)) <= 0) {
        (void)send_signal(pid_fd, SIGKILL);
        (void)poll(&ended, 1, -1);
    }
}

static void report(struct executor *executor, const char *problem, const char *change)
{
    bool is_news = *problem || executor->has_problem;
    executor->has_problem = *problem;
    if (executor->report && is_news) {
        executor->report(executor->context, problem, change);
    }
}

static void report_early_end(struct executor *executor)
{
    AUTO_FREE char *problem = memory_format("%s ended soon after its start", executor->name);
    report(executor, problem, "look at the site's log for what it said");
}

// Says what the process's end means; returns after how many milliseconds to start the next one.
static int judge_end(struct executor *executor, int status, int64_t lived_us, int back_off_ms)
{
    const char *problem = NULL;
    const char *change = NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        report(executor, "", "");
        return TAKEN_RETRY_MS;
    }
    if (WIFEXITED(status) && executor->explain &&
        executor->explain(WEXITSTATUS(status), &problem, &change)) {
        report(executor, problem, change);
        return BACK_OFF_MAX_MS;
    }
    if (lived_us < HEALTHY_US) {
        report_early_end(executor);
    }
    return back_off_ms;
}

// Waits until the process has ended, and says so once it has proved well. True when the executor is to stop.
static bool watch_process(struct executor *executor, int pid_fd)
{
    enum woken woken = wait_for(executor, pid_fd, HEALTHY_US / 1000);
    if (woken == WOKEN_BY_TIME) {
        report(executor, "", "");
        woken = wait_for(executor, pid_fd, -1);
    }
    return woken == WOKEN_BY_STOP;
}

// Tells whoever wants to know. Of one that is no child nobody is told how it ended.
static void tell_end(struct executor *executor, pid_t pid, bool is_child, int status)
{
    AUTO_FREE char *how =
        !is_child             ? memory_copy_string("the site, restarted since, was not told how")
        : WIFSIGNALED(status) ? memory_format("killed by signal %d", WTERMSIG(status))
                              : memory_format("exit status %d", WEXITSTATUS(status));
    if (executor->ended) {
        executor->ended(executor->context, pid, how);
    }
}

// One life of the process. True when the executor is to stop.
static bool run_process(struct executor *executor, int *back_off_ms)
{
    pid_t pid = 0;
    int64_t began_us = clock_steady_us();
    AUTO_CLOSE int pid_fd = find_survivor(executor, &pid);
    bool is_child = pid_fd < 0;
    if (is_child && start_process(executor, &pid, &pid_fd) != OK) {
        AUTO_FREE char *problem = memory_format("%s cannot be started", executor->name);
        report(executor, problem, "is the program still installed?");
        return wait_for(executor, -1, BACK_OFF_MAX_MS) == WOKEN_BY_STOP;
    }
    bool is_to_stop = watch_process(executor, pid_fd);
    if (is_to_stop) {
        end_process(executor, pid_fd);
    }
    int status = 0;
    if (is_child) {
        (void)waitpid(pid, &status, 0);
    }
    if (is_to_stop) {
        return true;
    }
    tell_end(executor, pid, is_child, status);
    int64_t lived_us = clock_steady_us() - began_us;
    *back_off_ms = lived_us >= HEALTHY_US ? BACK_OFF_FIRST_MS : *back_off_ms;
    int pause_ms = is_child ? judge_end(executor, status, lived_us, *back_off_ms) : *back_off_ms;
    *back_off_ms = *back_off_ms * 2 < BACK_OFF_MAX_MS ? *back_off_ms * 2 : BACK_OFF_MAX_MS;
    return wait_for(executor, -1, pause_ms) == WOKEN_BY_STOP;
}

static void *watch(void *context)
{
    struct executor *executor = context;
    int back_off_ms = BACK_OFF_FIRST_MS;
    while (!run_process(executor, &back_off_ms)) {
    }
    return NULL;
}

static void free_executor(struct executor *executor)
{
    if (executor->stop_fd >= 0) {
        (void)close(executor->stop_fd);
    }
    for (char **each = executor->arguments; *each; each++) {
        free(*each);
    }
    free(executor->arguments);
    free(executor->directory);
    free(executor->name);
    free(executor);
}

static char **copy_arguments(const char *const *arguments)
{
    size_t count = 0;
    while (arguments[count]) {
        count++;
    }
    char **copy = memory_new(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = memory_copy_string(arguments[i]);
    }
    return copy;
}

enum status supervised_start(const struct supervised_options *options, struct executor **out,
                             struct error *error)
{
    if (access(options->arguments[0], X_OK) != 0) {
        return error_set_errno(error, errno, "cannot run %s", options->arguments[0]);
    }
    struct executor *executor = NEW(struct executor);
    executor->arguments = copy_arguments(options->arguments);
    executor->directory = memory_copy_string(options->directory);
    executor->name = memory_copy_string(options->name);
    executor->explain = options->explain;
    executor->report = options->report;
    executor->ended = options->ended;
    executor->context = options->context;
    executor->stop_fd = eventfd(0, EFD_CLOEXEC);
    enum status status = executor->stop_fd < 0
                             ? error_set_errno(error, errno, "cannot make an eventfd")
                             : thread_start(&executor->thread, "executor", watch, executor, error);
    if (status != OK) {
        free_executor(executor);
        return status;
    }
    *out = executor;
    return OK;
}

void supervised_stop(struct executor *executor, int64_t grace_us)
{
    if (!executor) {
        return;
    }
    executor->grace_us = grace_us;
    uint64_t one = 1;
    ssize_t written = write(executor->stop_fd, &one, sizeof one);
    (void)written; // An eventfd takes the first write always.
    (void)pthread_join(executor->thread, NULL);
    free_executor(executor);
}
