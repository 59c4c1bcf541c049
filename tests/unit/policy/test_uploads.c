// What the workers of one principal may send before results name it.
#include "../cmocka_all.h"

#include "policy/uploads.h"

#include <string.h>

enum { LEASE = 5 };
static const int64_t MINUTE_US = 60000000;
static const int64_t MIB = INT64_C(1) << 20;
static const struct upload_job JOB = {.number = 17, .disk_bytes = INT64_C(10) << 20};
// Of one of its tasks: what it prints, what it leaves, and a little.
static const int64_t TASK = INT64_C(21) << 20;

static void without_a_lease_nothing_is_taken(void **state)
{
    (void)state;
    struct upload_account account = {0};
    struct error error = {0};
    assert_int_equal(upload_spend(&account, 1, 0, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "holds none"));
    assert_true(error.fix[0] != '\0');
    assert_true(upload_account_is_empty(&account));
}

static void a_lease_grants_what_its_tasks_may_leave(void **state)
{
    (void)state;
    struct upload_account account = {0};
    struct error error = {0};
    upload_lease_given(&account, &JOB, LEASE, 0, 2, 0);
    assert_int_equal(upload_spend(&account, 1, 2 * TASK, NULL), OK);
    assert_int_equal(upload_spend(&account, 0, 1, &error), QUOTA);
    assert_non_null(strstr(error.detail, "send 44040192 bytes"));
    assert_non_null(strstr(error.detail, "has sent 44040192 bytes"));
    assert_non_null(strstr(error.fix, "--disk"));
    upload_give_back(&account, 1, TASK, 0);
    assert_int_equal(upload_spend(&account, 1, TASK, NULL), OK);
    assert_int_equal(upload_spend(&account, 2 * UPLOAD_FILES_A_TASK, 0, NULL), QUOTA);
    upload_account_done(&account);
}

static void many_tasks_send_only_so_much_ahead_of_their_results(void **state)
{
    (void)state;
    struct upload_account account = {0};
    upload_lease_given(&account, &JOB, LEASE, 0, 1000000, 0);
    assert_int_equal(upload_spend(&account, 1, UPLOAD_LEASE_BYTES + 1, NULL), QUOTA);
    assert_int_equal(upload_spend(&account, 1, UPLOAD_LEASE_BYTES, NULL), OK);
    assert_int_equal(upload_spend(&account, 1, TASK, NULL), QUOTA);
    upload_tasks_reported(&account, JOB.number, LEASE, 1, TASK, 0);
    assert_int_equal(upload_spend(&account, 1, TASK + 1, NULL), QUOTA);
    assert_int_equal(upload_spend(&account, 1, TASK, NULL), OK);
    // At another site they all run at the same time.
    struct upload_job elsewhere = JOB;
    elsewhere.is_elsewhere = true;
    upload_lease_given(&account, &elsewhere, LEASE, 0, 1000000, 0);
    assert_int_equal(upload_spend(&account, 1, 900000 * TASK, NULL), OK);
    upload_account_done(&account);
}

static void only_results_of_the_leases_own_tasks_give_anything_back(void **state)
{
    (void)state;
    struct upload_account account = {0};
    upload_lease_given(&account, &JOB, LEASE, 0, 1, 0);
    assert_int_equal(upload_spend(&account, 1, TASK, NULL), OK);
    upload_tasks_reported(&account, JOB.number + 1, LEASE, 1, TASK, 0);
    upload_tasks_reported(&account, JOB.number, LEASE + 1, 1, TASK, 0);
    upload_tasks_reported(&account, JOB.number, LEASE, -1, 0, 0);
    upload_tasks_returned(&account, LEASE, -5);
    assert_int_equal(account.spent, TASK);
    assert_int_equal(account.granted, TASK);
    upload_tasks_reported(&account, JOB.number, LEASE, 7, TASK, 0);
    assert_int_equal(account.spent, 0);
    assert_int_equal(account.granted, 0);
    upload_lease_ended(&account, LEASE, 0);
    assert_int_equal(upload_spend(&account, 1, 0, NULL), CONFLICT);
    assert_true(upload_account_is_empty(&account));
    upload_account_done(&account);
}

static void a_worker_that_was_lost_may_still_send_for_a_while(void **state)
{
    (void)state;
    struct upload_account account = {0};
    upload_lease_given(&account, &JOB, LEASE, 0, 1, 0);
    upload_lease_ended(&account, LEASE, MINUTE_US);
    upload_account_expire(&account, MINUTE_US + UPLOAD_LATE_US - 1);
    assert_int_equal(upload_spend(&account, 1, TASK, NULL), OK);
    // Its result counts when it comes.
    upload_tasks_reported(&account, JOB.number, LEASE, 1, TASK, 0);
    assert_int_equal(account.spent, 0);
    upload_account_expire(&account, MINUTE_US + UPLOAD_LATE_US);
    assert_int_equal(upload_spend(&account, 1, 0, NULL), CONFLICT);
    assert_true(upload_account_is_empty(&account));
    upload_account_done(&account);
}

