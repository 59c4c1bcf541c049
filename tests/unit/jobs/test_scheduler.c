#include "site.h"

static void first_leases_have_one_task_a_slot(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 100));
    site_add_worker(&site, 1, 2);
    assert_int_equal(site_lease(&site, 1), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(site.leases[i].from, (int64_t)i);
        assert_int_equal(site.leases[i].to, (int64_t)i + 1);
    }
    assert_int_equal(site_lease(&site, 1), 0);
    assert_int_equal(site_figures(&site, 1).leased, 2);
    assert_int_equal(site_figures(&site, 1).waiting, 98);
    site_stop(&site);
}

static void short_tasks_come_in_leases_of_half_a_second(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1000000));
    site_add_worker(&site, 1, 2);
    assert_int_equal(site_lease(&site, 1), 2);
    struct lease first = site.leases[0];
    struct lease second = site.leases[1];
    site.now_us += 600;
    assert_int_equal(site_finish_all(&site, &first, 600), 1);
    assert_int_equal(site_finish_all(&site, &second, 600), 1);
    assert_int_equal(site_lease(&site, 1), 2);
    assert_in_range(site.leases[0].to - site.leases[0].from, 800, 850);
    site_stop(&site);
}

static void a_nearly_done_lease_gets_one_that_follows(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1000000));
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    struct lease first = site.leases[0];
    assert_int_equal(site_finish_all(&site, &first, 600), 1);
    assert_int_equal(site_lease(&site, 1), 1);
    struct lease running = site.leases[0];
    int64_t again_us = scheduler_lease_again_us(site.scheduler, 1, site.now_us);
    assert_in_range(again_us - site.now_us, 340000, 360000);
    site.now_us = again_us - 2;
    assert_int_equal(site_lease(&site, 1), 0);
    site.now_us = again_us;
    assert_int_equal(site_lease(&site, 1), 1);
    struct lease follower = site.leases[0];
    site.now_us += 10 * SECOND; // A straggler: still no more than one follows.
    assert_int_equal(site_lease(&site, 1), 0);
    assert_true(site_finish_all(&site, &running, 500000) > 800);
    assert_int_equal(site_lease(&site, 1), 0);
    assert_true(site_finish_all(&site, &follower, 500000) > 500);
    assert_int_equal(site_lease(&site, 1), 1);
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_leases_have_one_task_a_slot),
        cmocka_unit_test(short_tasks_come_in_leases_of_half_a_second),
        cmocka_unit_test(a_nearly_done_lease_gets_one_that_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
