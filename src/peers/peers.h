// The other sites that this one knows: who they are, where, how they are, and the exchange of logs with them.
//
// One thread with one loop of outgoing calls announces, pushes, polls and mirrors hubs, and hands what blocks (verifying and storing what came) to a few threads beside it;
// requests of others come in by peers_heard_* on any thread. What must survive (sites, standing, hubs, pins) is in the store; liveness is memory, so a heartbeat writes nothing: when each site was last
// heard is written every few minutes and at the stop.
#ifndef LODE_PEERS_PEERS_H
#define LODE_PEERS_PEERS_H

#include "ledger/ledger.h"
#include "ledger/mirror.h"

struct peers;

enum peer_standing { STANDING_UNKNOWN, STANDING_PENDING, STANDING_MEMBER, STANDING_DENIED };
enum peer_liveness { LIVENESS_NEVER, LIVENESS_UP, LIVENESS_STALE, LIVENESS_DOWN };
const char *peer_standing_name(enum peer_standing standing);
const char *peer_liveness_name(enum peer_liveness liveness);

enum {
    PEER_NAME_MAX = 64,
    PEER_URL_MAX = 300,
    PEERS_SITES_MAX = 65536,          // That one site knows; an announcement beyond is refused.
    PEERS_HUBS_MAX = 32,              // That one site's operator added.
    PEERS_CHANGES_SIZE_MAX = 1 << 20, // Of one answer of the feed, but for the last site in it.
    PEERS_SITES_TOLD_MAX =
        32768, // That a site which is no hub knows when it takes no more of its hubs' word.
    PEERS_VOUCHED_US = 300000000, // So long a hub's word about a member is not asked for again.
};

// A site as it was when it was asked for: plain values.
struct peer {
    struct fingerprint site;
    struct public_key key;
    uint32_t number; // In the mirror's index; 0 when nothing is mirrored.
    char name[PEER_NAME_MAX + 1];
    char url[PEER_URL_MAX + 1]; // The best; "" when it cannot be reached.
    char version[32];
    char problem[512];                  // Of its log, or of reaching it; "" when there is none.
    enum peer_standing standing;        // Here.
    enum peer_standing standing_by_hub; // At the hub that last told of it.
    // By the word of which hub it is alive like that, its name or fingerprint; "": the site was heard itself, or nobody told of it.
    char by_hub[sizeof(struct fingerprint)];
    bool is_vouched; // A hub of ours says that it is a member, or said so last.
    bool is_hub;
    bool is_our_hub; // Our operator added it.
    enum peer_liveness liveness;
    int64_t heard_seconds; // Since then; -1: never.
    bool has_clock_offset;
    int64_t clock_offset_us;  // Its clock minus ours, or minus that of the hub that told it.
    int64_t rtt_us;           // Of a small request, recent median; -1: never measured.
    int64_t bytes_per_second; // Of transfers, recent; -1: never measured.
    int64_t cpus;             // From its heartbeat.
    int64_t cpus_busy;
    int64_t tasks_waiting;
    struct ledger_position position; // Of our copy of its log.
    bool is_lacking;                 // It lacks entries, or may.
};

enum peers_mode { PEERS_PUSH = 1, PEERS_POLL = 2, PEERS_BOTH = 3 };

struct peers_load {
    int64_t cpus;
    int64_t cpus_busy;
    int64_t tasks_waiting;
    int64_t workers;
};

// Written in the transaction of a change of standing or hubs, for the audit log. `write` may be NULL.
struct peers_witness {
    enum status (*write)(struct sql *sql, void *context, const struct peer *peer,
                         struct error *error);
    void *context;
};

struct peers_options {
    struct store *store; // Opened with PEERS_MIGRATIONS.
    const struct signing_key *key;
    // For key.pem and certificate.pem: calls are made with the site's own key.
    const char *directory;
    const char *name;
    struct ledger *ledger;
    struct mirror *mirror; // NULL: this site is no hub.
    bool joins_openly;     // Who announces is a member at once.
    enum peers_mode wants; // How this hub is ready to keep in step with sites; 0: both.
    int64_t heartbeat_us;  // 0: 60 s.
    // The load for heartbeats; called on the thread of peers and on that of requests; must not block for long.
    void (*load)(void *context, struct peers_load *out);
    // What should be logged, in words. May be NULL.
    void (*report)(void *context, const char *event, const struct error *error);
    void *context;
};
// Knows from then on what was known before; nothing goes out yet.
enum status peers_open(const struct peers_options *options, struct peers **out,
                       struct error *error);
