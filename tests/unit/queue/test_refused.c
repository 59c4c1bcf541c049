// Jobs that come under an offer, and jobs that a site refuses as they were planned.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#define OCEAN "sha256:0cea000000000000000000000000000000000000000000000000000000000000"
#define LAND "sha256:1a4d000000000000000000000000000000000000000000000000000000000000"
#define TWO_TASKS "{\"command\": [\"p\"], \"count\": 2, \"data\": [{\"id\": \"t:two\"}]}"

static const struct prepare_known_data BEFORE = {.id = "t:two", .file_count = 2};
static const struct prepare_known_data NOW = {.id = "t:two", .file_count = 2, .digest = {{1}}};

static struct prepare_destination
destination(const char *place, const struct prepare_known_data *data, const char *offer)
{
    return (struct prepare_destination){.place = text_of(place),
                                        .data = data,
                                        .data_count = 1,
                                        .offer = {.id = offer, .core_hours = 1.5, .bytes = 7}};
}

static int64_t job_at(struct site *site, const char *offer)
{
    site->to = destination(OCEAN, &BEFORE, offer);
    return site_job(site, TWO_TASKS);
}

static void refuse(struct site *site, int64_t job, const char *offer)
{
    struct reply reply = site_refused(site, job, offer);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

// What the poll of the worker is told: so many leases, and the spec of the first job (borrowed), or NULL.
static const json_t *told_of(const struct reply *reply, size_t leases)
{
    assert_int_equal(json_array_size(json_object_get(reply->document, "leases")), leases);
    const json_t *job = json_array_get(json_object_get(reply->document, "jobs"), 0);
    return json_object_get(job, "spec");
}

static void assert_is(const json_t *object, const char *name, const char *expected)
{
    const char *value = json_string_value(json_object_get(object, name));
    assert_non_null(value);
    assert_string_equal(value, expected);
}

static void assert_why(struct site *site, int64_t job, const char *part)
{
    AUTO_FREE char *why = site_why(site, job);
    if (!strstr(why, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, why);
    }
}

static void an_offer_is_in_the_job_its_records_and_what_is_sent(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, "o-1");
    int64_t link = site_place_worker(site, OCEAN);
    struct reply reply = site_poll(site, link, "{}");
    assert_is(told_of(&reply, 1), "offer", "o-1");
    reply_done(&reply);
    site_restart(site);
    link = site_place_worker(site, OCEAN);
    assert_int_equal(site_run_all(site, link), 2);
    reply = site_show(site, job, 0);
    const json_t *offer = json_object_get(reply.document, "offer");
    assert_is(offer, "offer", "o-1");
    assert_float_equal(json_number_value(json_object_get(offer, "core_hours")), 1.5, 0);
    assert_int_equal(number_of(offer, "bytes"), 7);
    reply_done(&reply);
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *record = NULL;
    assert_int_equal(queue_show_task(site->queue, job, 1, &text, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&text), &record, NULL), OK);
    assert_is(json_object_get(record, "offer"), "offer", "o-1");
}

static void a_refused_job_is_taken_back_and_goes_on_as_it_is_planned_then(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, "o-1");
    int64_t link = site_place_worker(site, OCEAN);
    struct reply reply = site_poll(site, link, "{}");
    (void)told_of(&reply, 1);
    reply_done(&reply);
    refuse(site, job, "o-1");
    assert_why(site, job, "the sea is rough");
    reply = site_poll(site, link, "{}");
    (void)told_of(&reply, 0);
    reply_done(&reply);
    const struct prepare_destination to = destination(OCEAN, &NOW, "o-2");
    reply = site_release(site, job, &to);
    assert_int_equal(reply.status, OK);
    assert_is(json_object_get(reply.document, "offer"), "offer", "o-2");
    reply_done(&reply);
    reply = site_poll(site, link, "{}");
    const json_t *drops = json_object_get(reply.document, "drop_jobs");
    assert_int_equal(json_integer_value(json_array_get(drops, 0)), job);
    const json_t *spec = told_of(&reply, 1);
    assert_is(spec, "offer", "o-2");
    assert_is(json_array_get(json_object_get(spec, "data"), 0), "digest",
              "sha256:0100000000000000000000000000000000000000000000000000000000000000");
    reply_done(&reply);
}

