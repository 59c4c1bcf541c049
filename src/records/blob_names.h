// By what the database names blobs: the files, items and software of jobs, what tasks printed and left, answers, checkpoints of tasks that have not ended. A new column that
// names blobs must be read here, or they are removed.
#ifndef LODE_RECORDS_BLOB_NAMES_H
#define LODE_RECORDS_BLOB_NAMES_H

#include "store/store.h"
#include "store/sweep.h"

enum { BLOB_NAMES_ROWS = 1000 }; // Read at once.

// How far the reading is. All zero: at its beginning.
struct blob_names {
    int table;
    int64_t job;
    int64_t index;
    bool has_row; // Those are of the last row that was read.
};

// Tells the sweep of the names in the next rows; *is_over: there are no more. Blocks for the database.
enum status blob_names_read(struct store *store, struct blob_names *names, struct sweep *sweep,
                            bool *is_over, struct error *error);

#endif
