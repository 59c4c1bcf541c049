#include "ask_world.h"

#include "../cmocka_all.h"

#include "os/clock.h"

static void a_hub_is_asked_not_to_ask_others_and_its_answer_is_remembered(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    AUTO_JSON json_t *asked = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(asked, "source"), "hub");
    assert_string_equal(member(asked, "hub"), "first");
    assert_string_equal(member(location_at(asked, 0), "name"), "ocean");
    assert_string_equal(world->hubs[0].query, "forward=false");
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 0);
    close_resolver(world);
    open_resolver(world);
    AUTO_JSON json_t *remembered = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(remembered, "source"), "memory");
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 1);
    AUTO_JSON json_t *anew = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(anew, "source"), "hub");
}

static void an_answer_that_did_not_change_is_not_written_again(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    int64_t writes = store_figures(world->store).writes;
    for (int i = 0; i < 5; i++) {
        json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    }
    assert_int_equal(store_figures(world->store).writes, writes + 5);
    hub_knows(world, 0, 2);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    assert_int_equal(store_figures(world->store).writes, writes + 7);
}

static void the_second_hub_is_asked_when_the_first_is_dead(void **state)
{
    struct world *world = *state;
    fake_hub_stop(&world->hubs[0]);
    hub_knows(world, 1, 1);
    AUTO_JSON json_t *document = resolved(world, "ark:1/x", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
    assert_string_equal(member(document, "id"), "doi:10.1/a");
}

static void all_hubs_dead_the_remembered_answer_counts_with_its_age(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    fake_hub_stop(&world->hubs[0]);
    fake_hub_stop(&world->hubs[1]);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(document, "source"), "memory");
    assert_true(json_is_integer(json_object_get(document, "age_seconds")));
    assert_string_equal(member(location_at(document, 0), "liveness"), "unknown");
    struct error error = {0};
    assert_int_equal(refused(world, "doi:10.1/b", &error), UNAVAILABLE);
    assert_non_null(strstr(error.detail, "first ("));
    assert_non_null(strstr(error.detail, "second ("));
}

static void a_hub_with_a_part_of_the_logs_does_not_hide_what_another_one_has(void **state)
{
    struct world *world = *state;
    hub_knows_two(world, 0);
    hub_knows_two(world, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 0);
    hub_knows(world, 0, 3);
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(both), 2);
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 1);
    for (size_t i = 0; i < 2; i++) { // The newer entry of ocean, which only the first hub has.
        int64_t serial = json_integer_value(
            json_object_get(json_object_get(location_at(both, i), "entry"), "serial"));
        assert_int_equal(serial,
                         strcmp(member(location_at(both, i), "name"), "ocean") == 0 ? 3 : 4);
    }
}

static void a_hub_that_does_not_answer_omits_nothing(void **state)
{
    struct world *world = *state;
    hub_knows_two(world, 0);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    // The first one has a part of the logs from now on, and the second one, which has all, is out of order just then.
    hub_knows(world, 0, 2);
    fake_hub_says(&world->hubs[1], HUB_ANSWERS, 503, TEXT("{}"));
    AUTO_JSON json_t *fewer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(fewer), 1);
    hub_knows_two(world, 1);
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(both), 2);
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 2);
}

static void what_newer_answers_omit_counts_with_its_age_when_nobody_answers(void **state)
{
    struct world *world = *state;
    world->hub_count = 1;
    hub_knows_two(world, 0);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    hub_knows(world, 0, 3);
    AUTO_JSON json_t *fewer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(fewer), 1);
    AUTO_JSON json_t *fresh = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(fresh, "source"), "memory");
    assert_int_equal(location_count(fresh), 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    fake_hub_stop(&world->hubs[0]);
    AUTO_JSON json_t *all = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(all), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *location = location_at(all, i);
        bool is_omitted = strcmp(member(location, "name"), "ice") == 0;
        int64_t age = json_integer_value(json_object_get(location, "age_seconds"));
        assert_true(is_omitted ? age > 0 : age == 0);
    }
}

