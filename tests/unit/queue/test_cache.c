// What was computed before, and which of it a job gets.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(many_tasks_come_from_the_cache_in_pieces),
        TEST(what_was_computed_before_is_answered_from_the_cache),
        TEST(a_refreshed_result_takes_the_place_of_the_older_one),
        TEST(data_that_becomes_other_data_while_it_is_submitted_is_refused),
        TEST(data_that_became_other_data_is_not_computed_by_a_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
