// Groups: workers that work for some of them in order, and shares between those that compete.
#include "site.h"

#include <math.h>
#include <string.h>

enum { PHYSICS = 1, SPARE = 2, BIOLOGY = 3 };

static void serve(struct site *site, int64_t worker, int64_t first, int64_t second)
{
    const int64_t groups[] = {first, second};
    scheduler_set_worker_groups(site->scheduler, worker, groups, second ? 2 : 1);
}

static void a_worker_takes_tasks_of_its_groups_only_and_of_the_first_first(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, BIOLOGY, 10));
    site_add(&site, plan_of(2, SPARE, 3));
    site_add(&site, plan_of(3, PHYSICS, 2));
    site_add_worker(&site, 1, 4);
    serve(&site, 1, PHYSICS, SPARE);
    assert_int_equal(site_lease(&site, 1), 4);
    const int64_t expected[] = {3, 3, 2, 2};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(site.leases[i].job, expected[i]);
    }
    assert_int_equal(site_finish_all(&site, &site.leases[0], SECOND), 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 2);
    site_add(&site, plan_of(4, PHYSICS, 5));
    assert_int_equal(site_finish_all(&site, &site.leases[0], SECOND), 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 4);
    site_stop(&site);
}

static void a_worker_without_groups_works_for_all(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, BIOLOGY, 10));
    site_add(&site, plan_of(2, PHYSICS, 10));
    site_add_worker(&site, 1, 2);
    assert_int_equal(site_lease(&site, 1), 2);
    assert_int_not_equal(site.leases[0].job, site.leases[1].job);
    site_stop(&site);
}

static void a_moved_worker_keeps_what_it_has_and_takes_of_its_new_group(void **state)
{
    (void)state;
    struct site site = site_start();
    struct lease kept;
    site_add(&site, plan_of(1, PHYSICS, 10));
    site_add(&site, plan_of(2, SPARE, 10));
    site_add_worker(&site, 1, 2);
    serve(&site, 1, PHYSICS, 0);
    assert_int_equal(site_lease(&site, 1), 2);
    struct lease first = site.leases[0];
    struct lease second = site.leases[1];
    assert_int_equal(first.job, 1);
    serve(&site, 1, SPARE, 0);
    site_check(&site);
    assert_true(scheduler_find_lease(site.scheduler, first.id, &kept));
    assert_int_equal(site_finish_all(&site, &first, SECOND), 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 2);
    scheduler_set_worker_groups(site.scheduler, 1, NULL, 0);
    assert_int_equal(site_finish_all(&site, &second, SECOND), 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 1); // Of all now, and this group has nothing running.
    site_stop(&site);
}

static void a_big_job_of_its_first_group_gets_the_worker_emptied(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan big = plan_of(1, PHYSICS, 1);
    big.need.cpu_millis = 2000;
    site_add(&site, plan_of(2, SPARE, 1000));
    site_add_worker(&site, 1, 2);
    serve(&site, 1, PHYSICS, SPARE);
    assert_int_equal(site_lease(&site, 1), 2);
    site_add(&site, big);
    int64_t job = 2;
    for (int i = 0; i < 100 && job != 1; i++) {
        struct lease lease = site.leases[0];
        site.now_us += SECOND;
        (void)site_finish_all(&site, &lease, SECOND);
        if (site_lease(&site, 1) > 0) {
            job = site.leases[0].job;
        } else { // It is being emptied: the other slot ends too.
            struct lease other;
            for (int64_t id = 1; id < 1000; id++) {
                if (scheduler_find_lease(site.scheduler, id, &other)) {
                    (void)site_finish_all(&site, &other, SECOND);
                }
            }
            assert_int_equal(site_lease(&site, 1), 1);
            job = site.leases[0].job;
        }
    }
    assert_int_equal(job, 1);
    site_stop(&site);
}

