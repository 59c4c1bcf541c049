// What was computed before, and which of it a job gets.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <sched.h>
#include <stdio.h>

static void many_tasks_come_from_the_cache_in_pieces(void **state)
{
    struct site *site = *state;
    struct text program = TEXT("#!/bin/sh\n");
    AUTO_FREE char *path = memory_format("%s/program", site->folder);
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = digest_of(program.bytes, program.length);
    assert_int_equal(file_write_atomic(path, program, 0700, NULL), OK);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t first = site_job(site, "{\"command\": [\"p\"], \"count\": 2500}");
    site->setups =
        memory_format("{\"job\":%lld,\"executable\":\"%s\",\"executable_digest\":\"%s\"}",
                      (long long)first, path, digest_to_text(&bytes, digest));
    assert_int_equal(site_run_all(site, worker), 2500);
    int64_t again = site_job(site, "{\"command\": [\"p\"], \"count\": 2600}");
    // What is left is leased only when the cache has been asked for all.
    int64_t ran = 0;
    while (ran < 100) {
        ran += site_run_all(site, worker);
    }
    assert_int_equal(ran, 100);
    struct reply reply = site_show(site, again, 10000000);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cached"), 2500);
    reply_done(&reply);
}

static void what_was_computed_before_is_answered_from_the_cache(void **state)
{
    struct site *site = *state;
    struct text program = TEXT("#!/bin/sh\n");
    AUTO_FREE char *path = memory_format("%s/program", site->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(program.bytes, 1, program.length, file), program.length);
    assert_int_equal(fclose(file), 0);
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = digest_of(program.bytes, program.length);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t first = site_job(site, "{\"command\": [\"p\", \"{index}\"], \"count\": 3}");
    site->setups =
        memory_format("{\"job\":%lld,\"executable\":\"%s\",\"executable_digest\":\"%s\"}",
                      (long long)first, path, digest_to_text(&bytes, digest));
    assert_int_equal(site_run_all(site, worker), 3);
    assert_job(site, first, "succeeded", 3);
    int64_t again = site_job(site, "{\"command\": [\"p\", \"{index}\"], \"count\": 5}");
    struct reply reply = site_show(site, again, 0);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cached"), 3);
    reply_done(&reply);
    int64_t fresh =
        site_job(site, "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"cache\": \"refresh\"}");
    assert_job(site, fresh, "waiting", 0);
    // Another program under the same name: no hit.
    file = fopen(path, "a");
    assert_non_null(file);
    assert_true(fputs("exit 1\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    int64_t changed = site_job(site, "{\"command\": [\"p\", \"{index}\"], \"count\": 3}");
    assert_job(site, changed, "waiting", 0);
}

static void a_refreshed_result_takes_the_place_of_the_older_one(void **state)
{
    struct site *site = *state;
    struct text program = TEXT("#!/bin/sh\n");
    AUTO_FREE char *path = memory_format("%s/program", site->folder);
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = digest_of(program.bytes, program.length);
    assert_int_equal(file_write_atomic(path, program, 0700, NULL), OK);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t refreshed = 0;
    static const char *const texts[] = {"{\"command\": [\"p\"]}",
                                        "{\"command\": [\"p\"], \"cache\": \"refresh\"}"};
    for (size_t i = 0; i < 2; i++) {
        refreshed = site_job(site, texts[i]);
        free(site->setups);
        site->setups =
            memory_format("{\"job\":%lld,\"executable\":\"%s\",\"executable_digest\":\"%s\"}",
                          (long long)refreshed, path, digest_to_text(&bytes, digest));
        assert_int_equal(site_run_all(site, worker), 1);
    }
    int64_t again = site_job(site, texts[0]);
    assert_job(site, again, "succeeded", 1);
    AUTO_BUFFER struct buffer record = {0};
    AUTO_JSON json_t *task = NULL;
    assert_int_equal(queue_show_task(site->queue, again, 0, &record, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&record), &task, NULL), OK);
    assert_int_equal(number_of(json_object_get(task, "cache"), "first_job"), refreshed);
}

static void data_that_becomes_other_data_while_it_is_submitted_is_refused(void **state)
{
    struct site *site = *state;
    site->catalog.changes_at_a_look = true;
    struct reply reply =
        site_submit(site, "{\"command\": [\"true\"], \"data\": [{\"id\": \"t:two\"}]}", NULL);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.fix, "again"));
}

