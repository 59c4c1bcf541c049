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

enum { SLOTS = 2, TASK_US = 600, TASKS_A_STEP = 83, STEP_US = TASKS_A_STEP * TASK_US };

// What two slots hold: leases in the order in which they came; the first two run.
struct slots {
    struct lease held[2 * SLOTS];
    size_t count;
};

// Runs the slots for a step, and reports what they did.
static void run_step(struct site *site, struct slots *slots)
{
    site->now_us += STEP_US;
    for (size_t slot = 0; slot < SLOTS && slot < slots->count; slot++) {
        struct lease part = slots->held[slot];
        int64_t left = part.to - part.from;
        part.to = part.from + (left < TASKS_A_STEP ? left : TASKS_A_STEP);
        (void)site_finish_all(site, &part, (part.to - part.from) * TASK_US);
        slots->held[slot].from = part.to;
    }
    size_t kept = 0;
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->held[i].from < slots->held[i].to) {
            slots->held[kept++] = slots->held[i];
        }
    }
    slots->count = kept;
}

static void each_slot_always_has_work_ahead(void **state)
{
    (void)state;
    struct site site = site_start();
    struct slots slots = {0};
    site_add(&site, plan_of(1, 1, 1000000));
    site_add_worker(&site, 1, SLOTS);
    int64_t idle_slots = 0;
    int64_t leases = 0;
    for (int step = 0; step < 1000; step++) {
        size_t count = site_lease(&site, 1);
        assert_true(slots.count + count <= 2 * SLOTS);
        memcpy(&slots.held[slots.count], site.leases, count * sizeof site.leases[0]);
        slots.count += count;
        leases += (int64_t)count;
        idle_slots += SLOTS - (int64_t)(slots.count < SLOTS ? slots.count : SLOTS);
        run_step(&site, &slots);
    }
    assert_int_equal(idle_slots, 0);
    assert_in_range(site_figures(&site, 1).done / leases, 700, 850);
    site_stop(&site);
}

static void stream_jobs_start_with_large_leases(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1000000);
    plan.is_stream = true;
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].to - site.leases[0].from, 2000);
    struct lease first = site.leases[0];
    assert_int_equal(site_finish_all(&site, &first, 2000), 2000); // 1 us each.
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].to - site.leases[0].from, 50000);
    site_stop(&site);
}

static void leases_shrink_towards_the_end(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 101));
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    int64_t done = 0;
    int64_t size_before = 20; // So many tasks fit into half a second.
    while (site_lease(&site, 1) > 0) {
        struct lease lease = site.leases[0];
        int64_t size = lease.to - lease.from;
        int64_t even = (101 - done) / 4; // Two slots could take part.
        assert_in_range(size, 1, even > 1 ? even : 1);
        assert_true(size <= size_before);
        size_before = done > 0 ? size : size_before;
        done += site_finish_all(&site, &lease, size * 25000);
    }
    assert_int_equal(done, 101);
    site_stop(&site);
}

static void groups_share_by_weight(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 100));
    site_add(&site, plan_of(2, 2, 100));
    scheduler_set_group_weight(site.scheduler, 2, 3);
    site_add_worker(&site, 1, 8);
    assert_int_equal(site_lease(&site, 1), 8);
    assert_int_equal(site_figures(&site, 1).leased, 2);
    assert_int_equal(site_figures(&site, 2).leased, 6);
    site_stop(&site);
}

static void equal_groups_take_turns_in_one_slot(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 10));
    site_add(&site, plan_of(2, 2, 10));
    site_add_worker(&site, 1, 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(site_lease(&site, 1), 1);
        struct lease lease = site.leases[0];
        assert_int_equal(lease.job, 1 + i % 2);
        (void)site_finish_all(&site, &lease, SECOND);
    }
    site_stop(&site);
}

static void priority_comes_before_age_and_age_before_the_rest(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan urgent = plan_of(3, 1, 1);
    urgent.priority = 5;
    site_add(&site, plan_of(2, 1, 1));
    site_add(&site, plan_of(1, 1, 1));
    site_add(&site, urgent);
    site_add_worker(&site, 1, 3);
    assert_int_equal(site_lease(&site, 1), 3);
    assert_int_equal(site.leases[0].job, 3);
    assert_int_equal(site.leases[1].job, 1);
    assert_int_equal(site.leases[2].job, 2);
    site_stop(&site);
}

static void workers_prefer_jobs_whose_inputs_they_have(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plans[] = {plan_of(1, 1, 1), plan_of(2, 1, 1), plan_of(3, 1, 1)};
    plans[0].inputs = 7;
    plans[1].inputs = 8;
    plans[2].inputs = 7;
    for (size_t i = 0; i < 3; i++) {
        site_add(&site, plans[i]);
    }
    site_add_worker(&site, 1, 3);
    assert_int_equal(site_lease(&site, 1), 3);
    assert_int_equal(site.leases[0].job, 1);
    assert_int_equal(site.leases[1].job, 3);
    assert_int_equal(site.leases[2].job, 2);
    site_stop(&site);
}

