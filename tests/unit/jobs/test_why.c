#include "site.h"

// What is said of job 1 (or one task of it), which is to run at the place of these words (NULL: here), has both parts.
static void expect_at(const struct site *site, int64_t index, const struct place_words *words,
                      const char *why_part, const char *change_part)
{
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    buffer_append_string(&why, "");
    buffer_append_string(&change, "");
    scheduler_why(site->scheduler, 1, index, words, &why, &change);
    if (!strstr(why.bytes, why_part) || !strstr(change.bytes, change_part)) {
        fail_msg("\"%s\" / \"%s\"", why.bytes, change.bytes);
    }
}

static void expect_not(const struct site *site, const struct place_words *words, const char *part)
{
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    scheduler_why(site->scheduler, 1, -1, words, &why, &change);
    assert_null(strstr(why.bytes, part));
}

static void expect(const struct site *site, int64_t index, const char *why_part,
                   const char *change_part)
{
    expect_at(site, index, NULL, why_part, change_part);
}

static void it_says_when_there_is_no_worker(void **state)
{
    (void)state;
    struct site site = site_start();
    expect(&site, -1, "job 1 is not waiting here", "");
    site_add(&site, plan_of(1, 1, 4));
    expect(&site, -1, "there are no workers", "lode worker");
    site_add_worker(&site, 1, 1);
    scheduler_drain_worker(site.scheduler, 1, true);
    expect(&site, -1, "the only one is draining", "add a worker");
    scheduler_drain_worker(site.scheduler, 1, false);
    expect(&site, -1, "1 worker has room for it", "next asks");
    scheduler_hold(site.scheduler, 1, true);
    expect(&site, -1, "it is held", "starts by itself");
    site_stop(&site);
}

static void it_says_when_no_worker_can(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 4));
    site_add(&site, plan_of(2, 1, 4));
    site_add_worker(&site, 1, 1);
    site_add_worker(&site, 2, 1);
    scheduler_refuse(site.scheduler, 1, 1);
    scheduler_refuse(site.scheduler, 9, 1);
    scheduler_refuse(site.scheduler, 1, 9);
    expect(&site, -1, "1 worker has room for it", "");
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, 2); // Though job 1 is the older one.
    scheduler_refuse(site.scheduler, 2, 1);
    expect(&site, -1, "no worker can run it", "");
    assert_int_equal(site_lease(&site, 2), 1);
    assert_int_equal(site.leases[0].job, 2);
    site_stop(&site);
}

static void what_a_worker_cannot_run_does_not_hide_what_it_can(void **state)
{
    (void)state;
    enum { REFUSED = 20 };
    struct site site = site_start();
    site_add_worker(&site, 1, 1);
    for (int64_t i = 1; i <= REFUSED + 1; i++) {
        site_add(&site, plan_of(i, 1, 1));
        if (i <= REFUSED) {
            scheduler_refuse(site.scheduler, 1, i);
        }
    }
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, REFUSED + 1);
    site_stop(&site);
}

static void it_names_what_is_too_big_with_numbers(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1);
    plan.need = (struct resources){.cpu_millis = 64000, .memory_bytes = INT64_C(8) << 30};
    site_add(&site, plan);
    site_add_worker(&site, 1, 2);
    expect(&site, -1, "needs 64 cpus; the largest worker has 2", "at most 2 cpus");
    const struct resources many_cpus = {.cpu_millis = 64000, .memory_bytes = INT64_C(4) << 30};
    scheduler_add_worker(site.scheduler, 1, 0, &many_cpus, site.now_us);
    expect(&site, -1, "needs 8 GiB of memory; the largest worker has 4 GiB", "at most 4 GiB");
    const struct resources much_memory = {.cpu_millis = 1000, .memory_bytes = INT64_C(16) << 30};
    scheduler_add_worker(site.scheduler, 2, 0, &much_memory, site.now_us);
    expect(&site, -1, "together", "larger worker");
    site_stop(&site);
}

static void it_says_who_is_busy_and_who_comes_first(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan urgent = plan_of(2, 1, 10);
    urgent.priority = 1;
    site_add(&site, urgent);
    site_add(&site, plan_of(1, 1, 10));
    site_add(&site, plan_of(3, 2, 10));
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    expect(&site, -1, "all workers are busy that could run it (1 slot)", "add workers");
    expect(&site, -1, "group 2 comes first", "");
    expect(&site, -1, "1 job of the same group comes first", "higher priority");
    site_stop(&site);
}

// As they wait for a worker that is not there, whoever else waits does not wait for them.
static void it_names_nobody_first_who_can_run_nowhere(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan vast = plan_of(2, 1, 10);
    vast.need.cpu_millis = 64000;
    vast.priority = 1;
    site_add(&site, vast);
    site_add(&site, plan_of(1, 1, 10));
    vast.id = 3;
    vast.group = 2;
    site_add(&site, vast);
    site_add_worker(&site, 1, 1);
    assert_int_equal(site_lease(&site, 1), 1);
    expect(&site, -1, "all workers are busy that could run it (1 slot)", "add workers");
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    scheduler_why(site.scheduler, 1, -1, NULL, &why, &change);
    buffer_append_byte(&why, '\0');
    buffer_append_byte(&change, '\0');
    assert_null(strstr(why.bytes, "first"));
    assert_null(strstr(change.bytes, "priority"));
    site_stop(&site);
}

