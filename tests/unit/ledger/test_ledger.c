#include "fixture.h"

#include "../cmocka_all.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/file.h"

#include <pthread.h>
#include <stdio.h>

// What a reader of batches finds, verified by means of its own: the entries in order, the chain, the signed heads.
struct reading {
    int64_t epoch;
    int64_t serial;
    struct digest chain;
    size_t batches;
    size_t entries;
    size_t largest_batch; // Bytes.
    size_t most_entries;  // In one batch.
};

static void chain_on(struct reading *reading, struct text entry)
{
    struct digest digest = digest_of(entry.bytes, entry.length);
    unsigned char both[2 * DIGEST_SIZE];
    memcpy(both, reading->chain.bytes, DIGEST_SIZE);
    memcpy(both + DIGEST_SIZE, digest.bytes, DIGEST_SIZE);
    reading->chain = digest_of(both, sizeof both);
}

static json_t *parsed(struct text line)
{
    json_t *value = NULL;
    struct error error = {0};
    if (json_parse(line, &value, &error) != OK) {
        fail_msg("%s in %.*s", error.detail, TEXT_ARGS(line));
    }
    return value;
}

static void read_entry(struct reading *reading, const struct public_key *key, struct text line)
{
    AUTO_JSON json_t *entry = parsed(line);
    AUTO_BUFFER struct buffer canonical = {0};
    assert_int_equal(statement_verify(entry, NULL, key, NULL), OK);
    assert_int_equal(statement_write_canonical(entry, &canonical, NULL), OK);
    assert_true(text_equal(buffer_text(&canonical), line));
    assert_int_equal(json_integer_value(json_object_get(entry, "serial")), ++reading->serial);
    assert_int_equal(json_integer_value(json_object_get(entry, "epoch")), reading->epoch);
    chain_on(reading, line);
    reading->entries++;
}

static void note_batch(struct reading *reading, size_t size, size_t entries)
{
    reading->largest_batch = size > reading->largest_batch ? size : reading->largest_batch;
    reading->most_entries = entries > reading->most_entries ? entries : reading->most_entries;
}

// Reads one batch off the front of *rest.
static void read_batch(struct reading *reading, const struct public_key *key, struct text *rest)
{
    struct text line = TEXT_NONE;
    struct ledger_position head;
    const char *begin = rest->bytes;
    size_t before = reading->entries;
    assert_true(text_next_part(rest, '\n', &line));
    AUTO_JSON json_t *statement = parsed(line);
    assert_int_equal(statement_verify(statement, "head", key, NULL), OK);
    assert_int_equal(ledger_head_read(statement, &head, NULL), OK);
    reading->epoch = head.epoch;
    while (reading->serial < head.serial) {
        assert_true(text_next_part(rest, '\n', &line));
        read_entry(reading, key, line);
    }
    assert_true(digest_equal(&reading->chain, &head.head));
    reading->batches++;
    note_batch(reading, (size_t)(line.bytes + line.length + 1 - begin), reading->entries - before);
}

