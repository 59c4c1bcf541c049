// Leases and reports when connections break: what is said twice, or was never heard.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "store/store.h"

#include <semaphore.h>

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

static void what_is_reported_twice_leaves_the_rest_of_the_lease_in_the_books(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"cat\"], \"mode\": \"stream\", \"count\": 8}");
    long long number = 0;
    assert_int_equal(take_lease(site, worker, &number), 4);
    site_say(site, worker, "{\"leaving\": true}");
    // The answers to the first reports are lost, so the worker sends them again.
    AUTO_FREE char *report =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", number,
                      (long long)job);
    for (int i = 0; i < 4; i++) {
        site_say(site, worker, report);
    }
    AUTO_FREE char *rest = memory_format("{\"returned\":[[%lld,1,4]]}", number);
    site_say(site, worker, rest);
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

// Leases of an earlier life of the site are of a job of which this life has told the worker nothing.
static void a_cancellation_reaches_what_ran_before_the_site_was_started_again(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"sleep\", \"100000\"]}");
    long long number = 0;
    (void)take_lease(site, site_worker(site, "desk", 1), &number);
    site_restart(site);
    int64_t worker = site_worker(site, "desk", 1);
    AUTO_FREE char *held = memory_format("{\"leases\":[[%lld,%lld,0,1]]}", number, (long long)job);
    struct reply reply = site_poll(site, worker, held);
    assert_int_equal(json_array_size(json_object_get(reply.document, "cancel")), 0);
    reply_done(&reply);
    reply = site_cancel(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    for (int i = 0; i < 2; i++) { // The first answer is lost on its way.
        reply = site_poll(site, worker, held);
        const json_t *cancel = json_object_get(reply.document, "cancel");
        assert_int_equal(json_array_size(cancel), 1);
        assert_int_equal(json_integer_value(json_array_get(cancel, 0)), number);
        reply_done(&reply);
    }
}

static int64_t live_bytes(struct site *site, int64_t job, int64_t index)
{
    struct queue_output output = {.fd = -1};
    (void)queue_read_output(site->queue, job, index, false, 0, &output, NULL);
    int64_t length = (int64_t)output.bytes.length;
    buffer_done(&output.bytes);
    return length;
}

static void live_output_comes_from_the_worker_that_has_the_task(void **state)
{
    struct site *site = *state;
    long long number = 0;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t other = site_worker(site, "rack", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    (void)take_lease(site, worker, &number);
    AUTO_FREE char *log =
        memory_format("{\"logs\":[[%lld,0,\"stdout\",0,\"b2s=\"]]}", (long long)job);
    site_say(site, other, log);
    assert_int_equal(live_bytes(site, job, 0), 0);
    site_say(site, worker, log);
    assert_int_equal(live_bytes(site, job, 0), 2);
}

static void live_output_of_many_tasks_stays_within_a_bound(void **state)
{
    enum { TASKS = 100, ENCODED = 1 << 20 }; // Three bytes in four characters.
    struct site *site = *state;
    int64_t worker = site_worker(site, "rack", TASKS);
    int64_t job =
        site_job(site, "{\"command\": [\"true\"], \"count\": 100, \"memory_bytes\": 1048576}");
    AUTO_FREE char *printed = memory_new(ENCODED + 1, 1);
    memset(printed, 'A', ENCODED);
    site_say(site, worker, "{}");
    for (int i = 0; i < TASKS; i++) {
        AUTO_FREE char *log =
            memory_format("{\"logs\":[[%lld,%d,\"stdout\",0,\"%s\"]]}", (long long)job, i, printed);
        site_say(site, worker, log);
    }
    int64_t total = 0;
    for (int i = 0; i < TASKS; i++) {
        int64_t kept = live_bytes(site, job, i);
        assert_in_range(kept, 16 << 10, 1 << 20);
        total += kept;
    }
    assert_in_range(total, 60 << 20, 66 << 20);
}

// A write that keeps the writer busy until it is told to go on, so that what comes meanwhile is one batch.
struct gate {
    sem_t is_entered;
    sem_t may_go_on;
};

static enum status wait_at_gate(struct sql *sql, void *context, struct error *error)
{
    struct gate *gate = context;
    (void)sql;
    (void)error;
    (void)sem_post(&gate->is_entered);
    (void)sem_wait(&gate->may_go_on);
    return OK;
}

static void a_bad_report_behind_a_good_one_of_the_same_job_changes_nothing(void **state)
{
    struct site *site = *state;
    struct gate gate;
    long long number = 0;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"cat\"], \"mode\": \"stream\", \"count\": 2}");
    (void)take_lease(site, worker, &number);
    AUTO_FREE char *good =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", number,
                      (long long)job);
    // Ends the job, and then names a task that an unfinished job behind it does not have.
    int64_t next = site_job(site, "{\"command\": [\"true\"]}");
    AUTO_FREE char *bad =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[1,0,0]]},"
                      "{\"lease\":%lld,\"job\":%lld,\"tasks\":[[7,0,0]]}]}",
                      number, (long long)job, number, (long long)next);
    assert_int_equal(sem_init(&gate.is_entered, 0, 0), 0);
    assert_int_equal(sem_init(&gate.may_go_on, 0, 0), 0);
    store_write(site->store, wait_at_gate, NULL, &gate);
    assert_int_equal(sem_wait(&gate.is_entered), 0);
    struct polling *first = site_poll_begin(site, worker, good);
    struct polling *second = site_poll_begin(site, worker, bad);
    assert_int_equal(sem_post(&gate.may_go_on), 0);
    struct reply reply = site_poll_end(first);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    reply = site_poll_end(second);
    assert_int_equal(reply.status, INVALID);
    reply_done(&reply);
    assert_job(site, job, "running", 1);
    assert_int_equal(site_run_all(site, worker), 2);
    assert_job(site, job, "succeeded", 2);
    (void)sem_destroy(&gate.is_entered);
    (void)sem_destroy(&gate.may_go_on);
}

