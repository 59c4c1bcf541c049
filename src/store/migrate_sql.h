// The statements of migrate.c.
#ifndef LODE_STORE_MIGRATE_SQL_H
#define LODE_STORE_MIGRATE_SQL_H

// Runs at each start.
static const char SQL_MIGRATION_TABLE[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                          "module TEXT NOT NULL, "
                                          "number BIGINT NOT NULL, "
                                          "applied_us BIGINT NOT NULL, "
                                          "PRIMARY KEY (module, number))";

static const char SQL_MIGRATION_HIGHEST[] =
    "SELECT module, MAX(number) FROM schema_migrations GROUP BY module ORDER BY module";

static const char SQL_MIGRATION_IS_APPLIED[] =
    "SELECT applied_us FROM schema_migrations WHERE module = $1 AND number = $2";

static const char SQL_MIGRATION_ADD[] =
    "INSERT INTO schema_migrations (module, number, applied_us) VALUES ($1, $2, $3)";

#endif
