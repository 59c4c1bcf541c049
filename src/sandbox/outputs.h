// The files that a task leaves for its user: found by patterns below its working folder, and opened.
#ifndef LODE_SANDBOX_OUTPUTS_H
#define LODE_SANDBOX_OUTPUTS_H

#include "base/arena.h"
#include "base/status.h"

#include <stdint.h>

enum {
    OUTPUTS_MAX = 10000,
    OUTPUTS_LIST_MAX =
        3
        << 20, // Bytes of the list of a task's outputs in its result: a poll must have room for it.
    OUTPUTS_VISITED_MAX = 1 << 20,
    OUTPUTS_WAITING_MAX = 16 << 20, // Bytes of the paths of folders that are still to be visited.
    OUTPUTS_PATH_MAX = 4096,
};

struct output {
    const char *path; // Below the working folder.
    int fd;           // Its content; nobody else can change it any more.
    int64_t size;
    int64_t mode; // Permission bits.
};

// In the arena; each descriptor is the caller's to close.
struct outputs {
    struct output *items;
    size_t count;
    size_t capacity;
};

struct outputs_wanted {
    const char *const *patterns; // As text_matches_glob.
    size_t pattern_count;
    const char *const
        *ignored; // Names at the top of the folder that are the job's own; NULL-terminated.
};

// Finds the regular files that match one of the patterns and opens them. All processes of the task have ended, and nobody else can
// write there: the contents stay as they are, even when the folder is emptied afterwards. A symbolic link counts as the file that it
// leads to when that is below the working folder; others are left out. QUOTA: too many files, or names that are too long in all.
enum status outputs_collect(int work_fd, const struct outputs_wanted *wanted, struct arena *arena,
                            struct outputs *out, struct error *error);
void outputs_close(struct outputs *outputs);

#endif
