// The durable state of a site: one writer that commits for all (group commit), readers beside it.
#ifndef LODE_STORE_STORE_H
#define LODE_STORE_STORE_H

#include "store/sql.h"

struct store;

// One numbered change of the schema. Numbers rise by one within a module; a module's name is its folder ("queue").
// `statements` are separated by ";\n"; BLOB_TYPE in them is replaced by the database's type for bytes (BLOB, BYTEA).
struct store_migration {
    const char *module;
    int number;
    const char *statements;
};

struct store_options {
    // A file path (SQLite); its folder must exist. "postgres://..." is UNSUPPORTED for now.
    const char *url;
    // Applied in order, each once, in one transaction each.
    const struct store_migration *migrations;
    size_t migration_count;
    // Connections for reading at the same time; 0: 4.
    unsigned readers;
};

// Opens (and creates, 0600) and migrates. CORRUPT for a damaged file, CONFLICT when another process holds it or when it was
// written by a newer version of the program.
enum status store_open(const struct store_options *options, struct store **out,
                       struct error *error);

// Commits what was asked before and closes. NULL is allowed.
void store_close(struct store *store);

// What the writer runs: changes through `sql` within the common transaction, on the writer's thread. When it returns not OK,
// its changes alone are undone (savepoint) and `done` gets that status.
// In-memory state that goes with the database may be changed here too, as only the writer's thread runs these.
typedef enum status store_write_fn(struct sql *sql, void *context, struct error *error);
// What is called after the commit, on the writer's thread: status OK means that the changes are durable. When the commit itself failed
// (disk full), every write of the batch gets that error, and `recover` (below) has been called before.
typedef void store_done_fn(void *context, enum status status, const struct error *error);

// Hands a write to the writer. Never blocks for the disk; order is kept. `done` may be NULL.
void store_write(struct store *store, store_write_fn *write, store_done_fn *done, void *context);

// The same, and waits for the commit. Not from the writer's thread.
enum status store_write_wait(struct store *store, store_write_fn *write, void *context,
                             struct error *error);

// Runs on the writer's thread after a batch whose commit failed was rolled back, before the `done`s: the owner of in-memory state
// rebuilds it from the database. Any number of owners; called in order of registration.
void store_on_recover(struct store *store, store_write_fn *recover, void *context);

// A connection for reading, with a consistent view until it is given back; may wait for a free one. Any thread but the writer's;
// a thread holds one at a time, and no longer than it reads, as the database's log grows meanwhile.
enum status store_read_begin(struct store *store, struct sql **sql, struct error *error);
void store_read_end(struct store *store, struct sql *sql);

// Runs `check` on the writer's thread every `interval_us` when there is nothing to write sooner (time-outs, expiry): as a store_write
// whose result nobody awaits. At most 4.
void store_every(struct store *store, int64_t interval_us, store_write_fn *check, void *context);

// Commits and writes since the start, for status pages and measurements.
struct store_figures {
    int64_t commits;
    int64_t writes;
};
struct store_figures store_figures(struct store *store);

#endif
