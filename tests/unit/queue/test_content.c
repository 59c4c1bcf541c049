// Jobs that say which content of their data they are for.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#define OCEAN "sha256:0cea000000000000000000000000000000000000000000000000000000000000"
#define NOTHING "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define CHANGED "sha256:0100000000000000000000000000000000000000000000000000000000000000"
#define BOUND "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:two\", \"digest\": \"" NOTHING "\"}]}"
#define OVER                                                                                       \
    "{\"command\": [\"p\", \"{file}\"], \"over\": \"t:two\", \"over_digest\": \"" NOTHING "\"}"

static void a_job_for_this_content_is_taken(void **state)
{
    struct site *site = *state;
    (void)site_job(site, BOUND);
    (void)site_job(site, OVER);
}

static void a_job_for_other_content_is_refused_with_both_digests(void **state)
{
    struct site *site = *state;
    static const char *const DOCUMENTS[] = {BOUND, OVER};
    site->catalog.content = 1;
    for (size_t i = 0; i < sizeof DOCUMENTS / sizeof DOCUMENTS[0]; i++) {
        struct reply reply = site_submit(site, DOCUMENTS[i], NULL);
        assert_int_equal(reply.status, CONFLICT);
        assert_non_null(strstr(reply.error.detail, "t:two is " CHANGED));
        assert_non_null(strstr(reply.error.detail, "for " NOTHING));
        assert_true(reply.error.fix[0] != '\0');
        reply_done(&reply);
    }
}

static void what_a_job_runs_over_must_be_the_same_when_its_files_were_listed(void **state)
{
    struct site *site = *state;
    site->catalog.changes_at_a_look = true;
    struct reply reply = site_submit(site, OVER, NULL);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.detail, "at this very moment"));
    reply_done(&reply);
}

static void the_content_is_no_part_of_what_is_asked_for_by_name(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t first = site_job(site, BOUND);
    site->setups = memory_format("{\"job\":%lld,\"executable\":\"/data/two/p\","
                                 "\"executable_digest\":\"" OCEAN "\",\"host\":\"here\"}",
                                 (long long)first);
    assert_int_equal(site_run_all(site, worker), 1);
    int64_t again = site_job(site, "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:two\"}]}");
    struct reply reply = site_show(site, again, 0);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cached"), 1);
    reply_done(&reply);
}

static void what_was_submitted_is_given_again_after_its_data_has_changed(void **state)
{
    struct site *site = *state;
    struct reply first = site_submit(site, BOUND, "key");
    assert_int_equal(first.status, OK);
    site->catalog.content = 1;
    struct reply again = site_submit(site, BOUND, "key");
    assert_int_equal(again.status, OK);
    assert_int_equal(number_of(again.document, "id"), number_of(first.document, "id"));
    struct reply other = site_submit(site, BOUND, "other key");
    assert_int_equal(other.status, CONFLICT);
    reply_done(&first);
    reply_done(&again);
    reply_done(&other);
}

static enum status each_file(void *context,
                             enum status (*visit)(void *visitor, const struct prepare_file *file,
                                                  struct error *error),
                             void *visitor, struct error *error)
{
    (void)context;
    struct prepare_file file = {.path = TEXT("a"), .size_bytes = 1};
    return visit(visitor, &file, error);
}

static void a_job_that_travels_takes_the_content_along(void **state)
{
    struct site *site = *state;
    static const struct prepare_known_data KNOWN[] = {
        {.id = "t:two", .file_count = 1, .digest = {{1}}, .each_file = each_file},
        {.id = "t:sky", .file_count = 1},
    };
    int64_t link = site_place_worker(site, OCEAN);
    site->to =
        (struct prepare_destination){.place = text_of(OCEAN), .data = KNOWN, .data_count = 2};
    (void)site_job(site,
                   "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:sky\"}], \"over\": \"t:two\"}");
    struct reply reply = site_poll(site, link, "{}");
    const json_t *told = json_array_get(json_object_get(reply.document, "jobs"), 0);
    const json_t *spec = json_object_get(told, "spec");
    const json_t *datum = json_array_get(json_object_get(spec, "data"), 0);
    assert_string_equal(json_string_value(json_object_get(datum, "digest")), NOTHING);
    assert_string_equal(json_string_value(json_object_get(spec, "over_digest")), CHANGED);
    reply_done(&reply);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_for_this_content_is_taken),
        TEST(a_job_for_other_content_is_refused_with_both_digests),
        TEST(what_a_job_runs_over_must_be_the_same_when_its_files_were_listed),
        TEST(the_content_is_no_part_of_what_is_asked_for_by_name),
        TEST(what_was_submitted_is_given_again_after_its_data_has_changed),
        TEST(a_job_that_travels_takes_the_content_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
