// Groups of jobs and workers: who gets what, what a worker works for after it was moved, and after a restart of the site.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <string.h>

// Registers a worker of so many cores that says it works for these groups: a JSON array.
static int64_t worker_of(struct site *site, const char *name, int cpus, const char *groups)
{
    json_t *said = NULL;
    json_t *document = json_pack("{s:s, s:i, s:I, s:I}", "name", name, "cpus", cpus, "memory_bytes",
                                 (json_int_t)1 << 36, "disk_bytes", (json_int_t)1 << 40);
    AUTO_FREE char *wrapped = memory_format("{\"groups\": %s}", groups);
    assert_int_equal(json_parse(text_of(wrapped), &said, NULL), OK);
    (void)json_object_update(document, said);
    json_decref(said);
    struct reply reply = site_register(site, document);
    assert_int_equal(reply.status, OK);
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    return worker;
}

static enum status move_to(struct site *site, int64_t worker, const char *first, const char *second)
{
    const struct text groups[] = {text_of(first ? first : ""), text_of(second ? second : "")};
    struct reply reply = site_move(site, worker, groups, second ? 2 : first ? 1 : 0);
    enum status status = reply.status;
    reply_done(&reply);
    return status;
}

// The jobs of the leases that one poll gives, each as a digit.
static char *jobs_given(struct site *site, int64_t worker)
{
    AUTO_BUFFER struct buffer jobs = {0};
    struct reply reply = site_poll(site, worker, "{}");
    assert_int_equal(reply.status, OK);
    const json_t *leases = json_object_get(reply.document, "leases");
    for (size_t i = 0; i < json_array_size(leases); i++) {
        buffer_append_int64(&jobs,
                            json_integer_value(json_array_get(json_array_get(leases, i), 1)));
    }
    reply_done(&reply);
    return buffer_take_string(&jobs);
}

static void expect_jobs(struct site *site, int64_t worker, const char *expected)
{
    AUTO_FREE char *jobs = jobs_given(site, worker);
    assert_string_equal(jobs, expected);
}

// Jobs that compute the same would wait for each other: each group has a command of its own.
static int64_t job_of(struct site *site, const char *group, int count)
{
    AUTO_FREE char *document = memory_format(
        "{\"command\": [\"echo\", \"%s\"], \"count\": %d, \"group\": \"%s\"}", group, count, group);
    return site_job(site, document);
}

static void a_worker_gets_tasks_of_its_groups_in_their_order(void **state)
{
    struct site *site = *state;
    assert_int_equal(job_of(site, "biology", 5), 1);
    assert_int_equal(job_of(site, "spare", 5), 2);
    assert_int_equal(job_of(site, "physics", 2), 3);
    int64_t worker = worker_of(site, "desk", 4, "[\"physics\", \"spare\"]");
    expect_jobs(site, worker, "3322");
    int64_t any = worker_of(site, "rack", 8, "[]");
    expect_jobs(
        site, any,
        "11121212"); // The other group has two tasks with the first worker, and had them before.
}

static void a_job_without_a_group_is_for_its_owners_own(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"count\": 2}");
    int64_t other = job_of(site, "physics", 2);
    struct reply reply = site_show(site, job, 0);
    assert_string_equal(json_string_value(json_object_get(reply.document, "group")), "alice");
    reply_done(&reply);
    reply = site_show(site, other, 0);
    assert_string_equal(json_string_value(json_object_get(reply.document, "group")), "physics");
    reply_done(&reply);
    int64_t worker = worker_of(site, "desk", 4, "[\"alice\"]");
    expect_jobs(site, worker, "11");
}

static void a_moved_worker_is_not_restarted_and_takes_of_its_new_group(void **state)
{
    struct site *site = *state;
    assert_int_equal(job_of(site, "physics", 9), 1);
    assert_int_equal(job_of(site, "spare", 9), 2);
    int64_t worker = worker_of(site, "desk", 2, "[\"physics\"]");
    expect_jobs(site, worker, "11");
    assert_int_equal(move_to(site, worker, "spare", NULL), OK);
    expect_jobs(site, worker, ""); // Its two slots go on with what they have.
    struct reply reply = site_poll(
        site, worker,
        "{\"results\":[{\"lease\":1,\"job\":1,\"tasks\":[[0,0],[1,0]]}], \"wait_seconds\": 0}");
    const json_t *leases = json_object_get(reply.document, "leases");
    assert_int_equal(json_array_size(leases), 2);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(leases, 0), 1)), 2);
    reply_done(&reply);
}

static void a_waiting_worker_gets_tasks_when_it_is_moved(void **state)
{
    struct site *site = *state;
    assert_int_equal(job_of(site, "physics", 1), 1);
    int64_t worker = worker_of(site, "desk", 1, "[\"spare\"]");
    struct polling *polling = site_poll_begin(site, worker, "{\"wait_seconds\": 60}");
    assert_int_equal(move_to(site, worker, NULL, NULL), OK);
    struct reply reply = site_poll_end(polling);
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 1);
    reply_done(&reply);
}

