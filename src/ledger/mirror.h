// Copies of other sites' logs, verified as they come, and the index of what all of them say: what makes a site a hub.
//
// The batches are in the store, as they came; the index (store/ordered.h) is derived from them, knows how far it is, and catches up after
// a crash. A batch is acknowledged once it is durable in the store.
#ifndef LODE_LEDGER_MIRROR_H
#define LODE_LEDGER_MIRROR_H

#include "ledger/ledger.h"

struct mirror;

enum { MIRROR_SITES_MAX = 100000 };
#define MIRROR_LOG_SIZE_MAX                                                                        \
    (INT64_C(32) << 30) // Of one site, unless something else is said: some 50 million entries.

struct mirror_options {
    struct store *store;      // Opened with LEDGER_MIGRATIONS; borrowed.
    const char *index_folder; // DIRECTORY/index
    // Called on the writer's thread after a log was brought forward. May be NULL.
    void (*advanced)(void *context, const struct fingerprint *site);
    // Told of failures of the index, from which it recovers (now or at the next start) as the logs are in the store. Any thread. May be NULL.
    void (*report)(void *context, const struct error *error);
    void *context;
    int64_t
        log_size_max; // Bytes of one site's log, with what is left of older epochs; 0: MIRROR_LOG_SIZE_MAX.
};
// An index that is behind the store is brought up to it by a thread of the mirror's own; one that is damaged is made anew.
enum status mirror_open(const struct mirror_options *options, struct mirror **out,
                        struct error *error);
// When no call is under way any more, and before the store is closed. NULL is allowed.
void mirror_close(struct mirror *mirror);

// How far the copy of the site's log is; epoch 0 when there is none. Any thread.
struct ledger_position mirror_position(struct mirror *mirror, const struct fingerprint *site);

// Has the index what the site's log has up to this position? Memory only; any thread.
bool mirror_has_indexed(struct mirror *mirror, const struct fingerprint *site,
                        const struct ledger_position *position);

// The site's log is known to go to here, by a head or heartbeat that was verified; NULL: it may go further than what is here, and is to say how far. A site that is new in the
// mirror is none that something is expected of. Memory only; any thread.
void mirror_expect(struct mirror *mirror, const struct fingerprint *site,
                   const struct ledger_position *position);
void mirror_expect_nothing(struct mirror *mirror, const struct fingerprint *site);
// Of how many sites the index has not all that is expected, or that the store has: what it finds may be incomplete while that is not 0. One look at memory; any thread.
int64_t mirror_lacking(const struct mirror *mirror);
// Is this site one of them?
bool mirror_lacks(struct mirror *mirror, const struct fingerprint *site);

// Takes batches (NDJSON) of the log of the site whose key this is. Blocks for the commit; any thread but the writer's; different sites side by side. *out (may be NULL) gets the
// position afterwards, in every case. Batches or parts that are here already are skipped. CONFLICT when there is a gap (ask or push from *out on);
// CORRUPT, naming site, epoch and serial, for everything that is a lie or damage: see "What a receiver refuses"; QUOTA when the log is larger than log_size_max. Batches before the bad one stay taken.
enum status mirror_take(struct mirror *mirror, const struct public_key *key, struct text batches,
                        struct ledger_position *out, struct error *error);

// Is a signed head (`head` or `heartbeat`) of the site's log in order with the copy that is here? OK too when it is beyond that. CORRUPT for a signature that
// does not fit, an epoch before the present one, or another head at a serial that was taken; INVALID for what is no head.
enum status mirror_check_head(struct mirror *mirror, const struct public_key *key,
                              const json_t *head, struct error *error);

// Batches as in ledger_read_batches, as they came but for small ones, which are joined under the last one's head. NOT_FOUND for a site without a copy.
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
    int64_t entries;        // In the logs.
    int64_t entries_behind; // Of these, not in the index yet.
    int64_t index_size_bytes;
};
struct mirror_figures mirror_figures(struct mirror *mirror);

#endif
