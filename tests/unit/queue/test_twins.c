// Jobs that compute the same: the later ones wait for the first, and take its results.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <sched.h>
#include <stdio.h>

static const char THREE[] = "{\"command\": [\"p\", \"{index}\"], \"count\": 3}";

// The program that all jobs run, so that the cache can compare it.
static void keep_program(struct site *site)
{
    AUTO_FREE char *path = memory_format("%s/program", site->folder);
    assert_int_equal(file_write_atomic(path, TEXT("#!/bin/sh\n"), 0700, NULL), OK);
}

// What workers say of it from now on, for the jobs 1 to `count`.
static void say_program(struct site *site, int count)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO_BUFFER struct buffer out = {0};
    struct digest bytes = digest_of("#!/bin/sh\n", 10);
    for (int job = 1; job <= count; job++) {
        buffer_printf(&out, "%s{\"job\":%d,\"executable\":\"%s/program\",", job > 1 ? "," : "", job,
                      site->folder);
        buffer_printf(&out, "\"executable_digest\":\"%s\"}", digest_to_text(&bytes, digest));
    }
    free(site->setups);
    site->setups = buffer_take_string(&out);
}

static int64_t figure(struct site *site, int64_t job, const char *name)
{
    struct reply reply = site_show(site, job, 0);
    int64_t number = number_of(json_object_get(reply.document, "tasks"), name);
    reply_done(&reply);
    return number;
}

static bool waits(struct site *site, int64_t job, const char *words)
{
    AUTO_FREE char *why = site_why(site, job);
    return strstr(why, words) != NULL;
}

static void assert_waits_for(struct site *site, int64_t job, int64_t twin)
{
    AUTO_FREE char *words = memory_format("it waits for job %lld", (long long)twin);
    AUTO_FREE char *why = site_why(site, job);
    if (!strstr(why, words)) {
        fail_msg("job %lld: %s", (long long)job, why);
    }
}

static void assert_free(struct site *site, int64_t job)
{
    if (waits(site, job, "computes the same") || waits(site, job, "computed the same")) {
        AUTO_FREE char *why = site_why(site, job);
        fail_msg("job %lld: %s", (long long)job, why);
    }
}

// What waited for a job that has ended has been told of its results: then it waits no more, or for another one.
static void await_words(struct site *site, int64_t job, const char *words)
{
    int64_t deadline_us = clock_steady_us() + INT64_C(60000000);
    while (!waits(site, job, words)) {
        assert_true(clock_steady_us() < deadline_us);
        (void)sched_yield();
    }
}

static void await_free(struct site *site, int64_t job)
{
    int64_t deadline_us = clock_steady_us() + INT64_C(60000000);
    while (waits(site, job, "the same")) {
        assert_true(clock_steady_us() < deadline_us);
        (void)sched_yield();
    }
}

static void assert_ends(struct site *site, int64_t job, const char *state)
{
    struct reply reply = site_show(site, job, INT64_C(60000000));
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), state);
    reply_done(&reply);
}