static void where_a_worker_was_moved_outlives_the_site(void **state)
{
    struct site *site = *state;
    assert_int_equal(job_of(site, "physics", 5), 1);
    assert_int_equal(job_of(site, "spare", 5), 2);
    int64_t worker = worker_of(site, "desk", 1, "[\"physics\"]");
    assert_int_equal(move_to(site, worker, "spare", "physics"), OK);
    site_restart(site);
    worker = worker_of(site, "desk", 1, "[\"physics\"]");
    expect_jobs(site, worker, "2");
    // Another list is a new word of whoever started it.
    int64_t again = worker_of(site, "desk", 1, "[\"physics\", \"biology\"]");
    expect_jobs(site, again, "1");
    int64_t other = worker_of(site, "rack", 1, "[\"physics\"]");
    expect_jobs(site, other, "1");
}

static void only_workers_that_are_there_can_be_moved(void **state)
{
    struct site *site = *state;
    assert_int_equal(move_to(site, 77, "spare", NULL), NOT_FOUND);
    int64_t link = site_place_worker(
        site, "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(move_to(site, link, "spare", NULL), CONFLICT);
}

static void why_names_the_workers_of_other_groups(void **state)
{
    struct site *site = *state;
    int64_t job = job_of(site, "physics", 1);
    int64_t worker = worker_of(site, "desk", 1, "[\"spare\", \"biology\"]");
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, "no worker works for its group, \"physics\""));
    assert_non_null(strstr(why, "desk (spare,biology)"));
    assert_int_equal(move_to(site, worker, "physics", NULL), OK);
    AUTO_FREE char *now = site_why(site, job);
    assert_null(strstr(now, "no worker works"));
}

// How many of the first `count` leases of one core are of job 1.
static int first_of(struct site *site, int count)
{
    AUTO_FREE char *jobs = jobs_given(site, worker_of(site, "rack", count, "[]"));
    int of_first = 0;
    for (const char *at = jobs; *at; at++) {
        of_first += *at == '1';
    }
    return of_first;
}

static void shares_follow_the_weights_also_after_memory_was_built_anew(void **state)
{
    struct site *site = *state;
    assert_int_equal(job_of(site, "physics", 1000), 1);
    assert_int_equal(job_of(site, "spare", 1000), 2);
    queue_set_group_weight(site->queue, TEXT("physics"), 3);
    assert_in_range(first_of(site, 16), 11, 13);
    // A change that fails has memory built anew from the database, which knows of no weights.
    site->refuses_to_witness = true;
    struct reply reply = site_cancel(site, 1);
    assert_int_equal(reply.status, UNAVAILABLE);
    reply_done(&reply);
    site->refuses_to_witness = false;
    assert_in_range(first_of(site, 16), 11, 13);
}

// As the site's own check does it, of one group.
static enum status knows_physics(struct sql *sql, struct text name, struct error *error)
{
    (void)sql;
    return text_equal(name, TEXT("physics")) ? OK
                                             : error_set(error, NOT_FOUND, "there is no group");
}

static void nobody_is_moved_to_a_group_that_is_not_there(void **state)
{
    struct site *site = *state;
    site->check_group = knows_physics;
    site_restart(site);
    int64_t worker = worker_of(site, "desk", 1, "[\"physics\"]");
    assert_int_equal(move_to(site, worker, "physics", "nogroup"), NOT_FOUND);
    struct reply reply = site_list_workers(site, 0, 10);
    AUTO_BUFFER struct buffer all = {0};
    json_write(reply.document, false, &all);
    assert_non_null(strstr(all.bytes, "\"groups\":[\"physics\"]"));
    reply_done(&reply);
    assert_int_equal(move_to(site, worker, "physics", NULL), OK);
    assert_int_equal(move_to(site, worker, NULL, NULL), OK);
    // That a job is for it is enough: its user may be of another site.
    (void)job_of(site, "biology", 1);
    assert_int_equal(move_to(site, worker, "biology", NULL), OK);
}

static void who_registers_for_an_unknown_group_is_told_so(void **state)
{
    struct site *site = *state;
    site->check_group = knows_physics;
    site_restart(site);
    json_t *hello = json_pack("{s:s, s:i, s:I, s:I, s:[s, s, s]}", "name", "desk", "cpus", 1,
                              "memory_bytes", (json_int_t)1 << 36, "disk_bytes",
                              (json_int_t)1 << 40, "groups", "spaer", "physics", "phisics");
    struct reply reply = site_register(site, hello);
    assert_int_equal(reply.status, OK);
    AUTO_BUFFER struct buffer unknown = {0};
    json_write(json_object_get(reply.document, "unknown_groups"), false, &unknown);
    assert_string_equal(unknown.bytes, "[\"spaer\",\"phisics\"]");
    reply_done(&reply);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_gets_tasks_of_its_groups_in_their_order),
        TEST(a_job_without_a_group_is_for_its_owners_own),
        TEST(a_moved_worker_is_not_restarted_and_takes_of_its_new_group),
        TEST(a_waiting_worker_gets_tasks_when_it_is_moved),
        TEST(where_a_worker_was_moved_outlives_the_site),
        TEST(only_workers_that_are_there_can_be_moved),
        TEST(nobody_is_moved_to_a_group_that_is_not_there),
        TEST(who_registers_for_an_unknown_group_is_told_so),
        TEST(why_names_the_workers_of_other_groups),
        TEST(shares_follow_the_weights_also_after_memory_was_built_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
