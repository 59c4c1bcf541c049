// Where is this data? Answers from the own catalogue, the index of a hub, other hubs, and memory, in that order.
//
// Every location carries the signed entry of the site that has the data. What comes from a hub is verified entry by entry before it is passed on or kept.
#ifndef LODE_RESOLVE_RESOLVE_H
#define LODE_RESOLVE_RESOLVE_H

#include "base/arena.h"
#include "ledger/mirror.h"

struct resolver;

enum {
    RESOLVE_LOCATIONS_MAX = 100,
    RESOLVE_TTL_SECONDS = 300,
    RESOLVE_UNKNOWN_TTL_SECONDS = 30,
    RESOLVE_ANSWER_SIZE_MAX = 4 << 20,
    RESOLVE_WAIT_US = 3000000, // For all hubs together.
};

// What is known of a site apart from its log: passed in by programs/ from peers.
struct resolve_site {
    struct fingerprint site;
    struct public_key key;
    const char *name;
    const char *url;
    const char *standing;
    const char *liveness; // "up" ...
    int liveness_rank;    // 0 is best.
    int64_t heard_seconds;
    int64_t load_permille;
    int64_t rtt_us; // -1: not measured.
    bool is_self;
};
struct resolve_hub {
    struct fingerprint site;
    char url[304];
    char name[72];
};
struct resolve_ops {
    // By the number in the index; hot. The texts are borrowed for `visit`. False: unknown.
    bool (*visit_site)(void *context, uint32_t number,
                       void (*visit)(void *visitor, const struct resolve_site *site),
                       void *visitor);
    // The same by fingerprint; also of ourselves.
    bool (*visit_fingerprint)(void *context, const struct fingerprint *fingerprint,
                              void (*visit)(void *visitor, const struct resolve_site *site),
                              void *visitor);
    // Hubs to ask, best first; returns how many.
    size_t (*hubs)(void *context, struct resolve_hub *out, size_t max);
    // The own site's entry about the dataset of this name (id or alias), canonical; NOT_FOUND.
    enum status (*own_entry)(void *context, struct text name, struct buffer *out,
                             struct error *error);
};

struct resolver_options {
    struct store *store;   // Opened with RESOLVE_MIGRATIONS: remembered answers.
    struct mirror *mirror; // NULL: no hub.
    const struct resolve_ops *ops;
    void *context;
    const char *directory; // With the site's key and certificate, for calls to hubs.
};
enum status resolver_open(const struct resolver_options *options, struct resolver **out,
                          struct error *error);
void resolver_close(struct resolver *resolver); // NULL is allowed.

// Only from memory and the index, without blocking on network or store, for the loop of the server: true when *out got the whole answer
// (a JSON document). False: use resolver_ask on the pool. `name` is in normal form.
bool resolver_answer_fast(struct resolver *resolver, struct text name, struct buffer *out);

// The whole answer; blocks for at most RESOLVE_WAIT_US and the database. `is_forwarding`: may ask other hubs (a request that came from a hub does not).
// NOT_FOUND: nobody who could be asked knows it (the text says who was asked, and who could not be); UNAVAILABLE when nobody could be asked.
enum status resolver_ask(struct resolver *resolver, struct text name, bool is_forwarding,
                         struct buffer *out, struct error *error);

// A location, for whoever acts on an answer. Texts live in the arena.
struct location {
    struct fingerprint site;
    struct public_key key;
    const char *name;
    const char *url;
    const char *standing;
    const char *liveness;
    const char *id; // The identifier under which that site has it.
    const char *tier;
    const char *state;
    bool has_digest;
    struct digest digest;
    int64_t file_count;
    int64_t size_bytes;
    int64_t load_permille;
    int64_t rtt_us;
    int64_t heard_seconds;
};
// Reads an answer, verifies the signature of each entry and that it is about `name` (id or alias), and drops what does not hold: *problem (an error of status
// CORRUPT naming the entry; OK when all held) tells of the first. For the client too.
enum status resolve_read_answer(struct text document, struct text name, struct arena *arena,
                                struct location **out, size_t *count, struct error *problem,
                                struct error *error);

extern const struct store_migration RESOLVE_MIGRATIONS[];
extern const size_t RESOLVE_MIGRATION_COUNT;

#endif