static void data_that_became_other_data_is_not_computed_by_a_retry(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"data\": [{\"id\": \"t:two\"}]}");
    struct reply reply = site_cancel(site, job);
    reply_done(&reply);
    site->catalog.is_changed = true;
    reply = site_retry(site, job);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.fix, "lode data verify"));
    // Accepted as it is now: then its results are those of another job.
    site->catalog.is_changed = false;
    site->catalog.content = 77;
    reply = site_retry(site, job);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.detail, "t:two"));
    assert_non_null(strstr(reply.error.fix, "submit"));
    site->catalog.content = 0;
    reply = site_retry(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static const char WITH_DATA[] = "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:two\"}]}";

// Runs a job with data, whose program is /data's own, so that the cache asks for the data only.
static int64_t run_with_data(struct site *site, int64_t worker)
{
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = {{1}};
    int64_t job = site_job(site, WITH_DATA);
    free(site->setups);
    site->setups =
        memory_format("{\"job\":%lld,\"executable\":\"/data/two/p\",\"executable_digest\":\"%s\"}",
                      (long long)job, digest_to_text(&bytes, digest));
    assert_int_equal(site_run_all(site, worker), 1);
    return job;
}

static bool is_hit(struct site *site)
{
    int64_t job = site_job(site, WITH_DATA);
    struct reply reply = site_show(site, job, 0);
    bool is_one = number_of(json_object_get(reply.document, "tasks"), "cached") == 1;
    reply_done(&reply);
    if (!is_one) {
        reply = site_cancel(site, job);
        reply_done(&reply);
    }
    return is_one;
}

// The second look of each of `count` ended jobs has been made, and what it found is written.
static void await_looks(struct site *site, int count)
{
    int64_t deadline_us = clock_steady_us() + INT64_C(60000000);
    while (atomic_load(&site->catalog.looks) < count) {
        assert_true(clock_steady_us() < deadline_us);
        (void)sched_yield();
    }
    site_restart(site); // Ends the thread of the looks, and with it the last write.
}

static void data_that_is_untouched_since_the_first_run_hits(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    site->catalog.content = 1;
    atomic_store(&site->catalog.state, 5);
    (void)run_with_data(site, worker);
    assert_true(is_hit(site));
}

static void data_that_was_touched_after_the_run_hits_as_its_checksum_is_the_same(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    site->catalog.content = 1;
    (void)run_with_data(site, worker);
    await_looks(site, 1);
    atomic_store(&site->catalog.state, 7);
    assert_true(is_hit(site));
}

static void data_that_was_touched_while_its_job_ran_never_hits(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    site->catalog.content = 1;
    int64_t job = site_job(site, WITH_DATA);
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = {{1}};
    site->setups =
        memory_format("{\"job\":%lld,\"executable\":\"/data/two/p\",\"executable_digest\":\"%s\"}",
                      (long long)job, digest_to_text(&bytes, digest));
    atomic_store(&site->catalog.state, 7); // And put back as it was: the digest is the same again.
    assert_int_equal(site_run_all(site, worker), 1);
    await_looks(site, 1);
    assert_false(is_hit(site));
    // What is computed now is of use.
    worker = site_worker(site, "desk", 1);
    (void)run_with_data(site, worker);
    assert_true(is_hit(site));
}

static void data_that_was_touched_just_before_the_look_never_hits(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    site->catalog.content = 1;
    site->catalog.is_unsettled = true; // One more touch could leave the state as it is.
    (void)run_with_data(site, worker);
    site->catalog.is_unsettled = false;
    assert_false(is_hit(site));
}

static void tasks_that_are_tried_again_are_looked_after_again(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    site->catalog.content = 1;
    int64_t job =
        site_job(site, "{\"command\": [\"p\"], \"count\": 2, \"data\": [{\"id\": \"t:two\"}]}");
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = {{1}};
    site->setups =
        memory_format("{\"job\":%lld,\"executable\":\"/data/two/p\",\"executable_digest\":\"%s\"}",
                      (long long)job, digest_to_text(&bytes, digest));
    // One task succeeds, the rest is cancelled: the second look finds the first untouched.
    struct reply reply = site_poll(site, worker, "{\"wait_seconds\": 0, \"leases\": []}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    AUTO_FREE char *report = memory_format(
        "{\"wait_seconds\": 0, \"setups\": [%s], \"results\": [{\"lease\": %lld, \"job\": %lld,"
        " \"tasks\": [[0, 0, 0, 1, 1, 1, 1]]}]}",
        site->setups, (long long)json_integer_value(json_array_get(lease, 0)), (long long)job);
    reply_done(&reply);
    site_say(site, worker, report);
    reply = site_cancel(site, job);
    reply_done(&reply);
    await_looks(site, 1);
    assert_true(is_hit(site));
    // The rest runs on data that is touched: now nothing of the job is sure.
    reply = site_retry(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    atomic_store(&site->catalog.state, 7);
    worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 1);
    await_looks(site, 2);
    assert_false(is_hit(site));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(many_tasks_come_from_the_cache_in_pieces),
        TEST(what_was_computed_before_is_answered_from_the_cache),
        TEST(a_refreshed_result_takes_the_place_of_the_older_one),
        TEST(data_that_becomes_other_data_while_it_is_submitted_is_refused),
        TEST(data_that_became_other_data_is_not_computed_by_a_retry),
        TEST(data_that_is_untouched_since_the_first_run_hits),
        TEST(data_that_was_touched_after_the_run_hits_as_its_checksum_is_the_same),
        TEST(data_that_was_touched_while_its_job_ran_never_hits),
        TEST(data_that_was_touched_just_before_the_look_never_hits),
        TEST(tasks_that_are_tried_again_are_looked_after_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
