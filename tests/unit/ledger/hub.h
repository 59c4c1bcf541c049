// A hub for tests: a store, a mirror, and what it was told.
#ifndef LODE_TESTS_LEDGER_HUB_H
#define LODE_TESTS_LEDGER_HUB_H

#include "fixture.h"

#include "ledger/mirror.h"

#include <stdatomic.h>

struct hub {
    const char *folder;
    struct store *store;
    struct mirror *mirror;
    atomic_int advanced;
    atomic_int reported;
    int64_t log_size_max; // Taken by the next start; 0: the default.
};

// Starts it; its index may still be catching up then.
void hub_start(struct hub *hub, const char *folder);
void hub_await_index(const struct hub *hub);
// Both.
void hub_open(struct hub *hub, const char *folder);
void hub_close(struct hub *hub);

// What the log has behind a serial, as it would be sent.
void talker_read(const struct talker *talker, int64_t epoch, int64_t after, struct buffer *out);
// Says something of a dataset. `aliases`: ALIASES("s:a", "s:b"), or NULL.
void talker_says(const struct talker *talker, const char *id, const char *const *aliases,
                 const char *state);
#define ALIASES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

enum status hub_take(const struct hub *hub, const struct talker *talker, struct text batches,
                     struct ledger_position *position, struct error *error);
void hub_take_well(const struct hub *hub, const struct talker *talker, struct text batches);
// Brings the copy up to the log, as often as it takes.
void hub_follow(const struct hub *hub, const struct talker *talker);
int64_t hub_serial(const struct hub *hub, const struct talker *talker);

// Finds up to 100 entries; appends them, one a line.
size_t hub_find(const struct hub *hub, const char *name, struct buffer *out);
size_t hub_count(const struct hub *hub, const char *name);
// What mirror_find calls for that; the context is the buffer.
void hub_add_found(void *context, const struct mirror_entry *entry);

#endif
