#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "peers/last_heard.h"
#include "peers/peers.h"
#include "peers/state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { AWAIT_US = 30000000, NAP_NS = 2000000 };

#define MINUTES_US INT64_C(60000000)

static json_t *parsed(char *text)
{
    json_t *out = NULL;
    assert_int_equal(json_parse(text_of(text), &out, NULL), OK);
    free(text);
    return out;
}

// The caller's own words, as they come.
static json_t *announcement_of(const struct signing_key *key, const char *name)
{
    AUTO_FREE char *url = memory_format("https://%s.example.org:7733", name);
    return parsed(site_of(key, name, url));
}

static json_t *heartbeat_in(const struct signing_key *key, int64_t offset_us)
{
    return parsed(heartbeat_of(key, clock_real_us() + offset_us, 8));
}

static const char *caller_of(const struct signing_key *key)
{
    return signing_key_fingerprint(key)->text;
}

static enum status announce(struct fixture *fixture, const struct signing_key *key,
                            const char *name, struct error *error)
{
    AUTO_JSON json_t *body = announcement_of(key, name);
    AUTO_BUFFER struct buffer out = {0};
    return peers_heard_announcement(fixture->peers, caller_of(key), PEERS_PUSH, body, &out, error);
}

static void an_announced_site_is_known_and_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    struct peer peer;
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.standing, STANDING_PENDING);
    assert_int_equal(peer.liveness, LIVENESS_NEVER);
    assert_string_equal(peer.url, "https://ocean.example.org:7733");
    assert_true(peer.number > 0);
    assert_int_equal(peers_set_standing(fixture->peers, signing_key_fingerprint(ocean),
                                        STANDING_MEMBER, NULL, NULL),
                     OK);
    close_all(fixture);
    open_all(fixture, false);
    assert_int_equal(peers_count(fixture->peers), 1);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.standing, STANDING_MEMBER);
    assert_string_equal(peer.name, "ocean");
    // Its standing stays when it announces itself again.
    assert_int_equal(announce(fixture, ocean, "lake", NULL), OK);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.standing, STANDING_MEMBER);
    assert_string_equal(peer.name, "lake");
}

static void a_heartbeat_is_heard_in_memory_only(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    struct error error = {0};
    struct peer peer;
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *ahead = heartbeat_in(ocean, INT64_C(3600000000));
    AUTO_JSON json_t *behind = heartbeat_in(ocean, INT64_C(-3600000000));
    assert_int_equal(peers_heard_heartbeat(fixture->peers, caller_of(ocean), ahead, &out, &error),
                     NOT_FOUND);
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    int64_t commits = store_figures(fixture->store).commits;
    assert_int_equal(peers_heard_heartbeat(fixture->peers, caller_of(ocean), ahead, &out, &error),
                     OK);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.liveness, LIVENESS_UP);
    assert_true(peer.clock_offset_us > INT64_C(3500000000));
    assert_int_equal(peer.cpus, 8);
    assert_int_equal(peer.cpus_busy, 2);
    // Its clock is set right: what it says now is older than what it said before, and heard all the same.
    assert_int_equal(peers_heard_heartbeat(fixture->peers, caller_of(ocean), behind, &out, &error),
                     OK);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_true(peer.clock_offset_us < INT64_C(-3500000000));
    assert_int_equal(store_figures(fixture->store).commits, commits);
    // Announcing the same again writes nothing either.
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_int_equal(store_figures(fixture->store).commits, commits);
}

static void hear(struct fixture *fixture, const struct signing_key *key)
{
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *body = heartbeat_in(key, 0);
    assert_int_equal(peers_heard_heartbeat(fixture->peers, caller_of(key), body, &out, NULL), OK);
}

