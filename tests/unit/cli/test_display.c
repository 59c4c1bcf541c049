#include "../cmocka_all.h"

#include "cli/display.h"
#include "cli/progress.h"

#include <stdlib.h>

#define SECOND INT64_C(1000000)

static void expect_bytes(int64_t bytes, const char *wanted)
{
    AUTO_BUFFER struct buffer out = {0};
    display_bytes(&out, bytes);
    assert_string_equal(out.bytes, wanted);
}

static void sizes_have_one_decimal_and_the_unit_that_fits(void **state)
{
    (void)state;
    expect_bytes(0, "0 B");
    expect_bytes(1023, "1023 B");
    expect_bytes(1536, "1.5 KiB");
    expect_bytes((1 << 20) - 1, "1.0 MiB");
    expect_bytes(INT64_C(13) << 30, "13.0 GiB");
    expect_bytes(INT64_MAX, "8.0 EiB");
}

static void expect_duration(int64_t duration_us, const char *wanted)
{
    AUTO_BUFFER struct buffer out = {0};
    display_duration(&out, duration_us);
    assert_string_equal(out.bytes, wanted);
}

static void durations_have_two_units_at_most(void **state)
{
    (void)state;
    expect_duration(0, "0 s");
    expect_duration(250, "250 us");
    expect_duration(12345, "12 ms");
    expect_duration(1290000, "1.2 s");
    expect_duration(42 * SECOND, "42 s");
    expect_duration(184 * SECOND, "3 min 4 s");
    expect_duration(7200 * SECOND, "2 h");
    expect_duration((3 * 24 + 4) * 3600 * SECOND, "3 d 4 h");
}

static void expect_time(int64_t past_us, const char *wanted)
{
    AUTO_BUFFER struct buffer out = {0};
    int64_t now_us = INT64_C(1795255200) * SECOND; // 2026-11-21T10:00:00Z
    display_time(&out, now_us - past_us, now_us);
    assert_string_equal(out.bytes, wanted);
}

static void times_are_relative_until_they_are_a_month_old(void **state)
{
    (void)state;
    expect_time(0, "just now");
    expect_time(59 * SECOND, "59 s ago");
    expect_time(150 * SECOND, "2 min ago");
    expect_time(5 * 3600 * SECOND, "5 h ago");
    expect_time(4 * 86400 * SECOND, "4 d ago");
    expect_time(51 * 86400 * SECOND, "2026-10-01");
    expect_time(-301 * SECOND, "in 5 min");
}

static void a_terminal_gets_no_control_characters(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer out = {0};
    display_text(&out, TEXT("a\033[31mb\nc\xc2\x9b"
                            "d\xc3\xa9"));
    assert_string_equal(out.bytes, "a?[31mb?c?d\xc3\xa9");
    buffer_clear(&out);
    display_text(&out, TEXT("x\xff"));
    assert_string_equal(out.bytes, "x?");
}

static void a_reason_that_differs_in_numbers_alone_says_the_same(void **state)
{
    (void)state;
    assert_true(display_says_same(TEXT("it waits for 3 s"), TEXT("it waits for 12.5 s")));
    assert_true(display_says_same(TEXT("task 9"), TEXT("task 10")));
    assert_true(display_says_same(TEXT(""), TEXT("")));
    assert_false(display_says_same(TEXT("site ocean is down"), TEXT("site ocean is up")));
    assert_false(display_says_same(TEXT("3 tasks"), TEXT("tasks")));
    assert_false(display_says_same(TEXT("waits."), TEXT("waits")));
    assert_false(display_says_same(TEXT("waits"), TEXT("waits 3")));
}

static const struct table_column COLUMNS[] = {
    {"ID", true, false}, {"NAME", false, true}, {"STATE", false, false}};

static void expect_table(size_t width, const char *wanted)
{
    struct table *table = table_new(COLUMNS, 3);
    table_addf(table, "%d", 7);
    table_add(table, TEXT("sea-surface t\xc3\xa9mp"));
    table_add(table, TEXT("running"));
    table_addf(table, "%d", 112);
    table_add(table, TEXT("x"));
    table_add(table, TEXT("failed"));
    AUTO_BUFFER struct buffer out = {0};
    table_write(table, width, &out);
    assert_string_equal(out.bytes, wanted);
    table_free(table);
}

