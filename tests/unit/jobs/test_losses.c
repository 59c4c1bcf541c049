// Attempts that come to nothing, each cause counted apart, and tasks that are held.
#include "site.h"

#include <string.h>

// The worker is lost with all that it runs; returns how many tasks were.
static size_t lose(struct site *site, int64_t worker, struct loss *first)
{
    struct loss_list losses = {0};
    scheduler_remove_worker(site->scheduler, worker, true, site->now_us, &losses);
    site_check(site);
    size_t count = losses.count;
    if (count > 0) {
        *first = losses.items[0];
    }
    loss_list_done(&losses);
    return count;
}

// Loses so many workers of one core with the job's first task.
static struct loss lose_workers(struct site *site, int count)
{
    struct loss loss = {0};
    for (int i = 1; i <= count; i++) {
        site_add_worker(site, 100 + i, 1);
        assert_int_equal(site_lease(site, 100 + i), 1);
        assert_int_equal(lose(site, 100 + i, &loss), 1);
        assert_int_equal(loss.times, i);
        assert_int_equal(loss.end == LOSS_RETRY, i < 3);
    }
    return loss;
}

static void each_cause_is_counted_apart(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.retries = (struct retries){.times = {1, 1, 1, 1, 1}};
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    static const enum task_outcome OUTCOMES[] = {TASK_FAILED, TASK_LIMITED, TASK_BLAME_INPUT,
                                                 TASK_BLAME_WORKER};
    struct loss loss = {0};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(site_lease(&site, 1), 1);
        assert_int_equal(site_finish(&site, &site.leases[0], 0, OUTCOMES[i]), TASK_RETRY);
    }
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(lose(&site, 1, &loss), 1);
    assert_int_equal(loss.end, LOSS_RETRY);
    site_add_worker(&site, 2, 1);
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_LIMITED), TASK_COMMIT);
    site_stop(&site);
}

static void a_limit_is_final_unless_told(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 2);
    plan.retries.times[CAUSE_FAIL] = 5;
    site_add(&site, plan);
    site_add_worker(&site, 1, 2);
    assert_int_equal(site_lease(&site, 1), 2);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_LIMITED), TASK_COMMIT);
    assert_int_equal(site_finish(&site, &site.leases[1], 1, TASK_FAILED), TASK_RETRY);
    site_stop(&site);
}

static void a_missing_input_is_looked_for_elsewhere_when_told(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.retries.times[CAUSE_INPUT] = 1;
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_BLAME_INPUT), TASK_RETRY);
    assert_int_equal(site_lease(&site, 1), 0);
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_BLAME_INPUT), TASK_COMMIT);
    site_stop(&site);
}

static void a_task_that_three_workers_were_lost_with_is_held_and_others_go_on(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 3));
    const struct loss loss = lose_workers(&site, 3);
    assert_int_equal(loss.end, LOSS_HELD);
    assert_int_equal(loss.task.index, 0);
    assert_int_equal(site_figures(&site, 1).held, 1);
    assert_int_equal(site_figures(&site, 1).waiting, 2);
    site_add_worker(&site, 1, 4);
    assert_int_equal(site_lease(&site, 1), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(site.leases[i].from, i + 1);
    }
    struct lease leases[2] = {site.leases[0], site.leases[1]};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(site_finish_all(&site, &leases[i], SECOND), 1);
    }
    assert_int_equal(site_lease(&site, 1), 0);
    assert_false(scheduler_is_complete(site.scheduler, 1));
    assert_int_equal(scheduler_next_held(site.scheduler, 1, 0), 0);
    assert_int_equal(scheduler_next_held(site.scheduler, 1, 1), -1);
    site_stop(&site);
}

// The task kills each worker of two cores; beside it another one of the job runs, which takes long.
static void who_runs_beside_a_deadly_task_is_not_held_for_it(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 2)); // Task 0 is deadly.
    for (int64_t worker = 1; scheduler_next_held(site.scheduler, 1, 0) < 0; worker++) {
        struct loss loss;
        assert_true(worker <= 6);
        site_add_worker(&site, worker, 2);
        size_t count = site_lease(&site, worker);
        bool has_deadly = false;
        for (size_t i = 0; i < count; i++) {
            has_deadly = has_deadly || site.leases[i].from == 0;
        }
        if (has_deadly) {
            assert_int_equal(lose(&site, worker, &loss), count);
        } else { // The other one comes to its end.
            assert_int_equal(count, 1);
            assert_int_equal(site_finish_all(&site, &site.leases[0], SECOND), 1);
        }
    }
    assert_int_equal(scheduler_next_held(site.scheduler, 1, 0), 0);
    assert_int_equal(scheduler_next_held(site.scheduler, 1, 1), -1);
    site_stop(&site);
}

