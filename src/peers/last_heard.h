// When each site was last heard, kept over restarts: nothing is written on a heartbeat, but now and then for all that were heard since or have fallen silent, and at a stop.
#ifndef LODE_PEERS_LAST_HEARD_H
#define LODE_PEERS_LAST_HEARD_H

#include "peers/state.h"

enum {
    LAST_HEARD_FIRST_US = 60000000,  // After the start.
    LAST_HEARD_EVERY_US = 300000000, // So much may be missing after a crash.
    LAST_HEARD_BATCH_MAX = 1000,     // Sites in one write,
    LAST_HEARD_BETWEEN_US = 1000000, // and the pause until the next.
};

// Hands what changed since the last time, or a part of it, to the store's writer when that is due at `now_us`, without waiting; returns when it is next. On the thread of peers.
int64_t last_heard_run(struct peers *peers, int64_t now_us);
// The same at once, and waits for the commits.
enum status last_heard_save(struct peers *peers, struct error *error);
// At the open, when the sites are known.
enum status last_heard_load(struct peers *peers, struct error *error);

#endif
