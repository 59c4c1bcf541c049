// Answers that hubs gave, in the store: for when none of them is there, and to know a replayed old one.
#ifndef LODE_RESOLVE_RECALL_H
#define LODE_RESOLVE_RECALL_H

#include "resolve/resolve.h"

struct recall;

// `store` is borrowed. Blocks for the database.
enum status recall_open(struct store *store, size_t count_max, struct recall **out,
                        struct error *error);
// What was to be saved must have been committed: close the store before. NULL is allowed.
void recall_close(struct recall *recall);

struct remembered {
    struct text document; // As saved; lives in the arena. Empty: nothing is remembered.
    int64_t answered_us;  // Wall clock.
};
// Nothing found is OK with an empty document. Blocks for the database.
enum status recall_find(struct recall *recall, struct text name, struct arena *arena,
                        struct remembered *out, struct error *error);

// Saves without waiting: a lost one does no harm. The oldest ones make room.
void recall_save(struct recall *recall, struct text name, struct text document,
                 int64_t answered_us);

#endif
