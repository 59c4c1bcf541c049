#include "../cmocka_all.h"

#include "records/last_line.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "os/file.h"

static void expect(struct text printed, const char *line)
{
    AUTO_BUFFER struct buffer out = {0};
    last_line_append(printed, &out);
    if (!text_equal(buffer_text(&out), text_of(line))) {
        fail_msg("\"%.*s\" is not \"%s\"", TEXT_ARGS(buffer_text(&out)), line);
    }
}

static void it_is_the_last_one_in_which_something_can_be_seen(void **state)
{
    (void)state;
    expect(TEXT("one\ntwo"), "two");
    expect(TEXT("one\ntwo\n"), "two");
    expect(TEXT("  one \r\n \t \n\n"), "one");
    expect(TEXT("done 10%\rdone 20%\r"), "done 20%");
    expect(TEXT("red\n\x1b[0m\n"), "red");
    expect(TEXT(""), "");
    expect(TEXT(" \n\n\x1b[0m"), "");
}

static void nothing_in_it_moves_a_terminal(void **state)
{
    (void)state;
    expect(TEXT("\x1b[1;31mError:\x1b[0m no \x07luck"), "Error: no  luck");
    expect(TEXT("a\x1b]0;title\x07z"), "a0;title z");
    expect(TEXT("a\x1b["), "a");
    expect(TEXT("a\x1b"), "a");
    expect(TEXT("a\xc2\x9bz"), "a z");
    expect((struct text){"a\0z", 3}, "a z");
    expect(TEXT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
    expect(TEXT("gr\xfc\xdf"), "gr\xef\xbf\xbd\xef\xbf\xbd");
    expect(TEXT("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
}

static void a_long_one_is_cut_between_characters(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer printed = {0};
    AUTO_BUFFER struct buffer line = {0};
    for (int i = 0; i < LAST_LINE_MAX; i++) {
        buffer_append_string(&printed, "\xe2\x82\xac");
    }
    last_line_append(buffer_text(&printed), &line);
    assert_in_range(line.length, LAST_LINE_MAX, LAST_LINE_MAX + 2);
    assert_true(text_is_utf8(buffer_text(&line)));
}

static void that_of_a_blob_is_looked_for_at_its_end(void **state)
{
    (void)state;
    char folder[] = "/tmp/lode-last-line-XXXXXX";
    struct blobs *blobs = NULL;
    AUTO_BUFFER struct buffer printed = {0};
    AUTO_BUFFER struct buffer out = {0};
    assert_non_null(mkdtemp(folder));
    assert_int_equal(blobs_open(folder, &blobs, NULL), OK);
    for (int i = 0; i < 100000; i++) {
        buffer_printf(&printed, "line %d\n", i);
    }
    buffer_append_string(&printed, "the \"end\"\n");
    struct poll_stream stream = {.size = (int64_t)printed.length, .is_blob = true};
    assert_int_equal(blob_put(blobs, buffer_text(&printed), &stream.digest, NULL), OK);
    last_line_write(blobs, &stream, &out);
    buffer_append_byte(&out, ' ');
    stream.digest = digest_of("other", 5);
    last_line_write(blobs, &stream, &out); // That is not here.
    assert_true(text_equal(buffer_text(&out), TEXT("\"the \\\"end\\\"\" null")));
    blobs_close(blobs);
    assert_int_equal(file_remove_tree(folder, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_last_one_in_which_something_can_be_seen),
        cmocka_unit_test(nothing_in_it_moves_a_terminal),
        cmocka_unit_test(a_long_one_is_cut_between_characters),
        cmocka_unit_test(that_of_a_blob_is_looked_for_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
