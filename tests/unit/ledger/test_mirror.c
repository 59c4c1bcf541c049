#include "fixture.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "ledger/mirror.h"
#include "os/clock.h"
#include "os/file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { DEADLINE_SECONDS = 60 };

// A hub: a store, a mirror, and what it was told.
struct hub {
    const char *folder;
    struct store *store;
    struct mirror *mirror;
    atomic_int advanced;
    atomic_int reported;
};

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

static void await_index(const struct hub *hub)
{
    int64_t deadline_us = clock_steady_us() + DEADLINE_SECONDS * INT64_C(1000000);
    while (mirror_figures(hub->mirror).entries_behind > 0) {
        assert_true(clock_steady_us() < deadline_us);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

// Starts it; its index may still be catching up then.
static void hub_start(struct hub *hub, const char *folder)
{
    struct error error = {0};
    AUTO_FREE char *index = memory_format("%s/index", folder);
    hub->folder = folder;
    hub->store = fixture_store(folder, "hub");
    struct mirror_options options = {.store = hub->store,
                                     .index_folder = index,
                                     .advanced = note_advanced,
                                     .report = note_reported,
                                     .context = hub};
    if (mirror_open(&options, &hub->mirror, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static void hub_open(struct hub *hub, const char *folder)
{
    hub_start(hub, folder);
    await_index(hub);
}

static void hub_close(struct hub *hub)
{
    mirror_close(TAKE(hub->mirror));
    store_close(TAKE(hub->store));
}

// What the log has behind a serial, as it would be sent.
static void read_log(const struct talker *talker, int64_t epoch, int64_t after, struct buffer *out)
{
    struct error error = {0};
    if (ledger_read_batches(talker->ledger, epoch, after, out, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static enum status take(const struct hub *hub, const struct talker *talker, struct text batches,
                        struct ledger_position *position, struct error *error)
{
    return mirror_take(hub->mirror, signing_key_public(talker->key), batches, position, error);
}

static void take_well(const struct hub *hub, const struct talker *talker, struct text batches)
{
    struct error error = {0};
    if (take(hub, talker, batches, NULL, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

// Brings the copy up to the log, as often as it takes.
static void follow(const struct hub *hub, const struct talker *talker)
{
    for (;;) {
        AUTO_BUFFER struct buffer text = {0};
        struct ledger_position here =
            mirror_position(hub->mirror, signing_key_fingerprint(talker->key));
        read_log(talker, here.epoch, here.serial, &text);
        if (text.length == 0) {
            return;
        }
        take_well(hub, talker, buffer_text(&text));
    }
}

static int64_t serial_of(const struct hub *hub, const struct talker *talker)
{
    return mirror_position(hub->mirror, signing_key_fingerprint(talker->key)).serial;
}

// What a search found: the entries, one a line.
static void add_found(void *context, const struct mirror_entry *entry)
{
    buffer_append_text(context, entry->entry);
    buffer_append_byte(context, '\n');
}

static size_t find(const struct hub *hub, const char *name, struct buffer *out)
{
    return mirror_find(hub->mirror, text_of(name), 100, add_found, out);
}

static size_t count(const struct hub *hub, const char *name)
{
    AUTO_BUFFER struct buffer found = {0};
    return find(hub, name, &found);
}

static void says(const struct talker *talker, const char *id, const char *const *aliases,
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

#define ALIASES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

// --- taking and finding

static void what_is_found_is_what_was_signed(void **state)
{
    struct hub hub = {0};
    struct talker talker;
    AUTO_BUFFER struct buffer own = {0};
    AUTO_BUFFER struct buffer found = {0};
    hub_open(&hub, *state);
    talker_open(&talker, *state, "site");
    says(&talker, "doi:10.1/\"x\\", ALIASES("s:x", "s:\"y"), "available");
    follow(&hub, &talker);
    assert_int_equal(ledger_find_entry(talker.ledger, TEXT("doi:10.1/\"x\\"), &own, NULL), OK);
    buffer_append_byte(&own, '\n');
    assert_int_equal(find(&hub, "doi:10.1/\"x\\", &found), 1);
    assert_string_equal(found.bytes, own.bytes);
    buffer_clear(&found);
    assert_int_equal(find(&hub, "s:\"y", &found), 1);
    assert_string_equal(found.bytes, own.bytes);
    assert_int_equal(count(&hub, "doi:10.1/"), 0);
    assert_int_equal(count(&hub, ""), 0);
    assert_int_equal(mirror_find(hub.mirror, (struct text){"s:x\0e", 5}, 9, add_found, &found), 0);
    assert_int_equal(mirror_find(hub.mirror, TEXT("s:x"), 0, add_found, &found), 0);
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
    says(&talkers[0], "doi:10.1/x", ALIASES("s:x"), "available");
    says(&talkers[1], "s:x", NULL, "available");
    says(&talkers[2], "ark:1/x", ALIASES("s:x", "s:more"), "changed");
    says(&talkers[2], "s:else", NULL, "available");
    for (int i = 0; i < 3; i++) {
        follow(&hub, &talkers[i]);
    }
    assert_int_equal(count(&hub, "doi:10.1/x"), 3);
    assert_int_equal(count(&hub, "s:x"), 3);
    assert_int_equal(count(&hub, "s:more"), 3);
    assert_int_equal(count(&hub, "s:else"), 1);
    AUTO_BUFFER struct buffer found = {0};
    assert_int_equal(mirror_find(hub.mirror, TEXT("s:x"), 2, add_found, &found), 2);
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
    assert_int_equal(count(&hub, "s:more"), 3);
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
        says(&talker, id, ALIASES(alias), "available");
    }
    follow(&hub, &talker);
    size_t found = count(&hub, "s:0");
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
        says(&talker, "s:a", ALIASES("s:b", "s:c"), "available");
        if (i == 1) {
            follow(&hub, &talker);
            assert_int_equal(count(&hub, "s:b"), 1);
        }
        says(&talker, "s:a", ALIASES("s:c", "s:d"), "available");
        follow(&hub, &talker);
        assert_int_equal(count(&hub, "s:b"), 0);
        assert_int_equal(count(&hub, "s:c"), 1);
        assert_int_equal(count(&hub, "s:d"), 1);
        says(&talker, "s:a", ALIASES("s:d"), "lost");
        follow(&hub, &talker);
        AUTO_BUFFER struct buffer found = {0};
        assert_int_equal(find(&hub, "s:d", &found), 1);
        assert_non_null(strstr(found.bytes, "\"state\":\"lost\""));
        assert_int_equal(count(&hub, "s:c"), 0);
        talker_remove(&talker, "s:a");
        follow(&hub, &talker);
        assert_int_equal(count(&hub, "s:a"), 0);
        assert_int_equal(count(&hub, "s:d"), 0);
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
    read_log(&talker, 0, 0, &all);
    take_well(&hub, &talker, buffer_text(&all));
    int64_t commits = store_figures(hub.store).commits;
    int64_t index_size = mirror_figures(hub.mirror).index_size_bytes;
    int advanced = atomic_load(&hub.advanced);
    take_well(&hub, &talker, buffer_text(&all));
    take_well(&hub, &talker, TEXT_NONE);
    follow(&hub, &talker);
    assert_int_equal(store_figures(hub.store).commits, commits);
    assert_int_equal(mirror_figures(hub.mirror).index_size_bytes, index_size);
    assert_int_equal(atomic_load(&hub.advanced), advanced);
    // Of a batch that is here in part, the rest is taken.
    talker_say_many(&talker, 50, 60);
    buffer_clear(&all);
    read_log(&talker, 1, 20, &all);
    take_well(&hub, &talker, buffer_text(&all));
    assert_int_equal(serial_of(&hub, &talker), 60);
    assert_int_equal(count(&hub, "s:59"), 1);
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
        follow(&first, &talker);
    }
    talker_say_many(&talker, 100, 2600);
    follow(&first, &talker);
    int64_t after = 0;
    size_t heads = 0;
    while (after < 2600) {
        AUTO_BUFFER struct buffer text = {0};
        assert_int_equal(mirror_read_batches(first.mirror, site, 1, after, &text, NULL), OK);
        take_well(&second, &talker, buffer_text(&text));
        assert_true(serial_of(&second, &talker) > after);
        after = serial_of(&second, &talker);
        for (const char *at = text.bytes; (at = strstr(at, "\"kind\":\"head\"")) != NULL; at++) {
            heads++;
        }
    }
    assert_true(heads < 10);
    assert_int_equal(count(&second, "s:2599"), 1);
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

// --- what is refused

// A log of three batches, and a hub that has the first one.
struct trial {
    struct hub hub;
    struct talker talker;
    struct buffer taken;
    struct buffer rest; // Serials 11 to 20.
};

static void trial_begin(struct trial *trial, const char *folder)
{
    *trial = (struct trial){0};
    hub_open(&trial->hub, folder);
    talker_open(&trial->talker, folder, "site");
    talker_say_many(&trial->talker, 1, 11);
    read_log(&trial->talker, 0, 0, &trial->taken);
    take_well(&trial->hub, &trial->talker, buffer_text(&trial->taken));
    talker_say_many(&trial->talker, 11, 21);
    read_log(&trial->talker, 1, 10, &trial->rest);
}

static void trial_end(struct trial *trial)
{
    // What was refused did no harm: the same log as it was signed is taken.
    take_well(&trial->hub, &trial->talker, buffer_text(&trial->rest));
    assert_int_equal(serial_of(&trial->hub, &trial->talker), 20);
    assert_int_equal(count(&trial->hub, "s:15"), 1);
    buffer_done(&trial->taken);
    buffer_done(&trial->rest);
    talker_close(&trial->talker);
    hub_close(&trial->hub);
}

// The batches are refused; the text names the site and says all of the parts.
static void assert_refused(struct trial *trial, struct text batches, enum status status,
                           const char *const *parts)
{
    struct error error = {0};
    struct ledger_position position = {0};
    int advanced = atomic_load(&trial->hub.advanced);
    assert_int_equal(take(&trial->hub, &trial->talker, batches, &position, &error), status);
    for (; *parts; parts++) {
        if (!strstr(error.detail, *parts)) {
            fail_msg("\"%s\" does not say \"%s\"", error.detail, *parts);
        }
    }
    assert_non_null(strstr(error.detail, signing_key_fingerprint(trial->talker.key)->text));
    assert_int_equal(position.serial, 10);
    assert_int_equal(position.epoch, 1);
    assert_int_equal(atomic_load(&trial->hub.advanced), advanced);
    assert_int_equal(count(&trial->hub, "s:15"), 0);
    assert_int_equal(count(&trial->hub, "s:5"), 1);
}

#define PARTS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

// Lines of the rest, of which line 0 is the head and line n the entry with serial 10 + n.
static struct text line_of(const struct trial *trial, int number)
{
    struct text rest = buffer_text(&trial->rest);
    struct text line = TEXT_NONE;
    for (int at = 0; at <= number; at++) {
        assert_true(text_next_part(&rest, '\n', &line));
    }
    return line;
}

static void add_lines(const struct trial *trial, int from, int to, struct buffer *out)
{
    for (int at = from; at <= to; at++) {
        buffer_append_text(out, line_of(trial, at));
        buffer_append_byte(out, '\n');
    }
}

static void an_altered_entry_is_refused(void **state)
{
    struct trial trial;
    trial_begin(&trial, *state);
    AUTO_FREE char *altered = text_copy(buffer_text(&trial.rest));
    char *at = strstr(altered, "\"id\":\"s:15\"");
    at[8] = '9';
    assert_refused(&trial, text_of(altered), CORRUPT,
                   PARTS("dataset of site", "(epoch 1, serial 15)", "signature does not fit"));
    at[8] = '1';
    at[9] = '\\';
    assert_refused(&trial, text_of(altered), CORRUPT,
                   PARTS("epoch 1, serial 15", "no canonical JSON"));
    trial_end(&trial);
}

static void a_dropped_entry_is_refused(void **state)
{
    struct trial trial;
    AUTO_BUFFER struct buffer middle = {0};
    AUTO_BUFFER struct buffer first = {0};
    AUTO_BUFFER struct buffer last = {0};
    trial_begin(&trial, *state);
    add_lines(&trial, 0, 4, &middle);
    add_lines(&trial, 6, 10, &middle);
    assert_refused(&trial, buffer_text(&middle), CORRUPT,
                   PARTS("epoch 1, serial 16", "not the next one, 15"));
    add_lines(&trial, 0, 9, &last);
    assert_refused(&trial, buffer_text(&last), CORRUPT, PARTS("serial 20", "missing"));
    // Without the first one it is a gap, which can also be an innocent one.
    add_lines(&trial, 0, 0, &first);
    add_lines(&trial, 2, 10, &first);
    assert_refused(&trial, buffer_text(&first), CONFLICT,
                   PARTS("up to serial 10, and goes on at 12"));
    AUTO_BUFFER struct buffer none = {0};
    add_lines(&trial, 0, 0, &none);
    assert_refused(&trial, buffer_text(&none), CONFLICT,
                   PARTS("up to serial 10", "serial 20 comes without entries"));
    trial_end(&trial);
}

static void an_inserted_or_moved_entry_is_refused(void **state)
{
    struct trial trial;
    AUTO_BUFFER struct buffer twice = {0};
    AUTO_BUFFER struct buffer moved = {0};
    AUTO_BUFFER struct buffer beyond = {0};
    trial_begin(&trial, *state);
    add_lines(&trial, 0, 5, &twice);
    add_lines(&trial, 5, 10, &twice);
    assert_refused(&trial, buffer_text(&twice), CORRUPT,
                   PARTS("serial 15", "not the next one, 16"));
    add_lines(&trial, 0, 4, &moved);
    add_lines(&trial, 6, 6, &moved);
    add_lines(&trial, 5, 5, &moved);
    add_lines(&trial, 7, 10, &moved);
    assert_refused(&trial, buffer_text(&moved), CORRUPT, PARTS("serial 16", "not the next one"));
    talker_say_many(&trial.talker, 21, 22);
    AUTO_BUFFER struct buffer later = {0};
    read_log(&trial.talker, 1, 20, &later);
    add_lines(&trial, 0, 10, &beyond);
    buffer_append_string(&beyond, strchr(later.bytes, '\n') + 1);
    assert_refused(&trial, buffer_text(&beyond), CORRUPT, PARTS("serial 21", "beyond"));
    trial_end(&trial);
}

static void an_entry_of_another_site_is_refused(void **state)
{
    struct trial trial;
    struct talker other;
    AUTO_BUFFER struct buffer others = {0};
    AUTO_BUFFER struct buffer mixed = {0};
    trial_begin(&trial, *state);
    talker_open(&other, *state, "other");
    talker_say_many(&other, 1, 21);
    read_log(&other, 1, 10, &others);
    // The whole of another's log, and another's entry under one's own head.
    assert_refused(&trial, buffer_text(&others), CORRUPT, PARTS("is not by the site with the key"));
    struct text rest = buffer_text(&others);
    struct text line;
    for (int at = 0; at <= 5; at++) {
        assert_true(text_next_part(&rest, '\n', &line));
    }
    add_lines(&trial, 0, 4, &mixed);
    buffer_append_text(&mixed, line);
    buffer_append_byte(&mixed, '\n');
    add_lines(&trial, 6, 10, &mixed);
    assert_refused(&trial, buffer_text(&mixed), CORRUPT, PARTS("serial 15", "of another site"));
    talker_close(&other);
    trial_end(&trial);
}

static void a_forged_head_is_refused(void **state)
{
    struct trial trial;
    trial_begin(&trial, *state);
    AUTO_FREE char *altered = text_copy(buffer_text(&trial.rest));
    char *at = strstr(altered, "\"head\":\"sha256:") + strlen("\"head\":\"sha256:");
    *at = *at == '0' ? '1' : '0';
    assert_refused(&trial, text_of(altered), CORRUPT,
                   PARTS("(epoch 1, serial 20)", "signature does not fit"));
    AUTO_BUFFER struct buffer headless = {0};
    add_lines(&trial, 1, 10, &headless);
    assert_refused(&trial, buffer_text(&headless), CORRUPT, PARTS("is not of kind head"));
    assert_refused(&trial, TEXT("garbage\n"), CORRUPT, PARTS("begins with no head"));
    assert_refused(&trial, TEXT("\n"), CORRUPT, PARTS("begins with no head"));
    AUTO_BUFFER struct buffer endless = {0};
    while (endless.length < 1 << 21) {
        buffer_append_byte(&endless, '[');
    }
    assert_refused(&trial, buffer_text(&endless), CORRUPT, PARTS("too long"));
    buffer_clear(&endless);
    add_lines(&trial, 0, 1, &endless);
    while (endless.length < 1 << 21) {
        buffer_append_byte(&endless, '[');
    }
    assert_refused(&trial, buffer_text(&endless), CORRUPT, PARTS("serial 12", "bytes"));
    trial_end(&trial);
}

// A talker with the key of another and a store of its own: what it says, the other one's site has signed.
static void double_open(struct talker *twin, const struct trial *trial, const char *folder)
{
    AUTO_FREE char *twin_folder = memory_format("%s/twin", folder);
    AUTO_FREE char *from = memory_format("%s/site/key.pem", folder);
    AUTO_FREE char *to = memory_format("%s/site/key.pem", twin_folder);
    AUTO_FREE char *place = memory_format("%s/site", twin_folder);
    AUTO_BUFFER struct buffer pem = {0};
    assert_int_equal(file_make_folder(place, NULL), OK);
    assert_int_equal(file_read(from, 65536, &pem, NULL), OK);
    assert_int_equal(file_write_atomic(to, buffer_text(&pem), 0600, NULL), OK);
    talker_open(twin, twin_folder, "site");
    assert_string_equal(signing_key_fingerprint(twin->key)->text,
                        signing_key_fingerprint(trial->talker.key)->text);
}

static json_t *head_in(struct text batches)
{
    struct text line = TEXT_NONE;
    json_t *head = NULL;
    assert_true(text_next_part(&batches, '\n', &line));
    assert_int_equal(json_parse(line, &head, NULL), OK);
    return head;
}

static void a_rewritten_log_is_refused(void **state)
{
    struct trial trial;
    struct talker twin;
    struct error error = {0};
    AUTO_BUFFER struct buffer older = {0};
    AUTO_BUFFER struct buffer same = {0};
    AUTO_BUFFER struct buffer later = {0};
    trial_begin(&trial, *state);
    double_open(&twin, &trial, *state);
    const struct public_key *key = signing_key_public(twin.key);
    talker_say_many(&twin, 101, 106);
    read_log(&twin, 1, 0, &older);
    talker_say_many(&twin, 106, 111);
    read_log(&twin, 1, 0, &same);
    talker_say_many(&twin, 111, 121);
    read_log(&twin, 1, 10, &later);
    assert_refused(&trial, buffer_text(&older), CORRUPT,
                   PARTS("epoch 1, serial 5", "the log was rewritten"));
    assert_refused(&trial, buffer_text(&same), CORRUPT,
                   PARTS("epoch 1, serial 10", "the log was rewritten"));
    assert_refused(&trial, buffer_text(&later), CORRUPT,
                   PARTS("serial 20", "from 11 on", "though each is signed", "rewritten"));
    // Heads alone are judged alike.
    AUTO_JSON json_t *old_head = head_in(buffer_text(&older));
    AUTO_JSON json_t *same_head = head_in(buffer_text(&same));
    AUTO_JSON json_t *later_head = head_in(buffer_text(&later));
    assert_int_equal(mirror_check_head(trial.hub.mirror, key, old_head, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "serial 5"));
    assert_int_equal(mirror_check_head(trial.hub.mirror, key, same_head, &error), CORRUPT);
    assert_int_equal(mirror_check_head(trial.hub.mirror, key, later_head, &error), OK);
    AUTO_JSON json_t *good_head = head_in(buffer_text(&trial.taken));
    assert_int_equal(mirror_check_head(trial.hub.mirror, key, good_head, &error), OK);
    (void)json_object_set_new(good_head, "serial", json_integer(9));
    assert_int_equal(mirror_check_head(trial.hub.mirror, key, good_head, &error), CORRUPT);
    talker_close(&twin);
    trial_end(&trial);
}

static void a_later_epoch_is_a_new_log_and_an_earlier_one_is_refused(void **state)
{
    struct trial trial;
    struct talker twin;
    bool is_restarted = false;
    struct error error = {0};
    AUTO_BUFFER struct buffer renewed = {0};
    trial_begin(&trial, *state);
    says(&trial.talker, "s:20", ALIASES("s:twenty"), "available");
    follow(&trial.hub, &trial.talker);
    // The site as its backup has it: without what it said last.
    double_open(&twin, &trial, *state);
    talker_say_many(&twin, 1, 4);
    AUTO_JSON json_t *seen = head_in(buffer_text(&trial.rest));
    assert_int_equal(ledger_hear_own(twin.ledger, seen, &is_restarted, NULL), OK);
    assert_true(is_restarted);
    follow(&trial.hub, &twin);
    struct ledger_position here =
        mirror_position(trial.hub.mirror, signing_key_fingerprint(twin.key));
    assert_int_equal(here.epoch, 2);
    assert_int_equal(here.serial, 3);
    assert_int_equal(count(&trial.hub, "s:3"), 1);
    // What only the old epoch told is gone.
    assert_int_equal(count(&trial.hub, "s:15"), 0);
    assert_int_equal(count(&trial.hub, "s:20"), 0);
    assert_int_equal(count(&trial.hub, "s:twenty"), 0);
    assert_int_equal(take(&trial.hub, &twin, buffer_text(&trial.rest), NULL, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "epoch 1, serial 20: epoch 2 was seen before"));
    assert_int_equal(
        mirror_check_head(trial.hub.mirror, signing_key_public(twin.key), seen, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "epoch 2 was seen before"));
    // Entries of an older epoch under a head of the present one.
    AUTO_BUFFER struct buffer mixed = {0};
    talker_say_many(&twin, 4, 5);
    read_log(&twin, 2, 3, &renewed);
    buffer_append(&mixed, renewed.bytes, (size_t)(strchr(renewed.bytes, '\n') + 1 - renewed.bytes));
    add_lines(&trial, 4, 4, &mixed);
    assert_int_equal(take(&trial.hub, &twin, buffer_text(&mixed), NULL, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "the entry is of epoch 1"));
    follow(&trial.hub, &twin);
    assert_int_equal(count(&trial.hub, "s:4"), 1);
    talker_close(&twin);
    buffer_done(&trial.taken);
    buffer_done(&trial.rest);
    talker_close(&trial.talker);
    hub_close(&trial.hub);
}

static void what_comes_before_a_lie_stays_taken(void **state)
{
    struct trial trial;
    struct error error = {0};
    struct ledger_position position;
    trial_begin(&trial, *state);
    AUTO_BUFFER struct buffer both = {0};
    AUTO_BUFFER struct buffer later = {0};
    talker_say_many(&trial.talker, 21, 31);
    read_log(&trial.talker, 1, 20, &later);
    *strstr(later.bytes, "A title") = 'B';
    buffer_append_text(&both, buffer_text(&trial.rest));
    buffer_append_text(&both, buffer_text(&later));
    assert_int_equal(take(&trial.hub, &trial.talker, buffer_text(&both), &position, &error),
                     CORRUPT);
    assert_non_null(strstr(error.detail, "serial 21"));
    assert_int_equal(position.serial, 20);
    trial_end(&trial);
}

static void too_many_entries_are_refused(void **state)
{
    struct trial trial;
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer second = {0};
    AUTO_BUFFER struct buffer joined = {0};
    trial_begin(&trial, *state);
    talker_say_many(&trial.talker, 21, 1511);
    // The head of all of them, and the entries of two batches under it.
    read_log(&trial.talker, 1, 10, &text);
    read_log(&trial.talker, 1, 510, &second);
    buffer_append(&joined, second.bytes, (size_t)(strchr(second.bytes, '\n') + 1 - second.bytes));
    struct text rest = buffer_text(&text);
    struct text line;
    while (text_next_part(&rest, '\n', &line) && line.length > 0) {
        if (text_starts_with(line, TEXT("{\"aliases\""))) {
            buffer_append_text(&joined, line);
            buffer_append_byte(&joined, '\n');
        }
    }
    assert_refused(&trial, buffer_text(&joined), CORRUPT, PARTS("serial 1011", "too many entries"));
    trial_end(&trial);
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
    follow(&hub, &talker);
    hub_close(&hub);
    // The index as it was before the last of the log: as a crash of the machine leaves it. Until then the hub makes do with another.
    assert_int_equal(rename(index, kept), 0);
    hub_open(&hub, *state);
    assert_int_equal(count(&hub, "s:1499"), 1);
    talker_say_many(&talker, 1500, 3000);
    says(&talker, "s:7", ALIASES("s:seven"), "available");
    follow(&hub, &talker);
    hub_close(&hub);
    assert_int_equal(file_remove_tree(index, NULL), OK);
    assert_int_equal(rename(kept, index), 0);
    hub_open(&hub, *state);
    assert_int_equal(count(&hub, "s:2999"), 1);
    assert_int_equal(count(&hub, "s:seven"), 1);
    assert_int_equal(mirror_figures(hub.mirror).entries, 3001);
    assert_int_equal(mirror_figures(hub.mirror).sites, 1);
    assert_int_equal(atomic_load(&hub.reported), 0);
    talker_close(&talker);
    hub_close(&hub);
}

static void what_comes_while_the_index_catches_up_is_found(void **state)
{
    enum { TALKERS = 3 };
    struct hub hub = {0};
    struct talker talkers[TALKERS];
    AUTO_FREE char *index = memory_format("%s/index", (const char *)*state);
    hub_open(&hub, *state);
    for (int i = 0; i < TALKERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "site-%d", i);
        talker_open(&talkers[i], *state, name);
        talker_say_many(&talkers[i], 0, 1200);
        follow(&hub, &talkers[i]);
    }
    hub_close(&hub);
    assert_int_equal(file_remove_tree(index, NULL), OK);
    hub_start(&hub, *state);
    for (int i = 0; i < TALKERS; i++) {
        talker_say_many(&talkers[i], 1200, 1210);
        talker_remove(&talkers[i], "s:7");
        follow(&hub, &talkers[i]);
    }
    await_index(&hub);
    assert_int_equal(count(&hub, "s:1209"), TALKERS);
    assert_int_equal(count(&hub, "s:1199"), TALKERS);
    assert_int_equal(count(&hub, "s:7"), 0);
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
    follow(&hub, &talker);
    hub_close(&hub);
    damage_all_files(index);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 1);
    assert_int_equal(count(&hub, "s:99"), 1);
    hub_close(&hub);
    // What is found while it runs is mended at the next start.
    assert_int_equal(file_write_atomic(mark, TEXT_NONE, 0600, NULL), OK);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 2);
    assert_int_equal(count(&hub, "s:99"), 1);
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
    follow(&hub, &talker);
    hub_close(&hub);
    assert_int_equal(file_read(database, 1 << 24, &backup, NULL), OK);
    hub_open(&hub, *state);
    talker_say_many(&talker, 10, 20);
    follow(&hub, &talker);
    hub_close(&hub);
    // The index is ahead of the store now, and so of no use.
    assert_int_equal(file_write_atomic(database, buffer_text(&backup), 0600, NULL), OK);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 1);
    assert_int_equal(serial_of(&hub, &talker), 10);
    assert_int_equal(count(&hub, "s:15"), 0);
    follow(&hub, &talker);
    assert_int_equal(count(&hub, "s:15"), 1);
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
        follow(feeder->hub, &feeder->talker);
        (void)count(feeder->hub, "s:1");
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
        follow(&hub, &feeders[i].talker);
    }
    assert_int_equal(count(&hub, "s:199"), FEEDERS);
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
        IN_A_FOLDER(an_altered_entry_is_refused),
        IN_A_FOLDER(a_dropped_entry_is_refused),
        IN_A_FOLDER(an_inserted_or_moved_entry_is_refused),
        IN_A_FOLDER(an_entry_of_another_site_is_refused),
        IN_A_FOLDER(a_forged_head_is_refused),
        IN_A_FOLDER(a_rewritten_log_is_refused),
        IN_A_FOLDER(a_later_epoch_is_a_new_log_and_an_earlier_one_is_refused),
        IN_A_FOLDER(what_comes_before_a_lie_stays_taken),
        IN_A_FOLDER(too_many_entries_are_refused),
        IN_A_FOLDER(the_index_catches_up_after_a_crash),
        IN_A_FOLDER(what_comes_while_the_index_catches_up_is_found),
        IN_A_FOLDER(a_damaged_index_is_made_anew),
        IN_A_FOLDER(a_hub_restored_from_an_old_backup_takes_the_rest_again),
        IN_A_FOLDER(logs_of_several_sites_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
