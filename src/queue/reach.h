// Which workers get files from which: who is near whom, and who was not reached lately.
#ifndef LODE_QUEUE_REACH_H
#define LODE_QUEUE_REACH_H

#include "queue/state.h"

// Of one worker: what stood between it and others, one after another.
struct misses {
    int64_t last; // The other one, of the newest.
    int64_t count;
    int64_t at_us; // Steady time of the newest.
};

struct reach {
    char seen[QUEUE_ADDRESS_SIZE]; // The worker's address, as this site saw it last.
    struct misses given;           // Others did not reach it.
    struct misses taken;           // It did not reach others.
};

// The worker asks, from this address.
void reach_note(struct worker *worker, const char *address);

// Are they near each other? When both have a label `zone`, that says it. Else they are when their addresses are of one network (os/address.h), and
// nothing translates these between them and the site, or the same does. Both have asked.
bool reach_is_near(const struct worker *a, const struct worker *b);

// May the one be sent to the other for a file: is it near, or serves it everybody, and was it reached lately?
bool reach_may_give(const struct worker *holder, const struct worker *taker);
// The worker has reached none of several lately: it asks the site, for a while.
bool reach_is_alone(const struct worker *taker);

// The one was sent to the other, and has the file from there, or could not reach it.
void reach_note_end(struct worker *holder, struct worker *taker, bool has_reached);

#endif
