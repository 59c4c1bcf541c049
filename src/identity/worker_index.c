#include "identity/worker_index.h"

#include "base/memory.h"

void worker_index_init(struct worker_index *index)
{
    *index = (struct worker_index){.by_key = map_new(), .by_name = map_new(), .pending = map_new()};
}

void worker_index_done(struct worker_index *index)
{
    size_t at = 0;
    for (struct worker_entry *entry; (entry = map_next(index->by_key, &at)) != NULL;) {
        free(entry);
    }
    map_free(index->by_key);
    map_free(index->by_name);
    map_free(index->pending);
}

struct worker_entry *worker_index_find(const struct worker_index *index, const char *key)
{
    return map_find_text(index->by_key, text_of(key));
}

struct worker_entry *worker_index_owner(const struct worker_index *index, const char *name)
{
    return map_find_text(index->by_name, text_of(name));
}

// Another accepted one may have the same name, by the word of an authority.
static struct worker_entry *find_namesake(const struct worker_index *index,
                                          const struct worker_entry *leaving)
{
    size_t at = 0;
    if (leaving->worker.trust != KNOWN_WORKER_BY_AUTHORITY) {
        return NULL;
    }
    for (struct worker_entry *entry; (entry = map_next(index->by_key, &at)) != NULL;) {
        if (entry != leaving && entry->worker.state == KNOWN_WORKER_ACCEPTED &&
            strcmp(entry->worker.name, leaving->worker.name) == 0) {
            return entry;
        }
    }
    return NULL;
}

// Takes it out of what its state put it into.
static void unlist(struct worker_index *index, const struct worker_entry *entry)
{
    const struct known_worker *worker = &entry->worker;
    if (worker->state == KNOWN_WORKER_PENDING) {
        (void)map_set_text(index->pending, text_of(worker->key.text), NULL);
    }
    if (worker_index_owner(index, worker->name) == entry) {
        (void)map_set_text(index->by_name, text_of(worker->name), find_namesake(index, entry));
    }
    index->automatic_count -= known_worker_is_automatic(worker) ? 1 : 0;
}

static void enlist(struct worker_index *index, struct worker_entry *entry)
{
    const struct known_worker *worker = &entry->worker;
    if (worker->state == KNOWN_WORKER_PENDING) {
        (void)map_set_text(index->pending, text_of(worker->key.text), entry);
    }
    if (worker->state == KNOWN_WORKER_ACCEPTED) {
        (void)map_set_text(index->by_name, text_of(worker->name), entry);
    }
    index->automatic_count += known_worker_is_automatic(worker) ? 1 : 0;
}

void worker_index_put(struct worker_index *index, const struct known_worker *worker)
{
    struct worker_entry *entry = worker_index_find(index, worker->key.text);
    if (entry) {
        unlist(index, entry);
    } else {
        entry = NEW(struct worker_entry);
        (void)map_set_text(index->by_key, text_of(worker->key.text), entry);
    }
    entry->worker = *worker;
    atomic_store(&entry->seen_us, worker->seen_us);
    enlist(index, entry);
}

void worker_index_remove(struct worker_index *index, const char *key)
{
    struct worker_entry *entry = worker_index_find(index, key);
    if (entry) {
        unlist(index, entry);
        (void)map_set_text(index->by_key, text_of(key), NULL);
        free(entry);
    }
}

static struct worker_entry *older(struct worker_entry *a, struct worker_entry *b)
{
    return !a || atomic_load(&b->seen_us) < atomic_load(&a->seen_us) ? b : a;
}

struct worker_entry *worker_index_oldest_pending(const struct worker_index *index)
{
    struct worker_entry *oldest = NULL;
    size_t at = 0;
    for (struct worker_entry *entry; (entry = map_next(index->pending, &at)) != NULL;) {
        oldest = older(oldest, entry);
    }
    return oldest;
}

struct worker_entry *worker_index_oldest_automatic(const struct worker_index *index)
{
    struct worker_entry *oldest = NULL;
    size_t at = 0;
    for (struct worker_entry *entry; (entry = map_next(index->by_key, &at)) != NULL;) {
        if (known_worker_is_automatic(&entry->worker)) {
            oldest = older(oldest, entry);
        }
    }
    return oldest;
}

struct known_worker worker_entry_copy(const struct worker_entry *entry)
{
    struct known_worker copy = entry->worker;
    copy.seen_us = atomic_load(&entry->seen_us);
    return copy;
}
