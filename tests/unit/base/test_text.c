#include "../cmocka_all.h"

#include "base/buffer.h"
#include "base/calendar.h"
#include "base/hex.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

static void numbers_are_read_strictly(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_true(text_to_int64(TEXT("-9223372036854775808"), &value));
    assert_int_equal(value, INT64_MIN);
    assert_false(text_to_int64(TEXT("9223372036854775808"), &value));
    assert_false(text_to_int64(TEXT("12 "), &value));
    assert_false(text_to_int64(TEXT(""), &value));
    assert_false(text_to_int64(TEXT("-"), &value));
    assert_int_equal(value, INT64_MIN);
}

static void sizes_and_durations_take_the_usual_units(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(text_to_bytes(TEXT("1.5G"), &value));
    assert_int_equal(value, 1610612736);
    assert_true(text_to_bytes(TEXT("10MB"), &value));
    assert_int_equal(value, 10000000);
    assert_false(text_to_bytes(TEXT("ten"), &value));
    assert_true(text_to_duration_us(TEXT("1h30m"), &value));
    assert_int_equal(value, 5400000000);
    assert_true(text_to_duration_us(TEXT("0.5s"), &value));
    assert_int_equal(value, 500000);
    assert_true(text_to_duration_us(TEXT("90"), &value));
    assert_int_equal(value, 90000000);
    assert_false(text_to_duration_us(TEXT("1x"), &value));
}

static void globs_match_as_in_a_shell(void **state)
{
    (void)state;
    assert_true(text_matches_glob(TEXT("a.nc"), TEXT("*.nc")));
    assert_false(text_matches_glob(TEXT("d/a.nc"), TEXT("*.nc")));
    assert_true(text_matches_glob(TEXT("d/e/a.nc"), TEXT("**/*.nc")));
    assert_true(text_matches_glob(TEXT("a.nc"), TEXT("**/*.nc")));
    assert_true(text_matches_glob(TEXT("d/e/a.nc"), TEXT("d/**/a.nc")));
    assert_true(text_matches_glob(TEXT("d/a.nc"), TEXT("d/**/a.nc")));
    assert_false(text_matches_glob(TEXT("data.nc"), TEXT("**/a.nc")));
    assert_false(text_matches_glob(TEXT("d/e/data.nc"), TEXT("d/**/a.nc")));
    assert_true(text_matches_glob(TEXT("dx/e/a.nc"), TEXT("d**/a.nc")));
    assert_false(text_matches_glob(TEXT("da.nc"), TEXT("d**/a.nc")));
    assert_true(text_matches_glob(TEXT("sst-07.txt"), TEXT("sst-[0-9][0-9].t?t")));
    assert_false(text_matches_glob(TEXT("sst-x7.txt"), TEXT("sst-[0-9][0-9].t?t")));
    assert_true(text_matches_glob(TEXT("d/x"), TEXT("d/**")));
    assert_false(text_matches_glob(TEXT("abc"), TEXT("[a")));
    assert_true(text_matches_glob(TEXT("aaaaaaaaaaaaaaaaaaaab"), TEXT("*a*a*a*a*b")));
}

static void utf8_is_judged_strictly(void **state)
{
    (void)state;
    assert_true(text_is_utf8(TEXT("Gr\xC3\xBC\xC3\x9F \xF0\x9F\x8C\x8A")));
    assert_false(text_is_utf8(TEXT("\xC0\xAF")));
    assert_false(text_is_utf8(TEXT("\xED\xA0\x80")));
    assert_false(text_is_utf8(TEXT("\xF4\x90\x80\x80")));
    assert_false(text_is_utf8(TEXT("\xE2\x82")));
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer out = {0};
    buffer_append_json_string(&out, TEXT("a\"\\\n\b\f\x01\xFFz"));
    assert_string_equal(out.bytes, "\"a\\\"\\\\\\n\\b\\f\\u0001\xEF\xBF\xBDz\"");
}

static void buffers_keep_their_maximum(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer out = {.max = 4};
    buffer_append_string(&out, "abc");
    buffer_append_string(&out, "de");
    buffer_append_string(&out, "f");
    assert_true(out.is_overflown);
    assert_string_equal(out.bytes, "abc");
}

static void base64_survives_the_round_trip(void **state)
{
    (void)state;
    for (size_t length = 0; length < 9; length++) {
        AUTO_BUFFER struct buffer encoded = {0};
        AUTO_BUFFER struct buffer decoded = {0};
        base64_append(&encoded, "\x00\xFF\x10zxy\x80\x81", length);
        assert_int_equal(base64_decode(buffer_text(&encoded), &decoded, NULL), OK);
        assert_int_equal(decoded.length, length);
    }
    AUTO_BUFFER struct buffer none = {0};
    assert_int_equal(base64_decode(TEXT("ab=c"), &none, NULL), INVALID);
    assert_int_equal(base64_decode(TEXT("abc"), &none, NULL), INVALID);
}

static void times_survive_the_round_trip(void **state)
{
    (void)state;
    char out[CALENDAR_TEXT_SIZE];
    assert_string_equal(calendar_format(0, out), "1970-01-01T00:00:00Z");
    int64_t time_us = 0;
    assert_true(calendar_parse(TEXT("2026-11-21T12:30:00.25+02:00"), &time_us));
    assert_string_equal(calendar_format(time_us, out), "2026-11-21T10:30:00.250000Z");
    assert_true(calendar_parse(TEXT("2024-02-29T00:00:00Z"), &time_us));
    assert_string_equal(calendar_format(time_us, out), "2024-02-29T00:00:00Z");
    assert_false(calendar_parse(TEXT("2024-02-29"), &time_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(sizes_and_durations_take_the_usual_units),
        cmocka_unit_test(globs_match_as_in_a_shell),
        cmocka_unit_test(utf8_is_judged_strictly),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(buffers_keep_their_maximum),
        cmocka_unit_test(base64_survives_the_round_trip),
        cmocka_unit_test(times_survive_the_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
