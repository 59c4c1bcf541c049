#include "ask_world.h"

#include "../cmocka_all.h"

// The first hub says that the second one, whose address this is, has the dataset too.
static void hub_names_a_site_that_can_be_called(struct world *world)
{
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer location = {0};
    AUTO_BUFFER struct buffer near = {0};
    AUTO_BUFFER struct buffer document = {0};
    static const char PLACE[] = "https://far.example";
    write_entry(&world->hubs[1].signer, &(struct entry_fields){0}, &entry);
    write_location(&world->hubs[1].signer, "far", buffer_text(&entry), &location);
    const char *at = strstr(location.bytes, PLACE);
    assert_non_null(at);
    buffer_append(&near, location.bytes, (size_t)(at - location.bytes));
    buffer_append_string(&near, world->hubs[1].hub.url);
    buffer_append_string(&near, at + strlen(PLACE));
    write_document(buffer_text(&near), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
}

static json_t *measured(struct world *world, int64_t wait_us)
{
    AUTO_BUFFER struct buffer out = {0};
    json_t *document = NULL;
    assert_int_equal(resolver_ask_measuring(world->resolver, TEXT("doi:10.1/a"), RESOLVE_ASKS_ANEW,
                                            wait_us, &out, NULL),
                     OK);
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
        TEST(an_answer_does_not_wait_for_a_distance_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
