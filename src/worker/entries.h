// Elements of a JSON array that wait for the next poll, with commas between. Some of them may be under way in one already, while more come.
#ifndef LODE_WORKER_ENTRIES_H
#define LODE_WORKER_ENTRIES_H

#include "base/buffer.h"

// All zero: nothing waits.
struct entries {
    struct buffer text;
    size_t sent; // How much of the text is under way; 0: nothing.
};

void entries_done(struct entries *entries);
// Where one more element is to be appended; its comma is there already.
struct buffer *entries_add(struct entries *entries);
// All that wait: under way from now on. Borrowed until the next change.
struct text entries_send(struct entries *entries);
// What is under way has arrived, or is given up: it is forgotten.
void entries_settle(struct entries *entries);
// What is under way did not arrive: it waits again.
void entries_unsend(struct entries *entries);

#endif
