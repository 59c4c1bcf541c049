// What the files of peers share: the table of sites in memory, and what is to be done with each.
//
// Sites are never freed before the end, so a pointer to one stays good. All that changes in them is guarded by `lock`, which nobody holds across I/O or a callback other
// than peers_visit_number's.
#ifndef LODE_PEERS_STATE_H
#define LODE_PEERS_STATE_H

#include "base/map.h"
#include "http/client.h"
#include "peers/feed.h"
#include "peers/overview.h"
#include "peers/peers.h"
#include "peers/said.h"
#include "peers/schedule.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PEERS_POLLS_MAX = 64,   // At once.
    PEERS_FETCHES_MAX = 16, // Of logs from other hubs.
    PEERS_RTT_SAMPLES = 5,
    PEERS_VERSION_MAX = 31,
    PEERS_PROBLEM_MAX = 511,
    PEERS_WATCHERS_MAX = 1000,
    PEERS_ANSWER_SIZE_MAX = 1 << 20, // Of a small answer.
    // What a call with batches carries at most: one batch beyond the limit that ledger_read_batches stops at, and a statement.
    PEERS_BATCHES_SIZE_MAX = LEDGER_READ_SIZE_MAX + LEDGER_BATCH_SIZE_MAX + STATEMENT_SIZE_MAX,
};

// What is to be done with a site as a hub: one that our operator added, or one that is a member here.
struct hub {
    struct site *site;    // That it belongs to.
    struct task exchange; // Announce, push, heartbeat; of our hubs only.
    struct task changes;  // Read its feed; of hubs that a hub mirrors.
    int64_t added;        // Our hubs in order; 0: not one of ours.
    enum peers_mode mode;
    char url[PEER_URL_MAX + 1]; // Of our operator.
    enum peer_standing standing;
    struct ledger_position position; // Of our log, there.
    bool has_announced;              // Since the start, and it has not forgotten us.
    bool shows_own;   // It may hold more of our log than we do: its signed head is to be looked at.
    bool is_refusing; // Our log, the last time that some was pushed.
    int64_t catching_up;       // Of so many sites' logs it lacks entries, as it said last.
    int64_t heartbeat_us;      // As it wants it.
    int64_t next_heartbeat_us; // Steady clock.
    int64_t next_announcement_us;
    char *cursor; // Of its feed; NULL: the beginning.
};

struct site {
    struct fingerprint fingerprint;
    struct feed_entry feed;
    struct task poll;
    struct task fetch;
    struct hub *hub; // NULL: nothing.
    bool has_statement;
    struct public_key key;
    int64_t statement_time_us; // By its own clock.
    uint32_t number;
    char *name;      // "" without a statement.
    char *url;       // ""
    char *statement; // Canonical; NULL without.
    char *heartbeat; // Canonical; NULL when none was heard.
    char *log_problem;
    char *call_problem;
    char version[PEERS_VERSION_MAX + 1];
    enum peer_standing standing;
    enum peers_mode mode; // How it announced to be kept in step with; 0: it never announced here.
    bool is_hub;
    int64_t heard_us; // Steady clock, before the machine's start also negative; 0: never.
    int64_t away_us;  // Since then, how long this site was not there to hear it: no silence of its.
    int64_t kept_heard_us;            // As `heard_us` was last written to the store,
    enum peer_liveness kept_liveness; // and how it was then.
    int64_t ttl_us;
    int64_t heartbeat_time_us; // By its own clock.
    enum { CLOCK_UNKNOWN, CLOCK_TOLD, CLOCK_MEASURED } clock;
    int64_t clock_offset_us;
    struct site *told_by; // The hub that last told of it; NULL: none.
    enum peer_standing standing_by_hub;
    bool is_heard_by_hub; // The last heartbeat came by way of that hub.
    int64_t vouched_us; // Steady clock, when a hub of ours last said that it is a member; 0: never.
    int64_t asked_us;   // When hubs were last asked whether it is.
    int32_t rtt_us[PEERS_RTT_SAMPLES];
    unsigned rtt_count;
    int64_t bytes_per_second; // -1: never measured.
    struct peers_load load;
    int64_t
        unsaid_until_us; // Steady clock: so long it is expected to say how far its log goes; 0: it has, or is not.
    struct site *fetch_from; // The hub that is ahead of our copy.
    int64_t fetch_epoch;
    int64_t fetch_serial;
};

struct watcher;
struct turn;
struct crew;
struct inquiry;

struct peers {
    struct store *store;
    const struct signing_key *key;
    struct ledger *ledger;
    struct mirror *mirror;
    char *name;
    bool joins_openly;
    enum peers_mode wants;
    int64_t heartbeat_us;
    void (*load)(void *context, struct peers_load *out);
    void (*report)(void *context, const char *event, const struct error *error);
    void *context;
    char *key_path;
    char *certificate_path;

