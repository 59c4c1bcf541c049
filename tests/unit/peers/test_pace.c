#include "../cmocka_all.h"

#include "peers/pace.h"

enum { SECOND = 1000000 };

static void the_next_turn_is_between_half_an_interval_and_a_whole_one(void **state)
{
    (void)state;
    assert_int_equal(pace_next_us(60 * SECOND, 0), 30 * SECOND);
    assert_int_equal(pace_next_us(60 * SECOND, UINT32_MAX), 60 * SECOND);
    assert_in_range(pace_next_us(60 * SECOND, UINT32_MAX / 2), 44 * SECOND, 46 * SECOND);
    assert_int_equal(pace_spread_us(60 * SECOND, 0), 0);
    assert_int_equal(pace_spread_us(60 * SECOND, UINT32_MAX), 60 * SECOND);
}

static void pauses_after_failures_double_up_to_their_most(void **state)
{
    (void)state;
    const int64_t most = 300 * (int64_t)SECOND;
    assert_int_equal(pace_after_failure_us(SECOND, most, 1, UINT32_MAX), SECOND);
    assert_int_equal(pace_after_failure_us(SECOND, most, 2, UINT32_MAX), 2 * SECOND);
    assert_int_equal(pace_after_failure_us(SECOND, most, 5, UINT32_MAX), 16 * SECOND);
    assert_int_equal(pace_after_failure_us(SECOND, most, 10, UINT32_MAX), most);
    assert_int_equal(pace_after_failure_us(SECOND, most, UINT32_MAX, UINT32_MAX), most);
    assert_in_range(pace_after_failure_us(SECOND, most, 5, UINT32_MAX / 2), 7 * SECOND, 9 * SECOND);
}

static void a_pause_is_never_nothing(void **state)
{
    (void)state;
    assert_int_equal(pace_after_failure_us(SECOND, 5 * SECOND, 1, 0), SECOND / 4);
    assert_int_equal(pace_after_failure_us(SECOND, 5 * SECOND, 30, 0), SECOND / 4);
}

static void sites_that_failed_together_come_back_spread_out(void **state)
{
    (void)state;
    enum { SITES = 10000, PARTS = 10 };
    int counts[PARTS] = {0};
    uint32_t random = 1;
    for (int i = 0; i < SITES; i++) {
        random = random * 1664525U + 1013904223U;
        int64_t pause = pace_after_failure_us(SECOND, 300 * (int64_t)SECOND, 20, random);
        counts[pause * PARTS / (300 * (int64_t)SECOND + 1)]++;
    }
    for (int i = 0; i < PARTS; i++) {
        assert_in_range(counts[i], SITES / PARTS * 8 / 10, SITES / PARTS * 12 / 10);
    }
}

static void liveness_goes_from_up_to_stale_to_down(void **state)
{
    (void)state;
    const int64_t ttl = 180 * (int64_t)SECOND;
    assert_int_equal(pace_liveness(-1, ttl), LIVENESS_NEVER);
    assert_int_equal(pace_liveness(0, ttl), LIVENESS_UP);
    assert_int_equal(pace_liveness(ttl, ttl), LIVENESS_UP);
    assert_int_equal(pace_liveness(ttl + 1, ttl), LIVENESS_STALE);
    assert_int_equal(pace_liveness(3 * ttl, ttl), LIVENESS_STALE);
    assert_int_equal(pace_liveness(3 * ttl + 3, ttl), LIVENESS_DOWN);
    assert_int_equal(pace_liveness(INT64_MAX, ttl), LIVENESS_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_turn_is_between_half_an_interval_and_a_whole_one),
        cmocka_unit_test(pauses_after_failures_double_up_to_their_most),
        cmocka_unit_test(a_pause_is_never_nothing),
        cmocka_unit_test(sites_that_failed_together_come_back_spread_out),
        cmocka_unit_test(liveness_goes_from_up_to_stale_to_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