static void it_says_where_a_task_is(void **state)
{
    (void)state;
    struct site site = site_start();
    struct job_plan plan = plan_of(1, 1, 1000);
    plan.retries.times[CAUSE_FAIL] = 3;
    site_add(&site, plan);
    site_add_worker(&site, 1, 1);
    expect(&site, 1000, "no task 1000", "");
    assert_int_equal(site_lease(&site, 1), 1);
    expect(&site, 0, "running on worker 1", "nothing");
    assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_FAILED), TASK_RETRY);
    expect(&site, 0, "it has failed 1 time and may 2 more; ", "");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(site_lease(&site, 1), 1);
        assert_int_equal(site_finish(&site, &site.leases[0], 0, TASK_FAILED), TASK_RETRY);
    }
    expect(&site, 0, "it has failed 3 times, which is as often as it may; ", "");
    scheduler_touch_worker(site.scheduler, 1, site.now_us);
    const struct lease none = {.job = 1, .worker = 9, .from = 500, .to = 510};
    assert_int_equal(site_finish_all(&site, &none, 10), 10);
    expect(&site, 505, "it has finished", "");
    site_stop(&site);
}

static void it_says_what_a_task_comes_after(void **state)
{
    (void)state;
    struct site site = site_start();
    site_add(&site, plan_of(1, 1, 100000));
    site_add_worker(&site, 1, 1);
    const struct lease known = {.job = 1, .worker = 9, .from = 0, .to = 100};
    assert_int_equal(site_finish_all(&site, &known, 100 * 1000), 100);
    assert_int_equal(site_lease(&site, 1), 1);
    struct lease lease = site.leases[0];
    expect(&site, lease.from + 3, "behind 3 other tasks in its slot", "");
    site.now_us += SECOND;
    assert_int_equal(site_lease(&site, 1), 1);
    expect(&site, site.leases[0].from, "behind work that is nearly done", "");
    expect(&site, -1, "of its tasks are with workers", "");
    site_stop(&site);
}

static void it_says_what_a_job_of_another_place_waits_for(void **state)
{
    (void)state;
    struct site site = site_start();
    struct place_words words = {.name = "ocean"};
    struct job_plan plan = plan_of(1, 1, 10);
    plan.place = 1;
    site_add(&site, plan);
    site_add_worker(&site, 1, 8);
    expect_at(&site, -1, &words, "it waits for site ocean: nothing here takes jobs there", "link");
    words.problem = "it does not answer";
    words.change = "it is asked again in 4 s";
    expect_at(&site, 3, &words, "it waits for site ocean: it does not answer", "again in 4 s");
    words.problem = NULL;
    site_add_worker_at(&site, 2, 1, 1);
    expect_at(&site, -1, &words, "waits for site ocean: it is being handed over", "nothing");
    assert_int_equal(site_lease(&site, 2), 1);
    words.handed = "2031-05-06T07:08:09Z";
    expect_at(&site, -1, &words,
              "10 of its tasks were handed to site ocean at 2031-05-06T07:08:09Z",
              "nothing needs to be done");
    expect_not(&site, &words, "begun");
    expect_not(&site, &words, "runs");
    words.begun = PLACE_BEGUN_NOTHING;
    expect_at(&site, -1, &words, "07:08:09Z; none of its tasks has begun there yet",
              "nothing needs to be done");
    words.said = "all workers are busy";
    words.said_change = "wait";
    expect_at(&site, -1, &words,
              "none of its tasks has begun there yet; site ocean says: all workers are busy",
              "at site ocean: wait");
    words.said = NULL;
    words.begun = PLACE_BEGUN_SOMETHING;
    expect_at(&site, -1, &words,
              "10 of its tasks were handed to site ocean at 2031-05-06T07:08:09Z; it runs there",
              "nothing needs to be done");
    words.problem = "it does not answer";
    expect_at(&site, 3, &words, "09Z; it runs there; it does not answer", "again in 4 s");
    scheduler_return(site.scheduler, site.leases[0].id, 4, 10);
    expect_at(&site, 3, &words, "; the rest waits for site ocean: it does not answer", "again");
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_when_there_is_no_worker),
        cmocka_unit_test(it_says_when_no_worker_can),
        cmocka_unit_test(what_a_worker_cannot_run_does_not_hide_what_it_can),
        cmocka_unit_test(it_names_what_is_too_big_with_numbers),
        cmocka_unit_test(it_says_who_is_busy_and_who_comes_first),
        cmocka_unit_test(it_names_nobody_first_who_can_run_nowhere),
        cmocka_unit_test(it_says_where_a_task_is),
        cmocka_unit_test(it_says_what_a_task_comes_after),
        cmocka_unit_test(it_says_what_a_job_of_another_place_waits_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
