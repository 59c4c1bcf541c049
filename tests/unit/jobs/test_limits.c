// Workers that are limited to one owner's jobs, to one job, or to spare ones.
#include "site.h"

#include <string.h>

enum { ADA = 11, EVE = 12, PHYSICS = 1, BIOLOGY = 2, FIRST = 1, MANY = 3000 };

static void add(struct site *site, int64_t id, int64_t owner, int64_t group, int64_t count)
{
    struct job_plan plan = plan_of(id, group, count);
    plan.owner = owner;
    site_add(site, plan);
}

static void limit(struct site *site, int64_t worker, const struct worker_limits *limits)
{
    scheduler_limit_worker(site->scheduler, worker, limits);
    site_check(site);
}

static void expect_leases(struct site *site, int64_t worker, const int64_t *jobs, size_t count)
{
    assert_int_equal(site_lease(site, worker), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(site->leases[i].job, jobs[i]);
    }
}

static void a_worker_of_an_owner_gets_tasks_of_his_jobs_alone(void **state)
{
    (void)state;
    struct site site = site_start();
    add(&site, 1, EVE, PHYSICS, 10);
    add(&site, 2, ADA, PHYSICS, 1);
    add(&site, 3, ADA, BIOLOGY, 1);
    site_add_worker(&site, 1, 4);
    limit(&site, 1, &(struct worker_limits){.owner = ADA});
    expect_leases(&site, 1, (const int64_t[]){2, 3}, 2);
    add(&site, 4, EVE, PHYSICS, 1);
    add(&site, 5, ADA, PHYSICS, 1); // One that came after the worker.
    expect_leases(&site, 1, (const int64_t[]){5}, 1);
    site_stop(&site);
}

static void a_session_leaves_out_what_was_submitted_before_it(void **state)
{
    (void)state;
    struct site site = site_start();
    // So many that a look at each would give up before it came to the last.
    for (int64_t id = 1; id <= MANY; id++) {
        add(&site, id, ADA, PHYSICS, 1);
    }
    site_add_worker(&site, 1, 4);
    limit(&site, 1, &(struct worker_limits){.owner = ADA, .since_us = MANY});
    add(&site, MANY + 1, ADA, PHYSICS, 1);
    assert_int_equal(scheduler_lease(site.scheduler, 1, site.now_us, site.leases, LEASES_MAX), 2);
    assert_int_equal(site.leases[0].job, MANY);
    assert_int_equal(site.leases[1].job, MANY + 1);
    scheduler_free(site.scheduler);
}

static void a_worker_of_one_job_gets_no_other(void **state)
{
    (void)state;
    struct site site = site_start();
    add(&site, 1, ADA, PHYSICS, 10);
    add(&site, 2, ADA, PHYSICS, 10);
    site_add_worker(&site, 1, 2);
    limit(&site, 1, &(struct worker_limits){.owner = ADA, .job = 2});
    expect_leases(&site, 1, (const int64_t[]){2, 2}, 2);
    scheduler_remove_job(site.scheduler, 2);
    expect_leases(&site, 1, NULL, 0);
    site_stop(&site);
}

static void a_worker_for_spare_jobs_gets_those_by_the_shares_of_their_groups(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan spare = plan_of(3, BIOLOGY, 10);
    spare.is_spare = true;
    add(&site, 1, ADA, PHYSICS, 10);
    add(&site, 2, ADA, BIOLOGY, 10);
    site_add_worker(&site, 1, 2);
    limit(&site, 1, &(struct worker_limits){.is_spare = true});
    expect_leases(&site, 1, NULL, 0);
    site_add(&site, spare);
    expect_leases(&site, 1, (const int64_t[]){3, 3}, 2);
    // Another worker takes spare jobs like any.
    site_add_worker(&site, 2, 3);
    assert_int_equal(site_lease(&site, 2), 3);
    site_stop(&site);
}

