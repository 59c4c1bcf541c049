// Orders of copies: what is one transfer, what is refused, and whose content it is.
#include "../cmocka_all.h"
#include "world.h"

#include "base/memory.h"
#include "transfer/state.h"

#include <pthread.h>
#include <string.h>

static enum status order_as(struct world *world, const char *owner, int number, struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    AUTO_FREE char *id = memory_format("s:none-%d", number);
    const struct transfer_request request = {
        .id = text_of(id), .owner = text_of(owner), .is_guest = true};
    return transfers_order(world->transfers, &request, &document, error);
}

static void a_site_has_so_many_copies_on_order_at_most(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    for (int i = 0; i < TRANSFERS_GUEST_MAX; i++) {
        const char *owner = i % 2 == 0 ? "ada@0123456789abcdef" : "bob@0123456789abcdef";
        assert_int_equal(order_as(world, owner, i, NULL), OK);
    }
    assert_int_equal(order_as(world, "ada@0123456789abcdef", 0, NULL), OK); // That is there.
    assert_int_equal(order_as(world, "eve@0123456789abcdef", 1000, &error), QUOTA);
    assert_non_null(strstr(error.detail, "64 copies on order"));
    assert_true(error.fix[0] != '\0');
    assert_int_equal(order_as(world, "eve@fedcba9876543210", 1000, NULL), OK);
    assert_true(order(world, "s:none-1001") > 0);
}

static void what_is_here_is_done_at_once(void **state)
{
    struct world *world = *state;
    AUTO_JSON json_t *transfer = show(world, order(world, "s:here"));
    assert_string_equal(json_string_value(json_object_get(transfer, "state")), "done");
    assert_int_equal(world->requests, 0);
}

static void what_sites_say_differently_is_not_ordered_unless_one_is_named(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    AUTO_BUFFER struct buffer page = {0};
    world->is_in_doubt = true;
    assert_int_equal(order_content(world, "s:sea", NULL, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "different content of s:sea"));
    assert_int_equal(transfers_list(world->transfers, 0, 10, &page, NULL), OK);
    assert_non_null(strstr(page.bytes, "\"transfers\":[]"));
    assert_int_equal(order_content(world, "s:sea", &world->digest, &error), OK);
    await_text(world, 1, "state", "done");
    assert_copied(world);
    const struct transfer_request from = {
        .id = TEXT("s:none"), .owner = TEXT("ada"), .from = &world->fingerprint};
    assert_int_equal(transfers_order(world->transfers, &from, &page, &error), OK);
}

static void what_has_come_into_question_fails_at_once(void **state)
{
    struct world *world = *state;
    int64_t number = order(world, "s:soil");
    await_text(world, number, "problem", "nobody has s:soil");
    world->is_in_doubt = true;
    await_text(world, number, "state", "failed");
    await_text(world, number, "problem", "different content of s:soil");
    assert_int_equal(world->doubts, 1);
}

static void the_content_that_is_wished_is_known_after_a_restart(void **state)
{
    struct world *world = *state;
    struct digest other = digest_of("other", strlen("other"));
    assert_int_equal(order_content(world, "s:sea", &other, NULL), OK);
    await_text(world, 1, "problem", "with the content that was named");
    close_site(world);
    open_site(world);
    await_text(world, 1, "problem", "with the content that was named");
    await_text(world, 1, "state", "waiting");
    assert_false(world->is_registered);
}

static void what_is_here_is_not_another_content(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    struct digest other = digest_of("other", strlen("other"));
    assert_int_equal(order_content(world, "s:here", &other, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "s:here is here with other content, sha256:"));
    assert_non_null(strstr(error.fix, "lode data remove s:here"));
    assert_int_equal(order_content(world, "s:here", &world->digest, &error), OK);
}

static void the_same_order_is_one_transfer(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    int64_t number = order(world, "s:sea");
    assert_int_equal(order(world, "s:sea"), number);
}

static void another_content_of_what_is_under_way_is_refused(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    struct digest other = digest_of("other", strlen("other"));
    world->mischief = SILENT;
    assert_int_equal(order_content(world, "s:sea", &world->digest, NULL), OK);
    assert_int_equal(order_content(world, "s:sea", &world->digest, NULL), OK);
    assert_int_equal(order_content(world, "s:sea", NULL, NULL), OK);
    assert_int_equal(order_content(world, "s:sea", &other, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "transfer 1 brings other content of s:sea, sha256:"));
    assert_non_null(strstr(error.fix, "1"));
}

// The number of the transfer that the order gives.
static int64_t number_for(struct world *world, const struct digest *content)
{
    AUTO_BUFFER struct buffer document = {0};
    AUTO_JSON json_t *transfer = NULL;
    const struct transfer_request request = {
        .id = TEXT("s:sea"), .owner = TEXT("ada"), .content = content};
    assert_int_equal(transfers_order(world->transfers, &request, &document, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&document), &transfer, NULL), OK);
    return json_integer_value(json_object_get(transfer, "id"));
}

static void who_names_a_content_does_not_join_who_names_none(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    assert_int_equal(number_for(world, NULL), 1);
    await_text(world, 1, "state", "copying");
    assert_int_equal(number_for(world, &world->digest), 2);
    await_text(world, 2, "problem", "it waits for transfer 1");
    assert_int_equal(number_for(world, &world->digest), 2);
    assert_int_equal(number_for(world, NULL), 1);
    struct error error = {0};
    struct digest other = digest_of("other", strlen("other"));
    assert_int_equal(order_content(world, "s:sea", &other, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "transfer 2 brings other content"));
    await_text(world, 2, "state", "waiting");
    // The first one goes: the second does it by itself.
    world->mischief = HONEST;
    assert_int_equal(transfers_cancel(world->transfers, 1, NULL), OK);
    await_text(world, 2, "state", "done");
    await_text(world, 1, "state", "cancelled");
    assert_copied(world);
}

