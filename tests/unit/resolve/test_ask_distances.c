#include "ask_world.h"

#include "../cmocka_all.h"

#include "resolve/distances.h"

// Appends `text` up to and with `old`, for which `new` is written; returns the rest.
static const char *append_replaced(const char *text, const char *old, const char *new,
                                   struct buffer *out)
{
    const char *at = strstr(text, old);
    assert_non_null(at);
    buffer_append(out, text, (size_t)(at - text));
    buffer_append_string(out, new);
    return at + strlen(old);
}

// Appends a location of the site that signs.
static void write_at(const struct signer *signer, const char *liveness, const char *url,
                     struct buffer *locations)
{
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer location = {0};
    write_entry(signer, &(struct entry_fields){0}, &entry);
    write_location(signer, "far", buffer_text(&entry), &location);
    buffer_append_string(locations, locations->length > 0 ? "," : "");
    const char *rest = append_replaced(location.bytes, "https://far.example", url, locations);
    buffer_append_string(locations, append_replaced(rest, "up", liveness, locations));
}

// The same at the address of the second hub.
static void write_near(struct world *world, const struct signer *signer, struct buffer *locations)
{
    write_at(signer, "up", world->hubs[1].hub.url, locations);
}

// The first hub says that the second one, whose address this is, has the dataset too.
static void hub_names_a_site_that_can_be_called(struct world *world)
{
    AUTO_BUFFER struct buffer near = {0};
    AUTO_BUFFER struct buffer document = {0};
    write_near(world, &world->hubs[1].signer, &near);
    write_document(buffer_text(&near), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
}

static json_t *measured(struct world *world, int64_t wait_us)
{
    AUTO_BUFFER struct buffer out = {0};
    json_t *document = NULL;
    int64_t catching_up = -1;
    const struct resolve_wish wish = {
        .reach = RESOLVE_ASKS_ANEW, .is_measuring = true, .wait_us = wait_us};
    assert_int_equal(
        resolver_ask_wish(world->resolver, TEXT("doi:10.1/a"), &wish, &out, &catching_up, NULL),
        OK);
    assert_int_equal(catching_up, 0);
    assert_int_equal(json_parse(buffer_text(&out), &document, NULL), OK);
    return document;
}

static bool has_distance(const json_t *document)
{
    return json_is_number(json_object_get(location_at(document, 0), "rtt_ms"));
}

static void a_site_whose_distance_nobody_knows_is_measured_once(void **state)
{
    struct world *world = *state;
    hub_names_a_site_that_can_be_called(world);
    AUTO_JSON json_t *plain = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_false(has_distance(plain));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 0);
    AUTO_JSON json_t *first = measured(world, BUSY_MACHINE_US);
    assert_true(has_distance(first));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 2);
    assert_int_equal(atomic_load(&world->distances_noted), 1);
    AUTO_JSON json_t *again = measured(world, BUSY_MACHINE_US);
    assert_true(has_distance(again));
    AUTO_JSON json_t *told = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_true(has_distance(told));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 2);
}

static void a_site_that_is_named_often_is_measured_once_and_others_too(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer locations = {0};
    AUTO_BUFFER struct buffer lie = {0};
    AUTO_BUFFER struct buffer document = {0};
    world->hub_count = 1;
    for (int i = 0; i < DISTANCES_WANTED_MAX; i++) {
        write_near(world, &world->ocean, &locations);
    }
    write_near(world, &world->hubs[1].signer, &locations);
    // Of a hub that lies, what holds is taken as it comes.
    write_entry(&world->ocean, &(struct entry_fields){0}, &lie);
    write_location(&world->ice, "ice", buffer_text(&lie), &locations);
    write_document(buffer_text(&locations), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
    AUTO_JSON json_t *answer = measured(world, BUSY_MACHINE_US);
    assert_int_equal(location_count(answer), 2);
    assert_true(has_distance(answer)); // So it is the first one now.
    assert_int_equal(fake_hub_called(&world->hubs[1]), 2);
}

static int called_in_all(const struct world *world)
{
    int called = 0;
    for (size_t i = 0; i < world->other_count; i++) {
        called += fake_hub_called(&world->others[i]);
    }
    return called;
}

static void the_best_are_measured_and_who_was_measured_leaves_room_for_others(void **state)
{
    struct world *world = *state;
    struct fake_hub others[DISTANCES_WANTED_MAX];
    AUTO_BUFFER struct buffer locations = {0};
    AUTO_BUFFER struct buffer document = {0};
    world->others = others;
    world->other_count = DISTANCES_WANTED_MAX;
    for (size_t i = 0; i < world->other_count; i++) {
        fake_hub_start(&others[i], "other");
        write_at(&others[i].signer, "stale", others[i].hub.url, &locations);
    }
    write_near(world, &world->hubs[1].signer, &locations);
    write_document(buffer_text(&locations), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
    json_decref(measured(world, BUSY_MACHINE_US));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 2);
    assert_int_equal(called_in_all(world), 2 * (DISTANCES_WANTED_MAX - 1));
    AUTO_JSON json_t *answer = measured(world, BUSY_MACHINE_US);
    assert_int_equal(called_in_all(world), 2 * DISTANCES_WANTED_MAX);
    assert_int_equal(location_count(answer), DISTANCES_WANTED_MAX + 1);
    for (size_t i = 0; i < location_count(answer); i++) {
        assert_true(json_is_number(json_object_get(location_at(answer, i), "rtt_ms")));
    }
    close_resolver(world); // Which may still be calling them.
    for (size_t i = 0; i < world->other_count; i++) {
        fake_hub_stop(&others[i]);
    }
    world->other_count = 0;
    open_resolver(world);
}

static void an_answer_does_not_wait_for_a_distance_longer_than_it_may(void **state)
{
    struct world *world = *state;
    hub_names_a_site_that_can_be_called(world);
    fake_hub_says(&world->hubs[1], HUB_SILENT, 0, TEXT_NONE);
    AUTO_JSON json_t *at_once = measured(world, 0);
    assert_false(has_distance(at_once));
    AUTO_JSON json_t *soon = measured(world, 1000);
    assert_false(has_distance(soon));
    assert_int_equal(atomic_load(&world->distances_noted), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_site_whose_distance_nobody_knows_is_measured_once),
        TEST(a_site_that_is_named_often_is_measured_once_and_others_too),
        TEST(the_best_are_measured_and_who_was_measured_leaves_room_for_others),
        TEST(an_answer_does_not_wait_for_a_distance_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
