// Which program a job runs, and its digest: part of the record of every task.
#ifndef LODE_SANDBOX_EXECUTABLE_H
#define LODE_SANDBOX_EXECUTABLE_H

#include "sandbox/job.h"

struct executable_cache; // Digests by (device, inode, size, time of change).

struct executable_cache *executable_cache_new(void);
void executable_cache_free(struct executable_cache *executable_cache);

struct executable {
    const char *path;   // As the task sees it; "" when it is not known before the task runs.
    const char *digest; // "sha256:..." or "".
};

// Where the programs lie that tasks see.
struct executable_view {
    const char *search_path; // Unless the job says another one.
    const char *root;        // In place of the machine's, or at `prefix`; NULL: the machine's only.
    const char *prefix;      // NULL: the root takes the machine's place.
    const char *label; // Stands before the path of a program in such a root: "bundle:" or "oci:".
};

// Resolves the first word of the job's command as its tasks will: a file of the job, or a program of the machine along the job's
// PATH. The texts live in the arena.
struct executable executable_find(struct executable_cache *executable_cache, const struct job *job,
                                  const struct executable_view *view, struct arena *arena);

#endif
