#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "records/migrations.h"
#include "store/store.h"

#include <stdio.h>

#define BRIEF_US                                                                                   \
    INT64_C(1000000) // After which a worker with leases is lost where a test waits for that.

static void a_job_is_leased_reported_and_done(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 2);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 5}");
    assert_job(site, job, "waiting", 0);
    assert_int_equal(site_run_all(site, worker), 5);
    struct reply reply = site_show(site, job, 1000000);
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), "succeeded");
    assert_int_equal(number_of(reply.document, "exit_code"), 0);
    reply_done(&reply);
}

static void a_waiting_poll_hears_of_a_new_job_at_once(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    struct reply reply = site_poll(site, worker, "{\"wait_seconds\": 10}");
    const json_t *described = json_array_get(json_object_get(reply.document, "jobs"), 0);
    assert_int_equal(number_of(described, "job"), job);
    assert_int_equal(json_array_size(json_object_get(described, "command")), 1);
    reply_done(&reply);
}

static void assert_command(struct site *site, const char *document, const char *expected)
{
    int64_t job = site_job(site, document);
    struct reply reply = site_show(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(reply.document, "command")), expected);
    reply_done(&reply);
}

static void a_command_is_shown_in_one_line_of_eighty_characters(void **state)
{
    struct site *site = *state;
    assert_command(site, "{\"command\": [\"sh\", \"-c\", \"a\\nb\"]}", "sh -c a b");
    const char *forty = "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä"; // Characters.
    AUTO_FREE char *fits =
        memory_format("{\"command\": [\"%s\", \"%s\"]}", forty, forty + strlen("ä"));
    AUTO_FREE char *whole = memory_format("%s %s", forty, forty + strlen("ä"));
    assert_command(site, fits, whole);
    AUTO_FREE char *long_one = memory_format("{\"command\": [\"%s%s\", \"x\"]}", forty, forty);
    AUTO_FREE char *cut =
        memory_format("%s%.*s…", forty, (int)(strlen(forty) - strlen("ä")), forty);
    assert_command(site, long_one, cut);
}

static void the_same_key_gives_the_first_job_again(void **state)
{
    struct site *site = *state;
    struct reply first = site_submit(site, "{\"command\": [\"true\"]}", "k1");
    struct reply again = site_submit(site, "{\"command\": [\"true\"]}", "k1");
    struct reply other = site_submit(site, "{\"command\": [\"true\"]}", "k2");
    assert_int_equal(number_of(first.document, "id"), number_of(again.document, "id"));
    assert_int_not_equal(number_of(first.document, "id"), number_of(other.document, "id"));
    reply_done(&first);
    reply_done(&again);
    reply_done(&other);
}

static void a_million_tasks_are_submitted_at_once(void **state)
{
    struct site *site = *state;
    int64_t begin_us = clock_steady_us();
    int64_t job = site_job(site, "{\"command\": [\"true\", \"{index}\"], \"count\": 1000000}");
    print_message("submitted in %lld us\n", (long long)(clock_steady_us() - begin_us));
    struct reply reply = site_show(site, job, 0);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "waiting"), 1000000);
    reply_done(&reply);
}

static void what_a_worker_reported_is_not_run_again_after_a_restart(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 3}");
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    long long number = json_integer_value(json_array_get(lease, 0));
    AUTO_FREE char *body =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", number,
                      (long long)job);
    reply_done(&reply);
    site_say(site, worker, body);
    site_restart(site);
    assert_job(site, job, "running", 1);
    reply = site_poll(site, worker, "{}");
    assert_int_equal(reply.status, NOT_FOUND);
    worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 2);
    assert_job(site, job, "succeeded", 3);
}

static void a_lease_that_outlived_the_site_goes_on(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    long long number = json_integer_value(json_array_get(lease, 0));
    reply_done(&reply);
    site_restart(site);
    worker = site_worker(site, "desk", 1);
    AUTO_FREE char *held = memory_format("{\"leases\":[[%lld,%lld,0,1]]}", number, (long long)job);
    reply = site_poll(site, worker, held);
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 0);
    assert_int_equal(json_array_size(json_object_get(reply.document, "cancel")), 0);
    reply_done(&reply);
    AUTO_FREE char *result =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", number,
                      (long long)job);
    reply = site_poll(site, worker, result);
    reply_done(&reply);
    assert_job(site, job, "succeeded", 1);
}

