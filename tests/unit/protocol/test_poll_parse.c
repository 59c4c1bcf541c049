#include "../cmocka_all.h"

#include "base/memory.h"
#include "protocol/hello.h"
#include "protocol/poll_parse.h"

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_full_poll_is_read(void **state)
{
    (void)state;
    struct poll_body *body = NULL;
    struct text text = TEXT(
        "{\"wait_seconds\": 2.5, \"leases\": [[5, 17, 3, 10]], \"returned\": [[6, 1, 2]],"
        "\"jobs\": [17, 9], \"gone\": true,"
        "\"setups\": [{\"job\": 17, \"executable\": \"/bin/true\", \"executable_digest\": \"" DIGEST
        "\"}],"
        "\"logs\": [[17, 0, \"stderr\", 12, \"b2s=\"]],"
        "\"results\": [{\"lease\": 5, \"job\": 17, \"tasks\": [[3, 1, 9, 1, 2, 3, 4, \"b2s=\","
        "{\"blob\": \"" DIGEST "\", \"size\": 99999}, [[\"a/b\", \"" DIGEST
        "\", 7, 420]], \"detail\"], [4, 0]],"
        "\"stream\": {\"from\": 5, \"to\": 9, \"answers\": \"" DIGEST
        "\", \"answers_size\": 8}}]}");
    assert_int_equal(poll_parse(text, &body, NULL), OK);
    assert_int_equal(body->wait_us, 2500000);
    assert_true(body->is_last);
    assert_int_equal(body->job_count, 2);
    assert_int_equal(body->jobs[1], 9);
    assert_int_equal(body->leases[0].to, 10);
    assert_int_equal(body->returned[0].lease, 6);
    assert_true(body->logs[0].is_error_output);
    assert_int_equal(body->logs[0].attempt, 1);
    assert_true(text_equal(body->logs[0].bytes, TEXT("ok")));
    const struct poll_task *task = &body->results[0].tasks[0];
    assert_int_equal(task->outcome, OUTCOME_SIGNAL);
    assert_int_equal(task->code, 9);
    assert_true(text_equal(task->output.bytes, TEXT("ok")));
    assert_true(task->error_output.is_blob);
    assert_true(text_equal(task->detail, TEXT("detail")));
    assert_int_equal(body->results[0].tasks[1].index, 4);
    assert_true(body->results[0].has_chunk);
    assert_int_equal(body->results[0].chunk.to, 9);
    poll_free(body);
}

#define OTHER "sha256:5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void each_blob_is_noted_once_and_in_order(void **state)
{
    (void)state;
    struct poll_body *body = NULL;
    struct text text = TEXT(
        "{\"results\": [{\"lease\": 5, \"job\": 17, \"tasks\": [[3, 0, 0, 1, 2, 3, 4, {\"blob\": "
        "\"" DIGEST "\", \"size\": 9}, null, [[\"a\", \"" OTHER "\", 7, 420], [\"b\", \"" DIGEST
        "\", 9, 420]]]]}], \"checkpoints\": [{\"job\": 17, \"index\": 4, \"attempt\": 1, \"files\":"
        "[[\"a\", \"" OTHER "\", 7, 420]]}]}");
    assert_int_equal(poll_parse(text, &body, NULL), OK);
    assert_int_equal(body->blob_count, 2);
    assert_int_equal(body->blobs[0].bytes[0], 0x5a);
    assert_int_equal(body->blobs[1].bytes[0], 0xaa);
    poll_free(body);
}

