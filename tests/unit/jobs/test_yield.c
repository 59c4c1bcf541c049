// Tasks with checkpoints that give up their cores, so that a group that waits gets its share.
#include "site.h"

enum { PHYSICS = 1, BIOLOGY = 2, CHEMISTRY = 3, TICK_US = 250000 };

// A job of tasks of one core that can go on from what they have stored each second.
static struct job_plan resumable(int64_t id, int64_t group, int64_t count)
{
    struct job_plan plan = plan_of(id, group, count);
    plan.checkpoint_us = SECOND;
    return plan;
}

// All that runs has just stored a checkpoint.
static void store(struct site *site)
{
    for (int64_t job = 1; job <= 4; job++) {
        for (int64_t index = 0; index < 20; index++) {
            scheduler_note_checkpoint(site->scheduler, (struct task_id){job, index});
        }
    }
}

static size_t yields(struct site *site)
{
    store(site);
    site->count = scheduler_yields(site->scheduler, site->now_us, site->leases, LEASES_MAX);
    site_check(site);
    return site->count;
}

// As the site does it, for so long: how many leases are to be given up. Those of the last tick that had some are in site->leases.
static size_t yields_within(struct site *site, int64_t duration_us)
{
    struct lease last[LEASES_MAX];
    size_t last_count = 0;
    size_t count = 0;
    for (int64_t until_us = site->now_us + duration_us; site->now_us < until_us;) {
        site->now_us += TICK_US;
        count += yields(site);
        if (site->count > 0) {
            memcpy(last, site->leases, sizeof last);
            last_count = site->count;
        }
    }
    memcpy(site->leases, last, sizeof last);
    site->count = last_count;
    return count;
}

static void give_back(struct site *site, const struct lease *lease)
{
    scheduler_return(site->scheduler, lease->id, lease->from, lease->to);
    site_check(site);
}

// Worker 1 has so many cores, and all of them run tasks of job 1 since ten seconds.
static struct site full_site(struct job_plan plan, int64_t cpus)
{
    struct site site = site_start();
    site_add(&site, plan);
    site_add_worker(&site, 1, cpus);
    assert_int_equal(site_lease(&site, 1), cpus);
    site.now_us += 10 * SECOND;
    return site;
}

static void a_group_that_waits_gets_its_half_and_nothing_is_to_blame(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 10), 4);
    site_add(&site, plan_of(2, BIOLOGY, 10));
    assert_int_equal(yields_within(&site, 2 * SECOND), 0); // It might find room by itself.
    assert_int_equal(yields_within(&site, TICK_US), 2);
    struct lease given[2] = {site.leases[0], site.leases[1]};
    assert_int_equal(given[0].job, 1);
    assert_int_equal(given[1].job, 1);
    for (int i = 0; i < 2; i++) {
        give_back(&site, &given[i]);
        assert_int_equal(site_lease(&site, 1), 1); // What is freed is for it.
        assert_int_equal(site.leases[0].job, 2);
        assert_int_equal(scheduler_attempts(site.scheduler, (struct task_id){1, given[i].from}), 0);
    }
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_stop(&site);
}

static void what_has_no_checkpoints_runs_to_its_end(void **state)
{
    (void)state;
    struct site site = full_site(plan_of(1, PHYSICS, 4), 4);
    site_add(&site, plan_of(2, BIOLOGY, 10));
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_stop(&site);
    // Also beside one that has some.
    site = full_site(resumable(1, PHYSICS, 1), 1);
    site_add_worker(&site, 1, 4);
    site_add(&site, plan_of(3, PHYSICS, 3));
    assert_int_equal(site_lease(&site, 1), 3);
    site.now_us += 10 * SECOND;
    site_add(&site, plan_of(2, BIOLOGY, 10));
    assert_int_equal(yields_within(&site, 60 * SECOND), 1);
    assert_int_equal(site.leases[0].job, 1);
    site_stop(&site);
}

static void jobs_of_one_group_yield_nothing_to_each_other(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 10), 4);
    struct job_plan urgent = plan_of(2, PHYSICS, 10);
    urgent.priority = 10;
    site_add(&site, urgent);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_stop(&site);
}

static void a_held_job_gets_nothing(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 10), 4);
    site_add(&site, plan_of(2, BIOLOGY, 10));
    scheduler_hold(site.scheduler, 2, true);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    scheduler_hold(site.scheduler, 2, false);
    assert_int_equal(yields_within(&site, 3 * SECOND), 2);
    site_stop(&site);
}

