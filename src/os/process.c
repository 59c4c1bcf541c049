#include "os/process.h"

#include "os/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_FAILED = 127 };

// Moves the descriptors to their places: first out of the way of each other, then down.
static int place_descriptors(const int *descriptors, size_t count)
{
    int moved[PROCESS_DESCRIPTORS_MAX];
    for (size_t i = 0; i < count; i++) {
        moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, PROCESS_DESCRIPTORS_MAX);
        if (moved[i] < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (dup2(moved[i], (int)i) < 0) {
            return -1;
        }
    }
    return 0;
}

// In the child: only calls that are safe after fork.
static int become(const struct process_options *options)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    if (setpgid(0, 0) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0) {
        return errno;
    }
    if (options->dies_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
        return errno;
    }
    for (size_t i = 0; i < options->join_count; i++) {
        if (write(options->join_fds[i], "0", 1) != 1) {
            return errno;
        }
    }
    if (place_descriptors(options->descriptors, options->descriptor_count) < 0) {
        return errno;
    }
    (void)execve(options->program, options->arguments, options->environment);
    return errno;
}

enum status process_start(const struct process_options *options, pid_t *pid, struct error *error)
{
    assert(options->descriptor_count <= PROCESS_DESCRIPTORS_MAX);
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "cannot make a pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        int failed = become(options);
        (void)!write(report[1], &failed, sizeof failed);
        _exit(START_FAILED);
    }
    int fork_error = errno;
    (void)close(report[1]);
    AUTO_CLOSE int report_fd = report[0];
    if (child < 0) {
        return error_set_errno(error, fork_error, "cannot fork");
    }
    int failed = 0;
    ssize_t got = 0;
    do {
        got = read(report_fd, &failed, sizeof failed);
    } while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof failed) {
        (void)waitpid(child, NULL, 0);
        return error_set_errno(error, failed, "cannot start %s", options->program);
    }
    *pid = child;
    return OK;
}

bool process_has_ended(pid_t pid, bool is_waiting, int *status)
{
    pid_t ended = 0;
    do {
        ended = waitpid(pid, status, is_waiting ? 0 : WNOHANG);
    } while (ended < 0 && errno == EINTR);
    return ended != 0;
}
