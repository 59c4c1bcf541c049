// What this site offers to others, and whom it keeps its word to.
#include "../cmocka_all.h"
#include "../queue/fixture.h"

#include "base/memory.h"
#include "broker/state.h"

#include <stdio.h>

#define HOME "sha256:40fe000000000000000000000000000000000000000000000000000000000000"
#define OTHER "sha256:07e4000000000000000000000000000000000000000000000000000000000000"
#define SELF "sha256:5e1f000000000000000000000000000000000000000000000000000000000000"

enum { CPUS = 4, OFFER_TEXT = 64 };

// A broker that has no more than what offers for jobs without data take.
struct offering {
    struct site *site;
    struct broker broker;
};

static int start(void **state)
{
    struct offering *offering = NEW(struct offering);
    void *site = NULL;
    assert_int_equal(site_setup(&site), 0);
    offering->site = site;
    offering->broker =
        (struct broker){.queue = offering->site->queue, .self = {SELF}, .offers = offers_new()};
    *state = offering;
    return 0;
}

static int stop(void **state)
{
    struct offering *offering = *state;
    void *site = offering->site;
    offers_free(offering->broker.offers);
    free(offering);
    return site_teardown(&site);
}

static enum status offer(struct offering *offering, const char *caller, const char *question,
                         json_t **out, struct error *error)
{
    AUTO_JSON json_t *request = NULL;
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(json_parse(text_of(question), &request, error), OK);
    TRY(broker_offer(&offering->broker, caller, request, &answer, error));
    return json_parse(buffer_text(&answer), out, error);
}

static double figure_of(const json_t *document, const char *name)
{
    const json_t *number = json_object_get(document, name);
    assert_true(json_is_number(number));
    return json_number_value(number);
}

// The name of an offer that was made to the site.
static void get_offer(struct offering *offering, const char *caller, char out[OFFER_TEXT])
{
    AUTO_JSON json_t *document = NULL;
    struct error error = {0};
    assert_int_equal(offer(offering, caller, "{}", &document, &error), OK);
    const char *id = json_string_value(json_object_get(document, "offer"));
    assert_non_null(id);
    (void)snprintf(out, OFFER_TEXT, "%s", id);
}

static void an_offer_has_the_figures_of_the_whole_job(void **state)
{
    struct offering *offering = *state;
    AUTO_JSON json_t *document = NULL;
    struct error error = {0};
    (void)site_worker(offering->site, "desk", CPUS);
    assert_int_equal(
        offer(offering, HOME, "{\"count\":9,\"cpus\":2,\"task_seconds\":200}", &document, &error),
        OK);
    const json_t *price = json_object_get(document, "price");
    assert_string_equal(json_string_value(json_object_get(document, "site")), SELF);
    assert_float_equal(figure_of(document, "slots"), 2, 0);
    assert_float_equal(figure_of(document, "run_seconds"), 1000, 0.001); // Five rounds of two.
    assert_float_equal(figure_of(document, "stage_bytes"), 0, 0);
    assert_float_equal(figure_of(price, "core_hours"), 1, 0.001);
    assert_float_equal(figure_of(price, "bytes"), 0, 0);
}

static void what_no_worker_can_run_is_not_offered(void **state)
{
    struct offering *offering = *state;
    json_t *document = NULL;
    struct error error = {0};
    assert_int_equal(offer(offering, HOME, "{}", &document, &error), UNAVAILABLE);
    assert_non_null(strstr(error.detail, "no workers"));
    (void)site_worker(offering->site, "desk", CPUS);
    assert_int_equal(offer(offering, HOME, "{\"cpus\":5}", &document, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "large enough"));
}

static void a_question_that_is_wrong_is_refused(void **state)
{
    struct offering *offering = *state;
    static const char *const WRONG[] = {
        "{\"wish\":1}",
        "{\"data\":[1]}",
        "{\"data\":[\"\"]}",
        "{\"data\":\"t:sea\"}",
        "{\"count\":-1}",
        "{\"cpus\":0}",
        "{\"task_seconds\":-1}",
        "{\"stage\":\"no\"}",
        "{\"memory_bytes\":-1}",
        "{\"disk_bytes\":0.5}",
        "{\"walltime_seconds\":2e9}",
    };
    (void)site_worker(offering->site, "desk", CPUS);
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        json_t *document = NULL;
        struct error error = {0};
        assert_int_equal(offer(offering, HOME, WRONG[i], &document, &error), INVALID);
    }
}

static void an_offer_stands_for_the_site_that_it_was_made_to(void **state)
{
    struct offering *offering = *state;
    struct error error = {0};
    char id[OFFER_TEXT];
    (void)site_worker(offering->site, "desk", CPUS);
    get_offer(offering, HOME, id);
    assert_int_equal(broker_check_offer(&offering->broker, HOME, id, &error), OK);
    assert_int_equal(broker_check_offer(&offering->broker, HOME, id, &error), OK);
    assert_int_equal(broker_check_offer(&offering->broker, OTHER, id, &error), CONFLICT);
    assert_non_null(strstr(error.detail, id));
    assert_true(error.fix[0] != '\0');
}

static void what_was_never_offered_does_not_stand(void **state)
{
    struct offering *offering = *state;
    struct error error = {0};
    assert_int_equal(broker_check_offer(&offering->broker, HOME, "", &error), CONFLICT);
    assert_int_equal(broker_check_offer(&offering->broker, "", "", &error), CONFLICT);
    assert_int_equal(broker_check_offer(&offering->broker, HOME, "0123", &error), CONFLICT);
}

static void the_oldest_offers_are_forgotten_first(void **state)
{
    struct offering *offering = *state;
    struct error error = {0};
    char first[OFFER_TEXT];
    char second[OFFER_TEXT];
    char last[OFFER_TEXT];
    (void)site_worker(offering->site, "desk", CPUS);
    get_offer(offering, HOME, first);
    get_offer(offering, HOME, second);
    for (int i = 0; i < BROKER_OFFERS_MAX - 1; i++) {
        get_offer(offering, HOME, last);
    }
    assert_int_equal(broker_check_offer(&offering->broker, HOME, first, &error), CONFLICT);
    assert_int_equal(broker_check_offer(&offering->broker, HOME, second, &error), OK);
    assert_int_equal(broker_check_offer(&offering->broker, HOME, last, &error), OK);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_offer_has_the_figures_of_the_whole_job),
        TEST(what_no_worker_can_run_is_not_offered),
        TEST(a_question_that_is_wrong_is_refused),
        TEST(an_offer_stands_for_the_site_that_it_was_made_to),
        TEST(what_was_never_offered_does_not_stand),
        TEST(the_oldest_offers_are_forgotten_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