// How many leases are to be given up in so long, of tasks that store nothing.
static size_t yields_unstored(struct site *site, int64_t duration_us)
{
    size_t count = 0;
    for (int64_t until_us = site->now_us + duration_us; site->now_us < until_us;) {
        site->now_us += TICK_US;
        count += scheduler_yields(site->scheduler, site->now_us, site->leases, LEASES_MAX);
        site_check(site);
    }
    return count;
}

// Another job of biology with one task waits, and gets the cores of a task of job 1 within seconds; then its task ends, and the other one
// goes on. Returns that one's lease from before.
static struct lease give_way_once(struct site *site, int64_t job,
                                  size_t (*wait)(struct site *site, int64_t duration_us))
{
    site_add(site, plan_of(job, BIOLOGY, 1));
    assert_int_equal(wait(site, 4 * SECOND), 1);
    struct lease given = site->leases[0];
    assert_int_equal(given.job, 1);
    give_back(site, &given);
    assert_int_equal(site_lease(site, 1), 1);
    assert_int_equal(site->leases[0].job, job);
    assert_int_equal(site_finish_all(site, &site->leases[0], SECOND), 1);
    assert_int_equal(site_lease(site, 1), 1);
    assert_int_equal(site->leases[0].from, given.from);
    return given;
}

static void a_task_runs_for_ten_seconds_and_two_intervals_once_it_gave_way(void **state)
{
    (void)state;
    struct job_plan plan = resumable(1, PHYSICS, 2);
    plan.checkpoint_us = 20 * SECOND;
    struct site site = full_site(plan, 2);
    site.now_us -= 10 * SECOND;
    site_add(&site, plan_of(2, BIOLOGY, 1));
    assert_int_equal(yields_within(&site, 9 * SECOND), 0);
    scheduler_remove_job(site.scheduler, 2);
    struct lease first = give_way_once(&site, 3, yields_within);
    struct lease second = give_way_once(&site, 4, yields_within);
    assert_int_not_equal(first.from, second.from);
    site_add(&site, plan_of(5, BIOLOGY, 1));
    assert_int_equal(yields_within(&site, 30 * SECOND), 0);
    assert_int_equal(yields_within(&site, 10 * SECOND), 1);
    assert_int_equal(site.leases[0].from, first.from);
    site_stop(&site);
}

static void a_task_that_has_stored_nothing_when_it_should_have_keeps_its_cores(void **state)
{
    (void)state;
    struct job_plan plan = resumable(1, PHYSICS, 2);
    plan.checkpoint_us = 20 * SECOND;
    struct site site = full_site(plan, 2);
    site.now_us += 30 * SECOND;
    site_add(&site, plan_of(2, BIOLOGY, 1));
    assert_int_equal(yields_unstored(&site, 300 * (int64_t)SECOND), 0);
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    site_stop(&site);
    // One that is younger loses little.
    site = full_site(plan, 2);
    site_add(&site, plan_of(2, BIOLOGY, 1));
    assert_int_equal(yields_unstored(&site, 3 * SECOND), 1);
    site_stop(&site);
}

static void a_task_that_gave_way_does_not_again_before_it_got_further(void **state)
{
    (void)state;
    struct job_plan plan = resumable(1, PHYSICS, 2);
    plan.checkpoint_us = 20 * SECOND;
    struct site site = full_site(plan, 2);
    struct lease first = give_way_once(&site, 2, yields_within);
    struct lease second = give_way_once(&site, 3, yields_unstored);
    assert_int_not_equal(first.from, second.from);
    site_add(&site, plan_of(4, BIOLOGY, 1));
    assert_int_equal(yields_unstored(&site, 600 * (int64_t)SECOND), 0);
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    site_stop(&site);
}

static void nothing_is_given_up_while_there_is_room(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 4), 4);
    site_add_worker(&site, 1, 5);
    site_add(&site, plan_of(2, BIOLOGY, 10));
    struct job_plan wide = plan_of(3, CHEMISTRY, 1); // It comes behind that.
    wide.need.cpu_millis = 2000;
    site_add(&site, wide);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_stop(&site);
}

static void each_lease_is_asked_for_once(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 2), 2);
    site_add(&site, plan_of(2, BIOLOGY, 10));
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    struct lease first = site.leases[0];
    // Its worker does not know how. The other one is as good, then.
    assert_int_equal(yields_within(&site, 50 * SECOND), 0);
    assert_int_equal(yields_within(&site, 20 * SECOND), 1);
    assert_int_not_equal(site.leases[0].id, first.id);
    assert_int_equal(yields_within(&site, 600 * (int64_t)SECOND), 0);
    give_back(&site, &first);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 2);
    site_stop(&site);
}

