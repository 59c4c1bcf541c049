// Those who wait for the feed to go on.
#ifndef LODE_PEERS_WATCH_H
#define LODE_PEERS_WATCH_H

#include "peers/state.h"

// The feed has gone on: the thread will wake all. With the lock held.
void watch_wake(struct peers *peers);

// On the thread of peers, without the lock: wakes those whose time has come; when the next one's comes (INT64_MAX: none waits).
int64_t watch_run(struct peers *peers, int64_t now_us);

// Forgets all without waking them.
void watch_free(struct peers *peers);

#endif
