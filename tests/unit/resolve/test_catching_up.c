// Hubs that have not all logs, and say so.
#include "ask_world.h"

#include "../cmocka_all.h"

#include "base/memory.h"

// The hub answers as hub_knows has it, and that it lacks entries of so many logs.
static void hub_knows_and_lacks(struct world *world, size_t at, int lacking)
{
    AUTO_BUFFER struct buffer document = {0};
    write_simple(&world->ocean, "ocean", &(struct entry_fields){.serial = 2}, &document);
    document.length = strlen(document.bytes);
    while (document.bytes[document.length - 1] != '}') {
        document.length--;
    }
    document.length--; // The brace.
    buffer_printf(&document, ",\"catching_up\":%d}", lacking);
    fake_hub_says(&world->hubs[at], HUB_ANSWERS, 200, buffer_text(&document));
}

// The hub knows of none, and lacks entries of so many logs.
static void hub_denies(struct world *world, size_t at, const char *catching_up)
{
    AUTO_FREE char *problem = memory_format(
        "{\"title\":\"not found\",\"status\":404,\"detail\":\"none\"%s}", catching_up);
    fake_hub_says(&world->hubs[at], HUB_ANSWERS, 404, text_of(problem));
}

static int64_t lacking_in(const json_t *document)
{
    return json_integer_value(json_object_get(document, "catching_up"));
}

static enum status denied(struct world *world, int64_t *catching_up, struct error *error)
{
    AUTO_BUFFER struct buffer out = {0};
    const struct resolve_wish wish = {.reach = RESOLVE_ASKS};
    *catching_up = -1;
    return resolver_ask_wish(world->resolver, TEXT("doi:10.1/a"), &wish, &out, catching_up, error);
}

static void beside_a_hub_that_is_catching_up_the_next_one_is_asked(void **state)
{
    struct world *world = *state;
    hub_knows_and_lacks(world, 0, 3);
    hub_knows_two(world, 1);
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(both), 2);
    assert_int_equal(lacking_in(both), 0);
    assert_int_equal(json_integer_value(json_object_get(both, "ttl_seconds")), RESOLVE_TTL_SECONDS);
    // The other way round the first one has all.
    hub_knows_two(world, 0);
    int asked = fake_hub_asked(&world->hubs[1]);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    assert_int_equal(fake_hub_asked(&world->hubs[1]), asked);
}

static void that_an_answer_may_be_incomplete_is_passed_on_and_remembered(void **state)
{
    struct world *world = *state;
    hub_knows_and_lacks(world, 0, 3);
    hub_knows_and_lacks(world, 1, 2);
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_int_equal(lacking_in(answer), 2);
    assert_int_equal(json_integer_value(json_object_get(answer, "ttl_seconds")),
                     RESOLVE_UNKNOWN_TTL_SECONDS);
    AUTO_JSON json_t *kept = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(kept, "source"), "memory");
    assert_int_equal(lacking_in(kept), 2);
    // That one hub knows of none is no matter once another one has it.
    hub_denies(world, 1, ",\"catching_up\":1");
    AUTO_JSON json_t *anew = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(lacking_in(anew), 3);
}

static void that_a_hub_that_is_catching_up_knows_of_none_is_not_kept(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    int64_t catching_up = 0;
    hub_denies(world, 0, ",\"catching_up\":1");
    hub_denies(world, 1, "");
    assert_int_equal(denied(world, &catching_up, &error), NOT_FOUND);
    assert_int_equal(catching_up, 1);
    assert_non_null(strstr(error.detail, "asked: first (it still lacks entries of the logs of 1 "
                                         "site), second"));
    assert_non_null(strstr(error.fix, "try again in a moment"));
    assert_int_equal(denied(world, &catching_up, &error), NOT_FOUND);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 2);
    // Once it has all, it is.
    hub_denies(world, 0, "");
    assert_int_equal(denied(world, &catching_up, &error), NOT_FOUND);
    assert_int_equal(catching_up, 0);
    assert_null(strstr(error.detail, "lacks"));
    assert_int_equal(denied(world, &catching_up, &error), NOT_FOUND);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 3);
}

static void what_is_remembered_counts_more_than_a_hub_that_is_catching_up(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    hub_denies(world, 0, ",\"catching_up\":4");
    hub_denies(world, 1, ",\"catching_up\":7");
    AUTO_JSON json_t *kept = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(kept, "source"), "memory");
    assert_int_equal(lacking_in(kept), 7);
    hub_denies(world, 0, "");
    hub_denies(world, 1, "");
    struct error error = {0};
    AUTO_BUFFER struct buffer out = {0};
    assert_int_equal(
        resolver_ask(world->resolver, TEXT("doi:10.1/a"), RESOLVE_ASKS_ANEW, &out, &error),
        NOT_FOUND);
}

static void nonsense_about_what_a_hub_lacks_is_bounded(void **state)
{
    static const char *const SAID[] = {"{\"catching_up\":-1}",
                                       "{\"catching_up\":\"9\"}",
                                       "{\"catching_up\":1e3}",
                                       "[]",
                                       "",
                                       "{",
                                       "7"};
    (void)state;
    for (size_t i = 0; i < sizeof SAID / sizeof SAID[0]; i++) {
        assert_int_equal(resolve_read_catching_up(text_of(SAID[i])), 0);
    }
    assert_int_equal(resolve_read_catching_up(TEXT("{\"catching_up\":12}")), 12);
    assert_int_equal(resolve_read_catching_up(TEXT("{\"catching_up\":9223372036854775807}")),
                     MIRROR_SITES_MAX);
}

static void a_hub_that_is_catching_up_says_so(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    AUTO_BUFFER struct buffer out = {0};
    close_resolver(world);
    world->mirror = NEW(struct mirror);
    world->mirror->site = world->ocean.site;
    world->mirror->lacking = 5;
    world->hub_count = 0;
    write_entry(&world->ocean, &(struct entry_fields){0}, &world->mirror->entry);
    open_resolver(world);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    AUTO_JSON json_t *fast = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &fast, NULL), OK);
    assert_int_equal(lacking_in(fast), 5);
    AUTO_JSON json_t *slow = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_true(json_equal(fast, slow));
    static const enum resolve_reach REACHES[] = {RESOLVE_HERE, RESOLVE_ASKS};
    for (size_t i = 0; i < 2; i++) {
        int64_t catching_up = 0;
        const struct resolve_wish wish = {.reach = REACHES[i]};
        buffer_clear(&out);
        assert_int_equal(resolver_ask_wish(world->resolver, TEXT("doi:10.1/none"), &wish, &out,
                                           &catching_up, &error),
                         NOT_FOUND);
        assert_int_equal(catching_up, 5);
        assert_non_null(strstr(error.fix, "try again in a moment"));
    }
    // Once it has all, neither.
    world->mirror->lacking = 0;
    buffer_clear(&out);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    assert_null(strstr(out.bytes, "catching_up"));
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_null(strstr(error.fix, "try again"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(beside_a_hub_that_is_catching_up_the_next_one_is_asked),
        TEST(that_an_answer_may_be_incomplete_is_passed_on_and_remembered),
        TEST(that_a_hub_that_is_catching_up_knows_of_none_is_not_kept),
        TEST(what_is_remembered_counts_more_than_a_hub_that_is_catching_up),
        TEST(a_hub_that_is_catching_up_says_so),
        cmocka_unit_test(nonsense_about_what_a_hub_lacks_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
