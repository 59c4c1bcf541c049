#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "peers/state.h"

#include <stdatomic.h>
#include <time.h>

enum { AWAIT_US = 30000000, NAP_NS = 2000000, SECOND_US = 1000000 };

// What a hub, here the lake, says of others, heard by a site that is no hub and reaches nobody.

// A line of a hub's feed about ocean, with what the hub itself says.
static enum status read_line(const char *statement, const char *heartbeat, const char *word,
                             struct said_news *out, struct error *error)
{
    AUTO_FREE char *line =
        memory_format("{\"statement\":%s,\"heartbeat\":%s,%s}", statement, heartbeat, word);
    *out = (struct said_news){0};
    *error = (struct error){0};
    return said_news_read(text_of(line), out, error);
}

static void a_hub_s_word_is_read_with_what_it_has_measured(void **state)
{
    struct fixture *fixture = *state;
    struct said_news news;
    struct error error;
    AUTO_FREE char *statement = site_of(fixture->ocean, "ocean", NULL);
    AUTO_FREE char *heartbeat = heartbeat_of(fixture->ocean, clock_real_us(), 8);
    assert_int_equal(read_line(statement, heartbeat,
                               "\"standing\":\"pending\",\"epoch\":1,\"serial\":7,"
                               "\"heard_seconds\":5,\"clock_offset_seconds\":-1.5",
                               &news, &error),
                     OK);
    assert_int_equal(news.standing, STANDING_PENDING);
    assert_int_equal(news.heard_us, 5 * SECOND_US);
    assert_true(news.has_clock_offset);
    assert_int_equal(news.clock_offset_us, -3 * SECOND_US / 2);
    said_news_done(&news);
    // An older hub says neither, and a standing that is not known here is none.
    static const char *const OLDER[] = {
        "\"standing\":\"emeritus\",\"epoch\":1,\"serial\":7",
        "\"standing\":\"emeritus\",\"epoch\":1,\"serial\":7,\"heard_seconds\":null,"
        "\"clock_offset_seconds\":null"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(read_line(statement, "null", OLDER[i], &news, &error), OK);
        assert_int_equal(news.standing, STANDING_UNKNOWN);
        assert_false(news.has_clock_offset);
        assert_false(news.has_heartbeat);
        said_news_done(&news);
    }
}

static void what_a_hub_cannot_mean_is_refused_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    struct said_news news;
    struct error error;
    AUTO_FREE char *statement = site_of(fixture->ocean, "ocean", NULL);
    AUTO_FREE char *others = heartbeat_of(fixture->lake, clock_real_us(), 8);
    static const char GOOD[] = "\"standing\":\"member\",\"epoch\":1,\"serial\":7";
    static const struct {
        const char *word;
        const char *reason;
    } BAD[] = {
        {"\"epoch\":1,\"serial\":7", "standing"},
        {"\"standing\":\"member\",\"epoch\":-1,\"serial\":7", "epoch"},
        {"\"standing\":\"member\",\"epoch\":1,\"serial\":\"7\"", "serial"},
        {"\"standing\":\"member\",\"epoch\":1,\"serial\":7,\"heard_seconds\":-1", "heard_seconds"},
        {"\"standing\":\"member\",\"epoch\":1,\"serial\":7,\"heard_seconds\":9223372036854775807",
         "heard_seconds"},
        {"\"standing\":\"member\",\"epoch\":1,\"serial\":7,\"clock_offset_seconds\":1e300",
         "clock_offset_seconds"},
        {"\"standing\":\"member\",\"epoch\":1,\"serial\":7,\"clock_offset_seconds\":\"1\"",
         "clock_offset_seconds"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(read_line(statement, "null", BAD[i].word, &news, &error), INVALID);
        assert_non_null(strstr(error.detail, BAD[i].reason));
        said_news_done(&news);
    }
    assert_int_equal(read_line(statement, others, GOOD, &news, &error), CORRUPT);
    assert_non_null(strstr(error.detail, signing_key_fingerprint(fixture->ocean)->text));
    said_news_done(&news);
    // Another key in the statement, whose signature then is not that of the site.
    char *key = strstr(statement, "\"public_key\":\"") + strlen("\"public_key\":\"");
    public_key_to_text(signing_key_public(fixture->lake), key);
    key[strlen(key)] = '"';
    assert_int_equal(read_line(statement, "null", GOOD, &news, &error), CORRUPT);
    assert_non_null(strstr(error.detail, signing_key_fingerprint(fixture->ocean)->text));
    said_news_done(&news);
}

// The hub tells that it heard ocean so long ago, with a heartbeat of that time.
static struct peer tell(struct fixture *fixture, int64_t heartbeat_us, int heard_seconds, int cpus)
{
    struct peers *peers = fixture->peers;
    struct said_news news;
    struct error error;
    struct peer peer;
    AUTO_FREE char *statement = site_of(fixture->ocean, "ocean", NULL);
    AUTO_FREE char *heartbeat = heartbeat_of(fixture->ocean, heartbeat_us, cpus);
    AUTO_FREE char *word = memory_format("\"standing\":\"member\",\"epoch\":1,\"serial\":7,"
                                         "\"heard_seconds\":%d,\"clock_offset_seconds\":-1.5",
                                         heard_seconds);
    assert_int_equal(read_line(statement, heartbeat, word, &news, &error), OK);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *ocean = sites_find(peers, signing_key_fingerprint(fixture->ocean));
    struct site *hub = sites_find(peers, signing_key_fingerprint(fixture->lake));
    ocean = ocean ? ocean : sites_add(peers, signing_key_fingerprint(fixture->ocean));
    hub = hub ? hub : sites_add(peers, signing_key_fingerprint(fixture->lake));
    site_told(peers, ocean, hub, &news);
    (void)pthread_rwlock_unlock(&peers->lock);
    said_news_done(&news);
    assert_true(peers_find(peers, signing_key_fingerprint(fixture->ocean), &peer));
    return peer;
}

