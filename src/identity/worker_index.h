// The known workers in memory, found by key and, those who are accepted, by name; for known_workers_table.h, which has the lock.
#ifndef LODE_IDENTITY_WORKER_INDEX_H
#define LODE_IDENTITY_WORKER_INDEX_H

#include "base/map.h"
#include "identity/known_workers.h"

#include <stdatomic.h>

struct worker_entry {
    struct known_worker worker; // Its seen_us is that of the database.
    _Atomic int64_t seen_us;
};

struct worker_index {
    struct map *by_key; // Owns the entries.
    struct map
        *by_name; // Accepted ones; of several with one name, which an authority may make, any.
    struct map *pending;    // By key.
    size_t automatic_count; // Accepted by an authority or by openness.
};

void worker_index_init(struct worker_index *index);
void worker_index_done(struct worker_index *index);

// Adds the worker, or replaces what was known of its key.
void worker_index_put(struct worker_index *index, const struct known_worker *worker);
void worker_index_remove(struct worker_index *index, const char *key);

// NULL when there is none.
struct worker_entry *worker_index_find(const struct worker_index *index, const char *key);
// Whose name it is.
struct worker_entry *worker_index_owner(const struct worker_index *index, const char *name);

// The one that was not seen for longest, of those pending or of those accepted without an operator's word; NULL: there is none.
struct worker_entry *worker_index_oldest_pending(const struct worker_index *index);
struct worker_entry *worker_index_oldest_automatic(const struct worker_index *index);

// A copy with the newest time.
struct known_worker worker_entry_copy(const struct worker_entry *entry);

static inline bool known_worker_is_automatic(const struct known_worker *worker)
{
    return worker->state == KNOWN_WORKER_ACCEPTED && (worker->trust == KNOWN_WORKER_BY_AUTHORITY ||
                                                      worker->trust == KNOWN_WORKER_BY_OPENNESS);
}

#endif
