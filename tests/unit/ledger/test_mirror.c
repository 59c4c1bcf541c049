// Taking the logs of sites, finding what they say, and the index behind it.
#include "hub.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"

#include <pthread.h>
#include <stdio.h>

// --- taking and finding

static void what_is_found_is_what_was_signed(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_BUFFER struct buffer own = {0};
    AUTO_BUFFER struct buffer found = {0};
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    talker_says(&talker, "doi:10.1/\"x\\", ALIASES("s:x", "s:\"y"), "available");
    hub_follow(&hub, &talker);
    assert_int_equal(ledger_find_entry(talker.ledger, TEXT("doi:10.1/\"x\\"), &own, NULL), OK);
    buffer_append_byte(&own, '\n');
    assert_int_equal(hub_find(&hub, "doi:10.1/\"x\\", &found), 1);
    assert_string_equal(found.bytes, own.bytes);
    buffer_clear(&found);
    assert_int_equal(hub_find(&hub, "s:\"y", &found), 1);
    assert_string_equal(found.bytes, own.bytes);
    assert_int_equal(hub_count(&hub, "doi:10.1/"), 0);
    assert_int_equal(hub_count(&hub, ""), 0);
    assert_int_equal(mirror_find(hub.mirror, (struct text){"s:x\0e", 5}, 9, hub_add_found, &found),
                     0);
    assert_int_equal(mirror_find(hub.mirror, TEXT("s:x"), 0, hub_add_found, &found), 0);
    assert_int_equal(atomic_load(&hub.advanced), 1);
    talker_close(&talker);
    hub_close(&hub);
}

static void replicas_of_all_sites_are_found_by_any_alias(void **state)
{
    struct hub hub = {0};
    struct talker talkers[3];
    hub_open(&hub, *state);
    static const char *const NAMES[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        talker_open(&talkers[i], *state, NAMES[i]);
    }
    talker_says(&talkers[0], "doi:10.1/x", ALIASES("s:x"), "available");
    talker_says(&talkers[1], "s:x", NULL, "available");
    talker_says(&talkers[2], "ark:1/x", ALIASES("s:x", "s:more"), "changed");
    talker_says(&talkers[2], "s:else", NULL, "available");
    for (int i = 0; i < 3; i++) {
        hub_follow(&hub, &talkers[i]);
    }
    assert_int_equal(hub_count(&hub, "doi:10.1/x"), 3);
    assert_int_equal(hub_count(&hub, "s:x"), 3);
    assert_int_equal(hub_count(&hub, "s:more"), 3);
    assert_int_equal(hub_count(&hub, "s:else"), 1);
    AUTO_BUFFER struct buffer found = {0};
    assert_int_equal(mirror_find(hub.mirror, TEXT("s:x"), 2, hub_add_found, &found), 2);
    uint32_t number = 0;
    uint32_t again = 0;
    const struct fingerprint *site = signing_key_fingerprint(talkers[1].key);
    assert_int_equal(mirror_site_number(hub.mirror, site, &number, NULL), OK);
    for (int i = 0; i < 3; i++) {
        talker_close(&talkers[i]);
    }
    hub_close(&hub);
    hub_open(&hub, *state);
    assert_int_equal(
        mirror_site_number(hub.mirror, (const struct fingerprint *)FIXTURE_SITE, &again, NULL), OK);
    assert_int_equal(again, 4);
    assert_int_equal(number, 2);
    assert_int_equal(hub_count(&hub, "s:more"), 3);
    assert_int_equal(atomic_load(&hub.reported), 0);
    hub_close(&hub);
}

static void names_that_are_followed_have_a_maximum(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    for (int i = 0; i < 100; i++) {
        char id[32];
        char alias[32];
        (void)snprintf(id, sizeof id, "s:%d", i);
        (void)snprintf(alias, sizeof alias, "s:%d", i + 1);
        talker_says(&talker, id, ALIASES(alias), "available");
    }
    hub_follow(&hub, &talker);
    size_t found = hub_count(&hub, "s:0");
    assert_true(found > 10 && found < 100);
    talker_close(&talker);
    hub_close(&hub);
}

