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
#define QUESTION                                                                                   \
    "{\"count\":4,\"memory_bytes\":1048576,\"walltime_seconds\":60,\"task_seconds\":900}"
#define NOW_US INT64_C(1000000000)
#define LIFE_US (INT64_C(1000000) * BROKER_OFFER_SECONDS)

// A broker that has no more than what offers for jobs without data take.
struct offering {
    struct site *site;
    struct broker broker;
    double core_hours; // Of the offer that was found last.
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
    const struct broker_caller asking = {caller, NOW_US, 0};
    TRY(broker_offer(&offering->broker, &asking, request, &answer, error));
    return json_parse(buffer_text(&answer), out, error);
}

static double figure_of(const json_t *document, const char *name)
{
    const json_t *number = json_object_get(document, name);
    assert_true(json_is_number(number));
    return json_number_value(number);
}

// The name of an offer that was made to the site.
static void get_offer_for(struct offering *offering, const char *caller, const char *question,
                          char out[OFFER_TEXT])
{
    AUTO_JSON json_t *document = NULL;
    struct error error = {0};
    assert_int_equal(offer(offering, caller, question, &document, &error), OK);
    const char *id = json_string_value(json_object_get(document, "offer"));
    assert_non_null(id);
    (void)snprintf(out, OFFER_TEXT, "%s", id);
}

static void get_offer(struct offering *offering, const char *caller, char out[OFFER_TEXT])
{
    get_offer_for(offering, caller, QUESTION, out);
}

// Whether a job with these members, under that offer, is taken from the site at that time.
static enum status check_job(struct offering *offering, const char *members, const char *caller,
                             const char *id, int64_t now_us, struct error *error)
{
    AUTO_FREE char *text = memory_format("{\"command\":[\"p\"]%s}", members);
    AUTO_JSON json_t *document = NULL;
    struct job_spec *spec = NULL;
    struct prepare_offer price = {0};
    const struct broker_caller asking = {caller, now_us, 0};
    assert_int_equal(json_parse(text_of(text), &document, error), OK);
    AUTO_JSON json_t *small = json_pack("{s:i, s:i, s:i}", "memory_bytes", 1048576, "disk_bytes", 0,
                                        "walltime_seconds", 60);
    assert_int_equal(json_object_update_missing(document, small), 0);
    assert_int_equal(spec_parse(document, &spec, error), OK);
    spec->offer = id;
    enum status status = broker_check_offer(&offering->broker, &asking, spec, &price, error);
    if (status == OK) {
        assert_string_equal(price.id, id);
        offering->core_hours = price.core_hours;
    }
    spec_free(spec);
    return status;
}

static enum status check(struct offering *offering, const char *caller, const char *id,
                         struct error *error)
{
    return check_job(offering, "", caller, id, NOW_US, error);
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
        "{\"data\":[{\"name\":\"t:sea\"}]}",
        "{\"data\":[{\"id\":\"t:sea\",\"digest\":\"x\"}]}",
        "{\"data\":[\"no identifier\"]}",
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
    assert_int_equal(check(offering, HOME, id, &error), OK);
    assert_int_equal(check(offering, HOME, id, &error), OK);
    assert_int_equal(check(offering, OTHER, id, &error), CONFLICT);
    assert_non_null(strstr(error.detail, id));
    assert_true(error.fix[0] != '\0');
}

static void what_was_never_offered_does_not_stand(void **state)
{
    struct offering *offering = *state;
    struct error error = {0};
    assert_int_equal(check(offering, HOME, "", &error), CONFLICT);
    assert_int_equal(check(offering, "", "", &error), CONFLICT);
    assert_int_equal(check(offering, HOME, "0123", &error), CONFLICT);
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
    assert_int_equal(check(offering, HOME, first, &error), CONFLICT);
    assert_int_equal(check(offering, HOME, second, &error), OK);
    assert_int_equal(check(offering, HOME, last, &error), OK);
}

