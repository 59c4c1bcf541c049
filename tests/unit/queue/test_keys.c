// Idempotency keys: one is for one document of one owner.
#include "../cmocka_all.h"
#include "fixture.h"

#include <string.h>

static const char ONE[] = "{\"command\": [\"one\"]}";
static const char OTHER[] = "{\"command\": [\"other\"]}";

static int64_t job_under(struct site *site, const char *document, const char *key)
{
    struct reply reply = site_submit(site, document, key);
    if (reply.status != OK) {
        fail_msg("%s", reply.error.detail);
    }
    int64_t job = number_of(reply.document, "id");
    reply_done(&reply);
    return job;
}

static void the_same_document_under_a_key_is_the_same_job(void **state)
{
    struct site *site = *state;
    int64_t job = job_under(site, ONE, "key");
    site_restart(site);
    assert_int_equal(job_under(site, ONE, "key"), job);
    assert_int_not_equal(job_under(site, ONE, "another"), job);
    site->owner = "bob";
    assert_int_not_equal(job_under(site, OTHER, "key"), job);
}

static void another_document_under_a_key_is_refused_and_changes_nothing(void **state)
{
    struct site *site = *state;
    int64_t job = job_under(site, ONE, "key");
    size_t witnessed = site->witnessed_count;
    struct reply reply = site_submit(site, OTHER, "key");
    assert_int_equal(reply.status, CORRUPT);
    assert_non_null(strstr(reply.error.detail, "it made job 1"));
    assert_non_null(strstr(reply.error.fix, "under a new key"));
    assert_int_equal(site->witnessed_count, witnessed);
    assert_int_equal(site_job(site, OTHER), job + 1); // No number was used up.
}

static void a_job_of_an_older_version_is_given_whatever_the_document(void **state)
{
    struct site *site = *state;
    site->keeps_no_request = true;
    int64_t job = job_under(site, ONE, "key");
    site->keeps_no_request = false;
    assert_int_equal(job_under(site, OTHER, "key"), job);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_same_document_under_a_key_is_the_same_job),
        TEST(another_document_under_a_key_is_refused_and_changes_nothing),
        TEST(a_job_of_an_older_version_is_given_whatever_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
