// The inside of the known workers: known_workers.c reads, matches and lists them, known_workers_change.c changes them.
#ifndef LODE_IDENTITY_KNOWN_WORKERS_TABLE_H
#define LODE_IDENTITY_KNOWN_WORKERS_TABLE_H

#include "identity/worker_index.h"

#include <pthread.h>
#include <stdio.h>

struct known_workers {
    pthread_rwlock_t lock; // Guards the index; only the writer's thread changes it.
    struct worker_index index;
    bool is_open;
    int64_t
        full_said_us; // Of the writer's thread: when one that is pending pushed out another and was worth a word.
};

static inline void copy_text(char *out, size_t size, struct text text)
{
    (void)snprintf(out, size, "%.*s", TEXT_ARGS(text));
}

#endif