static void a_big_task_gets_several_leases_of_one_worker_or_none(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 8), 4);
    struct job_plan big = plan_of(2, BIOLOGY, 1);
    site_add_worker(&site, 2, 4);
    assert_int_equal(site_lease(&site, 2), 4);
    site.now_us += 10 * SECOND;
    big.need.cpu_millis = 3000;
    site_add(&site, big);
    assert_int_equal(yields_within(&site, 3 * SECOND), 3);
    struct lease given[3] = {site.leases[0], site.leases[1], site.leases[2]};
    for (int i = 0; i < 3; i++) {
        int64_t worker = given[0].worker;
        assert_int_equal(given[i].worker, worker);
        give_back(&site, &given[i]);
        assert_int_equal(site_lease(&site, worker), i == 2); // Until all of them have come.
        assert_int_equal(site_lease(&site, 3 - worker), 0);
    }
    assert_int_equal(site_figures(&site, 2).leased, 1);
    site_stop(&site);
}

static void no_more_is_given_up_than_is_needed(void **state)
{
    (void)state;
    struct job_plan large = resumable(1, PHYSICS, 2);
    struct job_plan wanted = plan_of(3, BIOLOGY, 1);
    struct site site = site_start();
    large.need.cpu_millis = 3000;
    site_add(&site, large);
    site_add_worker(&site, 1, 8);
    assert_int_equal(site_lease(&site, 1), 2);
    site_add(&site, resumable(2, PHYSICS, 2));
    assert_int_equal(site_lease(&site, 1), 2);
    site.now_us += 10 * SECOND;
    wanted.need.cpu_millis = 3000;
    site_add(&site, wanted);
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    assert_int_equal(site.leases[0].job, 1);
    site_stop(&site);
}

static void a_task_that_would_have_more_than_it_leaves_gets_nothing(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 4), 4);
    struct job_plan big = plan_of(2, BIOLOGY, 1);
    big.need.cpu_millis = 3000;
    site_add(&site, big);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_add(&site, plan_of(3, CHEMISTRY, 1)); // And is in nobody's way.
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    site_stop(&site);
}

static void weights_say_how_much(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 12), 12);
    scheduler_set_group_weight(site.scheduler, BIOLOGY, 3);
    site_add(&site, plan_of(2, BIOLOGY, 100));
    assert_int_equal(yields_within(&site, 30 * SECOND), 9);
    site_stop(&site);
}

static void nobody_gets_more_than_tasks_wait(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 12), 12);
    site_add(&site, plan_of(2, BIOLOGY, 1));
    assert_int_equal(yields_within(&site, 30 * SECOND), 1);
    scheduler_remove_job(site.scheduler, 2); // And what was held for it is free.
    give_back(&site, &site.leases[0]);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 1);
    site_stop(&site);
}

// Worker 1 works for physics, then for biology. What the latter runs there makes way for the former whatever their shares, and never
// the other way.
static void a_worker_with_groups_keeps_to_their_order(void **state)
{
    (void)state;
    const int64_t groups[] = {PHYSICS, BIOLOGY};
    struct site site = site_start();
    site_add(&site, resumable(1, PHYSICS, 2));
    site_add_worker(&site, 1, 2);
    scheduler_set_worker_groups(site.scheduler, 1, groups, 2);
    assert_int_equal(site_lease(&site, 1), 2);
    site.now_us += 10 * SECOND;
    site_add(&site, resumable(2, BIOLOGY, 2));
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    assert_int_equal(
        site_finish_all(&site, &(struct lease){.job = 1, .worker = 1, .to = 2}, SECOND), 2);
    assert_int_equal(site_lease(&site, 1), 2);
    site.now_us += 10 * SECOND;
    site_add(&site, plan_of(3, CHEMISTRY, 2)); // It does not work for these.
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_add(&site, plan_of(4, PHYSICS, 2));
    assert_int_equal(yields_within(&site, 2 * SECOND), 0);
    assert_int_equal(yields_within(&site, SECOND), 2);
    site_stop(&site);
}