static void tasks_on_their_last_chance_run_on_different_workers(void **state)
{
    (void)state;
    struct site site = site_start();
    struct loss loss;
    site_add(&site, plan_of(1, 1, 4));
    for (int64_t worker = 1; worker <= 2; worker++) {
        site_add_worker(&site, worker, 4);
        assert_int_equal(site_lease(&site, worker), 4);
        assert_int_equal(lose(&site, worker, &loss), 4);
    }
    site_add_worker(&site, 3, 4);
    site_add_worker(&site, 4, 4);
    assert_int_equal(site_lease(&site, 3), 1);
    struct lease first = site.leases[0];
    assert_int_equal(site_lease(&site, 3), 0);
    assert_int_equal(site_lease(&site, 4), 1);
    assert_int_equal(site_finish_all(&site, &first, SECOND), 1);
    assert_int_equal(site_lease(&site, 3), 1);
    site_add(&site, plan_of(2, 1, 10)); // Others run beside it.
    assert_int_equal(site_lease(&site, 3), 3);
    for (size_t i = 0; i < site.count; i++) {
        assert_int_equal(site.leases[i].job, 2);
    }
    assert_int_equal(lose(&site, 4, &loss), 1);
    assert_int_equal(loss.end, LOSS_HELD);
    site_stop(&site);
}

static void a_released_task_starts_its_count_anew(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    for (int round = 0; round < 2; round++) {
        (void)lose_workers(&site, 3);
        assert_int_equal(scheduler_release_tasks(site.scheduler, 1, 1, 5), 0);
        assert_int_equal(scheduler_release_tasks(site.scheduler, 1, 0, 1), 1);
        site_check(&site);
    }
    assert_int_equal(scheduler_release_tasks(site.scheduler, 1, 0, 1), 0);
    assert_int_equal(scheduler_release_tasks(site.scheduler, 9, 0, 1), 0);
    assert_int_equal(site_figures(&site, 1).waiting, 1);
    site_stop(&site);
}

static void a_late_success_of_a_held_task_is_used(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    (void)lose_workers(&site, 3);
    const struct lease late = {.id = 1, .job = 1, .worker = 101, .from = 0, .to = 1};
    assert_int_equal(site_finish(&site, &late, 0, TASK_FAILED), TASK_RETRY);
    assert_int_equal(site_figures(&site, 1).held, 1);
    assert_int_equal(site_finish(&site, &late, 0, TASK_SUCCEEDED), TASK_COMMIT);
    assert_int_equal(site_figures(&site, 1).held, 0);
    assert_true(scheduler_is_complete(site.scheduler, 1));
    site_stop(&site);
}

static void a_job_may_have_such_tasks_fail_instead(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.fails_when_lost = true;
    site_add(&site, plan);
    assert_int_equal(lose_workers(&site, 3).end, LOSS_FAILED);
    assert_true(scheduler_is_complete(site.scheduler, 1));
    site_stop(&site);
}

static void it_may_be_lost_as_often_as_its_job_says(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.retries.times[CAUSE_LOST] = 0;
    site_add(&site, plan);
    struct loss loss = {0};
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(lose(&site, 1, &loss), 1);
    assert_int_equal(loss.end, LOSS_HELD);
    site_stop(&site);
}

static void what_was_counted_and_held_before_a_restart_is_so_again(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1000);
    plan.retries.times[CAUSE_FAIL] = 2;
    struct ranges done = {0};
    (void)ranges_add(&done, 10, 20);
    assert_int_equal(scheduler_add_job(site.scheduler, &plan, &done, NULL), OK);
    ranges_done(&done);
    scheduler_recount(site.scheduler, (struct task_id){1, 0}, CAUSE_FAIL, 2);
    assert_true(scheduler_hold_task(site.scheduler, (struct task_id){1, 500}));
    assert_false(scheduler_hold_task(site.scheduler, (struct task_id){1, 500}));
    assert_false(scheduler_hold_task(site.scheduler, (struct task_id){1, 15})); // Done.
    assert_false(scheduler_hold_task(site.scheduler, (struct task_id){1, 1000}));
    assert_false(scheduler_hold_task(site.scheduler, (struct task_id){2, 0}));
    site_check(&site);
    assert_int_equal(site_figures(&site, 1).waiting, 989);
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].from, 0);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_FAILED), TASK_COMMIT);
    site_stop(&site);
}

static void why_says_what_is_held_and_what_to_do(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    (void)lose_workers(&site, 3);
    for (int64_t index = -1; index <= 0; index++) {
        AUTO_BUFFER struct buffer why = {0};
        AUTO_BUFFER struct buffer change = {0};
        scheduler_why(site.scheduler, 1, index, NULL, &why, &change);
        buffer_append_byte(&why, '\0');
        buffer_append_byte(&change, '\0');
        assert_non_null(strstr(why.bytes, "held"));
        assert_non_null(strstr(change.bytes, index < 0 ? "lode retry 1`" : "lode retry 1/0`"));
        assert_non_null(strstr(change.bytes, "lode cancel 1"));
    }
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_is_counted_apart),
        cmocka_unit_test(a_limit_is_final_unless_told),
        cmocka_unit_test(a_missing_input_is_looked_for_elsewhere_when_told),
        cmocka_unit_test(a_task_that_three_workers_were_lost_with_is_held_and_others_go_on),
        cmocka_unit_test(who_runs_beside_a_deadly_task_is_not_held_for_it),
        cmocka_unit_test(tasks_on_their_last_chance_run_on_different_workers),
        cmocka_unit_test(a_released_task_starts_its_count_anew),
        cmocka_unit_test(a_late_success_of_a_held_task_is_used),
        cmocka_unit_test(a_job_may_have_such_tasks_fail_instead),
        cmocka_unit_test(it_may_be_lost_as_often_as_its_job_says),
        cmocka_unit_test(what_was_counted_and_held_before_a_restart_is_so_again),
        cmocka_unit_test(why_says_what_is_held_and_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