// The hub has said nothing of itself, so it has no name but its fingerprint.
static const char *caller_name(const struct fixture *fixture)
{
    return signing_key_fingerprint(fixture->lake)->text;
}

static void a_site_is_as_the_hub_last_heard_it(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_us = clock_real_us();
    struct peer peer = tell(fixture, now_us, 100, 8);
    assert_int_equal(peer.liveness, LIVENESS_STALE);
    assert_true(peer.heard_seconds >= 100 && peer.heard_seconds < 130);
    assert_string_equal(peer.by_hub, caller_name(fixture));
    assert_int_equal(peer.standing, STANDING_UNKNOWN);
    assert_int_equal(peer.standing_by_hub, STANDING_MEMBER);
    assert_true(peer.has_clock_offset && peer.clock_offset_us == -3 * SECOND_US / 2);
    assert_int_equal(peer.cpus, 8);
    // The same heartbeat, or an older one, heard just now makes the site no younger.
    assert_int_equal(tell(fixture, now_us, 0, 16).liveness, LIVENESS_STALE);
    peer = tell(fixture, now_us - SECOND_US, 0, 16);
    assert_true(peer.liveness == LIVENESS_STALE && peer.cpus == 8);
    peer = tell(fixture, now_us + SECOND_US, 0, 16);
    assert_true(peer.liveness == LIVENESS_UP && peer.cpus == 16);
}

static void who_is_heard_itself_is_as_it_is_heard(void **state)
{
    struct fixture *fixture = *state;
    struct peers *peers = fixture->peers;
    int64_t now_us = clock_real_us();
    (void)tell(fixture, now_us, 0, 8);
    struct said_heartbeat heard = {
        .time_us = now_us + SECOND_US, .ttl_us = 60 * SECOND_US, .load = {.cpus = 4}};
    (void)pthread_rwlock_wrlock(&peers->lock);
    site_heard(peers, sites_find(peers, signing_key_fingerprint(fixture->ocean)), &heard,
               TEXT("{}"));
    (void)pthread_rwlock_unlock(&peers->lock);
    // A newer heartbeat by way of the hub says a newer load; when it was heard, and its clock, this site knows better.
    struct peer peer = tell(fixture, now_us + 2 * SECOND_US, 50, 16);
    assert_string_equal(peer.by_hub, "");
    assert_true(peer.heard_seconds < 30);
    assert_int_equal(peer.cpus, 16);
    assert_true(peer.clock_offset_us > -SECOND_US);
    // Once it is not heard any more, the hub's word counts again.
    (void)pthread_rwlock_wrlock(&peers->lock);
    sites_find(peers, signing_key_fingerprint(fixture->ocean))->heard_us -=
        200 * (int64_t)SECOND_US;
    (void)pthread_rwlock_unlock(&peers->lock);
    peer = tell(fixture, now_us + 3 * SECOND_US, 10, 16);
    assert_string_equal(peer.by_hub, caller_name(fixture));
    assert_int_equal(peer.liveness, LIVENESS_UP);
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

static void without_hubs_there_is_nobody_to_ask(void **state)
{
    struct fixture *fixture = *state;
    struct peers_overview overview;
    _Atomic int woken = 0;
    peers_look_around(fixture->peers, count_wake, &woken);
    assert_int_equal(woken, 1);
    peers_overview(fixture->peers, &overview);
    assert_string_equal(overview.source, "own");
    assert_true(overview.is_complete && overview.problem_count == 0);
}

static void when_no_hub_answers_that_is_said_and_all_who_look_go_on(void **state)
{
    struct fixture *fixture = *state;
    struct peers_overview overview;
    struct peer hub;
    _Atomic int woken = 0;
    const struct peers_hub_request request = {
        .url = TEXT("https://127.0.0.1:1"), // Where nobody listens.
        .fingerprint = text_of(signing_key_fingerprint(fixture->lake)->text),
        .mode = PEERS_PUSH};
    assert_int_equal(peers_start(fixture->peers, NULL, NULL), OK);
    assert_int_equal(peers_add_hub(fixture->peers, &request, &hub, NULL), UNAVAILABLE);
    for (int i = 0; i < 3; i++) {
        peers_look_around(fixture->peers, count_wake, &woken);
    }
    await_count(&woken, 3);
    peers_overview(fixture->peers, &overview);
    assert_string_equal(overview.source, "memory");
    assert_int_equal(overview.age_seconds, -1);
    assert_false(overview.is_complete);
    assert_int_equal(overview.problem_count, 1);
    assert_non_null(strstr(overview.problems[0], signing_key_fingerprint(fixture->lake)->text));
    // Who looks right after is not kept waiting, and nobody is once the end has come.
    peers_look_around(fixture->peers, count_wake, &woken);
    assert_int_equal(woken, 4);
    peers_wake_all(fixture->peers);
    peers_look_around(fixture->peers, count_wake, &woken);
    assert_int_equal(woken, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_site, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hub_s_word_is_read_with_what_it_has_measured),
        TEST(what_a_hub_cannot_mean_is_refused_with_the_reason),
        TEST(a_site_is_as_the_hub_last_heard_it),
        TEST(who_is_heard_itself_is_as_it_is_heard),
        TEST(without_hubs_there_is_nobody_to_ask),
        TEST(when_no_hub_answers_that_is_said_and_all_who_look_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
