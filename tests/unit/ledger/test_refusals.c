// What a hub refuses: each lie and each damage is found, named, and does no harm.
#include "hub.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"

#include <stdio.h>

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
    talker_read(&trial->talker, 0, 0, &trial->taken);
    hub_take_well(&trial->hub, &trial->talker, buffer_text(&trial->taken));
    talker_say_many(&trial->talker, 11, 21);
    talker_read(&trial->talker, 1, 10, &trial->rest);
}

static void trial_end(struct trial *trial)
{
    // What was refused did no harm: the same log as it was signed is taken.
    hub_take_well(&trial->hub, &trial->talker, buffer_text(&trial->rest));
    assert_int_equal(hub_serial(&trial->hub, &trial->talker), 20);
    assert_int_equal(hub_count(&trial->hub, "s:15"), 1);
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
    assert_int_equal(hub_take(&trial->hub, &trial->talker, batches, &position, &error), status);
    for (; *parts; parts++) {
        if (!strstr(error.detail, *parts)) {
            fail_msg("\"%s\" does not say \"%s\"", error.detail, *parts);
        }
    }
    assert_non_null(strstr(error.detail, signing_key_fingerprint(trial->talker.key)->text));
    assert_int_equal(position.serial, 10);
    assert_int_equal(position.epoch, 1);
    assert_int_equal(atomic_load(&trial->hub.advanced), advanced);
    assert_int_equal(hub_count(&trial->hub, "s:15"), 0);
    assert_int_equal(hub_count(&trial->hub, "s:5"), 1);
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
    talker_read(&trial.talker, 1, 20, &later);
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
    talker_read(&other, 1, 10, &others);
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
    talker_read(&twin, 1, 0, &older);
    talker_say_many(&twin, 106, 111);
    talker_read(&twin, 1, 0, &same);
    talker_say_many(&twin, 111, 121);
    talker_read(&twin, 1, 10, &later);
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
    talker_says(&trial.talker, "s:20", ALIASES("s:twenty"), "available");
    hub_follow(&trial.hub, &trial.talker);
    // The site as its backup has it: without what it said last.
    double_open(&twin, &trial, *state);
    talker_say_many(&twin, 1, 4);
    AUTO_JSON json_t *seen = head_in(buffer_text(&trial.rest));
    assert_int_equal(ledger_hear_own(twin.ledger, seen, &is_restarted, NULL), OK);
    assert_true(is_restarted);
    hub_follow(&trial.hub, &twin);
    struct ledger_position here =
        mirror_position(trial.hub.mirror, signing_key_fingerprint(twin.key));
    assert_int_equal(here.epoch, 2);
    assert_int_equal(here.serial, 3);
    assert_int_equal(hub_count(&trial.hub, "s:3"), 1);
    // What only the old epoch told is gone.
    assert_int_equal(hub_count(&trial.hub, "s:15"), 0);
    assert_int_equal(hub_count(&trial.hub, "s:20"), 0);
    assert_int_equal(hub_count(&trial.hub, "s:twenty"), 0);
    assert_int_equal(hub_take(&trial.hub, &twin, buffer_text(&trial.rest), NULL, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "epoch 1, serial 20: epoch 2 was seen before"));
    assert_int_equal(
        mirror_check_head(trial.hub.mirror, signing_key_public(twin.key), seen, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "epoch 2 was seen before"));
    // Entries of an older epoch under a head of the present one.
    AUTO_BUFFER struct buffer mixed = {0};
    talker_say_many(&twin, 4, 5);
    talker_read(&twin, 2, 3, &renewed);
    buffer_append(&mixed, renewed.bytes, (size_t)(strchr(renewed.bytes, '\n') + 1 - renewed.bytes));
    add_lines(&trial, 4, 4, &mixed);
    assert_int_equal(hub_take(&trial.hub, &twin, buffer_text(&mixed), NULL, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "the entry is of epoch 1"));
    hub_follow(&trial.hub, &twin);
    assert_int_equal(hub_count(&trial.hub, "s:4"), 1);
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
    talker_read(&trial.talker, 1, 20, &later);
    *strstr(later.bytes, "A title") = 'B';
    buffer_append_text(&both, buffer_text(&trial.rest));
    buffer_append_text(&both, buffer_text(&later));
    assert_int_equal(hub_take(&trial.hub, &trial.talker, buffer_text(&both), &position, &error),
                     CORRUPT);
    assert_non_null(strstr(error.detail, "serial 21"));
    assert_int_equal(position.serial, 20);
    trial_end(&trial);
}

static void a_log_that_is_too_large_is_refused_until_more_is_allowed(void **state)
{
    struct trial trial;
    struct error error = {0};
    struct ledger_position position = {0};
    trial_begin(&trial, *state);
    hub_close(&trial.hub);
    trial.hub.log_size_max = (int64_t)trial.taken.length + (int64_t)trial.rest.length - 1;
    hub_open(&trial.hub, *state);
    assert_refused(&trial, buffer_text(&trial.rest), QUOTA, PARTS("up to serial 10"));
    assert_int_equal(
        hub_take(&trial.hub, &trial.talker, buffer_text(&trial.rest), &position, &error), QUOTA);
    assert_non_null(strstr(error.fix, "--log-max"));
    hub_close(&trial.hub);
    trial.hub.log_size_max++;
    hub_open(&trial.hub, *state);
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
    talker_read(&trial.talker, 1, 10, &text);
    talker_read(&trial.talker, 1, 510, &second);
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

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(an_altered_entry_is_refused),
        IN_A_FOLDER(a_dropped_entry_is_refused),
        IN_A_FOLDER(an_inserted_or_moved_entry_is_refused),
        IN_A_FOLDER(an_entry_of_another_site_is_refused),
        IN_A_FOLDER(a_forged_head_is_refused),
        IN_A_FOLDER(a_rewritten_log_is_refused),
        IN_A_FOLDER(a_later_epoch_is_a_new_log_and_an_earlier_one_is_refused),
        IN_A_FOLDER(what_comes_before_a_lie_stays_taken),
        IN_A_FOLDER(a_log_that_is_too_large_is_refused_until_more_is_allowed),
        IN_A_FOLDER(too_many_entries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