static void what_is_wrong_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *detail; // A part of it.
    } CASES[] = {
        {"", "malformed"},
        {"[]", "object"},
        {"{\"nonsense\": 1}", "nonsense"},
        {"{\"wait_seconds\": -1}", "wait_seconds"},
        {"{\"wait_seconds\": 1e9}", "wait_seconds"},
        {"{\"leaves_in_seconds\": -1}", "leaves_in_seconds"},
        {"{\"checkpoints\": [{\"job\": 1, \"index\": 0, \"attempt\": 1, \"files\": []}]}",
         "no files"},
        {"{\"checkpoints\": [{\"job\": 1, \"index\": 0, \"attempt\": 0, \"files\": []}]}",
         "attempt"},
        {"{\"checkpoints\": [{\"job\": 1, \"index\": 0, \"attempt\": 1, \"files\": [[\"../x\", "
         "\"" DIGEST "\", 1, 420]]}]}",
         "relative path"},
        {"{\"leaves_in_seconds\": 1e18}", "leaves_in_seconds"},
        {"{\"leases\": [[1, 2, 3]]}", "lease"},
        {"{\"leases\": [[1, 2, 3, 2]]}", "to"},
        {"{\"leases\": [[\"1\", 2, 3, 4]]}", "lease"},
        {"{\"leases\": 5}", "leases"},
        {"{\"notes\": [[1, \"waiting\", \"text\"]]}", "note 0"},
        {"{\"notes\": [[1, \"none\", \"\", \"\"], [1, \"busy\", \"a\", \"b\"]]}", "note 1"},
        {"{\"notes\": [[0, \"waiting\", \"text\", \"change\"]]}", "note 0"},
        {"{\"notes\": [[1, \"waiting\", \"a\\nb\", \"change\"]]}", "note 0"},
        {"{\"returned\": [[1, -2, 3]]}", "from"},
        {"{\"leases\": [[1, 2, 3, 9223372036854775807]]}", "to"},
        {"{\"results\": [{\"job\": 1, \"tasks\": []}]}", "lease"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[0, 0, 0, 9223372036854775807, "
         "1]]}]}",
         "started_us"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[0, 1, 9223372036854775807]]}]}",
         "code"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1]]}]}", "array of 2 to 13"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1, 8]]}]}", "outcome 8"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[-1, 0]]}]}", "index"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1, 0, 0, 0, 0, 0, 0, \"!\"]]}]}",
         "base64"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1, 0, 0, 0, 0, 0, 0, {\"blob\": "
         "\"x\","
         "\"size\": 1}]]}]}",
         "x"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1, 0, 0, 0, 0, 0, 0, null, null,"
         "[[\"../a\", \"" DIGEST "\", 1, 1]]]]}]}",
         "output 0"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1, 0, 0, 0, 0, 0, 0, null, null,"
         "[[\"/etc/a\", \"" DIGEST "\", 1, 1]]]]}]}",
         "output 0"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"stream\": {\"from\": 5, \"to\": 5, "
         "\"answers\": \"" DIGEST "\", \"answers_size\": 1}}]}",
         "to"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"tasks\": [[1, 0, 0, 0, 0, 0, 0, null, null,"
         "null, \"\", 1, 7]]}]}",
         "class"},
        {"{\"results\": [{\"lease\": 1, \"job\": 1, \"stream\": {\"from\": 5, \"to\": 6, "
         "\"answers\": \"" DIGEST
         "\", \"answers_size\": 1, \"class\": \"of-more-than-sixteen\"}}]}",
         "class"},
        {"{\"logs\": [[1, 2, \"stdin\", 0, \"\"]]}", "stdout"},
        {"{\"logs\": [[1, 2, \"stdout\", 0, \"\", 0]]}", "attempt"},
        {"{\"logs\": [[1, 2, \"stdout\", 0, \"\", 1048577]]}", "attempt"},
        {"{\"logs\": [[1, 2, \"stdout\", 0, \"\", 1, 1]]}", "attempt"},
        {"{\"setups\": [{\"executable\": \"x\"}]}", "job"},
        {"{\"jobs\": 17}", "jobs"},
        {"{\"jobs\": [17, 0]}", "element 1"},
        {"{\"jobs\": [null]}", "element 0"},
        {"{\"gone\": 1}", "gone"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct poll_body *body = NULL;
        struct error error = {0};
        assert_int_equal(poll_parse(text_of(CASES[i].body), &body, &error), INVALID);
        assert_null(body);
        if (!strstr(error.detail, CASES[i].detail)) {
            fail_msg("%s: \"%s\" does not say \"%s\"", CASES[i].body, error.detail,
                     CASES[i].detail);
        }
    }
}

