// The writer of a store: one thread that commits what all others want written, as much as has gathered at a time.
//
// While one commit waits for the disk the next batch gathers, so the cost of a sync is shared by all who wait for it.
// The functions are those of store.h, which says their contracts.
#ifndef LODE_STORE_WRITER_H
#define LODE_STORE_WRITER_H

#include "store/store.h"

struct writer;

// The connection stays the caller's and is the writer's alone until writer_stop.
enum status writer_start(struct sql *sql, struct writer **out, struct error *error);
// Commits what was asked before, ends the thread and frees. NULL is allowed.
void writer_stop(struct writer *writer);

void writer_add(struct writer *writer, store_write_fn *write, store_done_fn *done, void *context);
enum status writer_add_wait(struct writer *writer, store_write_fn *write, void *context,
                            struct error *error);
void writer_on_recover(struct writer *writer, store_write_fn *recover, void *context);
void writer_every(struct writer *writer, int64_t interval_us, store_write_fn *check, void *context);
struct store_figures writer_figures(struct writer *writer);

#endif
