#include "../cmocka_all.h"

#include "cli/words.h"

#include <stdlib.h>

static void append_word(void *context, struct text word)
{
    buffer_printf(context, "<%.*s>", TEXT_ARGS(word));
}

static void expect_words(const char *line, const char *wanted)
{
    AUTO_BUFFER struct buffer out = {0};
    struct error error;
    assert_int_equal(words_split(text_of(line), append_word, &out, &error), OK);
    assert_string_equal(out.bytes, wanted);
}

static void expect_refused(const char *line, const char *says)
{
    AUTO_BUFFER struct buffer out = {0};
    struct error error;
    assert_int_equal(words_split(text_of(line), append_word, &out, &error), INVALID);
    assert_int_equal(words_split(text_of(line), append_word, &out, NULL), INVALID);
    assert_non_null(strstr(error.detail, says));
    assert_int_equal(out.length, 0);
}

static void white_space_separates_words(void **state)
{
    (void)state;
    expect_words("cat inputs/0/a.txt", "<cat><inputs/0/a.txt>");
    expect_words("  cat \t a  ", "<cat><a>");
    expect_words("one", "<one>");
}

static void quotes_and_backslashes_are_those_of_a_shell(void **state)
{
    (void)state;
    expect_words("sh -c 'cat inputs/*/* | sort > out'", "<sh><-c><cat inputs/*/* | sort > out>");
    expect_words("echo \"a b\" 'c \"d\"'", "<echo><a b><c \"d\">");
    expect_words("echo \"\\\"\\\\\\$\\`\\n\"", "<echo><\"\\$`\\n>");
    expect_words("echo a\\ b\\'c \\$x", "<echo><a b'c><$x>");
    expect_words("echo a'b c'\"d e\"f", "<echo><ab cd ef>");
    expect_words("echo '' \"\"", "<echo><><>");
    expect_words("echo 'a\nb'", "<echo><a\nb>");
}

static void placeholders_and_signs_within_words_stay(void **state)
{
    (void)state;
    expect_words("nco {index} a=b c#d 100% a~", "<nco><{index}><a=b><c#d><100%><a~>");
}

static void what_needs_a_shell_is_refused_with_the_way_out(void **state)
{
    (void)state;
    static const char *const LINES[] = {
        "cat a | sort", "a && b",   "a; b",        "cat < a",      "cat > a", "(a)",
        "echo $HOME",   "echo `a`", "cat *",       "cat a?",       "cat [a",  "a\nb",
        "# a",          "cat ~/a",  "echo \"$a\"", "echo \"`a`\"",
    };
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        expect_refused(LINES[i], "needs a shell");
    }
    struct error error;
    assert_int_equal(words_split(TEXT("a | b"), append_word, NULL, &error), INVALID);
    assert_non_null(strstr(error.fix, "sh -c '"));
}

static void what_does_not_end_is_refused(void **state)
{
    (void)state;
    expect_refused("echo 'a", "' does not end");
    expect_refused("echo \"a", "\" does not end");
    expect_refused("echo \"a\\", "\" does not end");
    expect_refused("echo a\\", "ends in a backslash");
}

static void an_empty_command_is_refused(void **state)
{
    (void)state;
    expect_refused("", "empty");
    expect_refused(" \t ", "empty");
}

static void there_are_at_most_so_many_words(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer line = {0};
    AUTO_BUFFER struct buffer out = {0};
    for (size_t i = 0; i < WORDS_MAX; i++) {
        buffer_append_string(&line, "x ");
    }
    assert_int_equal(words_split(buffer_text(&line), append_word, &out, NULL), OK);
    buffer_append_string(&line, "x");
    expect_refused(line.bytes, "more than");
}

static void a_quoted_word_is_read_as_it_was(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"plain/{index}.nc", "",   "a b", "it's",
                                        "$x | *",           "\n", "\\"};
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        AUTO_BUFFER struct buffer line = {0};
        AUTO_BUFFER struct buffer wanted = {0};
        words_quote(&line, text_of(WORDS[i]));
        append_word(&wanted, text_of(WORDS[i]));
        expect_words(line.bytes, wanted.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_separates_words),
        cmocka_unit_test(quotes_and_backslashes_are_those_of_a_shell),
        cmocka_unit_test(placeholders_and_signs_within_words_stay),
        cmocka_unit_test(what_needs_a_shell_is_refused_with_the_way_out),
        cmocka_unit_test(what_does_not_end_is_refused),
        cmocka_unit_test(an_empty_command_is_refused),
        cmocka_unit_test(there_are_at_most_so_many_words),
        cmocka_unit_test(a_quoted_word_is_read_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
