// A worker: takes leases of a site's tasks, runs them in sandboxes, and reports.
#ifndef LODE_WORKER_WORKER_H
#define LODE_WORKER_WORKER_H

#include "base/status.h"
#include "worker/gpu_names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKER_SERVE_AUTO                                                                          \
    "auto" // Or "auto:PORT": at the address of this machine that leads to the site.
#define WORKER_SERVE_NONE "none"

// What the site says to a worker that comes.
enum worker_welcome {
    WORKER_REGISTERED,
    WORKER_PENDING, // Its key is to be accepted by an operator first; said once.
};

struct worker_options {
    const char *site;        // "https://127.0.0.1:7733"; with site_file it may be NULL.
    const char *fingerprint; // Of the site's key.
    const char
        *site_file; // JSON {"url", "fingerprint"}, read again at each new connection; or NULL.
    const char *token_file; // NULL: the key below says who it is.
    const char *key_path;   // PEM; shown to the site as the client's certificate. NULL: none.
    const char *certificate_path;
    const char *directory; // Everything of this worker is in here.
    const char *name;
    const char *groups;  // That it works for, in order: "physics,spare"; NULL: for all.
    const char *runner;  // Path of lode-runner.
    const char *program; // Path of lode, which unpacks software.
    // Where other workers of the site get its fetched files, or one of the words above. NULL: as auto, for those of its own zone or network, once it
    // has some; a worker on the site's machine, or that reads a site_file, serves nobody then.
    const char *serve_address;
    const char *const *labels; // "NAME=VALUE" or "NAME".
    size_t label_count;
    struct gpu_names gpus; // That it offers.
    double cpus;
    int64_t memory_bytes;
    int64_t cache_bytes; // For inputs that it fetches; -1: half of the disk that is free.
    int64_t grace_us;    // A site that is away for so long ends the worker.
    int64_t lifetime_us; // After which it is to be gone; 0: it stays.
    int64_t notice_us;   // That running tasks have from the warning to their end.
    int warning_signal; // By which a batch system says that it will end the worker soon; 0: SIGUSR1 and SIGUSR2 both say that.
    int64_t warning_us; // How long after it.
    bool has_sandbox;   // false: --sandbox none
    // Called with what the site says, each time; NULL: nobody wants to know.
    void (*on_welcome)(enum worker_welcome welcome);
};

// Serves until its end: after its lifetime, when its site so orders, SIGTERM or SIGINT; before that it gives back what does not end: OK. A site that has not accepted the worker's key yet
// is asked again until it has. CONFLICT: another worker serves in this
// directory, and nothing was done. DENIED: the site refuses the token, the key, or the name with this key; or it shows another key itself. UNSUPPORTED: no sandbox can be made here. UNAVAILABLE: the site was away for longer than the grace. The calling program has one
// thread.
enum status worker_run(const struct worker_options *options, struct error *error);

#endif