static void await_commits(struct fixture *fixture, int64_t commits)
{
    int64_t deadline_us = clock_steady_us() + AWAIT_US;
    while (store_figures(fixture->store).commits < commits && clock_steady_us() < deadline_us) {
        (void)nanosleep(&(struct timespec){0, NAP_NS}, NULL);
    }
    assert_int_equal(store_figures(fixture->store).commits, commits);
}

static void who_was_heard_is_written_now_and_then_in_one_commit(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    const struct signing_key *lake = fixture->lake;
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_int_equal(announce(fixture, lake, "lake", NULL), OK);
    int64_t commits = store_figures(fixture->store).commits;
    int64_t now_us = clock_steady_us();
    assert_true(last_heard_run(fixture->peers, now_us) == now_us + LAST_HEARD_FIRST_US);
    hear(fixture, ocean);
    hear(fixture, lake);
    now_us += LAST_HEARD_FIRST_US - 1;
    assert_true(last_heard_run(fixture->peers, now_us) == now_us + 1);
    assert_int_equal(store_figures(fixture->store).commits, commits);
    now_us += 1;
    assert_true(last_heard_run(fixture->peers, now_us) == now_us + LAST_HEARD_EVERY_US);
    await_commits(fixture, commits + 1);
    // Nobody was heard since.
    now_us += LAST_HEARD_EVERY_US;
    (void)last_heard_run(fixture->peers, now_us);
    assert_int_equal(last_heard_save(fixture->peers, NULL), OK);
    assert_int_equal(store_figures(fixture->store).commits, commits + 1);
}

static void many_that_were_heard_are_written_in_several_commits(void **state)
{
    struct fixture *fixture = *state;
    struct peers *peers = fixture->peers;
    int64_t commits = store_figures(fixture->store).commits;
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (int i = 0; i < 2 * LAST_HEARD_BATCH_MAX + 1; i++) {
        struct fingerprint fingerprint = {{0}};
        (void)snprintf(fingerprint.text, sizeof fingerprint.text, "sha256:%064d", i);
        sites_add(peers, &fingerprint)->heard_us = now_us;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    (void)last_heard_run(peers, now_us);
    now_us += LAST_HEARD_FIRST_US;
    // So that other writes have their turn in between.
    for (int i = 1; i <= 2; i++) {
        int64_t next_us = last_heard_run(peers, now_us);
        assert_true(next_us == now_us + LAST_HEARD_BETWEEN_US);
        await_commits(fixture, commits + i);
        now_us = next_us;
    }
    assert_true(last_heard_run(peers, now_us) == now_us + LAST_HEARD_EVERY_US);
    await_commits(fixture, commits + 3);
}

static void how_a_site_is_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    AUTO_BUFFER struct buffer out = {0};
    struct peer peer;
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    hear(fixture, ocean);
    close_all(fixture);
    open_all(fixture, false);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.liveness, LIVENESS_UP);
    assert_in_range(peer.heard_seconds, 0, 59);
    assert_int_equal(peer.cpus, 8);
    assert_string_equal(peer.by_hub, "");
    // Other hubs are told too.
    assert_int_equal(peers_describe(fixture->peers, signing_key_fingerprint(ocean), &out, NULL),
                     OK);
    assert_non_null(strstr(out.bytes, "\"heartbeat\":{"));
}

// What was written becomes so much older, as when nothing runs here for so long.
static enum status age_rows(struct sql *sql, void *context, struct error *error)
{
    const int64_t *away_us = context;
    return sql_run(sql, "UPDATE peers_heard SET heard_us = heard_us - $1",
                   SQL_VALUES(sql_int64(*away_us)), NULL, error);
}

