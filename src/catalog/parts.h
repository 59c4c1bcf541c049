// What the catalogue is made of, for its own files.
#ifndef LODE_CATALOG_PARTS_H
#define LODE_CATALOG_PARTS_H

#include "catalog/catalog.h"
#include "catalog/meter.h"
#include "catalog/watch.h"
#include "store/store.h"

#include <pthread.h>

// The way out of a dataset that is not as registered.
#define CHANGED_FIX                                                                                \
    "put the files back and look again with lode data verify, or register what is there now with " \
    "lode data verify --accept-changes"

struct catalog {
    struct catalog_options options;
    struct watches *watches;
    struct meter meter; // Of the survey under way.
    pthread_t registrar;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t ordered;
    int64_t running; // The dataset under survey; 0: none.
    bool is_ordered;
    bool is_stopping;
};

static inline enum status witness_write(const struct catalog_witness *witness, struct sql *sql,
                                        struct error *error)
{
    return witness->write ? witness->write(sql, witness->context, error) : OK;
}

#endif
