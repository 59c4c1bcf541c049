// The thread that removes blobs which nobody has named (store/sweep.h): soon after the start, then every hour, in small turns.
#ifndef LODE_PROGRAMS_SITE_SWEEPER_H
#define LODE_PROGRAMS_SITE_SWEEPER_H

#include "store/blobs.h"
#include "store/store.h"

struct sweeper;

// Both are borrowed until it has stopped.
enum status sweeper_start(struct store *store, struct blobs *blobs, struct sweeper **out,
                          struct error *error);
// NULL is allowed.
void sweeper_stop(struct sweeper *sweeper);

#endif
