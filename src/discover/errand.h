// Something done on a thread of its own because it may hang, such as a question on a bus that nobody serves: who waits for it can
// leave it behind.
#ifndef LODE_DISCOVER_ERRAND_H
#define LODE_DISCOVER_ERRAND_H

#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct errand;

struct errand_work {
    const char *name; // Of the thread, up to 15 bytes.
    void (*run)(void *context);
    // With the errand's lock held: it is to end, if it can be reached where it waits.
    void (*wake)(void *context);
    void (*discard)(void *context); // Frees the context, after the last use of it.
};

// Starts it. `context` is the errand's from then on, unless this fails; what both sides use of it is guarded by the errand's lock. *out is set before the thread begins, so it may be
// a part of the context.
enum status errand_start(const struct errand_work *work, void *context, struct errand **out,
                         struct error *error);

void errand_lock(struct errand *errand);
void errand_unlock(struct errand *errand);

// With the lock held: wakes who waits in errand_wait; waits for that, or for `until_us` on the steady clock (false: that time has come).
void errand_notify(struct errand *errand);
bool errand_wait(struct errand *errand, int64_t until_us);

// With the lock held: has it been left? Then its thread is to end.
bool errand_is_left(const struct errand *errand);

// Has it end, and waits `grace_us` for that. If it hangs longer, it is left behind: its thread frees what it holds if it ever comes back, and
// ends with the program otherwise. The errand is not to be used after this.
void errand_leave(struct errand *errand, int64_t grace_us);

#endif
