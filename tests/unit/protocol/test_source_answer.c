// Who sends a file to a worker, as the site says it.
#include "../cmocka_all.h"

#include "protocol/source_answer.h"

#include <stdio.h>

static void each_kind_is_told_apart(void **state)
{
    (void)state;
    struct source_answer answer = {.kind = SOURCE_WAIT};
    assert_int_equal(source_answer_read(TEXT("{\"from\":\"site\"}"), &answer, NULL), OK);
    assert_int_equal(answer.kind, SOURCE_SITE);
    assert_int_equal(source_answer_read(TEXT("{\"from\":\"wait\"}"), &answer, NULL), OK);
    assert_int_equal(answer.kind, SOURCE_WAIT);
    assert_int_equal(
        source_answer_read(TEXT("{\"from\":\"worker\",\"worker\":7,\"url\":\"https://b:1\","
                                "\"fingerprint\":\"sha256:ab\",\"pass\":\"p\"}"),
                           &answer, NULL),
        OK);
    assert_int_equal(answer.kind, SOURCE_WORKER);
    assert_int_equal(answer.worker, 7);
    assert_string_equal(answer.url, "https://b:1");
    assert_string_equal(answer.fingerprint, "sha256:ab");
    assert_string_equal(answer.pass, "p");
}

// A worker that took half of an answer would ask nobody, or show the pass of one worker to another.
static void a_wrong_answer_changes_nothing(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        "[]",
        "{}",
        "{\"from\":\"elsewhere\"}",
        "{\"from\":\"worker\"}",
        "{\"from\":\"worker\",\"worker\":0,\"url\":\"u\",\"fingerprint\":\"f\",\"pass\":\"p\"}",
        "{\"from\":\"worker\",\"worker\":7,\"url\":\"u\",\"fingerprint\":\"f\"}",
        "{\"from\":\"worker\",\"worker\":7,\"url\":5,\"fingerprint\":\"f\",\"pass\":\"p\"}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct source_answer answer = {.kind = SOURCE_WAIT, .worker = 3};
        struct error error = {0};
        assert_int_equal(source_answer_read(text_of(WRONG[i]), &answer, &error), INVALID);
        assert_true(error.detail[0] != '\0');
        assert_int_equal(answer.kind, SOURCE_WAIT);
        assert_int_equal(answer.worker, 3);
    }
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    struct source_answer answer = {0};
    struct error error = {0};
    char body[WORKER_URL_MAX + 200];
    (void)snprintf(body, sizeof body,
                   "{\"from\":\"worker\",\"worker\":7,\"url\":\"%0*d\",\"fingerprint\":\"f\","
                   "\"pass\":\"p\"}",
                   WORKER_URL_MAX + 1, 0);
    assert_int_equal(source_answer_read(text_of(body), &answer, &error), INVALID);
    assert_non_null(strstr(error.detail, "url"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told_apart),
        cmocka_unit_test(a_wrong_answer_changes_nothing),
        cmocka_unit_test(what_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
