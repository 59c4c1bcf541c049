// Whom the results of workers of all classes are for: who is answered from them, who waits for them, and what goes on from them.
#include "../cmocka_all.h"
#include "runner_jobs.h"

#include "base/memory.h"
#include "os/clock.h"

#include <sched.h>

#define WAIT_US INT64_C(60000000)

// --- who is answered from it

struct reuse {
    struct runner runner;
    const char *document; // Of alice's job, which it computes.
    int expected;         // Who is answered from it, a bit each: see ASKING.
};

static const struct {
    const char *owner;
    const char *document;
} ASKING[] = {
    {"alice", ONE}, {"alice", FOR_PHYSICS}, {"bob", FOR_PHYSICS}, {"bob", ONE}, {"bob", SPARE}};
enum { ASKING_COUNT = sizeof ASKING / sizeof ASKING[0] };

// Whom what that worker computed is for, as job 1 of a site, and again after a restart.
static void check_reuse(const struct reuse *reuse)
{
    void *state = NULL;
    assert_int_equal(site_setup(&state), 0);
    struct site *site = state;
    keep_program(site);
    assert_int_equal(submit_as(site, "alice", reuse->document), 1);
    int64_t worker = come(site, "runner:1", &reuse->runner);
    assert_int_equal(site_run_all(site, worker), 1);
    assert_job(site, 1, "succeeded", 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ASKING_COUNT; i++) {
            int64_t job = submit_as(site, ASKING[i].owner, ASKING[i].document);
            struct reply reply = site_show(site, job, 0);
            bool is_cached = number_of(json_object_get(reply.document, "tasks"), "cached") == 1;
            reply_done(&reply);
            if (is_cached != ((reuse->expected >> i & 1) != 0)) {
                fail_msg("%s: asked by %d", runner_class_name(reuse->runner.kind), i);
            }
            reply = site_cancel(site, job);
            reply_done(&reply);
        }
        site_restart(site);
    }
    assert_int_equal(site_teardown(&state), 0);
}

static void results_answer_those_that_they_are_for_and_nobody_else(void **state)
{
    (void)state;
    static const struct reuse REUSE[] = {
        {{.kind = RUNNER_SITE}, ONE, 0x1f},
        {{.kind = RUNNER_GROUP, .groups = "physics"}, FOR_PHYSICS, 1 << 1 | 1 << 2},
        {{.kind = RUNNER_USER, .user = "alice"}, ONE, 1 << 0 | 1 << 1},
        {{.kind = RUNNER_SESSION, .user = "alice", .since_us = 1}, ONE, 1 << 0 | 1 << 1},
        {{.kind = RUNNER_JOB, .user = "alice", .job = 1}, ONE, 1 << 0 | 1 << 1},
        {{.kind = RUNNER_JOB_TOKEN, .user = "alice", .job = 1}, ONE, 0},
        {{.kind = RUNNER_SPARE}, SPARE, 1 << 4},
    };
    assert_int_equal(sizeof REUSE / sizeof REUSE[0], RUNNER_CLASS_COUNT);
    for (int i = 0; i < RUNNER_CLASS_COUNT; i++) {
        assert_int_equal(REUSE[i].runner.kind, i);
        check_reuse(&REUSE[i]);
    }
}

// Many results that a job may not have do not hide one that it may.
static void results_for_others_hide_none_for_everyone(void **state)
{
    struct site *site = *state;
    keep_program(site);
    assert_int_equal(submit_as(site, "alice", ONE), 1);
    int64_t worker = come(site, "workers", &NOBODYS);
    assert_int_equal(site_run_all(site, worker), 1);
    site_restart(site);
    for (int i = 0; i < 10; i++) {
        (void)submit_as(site, "alice", FRESH_SPARE);
    }
    worker = come(site, "runner:1", &SPARES);
    assert_int_equal(site_run_all(site, worker), 10);
    int64_t job = submit_as(site, "bob", ONE);
    assert_job(site, job, "succeeded", 1);
}

static void a_record_says_whom_the_result_is_for(void **state)
{
    struct site *site = *state;
    keep_program(site);
    assert_int_equal(submit_as(site, "alice", ONE), 1);
    int64_t worker = come(site, "runner:1", &ALICES);
    assert_int_equal(site_run_all(site, worker), 1);
    int64_t again = submit_as(site, "alice", ONE);
    for (int64_t job = 1; job <= again; job++) {
        AUTO_BUFFER struct buffer out = {0};
        AUTO_JSON json_t *record = NULL;
        assert_int_equal(queue_show_task(site->queue, job, 0, &out, NULL), OK);
        assert_int_equal(json_parse(buffer_text(&out), &record, NULL), OK);
        assert_string_equal(text_in(record, "results_for"), "user:alice");
    }
}

// --- what another site says

// Reports the link's one lease as computed there by such a worker.
static void report_from_there(struct site *site, int64_t link, const char *kind)
{
    struct reply reply = site_poll(site, link, "{}");
    const json_t *given = json_array_get(json_object_get(reply.document, "leases"), 0);
    AUTO_FREE char *body =
        memory_format("{\"setups\":[%s],\"results\":[{\"lease\":%lld,\"job\":1,\"tasks\":"
                      "[[0,0,0,1,1,1,1,null,null,null,\"\",1,\"%s\"]]}]}",
                      site->setups, (long long)json_integer_value(json_array_get(given, 0)), kind);
    reply_done(&reply);
    site_say(site, link, body);
}

