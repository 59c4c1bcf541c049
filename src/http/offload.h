// A small pool of threads for work that can block, away from the event loops.
#ifndef LODE_HTTP_OFFLOAD_H
#define LODE_HTTP_OFFLOAD_H

#include "base/status.h"

struct offload;

struct offload_options {
    const char *name; // Of its threads, up to 15 bytes; static.
    unsigned threads;
    int steps_back; // Of niceness, see thread_stand_back.
};

enum status offload_new(const struct offload_options *options, struct offload **out,
                        struct error *error);

// Runs `run(context)` on one of the threads; in order of arrival, but several at once.
void offload_run(struct offload *offload, void (*run)(void *context), void *context);

// Finishes what was given to it and ends its threads; what is given to it from then on is dropped.
void offload_stop(struct offload *offload);

// Frees it after stopping it. Takes NULL.
void offload_free(struct offload *offload);

#endif
