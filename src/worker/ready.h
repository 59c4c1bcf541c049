// The results of one lease that wait to be reported, as JSON, in parts that are small enough for a poll.
//
// The site refuses a poll that is too long or says too much, and a worker that sent the same again would do so for ever: however
// much waits, a poll takes a part of it.
#ifndef LODE_WORKER_READY_H
#define LODE_WORKER_READY_H

#include "base/buffer.h"

enum {
    READY_PART_BYTES = 1 << 20, // A part ends with the entry that makes it so long,
    READY_PART_ENTRIES = 1000,  // or with so many.
};

struct ready_part {
    size_t length; // From the beginning of the text to the part's end.
    int64_t to;
};

// All zero: nothing waits.
struct ready {
    struct buffer text;       // Entries with commas between.
    int64_t to;               // Index after the last task that an entry tells of.
    struct ready_part *parts; // The complete ones, in order; the rest of the text is one more.
    size_t part_count;
    size_t part_capacity;
    size_t entries;     // Since the last complete part.
    size_t sent_length; // How much of the text is under way; 0: nothing.
    int64_t sent_to;
};

void ready_done(struct ready *ready);
// One more entry; it tells of the tasks before `to`.
void ready_add(struct ready *ready, struct text entry, int64_t to);
// The first part, which is under way from now on; empty when nothing waits. Borrowed until the next change.
struct text ready_send(struct ready *ready);
// What is under way has arrived: it is forgotten, *to is the index after its last task. False when nothing is.
bool ready_settle(struct ready *ready, int64_t *to);
// What is under way did not arrive: it waits again.
void ready_unsend(struct ready *ready);

#endif
