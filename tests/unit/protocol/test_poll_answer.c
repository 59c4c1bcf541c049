// What a site tells those who lease from it.
#include "../cmocka_all.h"

#include "protocol/poll_answer.h"

static void an_answer_is_read_whole(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_POLL_ANSWER struct poll_answer answer = {0};
    assert_int_equal(poll_answer_read(TEXT("{\"leases\":[[1,17,0,1],[2,18,5,1000]],\"jobs\":[{}],"
                                           "\"cancel\":[3],\"yield\":[6,7],\"drop_jobs\":[4,5],"
                                           "\"drain\":true}"),
                                      &arena, &answer, NULL),
                     OK);
    assert_int_equal(answer.lease_count, 2);
    assert_int_equal(answer.leases[1].lease, 2);
    assert_int_equal(answer.leases[1].job, 18);
    assert_int_equal(answer.leases[1].from, 5);
    assert_int_equal(answer.leases[1].to, 1000);
    assert_int_equal(json_array_size(answer.jobs), 1);
    assert_int_equal(answer.cancelled_count, 1);
    assert_int_equal(answer.cancelled[0], 3);
    assert_int_equal(answer.yield_count, 2);
    assert_int_equal(answer.yields[1], 7);
    assert_int_equal(answer.dropped_count, 2);
    assert_int_equal(answer.dropped[1], 5);
    assert_true(answer.is_draining);
}

static void what_is_left_out_is_empty(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_POLL_ANSWER struct poll_answer answer = {0};
    assert_int_equal(poll_answer_read(TEXT("{}"), &arena, &answer, NULL), OK);
    assert_int_equal(answer.lease_count + answer.cancelled_count + answer.dropped_count, 0);
    assert_int_equal(answer.yield_count, 0);
    assert_int_equal(json_array_size(answer.jobs), 0);
    assert_false(answer.is_draining);
}

// Otherwise half of an answer would hold, and nobody could say which half.
static void nothing_of_a_wrong_answer_is_taken(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        "[]x",
        "{\"leases\":{}}",
        "{\"leases\":[[1,17,0,1],[2,18,5]]}",
        "{\"leases\":[[1,17,0,1],[2,18,5,5]]}",
        "{\"leases\":[[1,17,0,1],[2,18,-1,5]]}",
        "{\"leases\":[[1,17,0,1],[0,18,0,5]]}",
        "{\"leases\":[[1,17,0,1],[2,0,0,5]]}",
        "{\"leases\":[[1,17,0,1],[2,18,0,1000000001]]}",
        "{\"leases\":[[1,17,0,1],[2,18,0,\"5\"]]}",
        "{\"leases\":[[1,17,0,1,9]]}",
        "{\"leases\":[7]}",
        "{\"jobs\":7}",
        "{\"cancel\":[\"3\"]}",
        "{\"cancel\":[0]}",
        "{\"yield\":[0]}",
        "{\"drop_jobs\":[null]}",
        "{\"drain\":1}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        AUTO_ARENA struct arena arena = {0};
        struct poll_answer answer = {.lease_count = 7};
        struct error error = {0};
        assert_int_equal(poll_answer_read(text_of(WRONG[i]), &arena, &answer, &error), INVALID);
        assert_true(error.detail[0] != '\0');
        assert_int_equal(answer.lease_count, 7);
        assert_null(answer.document);
    }
}

static void a_registration_has_a_number_and_a_wait(void **state)
{
    (void)state;
    struct registration registration = {0};
    assert_int_equal(registration_read(TEXT("{\"worker\":7,\"wait_seconds\":3,\"more\":1}"),
                                       &registration, NULL),
                     OK);
    assert_int_equal(registration.worker, 7);
    assert_int_equal(registration.wait_seconds, 3);
    assert_int_equal(registration_read(TEXT("{\"worker\":8}"), &registration, NULL), OK);
    assert_int_equal(registration.wait_seconds, POLL_ANSWER_WAIT_SECONDS);
    // A site refuses polls that would wait longer than it lets them.
    static const char *const WRONG[] = {"{\"worker\":0}", "{}",
                                        "{\"worker\":7,\"wait_seconds\":61}", "null"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct error error = {0};
        assert_int_equal(registration_read(text_of(WRONG[i]), &registration, &error), INVALID);
        assert_int_equal(registration.worker, 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_whole),
        cmocka_unit_test(what_is_left_out_is_empty),
        cmocka_unit_test(nothing_of_a_wrong_answer_is_taken),
        cmocka_unit_test(a_registration_has_a_number_and_a_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