static void a_failed_task_is_tried_again_and_then_by_hand(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"false\"], \"retries\": 1}");
    site->exit_code = 3;
    assert_int_equal(site_run_all(site, worker), 2);
    struct reply shown = site_show(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(shown.document, "state")), "failed");
    assert_int_equal(number_of(shown.document, "exit_code"), 3);
    assert_string_equal(json_string_value(json_object_get(shown.document, "message")),
                        "exit status 3");
    reply_done(&shown);
    struct reply retried = site_retry(site, job);
    assert_int_equal(retried.status, OK);
    reply_done(&retried);
    site->exit_code = 0;
    assert_int_equal(site_run_all(site, worker), 1);
    assert_job(site, job, "succeeded", 1);
    AUTO_BUFFER struct buffer record = {0};
    assert_int_equal(queue_show_task(site->queue, job, 0, &record, NULL), OK);
    AUTO_JSON json_t *task = NULL;
    assert_int_equal(json_parse(buffer_text(&record), &task, NULL), OK);
    assert_int_equal(number_of(task, "attempts"), 3);
    assert_int_equal(json_array_size(json_object_get(task, "failed_attempts")), 2);
}

static void each_change_is_witnessed_once(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    struct reply first = site_submit(site, "{\"command\": [\"true\"]}", "key");
    struct reply again = site_submit(site, "{\"command\": [\"true\"]}", "key");
    int64_t job = number_of(first.document, "id");
    struct reply cancelled = site_cancel(site, job);
    struct reply cancelled_again = site_cancel(site, job);
    struct reply retried = site_retry(site, job);
    struct reply refused = site_retry(site, job);
    assert_int_equal(cancelled_again.status, OK);
    assert_int_equal(refused.status, CONFLICT);
    assert_int_equal(site->witnessed_count, 4);
    const int64_t expected[] = {worker, job, job, job};
    assert_memory_equal(site->witnessed, expected, sizeof expected);
    reply_done(&first);
    reply_done(&again);
    reply_done(&cancelled);
    reply_done(&cancelled_again);
    reply_done(&retried);
}

static void a_change_that_cannot_be_witnessed_does_not_happen(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    site->refuses_to_witness = true;
    struct reply submitted = site_submit(site, "{\"command\": [\"true\"]}", NULL);
    struct reply cancelled = site_cancel(site, job);
    assert_int_equal(submitted.status, UNAVAILABLE);
    assert_int_equal(cancelled.status, UNAVAILABLE);
    assert_job(site, job, "waiting", 0);
    assert_int_equal(site_show(site, job + 1, 0).status, NOT_FOUND);
    assert_int_equal(site_run_all(site, worker), 1);
    assert_job(site, job, "succeeded", 1);
}

static void a_bad_report_changes_nothing(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 2}");
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    long long number = json_integer_value(json_array_get(lease, 0));
    reply_done(&reply);
    // The first of the two is good, and the scheduler has taken it when the second is refused.
    AUTO_FREE char *bad =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0],[7,0]]}]}",
                      number, (long long)job);
    reply = site_poll(site, worker, bad);
    assert_int_equal(reply.status, INVALID);
    assert_job(site, job, "waiting", 0);
    AUTO_FREE char *good = memory_format("{\"leases\":[[%lld,%lld,0,1]]}", number, (long long)job);
    reply = site_poll(site, worker, good);
    assert_int_equal(reply.status, OK);
    assert_int_equal(json_array_size(json_object_get(reply.document, "cancel")), 0);
    reply_done(&reply);
    AUTO_FREE char *report = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0]]}]}", number, (long long)job);
    site_say(site, worker, report);
    assert_job(site, job, "running", 1);
}