// An answer that told of a job was lost: the worker registers again, as nothing else makes the site tell everything again.
static void a_worker_that_registers_again_keeps_its_leases(void **state)
{
    struct site *site = *state;
    int64_t before = site_worker_process(site, "desk", 1, 4711);
    int64_t job = site_job(site, "{\"command\": [\"sleep\", \"100000\"]}");
    long long number = 0;
    (void)take_lease(site, before, &number);
    (void)site_worker(site, "rack", 1); // Would take what is free.
    int64_t again = site_worker_process(site, "desk", 1, 4711);
    AUTO_FREE char *said = memory_format("{\"leases\":[[%lld,%lld,0,1]]}", number, (long long)job);
    struct reply reply = site_poll(site, again, said);
    assert_int_equal(reply.status, OK);
    assert_int_equal(json_array_size(json_object_get(reply.document, "cancel")), 0);
    reply_done(&reply);
    // The registration before this one is over, and nobody lost the task.
    reply = site_poll(site, before, "{}");
    assert_int_equal(reply.status, NOT_FOUND);
    reply_done(&reply);
    AUTO_FREE char *report =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", number,
                      (long long)job);
    site_say(site, again, report);
    AUTO_BUFFER struct buffer record = {0};
    assert_int_equal(queue_show_task(site->queue, job, 0, &record, NULL), OK);
    assert_non_null(strstr(record.bytes, "\"failed_attempts\":[]"));
    assert_job(site, job, "succeeded", 1);
}

static void expect_drop(struct site *site, int64_t worker, const char *body, int64_t job)
{
    struct reply reply = site_poll(site, worker, body);
    const json_t *drops = json_object_get(reply.document, "drop_jobs");
    assert_int_equal(json_array_size(drops), job != 0 ? 1 : 0);
    if (job != 0) {
        assert_int_equal(json_integer_value(json_array_get(drops, 0)), job);
    }
    reply_done(&reply);
}

static void what_a_worker_still_holds_of_an_ended_job_is_dropped_again(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    AUTO_FREE char *holds = memory_format("{\"jobs\":[%lld],\"wait_seconds\":20}", (long long)job);
    assert_int_equal(site_run_all(site, worker), 1);
    expect_drop(site, worker, "{\"wait_seconds\":20}", job); // That answer is lost,
    expect_drop(site, worker, holds, job);                   // and this one, too.
    expect_drop(site, worker, holds, job);
    // Once it holds nothing, it is told nothing; nor is what it has to do dropped.
    int64_t next = site_job(site, "{\"command\": [\"false\"], \"count\": 2}");
    AUTO_FREE char *works = memory_format("{\"jobs\":[%lld]}", (long long)next);
    expect_drop(site, worker, "{\"jobs\":[]}", 0);
    (void)site_job(site, "{\"command\": [\"sleep\"]}");
    expect_drop(site, worker, works, 0);
}

