#include "ask_world.h"

#include "../cmocka_all.h"

#include "base/memory.h"

static void a_hub_answers_from_its_index_without_blocking(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer out = {0};
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    close_resolver(world);
    world->mirror = NEW(struct mirror);
    world->mirror->site = world->ocean.site;
    write_entry(&world->ocean, &(struct entry_fields){0}, &world->mirror->entry);
    open_resolver(world);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    assert_non_null(strstr(out.bytes, "\"source\":\"index\""));
    size_t length = out.length;
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/none"), false, &out));
    assert_int_equal(out.length, length);
    // While its own data is not in the index, the answer is more than that knows.
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(both, "source"), "index");
    assert_int_equal(json_array_size(json_object_get(both, "locations")), 2);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 0);
}

static void a_hub_answers_from_its_index_about_its_own_data_too(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer out = {0};
    close_resolver(world);
    world->mirror = NEW(struct mirror);
    world->mirror->site = world->ocean.site;
    world->mirror->own = &world->own;
    world->own_is_indexed = true;
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    open_resolver(world);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    assert_non_null(strstr(out.bytes, "\"source\":\"own\""));
    buffer_clear(&out);
    write_entry(&world->ocean, &(struct entry_fields){0}, &world->mirror->entry);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    AUTO_JSON json_t *fast = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &fast, NULL), OK);
    assert_string_equal(member(fast, "source"), "index");
    assert_int_equal(json_array_size(json_object_get(fast, "locations")), 2);
    assert_string_equal(member(location_at(fast, 0), "name"), "self");
    // What the catalogue says and what the index says of it is one location, and the same on the pool.
    AUTO_JSON json_t *slow = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_true(json_equal(fast, slow));
    // Who may be told more about our own files is answered on the pool.
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), true, &out));
    buffer_clear(&world->own);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), true, &out));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hub_answers_from_its_index_without_blocking),
        TEST(a_hub_answers_from_its_index_about_its_own_data_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