static void more_groups_than_the_most_are_cut(void **state)
{
    (void)state;
    struct site site = site_start();
    int64_t many[WORKER_GROUPS_MAX + 4];
    for (int64_t i = 0; i < WORKER_GROUPS_MAX + 4; i++) {
        many[i] = 100 + i;
    }
    site_add(&site, plan_of(1, 100 + WORKER_GROUPS_MAX, 1));
    site_add(&site, plan_of(2, 99 + WORKER_GROUPS_MAX, 1));
    site_add_worker(&site, 1, 2);
    scheduler_set_worker_groups(site.scheduler, 1, many, WORKER_GROUPS_MAX + 4);
    scheduler_set_worker_groups(site.scheduler, 9, many, 1); // Not known: nothing happens.
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 2);
    site_stop(&site);
}

static void expect_why(struct site *site, int64_t job, const char *why_part,
                       const char *change_part)
{
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    scheduler_why(site->scheduler, job, -1, NULL, &why, &change);
    buffer_append_byte(&why, '\0');
    buffer_append_byte(&change, '\0');
    if (!strstr(why.bytes, why_part) || !strstr(change.bytes, change_part)) {
        fail_msg("%s / %s", why.bytes, change.bytes);
    }
}

static void why_says_when_no_worker_works_for_the_group(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, PHYSICS, 1);
    plan.group_name = "physics";
    site_add(&site, plan);
    site_add_worker(&site, 1, 2);
    serve(&site, 1, SPARE, BIOLOGY);
    expect_why(&site, 1, "no worker works for its group, \"physics\"", "lode worker move");
    site_add_worker(&site, 2, 2);
    serve(&site, 2, BIOLOGY, PHYSICS);
    expect_why(&site, 1, "1 worker has room for it", "");
    scheduler_drain_worker(site.scheduler, 2, true);
    expect_why(&site, 1, "no worker takes new tasks: the only one is draining", "");
    site_stop(&site);
}

// A site under load: workers of one core whose leases end after their time, step by step.
enum { LOADED_WORKERS = 40, STEP_US = 50000, TASK_US = 20000 };

struct load_state {
    struct site site;
    int workers;
    struct lease held[LOADED_WORKERS + 1];
    int64_t ends_us[LOADED_WORKERS + 1];
};

static void run_for(struct load_state *load, int64_t duration_us)
{
    int64_t until_us = load->site.now_us + duration_us;
    while (load->site.now_us < until_us) {
        load->site.now_us += STEP_US;
        for (int64_t worker = 1; worker <= load->workers; worker++) {
            struct lease *lease = &load->held[worker];
            if (lease->id != 0 && load->ends_us[worker] > load->site.now_us) {
                continue;
            }
            if (lease->id != 0) {
                struct ranges fresh = {0};
                int64_t count = lease->to - lease->from;
                scheduler_finish_range(load->site.scheduler, lease->id, worker, lease->job,
                                       lease->from, lease->to, count * TASK_US, load->site.now_us,
                                       &fresh);
                ranges_done(&fresh);
                lease->id = 0;
            }
            if (scheduler_lease(load->site.scheduler, worker, load->site.now_us, lease, 1) == 1) {
                load->ends_us[worker] = load->site.now_us + (lease->to - lease->from) * TASK_US;
            }
        }
    }
    site_check(&load->site);
}

// How many workers run tasks of the job.
static int running_of(const struct load_state *load, int64_t job)
{
    int count = 0;
    for (int worker = 1; worker <= LOADED_WORKERS; worker++) {
        count += load->held[worker].id != 0 && load->held[worker].job == job;
    }
    return count;
}

static struct load_state load_start(int workers)
{
    struct load_state load = {.site = site_start(), .workers = workers};
    for (int64_t worker = 1; worker <= workers; worker++) {
        site_add_worker(&load.site, worker, 1);
    }
    return load;
}