static bool is_answered(struct site *site, const char *owner)
{
    int64_t job = submit_as(site, owner, ONE);
    struct reply reply = site_show(site, job, 0);
    bool is_cached = number_of(json_object_get(reply.document, "tasks"), "cached") == 1;
    reply_done(&reply);
    reply = site_cancel(site, job);
    reply_done(&reply);
    return is_cached;
}

static void check_from_there(const char *kind, const char *results_for, bool is_for_alice,
                             bool is_for_bob)
{
    static const char PLACE[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    void *state = NULL;
    assert_int_equal(site_setup(&state), 0);
    struct site *site = state;
    keep_program(site);
    site->to.place = TEXT(PLACE);
    assert_int_equal(submit_as(site, "alice", ONE), 1);
    site->to.place = TEXT_NONE;
    act_as(site, "workers", &NOBODYS);
    report_from_there(site, site_place_worker(site, PLACE), kind);
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *record = NULL;
    assert_int_equal(queue_show_task(site->queue, 1, 0, &out, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&out), &record, NULL), OK);
    assert_string_equal(text_in(record, "results_for"), results_for);
    assert_int_equal(is_answered(site, "alice"), is_for_alice);
    assert_int_equal(is_answered(site, "bob"), is_for_bob);
    assert_int_equal(site_teardown(&state), 0);
}

static void what_was_computed_elsewhere_is_for_those_that_it_is_for_there(void **state)
{
    (void)state;
    check_from_there("site", "site", true, true);
    check_from_there("group", "user:alice", true, false);
    check_from_there("user", "user:alice", true, false);
    check_from_there("job-token", "job:1", false, false);
    check_from_there("spare", "job:1", false, false);
    check_from_there("of-later", "job:1", false, false);
}

// --- twins

static bool waits_for_another(struct site *site, int64_t job)
{
    AUTO_FREE char *why = site_why(site, job);
    return strstr(why, "computes the same") || strstr(why, "computed the same");
}

static void await_free(struct site *site, int64_t job)
{
    int64_t deadline_us = clock_steady_us() + WAIT_US;
    while (waits_for_another(site, job)) {
        if (clock_steady_us() > deadline_us) {
            AUTO_FREE char *why = site_why(site, job);
            fail_msg("%s", why);
        }
        (void)sched_yield();
    }
}

static void a_job_does_not_wait_for_what_it_may_not_reuse(void **state)
{
    struct site *site = *state;
    int64_t first = submit_as(site, "alice", ONE);
    int64_t second = submit_as(site, "alice", ONE);
    assert_true(waits_for_another(site, second));
    const struct runner runner = {.kind = RUNNER_JOB_TOKEN, .user = "alice", .job = first};
    int64_t worker = come(site, "runner:1", &runner);
    assert_true(waits_for_another(site, second)); // Who comes may not get it.
    lease(site, worker, 1);
    await_free(site, second);
    // Nor does one that comes later.
    int64_t third = submit_as(site, "alice", ONE);
    AUTO_FREE char *words = memory_format("it waits for job %lld", (long long)second);
    AUTO_FREE char *why = site_why(site, third);
    assert_non_null(strstr(why, words));
}

static void a_job_does_not_wait_for_one_that_its_own_runner_may_not_run(void **state)
{
    struct site *site = *state;
    (void)submit_as(site, "alice", ONE);
    int64_t second = submit_as(site, "alice", ONE);
    assert_true(waits_for_another(site, second));
    const struct runner runner = {.kind = RUNNER_JOB, .user = "alice", .job = second};
    int64_t worker = come(site, "runner:1", &runner);
    await_free(site, second);
    lease(site, worker, 1);
    const struct runner session = {
        .kind = RUNNER_SESSION, .user = "alice", .since_us = clock_real_us()};
    (void)come(site, "runner:2", &session);
    int64_t third = submit_as(site, "alice", ONE);
    assert_false(waits_for_another(site, third));
}

// --- checkpoints

static void what_began_on_a_spare_computer_is_for_spare_jobs(void **state)
{
    struct site *site = *state;
    static const char LONG[] =
        "{\"command\": [\"p\"], \"spare\": true, \"checkpoint\": {\"files\": "
        "[\"state\"]}}";
    keep_program(site);
    long long job = (long long)submit_as(site, "alice", LONG);
    int64_t spare = come(site, "runner:1", &SPARES);
    lease(site, spare, 1);
    store_state(site);
    AUTO_FREE char *body = memory_format(
        "{\"checkpoints\":[{\"job\":%lld,\"index\":0,\"attempt\":1,\"files\":" STATE "}]}", job);
    site_say(site, spare, body);
    queue_drop_workers(site->queue, TEXT("runner:1"));
    site_restart(site);
    int64_t worker = come(site, "workers", &NOBODYS);
    assert_int_equal(site_run_all(site, worker), 1);
    static const char ASKED[] = "{\"command\": [\"p\"], \"checkpoint\": {\"files\": [\"state\"]}}";
    assert_job(site, submit_as(site, "bob", ASKED), "waiting", 0);
    assert_job(site, submit_as(site, "bob", LONG), "succeeded", 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_answer_those_that_they_are_for_and_nobody_else),
        TEST(results_for_others_hide_none_for_everyone),
        TEST(a_record_says_whom_the_result_is_for),
        cmocka_unit_test(what_was_computed_elsewhere_is_for_those_that_it_is_for_there),
        TEST(a_job_does_not_wait_for_what_it_may_not_reuse),
        TEST(a_job_does_not_wait_for_one_that_its_own_runner_may_not_run),
        TEST(what_began_on_a_spare_computer_is_for_spare_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
