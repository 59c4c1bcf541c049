#include "../cmocka_all.h"

#include "base/memory.h"
#include "store/records.h"

enum { KEYS = 6, SETS = 5, ROUNDS = 2000, MANY = 3000 };

static void put(struct buffer *out, const char *key, const char *value)
{
    const struct record record = {
        .key = text_of(key), .value = text_of(value ? value : ""), .is_removed = !value};
    records_append(out, &record);
}

// As "key=value ", a removed one as "-key ".
static char *describe(struct text records)
{
    struct buffer out = {0};
    struct record record;
    enum status status;
    buffer_append_string(&out, "");
    while ((status = records_next(&records, &record)) == OK) {
        buffer_append_string(&out, record.is_removed ? "-" : "");
        buffer_append_text(&out, record.key);
        buffer_append_string(&out, record.is_removed ? "" : "=");
        buffer_append_text(&out, record.value);
        buffer_append_string(&out, " ");
    }
    assert_int_equal(status, NOT_FOUND);
    return buffer_take_string(&out);
}

static void records_come_out_as_they_were_appended(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer set = {0};
    AUTO_FREE char *longest_key = memory_new(1, RECORD_KEY_MAX + 1);
    memset(longest_key, 'z', RECORD_KEY_MAX);
    AUTO_FREE char *value = memory_new(1, 70001);
    memset(value, 'v', 70000);
    put(&set, "a", "1");
    put(&set, "b", "");
    put(&set, "c", NULL);
    put(&set, longest_key, value);
    AUTO_FREE char *described = describe(buffer_text(&set));
    AUTO_FREE char *expected = memory_format("a=1 b= -c %s=%s ", longest_key, value);
    assert_string_equal(described, expected);
}

static void a_record_is_found_by_its_key(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer set = {0};
    struct record record = {0};
    put(&set, "a", "1");
    put(&set, "ab", "2");
    put(&set, "c", NULL);
    assert_int_equal(records_find(buffer_text(&set), TEXT("ab"), &record), OK);
    assert_true(text_equal(record.value, TEXT("2")));
    assert_int_equal(records_find(buffer_text(&set), TEXT("b"), &record), NOT_FOUND);
    assert_int_equal(records_find(buffer_text(&set), TEXT("c"), &record), NOT_FOUND);
    assert_int_equal(records_find(TEXT_NONE, TEXT("a"), &record), NOT_FOUND);
    assert_int_equal(records_find(TEXT("\x01\x00\x00"), TEXT("a"), &record), CORRUPT);
    assert_true(text_equal(record.value, TEXT("2")));
}

static void what_is_cut_short_is_corrupt(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer set = {0};
    put(&set, "key", "value");
    for (size_t length = 1; length < set.length; length++) {
        // In memory of its own size, so that the sanitizers see a read beyond it.
        AUTO_FREE char *part = memory_copy_bytes(set.bytes, length);
        struct text rest = {part, length};
        struct record record;
        AUTO_BUFFER struct buffer out = {0};
        assert_int_equal(records_next(&rest, &record), CORRUPT);
        assert_int_equal(rest.length, length);
        assert_false(records_combine(&rest, 1, true, &out));
    }
    struct text without_key = TEXT("\x00\x00\x00\x01v");
    struct record record;
    assert_int_equal(records_next(&without_key, &record), CORRUPT);
}

