// Copies of other sites' logs, verified as they come, and the index of what all of them say: what makes a site a hub.
//
// The batches are in the store, as they came; the index (store/ordered.h) is derived from them, knows how far it is, and catches up after
// a crash. A batch is acknowledged once it is durable in the store.
#ifndef LODE_LEDGER_MIRROR_H
#define LODE_LEDGER_MIRROR_H

#include "ledger/ledger.h"

struct mirror;

struct mirror_options {
    struct store *store;      // Opened with LEDGER_MIGRATIONS; borrowed.
    const char *index_folder; // DIRECTORY/index
    // Called on the writer's thread after a log was brought forward. May be NULL.
    void (*advanced)(void *context, const struct fingerprint *site);
    void *context;
};
enum status mirror_open(const struct mirror_options *options, struct mirror **out,
                        struct error *error);
void mirror_close(struct mirror *mirror); // NULL is allowed.

// How far the copy of the site's log is; epoch 0 when there is none. Any thread.
struct ledger_position mirror_position(struct mirror *mirror, const struct fingerprint *site);

// Takes batches (NDJSON) of the log of the site whose key this is. Blocks for the commit; any thread but the writer's; different sites side by side. *out (may be NULL) gets the
// position afterwards, in every case. Batches or parts that are here already are skipped. CONFLICT when there is a gap (ask or push from *out on);
// CORRUPT, naming site, epoch and serial, for everything that is a lie or damage: see "What a receiver refuses". Batches before the bad one stay taken.
enum status mirror_take(struct mirror *mirror, const struct public_key *key, struct text batches,
                        struct ledger_position *out, struct error *error);

// Batches as in ledger_read_batches, as they came.
enum status mirror_read_batches(struct mirror *mirror, const struct fingerprint *site,
                                int64_t epoch, int64_t after, struct buffer *out,
                                struct error *error);

// The last signed head that was taken of the site's log, canonical; NOT_FOUND.
enum status mirror_head(struct mirror *mirror, const struct fingerprint *site, struct buffer *out,
                        struct error *error);

// One entry that the index holds about a name: the latest of its site about that dataset.
struct mirror_entry {
    const struct fingerprint *site;
    uint32_t site_number; // Small, for tables; see mirror_site.
    struct text entry;    // Canonical, with its signature; borrowed for the visit.
};
// Visits the entries about the dataset of this name (normal form; id or alias, and what is an alias of the same), at most `max`. Microseconds as long as
// the pages are in memory; does not touch the store; any thread, several at once. Returns how many were visited.
size_t mirror_find(struct mirror *mirror, struct text name, size_t max,
                   void (*visit)(void *context, const struct mirror_entry *entry), void *context);

// The number under which a site stands in the index; made when it is new (durable). Never changes.
enum status mirror_site_number(struct mirror *mirror, const struct fingerprint *site, uint32_t *out,
                               struct error *error);

// For status and measurements.
struct mirror_figures {
    int64_t sites;
    int64_t entries; // In the logs.
    int64_t index_size_bytes;
};
struct mirror_figures mirror_figures(struct mirror *mirror);

#endif
