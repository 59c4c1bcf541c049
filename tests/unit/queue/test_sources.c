// Where workers get a file from.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <stdio.h>

enum {
    MANY = 300,
};

static const char FINGERPRINT[] =
    "sha256:0000000000000000000000000000000000000000000000000000000000000001";

// A worker that was told of the job. `serve` is its object of that name, and taken; NULL: it serves nobody. `zone`: a label, or NULL.
static int64_t register_worker(struct site *site, int number, json_t *serve, const char *zone)
{
    char name[16];
    (void)snprintf(name, sizeof name, "w%d", number);
    json_t *document =
        json_pack("{s:s, s:i, s:I, s:I, s:{s:s}, s:i, s:o*, s:[s*]}", "name", name, "cpus", 1,
                  "memory_bytes", (json_int_t)1 << 36, "disk_bytes", (json_int_t)1 << 40, "sandbox",
                  "kind", "none", "process", number, "serve", serve, "labels", zone);
    struct reply reply = site_register(site, document);
    assert_int_equal(reply.status, OK);
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    site_say(site, worker, "{}");
    return worker;
}

// One that serves everybody.
static int64_t start_worker(struct site *site, int number)
{
    return register_worker(
        site, number, json_pack("{s:s, s:s}", "url", "https://w:1", "fingerprint", FINGERPRINT),
        NULL);
}

// One that serves those near it, as `lode worker` without an option, at a URL of its own address.
static int64_t start_near(struct site *site, int number, const char *url, const char *zone)
{
    return register_worker(
        site, number,
        json_pack("{s:s, s:s, s:s}", "url", url, "fingerprint", FINGERPRINT, "reach", "network"),
        zone);
}

static int64_t start_job(struct site *site)
{
    return site_job(site, "{\"command\": [\"sleep\", \"1\"], \"count\": 100000}");
}

static struct queue_source_request request_of(int64_t worker, int64_t job)
{
    return (struct queue_source_request){
        .worker = worker, .owner = TEXT("workers"), .job = job, .digest.bytes = {7}};
}

// The worker to take it from; 0: the site; -1: none for now.
static int64_t answer_to(struct site *site, const struct queue_source_request *request)
{
    struct reply reply = site_find_source(site, request);
    assert_int_equal(reply.status, OK);
    struct text from = json_text(json_object_get(reply.document, "from"));
    int64_t source = text_equal(from, TEXT("wait"))   ? -1
                     : text_equal(from, TEXT("site")) ? 0
                                                      : number_of(reply.document, "worker");
    reply_done(&reply);
    return source;
}

static int64_t source_of(struct site *site, int64_t worker, int64_t job)
{
    const struct queue_source_request request = request_of(worker, job);
    return answer_to(site, &request);
}

static void say_has_it(struct site *site, int64_t worker, int64_t job)
{
    struct queue_source_request request = request_of(worker, job);
    request.has_it = true;
    assert_int_equal(answer_to(site, &request), -1);
}

static void the_site_and_each_worker_send_to_two_at_a_time(void **state)
{
    struct site *site = *state;
    int64_t job = start_job(site);
    int64_t workers[6];
    for (int i = 0; i < 6; i++) {
        workers[i] = start_worker(site, i + 1);
    }
    assert_int_equal(source_of(site, workers[0], job), 0);
    assert_int_equal(source_of(site, workers[1], job), 0);
    assert_int_equal(source_of(site, workers[2], job), -1);
    say_has_it(site, workers[0], job);
    assert_int_equal(source_of(site, workers[2], job), workers[0]);
    assert_int_equal(source_of(site, workers[3], job), workers[0]);
    assert_int_equal(source_of(site, workers[4], job), -1);
    say_has_it(site, workers[2], job);
    int64_t first = source_of(site, workers[4], job);
    int64_t second = source_of(site, workers[5], job);
    assert_true(first == workers[2] && (second == workers[0] || second == workers[2]));
}