static void what_changes_and_goes_is_cleaned_up(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    // In one batch, so that what is replaced has not been written yet; and one by one.
    for (int i = 0; i < 2; i++) {
        talker_says(&talker, "s:a", ALIASES("s:b", "s:c"), "available");
        if (i == 1) {
            hub_follow(&hub, &talker);
            assert_int_equal(hub_count(&hub, "s:b"), 1);
        }
        talker_says(&talker, "s:a", ALIASES("s:c", "s:d"), "available");
        hub_follow(&hub, &talker);
        assert_int_equal(hub_count(&hub, "s:b"), 0);
        assert_int_equal(hub_count(&hub, "s:c"), 1);
        assert_int_equal(hub_count(&hub, "s:d"), 1);
        talker_says(&talker, "s:a", ALIASES("s:d"), "lost");
        hub_follow(&hub, &talker);
        AUTO_BUFFER struct buffer found = {0};
        assert_int_equal(hub_find(&hub, "s:d", &found), 1);
        assert_non_null(strstr(found.bytes, "\"state\":\"lost\""));
        assert_int_equal(hub_count(&hub, "s:c"), 0);
        talker_remove(&talker, "s:a");
        hub_follow(&hub, &talker);
        assert_int_equal(hub_count(&hub, "s:a"), 0);
        assert_int_equal(hub_count(&hub, "s:d"), 0);
    }
    talker_close(&talker);
    hub_close(&hub);
}

static void what_is_here_already_costs_nothing(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_BUFFER struct buffer all = {0};
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 50);
    talker_read(&talker, 0, 0, &all);
    hub_take_well(&hub, &talker, buffer_text(&all));
    int64_t commits = store_figures(hub.store).commits;
    int64_t index_size = mirror_figures(hub.mirror).index_size_bytes;
    int advanced = atomic_load(&hub.advanced);
    hub_take_well(&hub, &talker, buffer_text(&all));
    hub_take_well(&hub, &talker, TEXT_NONE);
    hub_follow(&hub, &talker);
    assert_int_equal(store_figures(hub.store).commits, commits);
    assert_int_equal(mirror_figures(hub.mirror).index_size_bytes, index_size);
    assert_int_equal(atomic_load(&hub.advanced), advanced);
    // Of a batch that is here in part, the rest is taken.
    talker_say_many(&talker, 50, 60);
    buffer_clear(&all);
    talker_read(&talker, 1, 20, &all);
    hub_take_well(&hub, &talker, buffer_text(&all));
    assert_int_equal(hub_serial(&hub, &talker), 60);
    assert_int_equal(hub_count(&hub, "s:59"), 1);
    talker_close(&talker);
    hub_close(&hub);
}

static void a_hub_learns_from_a_hub(void **state)
{
    struct hub first = {0};
    struct hub second = {0};
    struct talker talker;
    AUTO_BUFFER struct buffer head = {0};
    AUTO_BUFFER struct buffer head_again = {0};
    AUTO_FREE char *folder = memory_format("%s/second", (const char *)*state);
    assert_int_equal(file_make_folder(folder, NULL), OK);
    hub_open(&first, *state);
    hub_open(&second, folder);
    talker_open(&talker, *state, "site");
    const struct fingerprint *site = signing_key_fingerprint(talker.key);
    assert_int_equal(mirror_head(first.mirror, site, &head, NULL), NOT_FOUND);
    // Entry by entry, which is joined into few batches.
    for (int i = 0; i < 100; i++) {
        talker_say_many(&talker, i, i + 1);
        hub_follow(&first, &talker);
    }
    talker_say_many(&talker, 100, 2600);
    hub_follow(&first, &talker);
    int64_t after = 0;
    size_t heads = 0;
    while (after < 2600) {
        AUTO_BUFFER struct buffer text = {0};
        assert_int_equal(mirror_read_batches(first.mirror, site, 1, after, &text, NULL), OK);
        hub_take_well(&second, &talker, buffer_text(&text));
        assert_true(hub_serial(&second, &talker) > after);
        after = hub_serial(&second, &talker);
        for (const char *at = text.bytes; (at = strstr(at, "\"kind\":\"head\"")) != NULL; at++) {
            heads++;
        }
    }
    assert_true(heads < 10);
    assert_int_equal(hub_count(&second, "s:2599"), 1);
    assert_int_equal(mirror_head(first.mirror, site, &head, NULL), OK);
    assert_int_equal(mirror_head(second.mirror, site, &head_again, NULL), OK);
    assert_string_equal(head.bytes, head_again.bytes);
    AUTO_BUFFER struct buffer nothing = {0};
    assert_int_equal(mirror_read_batches(first.mirror, site, 1, 2600, &nothing, NULL), OK);
    assert_int_equal(nothing.length, 0);
    // Another epoch than the present one: from the beginning.
    assert_int_equal(mirror_read_batches(first.mirror, site, 7, 2600, &nothing, NULL), OK);
    assert_true(nothing.length > 0);
    const struct fingerprint *stranger = (const struct fingerprint *)FIXTURE_SITE;
    assert_int_equal(mirror_read_batches(first.mirror, stranger, 0, 0, &nothing, NULL), NOT_FOUND);
    assert_int_equal(mirror_head(first.mirror, stranger, &nothing, NULL), NOT_FOUND);
    assert_int_equal(mirror_position(first.mirror, stranger).epoch, 0);
    talker_close(&talker);
    hub_close(&second);
    hub_close(&first);
}

