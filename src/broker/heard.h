// What other sites say to the broker, read with limits: the question for an offer, an offer, how far a transfer is. Pure.
#ifndef LODE_BROKER_HEARD_H
#define LODE_BROKER_HEARD_H

#include "base/arena.h"
#include "base/json.h"
#include "broker/offer_table.h"

enum {
    HEARD_OFFER_NAME_MAX = 200,
    HEARD_TRANSFER_TEXT_MAX = 4096,
};
#define HEARD_SECONDS_MAX 1e9 // That a question can say.
#define HEARD_OFFER_SECONDS_MAX 1e12
#define HEARD_BYTES_MAX 1e18
#define HEARD_RATE_MIN 1.0 // Bytes per second.
#define HEARD_RATE_MAX 1e15
#define HEARD_CORE_HOURS_MAX 1e15

// What another site asks an offer for. The texts are in the arena. INVALID, naming the field.
enum status heard_read_wish(const json_t *request, struct arena *arena, struct wish *out,
                            struct error *error);

// What another site offers; the texts are in the arena.
struct heard_offer {
    const char *name;
    const char *expires_at; // By the clock of that site; NULL: it does not say.
    double start_seconds;
    double run_seconds;
    double core_hours;
    double stage_bytes;
    double stage_seconds;
    double stage_rate; // Bytes per second, as the two say; 0: none that a link could have.
};
// CORRUPT, naming the field: it is the other site that is wrong, and not who asked here.
enum status heard_read_offer(struct text document, struct arena *arena, struct heard_offer *out,
                             struct error *error);

// How far a transfer is, at this or another site. Texts that are not there are empty; borrowed from the document.
struct heard_transfer {
    int64_t number; // At that site; 0: not said.
    bool is_done;
    bool has_failed; // Or was cancelled.
    struct text state;
    struct text source;
    struct text problem;
    int64_t bytes_done;
    int64_t bytes_total;
};
// CORRUPT, naming the field.
enum status heard_read_transfer(const json_t *document, struct heard_transfer *out,
                                struct error *error);

#endif