static void the_tasks_of_a_lost_worker_go_to_another(void **state)
{
    struct site *site = *state;
    site->lease_timeout_us = BRIEF_US;
    site_restart(site);
    int64_t job = site_job(site, "{\"command\": [\"true\"]}");
    int64_t lost = site_worker(site, "lost", 1);
    struct reply reply = site_poll(site, lost, "{}");
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 1);
    reply_done(&reply);
    int64_t worker = site_worker(site, "desk", 1);
    int64_t leased = 0;
    while (leased == 0) {
        reply = site_poll(site, worker, "{\"wait_seconds\": 0.2}");
        assert_int_equal(reply.status, OK);
        const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
        leased = json_integer_value(json_array_get(lease, 1));
        reply_done(&reply);
    }
    assert_int_equal(leased, job);
    assert_int_equal(site_poll(site, lost, "{}").status, NOT_FOUND);
}

static void a_database_of_an_older_version_is_taken_over(void **state)
{
    const struct site *site = *state;
    for (size_t count = 0; count < QUEUE_MIGRATION_COUNT; count++) {
        AUTO_FREE char *path = memory_format("%s/old-%zu.db", site->folder, count);
        struct store_options options = {
            .url = path, .migrations = QUEUE_MIGRATIONS, .migration_count = count};
        struct store *store = NULL;
        struct queue *queue = NULL;
        assert_int_equal(store_open(&options, &store, NULL), OK);
        store_close(store);
        options.migration_count = QUEUE_MIGRATION_COUNT;
        assert_int_equal(store_open(&options, &store, NULL), OK);
        struct queue_options with = {.store = store, .blobs = site->blobs};
        assert_int_equal(queue_open(&with, &queue, NULL), OK);
        queue_stop(queue);
        store_close(store);
        queue_free(queue);
    }
}

// Where the next page of a list starts.
static int64_t next_of(const json_t *page)
{
    int64_t next = 0;
    assert_true(text_to_int64(json_text(json_object_get(page, "next")), &next));
    return next;
}

// The document of the tasks in this state; a new reference.
static json_t *tasks_in(struct site *site, int64_t job, const char *state, int64_t from)
{
    AUTO_BUFFER struct buffer text = {0};
    struct queue_page page = {.state = text_of(state), .from = from, .limit = 2};
    json_t *document = NULL;
    assert_int_equal(queue_list_tasks(site->queue, job, &page, &text, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&text), &document, NULL), OK);
    return document;
}

static void running_tasks_are_listed_with_their_worker(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 1000}");
    int64_t worker = site_worker(site, "desk", 3);
    AUTO_JSON json_t *before = tasks_in(site, job, "running", 0);
    assert_int_equal(json_array_size(json_object_get(before, "tasks")), 0);
    struct reply reply = site_poll(site, worker, "{}");
    reply_done(&reply);
    AUTO_JSON json_t *first = tasks_in(site, job, "running", 0);
    const json_t *tasks = json_object_get(first, "tasks");
    assert_int_equal(json_array_size(tasks), 2);
    const json_t *task = json_array_get(tasks, 0);
    assert_int_equal(number_of(task, "index"), 0);
    assert_string_equal(json_string_value(json_object_get(task, "worker")), "desk");
    int64_t next = next_of(first);
    assert_true(next > number_of(json_array_get(tasks, 1), "index"));
    AUTO_JSON json_t *second = tasks_in(site, job, "running", next);
    tasks = json_object_get(second, "tasks");
    assert_int_equal(json_array_size(tasks), 1);
    assert_int_equal(number_of(json_array_get(tasks, 0), "index"), next);
    assert_true(json_is_null(json_object_get(second, "next")));
}

static void workers_are_listed_page_by_page(void **state)
{
    struct site *site = *state;
    for (int i = 0; i < 3; i++) {
        (void)site_worker(site, "desk", 1);
    }
    struct reply first = site_list_workers(site, 0, 2);
    assert_int_equal(json_array_size(json_object_get(first.document, "workers")), 2);
    int64_t next = next_of(first.document);
    struct reply second = site_list_workers(site, next, 2);
    const json_t *rest = json_object_get(second.document, "workers");
    assert_int_equal(json_array_size(rest), 1);
    assert_int_equal(number_of(json_array_get(rest, 0), "id"), 3);
    assert_true(json_is_null(json_object_get(second.document, "next")));
    reply_done(&first);
    reply_done(&second);
}

