#include "store/migrate.h"

#include "store/connection.h"
#include "store/migrate_sql.h"

#include <assert.h>

static int highest_known(const struct store_migration *migrations, size_t count, struct text module)
{
    int highest = 0;
    for (size_t i = 0; i < count; i++) {
        if (text_equal(text_of(migrations[i].module), module)) {
            assert(migrations[i].number == highest + 1);
            highest = migrations[i].number;
        }
    }
    return highest;
}

static enum status refuse_newer(struct sql *sql, const struct store_migration *migrations,
                                size_t count, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_MIGRATION_HIGHEST, SQL_NO_VALUES, &rows, error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct text module = sql_column_text(rows, 0);
        int64_t number = sql_column_int64(rows, 1);
        if (number > highest_known(migrations, count, module)) {
            (void)error_set(error, CONFLICT,
                            "the database has version %lld of the tables of \"%.*s\", which this "
                            "program does not know",
                            (long long)number, TEXT_ARGS(module));
            error_fix(error, "a newer lode wrote it: run that one, or a newer one");
            return CONFLICT;
        }
    }
    return status;
}

static enum status apply(struct sql *sql, const struct store_migration *migration, int64_t now_us,
                         struct error *error)
{
    struct text module = text_of(migration->module);
    TRY(connection_run_script(sql, migration->statements, error));
    return sql_run(sql, SQL_MIGRATION_ADD,
                   SQL_VALUES(sql_text(module), sql_int64(migration->number), sql_int64(now_us)),
                   NULL, error);
}

static enum status is_applied(struct sql *sql, const struct store_migration *migration, bool *out,
                              struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_MIGRATION_IS_APPLIED,
                  SQL_VALUES(sql_text(text_of(migration->module)), sql_int64(migration->number)),
                  &rows, error));
    enum status status = OK;
    *out = sql_next(rows, &status, error);
    return status;
}

static enum status ensure(struct sql *sql, const struct store_migration *migration, int64_t now_us,
                          struct error *error)
{
    bool is_there = false;
    TRY(is_applied(sql, migration, &is_there, error));
    if (is_there) {
        return OK;
    }
    TRY(connection_begin(sql, error));
    enum status status = apply(sql, migration, now_us, error);
    if (status == OK) {
        status = connection_commit(sql, error);
    }
    connection_rollback(sql);
    return status;
}

enum status migrate(struct sql *sql, const struct store_migration *migrations, size_t count,
                    int64_t now_us, struct error *error)
{
    TRY(connection_run_script(sql, SQL_MIGRATION_TABLE, error));
    TRY(refuse_newer(sql, migrations, count, error));
    for (size_t i = 0; i < count; i++) {
        TRY(ensure(sql, &migrations[i], now_us, error));
    }
    return OK;
}