// --- the index and the store

static void the_index_catches_up_after_a_crash(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_FREE char *index = memory_format("%s/index", (const char *)*state);
    AUTO_FREE char *kept = memory_format("%s/kept", (const char *)*state);
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 1500);
    hub_follow(&hub, &talker);
    hub_close(&hub);
    // The index as it was before the last of the log: as a crash of the machine leaves it. Until then the hub makes do with another.
    assert_int_equal(rename(index, kept), 0);
    hub_open(&hub, *state);
    assert_int_equal(hub_count(&hub, "s:1499"), 1);
    talker_say_many(&talker, 1500, 3000);
    talker_says(&talker, "s:7", ALIASES("s:seven"), "available");
    hub_follow(&hub, &talker);
    hub_close(&hub);
    assert_int_equal(file_remove_tree(index, NULL), OK);
    assert_int_equal(rename(kept, index), 0);
    hub_open(&hub, *state);
    assert_int_equal(hub_count(&hub, "s:2999"), 1);
    assert_int_equal(hub_count(&hub, "s:seven"), 1);
    assert_int_equal(mirror_figures(hub.mirror).entries, 3001);
    assert_int_equal(mirror_figures(hub.mirror).sites, 1);
    assert_int_equal(atomic_load(&hub.reported), 0);
    talker_close(&talker);
    hub_close(&hub);
}

enum { TALKERS = 3 };

// A hub starts that has the logs of TALKERS sites, with `count` datasets each, and no index.
static void start_behind(struct hub *hub, struct talker talkers[TALKERS], int count, char *folder)
{
    AUTO_FREE char *index = memory_format("%s/index", folder);
    hub_open(hub, folder);
    for (int i = 0; i < TALKERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "site-%d", i);
        talker_open(&talkers[i], folder, name);
        talker_say_many(&talkers[i], 0, count);
        hub_follow(hub, &talkers[i]);
    }
    hub_close(hub);
    assert_int_equal(file_remove_tree(index, NULL), OK);
    hub_start(hub, folder);
}

static void what_comes_while_the_index_catches_up_is_found(void **state)
{
    struct hub hub = {0};
    struct talker talkers[TALKERS];
    start_behind(&hub, talkers, 1200, *state);
    for (int i = 0; i < TALKERS; i++) {
        talker_say_many(&talkers[i], 1200, 1210);
        talker_remove(&talkers[i], "s:7");
        hub_follow(&hub, &talkers[i]);
    }
    hub_await_index(&hub);
    assert_int_equal(hub_count(&hub, "s:1209"), TALKERS);
    assert_int_equal(hub_count(&hub, "s:1199"), TALKERS);
    assert_int_equal(hub_count(&hub, "s:7"), 0);
    for (int i = 0; i < TALKERS; i++) {
        talker_close(&talkers[i]);
    }
    hub_close(&hub);
}

