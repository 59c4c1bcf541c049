// The second look at the data of a job, once it has ended: was anything of it touched since the look at submission?
//
// The tasks of a job ran between the two looks. When both found the same, they read what was registered, and their results may answer
// later jobs for good, whatever is touched afterwards (the content is checked each time). Until then, and when they did
// not, results answer a job only while the data is exactly as the first look found it, untouched ever since. See prepare/cache.c.
#ifndef LODE_QUEUE_SECOND_LOOK_H
#define LODE_QUEUE_SECOND_LOOK_H

#include "prepare/catalog_ops.h"

struct queue;
struct second_looks;

// Starts the thread that looks. It borrows the queue, with its store and catalogue.
enum status second_looks_new(struct queue *queue, struct second_looks **out, struct error *error);
// Ends the thread: looks that are left, and those that are added later, are not made. NULL is allowed.
void second_looks_stop(struct second_looks *looks);
// Stopped or not; NULL is allowed.
void second_looks_free(struct second_looks *looks);
// Have the data of the job looked at that has ended at `finished_us`, which names this end of it (it may be tried again). Never blocks.
// When more wait than LOOKS_MAX, the look is not made.
void second_looks_add(struct second_looks *looks, int64_t job, int64_t finished_us);
// How the data of the job is now; nothing has been touched where it has none. Any failure when that cannot be told. Blocks.
enum status second_look_now(struct queue *queue, int64_t job, struct prepare_look *out);

#endif