// Starts the thread. `url` is where others reach this site; NULL: from nowhere.
enum status peers_start(struct peers *peers, const char *url, struct error *error);
// Ends calls under way and threads, and keeps when each site was last heard, while the store still works. The other functions may still be called, but nothing goes out any more. NULL is allowed.
void peers_stop(struct peers *peers);
// Frees it, when nobody, the writer's thread of the store included, uses it any more. NULL is allowed.
void peers_close(struct peers *peers);

// Our own site statement, canonical; a copy into `out`.
void peers_own_statement(struct peers *peers, struct buffer *out);
// Our own heartbeat, fresh.
void peers_own_heartbeat(struct peers *peers, struct buffer *out);
// The log has grown: push soon. Any thread.
void peers_log_changed(struct peers *peers);
// The mirror has brought this site's log forward: other hubs are told. Any thread.
void peers_mirror_advanced(struct peers *peers, const struct fingerprint *fingerprint);
// A transfer of so many bytes from a site took so long. Any thread.
void peers_measured(struct peers *peers, const struct fingerprint *fingerprint, int64_t bytes,
                    int64_t duration_us);
// A small call to a site was answered after so long: how far it is. Any thread; nothing is noted of 0.
void peers_measured_call(struct peers *peers, const struct fingerprint *fingerprint,
                         int64_t duration_us);

// --- looking (any thread, memory only)
bool peers_find(struct peers *peers, const struct fingerprint *fingerprint, struct peer *out);
// By name, fingerprint, a beginning of one (at least 8 digits), or url. NOT_FOUND; CONFLICT when it fits several, naming them.
enum status peers_find_named(struct peers *peers, struct text name, struct peer *out,
                             struct error *error);
// As peers_find_named, and when it is not known here, or not where it is: our hubs are asked, and what they have of its own signed statement is kept. Blocks
// for up to 3 s.
enum status peers_introduce(struct peers *peers, struct text name, struct peer *out,
                            struct error *error);
// A site that somebody says is at this URL: it is asked for its statement itself, unless it is known. Blocks for up to 3 s.
enum status peers_meet(struct peers *peers, const struct fingerprint *site, const char *url,
                       struct peer *out, struct error *error);
// By its number in the index; for resolution, which is hot: calls `visit` under a lock that nobody holds long, with all but the position of our copy.
bool peers_visit_number(struct peers *peers, uint32_t number,
                        void (*visit)(void *context, const struct peer *peer), void *context);
size_t peers_count(struct peers *peers);
// Up to `limit` in the order of their names, behind the site with the fingerprint `after` (NULL or "": from the first).
size_t peers_list(struct peers *peers, const char *after, size_t limit, struct peer *out);

// What a site that is no hub shows of the federation is what its hubs see, read of them when somebody looks.
enum {
    PEERS_OVERVIEW_US =
        3000000, // So long the hubs have, together, to tell it; what is taken of a hub that has more is shown, with that said.
    PEERS_OVERVIEWS_A_HEARTBEAT = 6, // Hubs are asked so often at most: each 10 s.
    PEERS_OVERVIEW_PROBLEMS_MAX = 8,
    PEERS_OVERVIEW_PROBLEM_SIZE = 600,
};
struct peers_overview {
    const char *
        source; // "own": this site is a hub, or has none; "hub": what `hub` told in the last look; "memory": no hub told anything in it.
    char hub[PEER_NAME_MAX + 1]; // That told last; "": none yet.
    int64_t age_seconds;         // Since then; -1: never.
    bool is_complete;            // That hub had no more.
    int64_t catching_up;         // Of a hub: of so many sites' logs it lacks entries.
    size_t problem_count;        // Of hubs that were asked in the last look, with their names.
    char problems[PEERS_OVERVIEW_PROBLEMS_MAX][PEERS_OVERVIEW_PROBLEM_SIZE];
};
// Calls `wake` once, on any thread, when peers_list shows what the hubs see: at once at a hub and where there are none, shortly after others have looked, and when too many wait. What hubs tell is
// verified as at a hub; one that lies, or does not answer, is noted, and the next one asked.
void peers_look_around(struct peers *peers, void (*wake)(void *context), void *context);
// How the last look went. Memory only.
void peers_overview(struct peers *peers, struct peers_overview *out);
// May jobs of guests come from it? DENIED with the reason and the way out. `policy` is "none", "accepted" or "members". May ask hubs (blocks up to 3 s); when none
// of them answers, what they said before still holds.
enum status peers_check_guest(struct peers *peers, const struct fingerprint *site,
                              const char *policy, struct error *error);