static void a_tables_columns_stand_below_each_other(void **state)
{
    (void)state;
    expect_table(0, " ID  NAME              STATE\n"
                    "  7  sea-surface t\xc3\xa9mp  running\n"
                    "112  x                 failed\n");
}

static void empty_cells_at_the_end_leave_no_spaces(void **state)
{
    (void)state;
    struct table *table = table_new(COLUMNS, 3);
    table_addf(table, "%d", 7);
    table_add(table, TEXT("x"));
    table_add(table, TEXT(""));
    AUTO_BUFFER struct buffer out = {0};
    table_write(table, 0, &out);
    assert_string_equal(out.bytes, "ID  NAME  STATE\n 7  x\n");
    table_free(table);
}

static void a_table_too_wide_for_the_terminal_cuts_the_columns_that_may_be_cut(void **state)
{
    (void)state;
    expect_table(24, " ID  NAME        STATE\n"
                     "  7  sea-sur...  running\n"
                     "112  x           failed\n");
}

static void expect_progress(struct progress_view view, const char *wanted)
{
    AUTO_BUFFER struct buffer out = {0};
    progress_format(&view, &out);
    assert_string_equal(out.bytes, wanted);
}

static void progress_says_share_amount_rate_and_time_left(void **state)
{
    (void)state;
    expect_progress((struct progress_view){.label = "a.nc",
                                           .done = 512 << 10,
                                           .total = 1 << 20,
                                           .rate_done = 256 << 10,
                                           .rate_us = SECOND},
                    "a.nc   50 %  512.0 KiB / 1.0 MiB  256.0 KiB/s  2 s left");
    expect_progress((struct progress_view){.label = "job 7",
                                           .unit = PROGRESS_TASKS,
                                           .done = 999,
                                           .total = 1000,
                                           .rate_done = 999,
                                           .rate_us = SECOND / 10},
                    "job 7   99 %  999 / 1000");
    expect_progress((struct progress_view){.label = "x", .done = 5, .total = -1}, "x  5 B");
    expect_progress((struct progress_view){.label = "x", .done = 0, .total = 0},
                    "x  100 %  0 B / 0 B");
}

static void a_bar_fills_what_the_terminal_has_left(void **state)
{
    (void)state;
    expect_progress(
        (struct progress_view){
            .label = "j", .unit = PROGRESS_TASKS, .done = 5, .total = 10, .width = 30},
        "j  [#####.....]  50 %  5 / 10");
    expect_progress(
        (struct progress_view){.label = "j",
                               .unit = PROGRESS_TASKS,
                               .done = 5,
                               .total = 10,
                               .width = 30,
                               .is_utf8 = true},
        "j  [\u2588\u2588\u2588\u2588\u2588\u2591\u2591\u2591\u2591\u2591]  50 %  5 / 10");
    expect_progress(
        (struct progress_view){
            .label = "j", .unit = PROGRESS_TASKS, .done = 5, .total = 10, .width = 20},
        "j   50 %  5 / 10");
}

static void the_locale_says_whether_utf8_is_understood(void **state)
{
    (void)state;
    (void)setenv("LC_ALL", "de_DE.UTF-8", 1);
    assert_true(terminal_is_utf8());
    (void)setenv("LC_ALL", "C.utf8", 1);
    assert_true(terminal_is_utf8());
    (void)setenv("LC_ALL", "C", 1);
    (void)setenv("LANG", "C.UTF-8", 1);
    assert_false(terminal_is_utf8());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_one_decimal_and_the_unit_that_fits),
        cmocka_unit_test(durations_have_two_units_at_most),
        cmocka_unit_test(times_are_relative_until_they_are_a_month_old),
        cmocka_unit_test(a_reason_that_differs_in_numbers_alone_says_the_same),
        cmocka_unit_test(a_terminal_gets_no_control_characters),
        cmocka_unit_test(a_tables_columns_stand_below_each_other),
        cmocka_unit_test(empty_cells_at_the_end_leave_no_spaces),
        cmocka_unit_test(a_table_too_wide_for_the_terminal_cuts_the_columns_that_may_be_cut),
        cmocka_unit_test(progress_says_share_amount_rate_and_time_left),
        cmocka_unit_test(a_bar_fills_what_the_terminal_has_left),
        cmocka_unit_test(the_locale_says_whether_utf8_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
