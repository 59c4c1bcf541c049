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

// A worker that serves, and was told of the job.
static int64_t start_worker(struct site *site, int number)
{
    char name[16];
    (void)snprintf(name, sizeof name, "w%d", number);
    json_t *document = json_pack("{s:s, s:i, s:I, s:I, s:{s:s}, s:i, s:{s:s, s:s}}", "name", name,
                                 "cpus", 1, "memory_bytes", (json_int_t)1 << 36, "disk_bytes",
                                 (json_int_t)1 << 40, "sandbox", "kind", "none", "process", number,
                                 "serve", "url", "https://w:1", "fingerprint", FINGERPRINT);
    struct reply reply = site_register(site, document);
    assert_int_equal(reply.status, OK);
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    reply = site_poll(site, worker, "{}");
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    return worker;
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_site_and_each_worker_send_to_two_at_a_time),
        TEST(who_is_reached_by_none_of_many_gets_it_from_the_site),
        TEST(those_that_are_gone_make_room_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
