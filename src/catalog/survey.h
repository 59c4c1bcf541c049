// The survey of one dataset: walk its roots, then judge file by file, in durable batches.
//
// The walk notes each file that there is (bytes of it are not read); the judgement then goes through the noted files by path. Both can be
// repeated from the start at any time: what is registered with facts that fit is not read again, so that a survey that was
// interrupted goes on where it was. At most two threads read.
#ifndef LODE_CATALOG_SURVEY_H
#define LODE_CATALOG_SURVEY_H

#include "catalog/catalog.h"
#include "catalog/meter.h"

// What there is to do.
struct survey_order {
    int64_t dataset;
    int64_t serial; // The number of this survey: a later one makes it void.
    bool is_first;  // Registering; otherwise verifying.
    bool is_full;
    bool is_accepting; // What is found is registered; always so when registering.
};

// The first dataset that waits for a survey; NOT_FOUND when there is none.
enum status survey_next(struct store *store, struct survey_order *out, struct error *error);

// The text that stands for an order in the database.
const char *survey_work_name(bool is_first, bool is_full, bool is_accepting);

// Does it, writes down how it ended, and tells the publisher (may be NULL): OK also when files are amiss, which is the dataset's state then, and when the order is void. TIMEOUT
// when the meter's is_stopped was set; other failures are the store's, and it may be tried again.
enum status survey_run(struct store *store, const struct catalog_publisher *publisher,
                       const struct survey_order *order, struct meter *meter, struct error *error);

// Deletes what removed datasets left behind, a batch at a time; NOT_FOUND when there is nothing.
enum status survey_sweep(struct store *store, struct error *error);

#endif