// Asks once behind where the reading is; false when there is nothing more.
static bool read_on(struct reading *reading, const struct talker *talker)
{
    AUTO_BUFFER struct buffer text = {0};
    struct error error = {0};
    if (ledger_read_batches(talker->ledger, reading->epoch, reading->serial, &text, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    assert_true(text.length <= LEDGER_READ_SIZE_MAX);
    struct text rest = buffer_text(&text);
    while (rest.length > 0) {
        read_batch(reading, signing_key_public(talker->key), &rest);
    }
    return text.length > 0;
}

static struct reading read_all(const struct talker *talker, int64_t epoch)
{
    struct reading reading = {.epoch = epoch};
    while (read_on(&reading, talker)) {
    }
    return reading;
}

static json_t *entry_about(const struct talker *talker, const char *id)
{
    AUTO_BUFFER struct buffer text = {0};
    struct error error = {0};
    if (ledger_find_entry(talker->ledger, text_of(id), &text, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    json_t *entry = parsed(buffer_text(&text));
    assert_int_equal(statement_verify(entry, "dataset", signing_key_public(talker->key), NULL), OK);
    return entry;
}

static const char *member(const json_t *entry, const char *name)
{
    return json_string_value(json_object_get(entry, name));
}

static void an_entry_says_what_the_site_said(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    const struct text aliases[] = {TEXT("s:alias"), TEXT("ark:12345/x")};
    struct ledger_dataset dataset = fixture_dataset("doi:10.1/x");
    dataset.aliases = aliases;
    dataset.alias_count = 2;
    talker_say(&talker, &dataset);
    AUTO_JSON json_t *entry = entry_about(&talker, "doi:10.1/x");
    char digest[DIGEST_TEXT_SIZE];
    int64_t time_us = 0;
    assert_string_equal(member(entry, "kind"), "dataset");
    assert_string_equal(member(entry, "id"), "doi:10.1/x");
    assert_string_equal(member(entry, "title"), "A title");
    assert_string_equal(member(entry, "digest"), digest_to_text(&dataset.digest, digest));
    assert_string_equal(member(entry, "tier"), "online");
    assert_string_equal(member(entry, "state"), "available");
    assert_string_equal(member(entry, "site"), signing_key_fingerprint(talker.key)->text);
    assert_true(calendar_parse(text_of(member(entry, "time")), &time_us));
    assert_int_equal(json_integer_value(json_object_get(entry, "file_count")), 3);
    assert_int_equal(json_integer_value(json_object_get(entry, "size_bytes")), 4096);
    const json_t *said = json_object_get(entry, "aliases");
    assert_string_equal(json_string_value(json_array_get(said, 1)), "ark:12345/x");
    dataset = fixture_dataset("s:staged");
    dataset.has_digest = false;
    dataset.state = "staging";
    talker_say(&talker, &dataset);
    AUTO_JSON json_t *staged = entry_about(&talker, "s:staged");
    assert_true(json_is_null(json_object_get(staged, "digest")));
    talker_close(&talker);
}

static void the_log_is_chained_and_signed(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    struct reading nothing = read_all(&talker, 0);
    assert_int_equal(nothing.batches, 0);
    talker_say_many(&talker, 0, 20);
    struct reading reading = read_all(&talker, 1);
    assert_int_equal(reading.entries, 20);
    assert_int_equal(reading.batches, 1);
    // Someone who asks for an epoch that is not the present one gets that from its beginning.
    struct reading other = {.epoch = 7, .serial = 0};
    assert_true(read_on(&other, &talker));
    assert_int_equal(other.entries, 20);
    talker_close(&talker);
}

static void what_was_said_is_not_said_again(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    struct ledger_dataset dataset = fixture_dataset("s:a");
    talker_say(&talker, &dataset);
    talker_say(&talker, &dataset);
    assert_int_equal(read_all(&talker, 1).entries, 1);
    dataset.state = "changed";
    talker_say(&talker, &dataset);
    assert_int_equal(read_all(&talker, 1).entries, 2);
    dataset.state = "available";
    talker_say(&talker, &dataset);
    const struct text alias = TEXT("s:b");
    dataset.aliases = &alias;
    dataset.alias_count = 1;
    talker_say(&talker, &dataset);
    talker_say(&talker, &dataset);
    assert_int_equal(read_all(&talker, 1).entries, 4);
    talker_close(&talker);
}

static void a_removal_ends_what_is_said(void **state)
{
    struct talker talker;
    AUTO_BUFFER struct buffer text = {0};
    struct error error = {0};
    talker_open(&talker, *state, "site");
    struct ledger_dataset dataset = fixture_dataset("s:a");
    talker_remove(&talker, "s:a");
    assert_int_equal(read_all(&talker, 1).entries, 0);
    talker_say(&talker, &dataset);
    talker_remove(&talker, "s:a");
    talker_remove(&talker, "s:a");
    assert_int_equal(read_all(&talker, 1).entries, 2);
    assert_int_equal(ledger_find_entry(talker.ledger, TEXT("s:a"), &text, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "s:a"));
    talker_say(&talker, &dataset);
    assert_int_equal(read_all(&talker, 1).entries, 3);
    AUTO_JSON json_t *entry = entry_about(&talker, "s:a");
    assert_int_equal(json_integer_value(json_object_get(entry, "serial")), 3);
    assert_int_equal(json_integer_value(json_object_get(entry, "previous")), 0);
    dataset.state = "changed";
    talker_say(&talker, &dataset);
    AUTO_JSON json_t *changed = entry_about(&talker, "s:a");
    assert_int_equal(json_integer_value(json_object_get(changed, "previous")), 3);
    talker_close(&talker);
}

static void the_log_survives_a_restart(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 5);
    talker_close(&talker);
    talker_open(&talker, *state, "site");
    assert_int_equal(ledger_position(talker.ledger).serial, 5);
    talker_say_many(&talker, 3, 7);
    assert_int_equal(read_all(&talker, 1).entries, 7);
    talker_close(&talker);
}

static enum status say_and_fail(struct sql *sql, void *context, struct error *error)
{
    const struct talker *talker = context;
    struct ledger_dataset dataset = fixture_dataset("s:a");
    TRY(ledger_append_dataset(talker->ledger, sql, &dataset, error));
    return error_set(error, CONFLICT, "not this time");
}

static void what_is_undone_was_never_said(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    assert_int_equal(store_write_wait(talker.store, say_and_fail, &talker, NULL), CONFLICT);
    assert_int_equal(read_all(&talker, 1).entries, 0);
    talker_say_many(&talker, 0, 1);
    assert_int_equal(read_all(&talker, 1).entries, 1);
    talker_close(&talker);
}

static void batches_keep_their_bounds(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 2500);
    struct reading many = read_all(&talker, 1);
    assert_int_equal(many.entries, 2500);
    assert_int_equal(many.batches, 3);
    assert_int_equal(many.most_entries, LEDGER_BATCH_ENTRIES_MAX);
    // Entries of 200 KiB: five fit into a batch, and not all batches into one answer.
    struct text aliases[100];
    AUTO_BUFFER struct buffer alias = {0};
    buffer_append_string(&alias, "urn:");
    while (alias.length < 2000) {
        buffer_append_byte(&alias, 'x');
    }
    for (size_t i = 0; i < 100; i++) {
        aliases[i] = buffer_text(&alias);
    }
    for (int i = 0; i < 30; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "s:large-%d", i);
        struct ledger_dataset dataset = fixture_dataset(id);
        dataset.aliases = aliases;
        dataset.alias_count = 100;
        talker_say(&talker, &dataset);
    }
    assert_true(read_on(&many, &talker));
    assert_true(many.serial < 2530);
    while (read_on(&many, &talker)) {
    }
    assert_int_equal(many.serial, 2530);
    assert_true(many.largest_batch <= LEDGER_BATCH_SIZE_MAX);
    assert_true(many.largest_batch > LEDGER_BATCH_SIZE_MAX / 2);
    talker_close(&talker);
}

struct listener {
    pthread_mutex_t mutex;
    pthread_cond_t told;
    int count;
};

static void listen_changed(void *context)
{
    struct listener *listener = context;
    (void)pthread_mutex_lock(&listener->mutex);
    listener->count++;
    (void)pthread_cond_signal(&listener->told);
    (void)pthread_mutex_unlock(&listener->mutex);
}

static void who_wants_to_know_is_told_after_the_commit(void **state)
{
    struct talker talker;
    struct listener listener = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    talker_open(&talker, *state, "site");
    ledger_close(TAKE(talker.ledger));
    struct ledger_options options = {
        .store = talker.store, .key = talker.key, .changed = listen_changed, .context = &listener};
    assert_int_equal(ledger_open(&options, &talker.ledger, NULL), OK);
    talker_say_many(&talker, 0, 3);
    (void)pthread_mutex_lock(&listener.mutex);
    while (listener.count == 0) {
        (void)pthread_cond_wait(&listener.told, &listener.mutex);
    }
    (void)pthread_mutex_unlock(&listener.mutex);
    struct ledger_position position = ledger_position(talker.ledger);
    struct reading reading = read_all(&talker, 1);
    assert_int_equal(position.serial, 3);
    assert_true(digest_equal(&position.head, &reading.chain));
    // Nothing new: nobody is told.
    talker_say_many(&talker, 0, 3);
    talker_close(&talker);
    assert_int_equal(listener.count, 1);
}

// The statement that a mirror would show: the signed head of a log, as a batch begins with it.
static json_t *head_of(const struct talker *talker)
{
    AUTO_BUFFER struct buffer text = {0};
    assert_int_equal(ledger_read_batches(talker->ledger, 0, 0, &text, NULL), OK);
    struct text rest = buffer_text(&text);
    struct text line = TEXT_NONE;
    assert_true(text_next_part(&rest, '\n', &line));
    return parsed(line);
}

static json_t *signed_head(const struct signing_key *key, const char *kind, int64_t epoch,
                           int64_t serial, const struct digest *head)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO_BUFFER struct buffer text = {0};
    json_t *statement = json_pack("{s:s, s:I, s:I, s:s, s:s}", "kind", kind, "epoch",
                                  (json_int_t)epoch, "serial", (json_int_t)serial, "head",
                                  digest_to_text(head, digest), "time", "2026-11-21T10:00:00Z");
    assert_int_equal(statement_sign(statement, key, &text, NULL), OK);
    return statement;
}