static void a_place_has_a_problem_or_none(void **state)
{
    (void)state;
    struct poll_body *body = NULL;
    assert_int_equal(
        poll_parse(TEXT("{\"problem\": {\"text\": \"it is down\", \"change\": \"wait\"}}"), &body,
                   NULL),
        OK);
    assert_true(text_equal(body->problem, TEXT("it is down")));
    assert_true(text_equal(body->problem_change, TEXT("wait")));
    poll_free(body);
    static const char *const CASES[] = {
        "{\"problem\": \"down\"}",
        "{\"problem\": {\"text\": \"down\"}}",
        "{\"problem\": {\"change\": \"wait\"}}",
        "{\"problem\": {\"text\": \"\", \"change\": \"wait\"}}",
        "{\"problem\": {\"text\": \"a\\nb\", \"change\": \"wait\"}}",
        "{\"problem\": {\"text\": \"a\", \"change\": \"a\\u0007\"}}",
        "{\"problem\": {\"text\": \"a\", \"change\": \"wait\", \"more\": 1}}",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct poll_body *none = NULL;
        assert_int_equal(poll_parse(text_of(CASES[i]), &none, NULL), INVALID);
        assert_null(none);
    }
}

static void notes_are_read(void **state)
{
    (void)state;
    struct poll_body *body = NULL;
    struct text text = TEXT("{\"notes\": [[17, \"unable\", \"why\", \"what\"], [18, \"none\", "
                            "\"\", \"\"]]}");
    assert_int_equal(poll_parse(text, &body, NULL), OK);
    assert_int_equal(body->note_count, 2);
    assert_int_equal(body->notes[0].job, 17);
    assert_int_equal(body->notes[0].kind, POLL_NOTE_UNABLE);
    assert_true(text_equal(body->notes[0].change, TEXT("what")));
    assert_int_equal(body->notes[1].kind, POLL_NOTE_NONE);
    poll_free(body);
}

static void a_registration_needs_a_name_and_sizes(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "{}",
        "{\"name\": \"\", \"cpus\": 1, \"memory_bytes\": 1, \"disk_bytes\": 1}",
        "{\"name\": \"a\\nb\", \"cpus\": 1, \"memory_bytes\": 1, \"disk_bytes\": 1}",
        "{\"name\": \"a\", \"cpus\": 0, \"memory_bytes\": 1, \"disk_bytes\": 1}",
        "{\"name\": \"a\", \"cpus\": 1, \"memory_bytes\": -1, \"disk_bytes\": 1}",
        "{\"name\": \"a\", \"cpus\": 1, \"memory_bytes\": 1, \"disk_bytes\": 1, \"more\": 1}",
        "{\"name\":\"a\",\"cpus\":1,\"memory_bytes\":1,\"disk_bytes\":1,\"place\":\"ocean\"}",
        "{\"name\": \"a\", \"cpus\": 1, \"memory_bytes\": 1, \"disk_bytes\": 1, \"place\": 1}",
        "{\"name\":\"a\",\"cpus\":1,\"memory_bytes\":1,\"disk_bytes\":1,\"labels\":[\"a b\"]}",
        "{\"name\":\"a\",\"cpus\":1,\"memory_bytes\":1,\"disk_bytes\":1,\"labels\":[1]}",
        "{\"name\":\"a\",\"cpus\":1,\"memory_bytes\":1,\"disk_bytes\":1,\"gpus\":-1}",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        AUTO_JSON json_t *document = NULL;
        struct worker_hello hello = {0};
        assert_int_equal(json_parse(text_of(CASES[i]), &document, NULL), OK);
        assert_int_equal(worker_hello_parse(document, &hello, NULL), INVALID);
    }
}

