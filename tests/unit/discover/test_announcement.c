#include "../cmocka_all.h"

#include "discover/announcement.h"

#include <stdio.h>

#define KEY "sha256:0123456789abcdefaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct announcement made(const char *name)
{
    struct announcement announcement;
    assert_int_equal(
        announcement_make(text_of(name), TEXT(KEY), TEXT("0.1.0"), &announcement, NULL), OK);
    return announcement;
}

static void append(struct buffer *txt, struct text string)
{
    buffer_append_byte(txt, (char)(unsigned char)string.length);
    buffer_append_text(txt, string);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer txt = {0};
    struct announcement announcement = made("d\xc3\xa9sk & sons");
    struct announcement again;
    announcement_write(&announcement, &txt);
    assert_true(txt.length < 255);
    assert_int_equal(announcement_read(buffer_text(&txt), &again, NULL), OK);
    assert_string_equal(again.name, "d\xc3\xa9sk & sons");
    assert_string_equal(again.fingerprint.text, KEY);
    assert_string_equal(again.version, "0.1.0");
}

static void names_are_fit_for_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *clean;
    } cases[] = {
        {"desk", "desk"},
        {" desk\n", "desk"},
        {"a\x1b[31mb", "a?[31mb"},
        {"a\x7f\tb", "a??b"},
        {"a\xc2\x9b"
         "b",
         "a?b"}, // A control sequence introducer of eight bits.
        {"a\xe2\x80\xae"
         "b",
         "a?b"}, // Right-to-left override.
        {"a\xe2\x80\x8b"
         "b",
         "a?b"}, // A space of no width.
        {"a\xef\xbb\xbf"
         "b",
         "a?b"}, // A byte order mark.
        {"a\xf3\xa0\x80\xa1"
         "b",
         "a?b"},                  // A tag.
        {"a\xff\xc3[b", "a??[b"}, // No UTF-8.
        {"\xf0\x9f\x8c\x8a", "\xf0\x9f\x8c\x8a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(made(cases[i].name).name, cases[i].clean);
    }
}

static void what_is_too_long_is_cut_between_characters(void **state)
{
    (void)state;
    char name[200];
    (void)snprintf(name, sizeof name, "%063d\xc3\xa9x", 0);
    struct announcement announcement = made(name);
    assert_int_equal(strlen(announcement.name), 63);
    (void)memset(name, 'v', sizeof name);
    assert_int_equal(announcement_make(TEXT("desk"), TEXT(KEY), (struct text){name, sizeof name},
                                       &announcement, NULL),
                     OK);
    assert_int_equal(strlen(announcement.version), ANNOUNCED_VERSION_MAX);
}

static void without_a_key_or_a_name_it_is_none(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "",
        "sha256:",
        "sha256:0123",
        "sha512:0123456789abcdefaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "sha256:0123456789ABCDEFaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        KEY "a",
    };
    struct announcement announcement = {.name = "unchanged"};
    struct error error = {0};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(
            announcement_make(TEXT("desk"), text_of(keys[i]), TEXT_NONE, &announcement, &error),
            INVALID);
        assert_true(error.detail[0] != '\0');
    }
    assert_int_equal(announcement_make(TEXT(" "), TEXT(KEY), TEXT_NONE, &announcement, NULL),
                     INVALID);
    assert_string_equal(announcement.name, "unchanged");
}

static void of_a_key_that_is_there_twice_the_first_counts(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer txt = {0};
    struct announcement announcement;
    append(&txt, TEXT("NAME=first"));
    append(&txt, TEXT("name=second"));
    append(&txt, TEXT("names=third"));
    append(&txt, TEXT("name"));
    append(&txt, TEXT(""));
    append(&txt, TEXT("key=" KEY));
    append(&txt, TEXT("later=\x01\x02"));
    assert_int_equal(announcement_read(buffer_text(&txt), &announcement, NULL), OK);
    assert_string_equal(announcement.name, "first");
    assert_string_equal(announcement.version, "");
}

static void records_that_do_not_hold_together_are_refused(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer txt = {0};
    struct announcement original = made("desk");
    struct announcement announcement;
    announcement_write(&original, &txt);
    struct text whole = buffer_text(&txt);
    for (size_t length = 0; length < whole.length; length++) {
        enum status status = announcement_read(text_slice(whole, 0, length), &announcement, NULL);
        // Cut between two strings it may be whole without the version.
        assert_true(status == CORRUPT || status == INVALID ||
                    strcmp(announcement.version, "") == 0);
    }
    char large[ANNOUNCED_TXT_MAX + 1] = "";
    assert_int_equal(announcement_read((struct text){large, sizeof large}, &announcement, NULL),
                     QUOTA);
}

static void sites_of_one_name_have_labels_of_their_own(void **state)
{
    (void)state;
    struct announcement one = made("desk");
    struct announcement other = one;
    char label[SERVICE_LABEL_SIZE];
    char label_of_other[SERVICE_LABEL_SIZE];
    other.fingerprint.text[7] = 'f';
    announcement_label(&one, 0, label);
    announcement_label(&other, 0, label_of_other);
    assert_string_equal(label, "desk-0123456789ab");
    assert_string_not_equal(label, label_of_other);
    announcement_label(&one, 2, label);
    assert_string_equal(label, "desk-0123456789ab-2");
    announcement_host(&one, 0, label);
    assert_string_equal(label, "lode-0123456789ab");
    announcement_host(&one, 3, label);
    assert_string_equal(label, "lode-0123456789ab-3");
}

static void labels_fit_into_a_dns_label(void **state)
{
    (void)state;
    char name[65];
    char label[SERVICE_LABEL_SIZE];
    for (size_t i = 0; i < 64; i += 2) {
        memcpy(name + i, "\xc3\xa9", 2);
    }
    name[64] = '\0';
    struct announcement announcement = made(name);
    announcement_label(&announcement, 4000000000U, label);
    assert_true(strlen(label) < SERVICE_LABEL_SIZE);
    assert_true(text_is_utf8(text_of(label)));
    assert_true(text_ends_with(text_of(label), TEXT("-0123456789ab-4000000000")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(names_are_fit_for_a_terminal),
        cmocka_unit_test(what_is_too_long_is_cut_between_characters),
        cmocka_unit_test(without_a_key_or_a_name_it_is_none),
        cmocka_unit_test(of_a_key_that_is_there_twice_the_first_counts),
        cmocka_unit_test(records_that_do_not_hold_together_are_refused),
        cmocka_unit_test(sites_of_one_name_have_labels_of_their_own),
        cmocka_unit_test(labels_fit_into_a_dns_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
