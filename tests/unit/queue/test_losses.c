// Attempts that come to nothing, by cause, and tasks that are held with the evidence; across restarts of the site.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <string.h>

enum { PROCESS = 4711 };

// A worker takes what there is, the first lease of it `job`'s task 0, and its process dies.
static void lose_a_worker(struct site *site, const char *name, int64_t job)
{
    int64_t worker = site_worker_process(site, name, 1, PROCESS);
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    assert_int_equal(json_integer_value(json_array_get(lease, 1)), job);
    assert_int_equal(json_integer_value(json_array_get(lease, 2)), 0);
    reply_done(&reply);
    AUTO_FREE char *log =
        memory_format("{\"logs\":[[%lld,0,\"stderr\",0,\"b3V0IG9mIGx1Y2sK\"]]}", (long long)job);
    reply = site_poll(site, worker, log);
    reply_done(&reply);
    queue_worker_ended(site->queue, name, PROCESS, "killed by signal 9");
}

static void lose_three(struct site *site, int64_t job)
{
    lose_a_worker(site, "ash", job);
    lose_a_worker(site, "birch", job);
    lose_a_worker(site, "cedar", job);
}

static int64_t held_of(struct site *site, int64_t job)
{
    struct reply reply = site_show(site, job, 0);
    int64_t held = number_of(json_object_get(reply.document, "tasks"), "held");
    reply_done(&reply);
    return held;
}

static int64_t failures_of(struct site *site, int64_t job, const char *cause)
{
    struct reply reply = site_show(site, job, 0);
    int64_t count = number_of(json_object_get(reply.document, "failures"), cause);
    reply_done(&reply);
    return count;
}

static json_t *task_of(struct site *site, int64_t job, int64_t index)
{
    AUTO_BUFFER struct buffer record = {0};
    json_t *task = NULL;
    assert_int_equal(queue_show_task(site->queue, job, index, &record, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&record), &task, NULL), OK);
    return task;
}

static void a_task_that_three_workers_died_of_is_held_and_the_rest_goes_on(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 3}");
    lose_three(site, job);
    assert_job(site, job, "running", 0);
    assert_int_equal(held_of(site, job), 1);
    int64_t worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 2);
    assert_job(site, job, "held", 2);
    assert_int_equal(failures_of(site, job, "lost"), 3);
    assert_int_equal(failures_of(site, job, "fail"), 0);
    AUTO_JSON json_t *task = task_of(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(task, "state")), "held");
    assert_int_equal(number_of(json_object_get(task, "failures"), "lost"), 3);
    const json_t *attempts = json_object_get(task, "failed_attempts");
    assert_int_equal(json_array_size(attempts), 3);
    const json_t *last = json_array_get(attempts, 2);
    assert_string_equal(json_string_value(json_object_get(last, "worker")), "cedar");
    assert_string_equal(json_string_value(json_object_get(last, "outcome")), "lost");
    const char *message = json_string_value(json_object_get(last, "message"));
    assert_non_null(strstr(message, "its process 4711 ended: killed by signal 9"));
    assert_non_null(strstr(message, "had reported no task"));
    assert_non_null(strstr(message, "the last that it wrote: out of luck"));
}

static void who_waits_for_a_job_hears_that_it_is_held(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    lose_a_worker(site, "ash", job);
    lose_a_worker(site, "birch", job);
    lose_a_worker(site, "cedar", job);
    struct reply reply =
        site_show(site, job, INT64_C(60000000)); // Answered at once, or when it is so.
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), "held");
    const char *message = json_string_value(json_object_get(reply.document, "message"));
    assert_non_null(strstr(message, "1 task is held"));
    reply_done(&reply);
}

static void a_held_task_is_held_after_a_restart_and_released_by_hand(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 2}");
    lose_three(site, job);
    site_restart(site);
    int64_t worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 1);
    assert_job(site, job, "held", 1);
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, "1 of its tasks is held"));
    struct reply reply = site_retry_task(site, job, 1);
    assert_int_equal(reply.status, CONFLICT);
    reply_done(&reply);
    reply = site_retry_task(site, job, 0);
    assert_int_equal(reply.status, OK);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "held"), 0);
    reply_done(&reply);
    // Released, it counts anew, in this life of the site and the next.
    lose_a_worker(site, "ash", job);
    site_restart(site);
    lose_a_worker(site, "birch", job);
    assert_int_equal(held_of(site, job), 0);
    lose_a_worker(site, "cedar", job);
    assert_int_equal(held_of(site, job), 1);
    assert_int_equal(failures_of(site, job, "lost"), 6);
    reply = site_retry(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    reply = site_retry(site, job);
    assert_int_equal(reply.status, CONFLICT);
    reply_done(&reply);
    worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 1);
    assert_job(site, job, "succeeded", 2);
}

