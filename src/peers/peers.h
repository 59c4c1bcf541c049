// The other sites that this one knows: who they are, where, how they are, and the exchange of logs with them.
//
// One thread with one loop of outgoing calls announces, pushes, polls and mirrors hubs; requests of others come in by peers_heard_* on any thread. What must survive
// (sites, standing, hubs, pins) is in the store; liveness is memory.
#ifndef LODE_PEERS_PEERS_H
#define LODE_PEERS_PEERS_H

#include "ledger/ledger.h"
#include "ledger/mirror.h"

struct peers;

enum peer_standing { STANDING_UNKNOWN, STANDING_PENDING, STANDING_MEMBER, STANDING_DENIED };
enum peer_liveness { LIVENESS_NEVER, LIVENESS_UP, LIVENESS_STALE, LIVENESS_DOWN };
const char *peer_standing_name(enum peer_standing standing);
const char *peer_liveness_name(enum peer_liveness liveness);

enum { PEER_NAME_MAX = 64, PEER_URL_MAX = 300 };

// A site as it was when it was asked for: plain values.
struct peer {
    struct fingerprint site;
    struct public_key key;
    uint32_t number; // In the mirror's index; 0 when nothing is mirrored.
    char name[PEER_NAME_MAX + 1];
    char url[PEER_URL_MAX + 1]; // The best; "" when it cannot be reached.
    char version[32];
    char problem[512];           // Of its log, or of reaching it; "" when there is none.
    enum peer_standing standing; // Here.
    bool is_vouched;             // A hub of ours says that it is a member.
    bool is_hub;
    bool is_our_hub; // Our operator added it.
    enum peer_liveness liveness;
    int64_t heard_seconds;    // Since then; -1: never.
    int64_t clock_offset_us;  // Its clock minus ours; 0 when unknown.
    int64_t rtt_us;           // Of a small request, recent median; -1: never measured.
    int64_t bytes_per_second; // Of transfers, recent; -1: never measured.
    int64_t cpus;             // From its heartbeat.
    int64_t cpus_busy;
    int64_t tasks_waiting;
    struct ledger_position position; // Of our copy of its log.
};

enum peers_mode { PEERS_PUSH = 1, PEERS_POLL = 2, PEERS_BOTH = 3 };

struct peers_load {
    int64_t cpus;
    int64_t cpus_busy;
    int64_t tasks_waiting;
    int64_t workers;
};

struct peers_options {
    struct store *store; // Opened with PEERS_MIGRATIONS.
    const struct signing_key *key;
    const char
        *directory; // For key.pem and certificate.pem: calls are made with the site's own key.
    const char *name;
    const char *url; // Where this site is reached; NULL: from nowhere.
    struct ledger *ledger;
    struct mirror *mirror; // NULL: this site is no hub.
    bool joins_openly;     // Who announces is a member at once.
    int64_t heartbeat_us;  // 0: 60 s.
    // The load for heartbeats; called on the thread of peers; must not block for long.
    void (*load)(void *context, struct peers_load *out);
    // What should be logged, in words. May be NULL.
    void (*report)(void *context, const char *event, const struct error *error);
    void *context;
};
enum status peers_open(const struct peers_options *options, struct peers **out,
                       struct error *error);
void peers_close(struct peers *peers); // NULL is allowed.

// Our own site statement, canonical; a copy into `out`.
void peers_own_statement(struct peers *peers, struct buffer *out);
// Our own heartbeat, fresh.
void peers_own_heartbeat(struct peers *peers, struct buffer *out);
// The log has grown: push soon. Any thread.
void peers_log_changed(struct peers *peers);

// --- looking (any thread, memory only)
bool peers_find(struct peers *peers, const struct fingerprint *site, struct peer *out);
// By name, fingerprint, a beginning of one (at least 8 digits), or url. NOT_FOUND; CONFLICT when it fits several, naming them.
enum status peers_find_named(struct peers *peers, struct text name, struct peer *out,
                             struct error *error);
// By its number in the index; for resolution, which is hot: copies nothing but calls `visit` under a lock that nobody holds long.
bool peers_visit_number(struct peers *peers, uint32_t number,
                        void (*visit)(void *context, const struct peer *peer), void *context);
size_t peers_count(struct peers *peers);
// Up to `limit` by name behind `after`.
size_t peers_list(struct peers *peers, const char *after, size_t limit, struct peer *out);
// May jobs of guests come from it? DENIED with the reason and the way out. `policy` is "none", "accepted" or "members". May ask hubs (blocks up to 3 s).
enum status peers_check_guest(struct peers *peers, const struct fingerprint *site,
                              const char *policy, struct error *error);

// --- operators
struct peers_hub_request {
    struct text url;
    struct text fingerprint; // As shown to and accepted by the operator: pinned.
    enum peers_mode mode;
};
// Announces to the hub at once; blocks for its answer. CONFLICT when its key is another one or it mirrors nothing; UNAVAILABLE: it is kept, and tried again.
enum status peers_add_hub(struct peers *peers, const struct peers_hub_request *request,
                          struct peer *out, struct error *error);
enum status peers_remove_hub(struct peers *peers, const struct fingerprint *site,
                             struct error *error);
enum status peers_set_standing(struct peers *peers, const struct fingerprint *site,
                               enum peer_standing standing, struct error *error);

// --- what comes in from others; the answers are the bodies of docs/protocols/federation.md
enum status peers_heard_announcement(struct peers *peers, const char *caller, const json_t *body,
                                     struct buffer *out, struct error *error);
enum status peers_heard_heartbeat(struct peers *peers, const char *caller, const json_t *body,
                                  struct buffer *out, struct error *error);
enum status peers_heard_batches(struct peers *peers, const char *caller,
                                const struct fingerprint *site, struct text batches,
                                struct buffer *out, struct error *error);
// GET /changes: appends what changed behind `cursor`; false when nothing did (then wait with peers_watch).
enum status peers_read_changes(struct peers *peers, struct text cursor, struct buffer *out,
                               bool *is_something, struct error *error);
void peers_watch(struct peers *peers, int64_t deadline_us, void (*wake)(void *context),
                 void *context);
void peers_wake_all(struct peers *peers); // Before the server stops.

extern const struct store_migration PEERS_MIGRATIONS[];
extern const size_t PEERS_MIGRATION_COUNT;

#endif