static void the_own_replica_alone_comes_with_the_hubs_that_did_not_answer(void **state)
{
    struct world *world = *state;
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    fake_hub_stop(&world->hubs[0]);
    fake_hub_stop(&world->hubs[1]);
    AUTO_JSON json_t *alone = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(alone, "source"), "own");
    assert_non_null(strstr(member(alone, "unanswered"), "first ("));
    assert_non_null(strstr(member(alone, "unanswered"), "second ("));
}

static void the_own_replica_is_there_whatever_hubs_say(void **state)
{
    struct world *world = *state;
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    AUTO_JSON json_t *alone = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(alone, "source"), "own");
    assert_string_equal(member(location_at(alone, 0), "name"), "self");
    hub_knows(world, 0, 1);
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(both, "source"), "hub");
    assert_string_equal(member(location_at(both, 0), "name"), "self");
    assert_string_equal(member(location_at(both, 1), "name"), "ocean");
    AUTO_JSON json_t *here = resolved(world, "doi:10.1/a", RESOLVE_HERE);
    assert_int_equal(json_array_size(json_object_get(here, "locations")), 1);
}

static void what_is_known_here_of_a_site_counts_for_more_than_what_a_hub_says(void **state)
{
    struct world *world = *state;
    world->knows_ocean = true;
    hub_knows(world, 0, 1);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(location_at(document, 0), "name"), "ocean as known here");
}

static void an_unknown_name_says_who_was_asked_and_is_not_asked_for_again(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "doi:10.1/none"));
    assert_non_null(strstr(error.detail, "first, second"));
    struct error again = {0};
    assert_int_equal(refused(world, "doi:10.1/none", &again), NOT_FOUND);
    assert_string_equal(again.detail, error.detail);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 1);
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 1);
}

static void a_name_is_not_taken_for_unknown_when_a_hub_was_not_reached(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    fake_hub_stop(&world->hubs[1]);
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "second ("));
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 2);
}

static void without_hubs_an_unknown_name_is_refused_at_once(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    world->hub_count = 0;
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "doi:10.1/none"));
}

static void a_silent_hub_costs_bounded_time_once(void **state)
{
    struct world *world = *state;
    fake_hub_says(&world->hubs[0], HUB_SILENT, 0, TEXT_NONE);
    hub_knows(world, 1, 1);
    int64_t before_us = clock_steady_us();
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
    assert_true(clock_steady_us() - before_us < RESOLVE_WAIT_US + BUSY_MACHINE_US);
    AUTO_JSON json_t *again = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(again, "hub"), "second");
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 1);
}

static void the_hubs_are_told(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer out = {0};
    resolver_write_hubs(world->resolver, &out);
    AUTO_JSON json_t *hubs = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &hubs, NULL), OK);
    assert_int_equal(json_array_size(hubs), HUBS);
    const json_t *second = json_array_get(hubs, 1);
    assert_string_equal(member(second, "name"), "second");
    assert_string_equal(member(second, "url"), world->hubs[1].hub.url);
    assert_string_equal(member(second, "site"), world->hubs[1].hub.site.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hub_is_asked_not_to_ask_others_and_its_answer_is_remembered),
        TEST(an_answer_that_did_not_change_is_not_written_again),
        TEST(the_second_hub_is_asked_when_the_first_is_dead),
        TEST(all_hubs_dead_the_remembered_answer_counts_with_its_age),
        TEST(a_hub_with_a_part_of_the_logs_does_not_hide_what_another_one_has),
        TEST(a_hub_that_does_not_answer_omits_nothing),
        TEST(what_newer_answers_omit_counts_with_its_age_when_nobody_answers),
        TEST(the_own_replica_alone_comes_with_the_hubs_that_did_not_answer),
        TEST(the_own_replica_is_there_whatever_hubs_say),
        TEST(what_is_known_here_of_a_site_counts_for_more_than_what_a_hub_says),
        TEST(an_unknown_name_says_who_was_asked_and_is_not_asked_for_again),
        TEST(a_name_is_not_taken_for_unknown_when_a_hub_was_not_reached),
        TEST(without_hubs_an_unknown_name_is_refused_at_once),
        TEST(a_silent_hub_costs_bounded_time_once),
        TEST(the_hubs_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