static void a_site_is_not_silent_while_nobody_is_there_to_hear_it(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    const struct signing_key *lake = fixture->lake;
    int64_t away_us = 60 * MINUTES_US;
    struct peer peer;
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_int_equal(announce(fixture, lake, "lake", NULL), OK);
    hear(fixture, ocean);
    hear(fixture, lake);
    assert_int_equal(last_heard_save(fixture->peers, NULL), OK);
    // The lake says nothing for as long as makes it down, while this site is there; then this site is away for longer.
    (void)pthread_rwlock_wrlock(&fixture->peers->lock);
    struct site *site = sites_find(fixture->peers, signing_key_fingerprint(lake));
    site->heard_us -= 10 * MINUTES_US;
    site->kept_heard_us -= 10 * MINUTES_US;
    (void)pthread_rwlock_unlock(&fixture->peers->lock);
    assert_int_equal(last_heard_save(fixture->peers, NULL), OK);
    assert_int_equal(store_write_wait(fixture->store, age_rows, &away_us, NULL), OK);
    close_all(fixture);
    open_all(fixture, false);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.liveness, LIVENESS_UP);
    assert_in_range(peer.heard_seconds, 60 * 60, 61 * 60);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(lake), &peer));
    assert_int_equal(peer.liveness, LIVENESS_DOWN);
    assert_in_range(peer.heard_seconds, 70 * 60, 71 * 60);
    // What is heard from now on counts as ever.
    hear(fixture, lake);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(lake), &peer));
    assert_int_equal(peer.liveness, LIVENESS_UP);
    assert_in_range(peer.heard_seconds, 0, 59);
    (void)pthread_rwlock_wrlock(&fixture->peers->lock);
    sites_find(fixture->peers, signing_key_fingerprint(lake))->heard_us -= 10 * MINUTES_US;
    (void)pthread_rwlock_unlock(&fixture->peers->lock);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(lake), &peer));
    assert_int_equal(peer.liveness, LIVENESS_DOWN);
}

static void a_site_is_found_by_what_people_call_it(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    struct signing_key *other = make_key(fixture, "other");
    struct signing_key *desert = make_key(fixture, "desert");
    struct error error = {0};
    struct peer peer;
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_int_equal(announce(fixture, other, "ocean", NULL), OK);
    assert_int_equal(announce(fixture, desert, "desert", NULL), OK);
    assert_int_equal(peers_find_named(fixture->peers, TEXT("desert"), &peer, &error), OK);
    assert_int_equal(
        peers_find_named(fixture->peers, TEXT("https://desert.example.org:7733"), &peer, &error),
        OK);
    assert_int_equal(peers_find_named(fixture->peers, TEXT("ocean"), &peer, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "2 sites"));
    struct text digits = text_slice(text_of(caller_of(ocean)), 7, 17);
    assert_int_equal(peers_find_named(fixture->peers, digits, &peer, &error), OK);
    assert_string_equal(peer.site.text, caller_of(ocean));
    assert_int_equal(peers_find_named(fixture->peers, text_slice(digits, 0, 7), &peer, &error),
                     NOT_FOUND);
    // Of two with one name, who was denied counts for less.
    assert_int_equal(peers_set_standing(fixture->peers, &peer.site, STANDING_DENIED, NULL, NULL),
                     OK);
    assert_int_equal(peers_find_named(fixture->peers, TEXT("ocean"), &peer, &error), OK);
    assert_string_equal(peer.site.text, caller_of(other));

    struct peer list[4];
    assert_int_equal(peers_list(fixture->peers, NULL, 2, list), 2);
    assert_string_equal(list[0].name, "desert");
    assert_int_equal(peers_list(fixture->peers, list[1].site.text, 4, list), 1);
    assert_string_equal(list[0].name, "ocean");
    assert_int_equal(peers_list(fixture->peers, list[0].site.text, 4, list), 0);
    signing_key_free(other);
    signing_key_free(desert);
}