static void the_latest_record_of_a_key_counts(void **state)
{
    (void)state;
    struct buffer sets[3] = {{0}, {0}, {0}};
    put(&sets[0], "a", "1");
    put(&sets[0], "b", "1");
    put(&sets[0], "d", "1");
    put(&sets[1], "b", NULL);
    put(&sets[1], "c", "2");
    put(&sets[1], "d", NULL);
    put(&sets[2], "a", "3");
    put(&sets[2], "b", "3");
    const struct text parts[] = {buffer_text(&sets[0]), buffer_text(&sets[1]),
                                 buffer_text(&sets[2])};
    AUTO_BUFFER struct buffer changes = {0};
    AUTO_BUFFER struct buffer whole = {0};
    assert_true(records_combine(parts, 3, false, &changes));
    assert_true(records_combine(parts, 3, true, &whole));
    AUTO_FREE char *changes_text = describe(buffer_text(&changes));
    AUTO_FREE char *whole_text = describe(buffer_text(&whole));
    assert_string_equal(changes_text, "a=3 b=3 c=2 -d ");
    assert_string_equal(whole_text, "a=3 b=3 c=2 ");
    for (size_t i = 0; i < 3; i++) {
        buffer_done(&sets[i]);
    }
}

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
    return *random >> 33;
}

static void fill_at_random(struct buffer *set, uint64_t *random)
{
    for (int key = 0; key < KEYS; key++) {
        uint64_t drawn = next_random(random) % 100;
        char name[] = {(char)('a' + key), 0};
        AUTO_FREE char *value = memory_format("%d", (int)drawn);
        if (drawn < 50) {
            put(set, name, drawn < 20 ? NULL : value);
        }
    }
}

// Any run of neighbours may be combined first.
static void combining_is_associative(void **state)
{
    (void)state;
    uint64_t random = 30112026;
    for (int round = 0; round < ROUNDS; round++) {
        struct buffer sets[SETS] = {{0}};
        struct text parts[SETS];
        for (size_t i = 0; i < SETS; i++) {
            fill_at_random(&sets[i], &random);
            parts[i] = buffer_text(&sets[i]);
        }
        size_t from = next_random(&random) % SETS;
        size_t to = from + 1 + next_random(&random) % (SETS - from);
        AUTO_BUFFER struct buffer run = {0};
        AUTO_BUFFER struct buffer at_once = {0};
        AUTO_BUFFER struct buffer in_steps = {0};
        bool is_whole = round % 2 == 0;
        assert_true(records_combine(parts, SETS, is_whole, &at_once));
        assert_true(records_combine(parts + from, to - from, is_whole && from == 0, &run));
        parts[from] = buffer_text(&run);
        memmove(parts + from + 1, parts + to, (SETS - to) * sizeof *parts);
        assert_true(records_combine(parts, SETS - (to - from) + 1, is_whole, &in_steps));
        assert_int_equal(at_once.length, in_steps.length);
        assert_true(text_equal(buffer_text(&at_once), buffer_text(&in_steps)));
        for (size_t i = 0; i < SETS; i++) {
            buffer_done(&sets[i]);
        }
    }
}

static void many_sets_of_one_record_become_one_in_order(void **state)
{
    (void)state;
    struct buffer *sets = memory_new(MANY, sizeof *sets);
    struct text *parts = memory_new(MANY, sizeof *parts);
    for (size_t i = 0; i < MANY; i++) {
        AUTO_FREE char *key = memory_format("%05zu", i * 7 % MANY);
        put(&sets[i], key, key);
        parts[i] = buffer_text(&sets[i]);
    }
    AUTO_BUFFER struct buffer out = {0};
    assert_true(records_combine(parts, MANY, true, &out));
    struct text rest = buffer_text(&out);
    struct record record;
    for (size_t i = 0; i < MANY; i++) {
        AUTO_FREE char *key = memory_format("%05zu", i);
        assert_int_equal(records_next(&rest, &record), OK);
        assert_true(text_equal(record.key, text_of(key)));
        assert_true(text_equal(record.value, text_of(key)));
        buffer_done(&sets[i]);
    }
    assert_int_equal(records_next(&rest, &record), NOT_FOUND);
    free(sets);
    free(parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_were_appended),
        cmocka_unit_test(a_record_is_found_by_its_key),
        cmocka_unit_test(what_is_cut_short_is_corrupt),
        cmocka_unit_test(the_latest_record_of_a_key_counts),
        cmocka_unit_test(combining_is_associative),
        cmocka_unit_test(many_sets_of_one_record_become_one_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
