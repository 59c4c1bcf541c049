#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"

static const struct store_migration MIGRATIONS[] = {
    {"notes", 1, "CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"},
    {"others", 1, "CREATE TABLE others (id BIGINT PRIMARY KEY, bytes BLOB_TYPE)"},
    {"notes", 2,
     "ALTER TABLE notes ADD COLUMN author TEXT NOT NULL DEFAULT 'nobody';\n"
     "UPDATE notes SET author = 'ada' WHERE id = 1"},
    {"notes", 3, "CREATE INDEX notes_by_author ON notes (author)"},
};
enum { MIGRATION_COUNT = sizeof MIGRATIONS / sizeof MIGRATIONS[0] };

static enum status open_with(const char *folder, const struct store_migration *migrations,
                             size_t count, struct store **out, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/site.db", folder);
    struct store_options options = {
        .url = path, .migrations = migrations, .migration_count = count};
    return store_open(&options, out, error);
}

static void check_author(struct store *store, struct text expected)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    assert_int_equal(sql_first(sql, "SELECT author FROM notes WHERE id = $1",
                               SQL_VALUES(sql_int64(1)), &rows, NULL),
                     OK);
    assert_true(text_equal(sql_column_text(rows, 0), expected));
    sql_end(rows);
    store_read_end(store, sql);
}

static void each_older_version_is_brought_up_to_date_and_keeps_its_rows(void **state)
{
    for (size_t version = 0; version <= MIGRATION_COUNT; version++) {
        AUTO_FREE char *folder = memory_format("%s/%zu", (char *)*state, version);
        assert_int_equal(file_make_folder(folder, NULL), OK);
        struct store *store = NULL;
        int64_t one = 1;
        assert_int_equal(open_with(folder, MIGRATIONS, version, &store, NULL), OK);
        if (version >= 1) {
            assert_int_equal(store_write_wait(store, fixture_add_note, &one, NULL), OK);
        }
        store_close(store);
        assert_int_equal(open_with(folder, MIGRATIONS, MIGRATION_COUNT, &store, NULL), OK);
        if (version == 0) {
            assert_int_equal(store_write_wait(store, fixture_add_note, &one, NULL), OK);
        }
        // The second of notes treats the rows that it finds.
        check_author(store, version == 1 || version == 2 ? TEXT("ada") : TEXT("nobody"));
        store_close(store);
    }
}

static void a_migration_that_fails_leaves_nothing_behind(void **state)
{
    static const struct store_migration broken[] = {
        {"notes", 1, "CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT);\nCREATE NONSENSE"}};
    struct store *store = NULL;
    struct error error = {0};
    assert_int_equal(open_with(*state, broken, 1, &store, &error), INTERNAL);
    assert_non_null(strstr(error.detail, "NONSENSE"));
    assert_int_equal(open_with(*state, MIGRATIONS, MIGRATION_COUNT, &store, &error), OK);
    store_close(store);
}

static void a_database_of_a_newer_program_is_refused(void **state)
{
    struct store *store = NULL;
    struct error error = {0};
    assert_int_equal(open_with(*state, MIGRATIONS, MIGRATION_COUNT, &store, NULL), OK);
    store_close(store);
    assert_int_equal(open_with(*state, MIGRATIONS, 3, &store, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "version 3"));
    assert_non_null(strstr(error.fix, "newer"));
    assert_int_equal(open_with(*state, MIGRATIONS, 1, &store, &error), CONFLICT);
}

static void what_is_no_database_is_refused_and_kept(void **state)
{
    AUTO_FREE char *path = memory_format("%s/site.db", (char *)*state);
    AUTO_FREE char *junk = memory_new(1, 8192);
    memset(junk, 'x', 8192);
    struct text content = {junk, 8192};
    assert_int_equal(file_write_atomic(path, content, 0600, NULL), OK);
    struct store *store = NULL;
    struct error error = {0};
    assert_int_equal(open_with(*state, MIGRATIONS, MIGRATION_COUNT, &store, &error), CORRUPT);
    assert_non_null(strstr(error.detail, path));
    AUTO_BUFFER struct buffer after = {0};
    assert_int_equal(file_read(path, SIZE_MAX, &after, NULL), OK);
    assert_true(text_equal(buffer_text(&after), content));
}

static void another_kind_of_database_is_unsupported(void **state)
{
    (void)state;
    struct store_options options = {.url = "postgres://localhost/lode"};
    struct store *store = NULL;
    struct error error = {0};
    assert_int_equal(store_open(&options, &store, &error), UNSUPPORTED);
    assert_true(error.fix[0] != '\0');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(each_older_version_is_brought_up_to_date_and_keeps_its_rows),
        TEST(a_migration_that_fails_leaves_nothing_behind),
        TEST(a_database_of_a_newer_program_is_refused),
        TEST(what_is_no_database_is_refused_and_kept),
        cmocka_unit_test(another_kind_of_database_is_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
