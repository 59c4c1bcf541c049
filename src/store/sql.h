// A SQL database: statements, values and rows, with no trace of which database it is.
//
// Statements are portable SQL that SQLite 3.40 and PostgreSQL 15 run unchanged: types BIGINT, TEXT, BLOB_TYPE (see
// migrations), placeholders $1, $2 ... in order of first appearance, ON CONFLICT ... DO, RETURNING; no rowid, no AUTOINCREMENT,
// no PRAGMA, no database's own functions.
//
// Where they stand, so that scripts/check-sql-portable finds them and tries each on PostgreSQL: a domain's statements in
// src/<module>/<domain>_sql.h, each as `static const char SQL_NAME[] = "..." "...";`, included by that domain's one file; its
// migrations in src/<module>/migrations.c, as `const struct store_migration MODULE_MIGRATIONS[] = {{"module", 1, "..."}, ...};`
// (literals only; in the statements also macros of literals, such as a list of columns).
#ifndef LODE_STORE_SQL_H
#define LODE_STORE_SQL_H

#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"

struct sql;      // One connection; used by one thread at a time.
struct sql_rows; // A statement under way; belongs to its connection.

// One bound value.
struct sql_value {
    enum sql_kind { SQL_NULL, SQL_INT64, SQL_TEXT, SQL_BLOB } kind;
    int64_t number;
    struct text bytes;
};

static inline struct sql_value sql_int64(int64_t number)
{
    return (struct sql_value){.kind = SQL_INT64, .number = number};
}
static inline struct sql_value sql_text(struct text text)
{
    return (struct sql_value){.kind = SQL_TEXT, .bytes = text};
}
static inline struct sql_value sql_blob(const void *bytes, size_t length)
{
    return (struct sql_value){.kind = SQL_BLOB, .bytes = {(const char *)bytes, length}};
}
static inline struct sql_value sql_null(void)
{
    return (struct sql_value){.kind = SQL_NULL};
}

// Runs a statement that returns no rows. `statement` must be a string literal (or live as long as the connection): it is
// prepared once and kept under its address. *changed (may be NULL) gets the number of rows inserted, updated or deleted.
// CONFLICT when a constraint refuses, QUOTA when the disk is full, BUSY when another holds the database, else INTERNAL or CORRUPT.
enum status sql_run(struct sql *sql, const char *statement, const struct sql_value *values,
                    size_t count, int64_t *changed, struct error *error);

// Starts a query; walk it with sql_next and always end it with sql_end (which takes NULL), before the transaction ends.
// Values are copied. The same statement may be under way more than once.
enum status sql_query(struct sql *sql, const char *statement, const struct sql_value *values,
                      size_t count, struct sql_rows **rows, struct error *error);
// Moves to the next row; false at the end or on failure (then *status is not OK). `status` starts as OK.
bool sql_next(struct sql_rows *rows, enum status *status, struct error *error);
// Columns of the row, from 0. NULL columns read as 0 and the empty text. Texts are borrowed until the next sql_next.
int64_t sql_column_int64(const struct sql_rows *rows, int column);
struct text sql_column_text(const struct sql_rows *rows, int column); // TEXT and BLOB alike.
bool sql_column_is_null(const struct sql_rows *rows, int column);
void sql_end(struct sql_rows *rows);

// A query at its first row: OK, and the rows are to be ended; NOT_FOUND (*rows unchanged) when there is none. The caller puts
// a better text in that error.
enum status sql_first(struct sql *sql, const char *statement, const struct sql_value *values,
                      size_t count, struct sql_rows **rows, struct error *error);

static inline void sql_end_local(struct sql_rows **rows)
{
    sql_end(*rows);
}
#define AUTO_ROWS __attribute__((cleanup(sql_end_local)))

// The values of a call, with their count: sql_run(sql, SQL_X, SQL_VALUES(sql_int64(1), sql_text(name)), NULL, error).
#define SQL_VALUES(...)                                                                            \
    (const struct sql_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct sql_value[]){__VA_ARGS__}) / sizeof(struct sql_value)
// No values: sql_run(sql, "...", SQL_NO_VALUES, NULL, error).
#define SQL_NO_VALUES NULL, 0

#endif
