#include "site.h"

static struct job_plan plan_at(int64_t place, int64_t id, int64_t group, int64_t count)
{
    struct job_plan plan = plan_of(id, group, count);
    plan.place = place;
    return plan;
}

static void workers_get_jobs_of_their_place_only(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_at(0, 1, 1, 1));
    site_add(&site, plan_at(5, 2, 1, 1));
    site_add(&site, plan_at(6, 3, 1, 1));
    site_add_worker(&site, 1, 8);
    site_add_worker_at(&site, 2, 5, 8);
    site_add_worker_at(&site, 3, 6, 8);
    site_add_worker_at(&site, 4, 7, 8);
    for (int64_t worker = 1; worker <= 3; worker++) {
        assert_int_equal(site_lease(&site, worker), 1);
        assert_int_equal(site.leases[0].job, worker);
    }
    assert_int_equal(site_lease(&site, 4), 0);
    assert_int_equal(scheduler_lease_again_us(site.scheduler, 4, site.now_us), INT64_MAX);
    site_stop(&site);
}

static void a_lease_of_another_place_is_all_that_waits(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_at(1, 1, 1, 3000000);
    struct ranges done = {0};
    (void)ranges_add(&done, 1000000, 1000001);
    assert_int_equal(scheduler_add_job(site.scheduler, &plan, &done, NULL), OK);
    ranges_done(&done);
    struct job_plan stream = plan_at(1, 2, 1, 700000);
    stream.is_stream = true;
    site_add(&site, stream);
    site_add_worker_at(&site, 1, 1, 4);
    assert_int_equal(site_lease(&site, 1), 3);
    int64_t given = 0;
    for (size_t i = 0; i < site.count; i++) {
        given += site.leases[i].to - site.leases[i].from;
    }
    assert_int_equal(given, 2999999 + 700000);
    assert_int_equal(site_figures(&site, 1).waiting, 0);
    site_stop(&site);
}

static void what_a_place_gives_back_is_leased_again_as_one(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_at(1, 1, 1, 1000));
    site_add_worker_at(&site, 1, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    struct lease lease = site.leases[0];
    scheduler_return(site.scheduler, lease.id, 400, 1000);
    struct lease part = lease;
    part.to = 400;
    assert_int_equal(site_finish_all(&site, &part, SECOND), 400);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].from, 400);
    assert_int_equal(site.leases[0].to, 1000);
    site_stop(&site);
}

// Shares at one place say nothing about another.
static void fair_share_is_within_a_place(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add_worker(&site, 1, 2);
    site_add_worker_at(&site, 2, 1, 64);
    for (int64_t id = 10; id < 30; id++) {
        site_add(&site, plan_at(1, id, 1, 1000));
    }
    assert_int_equal(site_lease(&site, 2), 20);
    site_add(&site, plan_at(0, 1, 1, 1000));
    site_add(&site, plan_at(0, 2, 2, 1000));
    assert_int_equal(site_lease(&site, 1), 2);
    assert_int_not_equal(site.leases[0].job, site.leases[1].job);
    site_stop(&site);
}

static void weights_hold_at_every_place(void **state)
{
    (void)state;
    struct site site = site_start();
    scheduler_set_group_weight(site.scheduler, 2, 3);
    site_add_worker_at(&site, 1, 1, 8);
    for (int64_t id = 1; id <= 8; id++) {
        site_add(&site, plan_at(1, id, 1, 5));
        site_add(&site, plan_at(1, id + 100, 2, 5));
    }
    assert_int_equal(site_lease(&site, 1), 8);
    int of_second = 0;
    for (size_t i = 0; i < site.count; i++) {
        of_second += site.leases[i].job > 100;
    }
    assert_int_equal(of_second, 6);
    site_stop(&site);
}

static void a_lost_worker_of_another_place_is_not_held_against_tasks(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_at(1, 1, 1, 3));
    for (int64_t worker = 1; worker <= 10; worker++) {
        struct loss_list losses = {0};
        site_add_worker_at(&site, worker, 1, 1);
        assert_int_equal(site_lease(&site, worker), 1);
        assert_int_equal(site.leases[0].to - site.leases[0].from, 3);
        scheduler_remove_worker(site.scheduler, worker, true, site.now_us, &losses);
        assert_int_equal(losses.count, 0);
        site_check(&site);
    }
    assert_int_equal(site_figures(&site, 1).waiting, 3);
    site_stop(&site);
}

static void a_lease_is_not_taken_back_across_places(void **state)
{
    (void)state;
    struct site site = site_start();
    struct error error = {0};
    struct lease lease;
    site_add(&site, plan_at(1, 1, 1, 10));
    site_add_worker(&site, 1, 1);
    site_add_worker_at(&site, 2, 1, 1);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 1, 0, 5, 0, &lease, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "not for the place of worker 1"));
    assert_int_equal(scheduler_reattach(site.scheduler, 2, 1, 0, 5, 0, &lease, &error), OK);
    site_check(&site);
    site_stop(&site);
}

static void a_job_moves_between_places(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_at(1, 1, 1, 10));
    site_add_worker(&site, 1, 1);
    site_add_worker_at(&site, 2, 1, 1);
    scheduler_hold(site.scheduler, 1, true);
    scheduler_move_job(site.scheduler, 1, 0);
    scheduler_move_job(site.scheduler, 99, 0);
    site_check(&site);
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_hold(site.scheduler, 1, false);
    assert_int_equal(site_lease(&site, 2), 0);
    assert_int_equal(site_lease(&site, 1), 1);
    site_stop(&site);
}

// A worker that is being emptied for a job is no longer when the job leaves its place.
static void a_job_that_moves_gives_up_its_reservation(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan big = plan_of(1, 1, 1);
    big.need.cpu_millis = 4000;
    site_add_worker(&site, 1, 4);
    site_add(&site, plan_of(2, 1, 1000));
    assert_int_equal(site_lease(&site, 1), 4);
    struct lease running[4];
    memcpy(running, site.leases, sizeof running);
    site_add(&site, big);
    bool is_reserved = false;
    for (int i = 0; i < 100 && !is_reserved; i++) { // One slot becomes free each second.
        site.now_us += SECOND;
        (void)site_finish_all(&site, &running[i % 4], 4 * SECOND);
        is_reserved = site_lease(&site, 1) == 0;
        running[i % 4] = site.leases[0];
    }
    assert_true(is_reserved);
    scheduler_move_job(site.scheduler, 1, 1);
    site_check(&site);
    assert_true(site_lease(&site, 1) > 0);
    assert_int_equal(site.leases[0].job, 2);
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_get_jobs_of_their_place_only),
        cmocka_unit_test(a_lease_of_another_place_is_all_that_waits),
        cmocka_unit_test(what_a_place_gives_back_is_leased_again_as_one),
        cmocka_unit_test(fair_share_is_within_a_place),
        cmocka_unit_test(weights_hold_at_every_place),
        cmocka_unit_test(a_lost_worker_of_another_place_is_not_held_against_tasks),
        cmocka_unit_test(a_lease_is_not_taken_back_across_places),
        cmocka_unit_test(a_job_moves_between_places),
        cmocka_unit_test(a_job_that_moves_gives_up_its_reservation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