// Takes the lease, sends all that it may, and is gone.
static void send_and_leave(struct upload_account *account, int64_t lease, int64_t bytes,
                           int64_t now_us)
{
    const struct upload_job job = {.number = 18, .disk_bytes = bytes / 2};
    upload_lease_given(account, &job, lease, lease, 1, now_us);
    assert_int_equal(upload_spend(account, 1, bytes, NULL), OK);
    upload_lease_ended(account, lease, now_us);
    upload_account_expire(account, now_us + UPLOAD_LATE_US);
}

static void what_no_result_names_strays_and_ends_uploads_when_it_is_much(void **state)
{
    (void)state;
    struct upload_account account = {0};
    struct error error = {0};
    int64_t now_us = 0;
    for (int64_t sent = 0; sent <= UPLOAD_STRAY_BYTES; sent += UPLOAD_STRAY_BYTES / 4) {
        send_and_leave(&account, LEASE + now_us, UPLOAD_STRAY_BYTES / 4, now_us);
        now_us += DAY_SUM_HOUR_US;
        upload_account_expire(&account, now_us);
        assert_int_equal(day_sum_total(&account.strays), sent + UPLOAD_STRAY_BYTES / 4);
    }
    upload_lease_given(&account, &JOB, 1, 0, 1, now_us);
    assert_int_equal(upload_spend(&account, 1, 0, &error), QUOTA);
    assert_non_null(strstr(error.detail, "that no result has named"));
    assert_non_null(strstr(error.fix, "lode workers"));
    // They are forgotten as they came, each after a day.
    upload_account_expire(&account, DAY_SUM_US + DAY_SUM_HOUR_US);
    assert_int_equal(day_sum_total(&account.strays), 3 * (UPLOAD_STRAY_BYTES / 4));
    assert_int_equal(upload_spend(&account, 1, 0, NULL), OK);
    upload_account_expire(&account, now_us + DAY_SUM_US);
    assert_int_equal(day_sum_total(&account.strays), 0);
    upload_account_done(&account);
}

static void a_lease_that_is_given_back_grants_nothing(void **state)
{
    (void)state;
    struct upload_account account = {0};
    for (int64_t lease = 1; lease <= 100; lease++) {
        upload_lease_given(&account, &JOB, lease, 0, 1, MINUTE_US);
        assert_int_equal(upload_spend(&account, 1, TASK, NULL), OK);
        upload_tasks_returned(&account, lease, 1);
        upload_lease_ended(&account, lease, MINUTE_US);
        assert_int_equal(upload_spend(&account, 1, 0, NULL), CONFLICT);
        upload_account_expire(&account, MINUTE_US);
        assert_int_equal(day_sum_total(&account.strays), lease * TASK);
    }
    upload_account_done(&account);
}

static void checkpoints_may_be_sent_as_often_as_there_is_time_for(void **state)
{
    (void)state;
    struct upload_account account = {0};
    struct upload_job job = JOB;
    job.checkpoint_us = MINUTE_US;
    upload_lease_given(&account, &job, LEASE, 3, 1, 0);
    for (int64_t minute = 0; minute < 100; minute++) {
        assert_int_equal(upload_spend(&account, 1, 10 * MIB, NULL), OK);
        upload_checkpoint_taken(&account, job.number, 3, 10 * MIB, minute * MINUTE_US);
        assert_int_equal(account.spent, 0);
    }
    int sent = 0;
    while (upload_spend(&account, 1, 10 * MIB, NULL) == OK) {
        upload_checkpoint_taken(&account, job.number, 3, 10 * MIB, 99 * MINUTE_US);
        sent++;
    }
    assert_int_equal(sent, 1 + (20 + 21) / 10);
    // The last one may come when its lease was given back; once for each task.
    upload_lease_given(&account, &job, LEASE + 1, 3, 1, 99 * MINUTE_US);
    upload_tasks_returned(&account, LEASE + 1, 1);
    upload_lease_ended(&account, LEASE + 1, 99 * MINUTE_US);
    assert_int_equal(account.granted, (20 + 20 + 21) * MIB);
    upload_lease_given(&account, &job, LEASE + 2, 3, 1, 99 * MINUTE_US);
    upload_tasks_returned(&account, LEASE + 2, 1);
    upload_lease_ended(&account, LEASE + 2, 99 * MINUTE_US);
    assert_true(account.granted <= (20 + 20 + 21) * MIB);
    upload_account_done(&account);
}

