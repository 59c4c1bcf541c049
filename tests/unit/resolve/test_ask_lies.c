#include "ask_world.h"

#include "../cmocka_all.h"

static void a_hub_does_not_say_when_we_were_told(void **state)
{
    static const char *const TIMES[] = {"1", "-9223372036854775808", "9223372036854775807",
                                        "\"x\""};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++) {
        AUTO_BUFFER struct buffer entry = {0};
        AUTO_BUFFER struct buffer location = {0};
        AUTO_BUFFER struct buffer document = {0};
        write_entry(&world->ocean, &(struct entry_fields){.serial = 2}, &entry);
        write_location(&world->ocean, "ocean", buffer_text(&entry), &location);
        location.length--; // The brace.
        buffer_printf(&location, ",\"told_us\":%s}", TIMES[i]);
        write_document(buffer_text(&location), &document);
        fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
        AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
        AUTO_JSON json_t *kept = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
        assert_int_equal(location_count(answer), 1);
        assert_int_equal(json_integer_value(json_object_get(location_at(answer, 0), "age_seconds")),
                         0);
        assert_int_equal(json_integer_value(json_object_get(location_at(kept, 0), "age_seconds")),
                         0);
    }
}

static void an_endless_answer_is_cut_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    fake_hub_says(&world->hubs[0], HUB_ENDLESS, 0, TEXT_NONE);
    hub_knows(world, 1, 1);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
}

static void garbage_is_set_aside_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, TEXT("<html>it works</html>"));
    hub_knows(world, 1, 1);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
    assert_non_null(strstr(first_problem(document), "hub first (sha256:"));
}

// The first hub says what `entry` is, with the key of `shown`; the second one is honest. The answer's problem must name hub, site, epoch and serial.
static void assert_lie_is_told(struct world *world, const struct signer *shown, struct text entry,
                               const char *why)
{
    AUTO_BUFFER struct buffer location = {0};
    AUTO_BUFFER struct buffer document = {0};
    write_location(shown, "ocean", entry, &location);
    write_document(buffer_text(&location), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
    hub_knows(world, 1, 9);
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    const char *problem = first_problem(answer);
    if (strcmp(member(answer, "hub"), "second") != 0 || !strstr(problem, "hub first (sha256:") ||
        !strstr(problem, "site ocean (sha256:") || !strstr(problem, "epoch 1, serial 7") ||
        !strstr(problem, why)) {
        fail_msg("%s: %s", member(answer, "hub"), problem);
    }
    const json_t *said = json_object_get(location_at(answer, 0), "entry");
    assert_int_equal(json_integer_value(json_object_get(said, "serial")), 9);
}

static void an_altered_entry_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    write_entry(&world->ocean, &(struct entry_fields){.serial = 7}, &entry);
    memcpy(strstr(entry.bytes, "available"), "archived!", strlen("available"));
    assert_lie_is_told(world, &world->ocean, buffer_text(&entry), "signature");
}

static void a_forged_site_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    write_entry(&world->ocean, &(struct entry_fields){.serial = 7}, &entry);
    assert_lie_is_told(world, &world->ice, buffer_text(&entry), "key");
}

static void an_entry_about_another_dataset_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    write_entry(&world->ocean, &(struct entry_fields){.id = "doi:10.1/b", .serial = 7}, &entry);
    assert_lie_is_told(world, &world->ocean, buffer_text(&entry), "doi:10.1/b");
}

static void a_replayed_old_entry_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    hub_knows(world, 0, 8);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    write_entry(&world->ocean, &(struct entry_fields){.serial = 7}, &entry);
    assert_lie_is_told(world, &world->ocean, buffer_text(&entry), "serial 8");
}

static void when_all_lie_what_is_remembered_counts_and_nothing_is_kept_of_the_lie(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 8);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    hub_knows(world, 0, 7);
    hub_knows(world, 1, 6);
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(answer, "source"), "memory");
    assert_int_equal(json_array_size(json_object_get(answer, "problems")), 2);
    const json_t *said = json_object_get(location_at(answer, 0), "entry");
    assert_int_equal(json_integer_value(json_object_get(said, "serial")), 8);
}

static void when_all_lie_and_nothing_is_known_that_is_the_answer(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, TEXT("{}"));
    fake_hub_says(&world->hubs[1], HUB_ANSWERS, 200, TEXT("{\"locations\":[]}"));
    assert_int_equal(refused(world, "doi:10.1/a", &error), CORRUPT);
    assert_non_null(strstr(error.detail, "first (its answer does not hold)"));
}

static void what_holds_of_a_partly_false_answer_is_the_last_resort(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer good = {0};
    AUTO_BUFFER struct buffer locations = {0};
    AUTO_BUFFER struct buffer document = {0};
    world->hub_count = 1;
    write_entry(&world->ice, &(struct entry_fields){0}, &good);
    write_location(&world->ice, "ice", buffer_text(&good), &locations);
    write_location(&world->ocean, "ocean", buffer_text(&good), &locations);
    write_document(buffer_text(&locations), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_int_equal(json_array_size(json_object_get(answer, "locations")), 1);
    assert_string_equal(member(location_at(answer, 0), "name"), "ice");
    assert_non_null(strstr(first_problem(answer), "site ocean"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hub_does_not_say_when_we_were_told),
        TEST(an_endless_answer_is_cut_and_the_next_hub_asked),
        TEST(garbage_is_set_aside_and_the_next_hub_asked),
        TEST(an_altered_entry_is_told_of_and_the_next_hub_asked),
        TEST(a_forged_site_is_told_of_and_the_next_hub_asked),
        TEST(an_entry_about_another_dataset_is_told_of_and_the_next_hub_asked),
        TEST(a_replayed_old_entry_is_told_of_and_the_next_hub_asked),
        TEST(when_all_lie_what_is_remembered_counts_and_nothing_is_kept_of_the_lie),
        TEST(when_all_lie_and_nothing_is_known_that_is_the_answer),
        TEST(what_holds_of_a_partly_false_answer_is_the_last_resort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