static void who_is_reached_by_none_of_many_gets_it_from_the_site(void **state)
{
    struct site *site = *state;
    int64_t job = start_job(site);
    struct queue_source_request request = request_of(start_worker(site, 1), job);
    for (int i = 0; i < QUEUE_FAILED_MAX + 1; i++) {
        int64_t holder = start_worker(site, i + 2);
        say_has_it(site, holder, job);
        if (request.failed_count < QUEUE_FAILED_MAX) {
            request.failed[request.failed_count++] = holder;
        }
    }
    assert_int_equal(answer_to(site, &request), 0);
    request.failed_count--;
    assert_true(answer_to(site, &request) > 0);
}

static void those_that_are_gone_make_room_for_others(void **state)
{
    struct site *site = *state;
    int64_t job = start_job(site);
    for (int i = 0; i < MANY; i++) {
        say_has_it(site, start_worker(site, i + 1), job);
    }
    queue_drop_workers(site->queue, TEXT("workers"));
    int64_t holder = start_worker(site, 1);
    assert_int_equal(source_of(site, holder, job), 0);
    say_has_it(site, holder, job);
    assert_int_equal(source_of(site, start_worker(site, 2), job), holder);
}

// Of a worker that this site sees at an address.
static struct queue_source_request request_from(int64_t worker, int64_t job, const char *address)
{
    struct queue_source_request request = request_of(worker, job);
    (void)snprintf(request.address, sizeof request.address, "%s", address);
    return request;
}

// What a worker at `address`, which serves at `url` (NULL: not), is answered when the one that has the file serves its network at `holder_url` and
// is seen at `holder_address`.
struct case_of_nearness {
    const char *holder_url;
    const char *holder_address;
    const char *holder_zone;
    const char *url;
    const char *address;
    const char *zone;
    bool is_near;
};

static void files_go_to_those_that_are_near(void **state)
{
    static const struct case_of_nearness CASES[] = {
        {"https://10.0.0.1:1", "10.0.0.1", NULL, "https://10.0.0.2:1", "10.0.0.2", NULL, true},
        {"https://10.0.0.1:1", "::ffff:10.0.0.1", NULL, NULL, "::ffff:10.0.0.2", NULL, true},
        {"https://[fd00::1]:1", "fd00::1", NULL, "https://[fd00::2]:1", "fd00::2", NULL, true},
        {"https://10.0.0.1:1", "10.0.0.1", NULL, "https://10.0.1.2:1", "10.0.1.2", NULL, false},
        {"https://10.0.0.1:1", "10.0.0.1", NULL, NULL, "127.0.0.1", NULL, false},
        // Behind one translator, and behind two of the same addresses.
        {"https://10.0.0.1:1", "192.0.2.1", NULL, "https://10.0.0.2:1", "192.0.2.1", NULL, true},
        {"https://10.0.0.1:1", "192.0.2.1", NULL, "https://10.0.0.2:1", "192.0.2.2", NULL, false},
        {"https://10.0.0.1:1", "192.0.2.1", NULL, "https://10.0.0.2:1", "10.0.0.2", NULL, false},
        {"https://10.0.0.1:1", "192.0.2.1", NULL, NULL, "192.0.2.1", NULL, false},
        // Zones say it, when both have one.
        {"https://10.0.0.1:1", "10.0.0.1", "zone=a", "https://10.0.1.2:1", "10.0.1.2", "zone=a",
         true},
        {"https://10.0.0.1:1", "10.0.0.1", "zone=a", "https://10.0.0.2:1", "10.0.0.2", "zone=b",
         false},
        {"https://10.0.0.1:1", "10.0.0.1", "zone=a", "https://10.0.0.2:1", "10.0.0.2", NULL, true},
    };
    struct site *site = *state;
    int64_t job = start_job(site);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct case_of_nearness *each = &CASES[i];
        int64_t holder = start_near(site, 1, each->holder_url, each->holder_zone);
        struct queue_source_request question = request_from(holder, job, each->holder_address);
        question.has_it = true;
        question.digest.bytes[1] = (unsigned char)i;
        assert_int_equal(answer_to(site, &question), -1);
        int64_t taker = each->url ? start_near(site, 2, each->url, each->zone)
                                  : register_worker(site, 2, NULL, each->zone);
        question = request_from(taker, job, each->address);
        question.digest.bytes[1] = (unsigned char)i;
        int64_t source = answer_to(site, &question);
        if (source != (each->is_near ? holder : 0)) {
            fail_msg("case %zu: %lld", i, (long long)source);
        }
    }
}

