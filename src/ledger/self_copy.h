// Keeps a hub's mirror in step with the hub's own log, as with that of any other site, so that one look-up in the index finds what the hub says too.
#ifndef LODE_LEDGER_SELF_COPY_H
#define LODE_LEDGER_SELF_COPY_H

#include "ledger/mirror.h"

struct self_copy;

enum { SELF_COPY_AGAIN_US = 5000000 }; // The pause after a failure.

struct self_copy_options {
    struct ledger *ledger;
    struct mirror *mirror;
    const struct signing_key *key; // That signs the log.
    // Told of failures, after which it tries again. Its own thread. May be NULL.
    void (*report)(void *context, const struct error *error);
    void *context;
    int64_t again_us; // 0: SELF_COPY_AGAIN_US.
};
// Starts a thread, which brings the copy up to the log at once.
enum status self_copy_start(const struct self_copy_options *options, struct self_copy **out,
                            struct error *error);
// Ends the thread, while log, mirror and store still work. The other functions may still be called. NULL is allowed.
void self_copy_stop(struct self_copy *copy);
void self_copy_free(struct self_copy *copy); // NULL is allowed.

// The log has grown. Any thread.
void self_copy_wake(struct self_copy *copy);

// Has the index all of the log, with what was committed just now? Memory only; any thread; while log and mirror are open.
bool self_copy_is_current(const struct self_copy *copy);

#endif
