#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/items.h"
#include "sandbox/runner_protocol.h"

#include <fcntl.h>
#include <stdio.h>

static char path[] = "/tmp/lode-test-items-XXXXXX";

static void fill(struct text content)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, content, NULL), OK);
}

static void every_item_is_found_from_any_index_with_any_window(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    AUTO_BUFFER struct buffer content = {0};
    for (int i = 0; i < COUNT; i++) {
        buffer_printf(&content, "%d%.*s\n", i, i % 40, "........................................");
    }
    fill(buffer_text(&content));
    struct item_list *items = NULL;
    assert_int_equal(item_list_open(path, &items, NULL), OK);
    assert_int_equal(item_list_count(items), COUNT);
    struct items_cursor cursor = {0};
    unsigned seed = 3;
    for (int step = 0; step < 300; step++) {
        int64_t from = rand_r(&seed) % COUNT;
        size_t window = (size_t)(rand_r(&seed) % 100000);
        int64_t next = 0;
        AUTO_BUFFER struct buffer got = {0};
        assert_int_equal(item_list_read(items, &cursor, from, COUNT, window, &got, &next, NULL),
                         OK);
        assert_true(next > from && next <= COUNT);
        AUTO_BUFFER struct buffer expected = {0};
        for (int64_t i = from; i < next; i++) {
            buffer_printf(&expected, "%d%.*s\n", (int)i, (int)(i % 40),
                          "........................................");
        }
        assert_true(text_equal(buffer_text(&got), buffer_text(&expected)));
        assert_true(next == from + 1 || got.length <= window);
    }
    item_list_free(items);
}

static void reading_goes_on_where_it_ended(void **state)
{
    (void)state;
    fill(TEXT("a\nb\nc\nd\n"));
    struct item_list *items = NULL;
    struct items_cursor cursor = {0};
    AUTO_BUFFER struct buffer got = {0};
    int64_t next = 0;
    assert_int_equal(item_list_open(path, &items, NULL), OK);
    for (int64_t from = 0; from < 4; from = next) {
        assert_int_equal(item_list_read(items, &cursor, from, 4, 4, &got, &next, NULL), OK);
        assert_int_equal(next, from + 2);
    }
    assert_string_equal(got.bytes, "a\nb\nc\nd\n");
    item_list_free(items);
}

static void a_last_line_without_a_line_feed_is_an_item(void **state)
{
    (void)state;
    fill(TEXT("a\n\nlast"));
    struct item_list *items = NULL;
    struct items_cursor cursor = {0};
    AUTO_BUFFER struct buffer got = {0};
    int64_t next = 0;
    assert_int_equal(item_list_open(path, &items, NULL), OK);
    assert_int_equal(item_list_count(items), 3);
    assert_int_equal(item_list_read(items, &cursor, 1, 3, 100, &got, &next, NULL), OK);
    assert_int_equal(next, 3);
    assert_string_equal(got.bytes, "\nlast\n");
    item_list_free(items);
}

static void an_item_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    fill(TEXT("a\n"));
    struct item_list *items = NULL;
    struct items_cursor cursor = {0};
    AUTO_BUFFER struct buffer got = {0};
    int64_t next = 0;
    assert_int_equal(item_list_open(path, &items, NULL), OK);
    assert_int_equal(item_list_read(items, &cursor, 1, 2, 100, &got, &next, NULL), NOT_FOUND);
    item_list_free(items);
}

static void a_line_above_the_maximum_is_refused(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer content = {0};
    char *room = buffer_reserve(&content, RUNNER_ITEM_MAX + 100000);
    memset(room, 'x', RUNNER_ITEM_MAX + 100000);
    buffer_advance(&content, RUNNER_ITEM_MAX + 100000);
    fill(buffer_text(&content));
    struct item_list *items = NULL;
    assert_int_equal(item_list_open(path, &items, NULL), CORRUPT);
}

#define DIGITS "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void a_line_of_a_file_is_read_with_and_without_its_inode(void **state)
{
    (void)state;
    struct item_line line = {0};
    struct digest digest = digest_of("", 0);
    assert_true(item_line_parse(TEXT(DIGITS " 12 -5.7 a/b c.nc"), &line));
    assert_true(digest_equal(&line.digest, &digest));
    assert_int_equal(line.size, 12);
    assert_int_equal(line.modified_us, -5);
    assert_int_equal(line.inode, 7);
    assert_true(text_equal(line.path, TEXT("a/b c.nc")));
    assert_true(item_line_parse(TEXT(DIGITS " 0 5 1.5"), &line));
    assert_int_equal(line.modified_us, 5);
    assert_int_equal(line.inode, 0);
    assert_true(text_equal(line.path, TEXT("1.5")));
    static const char *const WRONG[] = {
        "",
        DIGITS,
        DIGITS " 1 5",
        DIGITS " 1 5.7 ",
        DIGITS " -1 5.7 a",
        DIGITS " 1 5. a",
        DIGITS " 1 .7 a",
        DIGITS " 1 5.7.7 a",
        DIGITS " 1 5.7 /a",
        DIGITS " 1 5.7 a/../b",
        DIGITS " 1 5.7 a/",
        "e3b0 1 5.7 a",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_false(item_line_parse(text_of(WRONG[i]), &line));
    }
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_found_from_any_index_with_any_window),
        cmocka_unit_test(reading_goes_on_where_it_ended),
        cmocka_unit_test(a_last_line_without_a_line_feed_is_an_item),
        cmocka_unit_test(an_item_that_is_not_there_is_not_found),
        cmocka_unit_test(a_line_above_the_maximum_is_refused),
        cmocka_unit_test(a_line_of_a_file_is_read_with_and_without_its_inode),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