static void a_job_that_waits_again_comes_back_to_those_that_may_have_it(void **state)
{
    (void)state;
    struct site site = site_start();
    add(&site, 1, ADA, PHYSICS, 1);
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    limit(&site, 2, &(struct worker_limits){.owner = ADA});
    expect_leases(&site, 1, (const int64_t[]){1}, 1);
    expect_leases(&site, 2, NULL, 0);
    scheduler_remove_worker(site.scheduler, 1, false, site.now_us, NULL);
    expect_leases(&site, 2, (const int64_t[]){1}, 1);
    site_stop(&site);
}

static void a_held_job_and_one_that_goes_elsewhere_are_not_offered(void **state)
{
    (void)state;
    struct site site = site_start();
    add(&site, 1, ADA, PHYSICS, 1);
    site_add_worker(&site, 1, 1);
    limit(&site, 1, &(struct worker_limits){.owner = ADA});
    scheduler_hold(site.scheduler, 1, true);
    expect_leases(&site, 1, NULL, 0);
    scheduler_move_job(site.scheduler, 1, 7);
    scheduler_hold(site.scheduler, 1, false);
    expect_leases(&site, 1, NULL, 0);
    scheduler_hold(site.scheduler, 1, true);
    scheduler_move_job(site.scheduler, 1, 0);
    scheduler_hold(site.scheduler, 1, false);
    expect_leases(&site, 1, (const int64_t[]){1}, 1);
    site_stop(&site);
}

// Several of the same limits, of others of the same owner, and again after all have gone.
static void workers_of_all_limits_come_and_go(void **state)
{
    (void)state;
    struct site site = site_start();
    static const struct worker_limits LIMITS[] = {
        {.owner = ADA},           {.owner = ADA}, {.owner = ADA, .since_us = 2},
        {.owner = ADA, .job = 1}, {.owner = EVE}, {.is_spare = true}};
    const int64_t workers = sizeof LIMITS / sizeof LIMITS[0];
    add(&site, 1, ADA, PHYSICS, 100);
    add(&site, 2, EVE, PHYSICS, 100);
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 0; i < workers; i++) {
            site_add_worker(&site, FIRST + i, 1);
            limit(&site, FIRST + i, &LIMITS[i]);
        }
        static const size_t GIVEN[] = {1, 1, 0, 1, 1, 0};
        for (int64_t i = 0; i < workers; i++) {
            assert_int_equal(site_lease(&site, FIRST + i), GIVEN[i]);
        }
        limit(&site, FIRST, &(struct worker_limits){.owner = EVE});
        for (int64_t i = 0; i < workers; i++) {
            scheduler_remove_worker(site.scheduler, FIRST + i, false, site.now_us, NULL);
            site_check(&site);
        }
    }
    site_stop(&site);
}

static void why_says_when_all_workers_are_for_other_jobs(void **state)
{
    (void)state;
    struct site site = site_start();
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    add(&site, 1, EVE, PHYSICS, 1);
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    limit(&site, 1, &(struct worker_limits){.owner = ADA});
    limit(&site, 2, &(struct worker_limits){.is_spare = true});
    scheduler_why(site.scheduler, 1, -1, NULL, &why, &change);
    buffer_append_byte(&why, '\0');
    buffer_append_byte(&change, '\0');
    assert_non_null(strstr(why.bytes, "no worker may run it"));
    assert_non_null(strstr(change.bytes, "lode worker"));
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_of_an_owner_gets_tasks_of_his_jobs_alone),
        cmocka_unit_test(a_session_leaves_out_what_was_submitted_before_it),
        cmocka_unit_test(a_worker_of_one_job_gets_no_other),
        cmocka_unit_test(a_worker_for_spare_jobs_gets_those_by_the_shares_of_their_groups),
        cmocka_unit_test(a_job_that_waits_again_comes_back_to_those_that_may_have_it),
        cmocka_unit_test(a_held_job_and_one_that_goes_elsewhere_are_not_offered),
        cmocka_unit_test(workers_of_all_limits_come_and_go),
        cmocka_unit_test(why_says_when_all_workers_are_for_other_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
