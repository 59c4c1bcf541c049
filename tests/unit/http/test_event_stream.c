#include "../cmocka_all.h"

#include "http/event_stream.h"

struct seen {
    struct buffer text;
    int stop_after;
};

static bool record(void *context, const struct event *event)
{
    struct seen *seen = context;
    buffer_printf(&seen->text, "[%.*s|%.*s|%.*s]", TEXT_ARGS(event->name), TEXT_ARGS(event->id),
                  TEXT_ARGS(event->data));
    return --seen->stop_after != 0;
}

// What the bytes mean, given in pieces of `piece` bytes.
static void expect(const char *bytes, size_t length, size_t piece, const char *wanted)
{
    struct event_stream stream;
    event_stream_init(&stream);
    struct seen seen = {.stop_after = -1};
    struct error error;
    for (size_t at = 0; at < length; at += piece) {
        struct text part = text_slice((struct text){bytes, length}, at, at + piece);
        assert_int_equal(event_stream_feed(&stream, part, record, &seen, &error), OK);
    }
    assert_string_equal(seen.text.bytes ? seen.text.bytes : "", wanted);
    buffer_done(&seen.text);
    event_stream_done(&stream);
}
#define EXPECT(literal, wanted)                                                                    \
    do {                                                                                           \
        for (size_t piece = 1; piece <= sizeof(literal); piece++) {                                \
            expect(literal, sizeof(literal) - 1, piece, wanted);                                   \
        }                                                                                          \
    } while (0)

static void an_event_has_a_name_an_id_and_data_however_it_is_cut(void **state)
{
    (void)state;
    EXPECT("event: task\nid: 1.2.3\ndata: {}\n\n", "[task|1.2.3|{}]");
    EXPECT("data:a\n\ndata: b\n\n", "[message||a][message||b]");
}

static void lines_end_with_lf_cr_or_both(void **state)
{
    (void)state;
    EXPECT("event: a\r\ndata: 1\r\n\r\ndata: 2\r\rdata: 3\n\n", "[a||1][message||2][message||3]");
}

static void data_of_several_lines_is_joined(void **state)
{
    (void)state;
    EXPECT("data: 1\ndata\ndata:  3\n\n", "[message||1\n\n 3]");
}

static void the_id_stays_and_one_with_nul_is_ignored(void **state)
{
    (void)state;
    EXPECT("id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n", "[message|7|a][message|7|b]");
}

static void comments_and_events_without_data_are_nothing(void **state)
{
    (void)state;
    EXPECT("\xef\xbb\xbf: hello\n\nevent: a\n\n:\nretry: 5\ndata: x\n\n", "[message||x]");
}

static void an_unfinished_event_is_forgotten_by_a_new_connection(void **state)
{
    (void)state;
    struct event_stream stream;
    event_stream_init(&stream);
    struct seen seen = {.stop_after = -1};
    struct error error;
    assert_int_equal(event_stream_feed(&stream, TEXT("id: 1\ndata: a\n\nevent: b\ndata: ha"),
                                       record, &seen, &error),
                     OK);
    event_stream_restart(&stream);
    assert_int_equal(event_stream_feed(&stream, TEXT("data: c\n\n"), record, &seen, &error), OK);
    assert_string_equal(seen.text.bytes, "[message|1|a][message|1|c]");
    buffer_done(&seen.text);
    event_stream_done(&stream);
}

static void the_reader_can_stop_it(void **state)
{
    (void)state;
    struct event_stream stream;
    event_stream_init(&stream);
    struct seen seen = {.stop_after = 1};
    struct error error;
    assert_int_equal(
        event_stream_feed(&stream, TEXT("data: a\n\ndata: b\n\n"), record, &seen, &error),
        CONFLICT);
    assert_string_equal(seen.text.bytes, "[message||a]");
    buffer_done(&seen.text);
    event_stream_done(&stream);
}

static void an_event_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct event_stream stream;
    event_stream_init(&stream);
    struct seen seen = {.stop_after = -1};
    struct error error;
    char block[65536];
    memset(block, 'x', sizeof(block));
    enum status status = OK;
    for (size_t i = 0; i < 2 * EVENT_SIZE_MAX / sizeof(block) && status == OK; i++) {
        status =
            event_stream_feed(&stream, (struct text){block, sizeof(block)}, record, &seen, &error);
    }
    assert_int_equal(status, INVALID);
    event_stream_done(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_a_name_an_id_and_data_however_it_is_cut),
        cmocka_unit_test(lines_end_with_lf_cr_or_both),
        cmocka_unit_test(data_of_several_lines_is_joined),
        cmocka_unit_test(the_id_stays_and_one_with_nul_is_ignored),
        cmocka_unit_test(comments_and_events_without_data_are_nothing),
        cmocka_unit_test(an_unfinished_event_is_forgotten_by_a_new_connection),
        cmocka_unit_test(the_reader_can_stop_it),
        cmocka_unit_test(an_event_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
