// Workers that leave: what they are still given, and what is said of what waits because of it.
#include "site.h"

// Tells the scheduler that tasks of the job take a second each.
static void know(struct site *site, int64_t job, int64_t from, int64_t to)
{
    const struct lease lease = {.job = job, .worker = 99, .from = from, .to = to};
    assert_int_equal(site_finish_all(site, &lease, (to - from) * SECOND), to - from);
}

static void no_task_is_begun_that_cannot_end_in_time(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 100));
    know(&site, 1, 0, 50);
    site_add_worker(&site, 1, 1);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + SECOND); // A task needs 1.5 s.
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 2 * SECOND);
    assert_int_equal(site_lease(&site, 1), 1);
    scheduler_return(site.scheduler, site.leases[0].id, 0, 100);
    site.now_us += SECOND; // The end comes nearer by itself,
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_set_worker_end(site.scheduler, 1, INT64_MAX); // and may be called off.
    assert_int_equal(site_lease(&site, 1), 1);
    site_stop(&site);
}

static void a_lease_holds_no_more_tasks_than_there_is_time_for(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 100000));
    const struct lease known = {.job = 1, .worker = 99, .from = 0, .to = 1000};
    assert_int_equal(site_finish_all(&site, &known, SECOND), 1000); // A millisecond each.
    site_add_worker(&site, 1, 1);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 300 * 1000);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].to - site.leases[0].from, 100);
    site_stop(&site);
}

static void a_shorter_job_is_taken_where_a_longer_one_is_not(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan lengthy = plan_of(1, 1, 10);
    struct job_plan brief = plan_of(2, 1, 10);
    lengthy.walltime_us = 3600 * (int64_t)SECOND;
    brief.walltime_us = 10 * SECOND;
    site_add(&site, lengthy);
    site_add(&site, brief);
    site_add_worker(&site, 1, 1);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 60 * SECOND);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 2);
    site_stop(&site);
}

static void an_unknown_job_is_tried_and_given_twice_as_long_the_next_time(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    site_add_worker(&site, 1, 1);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 59 * SECOND);
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 100 * SECOND);
    assert_int_equal(site_lease(&site, 1), 1);
    site.now_us += 100 * SECOND;
    scheduler_touch_worker(site.scheduler, 1, site.now_us);
    scheduler_return(site.scheduler, site.leases[0].id, 0, 1);
    scheduler_remove_worker(site.scheduler, 1, false, site.now_us, NULL);
    site_add_worker(&site, 2, 1);
    scheduler_set_worker_end(site.scheduler, 2, site.now_us + 199 * SECOND);
    assert_int_equal(site_lease(&site, 2), 0);
    scheduler_set_worker_end(site.scheduler, 2, site.now_us + 201 * SECOND);
    assert_int_equal(site_lease(&site, 2), 1);
    site_stop(&site);
}

static void a_job_with_checkpoints_is_begun_where_it_cannot_end(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.walltime_us = 3600 * (int64_t)SECOND;
    plan.checkpoint_us = 10 * SECOND;
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 29 * SECOND);
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_set_worker_end(site.scheduler, 1, site.now_us + 31 * SECOND);
    assert_int_equal(site_lease(&site, 1), 1);
    site_stop(&site);
}

static void tasks_with_checkpoints_are_leased_one_by_one(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 100000);
    plan.checkpoint_us = 10 * SECOND;
    site_add(&site, plan);
    const struct lease known = {.job = 1, .worker = 99, .from = 0, .to = 1000};
    assert_int_equal(site_finish_all(&site, &known, SECOND), 1000); // A millisecond each.
    site_add_worker(&site, 1, 1);
    assert_true(site_lease(&site, 1) >= 1);
    for (size_t i = 0; i < site.count; i++) {
        assert_int_equal(site.leases[i].to - site.leases[i].from, 1);
    }
    site_stop(&site);
}

static void what_a_leaving_worker_gives_back_is_not_its_fault(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    for (int64_t id = 1; id <= 5; id++) { // Three that were lost would have failed it.
        site_add_worker(&site, id, 1);
        scheduler_set_worker_end(site.scheduler, id, site.now_us + 1000 * SECOND);
        assert_int_equal(site_lease(&site, id), 1);
        scheduler_return(site.scheduler, site.leases[0].id, 0, 1);
        scheduler_remove_worker(site.scheduler, id, false, site.now_us, NULL);
    }
    assert_int_equal(site_figures(&site, 1).waiting, 1);
    site_stop(&site);
}

