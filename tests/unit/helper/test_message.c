#include "../cmocka_all.h"

#include "helper/message.h"

#include <stdio.h>
#include <string.h>

#define SITE "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define STATUS "\"helper\":1,\"request\":\"status\",\"fingerprint\":\"" SITE "\""
#define START                                                                                      \
    "\"helper\":1,\"request\":\"start\",\"fingerprint\":\"" SITE "\",\"site\":\"https://"          \
    "desk:7733\""

static void a_request_comes_back_as_it_was_written(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer line = {0};
    AUTO_BUFFER struct buffer again = {0};
    AUTO_JSON json_t *document = NULL;
    struct helper_request read;
    struct helper_request request = helper_request_none(HELPER_START);
    request.fingerprint = (struct fingerprint){SITE};
    request.site = TEXT("https://desk:7733");
    request.invitation = TEXT("lode_join_x");
    request.account = TEXT("ada");
    request.directory = TEXT("/scratch/lode");
    request.worker.name = TEXT("node7");
    request.worker.cpus = 1.5;
    request.worker.memory_bytes = INT64_C(8589934592);
    request.worker.gpus = 0;
    request.worker.labels[0] = TEXT("gpu=a100");
    request.worker.label_count = 1;
    request.worker.groups = TEXT("physics,spare");
    request.worker.lifetime_seconds = 7200;
    request.worker.sandbox = TEXT("none");
    request.worker.serve = TEXT("auto:7744");
    helper_request_write(&request, &line);
    assert_int_equal(line.bytes[line.length - 1], '\n');
    assert_int_equal(helper_request_read(buffer_text(&line), &document, &read, NULL), OK);
    assert_int_equal(read.verb, HELPER_START);
    assert_true(text_equal(read.invitation, request.invitation));
    assert_true(text_equal(read.worker.labels[0], TEXT("gpu=a100")));
    assert_true(text_equal(read.worker.serve, TEXT("auto:7744")));
    assert_int_equal(read.worker.gpus, 0);
    assert_true(read.worker.notice_seconds < 0); // Was not said.
    helper_request_write(&read, &again);
    assert_string_equal(line.bytes, again.bytes);
}

static void what_is_no_request_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum status status;
    } cases[] = {
        {"", INVALID},
        {"hello", INVALID},
        {"[]", INVALID},
        {"{}", INVALID},
        {"{\"helper\":2,\"request\":\"dance\",\"new\":1}", UNSUPPORTED},
        {"{\"helper\":1,\"request\":\"dance\",\"fingerprint\":\"" SITE "\"}", INVALID},
        {"{\"helper\":1,\"request\":\"status\"}", INVALID},
        {"{\"helper\":1,\"request\":\"status\",\"fingerprint\":\"\"}", INVALID},
        {"{\"helper\":1,\"request\":\"status\",\"fingerprint\":\"sha256:12\"}", INVALID},
        {"{" STATUS ",\"password\":\"x\"}", INVALID},
        {"{" STATUS ",\"site\":\"https://desk\"}", INVALID},
        {"{" STATUS ",\"worker\":{}}", INVALID},
        {"{" STATUS ",\"account\":\"a\\nb\"}", INVALID},
        {"{" STATUS ",\"directory\":\"tmp\"}", INVALID},
        {"{" STATUS ",\"directory\":\"/tmp\\u0000/x\"}", INVALID},
        {"{\"helper\":1,\"request\":\"start\",\"fingerprint\":\"" SITE "\"}", INVALID},
        {"{\"helper\":1,\"request\":\"start\",\"fingerprint\":\"" SITE "\",\"site\":\"desk\"}",
         INVALID},
        {"{" START ",\"worker\":[]}", INVALID},
        {"{" START ",\"worker\":{\"cpus\":0}}", INVALID},
        {"{" START ",\"worker\":{\"memory_bytes\":0}}", INVALID},
        {"{" START ",\"worker\":{\"gpus\":-1}}", INVALID},
        {"{" START ",\"worker\":{\"labels\":[\"\"]}}", INVALID},
        {"{" START ",\"worker\":{\"labels\":[7]}}", INVALID},
        {"{" START ",\"worker\":{\"name\":\"a\\u001bb\"}}", INVALID},
        {"{" START ",\"worker\":{\"sandbox\":\"bwrap\"}}", INVALID},
        {"{" START ",\"worker\":{\"runner\":\"/tmp/mine\"}}", INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *document = NULL;
        struct error error = {0};
        struct helper_request request = helper_request_none(HELPER_STOP);
        enum status status =
            helper_request_read(text_of(cases[i].line), &document, &request, &error);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_true(error.detail[0] != '\0');
        assert_null(document);
        assert_int_equal(request.verb, HELPER_STOP);
    }
}

