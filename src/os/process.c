#include "os/process.h"

#include "base/memory.h"
#include "base/text.h"
#include "os/descriptors.h"
#include "os/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

// In the child: only calls that are safe after fork. `parent` is who started it.
static int become(const struct process_options *options, pid_t parent)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    int grouped = options->has_own_session ? setsid() : setpgid(0, 0);
    if (grouped < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0) {
        return errno;
    }
    if (options->dies_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
            return errno;
        }
        if (getppid() != parent) {
            return ESRCH; // It died before it was asked for.
        }
    }
    for (size_t i = 0; i < options->join_count; i++) {
        if (write(options->join_fds[i], "0", 1) != 1) {
            return errno;
        }
    }
    if (place_descriptors(options->descriptors, options->descriptor_count) < 0) {
        return errno;
    }
    descriptors_keep((int)options->descriptor_count);
    (void)execve(options->program, options->arguments, options->environment);
    return errno;
}

// In a child that nobody waits for: says on its standard error to be why it could not start.
static void complain(const struct process_options *options, int reason)
{
    const char *const parts[] = {"cannot start ", options->program, ": ", strerrordesc_np(reason)};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *part = parts[i] ? parts[i] : "unknown error";
        (void)!write(options->descriptors[STDERR_FILENO], part, strlen(part));
    }
}

// A pipe on which the child reports why it could not start. Its end is out of the way of the child's descriptors.
static int make_report(int report[2])
{
    if (pipe2(report, O_CLOEXEC) < 0) {
        return -1;
    }
    int moved = fcntl(report[1], F_DUPFD_CLOEXEC, PROCESS_DESCRIPTORS_MAX);
    (void)close(report[1]);
    if (moved < 0) {
        (void)close(report[0]);
        return -1;
    }
    report[1] = moved;
    return 0;
}

// Forks with all signals held back, so that no handler of this program runs in the child before it has let go of them.
static pid_t fork_quietly(void)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    int reason = errno;
    if (child != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    errno = reason;
    return child;
}

enum status process_start(const struct process_options *options, pid_t *pid, struct error *error)
{
    assert(options->descriptor_count <= PROCESS_DESCRIPTORS_MAX);
    assert(!options->is_left_alone || options->descriptor_count > STDERR_FILENO);
    int report[2];
    if (make_report(report) < 0) {
        return error_set_errno(error, errno, "cannot make a pipe");
    }
    pid_t parent = getpid();
    pid_t child = fork_quietly();
    if (child == 0) {
        int failed = become(options, parent);
        if (options->is_left_alone) {
            complain(options, failed);
        }
        (void)!write(report[1], &failed, sizeof failed);
        _exit(START_FAILED);
    }
    int fork_error = errno;
    (void)close(report[1]);
    AUTO_CLOSE int report_fd = report[0];
    if (child < 0) {
        return error_set_errno(error, fork_error, "cannot fork");
    }
    if (options->is_left_alone) {
        (void)setpgid(child, child); // The child does it too: whoever is first.
        *pid = child;
        return OK;
    }
    int failed = 0;
    ssize_t got = 0;
    do {
        got = read(report_fd, &failed, sizeof failed);
    } while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof failed) {
        int status = 0;
        (void)process_has_ended(child, true, &status);
        return error_set_errno(error, failed, "cannot start %s", options->program);
    }
    *pid = child;
    return OK;
}

char *process_program(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    return length > 0 && (size_t)length < sizeof path ? memory_copy_bytes(path, (size_t)length)
                                                      : NULL;
}

bool process_has_ended(pid_t pid, bool is_waiting, int *status)
{
    pid_t ended = 0;
    do {
        ended = waitpid(pid, status, is_waiting ? 0 : WNOHANG);
    } while (ended < 0 && errno == EINTR);
    return ended != 0;
}

// A mapping as /proc/self/smaps tells of it.
struct mapping {
    uintptr_t start;
    uintptr_t end;
    bool is_file; // Of a file, and not writable.
};

static bool read_mapping(const char *line, struct mapping *out)
{
    // "7f0c-7f0d r-xp 00000000 08:01 1234 /usr/lib/x.so" (proc(5)); other lines begin with a word and a colon.
    char *at = NULL;
    uintptr_t start = strtoul(line, &at, 16);
    if (*at != '-') {
        return false;
    }
    out->start = start;
    out->end = strtoul(at + 1, &at, 16);
    out->is_file = strlen(at) > 3 && at[2] != 'w' && strchr(at, '/') != NULL;
    return true;
}

void process_trim_memory(void)
{
    char line[512];
    struct mapping mapping = {0};
    (void)malloc_trim(0);
    FILE *table = fopen("/proc/self/smaps", "re");
    while (table && fgets(line, sizeof line, table)) {
        if (read_mapping(line, &mapping)) {
            continue;
        }
        // Pages that were written (relocations) are anonymous: dropping those would lose them.
        struct text entry = text_of(line);
        if (mapping.is_file && text_starts_with(entry, TEXT("Anonymous:")) &&
            strtoul(line + sizeof "Anonymous:" - 1, NULL, 10) == 0) {
            // The address is the kernel's own word for a mapping of this process.
            (void)madvise((void *)mapping.start, mapping.end - mapping.start, MADV_DONTNEED);
        }
    }
    if (table) {
        (void)fclose(table);
    }
}
