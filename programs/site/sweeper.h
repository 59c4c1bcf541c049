// The thread that removes blobs which nobody has named (store/sweep.h): first so long after the start that reports of before it have come, then every day, in turns.
#ifndef LODE_PROGRAMS_SITE_SWEEPER_H
#define LODE_PROGRAMS_SITE_SWEEPER_H

#include "store/blobs.h"
#include "store/store.h"

struct sweeper;

// Both are borrowed until it has stopped. `after_us`: to the first sweep.
enum status sweeper_start(struct store *store, struct blobs *blobs, int64_t after_us,
                          struct sweeper **out, struct error *error);
// NULL is allowed.
void sweeper_stop(struct sweeper *sweeper);

#endif