static void cancel(struct site *site, int64_t job)
{
    struct reply reply = site_cancel(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

// Leases what there is, and reports nothing yet; the first lease's number.
static int64_t begin_tasks(struct site *site, int64_t worker)
{
    struct reply reply = site_poll(site, worker, "{\"wait_seconds\": 0}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    int64_t number = json_integer_value(json_array_get(lease, 0));
    reply_done(&reply);
    assert_true(number > 0);
    return number;
}

static void jobs_that_compute_the_same_run_once(void **state)
{
    struct site *site = *state;
    keep_program(site);
    int64_t first = site_job(site, THREE);
    int64_t second = site_job(site, THREE);
    int64_t third = site_job(site, THREE);
    assert_waits_for(site, second, first);
    assert_waits_for(site, third, first); // The first, not the one that waits itself.
    assert_true(
        waits(site, second, "there are no workers")); // What keeps the other one is said too.
    say_program(site, 1);
    int64_t worker = site_worker(site, "desk", 4);
    assert_int_equal(site_run_all(site, worker), 3);
    assert_ends(site, second, "succeeded");
    assert_ends(site, third, "succeeded");
    assert_int_equal(figure(site, first, "cached"), 0);
    assert_int_equal(figure(site, second, "cached"), 3);
    assert_int_equal(figure(site, third, "cached"), 3);
    assert_int_equal(site_run_all(site, worker), 0);
}

static void what_waits_survives_a_restart_before_and_after_the_end_of_the_first(void **state)
{
    struct site *site = *state;
    keep_program(site);
    int64_t first = site_job(site, THREE);
    int64_t second = site_job(site, THREE);
    site_restart(site);
    assert_waits_for(site, second, first);
    say_program(site, 1);
    int64_t worker = site_worker(site, "desk", 4);
    assert_int_equal(site_run_all(site, worker), 3);
    site_restart(site); // Whether the results have been looked up or not.
    assert_ends(site, second, "succeeded");
    assert_int_equal(figure(site, second, "cached"), 3);
}

static void
a_job_whose_twin_is_cancelled_runs_the_rest_itself_and_the_others_wait_for_it(void **state)
{
    struct site *site = *state;
    keep_program(site);
    say_program(site, 3);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t first = site_job(site, THREE);
    int64_t second = site_job(site, THREE);
    int64_t third = site_job(site, THREE);
    int64_t lease = begin_tasks(site, worker);
    AUTO_FREE char *report = memory_format(
        "{\"setups\":[%s],\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1]]}]}",
        site->setups, (long long)lease, (long long)first);
    struct reply reply = site_poll(site, worker, report);
    reply_done(&reply);
    cancel(site, first);
    AUTO_FREE char *words = memory_format("it waits for job %lld", (long long)second);
    await_words(site, third, words);
    assert_free(site, second);
    assert_int_equal(figure(site, second, "cached"), 1);
    int64_t ran = 0;
    while (ran < 2) {
        ran += site_run_all(site, worker);
    }
    assert_ends(site, second, "succeeded");
    assert_ends(site, third, "succeeded");
    assert_int_equal(figure(site, third, "cached"), 3);
    assert_int_equal(site_run_all(site, worker), 0);
}

static void a_job_that_waits_can_be_cancelled_and_tried_again(void **state)
{
    struct site *site = *state;
    keep_program(site);
    int64_t first = site_job(site, THREE);
    int64_t second = site_job(site, THREE);
    cancel(site, second);
    assert_job(site, first, "waiting", 0);
    struct reply reply = site_retry(site, second);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_waits_for(site, second, first);
    cancel(site, second);
    cancel(site, first);
    reply = site_retry(site, second);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_free(site, second);
    // The first one does not wait for a later one: no two can wait for each other.
    reply = site_retry(site, first);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_free(site, first);
    site_restart(site);
    assert_free(site, first);
    assert_free(site, second);
}

static void failures_are_not_shared_and_those_that_wait_try_one_after_another(void **state)
{
    struct site *site = *state;
    keep_program(site);
    say_program(site, 3);
    site->exit_code = 1;
    int64_t jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = site_job(site, THREE);
    }
    int64_t worker = site_worker(site, "desk", 4);
    int64_t ran = 0;
    for (int i = 0; i < 3; i++) {
        // The one behind it may be free, and run, before this poll.
        await_free(site, jobs[i]);
        while (ran < (i + 1) * 3) {
            ran += site_run_all(site, worker);
        }
        assert_ends(site, jobs[i], "failed");
    }
    assert_int_equal(ran, 9);
}

static void nothing_waits_for_what_may_not_run(void **state)
{
    struct site *site = *state;
    int64_t other = site_job(site, "{\"command\": [\"q\"]}");
    AUTO_FREE char *after = memory_format(
        "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"after\": [%lld]}", (long long)other);
    int64_t follows = site_job(site, after);
    site->hold = (struct queue_hold){TEXT("data is being moved"), TEXT("wait")};
    int64_t held = site_job(site, THREE);
    site->hold = (struct queue_hold){0};
    int64_t job = site_job(site, THREE);
    assert_free(site, job);
    // Released, the held one does not wait for a later one; and a later one still has one to wait for.
    struct reply reply = site_release(site, held, &(struct prepare_destination){0});
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_free(site, held);
    int64_t last = site_job(site, THREE);
    assert_true(waits(site, last, "it waits for job"));
    assert_true(waits(site, follows, "it is to follow"));
}

static void nothing_waits_for_what_would_come_later_or_is_something_else(void **state)
{
    struct site *site = *state;
    static const char *const others[] = {
        "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"priority\": 5}",
        "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"cache\": \"off\"}",
        "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"cache\": \"refresh\"}",
        "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"memory_bytes\": 1048576}",
        "{\"command\": [\"p\", \"{index}\"], \"count\": 2}",
        "{\"command\": [\"p\", \"{index}\"], \"count\": 4}",
        "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"first_index\": 1}",
        "{\"command\": [\"q\", \"{index}\"], \"count\": 3}",
    };
    (void)site_job(site, THREE);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        int64_t job = site_job(site, others[i]);
        assert_free(site, job);
        cancel(site, job);
    }
    assert_waits_for(site, site_job(site, THREE), 1);
}

static void another_users_job_is_waited_for_once_it_has_begun(void **state)
{
    struct site *site = *state;
    int64_t first = site_job(site, THREE);
    site->owner = "bob";
    int64_t early = site_job(site, THREE);
    assert_free(site, early); // Whether alice's share lets hers begin soon is not bob's business.
    cancel(site, early);
    (void)begin_tasks(site, site_worker(site, "desk", 1));
    int64_t late = site_job(site, THREE);
    assert_waits_for(site, late, first);
    assert_true(waits(site, late, "of another user"));
}

static void a_job_at_another_place_is_not_waited_for(void **state)
{
    struct site *site = *state;
    (void)site_job(site, THREE);
    site->to.place = TEXT("sha256:"
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    int64_t there = site_job(site, THREE);
    assert_free(site, there);
    assert_waits_for(site, site_job(site, THREE), there);
}

static void streamed_jobs_wait_for_all_answers(void **state)
{
    struct site *site = *state;
    static const char STREAM[] = "{\"command\": [\"p\"], \"mode\": \"stream\", \"count\": 3}";
    int64_t first = site_job(site, STREAM);
    int64_t second = site_job(site, STREAM);
    assert_waits_for(site, second, first);
    cancel(site, first);
    await_free(site, second);
    assert_job(site, second, "waiting", 0);
}

static const char WITH_DATA[] = "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:two\"}]}";

// `touch`: the data is touched while the first one runs, and put back as it was.
static int64_t run_twins(struct site *site, bool touch)
{
    char digest[DIGEST_TEXT_SIZE];
    struct digest bytes = {{1}};
    site->catalog.content = 1;
    int64_t first = site_job(site, WITH_DATA);
    int64_t second = site_job(site, WITH_DATA);
    assert_waits_for(site, second, first);
    free(site->setups);
    site->setups =
        memory_format("{\"job\":%lld,\"executable\":\"/data/two/p\",\"executable_digest\":\"%s\"}",
                      (long long)first, digest_to_text(&bytes, digest));
    atomic_store(&site->catalog.state, touch ? 7 : 0);
    int64_t worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 1);
    await_free(site, second);
    return second;
}

static void results_of_untouched_data_are_taken(void **state)
{
    int64_t job = run_twins(*state, false);
    assert_int_equal(figure(*state, job, "cached"), 1);
}

static void results_of_data_that_was_touched_meanwhile_are_not(void **state)
{
    int64_t job = run_twins(*state, true);
    assert_job(*state, job, "waiting", 0);
}

static void nothing_waits_when_data_was_touched_between_two_submissions(void **state)
{
    struct site *site = *state;
    (void)site_job(site, WITH_DATA);
    atomic_store(&site->catalog.state, 7);
    assert_free(site, site_job(site, WITH_DATA));
}

static void the_rest_of_a_job_that_the_cache_knows_in_part_waits_too(void **state)
{
    struct site *site = *state;
    keep_program(site);
    say_program(site, 1);
    int64_t worker = site_worker(site, "desk", 4);
    (void)site_job(site, "{\"command\": [\"p\", \"{index}\"], \"count\": 1500}");
    int64_t ran = 0;
    while (ran < 1500) {
        ran += site_run_all(site, worker);
    }
    static const char MORE[] = "{\"command\": [\"p\", \"{index}\"], \"count\": 1600}";
    int64_t first = site_job(site, MORE);
    int64_t second = site_job(site, MORE); // Each takes two pieces from the cache.
    AUTO_FREE char *words = memory_format("it waits for job %lld", (long long)first);
    await_words(site, second, words);
    assert_int_equal(figure(site, second, "cached"), 1500);
    say_program(site, 2);
    for (ran = 0; ran < 100;) {
        ran += site_run_all(site, worker);
    }
    assert_ends(site, second, "succeeded");
    assert_int_equal(figure(site, second, "cached"), 1600);
    assert_int_equal(ran, 100);
}

static void many_of_the_same_run_once(void **state)
{
    enum { COUNT = 300 };
    struct site *site = *state;
    keep_program(site);
    say_program(site, 1);
    int64_t first = site_job(site, THREE);
    for (int i = 1; i < COUNT; i++) {
        assert_int_equal(site_job(site, THREE), first + i);
    }
    int64_t worker = site_worker(site, "desk", 4);
    assert_int_equal(site_run_all(site, worker), 3);
    for (int i = 1; i < COUNT; i++) {
        assert_ends(site, first + i, "succeeded");
    }
    assert_int_equal(figure(site, first + COUNT - 1, "cached"), 3);
    assert_int_equal(site_run_all(site, worker), 0);
}

static const char ANEW[] = "{\"command\": [\"p\", \"{index}\"], \"count\": 3, \"cache\": \"off\"}";

static int64_t job_of(struct site *site, const char *owner, const struct digest *origin)
{
    site->owner = owner;
    site->origin = origin;
    int64_t job = site_job(site, ANEW);
    site->owner = NULL;
    site->origin = NULL;
    return job;
}

static void one_submission_by_two_ways_runs_once_whatever_it_says_of_the_cache(void **state)
{
    struct site *site = *state;
    const struct digest key = {{1}};
    const struct digest other = {{2}};
    keep_program(site);
    say_program(site, 1);
    int64_t first = job_of(site, "alice@1", &key);
    int64_t second = job_of(site, "alice@2", &key);
    int64_t third = job_of(site, "alice@1", &other);
    int64_t fourth = site_job(site, ANEW);
    assert_waits_for(site, second, first);
    assert_true(waits(site, second, "under the same key"));
    assert_free(site, third);
    assert_free(site, fourth);
    cancel(site, third);
    cancel(site, fourth);
    site_restart(site);
    assert_waits_for(site, second, first);
    int64_t worker = site_worker(site, "desk", 4);
    int64_t ran = 0;
    while (ran < 3) {
        ran += site_run_all(site, worker);
    }
    assert_ends(site, second, "succeeded");
    assert_int_equal(figure(site, second, "cached"), 3);
    // By a third way, when all is over.
    assert_job(site, job_of(site, "alice@3", &key), "succeeded", 3);
    // Who does not know the key gets nothing of it.
    assert_job(site, job_of(site, "alice@3", &other), "waiting", 0);
    assert_job(site, site_job(site, THREE), "waiting", 0);
}

static void
of_one_submission_by_two_ways_what_the_first_did_not_do_is_done_by_the_second(void **state)
{
    struct site *site = *state;
    const struct digest key = {{1}};
    keep_program(site);
    say_program(site, 2);
    int64_t first = job_of(site, "alice@1", &key);
    int64_t second = job_of(site, "alice@2", &key);
    cancel(site, first);
    await_free(site, second);
    int64_t worker = site_worker(site, "desk", 4);
    int64_t ran = 0;
    while (ran < 3) {
        ran += site_run_all(site, worker);
    }
    assert_ends(site, second, "succeeded");
    assert_int_equal(figure(site, second, "cached"), 0);
    assert_job(site, job_of(site, "alice@1", &key), "succeeded", 3);
}

// A job that wants other workers than this one may wait for them for ever.
static void nothing_waits_for_what_may_have_no_workers(void **state)
{
    struct site *site = *state;
    keep_program(site);
    int64_t labelled = site_job(site, "{\"command\": [\"p\"], \"require\": [\"zone=mars\"]}");
    int64_t with_gpu = site_job(site, "{\"command\": [\"p\"], \"gpus\": 1}");
    assert_free(site, with_gpu);
    int64_t by_zone = site_job(site, "{\"command\": [\"p\"], \"require\": [\"zone\"]}");
    assert_free(site, by_zone); // zone=mars is more than zone.
    int64_t last = site_job(site, "{\"command\": [\"p\"], \"require\": [\"zone=mars\"]}");
    assert_waits_for(site, last, by_zone);
    int64_t with_gpus = site_job(site, "{\"command\": [\"p\"], \"gpus\": 2}");
    assert_waits_for(site, with_gpus, with_gpu);
    assert_free(site, labelled);
    int64_t of_group = site_job(site, "{\"command\": [\"q\"], \"group\": \"ocean\"}");
    int64_t own = site_job(site, "{\"command\": [\"q\"]}");
    assert_free(site, own);
    assert_waits_for(site, site_job(site, "{\"command\": [\"q\"], \"group\": \"ocean\"}"),
                     of_group);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(jobs_that_compute_the_same_run_once),
        TEST(what_waits_survives_a_restart_before_and_after_the_end_of_the_first),
        TEST(a_job_whose_twin_is_cancelled_runs_the_rest_itself_and_the_others_wait_for_it),
        TEST(a_job_that_waits_can_be_cancelled_and_tried_again),
        TEST(failures_are_not_shared_and_those_that_wait_try_one_after_another),
        TEST(nothing_waits_for_what_may_not_run),
        TEST(nothing_waits_for_what_would_come_later_or_is_something_else),
        TEST(another_users_job_is_waited_for_once_it_has_begun),
        TEST(a_job_at_another_place_is_not_waited_for),
        TEST(nothing_waits_for_what_may_have_no_workers),
        TEST(streamed_jobs_wait_for_all_answers),
        TEST(results_of_untouched_data_are_taken),
        TEST(results_of_data_that_was_touched_meanwhile_are_not),
        TEST(nothing_waits_when_data_was_touched_between_two_submissions),
        TEST(the_rest_of_a_job_that_the_cache_knows_in_part_waits_too),
        TEST(many_of_the_same_run_once),
        TEST(one_submission_by_two_ways_runs_once_whatever_it_says_of_the_cache),
        TEST(of_one_submission_by_two_ways_what_the_first_did_not_do_is_done_by_the_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
