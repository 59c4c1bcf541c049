// Jobs that bring their own software: what workers are told, and which workers they go to, over a restart too.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <stdio.h>

static void keep_blob(struct site *site, const char *content, char digest[DIGEST_TEXT_SIZE])
{
    struct blob_writer *writer = NULL;
    struct digest name;
    int64_t size = 0;
    assert_int_equal(blob_writer_new(site->blobs, &writer, NULL), OK);
    assert_int_equal(blob_writer_append(writer, text_of(content), NULL), OK);
    assert_int_equal(blob_writer_commit(writer, NULL, &name, &size, NULL), OK);
    (void)digest_to_text(&name, digest);
}

static char *document_of(struct site *site, const char *kind, const char *content)
{
    char digest[DIGEST_TEXT_SIZE];
    keep_blob(site, content, digest);
    return memory_format(
        "{\"command\": [\"tool\"], \"software\": {\"kind\": \"%s\", \"blob\": \"%s\", "
        "\"name\": \"tools\"}}",
        kind, digest);
}

static void expect_no_lease(struct site *site, int64_t worker)
{
    struct reply reply = site_poll(site, worker, "{}");
    assert_int_equal(reply.status, OK);
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 0);
    reply_done(&reply);
}

static void expect_why(struct site *site, int64_t job, const char *words)
{
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, words));
}

static void a_job_waits_for_a_worker_that_gives_its_kind_over_a_restart_too(void **state)
{
    struct site *site = *state;
    AUTO_FREE char *document = document_of(site, "bundle", "archive");
    int64_t plain = site_worker(site, "plain", 1);
    int64_t job = site_job(site, document);
    expect_no_lease(site, plain);
    expect_why(site, job, "its own software (bundle)");
    site_restart(site);
    plain = site_worker(site, "plain", 1);
    expect_no_lease(site, plain);
    expect_why(site, job, "its own software (bundle)");
}

static void the_blob_must_be_here(void **state)
{
    struct site *site = *state;
    struct reply reply =
        site_submit(site,
                    "{\"command\": [\"tool\"], \"software\": {\"kind\": \"oci\", \"blob\": "
                    "\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}}",
                    NULL);
    assert_int_equal(reply.status, NOT_FOUND);
    assert_non_null(strstr(reply.error.detail, "the oci names the blob"));
    assert_non_null(strstr(reply.error.fix, "upload it first"));
    reply_done(&reply);
}

static void workers_and_status_list_the_kinds(void **state)
{
    struct site *site = *state;
    (void)site_worker(site, "plain", 1);
    struct reply reply = site_list_workers(site, 0, 10);
    const json_t *worker = json_array_get(json_object_get(reply.document, "workers"), 0);
    const json_t *kinds = json_object_get(worker, "software");
    assert_int_equal(json_array_size(kinds), 1);
    assert_true(text_equal(json_text(json_array_get(kinds, 0)), TEXT("host")));
    reply_done(&reply);
    AUTO_JSON json_t *status = json_object();
    assert_int_equal(queue_describe(site->queue, status, NULL), OK);
    assert_int_equal(json_array_size(json_object_get(status, "software")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_job_waits_for_a_worker_that_gives_its_kind_over_a_restart_too, site_setup,
            site_teardown),
        cmocka_unit_test_setup_teardown(the_blob_must_be_here, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(workers_and_status_list_the_kinds, site_setup,
                                        site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
