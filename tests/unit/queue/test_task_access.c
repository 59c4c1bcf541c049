// Tokens of tasks: good while a worker holds their lease.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "queue/task_access.h"

static const char API_JOB[] = "{\"command\": [\"sleep\", \"1\"], \"network\": true, \"api\": true, "
                              "\"disk_bytes\": 1000}";

struct held {
    int64_t worker;
    long long lease;
    int64_t job;
    char *token;
};

static struct held take(struct site *site)
{
    struct held held = {.worker = site_worker(site, "desk", 1), .job = site_job(site, API_JOB)};
    struct reply reply = site_poll(site, held.worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    assert_int_equal(json_array_size(lease), 5);
    held.lease = json_integer_value(json_array_get(lease, 0));
    held.job = json_integer_value(json_array_get(lease, 1)); // Perhaps an earlier one's.
    held.token = text_copy(json_text(json_array_get(lease, 4)));
    reply_done(&reply);
    return held;
}

static bool is_good(struct site *site, const char *token)
{
    struct task_access access = {0};
    struct error error = {0};
    enum status status = task_access_find(site->queue, text_of(token), &access, &error);
    assert_true(status == OK || status == DENIED);
    assert_null(strstr(error.detail, token));
    return status == OK;
}

static void a_token_says_its_lease_and_ends_with_it(void **state)
{
    struct site *site = *state;
    struct held held = take(site);
    struct task_access access = {0};
    assert_int_equal(task_access_find(site->queue, text_of(held.token), &access, NULL), OK);
    assert_int_equal(access.job, held.job);
    assert_int_equal(access.lease, held.lease);
    AUTO_FREE char *report =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}",
                      held.lease, (long long)held.job);
    struct reply reply = site_poll(site, held.worker, report);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_false(is_good(site, held.token));
    assert_int_equal(task_access_spend(site->queue, &access, 1, 1, NULL), DENIED);
    free(held.token);
}

static void a_token_ends_when_its_worker_is_lost_or_its_job_cancelled(void **state)
{
    struct site *site = *state;
    struct held lost = take(site);
    assert_true(is_good(site, lost.token));
    queue_drop_workers(site->queue, TEXT("workers"));
    struct reply reply = site_poll(site, lost.worker, "{}");
    assert_int_equal(reply.status, NOT_FOUND);
    reply_done(&reply);
    assert_false(is_good(site, lost.token));
    free(lost.token);
    struct held held = take(site);
    reply = site_cancel(site, held.job);
    reply_done(&reply);
    assert_false(is_good(site, held.token));
    free(held.token);
}

static void a_token_outlives_a_restart_once_its_worker_says_that_it_holds_the_lease(void **state)
{
    struct site *site = *state;
    struct held held = take(site);
    site_restart(site);
    assert_false(is_good(site, held.token));
    int64_t worker = site_worker(site, "desk", 1);
    AUTO_FREE char *said =
        memory_format("{\"leases\":[[%lld,%lld,0,1]]}", held.lease, (long long)held.job);
    struct reply reply = site_poll(site, worker, said);
    reply_done(&reply);
    assert_true(is_good(site, held.token));
    free(held.token);
}

static void what_is_no_token_or_was_changed_is_refused(void **state)
{
    struct site *site = *state;
    struct held held = take(site);
    static const char *const NONE[] = {"lode_task_", "lode_task_1.1.0.1.", "lode_task_1.1.0.1",
                                       "lode_task_-1.1.0.1.00", "lode_task_1..0.1.00"};
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++) {
        assert_false(is_good(site, NONE[i]));
    }
    for (size_t i = strlen("lode_task_"); i < strlen(held.token); i++) {
        AUTO_FREE char *changed = memory_copy_string(held.token);
        changed[i] = changed[i] == '1' ? '2' : '1';
        assert_false(is_good(site, changed));
        changed[i] = '\0';
        assert_false(is_good(site, changed));
    }
    assert_true(is_good(site, held.token));
    assert_false(task_token_is_one(TEXT("lode_task_0123456789abcdef0123456789abcdef01234567")));
    free(held.token);
}

static void what_tasks_send_has_a_limit(void **state)
{
    struct site *site = *state;
    struct held held = take(site);
    struct task_access access = {0};
    assert_int_equal(task_access_find(site->queue, text_of(held.token), &access, NULL), OK);
    assert_int_equal(task_access_spend(site->queue, &access, 1, 1000, NULL), OK);
    assert_int_equal(task_access_spend(site->queue, &access, 0, 1, NULL), QUOTA);
    assert_int_equal(task_access_spend(site->queue, &access, TASK_BLOBS_MAX - 1, 0, NULL), OK);
    assert_int_equal(task_access_spend(site->queue, &access, 1, 0, NULL), QUOTA);
    free(held.token);
}

static void leases_of_other_jobs_have_no_token(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    (void)site_job(site, "{\"command\": [\"sleep\", \"1\"], \"network\": true, "
                         "\"environment\": {\"api\": \"true\"}}");
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    assert_int_equal(json_array_size(lease), 4);
    reply_done(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_says_its_lease_and_ends_with_it, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(a_token_ends_when_its_worker_is_lost_or_its_job_cancelled,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(
            a_token_outlives_a_restart_once_its_worker_says_that_it_holds_the_lease, site_setup,
            site_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_token_or_was_changed_is_refused, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(what_tasks_send_has_a_limit, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(leases_of_other_jobs_have_no_token, site_setup,
                                        site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
