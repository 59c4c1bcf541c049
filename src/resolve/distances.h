// How far the sites are that answers name: measured in the background where nobody knows it, by two small calls over one connection, of which the second counts.
//
// All that is held is bounded; a site is measured again at the earliest after DISTANCE_AGAIN_US, whatever came of it.
#ifndef LODE_RESOLVE_DISTANCES_H
#define LODE_RESOLVE_DISTANCES_H

#include "resolve/resolve.h"

struct distances;

enum {
    DISTANCES_MAX = 1024,          // Sites that are remembered; the oldest makes room.
    DISTANCES_AT_ONCE_MAX = 8,     // Measured at the same time.
    DISTANCES_WANTED_MAX = 16,     // Of one answer.
    DISTANCES_WAITING_MAX = 2,     // Threads that wait at the same time.
    DISTANCE_AGAIN_US = 600000000, // After that a site is measured again when it is named.
    DISTANCE_TIMEOUT_US = 2000000, // Of each call.
};

// Calls are made with the key and certificate in `directory`. `note` is told of each measurement, on the thread of the distances.
struct distances *distances_new(const char *directory,
                                void (*note)(void *context, const struct fingerprint *site,
                                             int64_t rtt_us),
                                void *context);
// Ends what is under way. NULL is allowed.
void distances_free(struct distances *distances);

// -1: not known. Any thread; memory only.
int64_t distances_find(struct distances *distances, const struct fingerprint *site);

struct distance_target {
    struct fingerprint site;
    char url[RESOLVE_URL_SIZE];
};
// Has them measured, those apart that were lately, and waits until that is done, at most until `until_us` (steady clock; 0: does not wait). While
// DISTANCES_WAITING_MAX others wait, or the first one starts it all, it does not.
void distances_want(struct distances *distances, const struct distance_target *targets,
                    size_t count, int64_t until_us);

#endif