static void a_big_job_is_not_kept_out_by_small_ones(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan big = plan_of(1, 1, 1);
    big.need.cpu_millis = 4000;
    struct job_plan small = plan_of(2, 1, 1000);
    site_add_worker(&site, 1, 4);
    site_add(&site, small);
    assert_int_equal(site_lease(&site, 1), 4);
    struct lease running[4];
    memcpy(running, site.leases, sizeof running);
    site_add(&site, big);
    bool has_run = false;
    for (int i = 0; i < 100 && !has_run; i++) { // One slot becomes free each second.
        site.now_us += SECOND;
        struct lease *lease = &running[i % 4];
        if (lease->id != 0) {
            (void)site_finish_all(&site, lease, 4 * SECOND);
            lease->id = 0;
        }
        if (site_lease(&site, 1) > 0) {
            *lease = site.leases[0];
            has_run = lease->job == 1;
        }
    }
    assert_true(has_run);
    site_stop(&site);
}

static void a_worker_that_is_emptied_for_a_job_and_drains_makes_way_for_another(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan big = plan_of(1, 1, 1);
    big.need.cpu_millis = 2000;
    site_add_worker(&site, 1, 2);
    site_add(&site, plan_of(2, 1, 1000));
    assert_int_equal(site_lease(&site, 1), 2);
    struct lease first = site.leases[0];
    site_add(&site, big);
    for (int i = 0; i < 20 && site.count > 0; i++) { // Until nothing small is given any more.
        site.now_us += SECOND;
        (void)site_finish_all(&site, &first, 400 * SECOND);
        if (site_lease(&site, 1) > 0) {
            first = site.leases[0];
        }
    }
    assert_int_equal(site.count, 0);
    scheduler_drain_worker(site.scheduler, 1, true);
    site_add_worker(&site, 2, 2);
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site.leases[0].job, 1);
    site_stop(&site);
}

static void a_failed_task_runs_again_as_often_as_it_may(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.retries.times[CAUSE_FAIL] = 2;
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(site_lease(&site, 1), 1);
        assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_FAILED), TASK_RETRY);
    }
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_FAILED), TASK_COMMIT);
    assert_true(scheduler_is_complete(site.scheduler, 1));
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_FAILED), TASK_DUPLICATE);
    site_stop(&site);
}

static void a_broken_input_is_final_at_once(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.retries.times[CAUSE_FAIL] = 9;
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_BLAME_INPUT), TASK_COMMIT);
    assert_true(scheduler_is_complete(site.scheduler, 1));
    site_stop(&site);
}

static void a_workers_fault_sends_the_task_elsewhere(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_BLAME_WORKER), TASK_RETRY);
    assert_int_equal(site_lease(&site, 1), 0);
    int64_t again_us = scheduler_lease_again_us(site.scheduler, 1, site.now_us);
    assert_int_equal(again_us, site.now_us + 10 * SECOND);
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_BLAME_WORKER), TASK_RETRY);
    site.now_us = again_us;
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_BLAME_WORKER), TASK_COMMIT);
    site_stop(&site);
}

static void a_worker_that_leaves_in_order_is_not_held_against_the_task(void **state)
{
    (void)state;
    struct site site = site_start();
    struct loss_list losses = {0};
    site_add(&site, plan_of(1, 1, 1));
    for (int64_t worker = 1; worker <= 5; worker++) {
        site_add_worker(&site, worker, 1);
        assert_int_equal(site_lease(&site, worker), 1);
        scheduler_remove_worker(site.scheduler, worker, false, site.now_us, &losses);
    }
    assert_int_equal(losses.count, 0);
    assert_int_equal(site_figures(&site, 1).waiting, 1);
    site_stop(&site);
}

static void only_who_is_silent_for_the_whole_time_out_expires(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    site.now_us += 20 * SECOND;
    scheduler_touch_worker(site.scheduler, 1, site.now_us);
    site.now_us += 15 * SECOND;
    assert_int_equal(scheduler_expired_worker(site.scheduler, site.now_us), 2);
    scheduler_remove_worker(site.scheduler, 2, false, site.now_us, NULL);
    assert_int_equal(scheduler_expired_worker(site.scheduler, site.now_us), 0);
    site_stop(&site);
}

