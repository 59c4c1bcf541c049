#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"
#include "store/ordered.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

static struct ordered *open_map(const char *folder)
{
    AUTO_FREE char *path = memory_format("%s/index", folder);
    struct ordered *ordered = NULL;
    struct error error = {0};
    if (ordered_open(path, NULL, &ordered, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return ordered;
}

static void put(struct ordered_batch *batch, struct text key, const char *value)
{
    assert_int_equal(ordered_batch_put(batch, key, text_of(value), NULL), OK);
}

static void write_batch(struct ordered *ordered, struct ordered_batch *batch)
{
    assert_int_equal(ordered_write(ordered, batch, NULL), OK);
    assert_int_equal(ordered_batch_count(batch), 0);
}

// What a scan finds, as "key=value ..." with zero bytes shown as dots; it ends after `max` entries.
struct found {
    struct buffer text;
    size_t count;
    size_t max;
};

static bool note_entry(void *context, struct text key, struct text value)
{
    struct found *found = context;
    for (size_t i = 0; i < key.length; i++) {
        buffer_append_byte(&found->text, key.bytes[i] ? key.bytes[i] : '.');
    }
    buffer_append_byte(&found->text, '=');
    buffer_append_text(&found->text, value);
    buffer_append_byte(&found->text, ' ');
    return ++found->count < found->max;
}

static void assert_scan(struct ordered *ordered, struct text prefix, struct text from, size_t max,
                        const char *expected)
{
    struct found found = {.max = max};
    assert_int_equal(ordered_scan(ordered, prefix, from, note_entry, &found, NULL), OK);
    assert_string_equal(found.text.bytes ? found.text.bytes : "", expected);
    buffer_done(&found.text);
}

static void put_groups(struct ordered *ordered)
{
    struct ordered_batch *batch = ordered_batch_new(ordered);
    put(batch, TEXT("b\0two"), "4");
    put(batch, TEXT("a\0one"), "1");
    put(batch, TEXT("a\0two"), "2");
    put(batch, TEXT("ab\0one"), "3");
    put(batch, TEXT("b\xff\0one"), "5");
    put(batch, TEXT("\xff\xff"), "6");
    write_batch(ordered, batch);
    ordered_batch_free(batch);
}

static void assert_groups(struct ordered *ordered)
{
    assert_scan(ordered, TEXT_NONE, TEXT_NONE, 100,
                "a.one=1 a.two=2 ab.one=3 b.two=4 b\xff.one=5 \xff\xff=6 ");
    assert_scan(ordered, TEXT("a\0"), TEXT_NONE, 100, "a.one=1 a.two=2 ");
    assert_scan(ordered, TEXT("a\0t"), TEXT_NONE, 100, "a.two=2 ");
    assert_scan(ordered, TEXT("a"), TEXT_NONE, 100, "a.one=1 a.two=2 ab.one=3 ");
    assert_scan(ordered, TEXT("b\0"), TEXT_NONE, 100, "b.two=4 ");
    assert_scan(ordered, TEXT("\xff"), TEXT_NONE, 100, "\xff\xff=6 ");
    assert_scan(ordered, TEXT("a\0u"), TEXT_NONE, 100, "");
    assert_scan(ordered, TEXT("c\0"), TEXT_NONE, 100, "");
}

static void a_scan_finds_what_has_its_prefix_in_order(void **state)
{
    struct ordered *ordered = open_map(*state);
    assert_scan(ordered, TEXT_NONE, TEXT_NONE, 100, "");
    put_groups(ordered);
    assert_groups(ordered);
    // The same from files as from memory.
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    assert_groups(ordered);
    ordered_close(ordered);
    ordered = open_map(*state);
    assert_groups(ordered);
    ordered_close(ordered);
}

static void a_scan_goes_on_where_another_ended(void **state)
{
    struct ordered *ordered = open_map(*state);
    put_groups(ordered);
    assert_scan(ordered, TEXT("a"), TEXT_NONE, 1, "a.one=1 ");
    assert_scan(ordered, TEXT("a"), TEXT("a\0one\0"), 1, "a.two=2 ");
    assert_scan(ordered, TEXT("a\0"), TEXT("a\0one\0"), 100, "a.two=2 ");
    assert_scan(ordered, TEXT("a\0"), TEXT("a\0two"), 100, "a.two=2 ");
    assert_scan(ordered, TEXT_NONE, TEXT("b\0two\0"), 100, "b\xff.one=5 \xff\xff=6 ");
    struct found found = {.max = 1};
    struct error error = {0};
    assert_int_equal(ordered_scan(ordered, TEXT("a\0"), TEXT("b"), note_entry, &found, &error),
                     INVALID);
    assert_int_equal(found.count, 0);
    ordered_close(ordered);
}

static void a_key_has_its_last_value_or_none(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    put(batch, TEXT("k\0"), "first");
    put(batch, TEXT("gone\0"), "x");
    put(batch, TEXT("k\0"), "second");
    assert_int_equal(ordered_batch_delete(batch, TEXT("gone\0"), NULL), OK);
    assert_int_equal(ordered_batch_delete(batch, TEXT("never\0"), NULL), OK);
    put(batch, TEXT("empty"), "");
    assert_int_equal(ordered_batch_count(batch), 6);
    write_batch(ordered, batch);
    struct buffer value = {0};
    struct error error = {0};
    assert_int_equal(ordered_get(ordered, TEXT("k\0"), &value, NULL), OK);
    assert_string_equal(value.bytes, "second");
    assert_int_equal(ordered_get(ordered, TEXT("gone\0"), &value, &error), NOT_FOUND);
    assert_string_equal(value.bytes, "second");
    assert_int_equal(ordered_get(ordered, TEXT_NONE, &value, NULL), NOT_FOUND);
    assert_int_equal(ordered_get(ordered, TEXT("empty"), &value, NULL), OK);
    assert_int_equal(value.length, 0);
    buffer_done(&value);
    // Deleting reaches what is in files already.
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    assert_int_equal(ordered_batch_delete(batch, TEXT("k\0"), NULL), OK);
    write_batch(ordered, batch);
    assert_scan(ordered, TEXT("k\0"), TEXT_NONE, 100, "");
    assert_scan(ordered, TEXT_NONE, TEXT_NONE, 100, "empty= ");
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void a_batch_that_is_cleared_changes_nothing(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    put(batch, TEXT("a"), "1");
    ordered_batch_clear(batch);
    assert_int_equal(ordered_batch_count(batch), 0);
    put(batch, TEXT("b"), "2");
    assert_scan(ordered, TEXT_NONE, TEXT_NONE, 100, "");
    write_batch(ordered, batch);
    write_batch(ordered, batch);
    assert_scan(ordered, TEXT_NONE, TEXT_NONE, 100, "b=2 ");
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void what_is_too_long_is_refused(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    AUTO_FREE char *bytes = memory_new(1, ORDERED_VALUE_MAX + 1);
    struct error error = {0};
    struct text longest_key = {bytes, ORDERED_KEY_MAX};
    struct text longest_value = {bytes, ORDERED_VALUE_MAX};
    struct text key = {bytes, ORDERED_KEY_MAX + 1};
    assert_int_equal(ordered_batch_put(batch, key, TEXT("v"), &error), INVALID);
    assert_int_equal(ordered_batch_delete(batch, key, NULL), INVALID);
    assert_int_equal(ordered_batch_put(batch, TEXT_NONE, TEXT("v"), NULL), INVALID);
    struct text value = {bytes, ORDERED_VALUE_MAX + 1};
    assert_int_equal(ordered_batch_put(batch, TEXT("k"), value, &error), INVALID);
    assert_int_equal(ordered_batch_count(batch), 0);
    assert_int_equal(ordered_batch_put(batch, longest_key, longest_value, NULL), OK);
    enum status status = OK;
    size_t count = 1;
    for (; status == OK && count < 100; count++) {
        status = ordered_batch_put(batch, TEXT("k"), longest_value, &error);
    }
    assert_int_equal(status, QUOTA);
    assert_int_equal(ordered_batch_count(batch), ORDERED_BATCH_BYTES_MAX / ORDERED_VALUE_MAX - 1);
    write_batch(ordered, batch);
    struct buffer out = {0};
    buffer_init(&out, ORDERED_VALUE_MAX - 1);
    assert_int_equal(ordered_get(ordered, TEXT("k"), &out, &error), QUOTA);
    buffer_done(&out);
    ordered_batch_free(batch);
    ordered_close(ordered);
}

static void a_map_is_open_once(void **state)
{
    struct ordered *ordered = open_map(*state);
    AUTO_FREE char *path = memory_format("%s/index", (char *)*state);
    struct ordered *second = NULL;
    struct error error = {0};
    assert_int_equal(ordered_open(path, NULL, &second, &error), CONFLICT);
    assert_non_null(strstr(error.detail, path));
    assert_null(second);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    ordered_close(ordered);
    assert_int_equal(ordered_remove(path, NULL), OK);
    assert_int_equal(stat(path, &info), -1);
    assert_int_equal(ordered_remove(path, NULL), OK);
    ordered_close(NULL);
    ordered_batch_free(NULL);
}

static void figures_tell_how_much_there_is(void **state)
{
    struct ordered *ordered = open_map(*state);
    assert_int_equal(ordered_figures(ordered).entries, 0);
    put_groups(ordered);
    struct ordered_figures figures = ordered_figures(ordered);
    assert_int_equal(figures.entries, 6);
    assert_int_equal(figures.file_bytes, 0);
    assert_true(figures.memory_bytes > 0);
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    figures = ordered_figures(ordered);
    assert_true(figures.file_bytes > 0);
    assert_false(figures.is_merging); // One file is not merged with anything.
    ordered_close(ordered);
}

// One writer gives every key of a group the same value, batch after batch; readers must never see two.
enum { READERS = 3, SITES = 5, BATCHES = 300, SYNC_EVERY = 100 };

struct shared {
    struct ordered *ordered;
    atomic_bool has_ended;
    atomic_int scans;
};

struct seen {
    size_t count;
    size_t length;
    char first[16];
    bool is_mixed;
};

static bool compare_entry(void *context, struct text key, struct text value)
{
    struct seen *seen = context;
    (void)key;
    if (seen->count++ == 0) {
        seen->length = value.length < sizeof seen->first ? value.length : sizeof seen->first;
        memcpy(seen->first, value.bytes, seen->length);
    }
    seen->is_mixed = seen->is_mixed || !text_equal(value, (struct text){seen->first, seen->length});
    return true;
}

// cmocka's assertions are for its own thread: the result is the fault.
static void *read_groups(void *context)
{
    struct shared *shared = context;
    const char *fault = NULL;
    while (!fault && !atomic_load(&shared->has_ended)) {
        struct seen seen = {0};
        if (ordered_scan(shared->ordered, TEXT("id\0"), TEXT_NONE, compare_entry, &seen, NULL) !=
            OK) {
            fault = "a scan failed";
        } else if (seen.is_mixed || (seen.count != 0 && seen.count != SITES)) {
            fault = "a scan saw half a batch";
        }
        (void)atomic_fetch_add(&shared->scans, 1);
    }
    return (void *)(uintptr_t)fault;
}

static void write_groups(struct ordered *ordered, struct ordered_batch *batch, int number)
{
    AUTO_FREE char *value = memory_format("%d", number);
    for (char site = 'a'; site < 'a' + SITES; site++) {
        char key[] = {'i', 'd', 0, site};
        put(batch, (struct text){key, sizeof key}, value);
    }
    write_batch(ordered, batch);
    if (number % SYNC_EVERY == 0) {
        assert_int_equal(ordered_sync(ordered, NULL), OK);
    }
}

static void readers_see_whole_batches_beside_a_writer(void **state)
{
    struct shared shared = {.ordered = open_map(*state)};
    pthread_t readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_groups, &shared), 0);
    }
    struct ordered_batch *batch = ordered_batch_new(shared.ordered);
    // Not before the readers are at it, and some scans beside every stretch of batches.
    for (int number = 1; number <= BATCHES || atomic_load(&shared.scans) < BATCHES; number++) {
        write_groups(shared.ordered, batch, number);
    }
    atomic_store(&shared.has_ended, true);
    for (size_t i = 0; i < READERS; i++) {
        void *fault = NULL;
        assert_int_equal(pthread_join(readers[i], &fault), 0);
        if (fault) {
            fail_msg("%s", (const char *)fault);
        }
    }
    ordered_batch_free(batch);
    ordered_close(shared.ordered);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(a_scan_finds_what_has_its_prefix_in_order),
        TEST(a_scan_goes_on_where_another_ended),
        TEST(a_key_has_its_last_value_or_none),
        TEST(a_batch_that_is_cleared_changes_nothing),
        TEST(what_is_too_long_is_refused),
        TEST(a_map_is_open_once),
        TEST(figures_tell_how_much_there_is),
        TEST(readers_see_whole_batches_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
