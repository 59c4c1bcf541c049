#include "../cmocka_all.h"
#include "../store/fixture.h"

#include "base/memory.h"
#include "identity/audit.h"
#include "identity/migrations.h"

#include <sys/stat.h>

static struct store *open_store(const char *folder)
{
    AUTO_FREE char *path = memory_format("%s/site.db", folder);
    struct store_options options = {.url = path,
                                    .migrations = IDENTITY_MIGRATIONS,
                                    .migration_count = IDENTITY_MIGRATION_COUNT};
    struct store *store = NULL;
    assert_int_equal(store_open(&options, &store, NULL), OK);
    return store;
}

static enum status append_three(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    char text[2 * AUDIT_TEXT_MAX];
    memset(text, 0xc3, sizeof text); // Not UTF-8.
    struct audit_entry entry = {TEXT("ada"), TEXT("job.change"), TEXT("job 17"), TEXT("her own")};
    TRY(audit_append(sql, &entry, 1, error));
    entry.object = (struct text){text, sizeof text};
    TRY(audit_append(sql, &entry, 2, error));
    for (size_t i = 1; i < sizeof text; i += 2) {
        text[i] = (char)0xbc; // Now it is; a cut in the middle of a character would not be.
    }
    entry.object = (struct text){text, sizeof text};
    entry.reason = TEXT("with \0 in it");
    return audit_append(sql, &entry, 3, error);
}

static enum status run_text(struct sql *sql, void *context, struct error *error)
{
    return sql_run(sql, context, SQL_NO_VALUES, NULL, error);
}

static enum status verify(struct store *store, struct audit_state *out, struct error *error)
{
    struct sql *sql = NULL;
    assert_int_equal(store_read_begin(store, &sql, NULL), OK);
    enum status status = audit_verify(sql, out, error);
    store_read_end(store, sql);
    return status;
}

static void what_was_appended_holds(void **state)
{
    struct store *store = open_store(*state);
    struct audit_state audit = {0};
    assert_int_equal(verify(store, &audit, NULL), OK);
    assert_int_equal(audit.count, 0);
    struct error error = {0};
    if (store_write_wait(store, append_three, NULL, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    assert_int_equal(verify(store, &audit, NULL), OK);
    assert_int_equal(audit.count, 3);
    store_close(store);
}

static void any_change_breaks_the_chain(void **state)
{
    static char statements[][120] = {
        "UPDATE identity_audit SET principal = 'eve' WHERE id = 2",
        "UPDATE identity_audit SET at_us = 9 WHERE id = 2",
        "UPDATE identity_audit SET action = action || reason, reason = '' WHERE id = 2",
        "DELETE FROM identity_audit WHERE id = 2",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        AUTO_FREE char *folder = memory_format("%s/%zu", (char *)*state, i);
        assert_int_equal(mkdir(folder, 0700), 0);
        struct store *store = open_store(folder);
        struct audit_state audit = {0};
        struct error error = {0};
        assert_int_equal(store_write_wait(store, append_three, NULL, NULL), OK);
        assert_int_equal(store_write_wait(store, run_text, statements[i], NULL), OK);
        assert_int_equal(verify(store, &audit, &error), CORRUPT);
        assert_non_null(strstr(error.detail, "entry 2"));
        store_close(store);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(what_was_appended_holds),
        TEST(any_change_breaks_the_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