static void poll_with_numbers(struct site *site, int64_t worker, int64_t from)
{
    AUTO_BUFFER struct buffer body = {0};
    buffer_append_string(&body, "{\"jobs\":[");
    for (int64_t i = 0; i < POLL_JOBS_MAX; i++) {
        buffer_printf(&body, "%s%lld", i > 0 ? "," : "", (long long)(from + 2 * i));
    }
    buffer_append_string(&body, "]}");
    buffer_append_byte(&body, '\0');
    site_say(site, worker, body.bytes);
}

// What it invents does not gather here: the rest is said once it says it again.
static void so_many_jobs_are_dropped_at_once(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    poll_with_numbers(site, worker, 1000);
    poll_with_numbers(site, worker, 1000 + 2 * POLL_JOBS_MAX);
    struct reply reply = site_poll(site, worker, "{\"wait_seconds\":20}");
    assert_int_equal(json_array_size(json_object_get(reply.document, "drop_jobs")), POLL_JOBS_MAX);
    reply_done(&reply);
}

// What it does not speak of never arrived: it goes to others, also what another process of that name has.
static void what_a_worker_that_registers_again_does_not_have_waits_again(void **state)
{
    struct site *site = *state;
    int64_t before = site_worker_process(site, "desk", 1, 4711);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 2}");
    long long number = 0;
    assert_int_equal(take_lease(site, before, &number), 1);
    int64_t other = site_worker_process(site, "desk", 1, 4712);
    struct reply reply = site_poll(site, other, "{\"leases\":[]}");
    assert_int_equal(reply.status, OK);
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 1);
    reply_done(&reply);
    site_say(site, before, "{}");
    int64_t again = site_worker_process(site, "desk", 1, 4711);
    reply = site_poll(site, again, "{\"leases\":[]}");
    assert_int_equal(reply.status, OK);
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    assert_int_equal(json_integer_value(json_array_get(lease, 1)), job);
    assert_int_equal(json_integer_value(json_array_get(lease, 2)), 0);
    reply_done(&reply);
}

static void waiting_polls_are_answered_when_they_are_released(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t begun_us = clock_steady_us();
    struct polling *polling = site_poll_begin(site, worker, "{\"wait_seconds\": 20}");
    queue_release_polls(site->queue);
    struct reply reply = site_poll_end(polling);
    assert_int_equal(reply.status, OK);
    assert_true(clock_steady_us() - begun_us < INT64_C(19000000)); // Before its time was over.
    reply_done(&reply);
}

static void what_waits_at_a_worker_does_not_count_as_running(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"cat\"], \"mode\": \"stream\", \"count\": 8}");
    long long number = 0;
    assert_int_equal(take_lease(site, worker, &number), 4);
    struct reply reply = site_show(site, job, 0);
    const json_t *tasks = json_object_get(reply.document, "tasks");
    assert_int_equal(number_of(tasks, "running"), 1);
    assert_int_equal(number_of(tasks, "waiting"), 7);
    reply_done(&reply);
    AUTO_JSON json_t *status = json_object();
    assert_int_equal(queue_describe(site->queue, status, NULL), OK);
    assert_int_equal(number_of(json_object_get(status, "tasks"), "running"), 1);
    assert_int_equal(number_of(json_object_get(status, "tasks"), "waiting"), 7);
    reply = site_list_workers(site, 0, 10);
    const json_t *workers = json_object_get(reply.document, "workers");
    assert_int_equal(number_of(json_array_get(workers, 0), "running"), 1);
    reply_done(&reply);
}

// A killed site has forgotten when the job began; what its task came to says it.
// The worker reports the only task, and when it began; that is when the job did.
static void report_start(struct site *site, int64_t worker, long long lease, int64_t job,
                         int64_t began_us)
{
    char text[CALENDAR_TEXT_SIZE];
    AUTO_FREE char *body = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,%lld,1000,0,0]]}]}", lease,
        (long long)job, (long long)began_us);
    site_say(site, worker, body);
    struct reply reply = site_show(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(reply.document, "started_at")),
                        calendar_format(began_us, text));
    reply_done(&reply);
}

