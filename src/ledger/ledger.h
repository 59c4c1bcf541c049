// A site's own catalogue log: signed entries, chained by hash, in the store.
//
// An entry is appended in the same transaction as the change of the catalogue that it tells of, so neither is there without the
// other. What is told of a dataset is its latest entry. Signed heads and batches are made when they are asked for.
#ifndef LODE_LEDGER_LEDGER_H
#define LODE_LEDGER_LEDGER_H

#include "crypto/digest.h"
#include "ledger/statement.h"
#include "store/store.h"

struct ledger;

enum {
    LEDGER_BATCH_ENTRIES_MAX = 1000,
    LEDGER_BATCH_SIZE_MAX = 1 << 20,
    LEDGER_READ_SIZE_MAX = 4 << 20, // Of the batches that one call answers with.
    LEDGER_HEAD_SIZE_MAX = 1024,    // A signed head and its line end.
};
#define LEDGER_NUMBER_MAX                                                                          \
    ((INT64_C(1) << 53) - 1) // Of epochs and serials: every JSON has them exactly.

// How far a log goes.
struct ledger_position {
    int64_t epoch;      // 0: nothing is known.
    int64_t serial;     // 0: nothing yet.
    struct digest head; // Zeros at serial 0.
};

struct ledger_options {
    struct store *store; // Opened with LEDGER_MIGRATIONS; borrowed.
    const struct signing_key *key;
    // Called on the writer's thread after commits that added entries. May be NULL.
    void (*changed)(void *context);
    void *context;
};
enum status ledger_open(const struct ledger_options *options, struct ledger **out,
                        struct error *error);
// Before the store is closed, and when nobody appends any more. NULL is allowed.
void ledger_close(struct ledger *ledger);

// What is said of a dataset of this site.
struct ledger_dataset {
    struct text id;
    const struct text *aliases;
    size_t alias_count;
    struct text title;
    bool has_digest;
    struct digest digest;
    int64_t file_count;
    int64_t size_bytes;
    const char *tier;
    const char *state; // "available" ...
};
// Appends an entry, within a write of the store (on the writer's thread). Nothing is appended when the latest entry says the same.
enum status ledger_append_dataset(struct ledger *ledger, struct sql *sql,
                                  const struct ledger_dataset *dataset, struct error *error);
enum status ledger_append_removal(struct ledger *ledger, struct sql *sql, struct text id,
                                  struct error *error);

// As of the last commit that `changed` told of: what was just appended may come a moment later. Any thread.
struct ledger_position ledger_position(struct ledger *ledger);

// May there be entries, committed or about to be, that ledger_position does not tell of yet? Any thread.
bool ledger_is_growing(const struct ledger *ledger);

// Were all datasets of the site entered once (those of a site that is older than its log)? Within a write, or with a reading connection.
enum status ledger_is_complete(struct sql *sql, bool *out, struct error *error);
enum status ledger_set_complete(struct sql *sql, struct error *error);

// Reads epoch, serial and head of a `head` or `heartbeat` statement, whose signature is the caller's to verify. INVALID.
enum status ledger_head_read(const json_t *object, struct ledger_position *out,
                             struct error *error);

// Somebody showed this signed head of our own log (a `head` or `heartbeat` statement). When it is ours and beyond what we know, or another chain value
// at a serial that we have, this site was restored from an old backup: starts the next epoch behind the greater one, with an entry for each dataset's latest
// state, and sets *restarted. CORRUPT when it is not signed by this site's key, INVALID when it is no head. Blocks for the commits; not on
// the writer's thread. What a crash interrupts is gone on with by ledger_open.
enum status ledger_hear_own(struct ledger *ledger, const json_t *head, bool *restarted,
                            struct error *error);

// Appends batches (NDJSON) behind `after` of `epoch`; of the present epoch from serial 1 when that is another. May wait for the database.
enum status ledger_read_batches(struct ledger *ledger, int64_t epoch, int64_t after,
                                struct buffer *out, struct error *error);

// The latest entry about a dataset (by the id that it is registered by), canonical with its signature. NOT_FOUND when there is none
// or it was removed.
enum status ledger_find_entry(struct ledger *ledger, struct text id, struct buffer *out,
                              struct error *error);

extern const struct store_migration LEDGER_MIGRATIONS[];
extern const size_t LEDGER_MIGRATION_COUNT;

#endif