static void what_the_worker_may_not_have_gets_nothing_there(void **state)
{
    (void)state;
    const char *const needs[] = {"gpu=a100"};
    const struct worker_limits limits = {.owner = 7};
    struct site site = full_site(resumable(1, PHYSICS, 2), 2);
    struct job_plan labelled = plan_of(2, BIOLOGY, 1);
    labelled.labels = needs;
    labelled.label_count = 1;
    site_add(&site, labelled);
    struct job_plan elsewhere = plan_of(3, BIOLOGY, 1);
    elsewhere.place = 1;
    site_add(&site, elsewhere);
    site_add(&site, plan_of(4, BIOLOGY, 1));
    scheduler_refuse(site.scheduler, 1, 4);
    struct job_plan large = plan_of(5, BIOLOGY, 1);
    large.need.cpu_millis = 3000;
    site_add(&site, large);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    scheduler_limit_worker(site.scheduler, 1, &limits);
    site_add(&site, plan_of(6, BIOLOGY, 1));
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    struct job_plan own = plan_of(7, BIOLOGY, 1);
    own.owner = 7;
    site_add(&site, own);
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    site_stop(&site);
}

static void a_worker_that_drains_is_asked_for_nothing(void **state)
{
    (void)state;
    struct site site = full_site(resumable(1, PHYSICS, 2), 2);
    site_add(&site, plan_of(2, BIOLOGY, 1));
    scheduler_drain_worker(site.scheduler, 1, true);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_stop(&site);
}