static void another_version_is_told_which_is_spoken(void **state)
{
    (void)state;
    json_t *document = NULL;
    struct helper_request request;
    struct error error = {0};
    assert_int_equal(helper_request_read(TEXT("{\"helper\":7}"), &document, &request, &error),
                     UNSUPPORTED);
    assert_non_null(strstr(error.detail, "version 7"));
    assert_non_null(strstr(error.fix, "version 1"));
}

static void a_line_has_a_bound(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer line = {0};
    json_t *document = NULL;
    struct helper_request request;
    buffer_append_string(&line, "{" STATUS);
    while (line.length < HELPER_LINE_MAX - 1) {
        buffer_append_byte(&line, ' ');
    }
    buffer_append_byte(&line, '}');
    assert_int_equal(helper_request_read(buffer_text(&line), &document, &request, NULL), QUOTA);
}

static void an_answer_comes_back_as_it_was_written(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer line = {0};
    AUTO_JSON json_t *document = NULL;
    struct helper_answer read;
    const struct helper_answer answer = {
        .state = TEXT("started"),
        .host = TEXT("node7"),
        .account = TEXT("ada"),
        .worker = TEXT(SITE),
        .pid = 4711,
    };
    helper_answer_write(&answer, &line);
    assert_int_equal(helper_answer_read(buffer_text(&line), &document, &read, NULL), OK);
    assert_true(text_equal(read.state, answer.state) && text_equal(read.worker, answer.worker));
    assert_int_equal(read.pid, 4711);
    assert_int_equal(read.problem.status, OK);
}

static void a_problem_comes_back_fit_for_a_terminal(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer line = {0};
    AUTO_JSON json_t *document = NULL;
    struct helper_answer read;
    struct helper_answer answer = {.state = TEXT("started")};
    (void)error_set(&answer.problem, DENIED, "not \033[31myou");
    error_fix(&answer.problem, "go\naway");
    helper_answer_write(&answer, &line);
    assert_int_equal(helper_answer_read(buffer_text(&line), &document, &read, NULL), OK);
    assert_int_equal(read.problem.status, DENIED);
    assert_string_equal(read.problem.detail, "not ?[31myou");
    assert_string_equal(read.problem.fix, "go?away");
    assert_int_equal(read.state.length, 0); // A problem has no state.
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "{}",
        "{\"helper\":1}",
        "{\"helper\":1,\"state\":\"dancing\"}",
        "{\"helper\":1,\"state\":\"started\",\"worker\":\"sha256:1\"}",
        "{\"helper\":1,\"state\":\"started\",\"host\":\"a\\u001b\"}",
        "{\"helper\":1,\"state\":\"started\",\"pid\":-1}",
        "{\"helper\":1,\"problem\":{}}",
        "{\"helper\":1,\"problem\":\"bad\"}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        json_t *document = NULL;
        struct helper_answer answer;
        assert_int_not_equal(helper_answer_read(text_of(lines[i]), &document, &answer, NULL), OK);
        assert_null(document);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was_written),
        cmocka_unit_test(what_is_no_request_is_refused_and_changes_nothing),
        cmocka_unit_test(another_version_is_told_which_is_spoken),
        cmocka_unit_test(a_line_has_a_bound),
        cmocka_unit_test(an_answer_comes_back_as_it_was_written),
        cmocka_unit_test(a_problem_comes_back_fit_for_a_terminal),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
