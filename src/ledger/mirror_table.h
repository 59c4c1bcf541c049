// The sites whose logs a hub has, by fingerprint and by number, and who may bring a log forward.
#ifndef LODE_LEDGER_MIRROR_TABLE_H
#define LODE_LEDGER_MIRROR_TABLE_H

#include "base/map.h"
#include "ledger/mirror_index.h"
#include "ledger/mirror_store.h"

#include <pthread.h>
#include <stdatomic.h>

// Never freed before the table is.
struct mirror_site {
    uint32_t number;
    struct fingerprint site;
    // Guarded by the table's mutex; changed only by whoever has claimed the site.
    struct ledger_position position; // In the store.
    struct mirror_place indexed;
    int64_t size_bytes; // Of its batches in the store; -1: not counted yet.
    bool is_claimed;
    unsigned waiting; // For it to be claimed no more.
    // How far its log is known to go beyond what is here.
    enum { EXPECTS_NOTHING, EXPECTS_POSITION, EXPECTS_UNKNOWN } expects;
    int64_t expected_epoch;
    int64_t expected_serial;
    bool is_lacking; // It is counted in `lacking`.
};

struct mirror_table {
    pthread_mutex_t mutex; // Guards what follows, and the sites.
    pthread_cond_t freed;  // A site is claimed no more.
    struct map *sites;     // By fingerprint.
    struct mirror_site **numbered;
    size_t count; // Numbers are 1 to this one.
    size_t capacity;
    // Of how many sites something is not in the index that is in the store, or that is expected; changed under the mutex, read without it. While a site is claimed it
    // is counted as it was before: what is on its way into the index is not said to be here yet.
    _Atomic int64_t lacking;
};

void mirror_table_init(struct mirror_table *table);
void mirror_table_done(struct mirror_table *table);

// NULL when there is none.
struct mirror_site *mirror_table_find(struct mirror_table *table,
                                      const struct fingerprint *fingerprint);
struct mirror_site *mirror_table_at(struct mirror_table *table, size_t number);
// The highest number; how many there are.
size_t mirror_table_end(struct mirror_table *table);
size_t mirror_table_count(struct mirror_table *table);

// Adds the site, if it is not there; returns it.
struct mirror_site *mirror_table_add(struct mirror_table *table, const struct mirror_row *row);

// From here to mirror_site_release nobody else brings this site's log forward. `is_patient`: everybody else who waits goes first.
void mirror_site_claim(struct mirror_table *table, struct mirror_site *site, bool is_patient);
void mirror_site_release(struct mirror_table *table, struct mirror_site *site);

// For whoever has not claimed it.
struct ledger_position mirror_site_position(struct mirror_table *table,
                                            const struct mirror_site *site);
struct mirror_place mirror_site_indexed(struct mirror_table *table, const struct mirror_site *site);
// For whoever has.
void mirror_site_set_position(struct mirror_table *table, struct mirror_site *site,
                              const struct ledger_position *position);
void mirror_site_set_indexed(struct mirror_table *table, struct mirror_site *site,
                             const struct mirror_place *place);

// The site's log goes at least to here; NULL: it may go further than here, nobody has said yet. Then nothing of that any more. Anybody.
void mirror_site_expect(struct mirror_table *table, struct mirror_site *site,
                        const struct ledger_position *position);
void mirror_site_expect_nothing(struct mirror_table *table, struct mirror_site *site);
bool mirror_site_is_lacking(struct mirror_table *table, const struct mirror_site *site);

// Is the index not as far as the store? For whoever has claimed it.
static inline bool mirror_site_is_behind(const struct mirror_site *site)
{
    return site->indexed.epoch != site->position.epoch ||
           site->indexed.serial != site->position.serial;
}

#endif