static void a_refused_job_may_go_to_another_place(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, NULL);
    int64_t ocean = site_place_worker(site, OCEAN);
    struct reply reply = site_poll(site, ocean, "{}");
    (void)told_of(&reply, 1);
    reply_done(&reply);
    refuse(site, job, NULL);
    site_restart(site);
    assert_why(site, job, "the sea is rough");
    const struct prepare_destination to = destination(LAND, &NOW, NULL);
    reply = site_release(site, job, &to);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_int_equal(site_run_all(site, site_place_worker(site, LAND)), 2);
    assert_job(site, job, "succeeded", 2);
}

// The link says what it held before the site was started again.
static void a_lease_of_a_held_job_is_not_taken_into_the_books_again(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, NULL);
    struct reply reply = site_poll(site, site_place_worker(site, OCEAN), "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    int64_t number = json_integer_value(json_array_get(lease, 0));
    reply_done(&reply);
    refuse(site, job, NULL);
    site_restart(site);
    AUTO_FREE char *said =
        memory_format("{\"leases\":[[%lld,%lld,0,2]]}", (long long)number, (long long)job);
    reply = site_poll(site, site_place_worker(site, OCEAN), said);
    const json_t *cancels = json_object_get(reply.document, "cancel");
    assert_int_equal(json_integer_value(json_array_get(cancels, 0)), number);
    reply_done(&reply);
    const struct prepare_destination to = destination(LAND, &NOW, NULL);
    reply = site_release(site, job, &to);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static void what_was_begun_is_not_finished_with_other_data(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, NULL);
    int64_t link = site_place_worker(site, OCEAN);
    struct reply reply = site_poll(site, link, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    AUTO_FREE char *result =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}",
                      (long long)json_integer_value(json_array_get(lease, 0)), (long long)job);
    reply_done(&reply);
    reply = site_poll(site, link, result);
    reply_done(&reply);
    assert_job(site, job, "running", 1);
    refuse(site, job, NULL);
    const struct prepare_destination other = destination(OCEAN, &NOW, NULL);
    reply = site_release(site, job, &other);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.detail, "other data"));
    reply_done(&reply);
    const struct prepare_destination same = destination(LAND, &BEFORE, NULL);
    reply = site_release(site, job, &same);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static void a_refusal_of_what_was_planned_anew_already_changes_nothing(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, "o-2");
    size_t witnessed = site->witnessed_count;
    refuse(site, job, "o-1");
    refuse(site, job, NULL);
    assert_int_equal(site_run_all(site, site_place_worker(site, OCEAN)), 2);
    job = job_at(site, "o-3");
    witnessed = site->witnessed_count;
    refuse(site, job, "o-3");
    refuse(site, job, "o-3");
    assert_int_equal(site->witnessed_count, witnessed + 1);
}

static void what_goes_nowhere_is_not_refused_elsewhere(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, TWO_TASKS);
    struct reply reply = site_refused(site, job, NULL);
    assert_int_equal(reply.status, CONFLICT);
    reply_done(&reply);
    reply = site_refused(site, 4711, NULL);
    assert_int_equal(reply.status, CONFLICT);
    reply_done(&reply);
}

static void a_refusal_that_is_not_witnessed_changes_nothing(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, NULL);
    site->refuses_to_witness = true;
    struct reply reply = site_refused(site, job, NULL);
    assert_int_equal(reply.status, UNAVAILABLE);
    reply_done(&reply);
    site->refuses_to_witness = false;
    assert_int_equal(site_run_all(site, site_place_worker(site, OCEAN)), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_offer_is_in_the_job_its_records_and_what_is_sent),
        TEST(a_refused_job_is_taken_back_and_goes_on_as_it_is_planned_then),
        TEST(a_refused_job_may_go_to_another_place),
        TEST(a_lease_of_a_held_job_is_not_taken_into_the_books_again),
        TEST(what_was_begun_is_not_finished_with_other_data),
        TEST(a_refusal_of_what_was_planned_anew_already_changes_nothing),
        TEST(what_goes_nowhere_is_not_refused_elsewhere),
        TEST(a_refusal_that_is_not_witnessed_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
