// What runs in a task may ask its site for its job's inputs, and send it blobs, with a token that is bound to one lease.
//
// A token says what it is for (lease, job, range of tasks) under a seal that covers the worker's principal too. Nothing of it is stored: it is good while that worker
// holds that lease, which a table in memory knows, and so it ends with the lease. The table has its own lock, so a look-up waits for nobody.
#ifndef LODE_QUEUE_TASK_ACCESS_H
#define LODE_QUEUE_TASK_ACCESS_H

#include "base/arena.h"
#include "crypto/digest.h"

struct queue;

enum {
    TASK_TOKEN_SIZE = 160,  // "lode_task_LEASE.JOB.FROM.TO." and 64 hexadecimal digits, NUL.
    TASK_BLOBS_MAX = 10000, // That the tasks of one lease send.
};
// Bytes of them, where the job says no limit of disk space, which is the limit otherwise.
#define TASK_BLOB_BYTES_DEFAULT (INT64_C(10) << 30)

struct task_access {
    int64_t lease;
    int64_t job;
    int64_t from; // Of the lease when it was given.
    int64_t to;
};

// Has it the form of a task's token? No other token has.
bool task_token_is_one(struct text bearer);

// DENIED, without repeating the text: malformed, or its lease has ended. Any thread; does not block.
enum status task_access_find(struct queue *queue, struct text bearer, struct task_access *out,
                             struct error *error);

// Counts what the tasks of the lease send. QUOTA when it is too much, DENIED when the lease has ended. Any thread; does not block.
enum status task_access_spend(struct queue *queue, const struct task_access *access, int64_t blobs,
                              int64_t bytes, struct error *error);

// What it counted came to nothing.
void task_access_give_back(struct queue *queue, const struct task_access *access, int64_t blobs,
                           int64_t bytes);

// Is the blob a file of the job, or the list of its items? Blocks for the database. NOT_FOUND: there is no such job.
enum status task_access_has_blob(struct queue *queue, int64_t job, const struct digest *blob,
                                 bool *out, struct error *error);

// The identifiers of the job's datasets, in the arena. Blocks for the database. NOT_FOUND.
enum status task_access_data(struct queue *queue, int64_t job, struct arena *arena,
                             const char ***ids, size_t *count, struct error *error);

#endif