    pthread_rwlock_t lock;      // Guards what follows, and the sites.
    char *url;                  // NULL: from nowhere.
    char *statement;            // Our own.
    struct map *by_fingerprint; // Owns the sites.
    struct site **by_name;      // Sorted by name and fingerprint.
    size_t count;
    size_t capacity;
    struct site **by_number;
    size_t number_count;
    int64_t hubs_added;
    struct feed feed;
    struct schedule exchanges;
    struct schedule changes;
    struct schedule polls;
    struct schedule fetches;
    int64_t last_poll_heard_us;
    int64_t
        next_unsaid_us; // When the first that is expected to say how far its log goes is given up; 0: none is.
    struct watcher *watchers;
    size_t watcher_count;
    struct watcher *woken; // To be called by the thread.
    bool is_waking_all;
    struct inquiry *inquiries; // Not yet sent.
    struct overview overview;

    pthread_t thread;
    bool is_started;
    atomic_bool is_stopping;
    struct http_client *client; // The thread's, but for http_client_wake.
    struct turn *turns;         // The thread's: under way.
    struct crew *crew;
    int64_t
        next_kept_us; // The thread's: when it is next written who was heard; 0: before the first time.
    size_t next_kept; // The thread's: from where in by_name on.
};

// --- peers.c
// The thread looks again at what is to be done.
void peers_wake(struct peers *peers);
uint32_t peers_random(void);
void peers_say(struct peers *peers, const char *event, const struct error *error);

// --- table.c; with the lock held.
struct site *sites_find(const struct peers *peers, const struct fingerprint *fingerprint);
struct site *sites_find_text(const struct peers *peers, struct text fingerprint);
// Where in by_name the sites of that name begin, if there are any.
size_t sites_find_name(const struct peers *peers, const char *name);
// Makes an empty one.
struct site *sites_add(struct peers *peers, const struct fingerprint *fingerprint);
// It says this of itself now; `statement` is its canonical form. The number is the mirror's, 0 without one.
void sites_set_statement(struct peers *peers, struct site *site, const struct site_statement *read,
                         struct text statement, uint32_t number);
struct hub *sites_make_hub(struct site *site);
void sites_free(struct peers *peers);
void site_set_text(char **field, struct text text);
// "" clears it.
void site_set_problem(char **field, const char *text);
// "ocean (sha256:0123456789abcdef)", for errors; without the lock. Returns `out`.
enum { SITE_LABEL_SIZE = PEER_NAME_MAX + 32 };
const char *site_label(struct peers *peers, const struct site *site, char out[SITE_LABEL_SIZE]);
bool site_is_our_hub(const struct site *site);
// Is its word on others read, by a hub?
bool site_is_followed_hub(const struct site *site);
// Where calls to it go; "" when that is not known.
const char *site_call_url(const struct site *site);
// All but the position of our copy of its log; hot.
void site_describe_briefly(const struct site *site, int64_t now_us, struct peer *out);
// As others see it; with the lock not needed for the position, which comes from the mirror.
void site_describe(struct peers *peers, const struct site *site, int64_t now_us, struct peer *out);
// How alive it is: the time that this site was away is no silence of it.
enum peer_liveness site_liveness(const struct site *site, int64_t now_us);
// It has changed for those who read the feed; wakes them.
void site_touch(struct peers *peers, struct site *site);
// Puts tasks in and out as its standing, mode and URL ask for.
void site_arrange(struct peers *peers, struct site *site, int64_t now_us);

// --- hearing.c
// The site was heard with it. With the lock held. `statement`: canonical.
void site_heard(struct peers *peers, struct site *site, const struct said_heartbeat *heartbeat,
                struct text statement);
// It has answered a call: it is alive. With the lock held.
void site_answered(struct peers *peers, struct site *site);
// A hub tells of the site. Its heartbeat is news only when it is newer than the last one, and how the site is only where it was not heard itself. With the lock held.
void site_told(struct peers *peers, struct site *site, struct site *hub,
               const struct said_news *news);
// A hub tells of itself, just now. With the lock held.
void site_told_itself(struct peers *peers, struct site *site, const struct said_news *news);
// Its log was taken, or refused: that is its problem until it fits again. Without the lock. In incoming.c.
// `from`: who showed it, which may be a hub whose copy it is, and who lied then. Of anybody else a forged log says nothing about the site.
void site_took_log(struct peers *peers, const struct fingerprint *fingerprint,
                   const struct fingerprint *from, enum status status, const struct error *error);
// Does the end of its log as it says it is fit our copy? CORRUPT when an older log or another one is shown. Without the lock.
enum status log_check_end(struct peers *peers, const struct site *site,
                          const struct ledger_position *said, const struct ledger_position *have,
                          struct error *error);
// A call to it took so long. With the lock held.
void site_measured(struct site *site, int64_t duration_us);

#endif
