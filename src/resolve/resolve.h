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
    RESOLVE_UNKNOWN_TTL_SECONDS = 30, // Of an answer that may be incomplete, too.
    RESOLVE_ANSWER_SIZE_MAX = 4 << 20,
    RESOLVE_WAIT_US = 3000000,      // For all hubs together.
    RESOLVE_HUBS_MAX = 8,           // Asked for one answer.
    RESOLVE_ASKING_MAX = 4,         // Answers for which hubs are being asked, at the same time.
    RESOLVE_MEASURING_US = 500000,  // An answer is held for, that wants distances.
    RESOLVE_REMEMBERED_MAX = 10000, // Answers that are kept in the store.
};

// What is known of a site apart from its log: passed in by programs/ from peers.
struct resolve_site {
    struct fingerprint site;
    struct public_key key;
    const char *name;
    const char *url;
    const char *standing;
    const char *liveness;  // "up" ...
    int liveness_rank;     // 0 is best; see resolve_liveness_rank.
    int64_t heard_seconds; // -1: never.
    int64_t load_permille; // -1: not known.
    int64_t rtt_us;        // -1: not measured.
    int64_t age_seconds;   // Of its entry when newer answers omit it; 0: as old as the answer.
    bool is_self;
    bool is_heard; // Lately, by this site itself, not by the word of a hub.
};
// The rank of "up", "stale", "down", and of anything else, which is between stale and down.
int resolve_liveness_rank(struct text liveness);

enum { RESOLVE_URL_SIZE = 304, RESOLVE_NAME_SIZE = 72 };
struct resolve_hub {
    struct fingerprint site;
    char url[RESOLVE_URL_SIZE];
    char name[RESOLVE_NAME_SIZE];
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
    // May own_entry find anything? From memory alone.
    bool (*has_own)(void *context);
    // Does the index have everything that own_entry would find? From memory alone; hot. Else an answer of the index would leave our own replica out.
    bool (*index_has_own)(void *context);
    // A small call to the site took so long. On a thread of the resolver; memory only.
    void (*note_distance)(void *context, const struct fingerprint *site, int64_t rtt_us);
    // The own site's entry about the dataset of this name (id or alias), canonical; NOT_FOUND. May block for the database.
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
// (a JSON document). False: use resolver_ask on the pool; *out is unchanged then. `name` is in normal form. `only_others`: an answer with a
// replica of our own is left to the pool.
bool resolver_answer_fast(struct resolver *resolver, struct text name, bool only_others,
                          struct buffer *out);

// How far a question may go.
enum resolve_reach {
    RESOLVE_HERE, // Own catalogue and index: for a request that came from another hub or site on behalf.
    RESOLVE_ASKS,      // Then memory while it is fresh, and the hubs.
    RESOLVE_ASKS_ANEW, // The same without what is remembered, unless no hub answers.
};

// The whole answer; blocks for at most RESOLVE_WAIT_US and the database.
// NOT_FOUND: nobody who could be asked knows it (the text says who was asked, and who could not be); UNAVAILABLE when nobody could be asked; CORRUPT when all who
// answered lied; BUSY when too many answers are being looked for already. What a hub lied about stands in the answer's `problems`.
enum status resolver_ask(struct resolver *resolver, struct text name, enum resolve_reach reach,
                         struct buffer *out, struct error *error);

// The same for whoever wants more of it.
struct resolve_wish {
    enum resolve_reach reach;
    // Have the sites measured whose distance is not known, some of the best, each at most once in ten minutes. The answer waits up to `wait_us` for that; 0, or while
    // others wait already: not at all.
    bool is_measuring;
    int64_t wait_us;
};
// *catching_up, also after a failure: of how many sites' logs whoever knows most of this lacks entries, so that the answer, or that there is none, may be incomplete; 0: of none.
enum status resolver_ask_wish(struct resolver *resolver, struct text name,
                              const struct resolve_wish *wish, struct buffer *out,
                              int64_t *catching_up, struct error *error);

// Appends [{"site", "name", "url"}, ...]: the hubs that are asked, for clients to remember.
void resolver_write_hubs(struct resolver *resolver, struct buffer *out);

// A location, for whoever acts on an answer. Texts live in the arena.
struct location {
    struct fingerprint site;
    struct public_key key;
    const char *name;
    const char *url;
    const char *standing;
    const char *liveness;
    const char *id; // The identifier under which that site has it.
    const char *title;
    const char *tier;
    const char *state;
    const char *said_at; // The time in its entry, by its own clock.
    struct text entry;   // Canonical, with its signature.
    int64_t epoch;
    int64_t serial;
    bool has_digest;
    struct digest digest;
    int64_t file_count;
    int64_t size_bytes;
    int64_t load_permille; // -1: not known.
    int64_t rtt_us;        // -1: not measured.
    int64_t heard_seconds; // -1: never, or not known.
    int64_t age_seconds;   // Of this one when newer answers omit it; 0: as old as the answer.
    int64_t told_us;       // The same as a time of the wall clock, of what is kept.
};
// Reads an answer, verifies the signature of each entry and that it is about `name` (id or alias), and drops what does not hold: *problem (an error of status
// CORRUPT naming the entry; OK when all held) tells of the first. CORRUPT as the result: this is no answer at all. For the client too.
enum status resolve_read_answer(struct text document, struct text name, struct arena *arena,
                                struct location **out, size_t *count, struct error *problem,
                                struct error *error);

// Of how many sites' logs whoever gave the answer, or the problem, lacks entries by its own word; 0 when it does not say.
int64_t resolve_read_catching_up(struct text document);

// Is one of `now` older than what the same site had said before (a smaller serial of the same epoch, or a smaller epoch)? CORRUPT, naming the entry.
enum status resolve_check_newer(const struct location *now, size_t count,
                                const struct location *before, size_t before_count,
                                struct error *error);

extern const struct store_migration RESOLVE_MIGRATIONS[];
extern const size_t RESOLVE_MIGRATION_COUNT;

#endif
