#include "../cmocka_all.h"

#include "base/memory.h"
#include "store/compressed.h"

enum { MANY = 1 << 20 };

static void assert_round_trip(struct text text)
{
    AUTO_BUFFER struct buffer frame = {0};
    AUTO_BUFFER struct buffer out = {0};
    compressed_append(text, &frame);
    buffer_append_string(&out, "before");
    assert_int_equal(compressed_read(buffer_text(&frame), text.length, &out, NULL), OK);
    assert_int_equal(out.length, text.length + strlen("before"));
    assert_memory_equal(out.bytes + strlen("before"), text.bytes, text.length);
    assert_int_equal(out.bytes[out.length], '\0');
}

// Repeated words with numbers between: what packs, and is not all the same.
static void fill(struct buffer *out, size_t length)
{
    for (int i = 0; out->length < length; i++) {
        buffer_printf(out, "{\"id\":\"doi:10.1/%d\",\"site\":\"one\"}\n", i * 7919);
    }
    out->length = length;
}

static void texts_come_out_as_they_went_in(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer text = {0};
    char bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)i;
    }
    assert_round_trip(TEXT("x"));
    assert_round_trip(TEXT(""));
    assert_round_trip((struct text){bytes, sizeof bytes});
    fill(&text, MANY);
    assert_round_trip(buffer_text(&text));
}

static void what_repeats_becomes_small(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer frame = {0};
    fill(&text, MANY);
    buffer_append_string(&frame, "before");
    compressed_append(buffer_text(&text), &frame);
    assert_true(frame.length < text.length / 4);
    assert_memory_equal(frame.bytes, "before", strlen("before"));
}

// Nothing is appended, and what was there is as it was.
static void assert_corrupt(struct text frame, size_t size_max, const char *said)
{
    AUTO_BUFFER struct buffer out = {0};
    struct error error = {0};
    buffer_append_string(&out, "before");
    assert_int_equal(compressed_read(frame, size_max, &out, &error), CORRUPT);
    assert_int_equal(error.status, CORRUPT);
    assert_string_equal(out.bytes, "before");
    assert_int_equal(out.length, strlen("before"));
    if (!strstr(error.detail, said)) {
        fail_msg("%s", error.detail);
    }
}

// Some bits of a frame mean nothing: what comes out is what went in, or nothing does.
static void a_damaged_frame_is_refused(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer frame = {0};
    size_t refused = 0;
    fill(&text, 3000);
    compressed_append(buffer_text(&text), &frame);
    for (size_t bit = 0; bit < 8 * frame.length; bit++) {
        AUTO_BUFFER struct buffer out = {0};
        char *byte = &frame.bytes[bit / 8];
        *byte = (char)(*byte ^ 1 << bit % 8);
        if (compressed_read(buffer_text(&frame), text.length, &out, NULL) == OK) {
            assert_true(text_equal(buffer_text(&out), buffer_text(&text)));
        } else {
            assert_corrupt(buffer_text(&frame), text.length, "");
            refused++;
        }
        *byte = (char)(*byte ^ 1 << bit % 8);
    }
    assert_true(refused > 8 * frame.length / 20 * 19);
    for (size_t length = 0; length < frame.length; length++) {
        assert_corrupt((struct text){frame.bytes, length}, text.length, "");
    }
    buffer_append_string(&frame, "!");
    assert_corrupt(buffer_text(&frame), text.length, "is damaged");
}

static void what_is_no_frame_of_ours_is_refused(void **state)
{
    (void)state;
    // What `printf 'without a size' | zstd --no-check` makes.
    static const char STREAMED[] = "\x28\xb5\x2f\xfd\x00\x58\x71\x00\x00without a size";
    AUTO_BUFFER struct buffer two = {0};
    assert_corrupt(TEXT_NONE, MANY, "0 bytes are no compressed text");
    assert_corrupt(TEXT("{\"kind\":\"head\"}\n"), MANY, "no compressed text");
    assert_corrupt((struct text){STREAMED, sizeof STREAMED - 1}, MANY, "no compressed text");
    compressed_append(TEXT("one"), &two);
    compressed_append(TEXT("two"), &two);
    assert_corrupt(buffer_text(&two), MANY, "is damaged");
}

static void more_than_the_bound_is_refused_before_it_is_made(void **state)
{
    (void)state;
    AUTO_FREE char *zeros = memory_new(64, MANY);
    AUTO_BUFFER struct buffer bomb = {0};
    compressed_append((struct text){zeros, (size_t)64 * MANY}, &bomb);
    assert_true(bomb.length < 10000);
    assert_corrupt(buffer_text(&bomb), MANY, "claims 67108864 bytes, more than 1048576");
    AUTO_BUFFER struct buffer out = {0};
    assert_int_equal(compressed_read(buffer_text(&bomb), (size_t)64 * MANY - 1, &out, NULL),
                     CORRUPT);
    assert_int_equal(out.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_out_as_they_went_in),
        cmocka_unit_test(what_repeats_becomes_small),
        cmocka_unit_test(a_damaged_frame_is_refused),
        cmocka_unit_test(what_is_no_frame_of_ours_is_refused),
        cmocka_unit_test(more_than_the_bound_is_refused_before_it_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
