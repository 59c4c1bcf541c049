#include "../cmocka_all.h"

#include "base/memory.h"
#include "helper/callers.h"
#include "os/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct fingerprint A = {KEY_A};
static const struct fingerprint B = {KEY_B};
static const struct fingerprint NOBODY = {""};

static void a_key_or_a_certified_name_stands_for_an_account(void **state)
{
    (void)state;
    const struct text content = TEXT("# our own\n\n  " KEY_A "   ada \nbroken\n#" KEY_B " root\n"
                                     "cn:Ada Lovelace 4711\tlovelace\n" KEY_A " later\ncn: x\n");
    char account[CALLER_ACCOUNT_MAX + 1] = "unchanged";
    assert_true(callers_look(content, &A, TEXT_NONE, account));
    assert_string_equal(account, "ada");
    assert_true(callers_look(content, &B, TEXT("Ada Lovelace 4711"), account));
    assert_string_equal(account, "lovelace");
    // The key counts before the name.
    assert_true(callers_look(content, &A, TEXT("Ada Lovelace 4711"), account));
    assert_string_equal(account, "ada");
}

static void nobody_else_is_let_in(void **state)
{
    (void)state;
    const struct text content =
        TEXT("#" KEY_B " root\n" KEY_A "\ncn:Ada ada\nbroken\n" KEY_A "x y\n");
    static const char *const names[] = {"", "ada", "Ada ada", "A", "cn:Ada", "Ada\n"};
    char account[CALLER_ACCOUNT_MAX + 1] = "unchanged";
    assert_false(callers_look(content, &A, TEXT_NONE, account));
    assert_false(callers_look(content, &B, TEXT_NONE, account));
    assert_false(callers_look(content, &NOBODY, TEXT_NONE, account));
    assert_false(callers_look(TEXT_NONE, &A, TEXT("Ada"), account));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(callers_look(content, &B, text_of(names[i]), account));
    }
    // Behind a NUL stands what nobody would see.
    assert_false(callers_look(TEXT(KEY_A " root\0ada\n"), &A, TEXT_NONE, account));
    assert_string_equal(account, "unchanged");
}

static void an_account_has_a_longest_name(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer content = {0};
    char account[CALLER_ACCOUNT_MAX + 1] = "";
    buffer_append_string(&content, KEY_A " ");
    for (int i = 0; i < CALLER_ACCOUNT_MAX; i++) {
        buffer_append_byte(&content, 'a');
    }
    assert_true(callers_look(buffer_text(&content), &A, TEXT_NONE, account));
    assert_int_equal(strlen(account), CALLER_ACCOUNT_MAX);
    buffer_append_byte(&content, 'a');
    assert_false(callers_look(buffer_text(&content), &A, TEXT_NONE, account));
}

static void a_caller_is_a_fingerprint_or_a_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "ada", "sha256:12", "cn:", "cn:a\n", "cn: a ", (KEY_A KEY_A), "#" KEY_A};
    struct error error = {0};
    assert_int_equal(caller_check(TEXT(KEY_A), NULL), OK);
    assert_int_equal(caller_check(TEXT("cn:Ada Lovelace"), NULL), OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(caller_check(text_of(bad[i]), &error), INVALID);
        assert_true(error.fix[0] != '\0');
    }
}

// A folder of its own, which is removed again.
static char *make_folder(void)
{
    char *path = memory_copy_string("/tmp/lode-callers-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void the_file_is_changed_by_lines_and_kept_otherwise(void **state)
{
    (void)state;
    AUTO_FREE char *folder = make_folder();
    AUTO_FREE char *path = memory_format("%s/callers", folder);
    AUTO_BUFFER struct buffer content = {0};
    assert_int_equal(file_write_atomic(path, TEXT("# ours\n" KEY_A " ada\n"), 0600, NULL), OK);
    assert_int_equal(callers_change(folder, TEXT(KEY_B), TEXT("bob"), NULL), OK);
    assert_int_equal(callers_change(folder, TEXT(KEY_A), TEXT("eve"), NULL), OK);
    assert_int_equal(callers_read(folder, &content, NULL), OK);
    assert_string_equal(content.bytes, "# ours\n" KEY_B " bob\n" KEY_A " eve\n");
    assert_int_equal(callers_change(folder, TEXT(KEY_B), TEXT_NONE, NULL), OK);
    assert_int_equal(callers_change(folder, TEXT(KEY_B), TEXT_NONE, NULL), NOT_FOUND);
    buffer_clear(&content);
    assert_int_equal(callers_read(folder, &content, NULL), OK);
    assert_string_equal(content.bytes, "# ours\n" KEY_A " eve\n");
    assert_int_equal(file_remove_tree(folder, NULL), OK);
}

static void what_others_could_have_written_lets_nobody_in(void **state)
{
    (void)state;
    AUTO_FREE char *folder = make_folder();
    AUTO_FREE char *path = memory_format("%s/callers", folder);
    AUTO_BUFFER struct buffer content = {0};
    struct error error = {0};
    assert_int_equal(callers_read(folder, &content, NULL), OK); // There is none.
    assert_int_equal(callers_change(folder, TEXT(KEY_A), TEXT("ada"), NULL), OK);
    assert_int_equal(chmod(path, 0620), 0);
    assert_int_equal(callers_read(folder, &content, &error), DENIED);
    assert_non_null(strstr(error.fix, "chmod"));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(callers_read(folder, &content, NULL), OK);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(callers_read(folder, &content, NULL), DENIED);
    assert_int_equal(file_remove_tree(folder, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_or_a_certified_name_stands_for_an_account),
        cmocka_unit_test(nobody_else_is_let_in),
        cmocka_unit_test(an_account_has_a_longest_name),
        cmocka_unit_test(a_caller_is_a_fingerprint_or_a_name),
        cmocka_unit_test(the_file_is_changed_by_lines_and_kept_otherwise),
        cmocka_unit_test(what_others_could_have_written_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
