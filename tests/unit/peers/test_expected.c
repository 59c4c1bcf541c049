#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "ledger/statement.h"
#include "os/clock.h"
#include "peers/expected.h"

// What a heartbeat says, beside what heartbeat_of has.
static json_t *heartbeat(const struct signing_key *key, int64_t serial)
{
    json_t *out = NULL;
    AUTO_FREE char *text = heartbeat_of(key, clock_real_us(), 8);
    assert_int_equal(json_parse(text_of(text), &out, NULL), OK);
    if (serial > 0) {
        AUTO_BUFFER struct buffer signed_again = {0};
        (void)json_object_del(out, "signature");
        (void)json_object_del(out, "site");
        (void)json_object_set_new(out, "serial", json_integer(serial));
        assert_int_equal(statement_sign(out, key, &signed_again, NULL), OK);
        json_decref(out);
        assert_int_equal(json_parse(buffer_text(&signed_again), &out, NULL), OK);
    }
    return out;
}

// The site says that its log goes to this serial. What it is answered of what the hub lacks; 0: nothing.
static int64_t say(struct fixture *fixture, const struct signing_key *key, int64_t serial)
{
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *body = heartbeat(key, serial);
    AUTO_JSON json_t *answer = NULL;
    struct error error = {0};
    if (peers_heard_heartbeat(fixture->peers, signing_key_fingerprint(key)->text, body, &out,
                              &error) != OK) {
        fail_msg("%s", error.detail);
    }
    assert_int_equal(json_parse(buffer_text(&out), &answer, NULL), OK);
    return json_integer_value(json_object_get(answer, "catching_up"));
}

static void announce(struct fixture *fixture, const struct signing_key *key, const char *name)
{
    AUTO_FREE char *text = site_of(key, name, NULL);
    AUTO_JSON json_t *body = NULL;
    AUTO_BUFFER struct buffer out = {0};
    assert_int_equal(json_parse(text_of(text), &body, NULL), OK);
    assert_int_equal(peers_heard_announcement(fixture->peers, signing_key_fingerprint(key)->text,
                                              PEERS_PUSH, body, &out, NULL),
                     OK);
}

static void set_standing(struct fixture *fixture, const struct signing_key *key,
                         enum peer_standing standing)
{
    assert_int_equal(
        peers_set_standing(fixture->peers, signing_key_fingerprint(key), standing, NULL, NULL), OK);
}

static enum status append(struct sql *sql, void *context, struct error *error)
{
    const struct ledger_dataset dataset = {
        .id = TEXT("s:a"), .title = TEXT("A"), .tier = "online", .state = "available"};
    return ledger_append_dataset(context, sql, &dataset, error);
}

// The site, which has a log of one entry, pushes that.
static void push(struct fixture *fixture, const struct signing_key *key)
{
    struct store *store = NULL;
    struct ledger *ledger = NULL;
    AUTO_BUFFER struct buffer batches = {0};
    struct ledger_position position;
    AUTO_FREE char *url = memory_format("%s/pushed.db", fixture->folder);
    const struct store_options options = {
        .url = url, .migrations = LEDGER_MIGRATIONS, .migration_count = LEDGER_MIGRATION_COUNT};
    assert_int_equal(store_open(&options, &store, NULL), OK);
    assert_int_equal(
        ledger_open(&(struct ledger_options){.store = store, .key = key}, &ledger, NULL), OK);
    assert_int_equal(store_write_wait(store, append, ledger, NULL), OK);
    assert_int_equal(ledger_read_batches(ledger, 0, 0, &batches, NULL), OK);
    ledger_close(ledger);
    store_close(store);
    assert_int_equal(peers_heard_batches(fixture->peers, signing_key_fingerprint(key)->text,
                                         signing_key_fingerprint(key), buffer_text(&batches),
                                         &position, NULL),
                     OK);
}

static bool is_lacking(const struct fixture *fixture, const struct signing_key *key)
{
    struct peer peer;
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(key), &peer));
    return peer.is_lacking;
}