static void one_that_is_near_is_preferred_to_one_that_serves_all(void **state)
{
    struct site *site = *state;
    int64_t job = start_job(site);
    int64_t all = start_worker(site, 1);
    int64_t near = start_near(site, 2, "https://10.0.0.2:1", NULL);
    say_has_it(site, all, job);
    struct queue_source_request question = request_from(near, job, "10.0.0.2");
    question.has_it = true;
    assert_int_equal(answer_to(site, &question), -1);
    int64_t inside = start_near(site, 3, "https://10.0.0.3:1", NULL);
    int64_t outside = start_near(site, 4, "https://10.9.9.9:1", NULL);
    question = request_from(inside, job, "10.0.0.3");
    assert_int_equal(answer_to(site, &question), near);
    question = request_from(outside, job, "10.9.9.9");
    assert_int_equal(answer_to(site, &question), all);
}

// The worker is sent to the holder, and does not reach it.
static void miss(struct site *site, int64_t taker, int64_t job, int64_t holder)
{
    struct queue_source_request question = request_from(taker, job, "10.0.0.9");
    assert_int_equal(answer_to(site, &question), holder);
    question.unreached[question.unreached_count++] = holder;
    int64_t source = answer_to(site, &question);
    assert_true(source != holder);
    (void)source;
}

static void one_that_several_did_not_reach_is_left_alone(void **state)
{
    struct site *site = *state;
    int64_t job = start_job(site);
    int64_t holder = start_worker(site, 1);
    say_has_it(site, holder, job);
    int64_t first = start_worker(site, 2);
    miss(site, first, job, holder);
    miss(site, first, job, holder); // The same one: nothing new.
    miss(site, first, job, holder);
    miss(site, start_worker(site, 3), job, holder);
    miss(site, start_worker(site, 4), job, holder);
    int64_t source = source_of(site, start_worker(site, 5), job);
    assert_true(source == 0 || source == -1);
}

static void one_that_reaches_none_of_several_asks_the_site(void **state)
{
    struct site *site = *state;
    int64_t job = start_job(site);
    int64_t taker = start_worker(site, 1);
    for (int i = 0; i < 3; i++) {
        int64_t holder = start_worker(site, i + 2);
        struct queue_source_request question = request_from(holder, job, "10.0.0.1");
        question.has_it = true;
        question.digest.bytes[1] = (unsigned char)(i + 1);
        assert_int_equal(answer_to(site, &question), -1);
        question = request_from(taker, job, "10.0.0.9");
        question.digest.bytes[1] = (unsigned char)(i + 1);
        assert_int_equal(answer_to(site, &question), holder);
        question.unreached[question.unreached_count++] = holder;
        assert_int_equal(answer_to(site, &question), 0);
    }
    say_has_it(site, start_worker(site, 9), job);
    assert_int_equal(source_of(site, taker, job), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_site_and_each_worker_send_to_two_at_a_time),
        TEST(who_is_reached_by_none_of_many_gets_it_from_the_site),
        TEST(those_that_are_gone_make_room_for_others),
        TEST(files_go_to_those_that_are_near),
        TEST(one_that_is_near_is_preferred_to_one_that_serves_all),
        TEST(one_that_several_did_not_reach_is_left_alone),
        TEST(one_that_reaches_none_of_several_asks_the_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
