// What other sites say to the broker, read with limits: the question for an offer, an offer, how far a transfer is. Pure.
#ifndef LODE_BROKER_HEARD_H
#define LODE_BROKER_HEARD_H

#include "base/arena.h"
#include "base/json.h"
#include "jobs/spec.h"

enum {
    HEARD_OFFER_DATA_MAX = SPEC_DATA_MAX + 1, // What is bound, and what the job runs over.
    HEARD_OFFER_NAME_MAX = 200,
    HEARD_TRANSFER_TEXT_MAX = 4096,
};
#define HEARD_SECONDS_MAX 1e9 // That a question can say.
#define HEARD_OFFER_SECONDS_MAX 1e12
#define HEARD_BYTES_MAX 1e18
#define HEARD_CORE_HOURS_MAX 1e15

// What another site asks an offer for.
struct heard_wish {
    const char *data[HEARD_OFFER_DATA_MAX];
    size_t data_count;
    int64_t count;
    struct resources need;
    double walltime_seconds;
    double task_seconds; // What one task is expected to take.
    bool may_stage;
};
// The texts are in the arena. INVALID, naming the field.
enum status heard_read_wish(const json_t *request, struct arena *arena, struct heard_wish *out,
                            struct error *error);

// What another site offers; the name is in the arena.
struct heard_offer {
    const char *name;
    double start_seconds;
    double run_seconds;
    double core_hours;
    double stage_bytes;
    double stage_seconds;
};
// CORRUPT, naming the field: it is the other site that is wrong, and not who asked here.
enum status heard_read_offer(struct text document, struct arena *arena, struct heard_offer *out,
                             struct error *error);

// How far a transfer is, at this or another site. Texts that are not there are empty; borrowed from the document.
struct heard_transfer {
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
