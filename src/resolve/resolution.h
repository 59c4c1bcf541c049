// One answer in the making: locations are added in any order, and written ranked.
//
// This is the hot path of a hub: entries are canonical and verified, so what the ranking needs is found by looking for its bytes, and each location
// is written once, behind the others, and copied to its place in the end.
#ifndef LODE_RESOLVE_RESOLUTION_H
#define LODE_RESOLVE_RESOLUTION_H

#include "resolve/resolve.h"

enum { DISTANCE_SELF, DISTANCE_MEASURED, DISTANCE_UNKNOWN };

// What decides about the order of locations, most significant first; the smaller, the better.
struct resolution_rank {
    uint32_t availability; // Available and online is 0.
    uint32_t liveness;
    uint32_t distance_class; // DISTANCE_SELF ...
    int64_t rtt_us;
    int64_t load_permille;
};

struct resolution_location {
    struct resolution_rank rank;
    struct fingerprint site;
    size_t from; // In `parts`: its JSON, without the closing brace.
    size_t length;
    size_t id_from; // Of the entry's id, as JSON, with its quotes.
    size_t id_length;
};

struct resolution {
    struct buffer parts;
    size_t count;
    struct resolution_location locations[RESOLVE_LOCATIONS_MAX];
};

// Ready to add to. Its locations are large and need not be zeroed.
void resolution_init(struct resolution *resolution);
void resolution_done(struct resolution *resolution);
#define AUTO_RESOLUTION __attribute__((cleanup(resolution_done)))

// Adds where the site has it. A site that is there already, and what is beyond RESOLVE_LOCATIONS_MAX, is left out.
void resolution_add(struct resolution *resolution, struct text entry,
                    const struct resolve_site *site);

// The site's calls take so long, as was found since it was added: its place changes with that. Nothing when `rtt_us` is negative, the site is not there, or its distance was known.
void resolution_set_distance(struct resolution *resolution, const struct fingerprint *site,
                             int64_t rtt_us);

// Is one of its locations this site itself?
bool resolution_has_own(const struct resolution *resolution);

struct resolution_origin {
    const char *source; // "index" ...
    const char *hub;    // Its name; NULL: no hub.
    int64_t age_seconds;
    int64_t catching_up;    // Of so many sites' logs whoever knows this lacks entries.
    struct text unanswered; // Hubs that did not answer, with why; empty: none.
    struct text problems;   // JSON texts with commas between them; empty: none.
};

// Appends the document. There is at least one location. The `id` is that of the first one.
void resolution_write(struct resolution *resolution, const struct resolution_origin *origin,
                      struct buffer *out);

#endif
