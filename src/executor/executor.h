// A way of obtaining execution: this machine's workers; later a batch system, a peer site, a program outside.
//
// An executor never runs tasks. It sees to it that there are workers, which lease tasks from the site like any other.
#ifndef LODE_EXECUTOR_EXECUTOR_H
#define LODE_EXECUTOR_EXECUTOR_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct executor;

// What an executor needs to know. All strings are copied.
struct executor_options {
    const char *program;   // Path of `lode`.
    const char *directory; // A folder of its own, which exists.
    const char *
        site_file; // {"url", "fingerprint"} of the site, which workers read again when they lose it.
    const char *token_file; // A token of role worker.
    const char *name;       // What its workers call themselves.
    int64_t cpus;           // To offer.
    const char *sandbox;    // "bubblewrap" or "none".
    const char *key_path;   // The site's own (PEM): it shows it to others. Of the link alone.
    const char *certificate_path;
    // Told, on a thread of the executor, what keeps it from having workers, in words (`change`: what would help); both are ""
    // once it has some. NULL: not told.
    void (*report)(void *context, const char *problem, const char *change);
    // Told, on a thread of the executor, that a worker's process has ended, and how: "killed by signal 9". NULL: not told.
    void (*ended)(void *context, int64_t process, const char *how);
    void *context; // Of both.
};

struct executor_ops {
    const char *name; // "local"
    // Starts to obtain workers; *out is running. Errors: what can be seen to be wrong at once.
    enum status (*start)(const struct executor_options *options, struct executor **out,
                         struct error *error);
    // Lets the workers end in order, for up to `grace_us`, and frees. NULL is allowed.
    void (*stop)(struct executor *executor, int64_t grace_us);
};

// One worker process for all cores of this machine, started again when it dies. A worker that outlived an earlier life of the
// site serves on, is watched over like one of its own and ends with the site; no second one is started beside it.
extern const struct executor_ops EXECUTOR_LOCAL;

// One process that takes the jobs that are to run at other sites there. Of the options it needs no name, cpus and sandbox. It too may
// outlive a life of the site.
extern const struct executor_ops EXECUTOR_LINK;

#endif
