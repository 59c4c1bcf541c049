// A site that asks hubs, hubs that answer as a test tells them to, and the index of the site when it is a hub itself.
#ifndef LODE_TESTS_RESOLVE_ASK_WORLD_H
#define LODE_TESTS_RESOLVE_ASK_WORLD_H

#include "base/json.h"
#include "fake_hub.h"

#include <stdatomic.h>

enum { HUBS = 2, OWN_NUMBER = 2, BUSY_MACHINE_US = 30000000 };

// A site that asks: what its parts say, and its hubs.
struct world {
    char folder[64];
    struct store *store;
    struct resolver *resolver;
    struct signer self;
    struct signer ocean; // A site that has data.
    struct signer ice;   // Another one.
    struct buffer own;   // The own entry; empty: none.
    bool own_is_indexed; // Does index_has_own say so?
    bool knows_ocean;
    _Atomic int distances_noted;
    struct fake_hub *others; // Sites that may be measured besides the second hub.
    size_t other_count;
    struct fake_hub hubs[HUBS];
    size_t hub_count;
    struct mirror *mirror;
};

// The index of the hub under test: what mirror_find answers.
struct mirror {
    struct fingerprint site;
    struct buffer entry;
    const struct buffer *own; // Ours, under OWN_NUMBER; NULL or empty: none.
    int64_t lacking;
};

// For cmocka's setup and teardown: a site with all its hubs, which know nothing.
int make_world(void **state);
int end_world(void **state);
// Starts and ends the resolver alone, on what it has remembered.
void open_resolver(struct world *world);
void close_resolver(struct world *world);

// The hub answers that ocean has it, with this serial.
void hub_knows(struct world *world, size_t at, int64_t serial);
// The hub answers that ocean, and ice too, has it.
void hub_knows_two(struct world *world, size_t at);

// The answer, parsed; ends the test when there is none. What is to be remembered of it is in the store afterwards: that takes one write of this function.
json_t *resolved(struct world *world, const char *name, enum resolve_reach reach);
// The status, and why, when hubs may be asked; there is no answer.
enum status refused(struct world *world, const char *name, struct error *error);

// Of an answer: a text or "", a location, how many there are, and its first problem or "".
const char *member(const json_t *document, const char *name);
const json_t *location_at(const json_t *document, size_t at);
size_t location_count(const json_t *document);
const char *first_problem(const json_t *document);

#endif
