// Pages of files that another site lists.
#include "../cmocka_all.h"

#include "catalog/file_page.h"

#include <stdio.h>
#include <stdlib.h>

#define DIGEST "sha256:40fe000000000000000000000000000000000000000000000000000000000000"
#define FILE_A "{\"path\":\"a\",\"size_bytes\":6,\"digest\":\"" DIGEST "\"}"
#define FILE_B "{\"path\":\"deep/b c\",\"size_bytes\":4,\"digest\":\"" DIGEST "\"}"

struct seen {
    size_t count;
    char last[64];
};

static enum status see(void *context, const struct listed_file *file, struct error *error)
{
    struct seen *seen = context;
    (void)error;
    seen->count++;
    (void)snprintf(seen->last, sizeof seen->last, "%.*s", TEXT_ARGS(file->path));
    return OK;
}

static enum status refuse(void *context, const struct listed_file *file, struct error *error)
{
    (void)context;
    (void)file;
    return error_set(error, QUOTA, "no room for it");
}

static enum status read_page(const char *page, struct file_allowance *left, struct seen *seen,
                             char **next, struct error *error)
{
    return file_page_read(text_of(page), left, see, seen, next, error);
}

static void files_are_visited_and_counted_down(void **state)
{
    (void)state;
    struct file_allowance left = {.files = 2, .bytes = 10};
    struct seen seen = {0};
    char *next = NULL;
    assert_int_equal(read_page("{\"files\":[" FILE_A "," FILE_B "],\"next\":\"deep/b c\"}", &left,
                               &seen, &next, NULL),
                     OK);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.last, "deep/b c");
    assert_string_equal(next, "deep/b c");
    assert_int_equal(left.files, 0);
    assert_int_equal(left.bytes, 0);
    free(next);
}

static void a_page_without_files_is_the_last(void **state)
{
    (void)state;
    struct file_allowance left = {0};
    struct seen seen = {0};
    char *next = NULL;
    assert_int_equal(read_page("{\"files\":[],\"next\":\"a\"}", &left, &seen, &next, NULL), OK);
    assert_null(next);
}

static void more_than_was_signed_for_is_a_lie(void **state)
{
    (void)state;
    static const struct file_allowance SIGNED[] = {{.files = 1, .bytes = 10},
                                                   {.files = 2, .bytes = 9}};
    for (size_t i = 0; i < sizeof SIGNED / sizeof SIGNED[0]; i++) {
        struct file_allowance left = SIGNED[i];
        struct seen seen = {0};
        struct error error = {0};
        char *next = NULL;
        assert_int_equal(read_page("{\"files\":[" FILE_A "," FILE_B "],\"next\":\"x\"}", &left,
                                   &seen, &next, &error),
                         CORRUPT);
        assert_non_null(strstr(error.detail, "signed"));
        assert_int_equal(seen.count, 1);
        assert_null(next);
    }
}

static void what_is_no_page_is_corrupt_and_says_why(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        "<html>",
        "[]",
        "{}",
        "{\"files\":7}",
        "{\"files\":[7]}",
        "{\"files\":[],\"next\":7}",
        "{\"files\":[{\"path\":\"a\",\"size_bytes\":1}]}",
        "{\"files\":[{\"path\":\"../a\",\"size_bytes\":1,\"digest\":\"" DIGEST "\"}]}",
        "{\"files\":[{\"path\":\"/a\",\"size_bytes\":1,\"digest\":\"" DIGEST "\"}]}",
        "{\"files\":[{\"path\":\"a\\nb\",\"size_bytes\":1,\"digest\":\"" DIGEST "\"}]}",
        "{\"files\":[{\"path\":\"a\",\"size_bytes\":-1,\"digest\":\"" DIGEST "\"}]}",
        "{\"files\":[{\"path\":\"a\",\"size_bytes\":1,\"digest\":\"sha256:1\"}]}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct file_allowance left = {.files = 10, .bytes = 100};
        struct seen seen = {0};
        struct error error = {0};
        char *next = NULL;
        assert_int_equal(read_page(WRONG[i], &left, &seen, &next, &error), CORRUPT);
        assert_non_null(strstr(error.detail, "the list of files cannot be read: "));
        assert_int_equal(read_page(WRONG[i], &left, &seen, &next, NULL), CORRUPT);
        assert_int_equal(seen.count, 0);
        assert_null(next);
    }
}

static void a_visitor_ends_the_page(void **state)
{
    (void)state;
    struct file_allowance left = {.files = 2, .bytes = 10};
    struct error error = {0};
    char *next = NULL;
    assert_int_equal(
        file_page_read(TEXT("{\"files\":[" FILE_A "]}"), &left, refuse, NULL, &next, &error),
        QUOTA);
    assert_string_equal(error.detail, "no room for it");
}

static void paths_of_pages_are_quoted(void **state)
{
    (void)state;
    char *first = file_page_path(TEXT("doi:10.1/a"), NULL);
    char *second = file_page_path(TEXT("t:a"), "deep/b c&d");
    assert_string_equal(first, "/v1/datasets/doi%3A10.1%2Fa/files?limit=1000");
    assert_string_equal(second, "/v1/datasets/t%3Aa/files?limit=1000&cursor=deep%2Fb%20c%26d");
    free(first);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_visited_and_counted_down),
        cmocka_unit_test(a_page_without_files_is_the_last),
        cmocka_unit_test(more_than_was_signed_for_is_a_lie),
        cmocka_unit_test(what_is_no_page_is_corrupt_and_says_why),
        cmocka_unit_test(a_visitor_ends_the_page),
        cmocka_unit_test(paths_of_pages_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
