// Removes blobs that nobody has named: uploads that led to nothing, and what was named by checkpoints alone that are over. See store/blobs.h for why nothing else goes.
//
// A sweep goes through the store in batches: it gathers blobs that were not claimed for a day, has all names read, and removes those of its batch that have none. What it finds named
// for good it marks, so that each blob is looked at a few times in its life. So a folder that fills a batch is gathered from again, until nothing old is left; but when most of the
// batch stays as it is, the rest of that folder waits for the next sweep. It works in turns, on one thread: one gathers from one of the 256 folders, reading it whole and looking at
// each of its files, however many these are; one has some of the names read; one judges some blobs.
#ifndef LODE_STORE_SWEEP_H
#define LODE_STORE_SWEEP_H

#include "base/text.h"
#include "store/blobs.h"

#include <stdbool.h>
#include <stdint.h>

struct sweep;

enum { SWEEP_BATCH_MAX = 65536 };

// By what a blob is named.
enum blob_name {
    BLOB_NAMED,         // By something that stays.
    BLOB_NAMED_FOR_NOW, // By something that ends, such as a checkpoint.
};

struct sweep_ops {
    // Calls sweep_name and sweep_names for the next names there are; the first call of a batch has is_first. *is_over: there are no more. When it fails, the batch
    // is given up and nothing of it is removed.
    enum status (*read_names)(void *context, struct sweep *sweep, bool is_first, bool *is_over,
                              struct error *error);
    void *context;
    size_t batch_max; // 0: SWEEP_BATCH_MAX.
};

struct sweep_figures {
    int64_t removed;
    int64_t removed_bytes;
};

struct sweep *sweep_new(struct blobs *blobs, const struct sweep_ops *ops);
void sweep_free(struct sweep *sweep);
// Does the next turn, and says by *is_over that the store is through. The status is that of read_names, or of reading the store: the sweep goes on with what comes behind.
enum status sweep_turn(struct sweep *sweep, bool *is_over, struct error *error);
struct sweep_figures sweep_figures(const struct sweep *sweep);

// For read_names: one name, 32 bytes (of other lengths: none); all 64 hexadecimal digits in a row that stand in a text.
void sweep_name(struct sweep *sweep, enum blob_name name, struct text digest);
void sweep_names(struct sweep *sweep, enum blob_name name, struct text text);

#endif
