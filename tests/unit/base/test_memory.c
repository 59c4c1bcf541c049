// Where things are kept: maps, arenas, and the statuses that travel with them.
#include "../cmocka_all.h"

#include "base/arena.h"
#include "base/calendar.h"
#include "base/hex.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>

static void a_map_agrees_with_a_plain_array_under_random_changes(void **state)
{
    (void)state;
    enum { KEYS = 300, STEPS = 50000 };
    static int values[KEYS];
    int *plain[KEYS] = {0};
    struct map *map = map_new();
    unsigned seed = 3;
    for (int step = 0; step < STEPS; step++) {
        int key = rand_r(&seed) % KEYS;
        int *value = rand_r(&seed) % 2 ? &values[rand_r(&seed) % KEYS] : NULL;
        assert_ptr_equal(map_set_int64(map, key - KEYS / 2, value), plain[key]);
        plain[key] = value;
        key = rand_r(&seed) % KEYS;
        assert_ptr_equal(map_find_int64(map, key - KEYS / 2), plain[key]);
    }
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        count += plain[i] != NULL;
    }
    assert_int_equal(map_count(map), count);
    size_t at = 0;
    while (map_next(map, &at)) {
        count--;
    }
    assert_int_equal(count, 0);
    map_free(map);
}

static void text_keys_are_copied_and_may_hold_any_byte(void **state)
{
    (void)state;
    int one = 1;
    int two = 2;
    char key[] = "a\0b";
    struct map *map = map_new();
    assert_null(map_set_text(map, (struct text){key, 3}, &one));
    assert_null(map_set_text(map, TEXT(""), &two));
    key[2] = 'c';
    assert_null(map_find_text(map, (struct text){key, 3}));
    assert_ptr_equal(map_find_text(map, TEXT("a\0b")), &one);
    assert_null(map_find_text(map, TEXT("a")));
    assert_ptr_equal(map_find_text(map, TEXT_NONE), &two);
    assert_ptr_equal(map_set_text(map, TEXT("a\0b"), NULL), &one);
    assert_int_equal(map_count(map), 1);
    map_free(map);
    map_free(NULL);
}

static void an_empty_map_finds_nothing(void **state)
{
    (void)state;
    struct map *map = map_new();
    size_t at = 0;
    assert_null(map_find_text(map, TEXT("x")));
    assert_null(map_set_text(map, TEXT("x"), NULL));
    assert_null(map_next(map, &at));
    map_free(map);
}

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { PIECES = 500 };
    AUTO_ARENA struct arena arena = {0};
    unsigned char *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i * 37 % 9000;
        pieces[i] = arena_new(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(pieces[i][j], 0);
        }
        memset(pieces[i], (int)(i % 255) + 1, size);
    }
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i * 37 % 9000;
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(pieces[i][j], i % 255 + 1);
        }
    }
}

static void arena_strings_end_with_a_nul(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    char *long_one = arena_format(&arena, "%0*d", 10000, 7);
    assert_int_equal(strlen(long_one), 10000);
    assert_string_equal(arena_copy(&arena, text_slice(TEXT("abcdef"), 1, 3)), "bc");
    assert_string_equal(arena_copy(&arena, TEXT_NONE), "");
}

static void an_error_is_cut_and_never_overrun(void **state)
{
    (void)state;
    struct error error = {0};
    enum status status = error_set(&error, QUOTA, "%0*d", 5000, 1);
    assert_int_equal(status, QUOTA);
    assert_int_equal(strlen(error.detail), ERROR_DETAIL_MAX - 1);
    error_fix(&error, "%0*d", 5000, 1);
    assert_int_equal(error.status, QUOTA);
    assert_int_equal(strlen(error.fix), ERROR_FIX_MAX - 1);
    assert_int_equal(error_set(&error, BUSY, "again"), BUSY);
    assert_string_equal(error.fix, "");
    assert_int_equal(error_set(NULL, BUSY, "nobody reads this"), BUSY);
    error_fix(NULL, "nor %s", "this");
}

static void statuses_survive_http(void **state)
{
    (void)state;
    static const enum status ALL[] = {INVALID, NOT_FOUND,   CONFLICT, DENIED,      QUOTA,   BUSY,
                                      TIMEOUT, UNAVAILABLE, CORRUPT,  UNSUPPORTED, INTERNAL};
    assert_int_equal(status_to_http(OK), 200);
    assert_int_equal(status_from_http(204), OK);
    assert_int_equal(status_from_http(599), INTERNAL);
    for (size_t i = 0; i < sizeof ALL / sizeof ALL[0]; i++) {
        int code = status_to_http(ALL[i]);
        assert_true(code >= 400 && code < 600);
        assert_int_equal(status_from_http(code), ALL[i]);
        assert_true(strlen(status_name(ALL[i])) > 0);
    }
}

static void impossible_dates_are_refused(void **state)
{
    (void)state;
    int64_t time_us = 5;
    assert_false(calendar_parse(TEXT("2026-02-29T00:00:00Z"), &time_us));
    assert_false(calendar_parse(TEXT("2026-04-31T00:00:00Z"), &time_us));
    assert_false(calendar_parse(TEXT("2026-13-01T00:00:00Z"), &time_us));
    assert_false(calendar_parse(TEXT("2026-01-01T24:00:00Z"), &time_us));
    assert_false(calendar_parse(TEXT("2026-01-01T-0:00:00Z"), &time_us));
    assert_false(calendar_parse(TEXT("2026-01-01T00:00:00"), &time_us));
    assert_int_equal(time_us, 5);
}

static void two_base64_texts_never_mean_the_same_bytes(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer bytes = {0};
    assert_int_equal(base64_decode(TEXT("TQ=="), &bytes, NULL), OK);
    assert_string_equal(bytes.bytes, "M");
    assert_int_equal(base64_decode(TEXT("TR=="), &bytes, NULL), INVALID);
    assert_int_equal(base64_decode(TEXT("TWF="), &bytes, NULL), INVALID);
    assert_int_equal(base64_decode(TEXT("TQ==TQ=="), &bytes, NULL), INVALID);
    assert_int_equal(base64_decode(TEXT("T"), &bytes, NULL), INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_agrees_with_a_plain_array_under_random_changes),
        cmocka_unit_test(text_keys_are_copied_and_may_hold_any_byte),
        cmocka_unit_test(an_empty_map_finds_nothing),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_strings_end_with_a_nul),
        cmocka_unit_test(an_error_is_cut_and_never_overrun),
        cmocka_unit_test(statuses_survive_http),
        cmocka_unit_test(impossible_dates_are_refused),
        cmocka_unit_test(two_base64_texts_never_mean_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
