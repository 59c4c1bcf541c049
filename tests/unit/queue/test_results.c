// What tasks came to, as it is read: answers in order, events, and results as they are handed over to another site.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

static void streamed_answers_come_in_order(void **state)
{
    struct site *site = *state;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    assert_int_equal(blob_put(site->blobs, TEXT("a\nb\nc\n"), &digest, NULL), OK);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"cat\"], \"mode\": \"stream\", \"count\": 4}");
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    AUTO_FREE char *body = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[3,0,1]],\"stream\":{\"from\":0,"
        "\"to\":3,\"answers\":\"%s\",\"answers_size\":6}}]}",
        (long long)json_integer_value(json_array_get(lease, 0)), (long long)job,
        digest_to_text(&digest, text));
    reply_done(&reply);
    site_say(site, worker, body);
    assert_job(site, job, "failed", 3);
    AUTO_BUFFER struct buffer answers = {0};
    int64_t next = 0;
    bool is_complete = false;
    assert_int_equal(queue_read_answers(site->queue, job, 1, &answers, &next, &is_complete, NULL),
                     OK);
    assert_string_equal(answers.bytes, "b\nc\nnull\n");
    assert_true(is_complete);
    assert_int_equal(next, 4);
}

static void events_tell_of_all_tasks_and_then_of_the_end(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 600}");
    assert_int_equal(site_run_all(site, worker), 600);
    struct event_position at = {.version = -1};
    struct queue_events found = {.is_more = true};
    AUTO_BUFFER struct buffer all = {0};
    while (found.is_more) {
        assert_int_equal(queue_read_events(site->queue, job, true, &at, &all, &found, NULL), OK);
    }
    assert_true(found.is_ended);
    assert_int_equal(at.seq, 600);
    int tasks = 0;
    for (const char *each = all.bytes; (each = strstr(each, "event: task")) != NULL; each++) {
        tasks++;
    }
    assert_int_equal(tasks, 600);
    assert_non_null(strstr(all.bytes, "\"stdout\":\"ok\""));
}

// All events of the job, in the form for another site.
static void read_results(struct site *site, int64_t job, struct event_position *at,
                         struct buffer *out)
{
    struct queue_events found = {.is_more = true};
    at->wants_results = true;
    at->version = -1;
    while (found.is_more) {
        assert_int_equal(queue_read_events(site->queue, job, true, at, out, &found, NULL), OK);
    }
    assert_true(found.is_ended);
}

static int count_of(const struct buffer *all, const char *what)
{
    int count = 0;
    for (const char *each = all->bytes; (each = strstr(each, what)) != NULL; each++) {
        count++;
    }
    return count;
}

static void results_are_handed_over_whole_and_once(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 600}");
    assert_int_equal(site_run_all(site, worker), 600);
    struct event_position at = {0};
    AUTO_BUFFER struct buffer all = {0};
    read_results(site, job, &at, &all);
    assert_int_equal(count_of(&all, "event: result"), 600);
    assert_int_equal(count_of(&all, "event: task"), 0);
    assert_non_null(strstr(all.bytes, "data: [599,0,0,"));
    AUTO_BUFFER struct buffer rest = {0};
    at = (struct event_position){.seq = 590};
    read_results(site, job, &at, &rest);
    assert_int_equal(count_of(&rest, "event: result"), 10);
}

static void pieces_of_answers_and_failed_items_are_handed_over_in_order_of_commit(void **state)
{
    struct site *site = *state;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    assert_int_equal(blob_put(site->blobs, TEXT("a\nb\nc\n"), &digest, NULL), OK);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"cat\"], \"mode\": \"stream\", \"count\": 4}");
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    AUTO_FREE char *body = memory_format(
        "{\"setups\":[{\"job\":%lld,\"executable\":\"/bin/cat\",\"executable_digest\":\"\","
        "\"host\":\"h\",\"sandbox\":\"none\"}],\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":"
        "[[3,0,1,5,6,7,8,null,\"b29wcw==\",null,\"bad\"]],\"stream\":{\"from\":0,\"to\":3,"
        "\"answers\":\"%s\",\"answers_size\":6}}]}",
        (long long)job, (long long)json_integer_value(json_array_get(lease, 0)), (long long)job,
        digest_to_text(&digest, text));
    reply_done(&reply);
    site_say(site, worker, body);
    struct event_position at = {0};
    AUTO_BUFFER struct buffer all = {0};
    read_results(site, job, &at, &all);
    assert_non_null(strstr(all.bytes, "event: setup"));
    assert_non_null(strstr(all.bytes, "\"executable\":\"/bin/cat\""));
    assert_non_null(
        strstr(all.bytes, "data: [3,0,1,5,6,7,8,null,\"b29wcw==\",null,\"bad\",1,\"site\"]\n"));
    AUTO_FREE char *piece =
        memory_format("{\"from\":0,\"to\":3,\"answers\":\"%s\",\"answers_size\":6,\"skip\":0,"
                      "\"is_part\":false,",
                      text);
    assert_non_null(strstr(all.bytes, piece));
    assert_non_null(strstr(all.bytes, ",\"stderr\":null,\"class\":\"site\"}\n"));
    // Behind the first of the two only the other one is told.
    AUTO_BUFFER struct buffer rest = {0};
    at = (struct event_position){.seq = 1};
    read_results(site, job, &at, &rest);
    assert_int_equal(count_of(&rest, "event: result") + count_of(&rest, "event: piece"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(streamed_answers_come_in_order),
        TEST(events_tell_of_all_tasks_and_then_of_the_end),
        TEST(results_are_handed_over_whole_and_once),
        TEST(pieces_of_answers_and_failed_items_are_handed_over_in_order_of_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
