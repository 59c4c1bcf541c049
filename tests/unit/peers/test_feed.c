#include "../cmocka_all.h"

#include "peers/feed.h"

// The numbers of the entries behind a change, in order, as a text.
static void read_all(const struct feed *feed, const struct feed_entry *entries, uint64_t change,
                     char *out)
{
    for (const struct feed_entry *each = feed_after(feed, change); each; each = each->newer) {
        *out++ = (char)('0' + (each - entries));
    }
    *out = '\0';
}

static void each_that_changed_is_told_once_however_often_it_did(void **state)
{
    (void)state;
    struct feed feed = {.instance = 7};
    struct feed_entry entries[4] = {{0}};
    char told[8];
    read_all(&feed, entries, 0, told);
    assert_string_equal(told, "");
    for (size_t i = 0; i < 4; i++) {
        feed_touch(&feed, &entries[i]);
    }
    read_all(&feed, entries, 0, told);
    assert_string_equal(told, "0123");
    uint64_t seen = feed.changes;
    feed_touch(&feed, &entries[1]); // From the middle,
    feed_touch(&feed, &entries[3]);
    feed_touch(&feed, &entries[3]); // at the end already,
    feed_touch(&feed, &entries[0]); // and from the beginning.
    feed_touch(&feed, &entries[1]);
    read_all(&feed, entries, seen, told);
    assert_string_equal(told, "301");
    read_all(&feed, entries, 0, told);
    assert_string_equal(told, "2301");
    read_all(&feed, entries, feed.changes, told);
    assert_string_equal(told, "");
    assert_ptr_equal(feed.oldest, &entries[2]);
    assert_null(feed.oldest->older);
    assert_null(feed.newest->newer);
}

static void a_cursor_is_good_for_its_own_feed_only(void **state)
{
    (void)state;
    struct feed feed = {.instance = 0xfeedfeedfeedfeedU, .changes = 12};
    struct feed other = {.instance = 1, .changes = 12};
    char cursor[FEED_CURSOR_SIZE];
    (void)feed_write_cursor(&feed, 11, cursor);
    assert_int_equal(feed_read_cursor(&feed, text_of(cursor)), 11);
    assert_int_equal(feed_read_cursor(&other, text_of(cursor)), 0);
    // From a later life of the same number, which cannot be, and what is no cursor.
    (void)feed_write_cursor(&feed, 13, cursor);
    assert_int_equal(feed_read_cursor(&feed, text_of(cursor)), 0);
    static const char *const WRONG[] = {"",
                                        "x",
                                        "feedfeedfeedfeed",
                                        "feedfeedfeedfeed-",
                                        "feedfeedfeedfeed--1",
                                        "feedfeedfeedfeed-1x",
                                        "feedfeedfeedfeed-99999999999999999999"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_equal(feed_read_cursor(&feed, text_of(WRONG[i])), 0);
    }
    (void)feed_write_cursor(&feed, UINT64_MAX, cursor);
    assert_int_equal(strlen(cursor), 37);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_that_changed_is_told_once_however_often_it_did),
        cmocka_unit_test(a_cursor_is_good_for_its_own_feed_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
