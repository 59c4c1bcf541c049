// The one worker for a site that an account has on this machine by way of a helper: started, looked at, ended.
#ifndef LODE_PROGRAMS_HELPER_KEPT_WORKER_H
#define LODE_PROGRAMS_HELPER_KEPT_WORKER_H

#include "helper/account.h"
#include "helper/message.h"

// What is known of it. The texts are on the heap; NULL: not known.
struct kept_worker {
    const char *state; // As in `struct helper_answer`.
    char *directory;
    char *name;
    struct fingerprint key; // Empty: it has none yet.
    int64_t pid;
};

void kept_worker_done(struct kept_worker *worker);

// Does what the request asks for, as the account that this process runs as; `path` is the PATH of a worker that it starts. What is known of the worker stands in *out
// in every case; give it to kept_worker_done.
enum status kept_worker_do(const struct helper_request *request, const struct account *account,
                           const char *path, struct kept_worker *out, struct error *error);

#endif
