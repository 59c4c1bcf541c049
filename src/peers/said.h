// What other sites say of logs, of themselves and of others, read with limits. Pure.
#ifndef LODE_PEERS_SAID_H
#define LODE_PEERS_SAID_H

#include "ledger/ledger.h"
#include "peers/peers.h"

enum { PEERS_TTL_SECONDS_MAX = 3600 };

// {"epoch", "serial", "head"}, among other members.
enum status said_position_read(const json_t *object, struct ledger_position *out,
                               struct error *error);

// A heartbeat statement that was verified.
struct said_heartbeat {
    int64_t time_us; // By the clock of who said it.
    int64_t ttl_us;
    struct ledger_position position;
    struct peers_load load;
};
enum status said_heartbeat_read(const json_t *statement, struct said_heartbeat *out,
                                struct error *error);

// A line of a hub's feed of changes; the statements in it are verified.
struct said_news {
    json_t *line;
    struct site_statement read;
    struct buffer statement; // Canonical.
    bool has_heartbeat;
    struct said_heartbeat heartbeat;
    struct buffer heartbeat_text; // Canonical.
    enum peer_standing standing;  // There.
    int64_t heard_us;             // So long ago the hub heard it, by its own word.
    bool has_clock_offset;
    int64_t clock_offset_us; // As the hub measured it.
    int64_t epoch;           // Of the hub's copy of the log.
    int64_t serial;
};
// `out` is zero before, and to be given to said_news_done in every case.
enum status said_news_read(struct text line, struct said_news *out, struct error *error);
void said_news_done(struct said_news *news);

#endif
