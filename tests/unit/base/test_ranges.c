#include "../cmocka_all.h"

#include "base/memory.h"
#include "base/ranges.h"

#include <stdlib.h>

static void ranges_agree_with_a_plain_array_under_random_changes(void **state)
{
    (void)state;
    enum { SIZE = 200, STEPS = 20000 };
    char plain[SIZE] = {0};
    struct ranges ranges = {0};
    unsigned seed = 7;
    for (int step = 0; step < STEPS; step++) {
        int from = rand_r(&seed) % SIZE;
        int to = from + rand_r(&seed) % (SIZE - from + 1);
        int is_add = rand_r(&seed) % 2;
        int64_t changed = 0;
        for (int i = from; i < to; i++) {
            changed += plain[i] != is_add;
            plain[i] = (char)is_add;
        }
        int64_t said = is_add ? ranges_add(&ranges, from, to) : ranges_remove(&ranges, from, to);
        assert_int_equal(said, changed);
        int64_t total = 0;
        for (int i = 0; i < SIZE; i++) {
            assert_int_equal(ranges_contains(&ranges, i), plain[i]);
            total += plain[i];
        }
        assert_int_equal(ranges_total(&ranges), total);
        for (size_t i = 1; i < ranges.count; i++) {
            assert_true(ranges.items[i - 1].to < ranges.items[i].from);
        }
    }
    ranges_done(&ranges);
}

static void take_gives_the_lowest_indices_first(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    struct range got;
    ranges_add(&ranges, 10, 15);
    ranges_add(&ranges, 2, 4);
    assert_true(ranges_take(&ranges, 3, &got));
    assert_int_equal(got.from, 2);
    assert_int_equal(got.to, 4);
    assert_true(ranges_take(&ranges, 3, &got));
    assert_int_equal(got.from, 10);
    assert_int_equal(got.to, 13);
    assert_true(ranges_take(&ranges, 3, &got));
    assert_false(ranges_take(&ranges, 3, &got));
    ranges_done(&ranges);
}

static void first_gap_finds_what_is_missing(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    struct range gap;
    ranges_add(&ranges, 0, 5);
    ranges_add(&ranges, 7, 9);
    assert_true(ranges_first_gap(&ranges, 0, 20, &gap));
    assert_int_equal(gap.from, 5);
    assert_int_equal(gap.to, 7);
    assert_false(ranges_first_gap(&ranges, 7, 9, &gap));
    assert_true(ranges_first_gap(&ranges, 8, 20, &gap));
    assert_int_equal(gap.from, 9);
    assert_int_equal(gap.to, 20);
    ranges_done(&ranges);
}

static void first_overlap_finds_what_is_there(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    struct range part;
    ranges_add(&ranges, 3, 5);
    ranges_add(&ranges, 7, 9);
    assert_true(ranges_first_overlap(&ranges, 0, 20, &part));
    assert_int_equal(part.from, 3);
    assert_int_equal(part.to, 5);
    assert_true(ranges_first_overlap(&ranges, 4, 8, &part));
    assert_int_equal(part.from, 4);
    assert_int_equal(part.to, 5);
    assert_true(ranges_first_overlap(&ranges, 5, 8, &part));
    assert_int_equal(part.from, 7);
    assert_int_equal(part.to, 8);
    assert_false(ranges_first_overlap(&ranges, 5, 7, &part));
    assert_false(ranges_first_overlap(&ranges, 9, 20, &part));
    assert_false(ranges_first_overlap(&ranges, 8, 8, &part));
    ranges_done(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_agree_with_a_plain_array_under_random_changes),
        cmocka_unit_test(take_gives_the_lowest_indices_first),
        cmocka_unit_test(first_gap_finds_what_is_missing),
        cmocka_unit_test(first_overlap_finds_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
