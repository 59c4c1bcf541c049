#include "site.h"

static struct job_plan labelled(int64_t id, const char *const *labels, size_t count)
{
    struct job_plan plan = plan_of(id, 1, 100);
    plan.labels = labels;
    plan.label_count = count;
    return plan;
}

static void set_labels(const struct site *site, int64_t worker, const char *first,
                       const char *second)
{
    const char *const labels[] = {first, second};
    scheduler_set_worker_labels(site->scheduler, worker, labels, second ? 2 : first ? 1 : 0);
}

static void expect(const struct site *site, int64_t job, const char *why_part,
                   const char *change_part)
{
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    scheduler_why(site->scheduler, job, -1, NULL, &why, &change);
    if (!strstr(why.bytes, why_part) || !strstr(change.bytes, change_part)) {
        fail_msg("\"%s\" / \"%s\"", why.bytes, change.bytes);
    }
}

static void labels_are_names_with_or_without_a_value(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"", "=", "=a", "a b", "a/b=c", "gpu=a\nb", "\xff=1"};
    assert_int_equal(label_check(TEXT("gpu"), NULL), OK);
    assert_int_equal(label_check(TEXT("gpu.1-a_B=x y = z"), NULL), OK);
    assert_int_equal(label_check(TEXT("gpu="), NULL), OK);
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_equal(label_check(text_of(WRONG[i]), NULL), INVALID);
    }
    AUTO_FREE char *longest = memory_format("%0*d", SPEC_LABEL_SIZE_MAX, 1);
    AUTO_FREE char *longer = memory_format("%0*d", SPEC_LABEL_SIZE_MAX + 1, 1);
    assert_int_equal(label_check(text_of(longest), NULL), OK);
    assert_int_equal(label_check(text_of(longer), NULL), INVALID);
    assert_true(label_fits("gpu=a100", "gpu"));
    assert_true(label_fits("gpu", "gpu"));
    assert_true(label_fits("gpu=a100", "gpu=a100"));
    assert_false(label_fits("gpu=a1000", "gpu=a100"));
    assert_false(label_fits("gpus=2", "gpu"));
    assert_false(label_fits("gpu", "gpu=a100"));
    assert_false(label_fits("a=b=c", "a=b"));
}

static void a_job_goes_only_where_all_its_labels_are(void **state)
{
    (void)state;
    static const char *const WANTED[] = {"gpu=a100", "zone"};
    struct site site = site_start();
    site_add(&site, labelled(1, WANTED, 2));
    site_add(&site, plan_of(2, 1, 100));
    for (int64_t worker = 1; worker <= 4; worker++) {
        site_add_worker(&site, worker, 1);
    }
    set_labels(&site, 1, "gpu=a100", NULL);
    set_labels(&site, 2, "zone=hall2", "gpu=h100");
    set_labels(&site, 3, "zone=hall2", "gpu=a100");
    for (int64_t worker = 1; worker <= 4; worker++) {
        assert_int_equal(site_lease(&site, worker), 1);
        assert_int_equal(site.leases[0].job, worker == 3 ? 1 : 2); // Job 1 is the older one.
    }
    site_stop(&site);
}

static void it_says_which_label_is_nowhere(void **state)
{
    (void)state;
    static const char *const WANTED[] = {"zone=hall2", "gpu=a100"};
    struct site site = site_start();
    site_add(&site, labelled(1, WANTED, 2));
    site_add_worker(&site, 1, 1);
    set_labels(&site, 1, "zone=hall2", NULL);
    expect(&site, 1, "it needs gpu=a100; no worker has it", "lode worker --label gpu=a100");
    site_add_worker(&site, 2, 1);
    set_labels(&site, 2, "gpu=a100", NULL);
    expect(&site, 1,
           "no worker that takes tasks has all that it needs together: zone=hall2, gpu=a100",
           "all of it");
    set_labels(&site, 2, "gpu=a100", "zone=hall2"); // Labels may change.
    expect(&site, 1, "1 worker has room", "");
    scheduler_drain_worker(site.scheduler, 2, true);
    expect(&site, 1, "it needs gpu=a100; no worker that takes tasks has it", "lode worker --label");
    scheduler_drain_worker(site.scheduler, 2, false);
    assert_int_equal(site_lease(&site, 1), 0);
    assert_int_equal(site_lease(&site, 2), 1);
    site_stop(&site);
}

static void gpus_are_counted_as_cores_are(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 100);
    plan.need.gpus = 2;
    site_add(&site, plan);
    site_add_worker(&site, 1, 64);
    expect(&site, 1, "needs 2 gpus; no worker has more than 0", "lode worker --gpus N");
    const struct resources capacity = {.cpu_millis = 64000, .gpus = 5};
    scheduler_add_worker(site.scheduler, 1, 0, &capacity, site.now_us);
    assert_int_equal(site_lease(&site, 1), 2);
    assert_int_equal(site_lease(&site, 1), 0);
    expect(&site, 1, "all workers are busy", "");
    site_stop(&site);
}