static void a_place_says_words_of_its_jobs(void **state)
{
    (void)state;
    struct poll_body *body = NULL;
    assert_int_equal(
        poll_parse(TEXT("{\"words\": [{\"job\": 7, \"why\": \"busy\", \"change\": \"wait\"}]}"),
                   &body, NULL),
        OK);
    assert_int_equal(body->word_count, 1);
    assert_int_equal(body->words[0].job, 7);
    assert_true(text_equal(body->words[0].why, TEXT("busy")));
    assert_int_equal(body->words[0].begun, PLACE_BEGUN_UNKNOWN);
    poll_free(body);
    assert_int_equal(
        poll_parse(
            TEXT("{\"words\": [{\"job\": 7, \"why\": \"\", \"change\": \"\", \"begun\": true},"
                 "{\"job\": 8, \"why\": \"\", \"change\": \"\", \"begun\": false}]}"),
            &body, NULL),
        OK);
    assert_int_equal(body->words[0].begun, PLACE_BEGUN_SOMETHING);
    assert_int_equal(body->words[1].begun, PLACE_BEGUN_NOTHING);
    poll_free(body);
    static const char *const wrong[] = {
        "{\"words\": 1}",
        "{\"words\": [7]}",
        "{\"words\": [{\"job\": 7, \"why\": \"busy\"}]}",
        "{\"words\": [{\"job\": 7, \"why\": \"\", \"change\": \"\", \"begun\": 1}]}",
        "{\"words\": [{\"job\": 0, \"why\": \"busy\", \"change\": \"\"}]}",
        "{\"words\": [{\"job\": 7, \"why\": \"a\\u001b[2J\", \"change\": \"\"}]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(poll_parse(text_of(wrong[i]), &body, NULL), INVALID);
    }
}

static void a_worker_lists_the_software_that_it_gives(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum status status;
        int64_t last;
    } cases[] = {
        {"", OK, 0},
        {",\"software\":[\"host\"]", OK, 0},
        {",\"software\":[\"host\",\"bundle\"]", OK, 1},
        {",\"software\":[\"host\",\"bundle\",\"oci\"]", OK, 2},
        {",\"software\":[\"host\",\"oci\"]", INVALID, 0},
        {",\"software\":[\"bundle\"]", INVALID, 0},
        {",\"software\":\"host\"", INVALID, 0},
        {",\"software\":[\"host\",\"bundle\",\"oci\",\"vm\"]", INVALID, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_JSON json_t *document = NULL;
        struct worker_hello hello = {0};
        AUTO_FREE char *text = memory_format(
            "{\"name\":\"w\",\"cpus\":1,\"memory_bytes\":1,\"disk_bytes\":1%s}", cases[i].said);
        assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
        assert_int_equal(worker_hello_parse(document, &hello, NULL), cases[i].status);
        assert_int_equal(cases[i].status == OK ? hello.software : 0, cases[i].last);
    }
}

static void a_worker_says_whom_it_serves(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum status status;
        bool is_near;
    } cases[] = {
        {"", OK, false},
        {",\"reach\":\"all\"", OK, false},
        {",\"reach\":\"network\"", OK, true},
        {",\"reach\":\"networks\"", INVALID, false},
        {",\"reach\":\"\"", INVALID, false},
        {",\"reach\":1", INVALID, false},
        {",\"near\":true", INVALID, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_JSON json_t *document = NULL;
        struct worker_hello hello = {0};
        AUTO_FREE char *text = memory_format(
            "{\"name\":\"w\",\"cpus\":1,\"memory_bytes\":1,\"disk_bytes\":1,\"serve\":{\"url\":"
            "\"https://10.0.0.5:1\",\"fingerprint\":\"sha256:%064d\"%s}}",
            1, cases[i].said);
        assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
        assert_int_equal(worker_hello_parse(document, &hello, NULL), cases[i].status);
        assert_true(cases[i].status != OK || hello.serves_near == cases[i].is_near);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_lists_the_software_that_it_gives),
        cmocka_unit_test(a_worker_says_whom_it_serves),
        cmocka_unit_test(a_full_poll_is_read),
        cmocka_unit_test(each_blob_is_noted_once_and_in_order),
        cmocka_unit_test(what_is_wrong_is_refused_by_name),
        cmocka_unit_test(a_place_has_a_problem_or_none),
        cmocka_unit_test(a_place_says_words_of_its_jobs),
        cmocka_unit_test(notes_are_read),
        cmocka_unit_test(a_registration_needs_a_name_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
