#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <unistd.h>

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

// Two rows whose sum never changes, though no moment between two statements has it.
enum { ACCOUNT_SUM = 1000, MOVES = 400, READER_THREADS = 3 };

static const struct store_migration ACCOUNTS[] = {
    {"accounts", 1,
     "CREATE TABLE accounts (id BIGINT PRIMARY KEY, amount BIGINT NOT NULL);\n"
     "INSERT INTO accounts (id, amount) VALUES (1, 1000), (2, 0)"},
};

static enum status move_one(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    TRY(sql_run(sql, "UPDATE accounts SET amount = amount - 1 WHERE id = 1", SQL_NO_VALUES, NULL,
                error));
    return sql_run(sql, "UPDATE accounts SET amount = amount + 1 WHERE id = 2", SQL_NO_VALUES, NULL,
                   error);
}

static int64_t amount(struct sql *sql, int64_t id)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (sql_first(sql, "SELECT amount FROM accounts WHERE id = $1", SQL_VALUES(sql_int64(id)),
                  &rows, NULL) != OK) {
        return INT64_MIN;
    }
    return sql_column_int64(rows, 0);
}

struct reading {
    struct store *store;
    bool is_consistent;
};

// cmocka's assertions are for the test's own thread.
static void *read_until_moved(void *argument)
{
    struct reading *reading = argument;
    int64_t moved = 0;
    reading->is_consistent = true;
    while (moved < MOVES && reading->is_consistent) {
        struct sql *sql = NULL;
        if (store_read_begin(reading->store, &sql, NULL) != OK) {
            reading->is_consistent = false;
            break;
        }
        int64_t first = amount(sql, 1);
        moved = amount(sql, 2);
        reading->is_consistent = first + moved == ACCOUNT_SUM && amount(sql, 1) == first;
        store_read_end(reading->store, sql);
    }
    return NULL;
}

static void readers_see_whole_commits_only(void **state)
{
    AUTO_FREE char *path = memory_format("%s/site.db", (char *)*state);
    // Fewer connections than threads: some wait for one.
    struct store_options options = {
        .url = path, .migrations = ACCOUNTS, .migration_count = 1, .readers = 2};
    struct store *store = NULL;
    assert_int_equal(store_open(&options, &store, NULL), OK);
    pthread_t threads[READER_THREADS];
    struct reading readings[READER_THREADS];
    for (int i = 0; i < READER_THREADS; i++) {
        readings[i] = (struct reading){.store = store};
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_moved, &readings[i]), 0);
    }
    for (int i = 0; i < MOVES; i++) {
        assert_int_equal(store_write_wait(store, move_one, NULL, NULL), OK);
    }
    for (int i = 0; i < READER_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readings[i].is_consistent);
    }
    store_close(store);
}

static void readers_cannot_write(void **state)
{
    struct store *store = fixture_store(*state);
    struct sql *sql = NULL;
    int64_t one = 1;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    assert_int_equal(fixture_add_note(sql, &one, NULL), DENIED);
    store_read_end(store, sql);
    store_close(store);
}

static void a_statement_may_be_under_way_twice(void **state)
{
    struct store *store = fixture_store(*state);
    for (int64_t id = 1; id <= 3; id++) {
        assert_int_equal(store_write_wait(store, fixture_add_note, &id, NULL), OK);
    }
    static const char statement[] = "SELECT id FROM notes WHERE id > $1 ORDER BY id";
    struct sql *sql = NULL;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    struct sql_rows *outer = NULL;
    enum status status = OK;
    int64_t pairs = 0;
    assert_int_equal(sql_query(sql, statement, SQL_VALUES(sql_int64(0)), &outer, NULL), OK);
    while (sql_next(outer, &status, NULL)) {
        AUTO_ROWS struct sql_rows *inner = NULL;
        assert_int_equal(sql_query(sql, statement,
                                   SQL_VALUES(sql_int64(sql_column_int64(outer, 0))), &inner, NULL),
                         OK);
        while (sql_next(inner, &status, NULL)) {
            pairs++;
        }
    }
    sql_end(outer);
    assert_int_equal(pairs, 3);
    store_read_end(store, sql);
    store_close(store);
}

static void what_was_asked_before_closing_is_written(void **state)
{
    static int64_t ids[500];
    struct store *store = fixture_store(*state);
    for (int64_t i = 0; i < 500; i++) {
        ids[i] = i + 1;
        store_write(store, fixture_add_note, NULL, &ids[i]);
    }
    store_close(store);
    store = fixture_store(*state);
    assert_int_equal(fixture_count(store), 500);
    store_close(store);
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
        TEST(readers_see_whole_commits_only),
        TEST(readers_cannot_write),
        TEST(a_statement_may_be_under_way_twice),
        TEST(what_was_asked_before_closing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
