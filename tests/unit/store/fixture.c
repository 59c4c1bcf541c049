#include "fixture.h"

#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/file.h"

static const struct store_migration MIGRATIONS[] = {
    {"notes", 1, "CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"},
};

int fixture_folder_new(void **state)
{
    return folder_make(state);
}

int fixture_folder_free(void **state)
{
    return folder_remove(state);
}

struct store *fixture_store(const char *place)
{
    AUTO_FREE char *path = memory_format("%s/site.db", place);
    struct store_options options = {.url = path, .migrations = MIGRATIONS, .migration_count = 1};
    struct store *store = NULL;
    struct error error = {0};
    if (store_open(&options, &store, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return store;
}

int64_t fixture_count(struct store *store)
{
    struct sql *sql = NULL;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    struct sql_rows *rows = NULL;
    assert_int_equal(sql_first(sql, "SELECT COUNT(*) FROM notes", SQL_NO_VALUES, &rows, NULL), OK);
    int64_t count = sql_column_int64(rows, 0);
    sql_end(rows);
    store_read_end(store, sql);
    return count;
}

enum status fixture_add_note(struct sql *sql, void *context, struct error *error)
{
    const int64_t *id = context;
    return sql_run(sql, "INSERT INTO notes (id, body) VALUES ($1, $2)",
                   SQL_VALUES(sql_int64(*id), sql_text(TEXT("a note"))), NULL, error);
}
