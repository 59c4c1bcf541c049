// What waits for the next poll while another one is under way.
#include "../cmocka_all.h"

#include "worker/entries.h"

static void add(struct entries *entries, const char *element)
{
    buffer_append_string(entries_add(entries), element);
}

static void assert_text(struct text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.length > 0 ? text.bytes : "", expected, text.length);
}

static void what_has_arrived_is_forgotten(void **state)
{
    (void)state;
    struct entries entries = {0};
    add(&entries, "[1]");
    add(&entries, "[2]");
    assert_text(entries_send(&entries), "[1],[2]");
    entries_settle(&entries);
    assert_text(buffer_text(&entries.text), "");
    add(&entries, "[3]");
    assert_text(entries_send(&entries), "[3]");
    entries_done(&entries);
}

static void what_comes_while_a_poll_is_under_way_goes_with_the_next(void **state)
{
    (void)state;
    struct entries entries = {0};
    add(&entries, "[1]");
    (void)entries_send(&entries);
    add(&entries, "[2]");
    add(&entries, "[3]");
    entries_settle(&entries);
    assert_text(entries_send(&entries), "[2],[3]");
    entries_done(&entries);
}

// The poll under way had no elements, so that there is no comma to take off: the first byte of what came was lost once.
static void what_comes_while_a_poll_without_any_is_under_way_stays_whole(void **state)
{
    (void)state;
    struct entries entries = {0};
    assert_text(entries_send(&entries), "");
    add(&entries, "[1]");
    add(&entries, "[2]");
    entries_settle(&entries);
    assert_text(entries_send(&entries), "[1],[2]");
    entries_done(&entries);
}

static void what_did_not_arrive_goes_with_the_next(void **state)
{
    (void)state;
    struct entries entries = {0};
    add(&entries, "[1]");
    (void)entries_send(&entries);
    add(&entries, "[2]");
    entries_unsend(&entries);
    entries_settle(&entries); // Nothing is under way.
    assert_text(entries_send(&entries), "[1],[2]");
    entries_done(&entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_arrived_is_forgotten),
        cmocka_unit_test(what_comes_while_a_poll_is_under_way_goes_with_the_next),
        cmocka_unit_test(what_comes_while_a_poll_without_any_is_under_way_stays_whole),
        cmocka_unit_test(what_did_not_arrive_goes_with_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