#define assert_lacking(hub, talker, is_lacking)                                                    \
    do {                                                                                           \
        const struct fingerprint *said_by = signing_key_fingerprint((talker)->key);                \
        assert_int_equal(mirror_lacking((hub)->mirror), is_lacking);                               \
        assert_int_equal(mirror_lacks((hub)->mirror, said_by), is_lacking);                        \
    } while (0)

static void it_is_counted_of_how_many_sites_something_is_lacking(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_FREE char *index = memory_format("%s/index", (const char *)*state);
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    const struct fingerprint *site = signing_key_fingerprint(talker.key);
    assert_int_equal(mirror_lacking(hub.mirror), 0);
    assert_false(mirror_lacks(hub.mirror, site));
    talker_say_many(&talker, 0, 100);
    hub_follow(&hub, &talker);
    assert_lacking(&hub, &talker, false);
    // It says that it has more; then that comes.
    talker_say_many(&talker, 100, 110);
    struct ledger_position said = mirror_position(hub.mirror, site);
    said.serial = 110;
    mirror_expect(hub.mirror, site, &said);
    mirror_expect(hub.mirror, site, &said);
    assert_lacking(&hub, &talker, true);
    hub_follow(&hub, &talker);
    assert_lacking(&hub, &talker, false);
    // It is to say how much it has.
    mirror_expect(hub.mirror, site, NULL);
    assert_lacking(&hub, &talker, true);
    hub_follow(&hub, &talker);
    assert_lacking(&hub, &talker, true);
    mirror_expect(hub.mirror, site, &said);
    assert_lacking(&hub, &talker, false);
    // A new epoch, of which nothing is here; and nothing is expected any more.
    said.epoch++;
    said.serial = 1;
    mirror_expect(hub.mirror, site, &said);
    assert_lacking(&hub, &talker, true);
    mirror_expect_nothing(hub.mirror, site);
    assert_lacking(&hub, &talker, false);
    // Of a site that nobody knows nothing is expected.
    mirror_expect(hub.mirror, (const struct fingerprint *)FIXTURE_SITE, NULL);
    assert_lacking(&hub, &talker, false);
    hub_close(&hub);
    // An index that is made anew lacks it until it has all of the store.
    talker_close(&talker);
    assert_int_equal(file_remove_tree(index, NULL), OK);
    hub_start(&hub, *state);
    hub_await_index(&hub);
    while (mirror_lacking(hub.mirror) > 0) { // The catcher lets the site go after that.
        assert_int_equal(mirror_lacking(hub.mirror), 1);
    }
    assert_int_equal(hub_count(&hub, "s:109"), 1);
    hub_close(&hub);
}

static void an_index_that_is_behind_is_lacking_from_the_start(void **state)
{
    struct hub hub = {0};
    struct talker talkers[TALKERS];
    start_behind(&hub, talkers, 3000, *state);
    // Whoever finds nothing lacking finds everything: asked in this order.
    bool was_lacking = false;
    bool is_whole = false;
    while (!is_whole) {
        int64_t lacking = mirror_lacking(hub.mirror);
        size_t count = hub_count(&hub, "s:2999");
        was_lacking = was_lacking || lacking > 0;
        is_whole = lacking == 0;
        assert_in_range(lacking, 0, TALKERS);
        assert_true(!is_whole || count == TALKERS);
    }
    assert_true(was_lacking);
    for (int i = 0; i < TALKERS; i++) {
        talker_close(&talkers[i]);
    }
    hub_close(&hub);
}

static void damage_all_files(const char *index)
{
    AUTO_FREE char *path = memory_format("%s/CURRENT", index);
    assert_int_equal(file_write_atomic(path, TEXT("nonsense"), 0600, NULL), OK);
}