static void late_results_are_used_once(void **state)
{
    (void)state;
    struct loss_list losses = {0};
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1));
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    struct lease lost = site.leases[0];
    scheduler_remove_worker(site.scheduler, 1, true, site.now_us, &losses);
    assert_int_equal(losses.count, 1);
    assert_int_equal(losses.items[0].end, LOSS_RETRY);
    loss_list_done(&losses);
    assert_int_equal(site_lease(&site, 2), 1);
    struct lease second = site.leases[0];
    struct lease found;
    assert_true(scheduler_find_lease(site.scheduler, second.id, &found));
    assert_int_equal(site_finish(&site, &lost, 0, TASK_FAILED), TASK_RETRY); // The other decides.
    assert_int_equal(site_finish(&site, &lost, 0, TASK_SUCCEEDED), TASK_COMMIT);
    assert_false(scheduler_find_lease(site.scheduler, second.id, &found)); // To be cancelled there.
    assert_int_equal(site_finish(&site, &second, 0, TASK_SUCCEEDED), TASK_DUPLICATE);
    assert_int_equal(site_finish_all(&site, &second, SECOND), 0);
    site_stop(&site);
}

static void results_outside_of_the_job_are_dropped(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 10));
    const struct lease wrong = {.id = 99, .job = 1, .worker = 5, .from = -5, .to = 100};
    const struct lease unknown = {.id = 99, .job = 2, .worker = 5, .from = 0, .to = 10};
    assert_int_equal(site_finish(&site, &wrong, -1, TASK_SUCCEEDED), TASK_DUPLICATE);
    assert_int_equal(site_finish(&site, &wrong, 10, TASK_SUCCEEDED), TASK_DUPLICATE);
    assert_int_equal(site_finish(&site, &unknown, 0, TASK_SUCCEEDED), TASK_DUPLICATE);
    assert_int_equal(site_finish_all(&site, &unknown, 1), 0);
    assert_int_equal(site_finish_all(&site, &wrong, 1), 10);
    site_stop(&site);
}

// One lease of many tasks, of job 1 on worker 1.
static struct lease long_lease(struct site *site)
{
    struct lease none;
    assert_int_equal(site_lease(site, 1), 1);
    none = site->leases[0];
    (void)site_finish_all(site, &none, 1000);
    assert_int_equal(site_lease(site, 1), 1);
    assert_true(site->leases[0].to - site->leases[0].from >= 100);
    return site->leases[0];
}

static void tasks_end_in_any_order_within_a_lease(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1000));
    site_add_worker(&site, 1, 1);
    struct lease lease = long_lease(&site);
    struct lease found;
    for (int64_t i = lease.to - 1; i >= lease.from; i -= 2) {
        assert_int_equal(site_finish(&site, &lease, i, TASK_SUCCEEDED), TASK_COMMIT);
    }
    assert_true(scheduler_find_lease(site.scheduler, lease.id, &found));
    assert_int_equal(site_finish_all(&site, &lease, 1000), (lease.to - lease.from) / 2);
    assert_false(scheduler_find_lease(site.scheduler, lease.id, &found));
    site_stop(&site);
}

static void what_is_returned_waits_again_without_blame(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 1000));
    site_add_worker(&site, 1, 1);
    struct lease lease = long_lease(&site);
    struct lease place;
    int64_t waiting = site_figures(&site, 1).waiting;
    scheduler_return(site.scheduler, lease.id, lease.from + 10, lease.to);
    site_check(&site);
    assert_int_equal(site_figures(&site, 1).leased, 10);
    assert_int_equal(site_figures(&site, 1).running, 1);
    assert_int_equal(site_figures(&site, 1).waiting, waiting + lease.to - lease.from - 10);
    struct task_id returned = {1, lease.from + 10};
    struct task_id kept = {1, lease.from + 9};
    assert_int_equal(scheduler_find_task(site.scheduler, returned, &place), TASK_WAITING);
    assert_int_equal(scheduler_find_task(site.scheduler, kept, &place), TASK_LEASED);
    assert_int_equal(place.id, lease.id);
    scheduler_return(site.scheduler, lease.id, 0, INT64_MAX);
    assert_int_equal(site_figures(&site, 1).leased, 0);
    assert_int_equal(site_figures(&site, 1).running, 0);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].from, lease.from);
    site_stop(&site);
}

static void held_jobs_and_draining_workers_get_nothing(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 2));
    site_add_worker(&site, 1, 1);
    scheduler_hold(site.scheduler, 1, true);
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_hold(site.scheduler, 1, false);
    scheduler_drain_worker(site.scheduler, 1, true);
    assert_int_equal(site_lease(&site, 1), 0);
    scheduler_drain_worker(site.scheduler, 1, false);
    assert_int_equal(site_lease(&site, 1), 1);
    site_stop(&site);
}