static void what_another_place_carries_is_asked_for_nothing(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan first = resumable(1, PHYSICS, 1);
    struct job_plan second = plan_of(2, BIOLOGY, 1);
    first.place = 1;
    second.place = 1;
    site_add(&site, first);
    site_add_worker_at(&site, 1, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    site_add(&site, second);
    assert_int_equal(yields_within(&site, 60 * SECOND), 0);
    site_stop(&site);
}

static void the_richest_gives_and_of_it_the_least_urgent_then_the_newest(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan urgent = resumable(1, PHYSICS, 2);
    urgent.priority = 5;
    site_add(&site, urgent);
    site_add_worker(&site, 1, 6);
    assert_int_equal(site_lease(&site, 1), 2);
    site_add(&site, resumable(2, PHYSICS, 2));
    assert_int_equal(site_lease(&site, 1), 2);
    site_add(&site, resumable(3, CHEMISTRY, 2));
    assert_int_equal(site_lease(&site, 1), 2);
    site.now_us += 10 * SECOND;
    site_add(&site, plan_of(4, BIOLOGY, 1));
    assert_int_equal(yields_within(&site, 3 * SECOND), 1);
    assert_int_equal(site.leases[0].job, 2);
    assert_int_equal(site.leases[0].from, 1);
    site_stop(&site);
}

// Two groups with work for ever, on so many slots: what is asked for until nothing is any more.
static size_t settle(struct site *site, struct lease *given, int64_t seconds)
{
    size_t total = 0;
    size_t count = 0;
    for (int64_t i = 0; i < seconds * 4; i++) {
        site->now_us += TICK_US;
        for (size_t k = 0; k < count; k++) {
            give_back(site, &given[k]);
        }
        while (site_lease(site, 1) > 0) {
        }
        count = yields(site);
        memcpy(given, site->leases, sizeof site->leases);
        total += count;
    }
    return total;
}

static void groups_never_take_from_each_other_in_turns(void **state)
{
    (void)state;
    for (int64_t cpus = 1; cpus <= 9; cpus += 2) {
        struct lease given[LEASES_MAX];
        struct site site = full_site(resumable(1, PHYSICS, 1000), cpus);
        site_add(&site, resumable(2, BIOLOGY, 1000));
        assert_int_equal(settle(&site, given, 600), cpus / 2);
        site_add(&site, resumable(3, CHEMISTRY, 1000));
        size_t third = settle(&site, given, 600);
        assert_in_range(third, cpus / 3, cpus / 3);
        site_stop(&site);
    }
}

// A worker whose tasks end and begin all the time: those of job 1 take up to a minute and give way, those of job 2 up to two seconds.
struct flow {
    struct site site;
    struct lease held[LEASES_MAX];
    int64_t ends_us[LEASES_MAX];
    size_t count;
    unsigned seed;
};

static void drop(struct flow *flow, size_t at)
{
    flow->held[at] = flow->held[--flow->count];
    flow->ends_us[at] = flow->ends_us[flow->count];
}

static void step(struct flow *flow)
{
    flow->site.now_us += TICK_US / 5;
    for (size_t i = flow->count; i-- > 0;) {
        if (flow->ends_us[i] <= flow->site.now_us) {
            (void)site_finish_all(&flow->site, &flow->held[i], SECOND);
            drop(flow, i);
        }
    }
    for (size_t i = site_lease(&flow->site, 1); i-- > 0;) {
        const struct lease *lease = &flow->site.leases[i];
        scheduler_note_checkpoint(flow->site.scheduler, (struct task_id){lease->job, lease->from});
        int64_t most_us = flow->site.leases[i].job == 1 ? 60 * SECOND : 2 * SECOND;
        flow->held[flow->count] = flow->site.leases[i];
        flow->ends_us[flow->count++] = flow->site.now_us + rand_r(&flow->seed) % most_us;
    }
}

// How many leases are given up in so long.
static size_t run_flow(struct flow *flow, int64_t seconds)
{
    size_t total = 0;
    for (int64_t i = 0; i < seconds * 20; i++) {
        step(flow);
        if (i % 5 != 0) {
            continue;
        }
        total += yields(&flow->site);
        for (size_t k = 0; k < flow->count; k++) {
            for (size_t j = 0; j < flow->site.count; j++) {
                if (flow->held[k].id == flow->site.leases[j].id) {
                    give_back(&flow->site, &flow->held[k]);
                    drop(flow, k--);
                    break;
                }
            }
        }
    }
    return total;
}

static void groups_in_balance_take_little_from_each_other(void **state)
{
    (void)state;
    struct flow flow = {.site = site_start(), .seed = 1};
    site_add(&flow.site, resumable(1, PHYSICS, 1000000));
    site_add_worker(&flow.site, 1, 20);
    (void)run_flow(&flow, 60);
    site_add(&flow.site, plan_of(2, BIOLOGY, 1000000));
    assert_in_range(run_flow(&flow, 60), 1, 10);
    assert_in_range(run_flow(&flow, 3600), 0, 50); // Of many thousands that end.
    site_stop(&flow.site);
}

static void expect_why(const struct site *site, int64_t job, int64_t index, const char *part)
{
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    scheduler_why(site->scheduler, job, index, NULL, &why, &change);
    if (!strstr(why.bytes, part)) {
        fail_msg("\"%s\"", why.bytes);
    }
}

static void it_says_who_gives_up_what_for_whom(void **state)
{
    (void)state;
    struct job_plan plan = resumable(1, PHYSICS, 4);
    plan.group_name = "physics";
    struct site site = full_site(plan, 4);
    site_add(&site, plan_of(2, BIOLOGY, 5));
    assert_int_equal(yields_within(&site, 3 * SECOND), 2);
    struct lease given = site.leases[0];
    expect_why(&site, 2, -1,
               "2 tasks of group \"physics\", which has more than its share, are giving up their "
               "cores for it");
    expect_why(&site, 1, given.from, "it is running on worker 1; it gives up its cores for");
    give_back(&site, &given);
    expect_why(&site, 2, -1, "1 task of group \"physics\"");
    expect_why(
        &site, 1, given.from,
        "it gave up its cores for another group, as its own has more than its share or comes "
        "after that one there, and goes on from its last checkpoint; ");
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_that_waits_gets_its_half_and_nothing_is_to_blame),
        cmocka_unit_test(what_has_no_checkpoints_runs_to_its_end),
        cmocka_unit_test(jobs_of_one_group_yield_nothing_to_each_other),
        cmocka_unit_test(a_held_job_gets_nothing),
        cmocka_unit_test(a_task_runs_for_ten_seconds_and_two_intervals_once_it_gave_way),
        cmocka_unit_test(a_task_that_has_stored_nothing_when_it_should_have_keeps_its_cores),
        cmocka_unit_test(a_task_that_gave_way_does_not_again_before_it_got_further),
        cmocka_unit_test(nothing_is_given_up_while_there_is_room),
        cmocka_unit_test(each_lease_is_asked_for_once),
        cmocka_unit_test(a_big_task_gets_several_leases_of_one_worker_or_none),
        cmocka_unit_test(no_more_is_given_up_than_is_needed),
        cmocka_unit_test(a_task_that_would_have_more_than_it_leaves_gets_nothing),
        cmocka_unit_test(weights_say_how_much),
        cmocka_unit_test(nobody_gets_more_than_tasks_wait),
        cmocka_unit_test(a_worker_with_groups_keeps_to_their_order),
        cmocka_unit_test(what_the_worker_may_not_have_gets_nothing_there),
        cmocka_unit_test(a_worker_that_drains_is_asked_for_nothing),
        cmocka_unit_test(what_another_place_carries_is_asked_for_nothing),
        cmocka_unit_test(the_richest_gives_and_of_it_the_least_urgent_then_the_newest),
        cmocka_unit_test(groups_never_take_from_each_other_in_turns),
        cmocka_unit_test(groups_in_balance_take_little_from_each_other),
        cmocka_unit_test(it_says_who_gives_up_what_for_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