// Why a task of an hour, with checkpoints in such intervals (0: none), is not begun by worker 7, which stays for so long.
static void ask_why(int64_t checkpoint_us, int64_t stay_us, struct buffer *why,
                    struct buffer *change)
{
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.walltime_us = 3600 * (int64_t)SECOND;
    plan.checkpoint_us = checkpoint_us;
    site_add(&site, plan);
    site_add_worker(&site, 7, 1);
    scheduler_set_worker_end(site.scheduler, 7, site.now_us + stay_us);
    assert_int_equal(site_lease(&site, 7), 0);
    scheduler_why(site.scheduler, 1, -1, NULL, why, change);
    site_stop(&site);
}

static void it_says_who_leaves_too_soon_and_by_how_much(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    ask_why(0, 600 * (int64_t)SECOND, &why, &change);
    assert_string_equal(why.bytes, "worker 7 leaves in about 10 min; a task needs about 60 min, "
                                   "about 50 min more");
    assert_non_null(strstr(change.bytes, "add a worker that stays"));
    assert_non_null(strstr(change.bytes, "or with checkpoints, that it may be begun there"));
}

static void a_job_with_checkpoints_is_not_told_to_have_some(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    ask_why(20 * SECOND, 40 * SECOND, &why, &change);
    assert_string_equal(why.bytes, "worker 7 leaves in about 40 s; a task with checkpoints needs "
                                   "about 60 s, about 20 s more");
    assert_non_null(strstr(change.bytes, "or with checkpoints at shorter intervals, that it"));
}

// A worker with a lifetime says anew with each poll how long it stays: some microseconds more or less.
static void a_worker_that_says_its_end_again_is_still_emptied_for_a_job(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan big = plan_of(1, 1, 1);
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    big.need.cpu_millis = 2000;
    site_add_worker(&site, 7, 2);
    scheduler_set_worker_end(site.scheduler, 7, site.now_us + 9000 * (int64_t)SECOND);
    site_add(&site, plan_of(2, 1, 1000));
    assert_int_equal(site_lease(&site, 7), 2);
    struct lease first = site.leases[0];
    site_add(&site, big);
    for (int i = 0; i < 20 && site.count > 0; i++) { // Until nothing small is given any more.
        site.now_us += SECOND;
        (void)site_finish_all(&site, &first, 400 * SECOND);
        if (site_lease(&site, 7) > 0) {
            first = site.leases[0];
        }
    }
    assert_int_equal(site.count, 0);
    scheduler_set_worker_end(site.scheduler, 7, site.now_us + 9001 * (int64_t)SECOND);
    scheduler_why(site.scheduler, 1, -1, NULL, &why, &change);
    assert_non_null(strstr(why.bytes, "worker 7 is being emptied for it"));
    // One that is to be gone too soon makes way for another.
    scheduler_set_worker_end(site.scheduler, 7, site.now_us + SECOND);
    site_add_worker(&site, 8, 2);
    assert_int_equal(site_lease(&site, 8), 1);
    assert_int_equal(site.leases[0].job, 1);
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_task_is_begun_that_cannot_end_in_time),
        cmocka_unit_test(a_lease_holds_no_more_tasks_than_there_is_time_for),
        cmocka_unit_test(a_shorter_job_is_taken_where_a_longer_one_is_not),
        cmocka_unit_test(an_unknown_job_is_tried_and_given_twice_as_long_the_next_time),
        cmocka_unit_test(a_job_with_checkpoints_is_begun_where_it_cannot_end),
        cmocka_unit_test(tasks_with_checkpoints_are_leased_one_by_one),
        cmocka_unit_test(what_a_leaving_worker_gives_back_is_not_its_fault),
        cmocka_unit_test(it_says_who_leaves_too_soon_and_by_how_much),
        cmocka_unit_test(a_job_with_checkpoints_is_not_told_to_have_some),
        cmocka_unit_test(a_worker_that_says_its_end_again_is_still_emptied_for_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
