// Child processes: started with exactly the descriptors that they are given.
#ifndef LODE_OS_PROCESS_H
#define LODE_OS_PROCESS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROCESS_DESCRIPTORS_MAX = 16 };

struct process_options {
    const char *program;      // A path.
    char *const *arguments;   // NULL-terminated, with the name of the program first.
    char *const *environment; // NULL-terminated.
    const int *
        descriptors; // The child's descriptors 0, 1, 2, ... are copies of these; no others reach it.
    size_t descriptor_count;
    const int
        *join_fds; // Of cgroup_join_fds: the child enters these cgroups before the program starts.
    size_t join_count;
    bool dies_with_parent; // SIGKILL when the thread that started it ends.
    bool has_own_session;  // Without a terminal, and out of reach of the signals of one (setsid).
    bool
        is_left_alone; // Entering a cgroup can take milliseconds: do not wait for the program's start.
};

// Starts a program with default signals, in a process group of its own. *pid is the caller's to wait for. Errors of the
// start itself (no such program) are returned, not left to the child's exit status. With is_left_alone they are written to
// what is the child's standard error instead.
enum status process_start(const struct process_options *options, pid_t *pid, struct error *error);

// The path of the program that runs here; heap string, NULL when it cannot be found out.
char *process_program(void);

// Has it ended? Then *status is as waitpid gives it. `is_waiting`: waits until it has.
bool process_has_ended(pid_t pid, bool is_waiting, int *status);

// Gives back free heap, and the pages of programs and libraries that are not in use just now: clean copies of files, which come back
// by themselves when they are touched. For a program that starts to idle: libraries that others brought along are most of it.
void process_trim_memory(void);

#endif