static bool hears(const struct talker *talker, const json_t *head)
{
    bool is_restarted = false;
    struct error error = {0};
    if (ledger_hear_own(talker->ledger, head, &is_restarted, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return is_restarted;
}

static void the_own_head_is_no_news(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 3);
    AUTO_JSON json_t *head = head_of(&talker);
    talker_say_many(&talker, 3, 6);
    assert_false(hears(&talker, head));
    struct digest zeros = {{0}};
    AUTO_JSON json_t *nothing = signed_head(talker.key, "heartbeat", 1, 0, &zeros);
    assert_false(hears(&talker, nothing));
    assert_int_equal(read_all(&talker, 1).entries, 6);
    talker_close(&talker);
}

static void a_restored_site_begins_the_next_epoch(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 450);
    talker_remove(&talker, "s:7");
    struct digest other = digest_of("other", 5);
    AUTO_JSON json_t *beyond = signed_head(talker.key, "heartbeat", 1, 452, &other);
    assert_true(hears(&talker, beyond));
    struct reading reading = read_all(&talker, 2);
    assert_int_equal(reading.epoch, 2);
    assert_int_equal(reading.entries, 449);
    assert_false(hears(&talker, beyond));
    AUTO_JSON json_t *entry = entry_about(&talker, "s:9");
    assert_int_equal(json_integer_value(json_object_get(entry, "epoch")), 2);
    assert_int_equal(json_integer_value(json_object_get(entry, "previous")), 0);
    // What is said next follows, and what was said is known.
    talker_say_many(&talker, 440, 451);
    assert_int_equal(read_all(&talker, 2).entries, 450);
    // Another value at a serial that is here; and an epoch beyond this one.
    AUTO_JSON json_t *rewritten = signed_head(talker.key, "head", 2, 5, &other);
    assert_true(hears(&talker, rewritten));
    assert_int_equal(read_all(&talker, 3).entries, 450);
    AUTO_JSON json_t *later = signed_head(talker.key, "head", 10, 5, &other);
    assert_true(hears(&talker, later));
    assert_int_equal(read_all(&talker, 11).entries, 450);
    talker_close(&talker);
    talker_open(&talker, *state, "site");
    assert_int_equal(ledger_position(talker.ledger).epoch, 11);
    assert_int_equal(ledger_position(talker.ledger).serial, 450);
    talker_close(&talker);
}