static void a_named_content_is_held_against_what_another_order_has_brought(void **state)
{
    struct world *world = *state;
    struct digest other = digest_of("other", strlen("other"));
    world->mischief = SILENT;
    assert_int_equal(number_for(world, NULL), 1);
    await_text(world, 1, "state", "copying");
    assert_int_equal(number_for(world, &other), 2);
    close_site(world);
    world->mischief = HONEST;
    open_site(world);
    await_text(world, 1, "state", "done");
    await_text(world, 2, "state", "failed");
    await_text(world, 2, "problem", "s:sea is here with other content, sha256:");
    assert_copied(world);
}

static void one_that_waits_for_another_can_be_cancelled(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    assert_int_equal(number_for(world, NULL), 1);
    await_text(world, 1, "state", "copying");
    assert_int_equal(number_for(world, &world->digest), 2);
    assert_int_equal(transfers_cancel(world->transfers, 2, NULL), OK);
    await_text(world, 2, "state", "cancelled");
    await_text(world, 1, "state", "copying");
}

enum { ORDERERS = 4, ORDERS = 50 };

struct orderer {
    struct world *world;
    pthread_barrier_t *begin;
    int64_t numbers[ORDERS];
};

static void *order_all(void *context)
{
    struct orderer *orderer = context;
    for (int i = 0; i < ORDERS; i++) {
        AUTO_FREE char *id = memory_format("s:none-%d", i);
        (void)pthread_barrier_wait(orderer->begin);
        orderer->numbers[i] = order(orderer->world, id);
    }
    return NULL;
}

static void the_same_order_of_several_at_once_is_one_transfer(void **state)
{
    struct orderer orderers[ORDERERS];
    pthread_t threads[ORDERERS];
    pthread_barrier_t begin;
    assert_int_equal(pthread_barrier_init(&begin, NULL, ORDERERS), 0);
    for (int i = 0; i < ORDERERS; i++) {
        orderers[i] = (struct orderer){.world = *state, .begin = &begin};
        assert_int_equal(pthread_create(&threads[i], NULL, order_all, &orderers[i]), 0);
    }
    for (int i = 0; i < ORDERERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 1; i < ORDERERS; i++) {
        assert_memory_equal(orderers[i].numbers, orderers[0].numbers, sizeof orderers[0].numbers);
    }
    (void)pthread_barrier_destroy(&begin);
}

static void lists_are_paged_from_the_newest(void **state)
{
    struct world *world = *state;
    (void)order(world, "s:here");
    int64_t last = order(world, "s:here");
    AUTO_BUFFER struct buffer page = {0};
    assert_int_equal(transfers_list(world->transfers, 0, 1, &page, NULL), OK);
    assert_non_null(strstr(page.bytes, "\"next\":\"2\""));
    buffer_clear(&page);
    assert_int_equal(transfers_list(world->transfers, last, 10, &page, NULL), OK);
    assert_non_null(strstr(page.bytes, "{\"id\":1,"));
    assert_null(strstr(page.bytes, "{\"id\":2,"));
}

static void who_is_away_is_waited_for_and_who_gives_the_wrong_data_is_not(void **state)
{
    (void)state;
    static const enum status AWAY[] = {UNAVAILABLE, TIMEOUT, NOT_FOUND};
    static const enum status WRONG[] = {CORRUPT, DENIED, INTERNAL, INVALID};
    const int64_t hour_us = INT64_C(3600000000);
    for (size_t i = 0; i < sizeof AWAY / sizeof AWAY[0]; i++) {
        assert_false(transfer_is_hopeless(TRANSFER_FRUITLESS_MAX, hour_us, AWAY[i]));
        assert_false(transfer_is_hopeless(10000, 23 * hour_us, AWAY[i]));
        assert_true(transfer_is_hopeless(1, 24 * hour_us, AWAY[i]));
    }
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_false(transfer_is_hopeless(TRANSFER_FRUITLESS_MAX - 1, hour_us, WRONG[i]));
        assert_true(transfer_is_hopeless(TRANSFER_FRUITLESS_MAX, 0, WRONG[i]));
    }
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_site_has_so_many_copies_on_order_at_most),
        IN_A_WORLD(what_is_here_is_done_at_once),
        IN_A_WORLD(what_sites_say_differently_is_not_ordered_unless_one_is_named),
        IN_A_WORLD(what_has_come_into_question_fails_at_once),
        IN_A_WORLD(the_content_that_is_wished_is_known_after_a_restart),
        IN_A_WORLD(what_is_here_is_not_another_content),
        IN_A_WORLD(the_same_order_is_one_transfer),
        IN_A_WORLD(another_content_of_what_is_under_way_is_refused),
        IN_A_WORLD(who_names_a_content_does_not_join_who_names_none),
        IN_A_WORLD(a_named_content_is_held_against_what_another_order_has_brought),
        IN_A_WORLD(one_that_waits_for_another_can_be_cancelled),
        IN_A_WORLD(the_same_order_of_several_at_once_is_one_transfer),
        IN_A_WORLD(lists_are_paged_from_the_newest),
        cmocka_unit_test(who_is_away_is_waited_for_and_who_gives_the_wrong_data_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
