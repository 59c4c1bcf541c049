// The workers that a site has met, by their keys: pending, accepted or refused; and how one comes to be accepted.
//
//     unknown ----> pending ---- operator ----> accepted <---- invitation, authority, open site
//                      |                           |
//                      +---------> refused <-------+        forgotten: unknown again
//
// A name belongs to the key that was accepted under it; another key that comes with it is refused, and noted as its rival. All of
// it is in memory too, so that a request by a key never waits for the database. Memory changes with the database, on the
// writer's thread.
#ifndef LODE_IDENTITY_KNOWN_WORKERS_H
#define LODE_IDENTITY_KNOWN_WORKERS_H

#include "crypto/key.h"
#include "policy/runner.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    KNOWN_WORKER_NAME_MAX = 64,
    KNOWN_WORKER_ADDRESS_MAX = 63,
    KNOWN_WORKER_BY_MAX = 80, // "worker:" and a name fit.
    KNOWN_WORKERS_PENDING_MAX =
        256, // Beyond it the one that has not asked for longest is forgotten.
    KNOWN_WORKERS_AUTOMATIC_MAX = 10000, // Accepted without an operator's word; beyond it as above.
    KNOWN_WORKERS_MAX = 100000,          // Of all; beyond it nobody is accepted or refused.
};

enum known_worker_state { KNOWN_WORKER_PENDING, KNOWN_WORKER_ACCEPTED, KNOWN_WORKER_REFUSED };

// Why one is accepted.
enum known_worker_trust {
    KNOWN_WORKER_NOT_TRUSTED,
    KNOWN_WORKER_BY_OPERATOR,
    KNOWN_WORKER_BY_INVITATION,
    KNOWN_WORKER_BY_AUTHORITY, // Its certificate chains to the site's authority: holds only while it shows that.
    KNOWN_WORKER_BY_OPENNESS, // The site takes any worker: holds only while it does.
};

// "pending", "operator": static strings.
const char *known_worker_state_name(enum known_worker_state state);
const char *known_worker_trust_name(enum known_worker_trust trust);
// Reads the former form; false for anything else.
bool known_worker_state_from_text(struct text text, enum known_worker_state *out);

struct known_worker {
    struct fingerprint key;
    char name[KNOWN_WORKER_NAME_MAX + 1];
    enum known_worker_state state;
    enum known_worker_trust trust;
    char by[KNOWN_WORKER_BY_MAX + 1]; // Who accepted, invited or refused it; empty: nobody.
    char address[KNOWN_WORKER_ADDRESS_MAX + 1];
    int64_t first_us;
    int64_t seen_us;
    int64_t decided_us;   // 0: not yet.
    struct runner runner; // Its class, once it is accepted.
    // The last key that came with its name and was not its own; empty: none.
    struct fingerprint rival;
    char rival_address[KNOWN_WORKER_ADDRESS_MAX + 1];
    int64_t rival_us;
};

// Who connects, as far as its connection says.
struct worker_caller {
    const char *key;       // "sha256:..."
    const char *certified; // The name that an authority of the site vouches for; NULL: none.
    struct text address;
    bool is_near; // Its address is private, so that an open site takes it.
};

struct known_workers;

// 1 to KNOWN_WORKER_NAME_MAX bytes of UTF-8 without control characters and without spaces at its ends; none that reads as a fingerprint.
// INVALID otherwise.
enum status known_worker_check_name(struct text name, struct error *error);

// Can a key have this class? Not that of a session or of an anonymous runner, which begin or end with their token. INVALID.
enum status known_worker_check_kind(enum runner_class kind, struct error *error);

// Reads the table of the store. Not `is_open`: those who were accepted as the site was open are forgotten. Close the store before it.
enum status known_workers_open(struct store *store, bool is_open, struct known_workers **out,
                               struct error *error);
void known_workers_close(struct known_workers *workers); // NULL is allowed.
bool known_workers_is_open(const struct known_workers *workers);

// Is this an accepted worker? OK, and its entry. DENIED when it was refused, NOT_FOUND when it is not accepted. Any thread; does not
// block.
enum status known_workers_admit(struct known_workers *workers, const struct worker_caller *caller,
                                int64_t now_us, struct known_worker *out, struct error *error);

// Copies the entry of a key; false when there is none. Any thread.
bool known_workers_find(struct known_workers *workers, const char *key, struct known_worker *out);

// The one entry that `said` names: a name, a fingerprint, or its first 8 digits or more. NOT_FOUND; CONFLICT when several fit, or when it is the rival of
// one. Any thread.
enum status known_workers_match(struct known_workers *workers, struct text said,
                                struct known_worker *out, struct error *error);

struct known_workers_figures {
    int64_t pending;
    int64_t accepted;
    int64_t refused;
    int64_t rivals; // Accepted ones whose name another key came with.
};
struct known_workers_figures known_workers_count(struct known_workers *workers);

// Those after `after` (a fingerprint; empty: all) in order of their fingerprints, at most `count_max`; with a connection for reading.
typedef void known_worker_visit_fn(void *context, const struct known_worker *worker);
enum status known_workers_list(struct known_workers *workers, struct sql *sql, struct text after,
                               int64_t count_max, known_worker_visit_fn *visit, void *context,
                               struct error *error);

// What follows is called in a store_write, as the last thing there that can fail.

enum worker_meeting {
    WORKER_MET_ACCEPTED,
    WORKER_MET_PENDING,
    WORKER_MET_REFUSED, // An operator has refused it.
    WORKER_MET_RIVAL,   // Its name belongs to another key.
};

struct worker_met {
    enum worker_meeting meeting;
    struct known_worker worker; // Its entry; of a rival: that of the one whose name it is.
    bool is_new;                // It was not in the table.
    // A rival, or one that is new and pending. Of the rivals of one name, and of those that push others out, one in
    // KNOWN_WORKERS_SAID_US: whoever makes keys does not fill the logs.
    bool is_worth_a_word;
};
#define KNOWN_WORKERS_SAID_US INT64_C(60000000)

// A worker registers. OK whatever it came to; INVALID for a bad name.
enum status known_workers_meet(struct known_workers *workers, struct sql *sql,
                               const struct worker_caller *caller, struct text name, int64_t now_us,
                               struct worker_met *out, struct error *error);

// Whose word it is: an operator's, or of who made the invitation.
struct known_worker_word {
    enum known_worker_state state; // Accepted or refused.
    struct text by;
    struct runner runner; // Of an accepted one; a class that a key can have.
};

// An operator's word. NOT_FOUND; CONFLICT when the name belongs to another key; QUOTA; INVALID as known_worker_check_kind and runner_check.
enum status known_workers_decide(struct known_workers *workers, struct sql *sql, const char *key,
                                 const struct known_worker_word *word, int64_t now_us,
                                 struct error *error);

// Accepts the key by an invitation. CONFLICT when the name belongs to another key; INVALID, QUOTA.
enum status known_workers_enrol(struct known_workers *workers, struct sql *sql,
                                const struct worker_caller *caller, struct text name,
                                const struct known_worker_word *word, int64_t now_us,
                                struct error *error);

// NOT_FOUND.
enum status known_workers_forget(struct known_workers *workers, struct sql *sql, const char *key,
                                 struct error *error);

#endif
