// Where a job is to run, and what is known of its data there.
#ifndef LODE_PREPARE_DESTINATION_H
#define LODE_PREPARE_DESTINATION_H

#include "prepare/catalog_ops.h"

// A dataset as another site knows it. What it says goes into the job's identity and records as if it were registered here, by the
// same rules: so what is computed there is found in the cache here, and the other way round.
struct prepare_known_data {
    const char *id;         // As the job's document names it, in `data` or `over`.
    const char *registered; // The identifier that it was registered by there; NULL: the same.
    struct digest digest;   // Of its content.
    int64_t file_count;
    int64_t size_bytes;
    // Visits its files in order of path, as in struct prepare_catalog_ops; `source`, `inode` and `modified_us` are not needed. NULL: they
    // are not known, which does for data, and not for what the job runs over.
    enum status (*each_file)(void *context,
                             enum status (*visit)(void *visitor, const struct prepare_file *file,
                                                  struct error *error),
                             void *visitor, struct error *error);
    void *files_context;
};

// The offer that a job comes under, as it was made: an estimate, which reserves nothing. Kept in the job's document and its records.
struct prepare_offer {
    const char *id; // NULL: none.
    double core_hours;
    int64_t bytes; // That were to be brought there first.
};

// Where a job is to run.
struct prepare_destination {
    struct text place; // Fingerprint of the site; empty: here.
    // Its data, where that is not what this site's catalogue knows: of a job with a place, and of one that is held until its data has
    // been brought here. All that the job names.
    const struct prepare_known_data *data;
    size_t data_count;
    struct prepare_offer offer; // Of the place; or of this site, for a job that another one brings.
};

#endif