static void a_member_that_says_that_it_has_more_is_lacking(void **state)
{
    struct fixture *fixture = *state;
    announce(fixture, fixture->ocean, "ocean");
    set_standing(fixture, fixture->ocean, STANDING_MEMBER);
    assert_int_equal(say(fixture, fixture->ocean, 0), 0);
    assert_int_equal(say(fixture, fixture->ocean, 7), 1);
    assert_int_equal(mirror_lacking(fixture->mirror), 1);
    assert_true(is_lacking(fixture, fixture->ocean));
    struct peers_overview overview;
    peers_overview(fixture->peers, &overview);
    assert_int_equal(overview.catching_up, 1);
    set_standing(fixture, fixture->ocean, STANDING_DENIED);
    assert_int_equal(mirror_lacking(fixture->mirror), 0);
}

static void whom_nobody_has_let_in_casts_no_doubt(void **state)
{
    struct fixture *fixture = *state;
    announce(fixture, fixture->ocean, "ocean");
    assert_int_equal(say(fixture, fixture->ocean, 7), 0);
    assert_false(is_lacking(fixture, fixture->ocean));
    set_standing(fixture, fixture->ocean, STANDING_MEMBER);
    assert_int_equal(say(fixture, fixture->ocean, 7), 1);
}

static void a_site_that_was_let_in_is_to_say_how_much_it_has(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    open_all(fixture, true);
    announce(fixture, fixture->ocean, "ocean");
    assert_int_equal(mirror_lacking(fixture->mirror), 1);
    assert_int_equal(say(fixture, fixture->ocean, 0), 0);
    announce(fixture, fixture->ocean, "ocean");
    assert_int_equal(mirror_lacking(fixture->mirror), 0);
}

static void members_are_to_say_how_much_they_have_after_a_start(void **state)
{
    struct fixture *fixture = *state;
    announce(fixture, fixture->ocean, "ocean");
    announce(fixture, fixture->lake, "lake");
    set_standing(fixture, fixture->ocean, STANDING_MEMBER);
    set_standing(fixture, fixture->lake, STANDING_MEMBER);
    assert_int_equal(say(fixture, fixture->ocean, 0), 0);
    assert_int_equal(say(fixture, fixture->lake, 0), 0);
    close_all(fixture);
    open_all(fixture, false);
    assert_int_equal(mirror_lacking(fixture->mirror), 2);
    assert_int_equal(say(fixture, fixture->ocean, 0), 1);
    // Who does not come is given up.
    int64_t now_us = clock_steady_us();
    int64_t next_us = expected_run(fixture->peers, now_us);
    assert_true(next_us > now_us && next_us < now_us + INT64_C(600000000));
    assert_int_equal(mirror_lacking(fixture->mirror), 1);
    assert_true(expected_run(fixture->peers, next_us) == INT64_MAX);
    assert_int_equal(mirror_lacking(fixture->mirror), 0);
    assert_true(expected_run(fixture->peers, next_us) == INT64_MAX);
}

static void a_push_that_had_room_left_says_that_it_was_all(void **state)
{
    struct fixture *fixture = *state;
    announce(fixture, fixture->ocean, "ocean");
    set_standing(fixture, fixture->ocean, STANDING_MEMBER);
    assert_int_equal(say(fixture, fixture->ocean, 0), 0);
    close_all(fixture);
    open_all(fixture, false);
    assert_int_equal(mirror_lacking(fixture->mirror), 1);
    push(fixture, fixture->ocean);
    assert_int_equal(mirror_lacking(fixture->mirror), 0);
}

static void a_log_that_is_refused_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_position position;
    announce(fixture, fixture->ocean, "ocean");
    set_standing(fixture, fixture->ocean, STANDING_MEMBER);
    assert_int_equal(say(fixture, fixture->ocean, 7), 1);
    assert_int_not_equal(
        peers_heard_batches(fixture->peers, signing_key_fingerprint(fixture->ocean)->text,
                            signing_key_fingerprint(fixture->ocean), TEXT("{}\n"), &position, NULL),
        OK);
    struct peer peer;
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(fixture->ocean), &peer));
    assert_true(peer.problem[0] != '\0');
    assert_int_equal(say(fixture, fixture->ocean, 7), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_hub, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_that_says_that_it_has_more_is_lacking),
        TEST(whom_nobody_has_let_in_casts_no_doubt),
        TEST(a_site_that_was_let_in_is_to_say_how_much_it_has),
        TEST(members_are_to_say_how_much_they_have_after_a_start),
        TEST(a_push_that_had_room_left_says_that_it_was_all),
        TEST(a_log_that_is_refused_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
