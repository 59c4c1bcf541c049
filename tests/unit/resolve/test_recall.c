#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/file.h"
#include "resolve/recall.h"
#include "resolve/unknown.h"

#include <stdlib.h>

enum { KEPT_MAX = 200 };

struct opened {
    struct store *store;
    struct recall *recall;
};

static void open_recall(const char *place, struct opened *out)
{
    AUTO_FREE char *path = memory_format("%s/site.db", place);
    const struct store_options options = {
        .url = path, .migrations = RESOLVE_MIGRATIONS, .migration_count = RESOLVE_MIGRATION_COUNT};
    struct error error = {0};
    if (store_open(&options, &out->store, &error) != OK ||
        recall_open(out->store, KEPT_MAX, &out->recall, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static void close_recall(struct opened *opened)
{
    store_close(opened->store);
    recall_close(opened->recall);
}

static enum status nothing(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)context;
    (void)error;
    return OK;
}

static void save_number(struct opened *opened, int number)
{
    AUTO_FREE char *name = memory_format("t:%d", number);
    AUTO_FREE char *document = memory_format("answer %d", number);
    recall_save(opened->recall, text_of(name), text_of(document), number);
}

static bool is_kept(struct opened *opened, int number)
{
    AUTO_FREE char *name = memory_format("t:%d", number);
    AUTO_ARENA struct arena arena = {0};
    struct remembered found = {0};
    assert_int_equal(recall_find(opened->recall, text_of(name), &arena, &found, NULL), OK);
    return found.document.length > 0;
}

static void what_was_saved_is_found_after_a_restart(void **state)
{
    struct opened opened = {0};
    AUTO_ARENA struct arena arena = {0};
    struct remembered found = {0};
    open_recall(*state, &opened);
    recall_save(opened.recall, TEXT("t:a"), TEXT("first"), 10);
    recall_save(opened.recall, TEXT("t:a"), TEXT("second"), 20);
    close_recall(&opened);
    open_recall(*state, &opened);
    assert_int_equal(recall_find(opened.recall, TEXT("t:a"), &arena, &found, NULL), OK);
    assert_true(text_equal(found.document, TEXT("second")));
    assert_int_equal(found.answered_us, 20);
    assert_int_equal(recall_find(opened.recall, TEXT("t:b"), &arena, &found, NULL), OK);
    assert_int_equal(found.document.length, 0);
    close_recall(&opened);
}

static void the_oldest_make_room_and_the_number_is_bounded(void **state)
{
    struct opened opened = {0};
    open_recall(*state, &opened);
    for (int i = 1; i <= 2 * KEPT_MAX; i++) {
        save_number(&opened, i);
    }
    assert_int_equal(store_write_wait(opened.store, nothing, NULL, NULL), OK);
    int kept = 0;
    for (int i = 1; i <= 2 * KEPT_MAX; i++) {
        kept += is_kept(&opened, i) ? 1 : 0;
    }
    assert_in_range(kept, KEPT_MAX - KEPT_MAX / 50, KEPT_MAX);
    assert_true(is_kept(&opened, 2 * KEPT_MAX));
    assert_false(is_kept(&opened, 1));
    close_recall(&opened);
}

static void saving_one_again_does_not_push_out_others(void **state)
{
    struct opened opened = {0};
    open_recall(*state, &opened);
    save_number(&opened, 1);
    for (int i = 0; i < 3 * KEPT_MAX; i++) {
        save_number(&opened, 2);
    }
    assert_int_equal(store_write_wait(opened.store, nothing, NULL, NULL), OK);
    assert_true(is_kept(&opened, 1));
    assert_true(is_kept(&opened, 2));
    close_recall(&opened);
}

static void an_unknown_name_is_unknown_for_a_while(void **state)
{
    (void)state;
    struct unknown_names *names = unknown_names_new(2);
    struct error said = {0};
    struct error found = {0};
    (void)error_set(&said, NOT_FOUND, "nobody knows it");
    unknown_names_add(names, TEXT("t:a"), &said, 100);
    assert_true(unknown_names_find(names, TEXT("t:a"), 99, &found));
    assert_int_equal(found.status, NOT_FOUND);
    assert_string_equal(found.detail, "nobody knows it");
    assert_false(unknown_names_find(names, TEXT("t:a"), 100, &found));
    assert_false(unknown_names_find(names, TEXT("t:b"), 0, &found));
    unknown_names_add(names, TEXT("t:a"), &said, 200);
    assert_true(unknown_names_find(names, TEXT("t:a"), 150, &found));
    unknown_names_remove(names, TEXT("t:a"));
    assert_false(unknown_names_find(names, TEXT("t:a"), 0, &found));
    unknown_names_free(names);
}

static void unknown_names_are_bounded(void **state)
{
    (void)state;
    struct unknown_names *names = unknown_names_new(2);
    struct error said = {0};
    unknown_names_add(names, TEXT("t:a"), &said, 100);
    unknown_names_add(names, TEXT("t:b"), &said, 100);
    unknown_names_add(names, TEXT("t:b"), &said, 100);
    unknown_names_add(names, TEXT("t:c"), &said, 100);
    assert_false(unknown_names_find(names, TEXT("t:a"), 0, &said));
    assert_true(unknown_names_find(names, TEXT("t:b"), 0, &said));
    assert_true(unknown_names_find(names, TEXT("t:c"), 0, &said));
    unknown_names_free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_saved_is_found_after_a_restart, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(the_oldest_make_room_and_the_number_is_bounded, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(saving_one_again_does_not_push_out_others, folder_make,
                                        folder_remove),
        cmocka_unit_test(an_unknown_name_is_unknown_for_a_while),
        cmocka_unit_test(unknown_names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