// With a lease that does not run out within the test.
static int64_t lease_to_a_process(struct site *site, int process, int64_t *job)
{
    site->lease_timeout_us = INT64_C(600000000);
    site->gone_timeout_us = 1000;
    site_restart(site);
    *job = site_job(site, "{\"command\": [\"true\"]}");
    int64_t worker = site_worker_process(site, "desk", 1, process);
    struct reply reply = site_poll(site, worker, "{}");
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 1);
    reply_done(&reply);
    return worker;
}

static void a_worker_whose_process_ended_is_lost_at_once(void **state)
{
    struct site *site = *state;
    int64_t job = 0;
    int64_t worker = lease_to_a_process(site, 4711, &job);
    int64_t other = site_worker_process(site, "other", 1, 4711);
    int64_t successor = site_worker_process(site, "desk", 1, 4712);
    queue_worker_ended(site->queue, "desk", 4711, "killed by signal 9");
    assert_int_equal(site_poll(site, worker, "{}").status, NOT_FOUND);
    struct reply heard = site_poll(site, other, "{\"leaving\": true}");
    assert_int_equal(heard.status, OK);
    reply_done(&heard);
    assert_int_equal(site_run_all(site, successor), 1);
    assert_job(site, job, "succeeded", 1);
}

static void a_worker_that_leaves_its_poll_and_stays_away_is_lost(void **state)
{
    struct site *site = *state;
    int64_t job = 0;
    int64_t worker = lease_to_a_process(site, 1, &job);
    site_leave_poll(site, worker);
    int64_t successor = site_worker(site, "other", 1);
    while (site_run_all(site, successor) == 0) {
        struct reply reply = site_poll(site, successor, "{\"wait_seconds\": 0.05}");
        reply_done(&reply);
    }
    assert_int_equal(site_poll(site, worker, "{}").status, NOT_FOUND);
    assert_job(site, job, "succeeded", 1);
}

static void a_worker_that_leaves_in_order_may_close_its_poll(void **state)
{
    struct site *site = *state;
    int64_t job = 0;
    int64_t worker = lease_to_a_process(site, 1, &job);
    struct reply reply = site_poll(site, worker, "{\"leaving\": true}");
    reply_done(&reply);
    site_leave_poll(site, worker);
    site_leave_poll(site, worker); // The tick has passed once more.
    site_say(site, worker, "{}");
}

static void a_cancelled_job_cancels_those_behind_it(void **state)
{
    struct site *site = *state;
    int64_t first = site_job(site, "{\"command\": [\"true\"]}");
    AUTO_FREE char *second_text =
        memory_format("{\"command\": [\"true\"], \"after\": [%lld]}", (long long)first);
    int64_t second = site_job(site, second_text);
    AUTO_FREE char *third_text =
        memory_format("{\"command\": [\"true\"], \"after\": [%lld]}", (long long)second);
    int64_t third = site_job(site, third_text);
    AUTO_FREE char *why = site_why(site, second);
    assert_non_null(strstr(why, "which has not ended"));
    struct reply reply = site_cancel(site, first);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_job(site, third, "cancelled", 0);
    reply = site_show(site, third, 0);
    assert_non_null(
        strstr(json_string_value(json_object_get(reply.document, "message")), "was cancelled"));
    reply_done(&reply);
}

static void a_job_runs_after_the_one_that_it_follows(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t first = site_job(site, "{\"command\": [\"true\"]}");
    AUTO_FREE char *text =
        memory_format("{\"command\": [\"true\"], \"after\": [%lld]}", (long long)first);
    int64_t second = site_job(site, text);
    assert_int_equal(site_run_all(site, worker), 2);
    assert_job(site, second, "succeeded", 1);
}

