// Jobs that bring their own software go to workers that give it to tasks, and hold up no others.
#include "../cmocka_all.h"
#include "site.h"

enum { MANY = 200 };

static void add_worker(struct site *site, int64_t id, enum spec_software software)
{
    const struct resources capacity = {.cpu_millis = 2000,
                                       .memory_bytes = INT64_C(1) << 40,
                                       .disk_bytes = INT64_C(1) << 40,
                                       .software = software};
    scheduler_add_worker(site->scheduler, id, 0, &capacity, site->now_us);
}

static void add_job(struct site *site, int64_t id, enum spec_software software)
{
    struct job_plan plan = plan_of(id, 1, 1);
    plan.need.software = software;
    site_add(site, plan);
}

static void a_job_goes_to_a_worker_that_gives_its_kind(void **state)
{
    (void)state;
    struct site site = site_start();
    add_worker(&site, 1, SPEC_SOFTWARE_HOST);
    add_worker(&site, 2, SPEC_SOFTWARE_BUNDLE);
    add_worker(&site, 3, SPEC_SOFTWARE_OCI);
    add_job(&site, 1, SPEC_SOFTWARE_OCI);
    assert_int_equal(site_lease(&site, 1), 0);
    assert_int_equal(site_lease(&site, 2), 0);
    assert_int_equal(site_lease(&site, 3), 1);
    add_job(&site, 2, SPEC_SOFTWARE_BUNDLE);
    assert_int_equal(site_lease(&site, 1), 0);
    assert_int_equal(site_lease(&site, 2), 1);
    site_stop(&site);
}

static void many_that_no_worker_can_run_hold_up_none_that_one_can(void **state)
{
    (void)state;
    struct site site = site_start();
    add_worker(&site, 1, SPEC_SOFTWARE_HOST);
    for (int64_t i = 1; i <= MANY; i++) {
        add_job(&site, i, SPEC_SOFTWARE_BUNDLE);
    }
    add_job(&site, MANY + 1, SPEC_SOFTWARE_HOST);
    assert_int_equal(site_lease(&site, 1), 1);
    assert_int_equal(site.leases[0].job, MANY + 1);
    site_stop(&site);
}

static void software_is_not_used_up(void **state)
{
    (void)state;
    struct site site = site_start();
    add_worker(&site, 1, SPEC_SOFTWARE_OCI);
    add_job(&site, 1, SPEC_SOFTWARE_OCI);
    add_job(&site, 2, SPEC_SOFTWARE_OCI);
    assert_int_equal(site_lease(&site, 1), 2);
    site_stop(&site);
}

static void why_names_the_software_that_is_missing(void **state)
{
    (void)state;
    struct site site = site_start();
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    add_worker(&site, 1, SPEC_SOFTWARE_HOST);
    add_job(&site, 1, SPEC_SOFTWARE_OCI);
    scheduler_why(site.scheduler, 1, -1, NULL, &why, &change);
    assert_non_null(strstr(why.bytes, "its own software (oci), which no worker gives"));
    assert_non_null(strstr(change.bytes, "start a worker with a sandbox"));
    site_stop(&site);
}

static void why_names_what_no_worker_has_together(void **state)
{
    (void)state;
    struct site site = site_start();
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    const struct resources large = {
        .cpu_millis = 8000, .memory_bytes = INT64_C(1) << 40, .disk_bytes = INT64_C(1) << 40};
    scheduler_add_worker(site.scheduler, 1, 0, &large, site.now_us);
    add_worker(&site, 2, SPEC_SOFTWARE_OCI);
    struct job_plan plan = plan_of(1, 1, 1);
    plan.need = (struct resources){.cpu_millis = 4000, .software = SPEC_SOFTWARE_BUNDLE};
    site_add(&site, plan);
    scheduler_why(site.scheduler, 1, -1, NULL, &why, &change);
    assert_non_null(strstr(why.bytes, "together, and gives tasks their own software (bundle)"));
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_goes_to_a_worker_that_gives_its_kind),
        cmocka_unit_test(many_that_no_worker_can_run_hold_up_none_that_one_can),
        cmocka_unit_test(software_is_not_used_up),
        cmocka_unit_test(why_names_the_software_that_is_missing),
        cmocka_unit_test(why_names_what_no_worker_has_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
