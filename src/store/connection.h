// What only the store itself does with a database connection: opening, transactions, upkeep.
//
// The seam behind which a database is chosen: sqlite.c is the one file that knows SQLite.
#ifndef LODE_STORE_CONNECTION_H
#define LODE_STORE_CONNECTION_H

#include "store/sql.h"

// Connections of one process may be open side by side: one that writes, any number that read.
enum connection_use { CONNECTION_WRITE, CONNECTION_READ };

// Opens the database; a writing connection creates it, readable by its owner only. CORRUPT when it is no database.
enum status sql_connection_open(const char *path, enum connection_use use, struct sql **out,
                                struct error *error);
// Takes NULL. The last one to close tidies the files.
void sql_connection_close(struct sql *sql);

// A transaction: a consistent view for reading; for writing, all or nothing, durable when commit returns OK.
enum status connection_begin(struct sql *sql, struct error *error);
enum status connection_commit(struct sql *sql, struct error *error);
// Undoes the transaction; nothing happens when none is open.
void connection_rollback(struct sql *sql);
// Some failures (a full disk) end the whole transaction by themselves; then this is false before its commit.
bool connection_is_in_transaction(const struct sql *sql);

// One nested part of a transaction that can be undone alone: mark, then either keep or undo.
enum status connection_mark(struct sql *sql, struct error *error);
enum status connection_keep(struct sql *sql, struct error *error);
enum status connection_undo(struct sql *sql, struct error *error);

// Rows changed since the connection was opened.
int64_t connection_changes(const struct sql *sql);

// No query may be left open where a transaction ends; how many are.
unsigned connection_open_queries(const struct sql *sql);

// Runs several statements separated by ";", with BLOB_TYPE replaced by the database's word. For migrations.
enum status connection_run_script(struct sql *sql, const char *statements, struct error *error);

// Moves committed changes from the log of the database to their place when enough have gathered. Call between
// transactions. A failure harms nothing: it is tried again later.
void connection_tidy(struct sql *sql);

#endif