static void expect_split(const struct load_state *load, int first)
{
    int of_first = running_of(load, 1);
    int of_second = running_of(load, 2);
    assert_int_equal(of_first + of_second, LOADED_WORKERS);
    assert_in_range(of_first, first - 2, first + 2);
}

static void a_new_competitor_gets_its_share_within_seconds(void **state)
{
    (void)state;
    struct load_state load = load_start(LOADED_WORKERS);
    site_add(&load.site, plan_of(1, PHYSICS, 10000000));
    run_for(&load, 10 * SECOND);
    assert_int_equal(running_of(&load, 1), LOADED_WORKERS);
    site_add(&load.site, plan_of(2, BIOLOGY, 10000000));
    run_for(&load, 2 * SECOND);
    expect_split(&load, LOADED_WORKERS / 2);
    scheduler_remove_job(load.site.scheduler, 2);
    for (int worker = 1; worker <= LOADED_WORKERS; worker++) {
        load.held[worker].id = load.held[worker].job == 2 ? 0 : load.held[worker].id;
    }
    run_for(&load, 2 * SECOND);
    assert_int_equal(running_of(&load, 1), LOADED_WORKERS);
    site_stop(&load.site);
}

static void shares_follow_a_changed_weight_within_seconds(void **state)
{
    (void)state;
    struct load_state load = load_start(LOADED_WORKERS);
    site_add(&load.site, plan_of(1, PHYSICS, 10000000));
    site_add(&load.site, plan_of(2, BIOLOGY, 10000000));
    run_for(&load, 10 * SECOND);
    expect_split(&load, 20);
    scheduler_set_group_weight(load.site.scheduler, PHYSICS, 3);
    run_for(&load, 2 * SECOND);
    expect_split(&load, 30);
    scheduler_set_group_weight(load.site.scheduler, PHYSICS, 0.25);
    run_for(&load, 2 * SECOND);
    expect_split(&load, 8);
    site_stop(&load.site);
}

// How often as many tasks of the first job as of the second end in 30 s, when its group has so much weight and these share so many slots.
static double ratio_with(int workers, double weight)
{
    struct load_state load = load_start(workers);
    struct job_figures first;
    struct job_figures second;
    scheduler_set_group_weight(load.site.scheduler, PHYSICS, weight);
    site_add(&load.site, plan_of(1, PHYSICS, 10000000));
    site_add(&load.site, plan_of(2, BIOLOGY, 10000000));
    run_for(&load, 30 * SECOND);
    assert_true(scheduler_figures(load.site.scheduler, 1, &first));
    assert_true(scheduler_figures(load.site.scheduler, 2, &second));
    site_stop(&load.site);
    return (double)first.done / (double)second.done;
}

static void few_slots_are_shared_by_weight_over_the_time(void **state)
{
    (void)state;
    assert_float_equal((float)ratio_with(1, 1), 1, 0.1F);
    assert_float_equal((float)ratio_with(1, 4), 4, 0.5F);
    assert_float_equal((float)ratio_with(2, 9), 9, 1);
    assert_float_equal((float)ratio_with(3, 1), 1, 0.1F);
    assert_float_equal((float)ratio_with(6, 3), 3, 0.3F);
    assert_float_equal((float)ratio_with(6, 1.0 / 3), 1.0F / 3, 0.04F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_takes_tasks_of_its_groups_only_and_of_the_first_first),
        cmocka_unit_test(a_worker_without_groups_works_for_all),
        cmocka_unit_test(a_moved_worker_keeps_what_it_has_and_takes_of_its_new_group),
        cmocka_unit_test(a_big_job_of_its_first_group_gets_the_worker_emptied),
        cmocka_unit_test(more_groups_than_the_most_are_cut),
        cmocka_unit_test(why_says_when_no_worker_works_for_the_group),
        cmocka_unit_test(a_new_competitor_gets_its_share_within_seconds),
        cmocka_unit_test(shares_follow_a_changed_weight_within_seconds),
        cmocka_unit_test(few_slots_are_shared_by_weight_over_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
