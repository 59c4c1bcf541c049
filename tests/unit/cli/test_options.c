#include "../cmocka_all.h"

#include "cli/options.h"

#include <stdio.h>

static const struct command_option TABLE[] = {
    {"data", 'd', OPTION_LIST, "ID", "bind", NULL},
    {"count", 'n', OPTION_COUNT, "N", "count", NULL},
    {"cpus", 0, OPTION_NUMBER, "N", "cpus", NULL},
    {"memory", 'm', OPTION_BYTES, "SIZE", "memory", NULL},
    {"walltime", 0, OPTION_DURATION, "TIME", "walltime", NULL},
    {"cache", 0, OPTION_TEXT, "HOW", "cache", "use|refresh|off"},
    {"follow", 'f', OPTION_FLAG, NULL, "follow", NULL},
    {"verbose", 'v', OPTION_FLAG, NULL, "more", NULL},
};

// Reads the words; the caller ends `options`.
static enum status parse(struct options *options, const char *const *words, bool stops_at_operand,
                         struct error *error)
{
    static char copies[16][64];
    char *argv[17];
    int argc = 0;
    for (; words[argc]; argc++) {
        (void)snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    *options = (struct options){.tables = {OPTION_TABLE(TABLE)}};
    return options_parse(options, argc, argv, stops_at_operand, error);
}
#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void values_come_with_equals_sign_or_space_or_glued_to_the_letter(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(parse(&options, WORDS("--count=3", "--memory", "2K", "-da", "-d", "b", "-fv"),
                           false, &error),
                     OK);
    assert_int_equal(options_int64(&options, "count", 0), 3);
    assert_int_equal(options_int64(&options, "memory", 0), 2048);
    assert_true(options_has(&options, "follow"));
    assert_true(options_has(&options, "verbose"));
    size_t at = 0;
    assert_string_equal(options_next(&options, "data", &at), "a");
    assert_string_equal(options_next(&options, "data", &at), "b");
    assert_null(options_next(&options, "data", &at));
    options_done(&options);
}

static void the_last_value_counts_and_what_is_not_given_has_its_default(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(
        parse(&options, WORDS("--cpus", "2", "--cpus", "0.5", "--walltime=1h30m"), false, &error),
        OK);
    assert_true(options_number(&options, "cpus", 1) == 0.5);
    assert_int_equal(options_int64(&options, "walltime", 0), INT64_C(5400000000));
    assert_int_equal(options_int64(&options, "count", 7), 7);
    assert_string_equal(options_text(&options, "cache", "use"), "use");
    options_done(&options);
}

static void options_after_the_first_operand_belong_to_the_command_that_is_run(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(parse(&options, WORDS("-f", "ls", "--unknown", "-l"), true, &error), OK);
    assert_int_equal(options.operand_count, 3);
    assert_string_equal(options.operands[1], "--unknown");
    assert_null(options.operands[3]);
    options_done(&options);
}

static void two_dashes_end_options_and_one_dash_is_an_operand(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(parse(&options, WORDS("-", "--", "--count", "--"), false, &error), OK);
    assert_int_equal(options.operand_count, 3);
    assert_string_equal(options.operands[0], "-");
    assert_string_equal(options.operands[1], "--count");
    assert_string_equal(options.operands[2], "--");
    options_done(&options);
}

static void an_unknown_option_names_the_nearest(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(parse(&options, WORDS("--memroy=1"), false, &error), INVALID);
    assert_string_equal(error.detail, "unknown option --memroy");
    assert_non_null(strstr(error.fix, "did you mean --memory?"));
    options_done(&options);
    assert_int_equal(parse(&options, WORDS("--xyzzy"), false, &error), INVALID);
    assert_null(strstr(error.fix, "did you mean"));
    options_done(&options);
    assert_int_equal(parse(&options, WORDS("-x"), false, &error), INVALID);
    options_done(&options);
}

static void a_wrong_value_is_refused_with_what_would_do(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        const char *says;
    } CASES[] = {
        {{"--count", "x", NULL}, "whole number"},
        {{"--count", "-1", NULL}, "whole number"},
        {{"--cpus", "0", NULL}, "above 0"},
        {{"--cpus", "nan", NULL}, "above 0"},
        {{"--memory", "2Q", NULL}, "size"},
        {{"--walltime", "1w", NULL}, "duration"},
        {{"--cache", "maybe", NULL}, "use|refresh|off"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct options options;
        struct error error;
        assert_int_equal(parse(&options, CASES[i].words, false, &error), INVALID);
        assert_non_null(strstr(error.fix, CASES[i].says));
        options_done(&options);
    }
}

static void a_missing_or_unwanted_value_is_refused(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(parse(&options, WORDS("--count"), false, &error), INVALID);
    assert_string_equal(error.detail, "--count needs a value: --count N");
    options_done(&options);
    assert_int_equal(parse(&options, WORDS("-n"), false, &error), INVALID);
    options_done(&options);
    assert_int_equal(parse(&options, WORDS("--follow=yes"), false, &error), INVALID);
    assert_string_equal(error.detail, "--follow takes no value");
    options_done(&options);
}

static void help_is_found_before_a_later_mistake(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(parse(&options, WORDS("--help", "--nonsense"), false, &error), OK);
    assert_true(options.has_help);
    options_done(&options);
}

static void distance_counts_single_edits(void **state)
{
    (void)state;
    assert_int_equal(word_distance(TEXT("memory"), TEXT("memory")), 0);
    assert_int_equal(word_distance(TEXT("memroy"), TEXT("memory")), 1);
    assert_int_equal(word_distance(TEXT(""), TEXT("abc")), 3);
    assert_int_equal(word_distance(TEXT("jbos"), TEXT("jobs")), 1);
    assert_int_equal(word_distance(TEXT("kitten"), TEXT("sitting")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_with_equals_sign_or_space_or_glued_to_the_letter),
        cmocka_unit_test(the_last_value_counts_and_what_is_not_given_has_its_default),
        cmocka_unit_test(options_after_the_first_operand_belong_to_the_command_that_is_run),
        cmocka_unit_test(two_dashes_end_options_and_one_dash_is_an_operand),
        cmocka_unit_test(an_unknown_option_names_the_nearest),
        cmocka_unit_test(a_wrong_value_is_refused_with_what_would_do),
        cmocka_unit_test(a_missing_or_unwanted_value_is_refused),
        cmocka_unit_test(help_is_found_before_a_later_mistake),
        cmocka_unit_test(distance_counts_single_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
