// Leases and reports when connections break: what is said twice, or was never heard.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"

// Gets the first lease that a poll gives; the number of its tasks is returned.
static int64_t take_lease(struct site *site, int64_t worker, long long *number)
{
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    assert_non_null(lease);
    *number = json_integer_value(json_array_get(lease, 0));
    int64_t count =
        json_integer_value(json_array_get(lease, 3)) - json_integer_value(json_array_get(lease, 2));
    reply_done(&reply);
    return count;
}

static void expect_ok(struct site *site, int64_t worker, const char *body)
{
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static void what_is_reported_twice_leaves_the_rest_of_the_lease_in_the_books(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"cat\"], \"mode\": \"stream\", \"count\": 8}");
    long long number = 0;
    assert_int_equal(take_lease(site, worker, &number), 4);
    expect_ok(site, worker, "{\"leaving\": true}");
    // The answers to the first reports are lost, so the worker sends them again.
    AUTO_FREE char *report =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", number,
                      (long long)job);
    for (int i = 0; i < 4; i++) {
        expect_ok(site, worker, report);
    }
    AUTO_FREE char *rest = memory_format("{\"returned\":[[%lld,1,4]]}", number);
    expect_ok(site, worker, rest);
    int64_t other = site_worker(site, "rack", 1);
    assert_int_equal(site_run_all(site, other), 7);
    assert_job(site, job, "succeeded", 8);
}

static void a_cancellation_that_was_not_heard_is_said_again(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"sleep\", \"100000\"]}");
    long long number = 0;
    (void)take_lease(site, worker, &number);
    struct reply reply = site_cancel(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    AUTO_FREE char *held = memory_format("{\"leases\":[[%lld,%lld,0,1]]}", number, (long long)job);
    for (int i = 0; i < 2; i++) { // The first answer is lost on its way.
        reply = site_poll(site, worker, held);
        const json_t *cancel = json_object_get(reply.document, "cancel");
        assert_int_equal(json_array_size(cancel), 1);
        assert_int_equal(json_integer_value(json_array_get(cancel, 0)), number);
        reply_done(&reply);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_reported_twice_leaves_the_rest_of_the_lease_in_the_books),
        TEST(a_cancellation_that_was_not_heard_is_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
