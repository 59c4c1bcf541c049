// Brings the schema of a database to what this program needs.
#ifndef LODE_STORE_MIGRATE_H
#define LODE_STORE_MIGRATE_H

#include "store/store.h"

// Applies what is missing, in order, each in a transaction of its own together with the note that it was applied.
// CONFLICT when the database has a migration that is not among these: a newer program wrote it.
enum status migrate(struct sql *sql, const struct store_migration *migrations, size_t count,
                    int64_t now_us, struct error *error);

#endif