// --- operators
struct peers_hub_request {
    struct text url;
    struct text fingerprint; // As shown to and accepted by the operator: pinned.
    enum peers_mode mode;    // How our log gets there.
    struct peers_witness witness;
};
// Announces to the hub at once; blocks for its answer. CONFLICT when its key is another one, it mirrors nothing, or it takes nothing in this mode; UNAVAILABLE: it is
// kept, and tried again. *out is set in both cases.
enum status peers_add_hub(struct peers *peers, const struct peers_hub_request *request,
                          struct peer *out, struct error *error);
enum status peers_remove_hub(struct peers *peers, const struct fingerprint *fingerprint,
                             const struct peers_witness *witness, struct error *error);
// Of a site that is not known yet too.
enum status peers_set_standing(struct peers *peers, const struct fingerprint *fingerprint,
                               enum peer_standing standing, const struct peers_witness *witness,
                               struct error *error);

// One of our hubs, and what it says of us.
struct peer_hub {
    struct peer peer;
    enum peers_mode mode;
    enum peer_standing standing;     // Ours there; STANDING_UNKNOWN before it answered.
    struct ledger_position position; // Of our log, as it is known there.
    bool is_current;                 // That is all of it.
    int64_t catching_up;             // Of so many sites' logs it lacks entries, as it said last.
};
// In the order in which they were added; returns how many.
size_t peers_list_hubs(struct peers *peers, struct peer_hub *out, size_t max);

// "push", "poll", "both"; INVALID otherwise.
enum status peers_mode_from_text(struct text text, enum peers_mode *out, struct error *error);
const char *peers_mode_name(enum peers_mode mode);

// --- what comes in from others; the answers are the bodies of docs/protocols/federation.md. `caller` is the fingerprint of the client certificate.
// Blocks for the commit when something is new. `mode`: how the site wants its log to be fetched.
enum status peers_heard_announcement(struct peers *peers, const char *caller, enum peers_mode mode,
                                     const json_t *body, struct buffer *out, struct error *error);
// Memory only.
enum status peers_heard_heartbeat(struct peers *peers, const char *caller, const json_t *body,
                                  struct buffer *out, struct error *error);
// Blocks for the commit. *position is what this site has of the log, whatever the status.
enum status peers_heard_batches(struct peers *peers, const char *caller,
                                const struct fingerprint *fingerprint, struct text batches,
                                struct ledger_position *position, struct error *error);
// A hub polls our log behind this position: one that is beyond what we have means that we were restored, of which we then ask our hubs.
void peers_heard_poll(struct peers *peers, int64_t epoch, int64_t after);
// GET /logs/{site}: of any site that this one has the log of; may wait for the database. NOT_FOUND.
enum status peers_read_log(struct peers *peers, const struct fingerprint *site, int64_t epoch,
                           int64_t after, struct buffer *out, struct error *error);
// GET /sites/{site}. Memory only. NOT_FOUND.
enum status peers_describe(struct peers *peers, const struct fingerprint *fingerprint,
                           struct buffer *out, struct error *error);
// GET /changes: appends this hub itself and what changed behind `cursor`; *is_something is false when nothing did (then wait with peers_watch). Memory only. UNSUPPORTED where nothing is mirrored.
enum status peers_read_changes(struct peers *peers, struct text cursor, struct buffer *out,
                               bool *is_something, struct error *error);
// Calls `wake` once, when something changes behind `cursor` or at the deadline (steady clock), on the thread of peers; at once when too many wait.
void peers_watch(struct peers *peers, struct text cursor, int64_t deadline_us,
                 void (*wake)(void *context), void *context);
void peers_wake_all(struct peers *peers); // Before the server stops; none waits afterwards.

// {"epoch", "serial", "head"}
json_t *peers_position_json(const struct ledger_position *position);

extern const struct store_migration PEERS_MIGRATIONS[];
extern const size_t PEERS_MIGRATION_COUNT;

#endif
