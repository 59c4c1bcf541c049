// Workers that fall silent: those with leases are missed soon, the others later.
#include "site.h"

static int64_t expired(const struct site *site)
{
    return scheduler_expired_worker(site->scheduler, site->now_us);
}

static void a_worker_with_leases_is_missed_after_five_seconds(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 10));
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    site.now_us += 5 * SECOND - 1;
    assert_int_equal(expired(&site), 0);
    site.now_us += 1;
    assert_int_equal(expired(&site), 1);
    scheduler_touch_worker(site.scheduler, 1, site.now_us);
    assert_int_equal(expired(&site), 0);
    site_stop(&site);
}

static void an_idle_worker_is_given_more_time(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add_worker(&site, 1, 1);
    site.now_us += 30 * SECOND - 1;
    assert_int_equal(expired(&site), 0);
    site.now_us += 1;
    assert_int_equal(expired(&site), 1);
    site_stop(&site);
}

static void the_time_begins_with_the_first_lease(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    site.now_us += 20 * SECOND; // It waits for something to do, and need not say so.
    site_add(&site, plan_of(1, 1, 1));
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(expired(&site), 0);
    site.now_us += 5 * SECOND;
    assert_int_equal(expired(&site), 1);
    scheduler_touch_worker(site.scheduler, 1, site.now_us);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_SUCCEEDED), TASK_COMMIT);
    site.now_us += 5 * SECOND; // It is idle again; the other one has been silent for 30 s.
    assert_int_equal(expired(&site), 2);
    scheduler_remove_worker(site.scheduler, 2, false, site.now_us, NULL);
    assert_int_equal(expired(&site), 0);
    site.now_us += 25 * SECOND;
    assert_int_equal(expired(&site), 1);
    site_stop(&site);
}

static void a_worker_of_another_place_loses_nothing_and_may_be_silent(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 10);
    plan.place = 1;
    site_add(&site, plan);
    site_add_worker_at(&site, 1, 1, 8);
    assert_int_equal(site_lease(&site, 1), 1);
    site.now_us += 29 * SECOND;
    assert_int_equal(expired(&site), 0);
    site.now_us += SECOND;
    assert_int_equal(expired(&site), 1);
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_with_leases_is_missed_after_five_seconds),
        cmocka_unit_test(an_idle_worker_is_given_more_time),
        cmocka_unit_test(the_time_begins_with_the_first_lease),
        cmocka_unit_test(a_worker_of_another_place_loses_nothing_and_may_be_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