static void the_name_of_a_member_is_not_for_another_key(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    struct signing_key *other = make_key(fixture, "other");
    struct error error = {0};
    struct peer peer;
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_int_equal(peers_set_standing(fixture->peers, signing_key_fingerprint(ocean),
                                        STANDING_MEMBER, NULL, NULL),
                     OK);
    assert_int_equal(announce(fixture, other, "ocean", &error), CONFLICT);
    assert_non_null(strstr(error.fix, "lode sites deny"));
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_non_null(strstr(peer.problem, caller_of(other)));
    assert_int_equal(announce(fixture, other, "hub", &error), CONFLICT);
    assert_int_equal(peers_set_standing(fixture->peers, signing_key_fingerprint(ocean),
                                        STANDING_DENIED, NULL, NULL),
                     OK);
    assert_int_equal(announce(fixture, other, "ocean", &error), OK);
    assert_int_equal(announce(fixture, ocean, "ocean", &error), DENIED);
    signing_key_free(other);
}

static enum status check_guest(struct fixture *fixture, const struct signing_key *key,
                               const char *policy)
{
    struct error error = {0};
    enum status status =
        peers_check_guest(fixture->peers, signing_key_fingerprint(key), policy, &error);
    assert_true(status == OK || (status == DENIED && error.detail[0] && error.fix[0]));
    assert_null(strstr(error.detail, "from (")); // A site without a name is called by its key.
    return status;
}

