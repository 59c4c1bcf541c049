#include "../cmocka_all.h"

#include "helper/channel.h"
#include "os/clock.h"

#include <string.h>
#include <unistd.h>

enum { LENGTH_MAX = 16 };
#define LONG_US INT64_C(60000000)

struct pipes {
    int to;
    struct channel channel;
};

static int open_pipes(void **state)
{
    static struct pipes pipes;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pipes = (struct pipes){.to = fds[1], .channel = {.in_fd = fds[0], .out_fd = -1}};
    *state = &pipes;
    return 0;
}

static int close_pipes(void **state)
{
    struct pipes *pipes = *state;
    channel_done(&pipes->channel);
    (void)close(pipes->channel.in_fd);
    (void)close(pipes->to);
    return 0;
}

static void say(const struct pipes *pipes, const char *text)
{
    assert_int_equal(write(pipes->to, text, strlen(text)), (ssize_t)strlen(text));
}

static enum status hear(struct pipes *pipes, int64_t time_us, struct buffer *line, bool *is_end)
{
    buffer_clear(line);
    return channel_read_line(&pipes->channel, LENGTH_MAX, clock_steady_us() + time_us, line, is_end,
                             NULL);
}

static void lines_come_one_by_one_however_they_were_written(void **state)
{
    struct pipes *pipes = *state;
    AUTO_BUFFER struct buffer line = {0};
    bool is_end = false;
    say(pipes, "first\nsecond\nth");
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), OK);
    assert_string_equal(line.bytes, "first");
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), OK);
    assert_string_equal(line.bytes, "second");
    say(pipes, "ird\n");
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), OK);
    assert_string_equal(line.bytes, "third");
    assert_int_equal(close(pipes->to), 0);
    pipes->to = -1;
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), OK);
    assert_true(is_end);
}

static void a_line_has_a_longest_length(void **state)
{
    struct pipes *pipes = *state;
    AUTO_BUFFER struct buffer line = {0};
    bool is_end = false;
    say(pipes, "123456789012345\n");
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), OK);
    say(pipes, "1234567890123456\n");
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), QUOTA);
}

static void a_line_without_an_end_is_not_waited_for(void **state)
{
    struct pipes *pipes = *state;
    AUTO_BUFFER struct buffer line = {0};
    bool is_end = false;
    say(pipes, "12345678901234567890");
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), QUOTA);
}

static void what_breaks_off_is_no_line(void **state)
{
    struct pipes *pipes = *state;
    AUTO_BUFFER struct buffer line = {0};
    bool is_end = false;
    say(pipes, "half");
    assert_int_equal(close(pipes->to), 0);
    pipes->to = -1;
    assert_int_equal(hear(pipes, LONG_US, &line, &is_end), INVALID);
}

static void silence_ends_at_its_deadline(void **state)
{
    struct pipes *pipes = *state;
    AUTO_BUFFER struct buffer line = {0};
    bool is_end = false;
    say(pipes, "half");
    assert_int_equal(hear(pipes, 1000, &line, &is_end), TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_one_by_one_however_they_were_written, open_pipes,
                                        close_pipes),
        cmocka_unit_test_setup_teardown(a_line_has_a_longest_length, open_pipes, close_pipes),
        cmocka_unit_test_setup_teardown(a_line_without_an_end_is_not_waited_for, open_pipes,
                                        close_pipes),
        cmocka_unit_test_setup_teardown(what_breaks_off_is_no_line, open_pipes, close_pipes),
        cmocka_unit_test_setup_teardown(silence_ends_at_its_deadline, open_pipes, close_pipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
