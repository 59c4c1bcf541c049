// A few threads that do what would hold up the one that hands it to them.
#ifndef LODE_OS_CREW_H
#define LODE_OS_CREW_H

#include "base/status.h"

struct crew;

enum { CREW_SIZE_MAX = 16 };

// `name` (up to 15 bytes) is what the system shows for each of the `size` threads.
enum status crew_start(const char *name, unsigned size, struct crew **out, struct error *error);
// Does what is left, ends the threads and frees. NULL is allowed.
void crew_stop(struct crew *crew);

// Calls run(context) on one of the threads. How much waits is bounded by those who call.
void crew_add(struct crew *crew, void (*run)(void *context), void *context);

#endif
