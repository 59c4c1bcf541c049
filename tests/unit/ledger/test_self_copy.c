#include "fixture.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "ledger/self_copy.h"
#include "os/clock.h"

#include <stdatomic.h>
#include <time.h>

enum { DEADLINE_SECONDS = 60, FIRST_COUNT = 2500 };

// A hub that says something itself.
struct hub {
    struct talker talker;
    struct mirror *mirror;
    struct self_copy *copy;
    atomic_int reported;
};

static void note_reported(void *context, const struct error *error)
{
    struct hub *hub = context;
    assert_true(error->detail[0] != '\0');
    atomic_fetch_add(&hub->reported, 1);
}

static void hub_open(struct hub *hub, const char *folder)
{
    AUTO_FREE char *index = memory_format("%s/index", folder);
    *hub = (struct hub){0};
    talker_open(&hub->talker, folder, "hub");
    const struct mirror_options options = {.store = hub->talker.store, .index_folder = index};
    assert_int_equal(mirror_open(&options, &hub->mirror, NULL), OK);
}

static void hub_start_copy(struct hub *hub)
{
    const struct self_copy_options options = {.ledger = hub->talker.ledger,
                                              .mirror = hub->mirror,
                                              .key = hub->talker.key,
                                              .report = note_reported,
                                              .context = hub,
                                              .again_us = 1000};
    assert_int_equal(self_copy_start(&options, &hub->copy, NULL), OK);
}

static void hub_close(struct hub *hub)
{
    self_copy_stop(hub->copy);
    mirror_close(TAKE(hub->mirror));
    talker_close(&hub->talker);
    if (hub->copy) {
        self_copy_wake(hub->copy); // As a last commit may.
    }
    self_copy_free(TAKE(hub->copy));
}

static void pause_a_little(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void await_current(const struct hub *hub)
{
    int64_t deadline_us = clock_steady_us() + DEADLINE_SECONDS * INT64_C(1000000);
    while (!self_copy_is_current(hub->copy)) {
        assert_true(clock_steady_us() < deadline_us);
        pause_a_little();
    }
}

static void note_entry(void *context, const struct mirror_entry *entry)
{
    const struct hub *hub = context;
    assert_string_equal(entry->site->text, signing_key_fingerprint(hub->talker.key)->text);
}

static size_t find(struct hub *hub, const char *name)
{
    return mirror_find(hub->mirror, text_of(name), 10, note_entry, hub);
}

static void what_the_hub_says_is_in_its_index(void **state)
{
    struct hub hub;
    hub_open(&hub, *state);
    hub_start_copy(&hub);
    assert_true(self_copy_is_current(hub.copy)); // Nothing is all of nothing.
    struct ledger_dataset dataset = fixture_dataset("s:waves");
    const struct text alias = TEXT("s:other-name");
    dataset.aliases = &alias;
    dataset.alias_count = 1;
    talker_say(&hub.talker, &dataset);
    self_copy_wake(hub.copy);
    await_current(&hub);
    assert_int_equal(find(&hub, "s:waves"), 1);
    assert_int_equal(find(&hub, "s:other-name"), 1);
    talker_remove(&hub.talker, "s:waves");
    assert_false(self_copy_is_current(hub.copy));
    self_copy_wake(hub.copy);
    await_current(&hub);
    assert_int_equal(find(&hub, "s:waves"), 0);
    assert_int_equal(atomic_load(&hub.reported), 0);
    hub_close(&hub);
}

static void what_was_said_before_is_caught_up_with(void **state)
{
    struct hub hub;
    hub_open(&hub, *state);
    talker_say_many(&hub.talker, 0, FIRST_COUNT);
    hub_start_copy(&hub);
    await_current(&hub);
    assert_int_equal(find(&hub, "s:0"), 1);
    assert_int_equal(find(&hub, "s:2499"), 1);
    hub_close(&hub);
    hub_open(&hub, *state);
    hub_start_copy(&hub);
    await_current(&hub);
    assert_int_equal(find(&hub, "s:1000"), 1);
    hub_close(&hub);
}

// A mirror that has another log under this key: what the hub says cannot follow on that.
static void what_fails_is_reported_and_tried_again(void **state)
{
    struct hub hub;
    struct talker other;
    AUTO_BUFFER struct buffer batches = {0};
    hub_open(&hub, *state);
    other = (struct talker){.store = fixture_store(*state, "other"), .key = hub.talker.key};
    const struct ledger_options options = {.store = other.store, .key = other.key};
    assert_int_equal(ledger_open(&options, &other.ledger, NULL), OK);
    talker_say_many(&other, 100, 103);
    assert_int_equal(ledger_read_batches(other.ledger, 1, 0, &batches, NULL), OK);
    assert_int_equal(
        mirror_take(hub.mirror, signing_key_public(other.key), buffer_text(&batches), NULL, NULL),
        OK);
    ledger_close(other.ledger);
    store_close(other.store);
    talker_say_many(&hub.talker, 0, 5);
    hub_start_copy(&hub);
    int64_t deadline_us = clock_steady_us() + DEADLINE_SECONDS * INT64_C(1000000);
    while (atomic_load(&hub.reported) < 2) {
        assert_true(clock_steady_us() < deadline_us);
        pause_a_little();
    }
    assert_false(self_copy_is_current(hub.copy));
    hub_close(&hub);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(what_the_hub_says_is_in_its_index),
        IN_A_FOLDER(what_was_said_before_is_caught_up_with),
        IN_A_FOLDER(what_fails_is_reported_and_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