static void guests_are_let_in_by_the_site_s_own_policy(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    const struct fingerprint *site = signing_key_fingerprint(ocean);
    static const char *const POLICIES[] = {"none", "accepted", "members"};
    static const enum status MEMBER[] = {DENIED, OK, OK};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(check_guest(fixture, ocean, POLICIES[i]), DENIED);
        assert_int_equal(check_guest(fixture, fixture->key, POLICIES[i]), OK);
    }
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(check_guest(fixture, ocean, POLICIES[i]), DENIED);
    }
    assert_int_equal(peers_set_standing(fixture->peers, site, STANDING_MEMBER, NULL, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(check_guest(fixture, ocean, POLICIES[i]), MEMBER[i]);
    }
    assert_int_equal(peers_set_standing(fixture->peers, site, STANDING_DENIED, NULL, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(check_guest(fixture, ocean, POLICIES[i]), DENIED);
    }
}

static void announce_hub(struct fixture *fixture, const struct signing_key *key, const char *name)
{
    AUTO_BUFFER struct buffer out = {0};
    json_t *statement = announcement_of(key, name);
    (void)json_object_set_new(statement, "is_hub", json_true());
    (void)json_object_del(statement, "signature");
    AUTO_JSON json_t *body = parsed(sign(statement, key));
    assert_int_equal(
        peers_heard_announcement(fixture->peers, caller_of(key), PEERS_PUSH, body, &out, NULL), OK);
}

// Shows a log of ocean that ocean has not signed; returns what the problem of ocean is then.
static struct peer show_forged_log(struct fixture *fixture, const struct signing_key *by)
{
    struct peer peer;
    struct error error = {0};
    struct ledger_position position;
    AUTO_FREE char *head =
        sign(json_pack("{s:s, s:s, s:i, s:i, s:s}", "kind", "head", "time", "2026-01-01T00:00:00Z",
                       "epoch", 1, "serial", 1, "head",
                       "sha256:1111111111111111111111111111111111111111111111111111111111111111"),
             fixture->lake);
    const struct fingerprint *ocean = signing_key_fingerprint(fixture->ocean);
    assert_int_equal(
        peers_heard_batches(fixture->peers, caller_of(by), ocean, text_of(head), &position, &error),
        CORRUPT);
    assert_true(error.detail[0]);
    assert_true(peers_find(fixture->peers, ocean, &peer));
    return peer;
}

static void nobody_gives_another_site_a_problem_but_a_hub_that_is_followed(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *lake = fixture->lake;
    assert_int_equal(announce(fixture, fixture->ocean, "ocean", NULL), OK);
    announce_hub(fixture, lake, "lake");
    assert_string_equal(show_forged_log(fixture, lake).problem, "");
    assert_string_not_equal(show_forged_log(fixture, fixture->ocean).problem, "");
    assert_int_equal(peers_set_standing(fixture->peers, signing_key_fingerprint(lake),
                                        STANDING_MEMBER, NULL, NULL),
                     OK);
    assert_non_null(strstr(show_forged_log(fixture, lake).problem, "by way of lake ("));
}

static enum status refuse_to_witness(struct sql *sql, void *context, const struct peer *peer,
                                     struct error *error)
{
    (void)sql;
    *(bool *)context = strcmp(peer->name, "ocean") == 0;
    return error_set(error, QUOTA, "no room for the audit log");
}

static void what_cannot_be_audited_does_not_happen(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    bool has_seen = false;
    struct peer peer;
    const struct peers_witness witness = {.write = refuse_to_witness, .context = &has_seen};
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    assert_int_equal(peers_set_standing(fixture->peers, signing_key_fingerprint(ocean),
                                        STANDING_MEMBER, &witness, NULL),
                     QUOTA);
    assert_true(has_seen);
    assert_true(peers_find(fixture->peers, signing_key_fingerprint(ocean), &peer));
    assert_int_equal(peer.standing, STANDING_PENDING);
}

static void count_wake(void *context)
{
    (void)atomic_fetch_add((_Atomic int *)context, 1);
}

static void await_count(_Atomic int *count, int wanted)
{
    int64_t until_us = clock_steady_us() + AWAIT_US;
    const struct timespec nap = {.tv_nsec = NAP_NS};
    while (atomic_load(count) < wanted) {
        assert_true(clock_steady_us() < until_us);
        (void)nanosleep(&nap, NULL);
    }
}

static void who_waits_for_the_feed_is_woken_once(void **state)
{
    struct fixture *fixture = *state;
    const struct signing_key *ocean = fixture->ocean;
    _Atomic int woken = 0;
    bool is_something = false;
    AUTO_BUFFER struct buffer out = {0};
    assert_int_equal(peers_start(fixture->peers, NULL, NULL), OK);
    int64_t far_us = clock_steady_us() + INT64_C(3600000000);
    peers_watch(fixture->peers, TEXT(""), far_us, count_wake, &woken);
    peers_watch(fixture->peers, TEXT(""), clock_steady_us(), count_wake, &woken);
    await_count(&woken, 1); // Whose time is over.
    assert_int_equal(announce(fixture, ocean, "ocean", NULL), OK);
    await_count(&woken, 2);
    assert_int_equal(peers_read_changes(fixture->peers, TEXT(""), &out, &is_something, NULL), OK);
    assert_true(is_something);
    peers_watch(fixture->peers, TEXT(""), far_us, count_wake,
                &woken); // There is something already.
    await_count(&woken, 3);
    struct text cursor = text_slice(buffer_text(&out), 11, 11 + 16 + 2);
    assert_true(cursor.length > 16);
    peers_watch(fixture->peers, cursor, far_us, count_wake, &woken);
    peers_wake_all(fixture->peers);
    await_count(&woken, 4);
    peers_watch(fixture->peers, cursor, far_us, count_wake, &woken); // None waits any more.
    await_count(&woken, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_hub, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_announced_site_is_known_and_survives_a_restart),
        TEST(a_heartbeat_is_heard_in_memory_only),
        TEST(who_was_heard_is_written_now_and_then_in_one_commit),
        TEST(many_that_were_heard_are_written_in_several_commits),
        TEST(how_a_site_is_survives_a_restart),
        TEST(a_site_is_not_silent_while_nobody_is_there_to_hear_it),
        TEST(a_site_is_found_by_what_people_call_it),
        TEST(the_name_of_a_member_is_not_for_another_key),
        TEST(guests_are_let_in_by_the_site_s_own_policy),
        TEST(nobody_gives_another_site_a_problem_but_a_hub_that_is_followed),
        TEST(what_cannot_be_audited_does_not_happen),
        TEST(who_waits_for_the_feed_is_woken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
