#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "records/items.h"

#include <stdlib.h>

static int setup(void **state)
{
    char folder[] = "/tmp/lode-items-XXXXXX";
    assert_non_null(mkdtemp(folder));
    *state = memory_copy_string(folder);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(file_remove_tree(*state, NULL), OK);
    free(*state);
    return 0;
}

static struct blobs *open_blobs(void **state)
{
    struct blobs *blobs = NULL;
    assert_int_equal(blobs_open(*state, &blobs, NULL), OK);
    return blobs;
}

static struct digest put(struct blobs *blobs, struct text text)
{
    struct digest digest;
    assert_int_equal(blob_put(blobs, text, &digest, NULL), OK);
    return digest;
}

static void a_last_line_without_an_end_counts(void **state)
{
    static const struct {
        struct text text;
        int64_t count;
    } CASES[] = {{{"", 0}, 0}, {{"a", 1}, 1}, {{"a\n", 2}, 1}, {{"a\nb", 3}, 2}, {{"\n\n", 2}, 2}};
    struct blobs *blobs = open_blobs(state);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct digest digest = put(blobs, CASES[i].text);
        int64_t count = 0;
        int64_t size = 0;
        assert_int_equal(items_count(blobs, &digest, &count, &size, NULL), OK);
        assert_int_equal(count, CASES[i].count);
        assert_int_equal(size, CASES[i].text.length);
    }
    blobs_close(blobs);
}

static void a_line_is_read_by_its_index(void **state)
{
    struct blobs *blobs = open_blobs(state);
    struct digest digest = put(blobs, TEXT("zero\n\ntwo"));
    static const char *const LINES[] = {"zero", "", "two"};
    for (int64_t i = 0; i < 3; i++) {
        AUTO_BUFFER struct buffer line = {0};
        assert_int_equal(items_read(blobs, &digest, i, &line, NULL), OK);
        assert_true(text_equal(buffer_text(&line), text_of(LINES[i])));
    }
    AUTO_BUFFER struct buffer line = {0};
    assert_int_equal(items_read(blobs, &digest, 3, &line, NULL), NOT_FOUND);
    blobs_close(blobs);
}

struct found {
    int64_t known_of[16];
    int count;
};

static void note(void *context, int64_t wanted, int64_t known)
{
    struct found *found = context;
    found->known_of[wanted] = known;
    found->count++;
}

static void equal_items_find_each_other_wherever_they_are(void **state)
{
    struct blobs *blobs = open_blobs(state);
    struct digest wanted = put(blobs, TEXT("a\nb\nc\nb\n"));
    struct digest known = put(blobs, TEXT("x\nb\na\nb\n"));
    struct found found = {{-1, -1, -1, -1}, 0};
    assert_int_equal(items_join(blobs, &wanted, &known, false, note, &found, NULL), OK);
    assert_int_equal(found.count, 3);
    assert_int_equal(found.known_of[0], 2);
    assert_int_equal(found.known_of[1], 1);
    assert_int_equal(found.known_of[2], -1);
    assert_int_equal(found.known_of[3], 1);
    blobs_close(blobs);
}

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_file_is_known_by_content_and_path_not_by_its_time(void **state)
{
    struct blobs *blobs = open_blobs(state);
    struct digest wanted = put(blobs, TEXT(HEX " 10 777 a.nc\n" HEX " 10 777 b.nc\n"));
    struct digest known = put(blobs, TEXT(HEX " 10 5 a.nc\n"));
    struct found found = {{-1, -1}, 0};
    assert_int_equal(items_join(blobs, &wanted, &known, true, note, &found, NULL), OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.known_of[0], 0);
    blobs_close(blobs);
}

static void count_one(void *context, int64_t wanted, int64_t known)
{
    (void)wanted;
    (void)known;
    (*(int64_t *)context)++;
}

static void many_equal_lines_take_no_longer_than_others(void **state)
{
    struct blobs *blobs = open_blobs(state);
    AUTO_BUFFER struct buffer lines = {0};
    for (int i = 0; i < 300000; i++) {
        buffer_append_string(&lines, "x\n");
    }
    struct digest digest = put(blobs, buffer_text(&lines));
    int64_t count = 0;
    assert_int_equal(items_join(blobs, &digest, &digest, false, count_one, &count, NULL), OK);
    assert_int_equal(count, 300000);
    blobs_close(blobs);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_last_line_without_an_end_counts),
        TEST(a_line_is_read_by_its_index),
        TEST(equal_items_find_each_other_wherever_they_are),
        TEST(a_file_is_known_by_content_and_path_not_by_its_time),
        TEST(many_equal_lines_take_no_longer_than_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