static void what_is_marked_done_is_not_leased(void **state)
{
    (void)state;
    struct site site = site_start();
    struct ranges done = {0};
    struct job_plan plan = plan_of(1, 1, 10);
    ranges_add(&done, 0, 3);
    assert_int_equal(scheduler_add_job(site.scheduler, &plan, &done, NULL), OK);
    assert_int_equal(scheduler_add_job(site.scheduler, &plan, &done, NULL), CONFLICT);
    ranges_done(&done);
    assert_int_equal(scheduler_mark_done(site.scheduler, 1, 2, 5), 2);
    assert_int_equal(scheduler_mark_done(site.scheduler, 1, 6, 100), 4);
    site_add_worker(&site, 1, 4);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].from, 5);
    assert_int_equal(scheduler_mark_done(site.scheduler, 1, 5, 6), 1);
    assert_true(scheduler_is_complete(site.scheduler, 1));
    site_stop(&site);
}

static void a_removed_job_takes_its_leases_along(void **state)
{
    (void)state;
    struct site site = site_start();
    struct lease found;
    site_add(&site, plan_of(1, 1, 10));
    site_add_worker(&site, 1, 2);
    assert_int_equal(site_lease(&site, 1), 2);
    scheduler_remove_job(site.scheduler, 1);
    scheduler_remove_job(site.scheduler, 1);
    assert_false(scheduler_find_lease(site.scheduler, site.leases[0].id, &found));
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_SUCCEEDED), TASK_DUPLICATE);
    site_add(&site, plan_of(1, 1, 10));
    assert_int_equal(site_lease(&site, 1), 2);
    site_stop(&site);
}

static void leases_are_taken_back_after_a_restart(void **state)
{
    (void)state;
    struct site site = site_start();
    struct error error = {0};
    struct lease lease = {0};
    struct ranges done = {0};
    struct job_plan plan = plan_of(1, 1, 100);
    ranges_add(&done, 0, 12);
    assert_int_equal(scheduler_add_job(site.scheduler, &plan, &done, NULL), OK);
    ranges_done(&done);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 1, 10, 30, 0, &lease, &error),
                     NOT_FOUND);
    site_add_worker(&site, 1, 2);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 1, 10, 30, 0, &lease, &error), OK);
    site_check(&site);
    assert_int_equal(site_figures(&site, 1).leased, 18);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 1, 50, 60, 0, &lease, &error), OK);
    site_check(&site);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 1, 50, 60, 0, &lease, &error),
                     NOT_FOUND);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 1, 0, 12, 0, &lease, &error), NOT_FOUND);
    assert_int_equal(scheduler_reattach(site.scheduler, 1, 7, 0, 12, 0, &lease, &error), NOT_FOUND);
    assert_int_equal(site_lease(&site, 1), 0);
    lease.from = 50;
    lease.to = 60;
    assert_int_equal(site_finish_all(&site, &lease, 10 * SECOND), 10);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].from, 30); // What was passed over comes first.
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_leases_have_one_task_a_slot),
        cmocka_unit_test(short_tasks_come_in_leases_of_half_a_second),
        cmocka_unit_test(a_nearly_done_lease_gets_one_that_follows),
        cmocka_unit_test(each_slot_always_has_work_ahead),
        cmocka_unit_test(stream_jobs_start_with_large_leases),
        cmocka_unit_test(leases_shrink_towards_the_end),
        cmocka_unit_test(groups_share_by_weight),
        cmocka_unit_test(equal_groups_take_turns_in_one_slot),
        cmocka_unit_test(priority_comes_before_age_and_age_before_the_rest),
        cmocka_unit_test(workers_prefer_jobs_whose_inputs_they_have),
        cmocka_unit_test(a_big_job_is_not_kept_out_by_small_ones),
        cmocka_unit_test(a_worker_that_is_emptied_for_a_job_and_drains_makes_way_for_another),
        cmocka_unit_test(a_failed_task_runs_again_as_often_as_it_may),
        cmocka_unit_test(a_broken_input_is_final_at_once),
        cmocka_unit_test(a_workers_fault_sends_the_task_elsewhere),
        cmocka_unit_test(a_worker_that_leaves_in_order_is_not_held_against_the_task),
        cmocka_unit_test(only_who_is_silent_for_the_whole_time_out_expires),
        cmocka_unit_test(late_results_are_used_once),
        cmocka_unit_test(results_outside_of_the_job_are_dropped),
        cmocka_unit_test(tasks_end_in_any_order_within_a_lease),
        cmocka_unit_test(what_is_returned_waits_again_without_blame),
        cmocka_unit_test(held_jobs_and_draining_workers_get_nothing),
        cmocka_unit_test(what_is_marked_done_is_not_leased),
        cmocka_unit_test(a_removed_job_takes_its_leases_along),
        cmocka_unit_test(leases_are_taken_back_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
