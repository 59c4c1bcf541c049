#include "../cmocka_all.h"

#include "sandbox/runner_protocol.h"

static struct runner_result example(void)
{
    return (struct runner_result){.lease = 3,
                                  .index = 77,
                                  .outcome = OUTCOME_SIGNAL,
                                  .code = 9,
                                  .started_us = 5,
                                  .wall_us = 6,
                                  .cpu_us = 7,
                                  .peak_bytes = 8,
                                  .out = {.size = 2, .file = -1, .bytes = TEXT("hi")},
                                  .err = {.size = 100000, .file = 4},
                                  .detail = TEXT("why")};
}

static void a_result_comes_back_as_it_was_put(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer buffer = {0};
    struct runner_result put = example();
    struct runner_result got;
    struct runner_frame frame;
    size_t used = 0;
    size_t begin = runner_begin_frame(&buffer, RUNNER_RESULTS);
    runner_put_result(&buffer, &put);
    runner_end_frame(&buffer, begin);
    assert_int_equal(runner_take_frame(buffer_text(&buffer), &frame, &used, NULL), OK);
    assert_int_equal(used, buffer.length);
    assert_int_equal(frame.kind, RUNNER_RESULTS);
    assert_int_equal(runner_get_result(&frame.payload, &got, NULL), OK);
    assert_int_equal(frame.payload.length, 0);
    assert_int_equal(got.index, 77);
    assert_int_equal(got.code, 9);
    assert_true(text_equal(got.out.bytes, TEXT("hi")));
    assert_int_equal(got.err.file, 4);
    assert_true(text_equal(got.detail, TEXT("why")));
}

static void a_frame_that_is_not_complete_waits_for_more(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer buffer = {0};
    size_t begin = runner_begin_frame(&buffer, RUNNER_CANCEL);
    runner_put_int64(&buffer, 1);
    runner_end_frame(&buffer, begin);
    for (size_t length = 0; length < buffer.length; length++) {
        struct runner_frame frame;
        size_t used = 9;
        struct text part = text_slice(buffer_text(&buffer), 0, length);
        assert_int_equal(runner_take_frame(part, &frame, &used, NULL), OK);
        assert_int_equal(used, 0);
    }
}

static void a_frame_that_is_cut_short_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer buffer = {0};
    struct runner_result put = example();
    struct runner_result got;
    runner_put_result(&buffer, &put);
    for (size_t length = 0; length < buffer.length; length++) {
        struct text rest = text_slice(buffer_text(&buffer), 0, length);
        assert_int_equal(runner_get_result(&rest, &got, NULL), CORRUPT);
    }
}

static void numbers_out_of_their_range_are_refused(void **state)
{
    (void)state;
    struct runner_result wrong[] = {example(), example(), example(), example(), example()};
    wrong[0].outcome = OUTCOME_END;
    wrong[1].index = -1;
    wrong[2].code = 256;
    wrong[3].out.size = 3; // Not the length of the bytes.
    wrong[4].err.bytes = TEXT("both a file and bytes");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        AUTO_BUFFER struct buffer buffer = {0};
        struct runner_result got;
        runner_put_result(&buffer, &wrong[i]);
        struct text rest = buffer_text(&buffer);
        assert_int_equal(runner_get_result(&rest, &got, NULL), CORRUPT);
    }
}

static void answers_must_have_one_line_for_each_index(void **state)
{
    (void)state;
    const struct text lines[] = {TEXT("a\n"), TEXT("a\nb\nc\n"), TEXT("a\nb"), TEXT("")};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        AUTO_BUFFER struct buffer buffer = {0};
        struct runner_answers put = {.from = 5, .to = 7, .lines = lines[i]};
        struct runner_answers got;
        runner_put_answers(&buffer, &put);
        struct text rest = buffer_text(&buffer);
        assert_int_equal(runner_get_answers(&rest, &got, NULL), CORRUPT);
    }
    AUTO_BUFFER struct buffer buffer = {0};
    struct runner_answers put = {.from = 5, .to = 7, .lines = TEXT("a\nb\n")};
    struct runner_answers got;
    runner_put_answers(&buffer, &put);
    struct text rest = buffer_text(&buffer);
    assert_int_equal(runner_get_answers(&rest, &got, NULL), OK);
    assert_int_equal(got.to, 7);
}

static void a_job_comes_back_as_it_was_put(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer buffer = {0};
    struct text arguments[] = {TEXT("echo"), TEXT("{index}")};
    struct text variables[] = {TEXT("A=b")};
    struct runner_job put = {.walltime_us = 9,
                             .items = ITEMS_FILES,
                             .data_folder = TEXT("/data/x"),
                             .arguments = arguments,
                             .argument_count = 2,
                             .environment = variables,
                             .environment_count = 1};
    struct runner_job got;
    runner_put_job(&buffer, &put);
    struct text rest = buffer_text(&buffer);
    assert_int_equal(runner_get_job(&rest, &got, NULL), OK);
    assert_int_equal(got.argument_count, 2);
    assert_true(text_equal(got.arguments[1], TEXT("{index}")));
    assert_true(text_equal(got.environment[0], TEXT("A=b")));
    assert_int_equal(got.kept_count, 0);
    runner_job_done(&got);
    for (size_t length = 0; length < buffer.length; length++) {
        rest = text_slice(buffer_text(&buffer), 0, length);
        assert_int_equal(runner_get_job(&rest, &got, NULL), CORRUPT);
    }
}

static void a_frame_of_an_unknown_kind_or_an_absurd_length_is_refused(void **state)
{
    (void)state;
    const uint32_t headers[][2] = {
        {0, 0}, {0, RUNNER_KIND_END}, {RUNNER_FRAME_MAX + 1, RUNNER_JOB}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct runner_frame frame;
        size_t used = 0;
        struct text bytes = {(const char *)headers[i], sizeof headers[i]};
        assert_int_equal(runner_take_frame(bytes, &frame, &used, NULL), CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_comes_back_as_it_was_put),
        cmocka_unit_test(a_frame_that_is_not_complete_waits_for_more),
        cmocka_unit_test(a_frame_that_is_cut_short_is_refused_wherever_it_is_cut),
        cmocka_unit_test(numbers_out_of_their_range_are_refused),
        cmocka_unit_test(answers_must_have_one_line_for_each_index),
        cmocka_unit_test(a_job_comes_back_as_it_was_put),
        cmocka_unit_test(a_frame_of_an_unknown_kind_or_an_absurd_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
