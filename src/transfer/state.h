// What the files of this folder share: a transfer in memory, and one copy under way.
#ifndef LODE_TRANSFER_STATE_H
#define LODE_TRANSFER_STATE_H

#include "base/arena.h"
#include "http/client.h"
#include "transfer/transfer.h"

#include <pthread.h>
#include <stdatomic.h>

enum transfer_state {
    TRANSFER_WAITING, // For its turn, or for the next attempt.
    TRANSFER_COPYING,
    TRANSFER_VERIFYING, // All files are here; the catalogue looks at them.
    TRANSFER_DONE,
    TRANSFER_FAILED,
    TRANSFER_CANCELLED,
};
enum { TRANSFER_NAME_MAX = 72 };

// Of these none can be taken back, as others may have ordered the same.
enum { TRANSFER_ORDERS_UNKNOWN = 0 };

// What the database has of a transfer, and what is more of one that has not ended.
struct transfer {
    struct transfer *next; // Of the list of those that have not ended.
    int64_t number;
    char *id;
    char *owner;
    char *wanted_site;    // A fingerprint, or "".
    char *wanted_content; // A digest, or "".
    enum transfer_state state;
    char source[TRANSFER_NAME_MAX]; // From where it comes, or came.
    char problem[ERROR_DETAIL_MAX + ERROR_FIX_MAX + 2];
    int64_t ordered_us;
    int64_t finished_us; // 0: it has not ended.
    int64_t files_total; // 0 until the list is here.
    int64_t bytes_total;
    // Of one that has not ended:
    _Atomic int64_t files_done;
    _Atomic int64_t bytes_done;
    int64_t round_began_us;     // Steady; for the rate.
    int64_t round_bytes;        // bytes_done then.
    int64_t version;            // Rises with each change that is no progress.
    int64_t next_try_us;        // Steady.
    int fruitless;              // Attempts without any progress, in a row.
    int64_t fruitless_since_us; // Steady; 0: there was no attempt yet.
    int64_t orders;             // Not taken back; TRANSFER_ORDERS_UNKNOWN after a restart.
    bool is_ordering;           // Its order is not durable yet: nobody is told of it.
    bool is_running;            // A thread has it.
    bool is_ending;             // Its end is being written.
    bool
        is_in_question; // Sites say different content of it, and none is named, or other content than the named one is here.
    _Atomic bool is_cancelled;
    bool has_digest; // It has begun to copy the content of that digest.
    struct digest digest;
};

struct transfer_waiter {
    struct transfer_waiter *next;
    int64_t number;
    int64_t version;
    int64_t deadline_us;
    void (*wake)(void *context);
    void *context;
};

struct transfers {
    struct store *store;
    char *directory;
    const struct transfer_ops *ops;
    void *context;
    pthread_mutex_t mutex; // Guards all below, and all plain members of the transfers in the list.
    pthread_cond_t changed;
    struct transfer *active;
    struct transfer_waiter *waiters;
    int64_t last_number;
    _Atomic bool is_stopping;
    bool is_waking_all;
    pthread_t threads[TRANSFERS_ACTIVE_MAX + 1]; // The last one wakes those who wait.
    size_t thread_count;
};

static inline void transfers_lock(struct transfers *transfers)
{
    (void)pthread_mutex_lock(&transfers->mutex);
}

static inline void transfers_unlock(struct transfers *transfers)
{
    (void)pthread_mutex_unlock(&transfers->mutex);
}

// When a transfer is given up. Who cannot be reached, or has nobody at the time who has it, may be there again tomorrow: a copy waits for him for a day, as a job that
// waits for it does. Who answers, and not with the data, has as many attempts.
enum { TRANSFER_FRUITLESS_MAX = 8 };
#define TRANSFER_PATIENCE_US INT64_C(86400000000)
bool transfer_is_hopeless(int fruitless, int64_t fruitless_us, enum status status);

// One attempt to copy from one source.
struct copying {
    struct transfers *transfers;
    struct transfer *transfer;
    const struct transfer_source *source;
    struct http_client *client;
    char *folder;     // DIRECTORY/replicas/<digest>
    int64_t heard_us; // When bytes last came, steady.
};

// Has the transfer been ended from outside, or is the site stopping?
static inline bool copying_is_over(const struct copying *copying)
{
    return atomic_load(&copying->transfers->is_stopping) ||
           atomic_load(&copying->transfer->is_cancelled);
}

// Moves the client's calls on for a moment. TIMEOUT when nothing has come for too long, CONFLICT when it is over.
enum status copying_wait(struct copying *copying, struct error *error);
// The source did not do what it was asked for: the error says which site that was. `code` is that of its answer, 0 without one.
void copying_blame_source(const struct copying *copying, int code, struct error *error);

// manifest.c: the list of files, `<sha256 hex> <size> <path>\n` by path, whose digest is the dataset's.
enum { MANIFEST_LINE_MAX = 64 + 1 + 20 + 1 + 4096 + 1 };
// Sees to it that FOLDER/manifest is there and right; counts files and bytes. CORRUPT when the source lists other data.
enum status manifest_ensure(struct copying *copying, int64_t *files, int64_t *bytes,
                            struct error *error);
struct manifest_file {
    int64_t number; // From 0.
    struct digest digest;
    int64_t size;
    char path[4097];
};
// Reads the next line; false at the end. *status tells of damage.
bool manifest_next(FILE *manifest, int64_t number, struct manifest_file *out, enum status *status,
                   struct error *error);

// files.c: brings all files of the manifest that are not here yet.
enum status files_copy(struct copying *copying, struct error *error);

// copying.c: one attempt over all sources. OK when everything is here and registered.
enum status copying_run(struct transfers *transfers, struct transfer *transfer,
                        struct error *error);
// Before it is ordered: is it here already? CONFLICT when what is meant cannot be known, or is not what is here.
enum status copying_check(struct transfers *transfers, struct transfer *transfer, bool *is_here,
                          struct error *error);

// replicas.c: removes what a crash has left of replicas that were going.
void replicas_remove_left(const struct transfers *transfers);

// document.c
const char *transfer_state_name(enum transfer_state state);
void transfer_write(const struct transfer *transfer, int64_t now_us, struct buffer *out);

// transfers.c
void transfer_free(struct transfer *transfer);
// With the mutex held: from the list of those that have not ended.
void transfer_take_off(struct transfers *transfers, const struct transfer *transfer);
// Notes a change of what is shown, and tells those who wait.
void transfer_note(struct transfers *transfers, struct transfer *transfer,
                   enum transfer_state state, const char *source, const struct error *problem);

#endif