static enum status forget_epoch(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    static const char STATEMENT[] = "UPDATE ledger_log SET epoch = 2, serial = 0, head = $1";
    struct digest zeros = {{0}};
    return sql_run(sql, STATEMENT, SQL_VALUES(sql_blob(zeros.bytes, DIGEST_SIZE)), NULL, error);
}

static void a_renewal_that_was_cut_off_goes_on(void **state)
{
    struct talker talker;
    talker_open(&talker, *state, "site");
    talker_say_many(&talker, 0, 10);
    // As after a crash in the midst of it: the epoch is new, its entries are not there.
    assert_int_equal(store_write_wait(talker.store, forget_epoch, NULL, NULL), OK);
    talker_say_many(&talker, 5, 12);
    talker_close(&talker);
    talker_open(&talker, *state, "site");
    struct reading reading = read_all(&talker, 2);
    assert_int_equal(reading.epoch, 2);
    assert_int_equal(reading.entries, 12);
    talker_close(&talker);
}

static void only_what_the_site_signed_itself_makes_it_begin_anew(void **state)
{
    struct talker talker;
    struct error error = {0};
    bool is_restarted = false;
    struct digest other = digest_of("other", 5);
    struct signing_key *stranger = fixture_new_key(*state, "stranger");
    talker_open(&talker, *state, "site");
    AUTO_JSON json_t *foreign = signed_head(stranger, "head", 1, 9, &other);
    assert_int_equal(ledger_hear_own(talker.ledger, foreign, &is_restarted, &error), CORRUPT);
    (void)json_object_set_new(foreign, "site",
                              json_string(signing_key_fingerprint(talker.key)->text));
    assert_int_equal(ledger_hear_own(talker.ledger, foreign, &is_restarted, &error), CORRUPT);
    AUTO_JSON json_t *no_head = signed_head(talker.key, "dataset", 1, 9, &other);
    assert_int_equal(ledger_hear_own(talker.ledger, no_head, &is_restarted, &error), INVALID);
    AUTO_JSON json_t *no_epoch = signed_head(talker.key, "head", 0, 9, &other);
    assert_int_equal(ledger_hear_own(talker.ledger, no_epoch, &is_restarted, &error), INVALID);
    assert_false(is_restarted);
    assert_int_equal(ledger_position(talker.ledger).epoch, 1);
    signing_key_free(stranger);
    talker_close(&talker);
}

