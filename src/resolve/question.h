// One question on its way to its answer, shared by the files that look for it.
#ifndef LODE_RESOLVE_QUESTION_H
#define LODE_RESOLVE_QUESTION_H

#include "resolve/distances.h"
#include "resolve/hubs.h"
#include "resolve/kept.h"
#include "resolve/recall.h"
#include "resolve/resolution.h"
#include "resolve/unknown.h"

#include <pthread.h>

struct resolver {
    struct resolver_options options;
    struct recall *recall;
    struct hubs *hubs;
    struct distances *distances;
    _Atomic int asking;
    pthread_mutex_t mutex; // Guards `unknown`.
    struct unknown_names *unknown;
};

// One question on its way to its answer.
struct question {
    struct resolver *resolver;
    struct text name;
    enum resolve_reach reach;
    struct arena arena;
    struct resolution resolution;
    struct remembered remembered;
    struct kept before;     // What is remembered, verified.
    struct kept found;      // What hubs answer now.
    int64_t now_us;         // Wall clock.
    struct buffer asked;    // Names of hubs that answered,
    struct buffer unasked;  // and of those that did not, with why.
    struct buffer problems; // What hubs lied about, as JSON texts.
    size_t problem_count;
    size_t hub_count;
    size_t answered_count;
    size_t lied_count;
    // Of how many sites' logs there are lacking entries: to the index here, or to those who know of none, the most; once an answer held, to that one, the least.
    int64_t catching_up;
    int64_t lacking_here;  // To the index here.
    struct location *rest; // What held in the first answer in which something did not,
    size_t rest_count;
    const char *rest_hub; // and who gave it.
    bool is_measuring;    // What is far is to be measured,
    int64_t measuring_us; // waiting for so long.
    size_t target_count;  // Of those that may be measured.
    struct distance_target targets[RESOLVE_LOCATIONS_MAX];
};

// --- gather.c: what is known goes into the resolution.
// All that the index has. `question` is NULL on the fast path.
void gather_index(const struct resolver *resolver, struct text name, struct resolution *resolution,
                  struct question *question);
// From the own catalogue; OK also when there is nothing.
enum status gather_own(struct question *question, struct error *error);
// Locations of somebody else's answer. `has_hints`: what that says of the sites is new enough to count.
void gather_locations(struct question *question, const struct location *locations, size_t count,
                      bool has_hints);
// Measures the sites that were gathered and whose distance is not known, and waits as long as the question may.
void gather_distances(struct question *question);

#endif