static void a_job_with_held_tasks_can_be_cancelled(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    lose_three(site, job);
    struct reply reply = site_cancel(site, job);
    assert_int_equal(reply.status, OK);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cancelled"), 1);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "held"), 0);
    reply_done(&reply);
    reply = site_retry_task(site, job, 0);
    assert_int_equal(reply.status, CONFLICT);
    reply_done(&reply);
    reply = site_retry(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    int64_t worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 1);
    assert_job(site, job, "succeeded", 1);
}

static void a_late_success_of_a_held_task_ends_its_job(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    lose_three(site, job);
    int64_t worker = site_worker(site, "ash", 1);
    AUTO_FREE char *late = memory_format(
        "{\"results\":[{\"lease\":1,\"job\":%lld,\"tasks\":[[0,0]]}]}", (long long)job);
    site_say(site, worker, late);
    assert_job(site, job, "succeeded", 1);
}

static void a_job_may_have_lost_tasks_fail(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(
        site, "{\"command\": [\"true\"], \"when_lost\": \"fail\", \"retries\": {\"lost\": 0}}");
    lose_a_worker(site, "ash", job);
    struct reply reply = site_show(site, job, INT64_C(60000000));
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), "failed");
    assert_int_equal(number_of(reply.document, "exit_code"), 125);
    assert_int_equal(number_of(json_object_get(reply.document, "failures"), "lost"), 1);
    reply_done(&reply);
}

// The worker takes the job's task 0, if it has it not, and reports it with the outcome.
static void end_with(struct site *site, int64_t worker, int64_t job, int outcome)
{
    struct reply reply = site_poll(site, worker, "{}");
    reply_done(&reply);
    AUTO_FREE char *report = memory_format(
        "{\"results\":[{\"lease\":1,\"job\":%lld,\"tasks\":[[0,%d,1]]}]}", (long long)job, outcome);
    site_say(site, worker, report);
}

static void causes_are_counted_apart_across_a_restart(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(
        site, "{\"command\": [\"true\"], \"retries\": {\"fail\": 1, \"limit\": 1, \"input\": 1}}");
    int64_t worker = site_worker(site, "desk", 1);
    end_with(site, worker, job, OUTCOME_EXITED);
    end_with(site, worker, job, OUTCOME_MEMORY);
    site_restart(site);
    worker = site_worker(site, "desk", 1);
    end_with(site, worker, job, OUTCOME_INPUT);
    assert_job(site, job, "running", 0);
    end_with(site, worker, job, OUTCOME_WALLTIME);
    struct reply reply = site_show(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), "failed");
    const json_t *failures = json_object_get(reply.document, "failures");
    assert_int_equal(number_of(failures, "fail"), 1);
    assert_int_equal(number_of(failures, "limit"), 2);
    assert_int_equal(number_of(failures, "input"), 1);
    assert_int_equal(number_of(failures, "lost"), 0);
    reply_done(&reply);
    AUTO_JSON json_t *task = task_of(site, job, 0);
    assert_int_equal(number_of(json_object_get(task, "failures"), "limit"), 2);
    assert_int_equal(json_array_size(json_object_get(task, "failed_attempts")), 3);
}

static void held_jobs_and_tasks_are_listed_as_such(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    lose_three(site, job);
    int64_t other = site_job(site, "{\"command\": [\"false\"], \"count\": 2}");
    int64_t worker = site_worker(site, "desk", 1);
    end_with(site, worker, other, OUTCOME_EXITED);
    static const char *const STATES[] = {"held", "running"};
    const int64_t expected[] = {job, other};
    for (int i = 0; i < 2; i++) {
        const struct queue_job_filter filter = {.state = text_of(STATES[i]), .limit = 1};
        AUTO_BUFFER struct buffer out = {0};
        AUTO_JSON json_t *list = NULL;
        assert_int_equal(queue_list_jobs(site->queue, &filter, &out, NULL), OK);
        assert_int_equal(json_parse(buffer_text(&out), &list, NULL), OK);
        const json_t *jobs = json_object_get(list, "jobs");
        assert_int_equal(json_array_size(jobs), 1);
        assert_int_equal(number_of(json_array_get(jobs, 0), "id"), expected[i]);
        assert_true(json_is_null(json_object_get(list, "next")));
    }
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *list = NULL;
    const struct queue_page page = {.state = TEXT("held"), .limit = 10};
    assert_int_equal(queue_list_tasks(site->queue, job, &page, &out, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&out), &list, NULL), OK);
    assert_int_equal(json_array_size(json_object_get(list, "tasks")), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_that_three_workers_died_of_is_held_and_the_rest_goes_on),
        TEST(who_waits_for_a_job_hears_that_it_is_held),
        TEST(a_held_task_is_held_after_a_restart_and_released_by_hand),
        TEST(a_job_with_held_tasks_can_be_cancelled),
        TEST(a_late_success_of_a_held_task_ends_its_job),
        TEST(a_job_may_have_lost_tasks_fail),
        TEST(causes_are_counted_apart_across_a_restart),
        TEST(held_jobs_and_tasks_are_listed_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
