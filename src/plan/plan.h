// Where should a job run whose data lies at several places? A pure function of replicas, offers and measured links.
//
// Times are seconds, sizes bytes, rates bytes per second. What cannot be known is estimated and said so in the reasons.
#ifndef LODE_PLAN_PLAN_H
#define LODE_PLAN_PLAN_H

#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"

enum { PLAN_SITES_MAX = 64, PLAN_DATA_MAX = 64, PLAN_RATE_DEFAULT = 10 << 20 };

struct plan_site {
    const char *fingerprint;
    const char *name;
    bool is_home;
    bool has_offer;
    const char *refusal;  // Without an offer: why, in words.
    bool gives_nothing;   // Who asks is no guest there: no data comes from there either.
    double start_seconds; // From its offer.
    double core_hours;    // The price of the whole job.
    double run_seconds;   // Estimated for the whole job there.
    double stage_bytes; // What it would have to fetch first, and how long that takes, by its offer.
    double stage_seconds;
};
struct plan_data {
    const char *id;
    int64_t size_bytes;
    bool is_at[PLAN_SITES_MAX]; // By index of the site: an available replica is there.
};
struct plan_request {
    const struct plan_site *sites;
    size_t site_count;
    const struct plan_data *data;
    size_t data_count;
    // Bytes per second from site to site, measured; 0: never (PLAN_RATE_DEFAULT is assumed, and said).
    double rates[PLAN_SITES_MAX][PLAN_SITES_MAX];
    int wanted_site; // An index, or -1: any.
    bool may_split;  // A merge command was given.
    bool may_move;
    double result_bytes; // Expected outputs of one part.
};

enum plan_kind { PLAN_LOCAL, PLAN_AT, PLAN_SPLIT, PLAN_MOVE };
const char *plan_kind_name(enum plan_kind kind); // "local", "at", "split", "move"

struct plan_part { // Of a split: these data at this site.
    int site;
    bool has_data[PLAN_DATA_MAX];
};
struct plan_move { // These data from one site to another.
    int data;
    int from;
    int to;
    double seconds;
};
struct plan_option {
    enum plan_kind kind;
    int site; // Where it runs; of a split: where it is merged.
    struct plan_part *parts;
    size_t part_count;
    struct plan_move *moves;
    size_t move_count;
    int64_t bytes_moved;
    double seconds; // Until the result: start, staging, run, bringing home.
    double core_hours;
    const char *reason; // In words, with the numbers.
};
struct plan {
    struct plan_option *options; // Best first.
    size_t option_count;
    const char *reason; // Why the first.
};

// NOT_FOUND or CONFLICT when there is no way, saying for each site why not and what would help. Everything of *out lives in the arena.
enum status plan_make(const struct plan_request *request, struct arena *arena, struct plan *out,
                      struct error *error);

#endif