static void a_dataset_in_use_is_not_to_be_forgotten(void **state)
{
    struct site *site = *state;
    assert_int_equal(queue_check_unused(site->queue, "t:two", NULL), OK);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"data\": [{\"id\": \"t:two\"}]}");
    struct error error = {0};
    assert_int_equal(queue_check_unused(site->queue, "t:two", &error), CONFLICT);
    assert_non_null(strstr(error.detail, "job 1"));
    struct reply reply = site_cancel(site, job);
    reply_done(&reply);
    assert_int_equal(queue_check_unused(site->queue, "t:two", NULL), OK);
}

static void changed_data_is_refused_with_the_way_out(void **state)
{
    struct site *site = *state;
    site->catalog.is_changed = true;
    struct reply reply =
        site_submit(site, "{\"command\": [\"true\"], \"data\": [{\"id\": \"t:two\"}]}", NULL);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.fix, "lode data verify"));
    reply = site_submit(site, "{\"command\": [\"true\"], \"over\": \"t:none\"}", NULL);
    assert_int_equal(reply.status, NOT_FOUND);
}

static void a_job_over_files_has_a_task_for_each(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"cat\", \"{file}\"], \"over\": \"t:two\"}");
    int64_t worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 2);
    AUTO_BUFFER struct buffer record = {0};
    AUTO_JSON json_t *task = NULL;
    assert_int_equal(queue_show_task(site->queue, job, 1, &record, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&record), &task, NULL), OK);
    const json_t *argument = json_array_get(json_object_get(task, "command"), 1);
    assert_true(text_ends_with(json_text(argument), TEXT("/b")));
    assert_true(text_starts_with(json_text(argument), TEXT("/data/")));
}

static void other_data_is_another_identity(void **state)
{
    struct site *site = *state;
    const char *text = "{\"command\": [\"true\"], \"data\": [{\"id\": \"t:two\"}]}";
    struct reply first = site_submit(site, text, NULL);
    struct reply same = site_submit(site, text, NULL);
    site->catalog.content = 7;
    struct reply other = site_submit(site, text, NULL);
    const char *identity = json_string_value(json_object_get(first.document, "identity"));
    assert_string_equal(identity, json_string_value(json_object_get(same.document, "identity")));
    assert_string_not_equal(identity,
                            json_string_value(json_object_get(other.document, "identity")));
    reply_done(&first);
    reply_done(&same);
    reply_done(&other);
}

static void a_result_that_names_an_unknown_blob_is_refused(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    AUTO_FREE char *body = memory_format(
        "{\"results\":[{\"lease\":1,\"job\":1,\"tasks\":[[0,0,0,0,0,0,0,{\"blob\":\"sha256:%064d\","
        "\"size\":20000}]]}]}",
        0);
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, CONFLICT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_leased_reported_and_done),
        TEST(a_waiting_poll_hears_of_a_new_job_at_once),
        TEST(a_command_is_shown_in_one_line_of_eighty_characters),
        TEST(the_same_key_gives_the_first_job_again),
        TEST(a_million_tasks_are_submitted_at_once),
        TEST(what_a_worker_reported_is_not_run_again_after_a_restart),
        TEST(a_lease_that_outlived_the_site_goes_on),
        TEST(a_failed_task_is_tried_again_and_then_by_hand),
        TEST(each_change_is_witnessed_once),
        TEST(a_change_that_cannot_be_witnessed_does_not_happen),
        TEST(a_bad_report_changes_nothing),
        TEST(the_tasks_of_a_lost_worker_go_to_another),
        TEST(a_database_of_an_older_version_is_taken_over),
        TEST(running_tasks_are_listed_with_their_worker),
        TEST(workers_are_listed_page_by_page),
        TEST(a_worker_whose_process_ended_is_lost_at_once),
        TEST(a_worker_that_leaves_its_poll_and_stays_away_is_lost),
        TEST(a_worker_that_leaves_in_order_may_close_its_poll),
        TEST(a_cancelled_job_cancels_those_behind_it),
        TEST(a_job_runs_after_the_one_that_it_follows),
        TEST(a_dataset_in_use_is_not_to_be_forgotten),
        TEST(changed_data_is_refused_with_the_way_out),
        TEST(a_job_over_files_has_a_task_for_each),
        TEST(other_data_is_another_identity),
        TEST(a_result_that_names_an_unknown_blob_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
