#include "hub.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/clock.h"

#include <time.h>

enum { DEADLINE_SECONDS = 60 };

static void note_advanced(void *context, const struct fingerprint *site)
{
    struct hub *hub = context;
    assert_true(text_starts_with(text_of(site->text), TEXT("sha256:")));
    atomic_fetch_add(&hub->advanced, 1);
}

static void note_reported(void *context, const struct error *error)
{
    struct hub *hub = context;
    assert_true(error->detail[0] != '\0');
    atomic_fetch_add(&hub->reported, 1);
}

void hub_await_index(const struct hub *hub)
{
    int64_t deadline_us = clock_steady_us() + DEADLINE_SECONDS * INT64_C(1000000);
    while (mirror_figures(hub->mirror).entries_behind > 0) {
        assert_true(clock_steady_us() < deadline_us);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

// Starts it; its index may still be catching up then.
void hub_start(struct hub *hub, const char *folder)
{
    struct error error = {0};
    AUTO_FREE char *index = memory_format("%s/index", folder);
    hub->folder = folder;
    hub->store = fixture_store(folder, "hub");
    struct mirror_options options = {.store = hub->store,
                                     .index_folder = index,
                                     .advanced = note_advanced,
                                     .report = note_reported,
                                     .context = hub,
                                     .log_size_max = hub->log_size_max};
    if (mirror_open(&options, &hub->mirror, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

void hub_open(struct hub *hub, const char *folder)
{
    hub_start(hub, folder);
    hub_await_index(hub);
}

void hub_close(struct hub *hub)
{
    mirror_close(TAKE(hub->mirror));
    store_close(TAKE(hub->store));
}

// What the log has behind a serial, as it would be sent.
void talker_read(const struct talker *talker, int64_t epoch, int64_t after, struct buffer *out)
{
    struct error error = {0};
    if (ledger_read_batches(talker->ledger, epoch, after, out, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

enum status hub_take(const struct hub *hub, const struct talker *talker, struct text batches,
                     struct ledger_position *position, struct error *error)
{
    return mirror_take(hub->mirror, signing_key_public(talker->key), batches, position, error);
}

void hub_take_well(const struct hub *hub, const struct talker *talker, struct text batches)
{
    struct error error = {0};
    if (hub_take(hub, talker, batches, NULL, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

// Brings the copy up to the log, as often as it takes.
void hub_follow(const struct hub *hub, const struct talker *talker)
{
    for (;;) {
        AUTO_BUFFER struct buffer text = {0};
        struct ledger_position here =
            mirror_position(hub->mirror, signing_key_fingerprint(talker->key));
        talker_read(talker, here.epoch, here.serial, &text);
        if (text.length == 0) {
            return;
        }
        hub_take_well(hub, talker, buffer_text(&text));
    }
}

int64_t hub_serial(const struct hub *hub, const struct talker *talker)
{
    return mirror_position(hub->mirror, signing_key_fingerprint(talker->key)).serial;
}

// What a search found: the entries, one a line.
void hub_add_found(void *context, const struct mirror_entry *entry)
{
    buffer_append_text(context, entry->entry);
    buffer_append_byte(context, '\n');
}

size_t hub_find(const struct hub *hub, const char *name, struct buffer *out)
{
    return mirror_find(hub->mirror, text_of(name), 100, hub_add_found, out);
}

size_t hub_count(const struct hub *hub, const char *name)
{
    AUTO_BUFFER struct buffer found = {0};
    return hub_find(hub, name, &found);
}

void talker_says(const struct talker *talker, const char *id, const char *const *aliases,
                 const char *state)
{
    struct text texts[8];
    struct ledger_dataset dataset = fixture_dataset(id);
    dataset.state = state;
    dataset.aliases = texts;
    for (; aliases && aliases[dataset.alias_count]; dataset.alias_count++) {
        texts[dataset.alias_count] = text_of(aliases[dataset.alias_count]);
    }
    talker_say(talker, &dataset);
}