static void a_damaged_index_is_made_anew(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_FREE char *index = memory_format("%s/index", (const char *)*state);
    AUTO_FREE char *mark = memory_format("%s/index.damaged", (const char *)*state);
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 100);
    hub_follow(&hub, &talker);
    hub_close(&hub);
    damage_all_files(index);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 1);
    assert_int_equal(hub_count(&hub, "s:99"), 1);
    hub_close(&hub);
    // What is found while it runs is mended at the next start.
    assert_int_equal(file_write_atomic(mark, TEXT_NONE, 0600, NULL), OK);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 2);
    assert_int_equal(hub_count(&hub, "s:99"), 1);
    assert_int_equal(access(mark, F_OK), -1);
    talker_close(&talker);
    hub_close(&hub);
}

static void a_hub_restored_from_an_old_backup_takes_the_rest_again(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_FREE char *database = memory_format("%s/hub.db", (const char *)*state);
    AUTO_BUFFER struct buffer backup = {0};
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 10);
    hub_follow(&hub, &talker);
    hub_close(&hub);
    assert_int_equal(file_read(database, 1 << 24, &backup, NULL), OK);
    hub_open(&hub, *state);
    talker_say_many(&talker, 10, 20);
    hub_follow(&hub, &talker);
    hub_close(&hub);
    // The index is ahead of the store now, and so of no use.
    assert_int_equal(file_write_atomic(database, buffer_text(&backup), 0600, NULL), OK);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 1);
    assert_int_equal(hub_serial(&hub, &talker), 10);
    assert_int_equal(hub_count(&hub, "s:15"), 0);
    hub_follow(&hub, &talker);
    assert_int_equal(hub_count(&hub, "s:15"), 1);
    talker_close(&talker);
    hub_close(&hub);
}

// --- several at once

struct feeder {
    const struct hub *hub;
    struct talker talker;
    pthread_t thread;
};

static void *feed(void *context)
{
    const struct feeder *feeder = context;
    for (int i = 0; i < 10; i++) {
        talker_say_many(&feeder->talker, i * 20, i * 20 + 20);
        hub_follow(feeder->hub, &feeder->talker);
        (void)hub_count(feeder->hub, "s:1");
    }
    return NULL;
}

static void logs_of_several_sites_come_at_once(void **state)
{
    enum { FEEDERS = 4 };
    struct hub hub = {0};
    struct feeder feeders[FEEDERS];
    struct feeder twin;
    hub_open(&hub, *state);
    for (int i = 0; i < FEEDERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "site-%d", i);
        feeders[i].hub = &hub;
        talker_open(&feeders[i].talker, *state, name);
        assert_int_equal(pthread_create(&feeders[i].thread, NULL, feed, &feeders[i]), 0);
    }
    // One log that two bring at the same time.
    twin = feeders[0];
    assert_int_equal(pthread_create(&twin.thread, NULL, feed, &twin), 0);
    (void)pthread_join(twin.thread, NULL);
    for (int i = 0; i < FEEDERS; i++) {
        (void)pthread_join(feeders[i].thread, NULL);
        hub_follow(&hub, &feeders[i].talker);
    }
    assert_int_equal(hub_count(&hub, "s:199"), FEEDERS);
    for (int i = 0; i < FEEDERS; i++) {
        talker_close(&feeders[i].talker);
    }
    hub_close(&hub);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(what_is_found_is_what_was_signed),
        IN_A_FOLDER(replicas_of_all_sites_are_found_by_any_alias),
        IN_A_FOLDER(names_that_are_followed_have_a_maximum),
        IN_A_FOLDER(what_changes_and_goes_is_cleaned_up),
        IN_A_FOLDER(what_is_here_already_costs_nothing),
        IN_A_FOLDER(a_hub_learns_from_a_hub),
        IN_A_FOLDER(the_index_catches_up_after_a_crash),
        IN_A_FOLDER(what_comes_while_the_index_catches_up_is_found),
        IN_A_FOLDER(a_damaged_index_is_made_anew),
        IN_A_FOLDER(it_is_counted_of_how_many_sites_something_is_lacking),
        IN_A_FOLDER(an_index_that_is_behind_is_lacking_from_the_start),
        IN_A_FOLDER(a_hub_restored_from_an_old_backup_takes_the_rest_again),
        IN_A_FOLDER(logs_of_several_sites_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
