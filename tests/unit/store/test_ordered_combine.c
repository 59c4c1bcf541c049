// Changes that an ordered map combines, wherever they are: in memory, in several files, or merged.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "store/ordered.h"
#include "store/records.h"

enum { SITES = 7, NAMES = 5, STEPS = 3000, SYNC_ONE_IN = 40, OPEN_ONE_IN = 300, MANY_SITES = 4000 };

static struct ordered *open_map(const char *folder)
{
    AUTO_FREE char *path = memory_format("%s/index", folder);
    struct ordered *ordered = NULL;
    struct error error = {0};
    if (ordered_open(path, records_combine, &ordered, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return ordered;
}

// Adds the change of one record; a value of NULL removes it.
static void change(struct ordered_batch *batch, const char *name, const char *site,
                   const char *value)
{
    AUTO_BUFFER struct buffer set = {0};
    const struct record record = {
        .key = text_of(site), .value = text_of(value ? value : ""), .is_removed = !value};
    records_append(&set, &record);
    assert_int_equal(ordered_batch_combine(batch, text_of(name), buffer_text(&set), NULL), OK);
}

static void write_batch(struct ordered *ordered, struct ordered_batch *batch)
{
    assert_int_equal(ordered_write(ordered, batch, NULL), OK);
}

static bool describe(void *context, struct text key, struct text value)
{
    struct buffer *out = context;
    struct record record;
    (void)key;
    while (records_next(&value, &record) == OK) {
        buffer_append_string(out, record.is_removed ? "removed:" : "");
        buffer_append_text(out, record.key);
        buffer_append_byte(out, '=');
        buffer_append_text(out, record.value);
        buffer_append_byte(out, ' ');
    }
    return true;
}

// The records of the name, as "site=value "; the same by a look-up as by a scan.
static void assert_records(struct ordered *ordered, const char *name, const char *expected)
{
    AUTO_BUFFER struct buffer seen = {0};
    AUTO_BUFFER struct buffer scanned = {0};
    enum status status = ordered_visit(ordered, text_of(name), describe, &seen, NULL);
    assert_int_equal(status, expected[0] ? OK : NOT_FOUND);
    assert_string_equal(seen.bytes ? seen.bytes : "", expected);
    assert_int_equal(ordered_scan(ordered, text_of(name), TEXT_NONE, describe, &scanned, NULL), OK);
    assert_string_equal(scanned.bytes ? scanned.bytes : "", expected);
}

static void changes_of_several_writers_are_found_together(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    assert_records(ordered, "name", "");
    change(batch, "name", "2", "two");
    write_batch(ordered, batch);
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    change(batch, "name", "1", "one");
    change(batch, "other", "1", "else");
    assert_int_equal(ordered_batch_count(batch), 2);
    write_batch(ordered, batch);
    assert_records(ordered, "name", "1=one 2=two ");
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    change(batch, "name", "2", "TWO");
    change(batch, "name", "3", "three");
    write_batch(ordered, batch);
    assert_records(ordered, "name", "1=one 2=TWO 3=three ");
    ordered_batch_free(batch);
    ordered_close(ordered);
    ordered = open_map(*state);
    assert_records(ordered, "name", "1=one 2=TWO 3=three ");
    assert_records(ordered, "other", "1=else ");
    ordered_close(ordered);
}

static void changes_of_one_batch_count_in_their_order(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    change(batch, "name", "1", "first");
    change(batch, "name", "1", NULL);
    change(batch, "name", "2", NULL);
    change(batch, "name", "2", "second");
    write_batch(ordered, batch);
    assert_records(ordered, "name", "2=second ");
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void a_key_of_which_nothing_is_left_is_not_there(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    change(batch, "name", "1", "one");
    write_batch(ordered, batch);
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    change(batch, "name", "1", NULL);
    change(batch, "never", "1", NULL);
    write_batch(ordered, batch);
    for (int round = 0; round < 2; round++) {
        assert_records(ordered, "name", "");
        assert_records(ordered, "never", "");
        assert_int_equal(ordered_sync(ordered, NULL), OK);
    }
    change(batch, "name", "2", "again");
    write_batch(ordered, batch);
    assert_records(ordered, "name", "2=again ");
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void putting_and_deleting_replace_all_changes_before(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    change(batch, "deleted", "1", "one");
    change(batch, "put", "1", "one");
    write_batch(ordered, batch);
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    assert_int_equal(ordered_batch_delete(batch, TEXT("deleted"), NULL), OK);
    AUTO_BUFFER struct buffer set = {0};
    const struct record record = {.key = TEXT("2"), .value = TEXT("two")};
    records_append(&set, &record);
    assert_int_equal(ordered_batch_put(batch, TEXT("put"), buffer_text(&set), NULL), OK);
    write_batch(ordered, batch);
    assert_records(ordered, "deleted", "");
    assert_records(ordered, "put", "2=two ");
    change(batch, "deleted", "3", "three");
    change(batch, "put", "3", "three");
    write_batch(ordered, batch);
    assert_records(ordered, "deleted", "3=three ");
    assert_records(ordered, "put", "2=two 3=three ");
    ordered_batch_free(batch);
    ordered_close(ordered);
}

// What the map should hold: a number for each name and site, 0 for none.
struct model {
    int values[NAMES][SITES];
};

static void assert_as_model(struct ordered *ordered, const struct model *model)
{
    for (int name = 0; name < NAMES; name++) {
        AUTO_BUFFER struct buffer expected = {0};
        buffer_append_string(&expected, "");
        for (int site = 0; site < SITES; site++) {
            if (model->values[name][site]) {
                buffer_printf(&expected, "%d=%d ", site, model->values[name][site]);
            }
        }
        const char key[] = {(char)('a' + name), 0};
        assert_records(ordered, key, expected.bytes ? expected.bytes : "");
    }
}

static void change_at_random(struct ordered_batch *batch, struct model *model, uint64_t random,
                             int step)
{
    int name = (int)(random % NAMES);
    int site = (int)(random / NAMES % SITES);
    bool is_removed = random / 64 % 3 == 0;
    const char key[] = {(char)('a' + name), 0};
    const char site_key[] = {(char)('0' + site), 0};
    AUTO_FREE char *value = memory_format("%d", step);
    if (random / 256 % 50 == 0) {
        assert_int_equal(ordered_batch_delete(batch, text_of(key), NULL), OK);
        memset(model->values[name], 0, sizeof model->values[name]);
    }
    change(batch, key, site_key, is_removed ? NULL : value);
    model->values[name][site] = is_removed ? 0 : step;
}

static void any_changes_are_combined_as_a_model_says(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    struct model model = {0};
    uint64_t random = 20261130;
    for (int step = 1; step <= STEPS; step++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        change_at_random(batch, &model, random >> 33, step);
        if ((random >> 20) % 3 != 0) {
            continue;
        }
        write_batch(ordered, batch);
        assert_as_model(ordered, &model);
        if ((random >> 24) % SYNC_ONE_IN == 0) {
            assert_int_equal(ordered_sync(ordered, NULL), OK);
            assert_as_model(ordered, &model);
        }
        if ((random >> 24) % OPEN_ONE_IN == 1) {
            ordered_batch_free(batch);
            ordered_close(ordered);
            ordered = open_map(*state);
            batch = ordered_batch_new(ordered);
            assert_as_model(ordered, &model);
        }
    }
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static bool check_many(void *context, struct text key, struct text value)
{
    int *count = context;
    struct record record;
    (void)key;
    while (records_next(&value, &record) == OK) {
        AUTO_FREE char *expected = memory_format("%05d", *count);
        *count += text_equal(record.key, text_of(expected)) && record.value.length > 0;
    }
    return true;
}

static void thousands_of_writers_share_a_key(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    for (int i = 0; i < MANY_SITES; i++) {
        AUTO_FREE char *site = memory_format("%05d", i * 7 % MANY_SITES);
        change(batch, "popular", site, "here");
        write_batch(ordered, batch);
        if (i % 1000 == 0) {
            assert_int_equal(ordered_sync(ordered, NULL), OK);
        }
    }
    int count = 0;
    assert_int_equal(ordered_visit(ordered, TEXT("popular"), check_many, &count, NULL), OK);
    assert_int_equal(count, MANY_SITES);
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void a_part_that_cannot_be_combined_is_damage(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    AUTO_BUFFER struct buffer value = {0};
    struct error error = {0};
    assert_int_equal(ordered_batch_combine(batch, TEXT("name"), TEXT("\x01"), NULL), OK);
    write_batch(ordered, batch);
    assert_int_equal(ordered_get(ordered, TEXT("name"), &value, &error), CORRUPT);
    assert_non_null(strstr(error.fix, "remove the folder"));
    assert_null(value.bytes);
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void changes_are_refused_where_they_cannot_be(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    struct error error = {0};
    AUTO_FREE char *bytes = memory_new(1, ORDERED_VALUE_MAX + 1);
    struct text longest = {bytes, ORDERED_VALUE_MAX};
    struct text too_long = {bytes, ORDERED_VALUE_MAX + 1};
    assert_int_equal(ordered_batch_combine(batch, TEXT_NONE, TEXT("v"), NULL), INVALID);
    assert_int_equal(ordered_batch_combine(batch, TEXT("k"), too_long, NULL), INVALID);
    enum status status = OK;
    for (size_t count = 0; status == OK && count < 100; count++) {
        status = ordered_batch_combine(batch, TEXT("k"), longest, &error);
    }
    assert_int_equal(status, QUOTA);
    ordered_batch_free(batch);
    ordered_close(ordered);
    AUTO_FREE char *path = memory_format("%s/plain", (const char *)*state);
    assert_int_equal(ordered_open(path, NULL, &ordered, NULL), OK);
    batch = ordered_batch_new(ordered);
    assert_int_equal(ordered_batch_combine(batch, TEXT("k"), TEXT("v"), &error), INVALID);
    assert_int_equal(ordered_batch_count(batch), 0);
    ordered_batch_free(batch);
    ordered_close(ordered);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(changes_of_several_writers_are_found_together),
        TEST(changes_of_one_batch_count_in_their_order),
        TEST(a_key_of_which_nothing_is_left_is_not_there),
        TEST(putting_and_deleting_replace_all_changes_before),
        TEST(any_changes_are_combined_as_a_model_says),
        TEST(thousands_of_writers_share_a_key),
        TEST(a_part_that_cannot_be_combined_is_damage),
        TEST(changes_are_refused_where_they_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
