// The first process of a task's sandbox; see runner/runner.h and src/sandbox/runner_protocol.h.
//
//     lode-runner CONTROL LOGS MEMORY PIDS FOLDER...
//
// CONTROL is the number of the inherited descriptor that leads to the worker, LOGS that of the folder for what tasks
// print, MEMORY and PIDS those of files with the kernel's counts of limits that it enforced; the FOLDERs are emptied after each task, the first is the working folder.
#include "runner/runner.h"

#include "base/memory.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, FIRST_FOLDER = 5 };

// Signals: default ones for the tasks to inherit, SIGCHLD as a descriptor.
static enum status prepare_signals(struct runner *runner, struct error *error)
{
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGCHLD);
    (void)sigaddset(&blocked, SIGPIPE); // A program that stopped reading is noticed by its end.
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, &blocked, NULL) < 0) {
        return error_set(error, INTERNAL, "cannot block SIGCHLD");
    }
    (void)sigdelset(&blocked, SIGPIPE);
    runner->signal_fd = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
    return runner->signal_fd < 0 ? error_set(error, INTERNAL, "cannot make a signal descriptor")
                                 : OK;
}

// Keeps tasks away from this process: they share its user, so they must not trace it or inherit from it.
static enum status prepare_process(struct runner *runner, struct error *error)
{
    runner->is_first_process = getpid() == 1;
    (void)umask(022);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
        fcntl(runner->control_fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(runner->log_folder_fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(runner->memory_kills.fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(runner->pids_refusals.fd, F_SETFD, FD_CLOEXEC) < 0) {
        return error_set(error, INTERNAL, "cannot prepare the process");
    }
    return OK;
}

static void limit(int resource, int64_t value)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) == 0 && (rlim_t)value < now.rlim_max) {
        now = (struct rlimit){(rlim_t)value, (rlim_t)value};
        (void)setrlimit((__rlimit_resource_t)resource, &now);
    }
}

// How far one process may pass the limit of memory between two looks at what it holds; beyond it the kernel gives it nothing.
#define MEMORY_SLACK (INT64_C(1) << 30)

static void set_limits(const struct runner_job *job)
{
    limit(RLIMIT_CORE, 0);
    if (job->disk_bytes > 0) {
        limit(RLIMIT_FSIZE, job->disk_bytes);
    }
    if (job->memory_bytes > 0 && job->memory_bytes < INT64_MAX - MEMORY_SLACK) {
        limit(RLIMIT_DATA, job->memory_bytes + MEMORY_SLACK);
    }
    if (job->pids_rlimit > 0) {
        limit(RLIMIT_NPROC, job->pids_rlimit);
    }
}

static enum status prepare(struct runner *runner, int argc, char **argv, struct error *error)
{
    int64_t control = 0;
    int64_t logs = 0;
    int64_t memory = 0;
    int64_t pids = 0;
    if (argc <= FIRST_FOLDER || argc > FIRST_FOLDER + FOLDERS_MAX ||
        !text_to_int64(text_of(argv[1]), &control) || !text_to_int64(text_of(argv[2]), &logs) ||
        !text_to_int64(text_of(argv[3]), &memory) || !text_to_int64(text_of(argv[4]), &pids)) {
        return error_set(
            error, INVALID,
            "usage: lode-runner CONTROL LOGS MEMORY PIDS FOLDER... (started by lode worker)");
    }
    runner->control_fd = (int)control;
    runner->log_folder_fd = (int)logs;
    runner->memory_kills = (struct event_count){.key = "oom_kill", .fd = (int)memory};
    runner->pids_refusals = (struct event_count){.key = "max", .fd = (int)pids};
    TRY(prepare_process(runner, error));
    TRY(prepare_signals(runner, error));
    for (int i = FIRST_FOLDER; i < argc; i++) {
        TRY(folder_open(argv[i], &runner->folders[runner->folder_count], error));
        runner->folder_count++;
    }
    if (fchdir(runner->folders[0].fd) < 0) {
        return error_set(error, INTERNAL, "cannot enter %s", argv[FIRST_FOLDER]);
    }
    runner->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (runner->null_fd < 0) {
        return error_set(error, INTERNAL, "cannot open /dev/null");
    }
    TRY(log_file_open(runner, &runner->out, error));
    return log_file_open(runner, &runner->err, error);
}

int main(int argc, char **argv)
{
    static struct runner runner = {.out = {.prefix = "out", .fd = -1},
                                   .err = {.prefix = "err", .fd = -1}};
    struct error error;
    if (prepare(&runner, argc, argv, &error) != OK) {
        (void)fprintf(stderr, "lode-runner: %s\n", error.detail);
        return EXIT_USAGE;
    }
    size_t begin = runner_begin_frame(&runner.outgoing, RUNNER_READY);
    runner_put_int64(&runner.outgoing, RUNNER_VERSION);
    runner_end_frame(&runner.outgoing, begin);
    control_flush(&runner);
    (void)prctl(PR_SET_NAME, "lode-spare"); // For people: it may wait long for its job.
    while (!runner.has_job) {
        control_wait(&runner, -1);
    }
    (void)prctl(PR_SET_NAME, "lode-runner");
    set_limits(&runner.job);
    for (;;) { // Until the worker closes the connection.
        if (runner.range_count == 0) {
            control_flush(&runner);
            control_wait(&runner, -1);
        } else if (runner.job.is_stream) {
            stream_run(&runner);
        } else {
            task_run_next(&runner);
        }
    }
}