static void an_offer_expires(void **state)
{
    struct offering *offering = *state;
    struct error error = {0};
    char id[OFFER_TEXT];
    (void)site_worker(offering->site, "desk", CPUS);
    get_offer(offering, HOME, id);
    assert_int_equal(check_job(offering, "", HOME, id, NOW_US + LIFE_US - 1, &error), OK);
    assert_int_equal(check_job(offering, "", HOME, id, NOW_US + LIFE_US, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "does not stand"));
}

static void an_offer_says_what_was_offered(void **state)
{
    struct offering *offering = *state;
    struct error error = {0};
    char id[OFFER_TEXT];
    (void)site_worker(offering->site, "desk", CPUS);
    get_offer(offering, HOME, id);
    assert_int_equal(check_job(offering, ",\"count\":2", HOME, id, NOW_US, &error), OK);
    assert_float_equal(offering->core_hours, 1, 0.001); // For all four tasks: these are a part.
}

static void a_job_that_takes_more_than_was_offered_is_refused(void **state)
{
    struct offering *offering = *state;
    static const char *const MORE[][2] = {
        {",\"count\":5", "fewer tasks"},
        {",\"cpus\":1.001", "smaller tasks"},
        {",\"memory_bytes\":1048577", "smaller tasks"},
        {",\"disk_bytes\":1", "smaller tasks"},
        {",\"walltime_seconds\":61", "shorter tasks"},
        {",\"data\":[{\"id\":\"t:sea\"}]", "other data"},
        {",\"over\":\"t:sea\"", "other data"},
    };
    char id[OFFER_TEXT];
    (void)site_worker(offering->site, "desk", CPUS);
    get_offer(offering, HOME, id);
    for (size_t i = 0; i < sizeof MORE / sizeof MORE[0]; i++) {
        struct error error = {0};
        assert_int_equal(check_job(offering, MORE[i][0], HOME, id, NOW_US, &error), CONFLICT);
        if (!strstr(error.detail, MORE[i][1])) {
            fail_msg("%s: %s", MORE[i][0], error.detail);
        }
        assert_true(error.fix[0] != '\0');
    }
}

static void find_in_table(struct offers *offers, const char *id, const struct wish *wish,
                          enum status expected)
{
    struct prepare_offer price = {0};
    struct error error = {0};
    const struct offer_claim claim = {HOME, id, wish, NOW_US};
    assert_int_equal(offers_find(offers, &claim, &price, &error), expected);
}

static void an_offer_is_for_the_content_that_was_asked_for(void **state)
{
    struct offering *offering = *state;
    AUTO_ARENA struct arena arena = {0};
    const struct fingerprint to = {HOME};
    const struct prepare_offer price = {0};
    char id[OFFER_TEXT_SIZE];
    struct wish wish = {.count = 1};
    struct wish other = {.count = 1};
    struct wish any = {.count = 1};
    struct wish part = {.count = 1};
    struct error error;
    assert_int_equal(wish_add(&wish, &arena, TEXT("doi:10.1/A"), TEXT(HOME), &error), OK);
    assert_int_equal(wish_add(&wish, &arena, TEXT("t:sea"), TEXT_NONE, &error), OK);
    assert_int_equal(wish_add(&other, &arena, TEXT("doi:10.1/a"), TEXT(OTHER), &error), OK);
    assert_int_equal(wish_add(&any, &arena, TEXT("10.1/a"), TEXT_NONE, &error), OK);
    assert_int_equal(wish_add(&part, &arena, TEXT("t:sea"), TEXT(HOME), &error), OK);
    assert_int_equal(wish_add(&part, &arena, TEXT("no identifier"), TEXT_NONE, &error), INVALID);
    offers_add(offering->broker.offers, &to, &wish, &price, NOW_US, id);
    find_in_table(offering->broker.offers, id, &wish, OK);
    find_in_table(offering->broker.offers, id, &part, OK);
    find_in_table(offering->broker.offers, id, &any, OK);
    find_in_table(offering->broker.offers, id, &other, CONFLICT);
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
        TEST(an_offer_expires),
        TEST(an_offer_says_what_was_offered),
        TEST(a_job_that_takes_more_than_was_offered_is_refused),
        TEST(an_offer_is_for_the_content_that_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
