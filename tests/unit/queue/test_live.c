// Live output of running tasks, as a follower reads it: what one attempt printed is never taken for another's.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#define OCEAN "sha256:0ceaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static int64_t job_at(struct site *site, const char *place, const char *document)
{
    site->to = (struct prepare_destination){.place = text_of(place)};
    int64_t job = site_job(site, document);
    site->to = (struct prepare_destination){0};
    return job;
}

// Takes the body. Returns the number of the lease that the answer gives; 0 when it gives none.
static int64_t say(struct site *site, int64_t worker, char *body)
{
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, OK);
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    int64_t number = json_integer_value(json_array_get(lease, 0));
    reply_done(&reply);
    free(body);
    return number;
}

static int64_t lease_of(struct site *site, int64_t worker)
{
    int64_t lease = say(site, worker, memory_copy_string("{}"));
    assert_true(lease > 0);
    return lease;
}

static void print(struct site *site, int64_t worker, int64_t job, int64_t offset,
                  const char *base64, const char *attempt)
{
    (void)say(site, worker,
              memory_format("{\"logs\":[[%lld,0,\"stdout\",%lld,\"%s\"%s]]}", (long long)job,
                            (long long)offset, base64, attempt));
}

// The follower reads on from where it is, and finds this.
static void assert_reads(struct site *site, int64_t job, struct event_position *at,
                         const char *expected)
{
    struct queue_events found = {.is_more = true};
    AUTO_BUFFER struct buffer out = {0};
    while (found.is_more) {
        assert_int_equal(queue_read_events(site->queue, job, false, at, &out, &found, NULL), OK);
    }
    if (!out.bytes || !strstr(out.bytes, expected)) {
        fail_msg("\"%s\" is not in \"%s\"", expected, out.bytes ? out.bytes : "");
    }
}

static void assert_prints(struct site *site, int64_t job, struct event_position *at,
                          int64_t attempt, int64_t offset, const char *base64)
{
    AUTO_FREE char *expected =
        memory_format("data: {\"index\":0,\"attempt\":%lld,\"stream\":\"stdout\",\"offset\":%lld,"
                      "\"base64\":\"%s\"}\n",
                      (long long)attempt, (long long)offset, base64);
    assert_reads(site, job, at, expected);
}

static void an_attempt_at_another_site_begins_anew(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"]}");
    int64_t link = site_place_worker(site, OCEAN);
    int64_t lease = lease_of(site, link);
    struct event_position at = {.version = -1};
    print(site, link, job, 0, "Zmlyc3Qg", "");
    assert_prints(site, job, &at, 1, 0, "Zmlyc3Qg");
    print(site, link, job, 6, "bGluZQ==", ",1");
    assert_prints(site, job, &at, 1, 6, "bGluZQ==");
    print(site, link, job, 0, "c2Vjb25kIHRpbWU=", ",2");
    assert_prints(site, job, &at, 2, 0, "c2Vjb25kIHRpbWU=");
    // Nothing was heard of the third one before its end.
    (void)say(site, link,
              memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":"
                            "[[0,0,0,1,1,1,1,\"dGhpcmQ=\",null,null,\"\",3]]}]}",
                            (long long)lease, (long long)job));
    assert_reads(site, job, &at, "\"attempts\":3,\"stdout\":\"third\"");
}

static void attempts_there_and_here_are_counted_together(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"], \"retries\": 1}");
    int64_t link = site_place_worker(site, OCEAN);
    int64_t lease = lease_of(site, link);
    struct event_position at = {.version = -1};
    print(site, link, job, 0, "Zmlyc3Qg", ",2");
    assert_prints(site, job, &at, 2, 0, "Zmlyc3Qg");
    lease = say(site, link,
                memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":"
                              "[[0,0,1,1,1,1,1,null,null,null,\"\",2]]}]}",
                              (long long)lease, (long long)job));
    print(site, link, job, 0, "YWdhaW4=", ",1");
    assert_prints(site, job, &at, 3, 0, "YWdhaW4=");
    (void)say(site, link,
              memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}",
                            (long long)lease, (long long)job));
    assert_reads(site, job, &at, "\"attempts\":3");
}

// A job that a worker has begun, which printed and was given back; the follower has read it.
static int64_t job_given_back(struct site *site, struct event_position *at)
{
    int64_t job = site_job(site, "{\"command\": [\"p\"]}");
    int64_t worker = site_worker(site, "desk", 1);
    int64_t lease = lease_of(site, worker);
    print(site, worker, job, 0, "Zmlyc3Qg", "");
    assert_prints(site, job, at, 1, 0, "Zmlyc3Qg");
    (void)say(site, worker,
              memory_format("{\"leaving\":true,\"leases\":[],\"returned\":[[%lld,0,1]]}",
                            (long long)lease));
    return job;
}

static void what_is_given_back_begins_anew_at_the_next_worker(void **state)
{
    struct site *site = *state;
    struct event_position at = {.version = -1};
    int64_t job = job_given_back(site, &at);
    int64_t next = site_worker(site, "lamp", 1);
    (void)lease_of(site, next);
    print(site, next, job, 0, "c2Vjb25kIHRpbWU=", "");
    assert_prints(site, job, &at, 2, 0, "c2Vjb25kIHRpbWU=");
    print(site, next, job, 11, "Lg==", "");
    assert_prints(site, job, &at, 2, 11, "Lg==");
}

static void what_is_given_back_begins_anew_at_the_same_worker_too(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"p\"]}");
    int64_t worker = site_worker(site, "desk", 1);
    struct event_position at = {.version = -1};
    int64_t lease = lease_of(site, worker);
    print(site, worker, job, 0, "Zmlyc3Qg", "");
    assert_prints(site, job, &at, 1, 0, "Zmlyc3Qg");
    int64_t again =
        say(site, worker, memory_format("{\"returned\":[[%lld,0,1]]}", (long long)lease));
    assert_true(again > lease);
    print(site, worker, job, 0, "c2Vjb25kIHRpbWU=", "");
    assert_prints(site, job, &at, 2, 0, "c2Vjb25kIHRpbWU=");
    print(site, worker, job, 11, "Lg==", "");
    assert_prints(site, job, &at, 2, 11, "Lg==");
}

static void what_prints_only_at_its_end_is_told_apart_too(void **state)
{
    struct site *site = *state;
    struct event_position at = {.version = -1};
    int64_t job = job_given_back(site, &at);
    int64_t next = site_worker(site, "lamp", 1);
    int64_t lease = lease_of(site, next);
    (void)say(site, next,
              memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":"
                            "[[0,0,0,1,1,1,1,\"c2Vjb25k\"]]}]}",
                            (long long)lease, (long long)job));
    assert_reads(site, job, &at, "\"attempts\":2,\"stdout\":\"second\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_attempt_at_another_site_begins_anew),
        TEST(attempts_there_and_here_are_counted_together),
        TEST(what_is_given_back_begins_anew_at_the_next_worker),
        TEST(what_is_given_back_begins_anew_at_the_same_worker_too),
        TEST(what_prints_only_at_its_end_is_told_apart_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
