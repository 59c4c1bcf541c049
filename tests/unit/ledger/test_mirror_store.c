// How copies of logs lie in the database: compressed, as they were stored before that, and damaged.
#include "hub.h"

#include "../cmocka_all.h"

#include "base/memory.h"

// A talker with so much to say in a few batches, and what it signed.
static void begin(struct talker *talker, const char *folder, int64_t entries, struct buffer *all)
{
    talker_open(talker, folder, "site");
    talker_say_many(talker, 0, entries);
    talker_read(talker, 0, 0, all);
}

static void read_copy(const struct hub *hub, const struct talker *talker, struct buffer *out)
{
    const struct fingerprint *site = signing_key_fingerprint(talker->key);
    assert_int_equal(mirror_read_batches(hub->mirror, site, 1, 0, out, NULL), OK);
}

static int64_t number_in(struct store *store, const char *query)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    assert_int_equal(sql_first(sql, query, NULL, 0, &rows, NULL), OK);
    int64_t number = sql_column_int64(rows, 0);
    sql_end(rows);
    store_read_end(store, sql);
    return number;
}

static enum status write_damage(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    return sql_run(sql, "UPDATE mirror_batches SET batch = SUBSTR(batch, 1, LENGTH(batch) - 1)",
                   NULL, 0, NULL, error);
}

static void batches_are_small_in_the_database_and_come_out_as_signed(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_BUFFER struct buffer all = {0};
    AUTO_BUFFER struct buffer copy = {0};
    begin(&talker, *state, 1500, &all);
    hub_open(&hub, *state);
    hub_take_well(&hub, &talker, buffer_text(&all));
    read_copy(&hub, &talker, &copy);
    assert_int_equal(copy.length, all.length);
    assert_memory_equal(copy.bytes, all.bytes, all.length);
    int64_t kept = number_in(hub.store, "SELECT SUM(LENGTH(batch)) FROM mirror_batches");
    int64_t plain = number_in(hub.store, "SELECT SUM(size_bytes) FROM mirror_batches");
    assert_int_equal(plain, all.length);
    assert_true(kept < plain / 3);
    talker_close(&talker);
    hub_close(&hub);
}

// The store of a program that did not compress: the first tables, and a batch in them.
struct former {
    struct text batch;
    struct fingerprint site;
    struct ledger_position position;
};

static enum status write_former(struct sql *sql, void *context, struct error *error)
{
    const struct former *former = context;
    struct text head = TEXT_NONE;
    struct text rest = former->batch;
    struct sql_value serial = sql_int64(former->position.serial);
    struct sql_value chain = sql_blob(former->position.head.bytes, DIGEST_SIZE);
    (void)text_next_part(&rest, '\n', &head);
    TRY(sql_run(sql,
                "INSERT INTO mirror_sites (number, site, epoch, serial, head, statement) "
                "VALUES (1, $1, 1, $2, $3, $4)",
                SQL_VALUES(sql_text(text_of(former->site.text)), serial, chain,
                           sql_blob(head.bytes, head.length)),
                NULL, error));
    return sql_run(
        sql,
        "INSERT INTO mirror_batches (number, epoch, last, first, entries, size_bytes, head, batch) "
        "VALUES (1, 1, $1, 1, $1, $2, $3, $4)",
        SQL_VALUES(serial, sql_int64((int64_t)former->batch.length), chain,
                   sql_blob(former->batch.bytes, former->batch.length)),
        NULL, error);
}

static void read_head(struct text batch, struct ledger_position *out)
{
    struct text line = TEXT_NONE;
    AUTO_JSON json_t *head = NULL;
    assert_true(text_next_part(&batch, '\n', &line));
    assert_int_equal(json_parse(line, &head, NULL), OK);
    assert_int_equal(ledger_head_read(head, out, NULL), OK);
}

static void make_former(const char *folder, struct former *former)
{
    AUTO_FREE char *path = memory_format("%s/hub.db", folder);
    const struct store_options options = {
        .url = path, .migrations = LEDGER_MIGRATIONS, .migration_count = 1};
    struct store *store = NULL;
    assert_int_equal(store_open(&options, &store, NULL), OK);
    assert_int_equal(store_write_wait(store, write_former, former, NULL), OK);
    store_close(store);
}

static void what_was_stored_before_is_read_and_joined(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_BUFFER struct buffer all = {0};
    AUTO_BUFFER struct buffer copy = {0};
    begin(&talker, *state, 5, &all);
    struct former former = {.batch = buffer_text(&all),
                            .site = *signing_key_fingerprint(talker.key)};
    read_head(former.batch, &former.position);
    make_former(*state, &former);
    hub_open(&hub, *state);
    assert_int_equal(hub_count(&hub, "s:4"), 1);
    read_copy(&hub, &talker, &copy);
    assert_int_equal(copy.length, all.length);
    assert_memory_equal(copy.bytes, all.bytes, all.length);
    // The head that is signed at a serial of it is known.
    hub_take_well(&hub, &talker, buffer_text(&all));
    // More than there was: the old batch is joined to it, and both are compressed.
    talker_say_many(&talker, 5, 20);
    hub_follow(&hub, &talker);
    assert_int_equal(number_in(hub.store, "SELECT COUNT(*) FROM mirror_batches"), 1);
    assert_int_equal(number_in(hub.store, "SELECT is_compressed FROM mirror_batches"), 1);
    AUTO_BUFFER struct buffer joined = {0};
    buffer_clear(&all);
    talker_read(&talker, 0, 0, &all);
    read_copy(&hub, &talker, &joined);
    // The head was signed when it was sent.
    assert_string_equal(strchr(joined.bytes, '\n'), strchr(all.bytes, '\n'));
    talker_close(&talker);
    hub_close(&hub);
}

static void a_damaged_batch_is_said_and_nothing_comes_of_it(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    struct error error = {0};
    AUTO_BUFFER struct buffer all = {0};
    AUTO_BUFFER struct buffer copy = {0};
    begin(&talker, *state, 20, &all);
    hub_open(&hub, *state);
    hub_take_well(&hub, &talker, buffer_text(&all));
    assert_int_equal(store_write_wait(hub.store, write_damage, NULL, NULL), OK);
    const struct fingerprint *site = signing_key_fingerprint(talker.key);
    assert_int_equal(mirror_read_batches(hub.mirror, site, 1, 0, &copy, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "the copy of a site's log in the database"));
    assert_non_null(strstr(error.fix, "backup"));
    assert_int_equal(copy.length, 0);
    // Nor can a smaller one be joined with more.
    talker_say_many(&talker, 20, 60);
    buffer_clear(&all);
    talker_read(&talker, 1, 20, &all);
    assert_int_equal(hub_take(&hub, &talker, buffer_text(&all), NULL, &error), CORRUPT);
    assert_int_equal(hub_serial(&hub, &talker), 20);
    assert_int_equal(number_in(hub.store, "SELECT COUNT(*) FROM mirror_batches"), 1);
    // The index is what it was.
    assert_int_equal(hub_count(&hub, "s:19"), 1);
    talker_close(&talker);
    hub_close(&hub);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(batches_are_small_in_the_database_and_come_out_as_signed),
        IN_A_FOLDER(what_was_stored_before_is_read_and_joined),
        IN_A_FOLDER(a_damaged_batch_is_said_and_nothing_comes_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