static void a_job_began_when_its_first_task_did(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    int64_t worker = site_worker(site, "desk", 1);
    int64_t began_us =
        clock_real_us(); // The site takes the lease for the beginning, which is later.
    long long lease = 0;
    (void)take_lease(site, worker, &lease);
    report_start(site, worker, lease, job, began_us);
}

// The time at which its worker came back is not when it began; that is not said until it is known.
static void when_a_job_began_that_outlived_its_site_is_said_with_its_first_result(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    int64_t began_us = clock_real_us();
    long long lease = 0;
    (void)take_lease(site, site_worker(site, "desk", 1), &lease);
    site_restart(site);
    int64_t worker = site_worker(site, "desk", 1);
    AUTO_FREE char *held = memory_format("{\"leases\":[[%lld,%lld,0,1]]}", lease, (long long)job);
    site_say(site, worker, held);
    struct reply reply = site_show(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), "running");
    assert_true(json_is_null(json_object_get(reply.document, "started_at")));
    reply_done(&reply);
    report_start(site, worker, lease, job, began_us);
}

// A job that came from an earlier life may be run by a worker that has not come back yet.
static void what_is_missing_is_not_final_while_workers_come_back(void **state)
{
    struct site *site = *state;
    int64_t old = site_job(site, "{\"command\": [\"true\"], \"require\": [\"zone=far\"]}");
    AUTO_FREE char *before = site_why(site, old);
    assert_non_null(strstr(before, "no worker"));
    site_restart(site);
    (void)site_worker(site, "desk", 1);
    AUTO_FREE char *after = site_why(site, old);
    assert_non_null(strstr(after, "the site was started a moment ago"));
    int64_t job = site_job(site, "{\"command\": [\"false\"], \"require\": [\"zone=far\"]}");
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, "no worker"));
    assert_null(strstr(why, "started a moment ago"));
}

// Whom the site does not trust any more has no leases, and its tasks are not to blame however often that happens.
static void dropped_workers_give_their_tasks_to_others_without_blame(void **state)
{
    struct site *site = *state;
    site->lease_timeout_us = INT64_C(600000000);
    site_restart(site);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    for (int round = 0; round < 5; round++) {
        int64_t worker = site_worker(site, "desk", 1);
        struct reply reply = site_poll(site, worker, "{}");
        assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 1);
        reply_done(&reply);
        queue_drop_workers(site->queue, TEXT("somebody else"));
        site_say(site, worker, "{}");
        struct polling *waiting = site_poll_begin(site, worker, "{\"wait_seconds\": 60}");
        queue_drop_workers(site->queue, TEXT("workers"));
        reply = site_poll_end(waiting); // It is told at once.
        reply_done(&reply);
        assert_int_equal(site_poll(site, worker, "{}").status, NOT_FOUND);
    }
    assert_int_equal(site_run_all(site, site_worker(site, "other", 1)), 1);
    assert_job(site, job, "succeeded", 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_reported_twice_leaves_the_rest_of_the_lease_in_the_books),
        TEST(a_job_began_when_its_first_task_did),
        TEST(when_a_job_began_that_outlived_its_site_is_said_with_its_first_result),
        TEST(what_is_missing_is_not_final_while_workers_come_back),
        TEST(a_cancellation_that_was_not_heard_is_said_again),
        TEST(a_cancellation_reaches_what_ran_before_the_site_was_started_again),
        TEST(a_worker_that_registers_again_keeps_its_leases),
        TEST(what_a_worker_still_holds_of_an_ended_job_is_dropped_again),
        TEST(so_many_jobs_are_dropped_at_once),
        TEST(what_a_worker_that_registers_again_does_not_have_waits_again),
        TEST(waiting_polls_are_answered_when_they_are_released),
        TEST(what_waits_at_a_worker_does_not_count_as_running),
        TEST(live_output_comes_from_the_worker_that_has_the_task),
        TEST(live_output_of_many_tasks_stays_within_a_bound),
        TEST(a_bad_report_behind_a_good_one_of_the_same_job_changes_nothing),
        TEST(dropped_workers_give_their_tasks_to_others_without_blame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