static void what_a_taken_result_does_not_name_strays(void **state)
{
    (void)state;
    struct upload_account account = {0};
    const struct upload_job job = {.number = 18, .disk_bytes = UPLOAD_STRAY_BYTES / 8};
    int64_t task = 2 * job.disk_bytes + UPLOAD_LOG_BYTES;
    int64_t sent = 0;
    for (int64_t lease = 1; lease <= 4; lease++) {
        upload_lease_given(&account, &job, lease, lease, 1, 0);
        assert_int_equal(upload_spend(&account, 1, task, NULL), OK);
        upload_tasks_reported(&account, job.number, lease, 1, MIB, 0);
        upload_lease_ended(&account, lease, 0);
        sent += task - MIB;
        assert_int_equal(account.spent, 0);
        assert_int_equal(day_sum_total(&account.strays), sent);
    }
    upload_lease_given(&account, &JOB, LEASE, 0, 1, 0);
    assert_int_equal(upload_spend(&account, 1, 0, NULL), OK);
    upload_tasks_reported(&account, JOB.number, LEASE, 1, 0, 0);
    upload_lease_given(&account, &job, LEASE, 0, 1, 0);
    assert_int_equal(upload_spend(&account, 1, task, NULL), OK);
    upload_tasks_reported(&account, job.number, LEASE, 1, 0, 0);
    upload_lease_given(&account, &JOB, LEASE, 0, 1, 0);
    assert_int_equal(upload_spend(&account, 1, 0, NULL), QUOTA);
    upload_account_done(&account);
}

static void what_a_result_names_strays_no_more(void **state)
{
    (void)state;
    struct upload_account account = {0};
    upload_lease_given(&account, &JOB, LEASE, 0, 2, 0);
    assert_int_equal(upload_spend(&account, 2, 2 * MIB, NULL), OK);
    // Whose the other one is nobody knows until it is named, or comes to nothing.
    upload_tasks_reported(&account, JOB.number, LEASE, 1, MIB, 0);
    assert_int_equal(account.spent, 0);
    assert_int_equal(day_sum_total(&account.strays), MIB);
    upload_tasks_reported(&account, JOB.number, LEASE, 1, MIB, DAY_SUM_HOUR_US);
    assert_int_equal(day_sum_total(&account.strays), 0);
    upload_lease_given(&account, &JOB, LEASE, 0, 2, 0);
    assert_int_equal(upload_spend(&account, 1, MIB, NULL), OK);
    upload_tasks_reported(&account, JOB.number, LEASE, 1, 0, DAY_SUM_HOUR_US);
    upload_give_back(&account, 1, MIB, DAY_SUM_HOUR_US);
    assert_int_equal(day_sum_total(&account.strays), 0);
    assert_int_equal(account.spent, 0);
    upload_account_done(&account);
}

// A worker that does what a worker may do is never refused, and one that does not has never more here than its leases and strays allow.
static void no_honest_worker_is_refused_and_no_other_sends_more(void **state)
{
    (void)state;
    enum { TURNS = 20000, HELD = 8 };
    struct upload_account account = {0};
    int64_t lease = 0;
    int64_t held[HELD] = {0};
    uint64_t random = 7;
    for (int turn = 0; turn < TURNS; turn++) {
        int64_t now_us = turn * INT64_C(1000000);
        random = random * 6364136223846793005U + 1442695040888963407U;
        int64_t *slot = &held[(random >> 33) % HELD];
        upload_account_expire(&account, now_us);
        if (*slot == 0) {
            *slot = ++lease;
            upload_lease_given(&account, &JOB, *slot, lease, 1, now_us);
            assert_int_equal(upload_spend(&account, 1, TASK, NULL), OK);
        } else if ((random >> 40) % 50 == 0) {
            upload_lease_ended(&account, *slot, now_us); // It was lost with it.
            *slot = 0;
        } else {
            upload_tasks_reported(&account, JOB.number, *slot, 1, TASK, now_us);
            upload_lease_ended(&account, *slot, now_us);
            *slot = 0;
        }
        assert_true(account.spent <= account.granted);
    }
    assert_true(day_sum_total(&account.strays) < TURNS / 50 * TASK);
    upload_account_done(&account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_lease_nothing_is_taken),
        cmocka_unit_test(a_lease_grants_what_its_tasks_may_leave),
        cmocka_unit_test(many_tasks_send_only_so_much_ahead_of_their_results),
        cmocka_unit_test(only_results_of_the_leases_own_tasks_give_anything_back),
        cmocka_unit_test(a_worker_that_was_lost_may_still_send_for_a_while),
        cmocka_unit_test(what_no_result_names_strays_and_ends_uploads_when_it_is_much),
        cmocka_unit_test(a_lease_that_is_given_back_grants_nothing),
        cmocka_unit_test(checkpoints_may_be_sent_as_often_as_there_is_time_for),
        cmocka_unit_test(what_a_taken_result_does_not_name_strays),
        cmocka_unit_test(what_a_result_names_strays_no_more),
        cmocka_unit_test(no_honest_worker_is_refused_and_no_other_sends_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
