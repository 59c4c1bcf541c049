#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void values_come_back_as_they_were_written(void **state)
{
    static const struct store_migration migrations[] = {
        {"kinds", 1, "CREATE TABLE kinds (n BIGINT, t TEXT, b BLOB_TYPE)"}};
    AUTO_FREE char *path = memory_format("%s/kinds.db", (char *)*state);
    struct store *store = NULL;
    struct store_options options = {.url = path, .migrations = migrations, .migration_count = 1};
    assert_int_equal(store_open(&options, &store, NULL), OK);
    struct sql *sql = NULL;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    struct sql_rows *rows = NULL;
    static const char statement[] = "SELECT $3, $1, $2, $4";
    assert_int_equal(sql_first(sql, statement,
                               SQL_VALUES(sql_int64(INT64_MIN), sql_text(TEXT_NONE),
                                          sql_blob("a\0b", 3), sql_null()),
                               &rows, NULL),
                     OK);
    assert_true(text_equal(sql_column_text(rows, 0), TEXT("a\0b")));
    assert_true(sql_column_int64(rows, 1) == INT64_MIN);
    assert_false(sql_column_is_null(rows, 2));
    assert_int_equal(sql_column_text(rows, 2).length, 0);
    assert_true(sql_column_is_null(rows, 3));
    sql_end(rows);
    store_read_end(store, sql);
    store_close(store);
}

static void a_write_that_fails_is_undone_alone(void **state)
{
    struct store *store = fixture_store(*state);
    int64_t one = 1;
    int64_t two = 2;
    struct error error = {0};
    assert_int_equal(store_write_wait(store, fixture_add_note, &one, &error), OK);
    assert_int_equal(store_write_wait(store, fixture_add_note, &one, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "notes.id"));
    assert_int_equal(store_write_wait(store, fixture_add_note, &two, &error), OK);
    assert_int_equal(fixture_count(store), 2);
    store_close(store);
}

static void a_second_process_is_told_who_holds_the_database(void **state)
{
    struct store *store = fixture_store(*state);
    AUTO_FREE char *path = memory_format("%s/site.db", (char *)*state);
    struct store_options options = {.url = path};
    struct store *second = NULL;
    struct error error = {0};
    assert_int_equal(store_open(&options, &second, &error), CONFLICT);
    AUTO_FREE char *holder = memory_format("process %lld", (long long)getpid());
    assert_non_null(strstr(error.detail, holder));
    store_close(store);
}

static void the_database_is_private(void **state)
{
    store_close(fixture_store(*state));
    AUTO_FREE char *path = memory_format("%s/site.db", (char *)*state);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static enum status post(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)error;
    (void)sem_post(context);
    return OK;
}

static void checks_run_without_writes(void **state)
{
    struct store *store = fixture_store(*state);
    sem_t ticks;
    (void)sem_init(&ticks, 0, 0);
    store_every(store, 1000, post, &ticks);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sem_wait(&ticks), 0);
    }
    store_close(store);
    (void)sem_destroy(&ticks);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(values_come_back_as_they_were_written),
        TEST(a_write_that_fails_is_undone_alone),
        TEST(a_second_process_is_told_who_holds_the_database),
        TEST(the_database_is_private),
        TEST(checks_run_without_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
