#include "../cmocka_all.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "peers/state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { AWAIT_US = 30000000, NAP_NS = 2000000, SECOND_US = 1000000 };

// What a hub says of others, heard by a site that is no hub and reaches nobody.
struct fixture {
    char folder[64];
    struct signing_key *key;
    struct signing_key *ocean;
    struct signing_key *hub;
    struct store *store;
    struct ledger *ledger;
    struct peers *peers;
};

static struct signing_key *make_key(const struct fixture *fixture, const char *name)
{
    struct signing_key *key = NULL;
    struct fingerprint fingerprint;
    AUTO_FREE char *folder = memory_format("%s/%s", fixture->folder, name);
    assert_int_equal(file_make_folder(folder, NULL), OK);
    assert_int_equal(key_ensure(folder, name, &fingerprint, NULL), OK);
    assert_int_equal(signing_key_open(folder, &key, NULL), OK);
    return key;
}

static void open_all(struct fixture *fixture)
{
    struct store_migration migrations[16];
    size_t count = 0;
    for (size_t i = 0; i < LEDGER_MIGRATION_COUNT; i++) {
        migrations[count++] = LEDGER_MIGRATIONS[i];
    }
    for (size_t i = 0; i < PEERS_MIGRATION_COUNT; i++) {
        migrations[count++] = PEERS_MIGRATIONS[i];
    }
    AUTO_FREE char *url = memory_format("%s/lode.db", fixture->folder);
    AUTO_FREE char *own = memory_format("%s/desk", fixture->folder);
    const struct store_options store = {
        .url = url, .migrations = migrations, .migration_count = count};
    assert_int_equal(store_open(&store, &fixture->store, NULL), OK);
    const struct ledger_options ledger = {.store = fixture->store, .key = fixture->key};
    assert_int_equal(ledger_open(&ledger, &fixture->ledger, NULL), OK);
    const struct peers_options peers = {.store = fixture->store,
                                        .key = fixture->key,
                                        .directory = own,
                                        .name = "desk",
                                        .ledger = fixture->ledger};
    assert_int_equal(peers_open(&peers, &fixture->peers, NULL), OK);
}

static int start(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/lode-test-told.XXXXXX");
    *state = fixture;
    if (!mkdtemp(fixture->folder)) {
        return -1;
    }
    fixture->key = make_key(fixture, "desk");
    fixture->ocean = make_key(fixture, "ocean");
    fixture->hub = make_key(fixture, "hub");
    open_all(fixture);
    return 0;
}

static int stop(void **state)
{
    struct fixture *fixture = *state;
    peers_stop(fixture->peers);
    ledger_close(fixture->ledger);
    store_close(fixture->store);
    peers_close(fixture->peers);
    signing_key_free(fixture->key);
    signing_key_free(fixture->ocean);
    signing_key_free(fixture->hub);
    enum status status = file_remove_tree(fixture->folder, NULL);
    free(fixture);
    return status == OK ? 0 : -1;
}

// The statement, signed, as text; it is given away.
static char *sign(json_t *statement, const struct signing_key *key)
{
    AUTO_BUFFER struct buffer text = {0};
    assert_int_equal(statement_sign(statement, key, &text, NULL), OK);
    json_decref(statement);
    return text_copy(buffer_text(&text));
}

static char *site_of(const struct signing_key *key)
{
    char text[PUBLIC_KEY_TEXT_SIZE];
    public_key_to_text(signing_key_public(key), text);
    return sign(json_pack("{s:s, s:s, s:s, s:s, s:[], s:s, s:i, s:b}", "kind", "site", "time",
                          "2026-01-01T00:00:00Z", "name", "ocean", "public_key", text, "urls",
                          "version", "1", "protocol", 1, "is_hub", 0),
                key);
}

static char *heartbeat_of(const struct signing_key *key, int64_t time_us, int cpus)
{
    char time[CALENDAR_TEXT_SIZE];
    (void)calendar_format(time_us, time);
    return sign(json_pack("{s:s, s:s, s:i, s:i, s:s, s:{s:i, s:i}, s:i}", "kind", "heartbeat",
                          "time", time, "epoch", 1, "serial", 0, "head",
                          "sha256:0000000000000000000000000000000000000000000000000000000000000000",
                          "load", "cpus", cpus, "cpus_busy", 2, "ttl_seconds", 60),
                key);
}

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
    AUTO_FREE char *statement = site_of(fixture->ocean);
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
    AUTO_FREE char *statement = site_of(fixture->ocean);
    AUTO_FREE char *others = heartbeat_of(fixture->hub, clock_real_us(), 8);
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
    public_key_to_text(signing_key_public(fixture->hub), key);
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
    AUTO_FREE char *statement = site_of(fixture->ocean);
    AUTO_FREE char *heartbeat = heartbeat_of(fixture->ocean, heartbeat_us, cpus);
    AUTO_FREE char *word = memory_format("\"standing\":\"member\",\"epoch\":1,\"serial\":7,"
                                         "\"heard_seconds\":%d,\"clock_offset_seconds\":-1.5",
                                         heard_seconds);
    assert_int_equal(read_line(statement, heartbeat, word, &news, &error), OK);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *ocean = sites_find(peers, signing_key_fingerprint(fixture->ocean));
    struct site *hub = sites_find(peers, signing_key_fingerprint(fixture->hub));
    ocean = ocean ? ocean : sites_add(peers, signing_key_fingerprint(fixture->ocean));
    hub = hub ? hub : sites_add(peers, signing_key_fingerprint(fixture->hub));
    site_told(peers, ocean, hub, &news);
    (void)pthread_rwlock_unlock(&peers->lock);
    said_news_done(&news);
    assert_true(peers_find(peers, signing_key_fingerprint(fixture->ocean), &peer));
    return peer;
}

// The hub has said nothing of itself, so it has no name but its fingerprint.
static const char *caller_name(const struct fixture *fixture)
{
    return signing_key_fingerprint(fixture->hub)->text;
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
        .fingerprint = text_of(signing_key_fingerprint(fixture->hub)->text),
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
    assert_non_null(strstr(overview.problems[0], signing_key_fingerprint(fixture->hub)->text));
    // Who looks right after is not kept waiting, and nobody is once the end has come.
    peers_look_around(fixture->peers, count_wake, &woken);
    assert_int_equal(woken, 4);
    peers_wake_all(fixture->peers);
    peers_look_around(fixture->peers, count_wake, &woken);
    assert_int_equal(woken, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

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