// More different labels than there are bits, then fewer again.
static void any_number_of_labels_is_told_apart(void **state)
{
    (void)state;
    enum { MANY = 200 };
    struct site site = site_start();
    for (int64_t round = 0; round < 2; round++) {
        for (int64_t i = 1; i <= MANY; i++) {
            AUTO_FREE char *label = memory_format("set=%lld", (long long)i);
            const char *const labels[] = {label};
            site_add(&site, labelled(i, labels, 1));
            site_add_worker(&site, i, 1);
            set_labels(&site, i, label, NULL);
        }
        for (int64_t i = MANY; i >= 1; i--) {
            assert_int_equal(site_lease(&site, i), 1);
            assert_int_equal(site.leases[0].job, i);
        }
        for (int64_t i = 1; i <= MANY; i++) {
            scheduler_remove_job(site.scheduler, i);
            scheduler_remove_worker(site.scheduler, i, false, site.now_us, NULL);
        }
    }
    site_stop(&site);
}

// What a job says twice it takes one bit for, and gives that back.
static void a_label_that_is_said_twice_counts_once(void **state)
{
    (void)state;
    enum { MANY = 100, BEHIND = 1001 };
    struct site site = site_start();
    for (int64_t i = 1; i <= MANY; i++) {
        AUTO_FREE char *label = memory_format("set=%lld", (long long)i);
        const char *const labels[] = {label, label};
        site_add(&site, labelled(i, labels, 2));
        scheduler_remove_job(site.scheduler, i);
    }
    // So there are bits still, with which a worker passes over any number of jobs that are not for it.
    const char *const labels[] = {"gpu"};
    for (int64_t i = 1; i <= BEHIND; i++) {
        site_add(&site, labelled(i, labels, 1));
    }
    site_add(&site, plan_of(BEHIND + 1, 1, 1));
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, BEHIND + 1);
    site_stop(&site);
}

static struct job_plan with_inputs(int64_t id, int64_t bytes)
{
    struct job_plan plan = plan_of(id, 1, 4);
    plan.inputs = 77;
    plan.input_bytes = bytes;
    return plan;
}

static void a_job_waits_for_who_has_its_inputs_as_long_as_fetching_takes(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, with_inputs(1, INT64_C(400) << 20)); // About four seconds.
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    assert_int_equal(site_lease(&site, 1), 1); // Nobody has them: the first who asks gets it.
    assert_int_equal(site_lease(&site, 2), 0);
    expect(&site, 1, "it waits for a worker that has its inputs (400 MiB)", "nothing");
    int64_t again_us = scheduler_lease_again_us(site.scheduler, 2, site.now_us);
    assert_true(again_us > site.now_us + 4 * SECOND && again_us < site.now_us + 5 * SECOND);
    // Other work is not held up by that.
    site_add(&site, plan_of(2, 1, 1));
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site.leases[0].job, 2);
    assert_int_equal(scheduler_finish(site.scheduler, site.leases[0].id, 2, (struct task_id){2, 0},
                                      TASK_SUCCEEDED, 10, site.now_us),
                     TASK_COMMIT);
    site.now_us = again_us;
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site.leases[0].job, 1);
    site_stop(&site);
}

static void nobody_waits_for_small_inputs_or_for_workers_that_have_left(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add_worker(&site, 1, 1);
    scheduler_set_worker_sees_inputs(site.scheduler, 1);
    site_add_worker(&site, 2, 1);
    site_add(&site, with_inputs(1, 1 << 20));
    assert_int_equal(site_lease(&site, 2), 1);
    scheduler_remove_job(site.scheduler, 1);
    struct job_plan plan = with_inputs(3, INT64_C(1) << 40);
    plan.inputs = 78;
    site_add(&site, plan);
    assert_int_equal(site_lease(&site, 2), 0);
    scheduler_remove_worker(site.scheduler, 1, false, site.now_us, NULL);
    assert_int_equal(site_lease(&site, 2), 1);
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_names_with_or_without_a_value),
        cmocka_unit_test(a_job_goes_only_where_all_its_labels_are),
        cmocka_unit_test(it_says_which_label_is_nowhere),
        cmocka_unit_test(gpus_are_counted_as_cores_are),
        cmocka_unit_test(a_job_waits_for_who_has_its_inputs_as_long_as_fetching_takes),
        cmocka_unit_test(nobody_waits_for_small_inputs_or_for_workers_that_have_left),
        cmocka_unit_test(any_number_of_labels_is_told_apart),
        cmocka_unit_test(a_label_that_is_said_twice_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