static enum status complete(struct sql *sql, void *context, struct error *error)
{
    bool *was = context;
    TRY(ledger_is_complete(sql, was, error));
    return ledger_set_complete(sql, error);
}

static void a_log_remembers_that_it_is_complete(void **state)
{
    struct talker talker;
    bool was = true;
    talker_open(&talker, *state, "site");
    assert_int_equal(store_write_wait(talker.store, complete, &was, NULL), OK);
    assert_false(was);
    assert_int_equal(store_write_wait(talker.store, complete, &was, NULL), OK);
    assert_true(was);
    talker_close(&talker);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(an_entry_says_what_the_site_said),
        IN_A_FOLDER(the_log_is_chained_and_signed),
        IN_A_FOLDER(what_was_said_is_not_said_again),
        IN_A_FOLDER(a_removal_ends_what_is_said),
        IN_A_FOLDER(the_log_survives_a_restart),
        IN_A_FOLDER(what_is_undone_was_never_said),
        IN_A_FOLDER(batches_keep_their_bounds),
        IN_A_FOLDER(who_wants_to_know_is_told_after_the_commit),
        IN_A_FOLDER(the_own_head_is_no_news),
        IN_A_FOLDER(a_restored_site_begins_the_next_epoch),
        IN_A_FOLDER(a_renewal_that_was_cut_off_goes_on),
        IN_A_FOLDER(only_what_the_site_signed_itself_makes_it_begin_anew),
        IN_A_FOLDER(a_log_remembers_that_it_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
