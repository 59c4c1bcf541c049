#include "../cmocka_all.h"

#include "base/memory.h"
#include "link/wire.h"

#define DIGEST_A "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SITE_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static enum status read_result(const char *data, int64_t count, struct arena *arena,
                               struct wire_result *out)
{
    struct error error = {0};
    enum status status = wire_read_result(text_of(data), count, arena, out, &error);
    if (status != OK) {
        assert_true(strlen(error.detail) > 5);
    }
    return status;
}

// A result of one of `count` tasks, begun so often, is this when it is written as that of the task `index`.
static void assert_rewritten(const char *data, int64_t count, int64_t attempts, int64_t index,
                             const char *expected)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_result result;
    AUTO_BUFFER struct buffer out = {0};
    assert_int_equal(read_result(data, count, &arena, &result), OK);
    assert_int_equal(result.attempts, attempts);
    wire_write_result(&result, index, &out);
    assert_string_equal(out.bytes, expected);
}

static void a_result_is_written_anew_as_it_was_read(void **state)
{
    (void)state;
    assert_rewritten("[2,0,3,10,20,30,40,\"b3V0\",{\"blob\":\"" DIGEST_A "\",\"size\":20000},"
                     "[[\"a/b.txt\",\"" DIGEST_A "\",7,420]],\"exit status 3\",1,null,\"later\"]",
                     3, 1, 102,
                     "[102,0,3,10,20,30,40,\"b3V0\",{\"blob\":\"" DIGEST_A
                     "\",\"size\":20000},[[\"a/b.txt\",\"" DIGEST_A
                     "\",7,420]],\"exit status 3\"]");
}

static void who_computed_it_is_passed_on(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct wire_piece piece;
    AUTO_BUFFER struct buffer out = {0};
    assert_rewritten("[0,0,0,1,2,3,4,null,null,null,\"\",1,\"user\"]", 1, 1, 7,
                     "[7,0,0,1,2,3,4,null,null,null,\"\",1,\"user\"]");
    assert_int_equal(wire_read_piece(TEXT("{\"from\":0,\"to\":1,\"answers\":\"" DIGEST_A
                                          "\",\"answers_size\":2,\"class\":\"job-token\"}"),
                                     1, &arena, &piece, NULL),
                     OK);
    wire_write_piece(&piece, 0, &piece.answers, &out);
    assert_true(text_ends_with(buffer_text(&out), TEXT(",\"class\":\"job-token\"}")));
}

static void how_often_it_was_begun_comes_with_a_result(void **state)
{
    (void)state;
    assert_rewritten("[0,0,0,1,2,3,4,null,null,null,\"\",3]", 1, 3, 7,
                     "[7,0,0,1,2,3,4,null,null,null,\"\",3]");
}

static void a_short_result_has_nulls(void **state)
{
    (void)state;
    assert_rewritten("[0,0,0,1,2,3,4]", 1, 1, 0, "[0,0,0,1,2,3,4,null,null,null,\"\"]");
}

static void what_is_no_result_is_refused(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        "{}",
        "[]",
        "[0,0,0,1,2,3]",
        "[1,0,0,1,2,3,4]",
        "[-1,0,0,1,2,3,4]",
        "[0,8,0,1,2,3,4]",
        "[0,0,0,1,2,3,9007199254740993]",
        "[0,0,0,1,2,3,4.5]",
        "[0,0,0,1,2,3,\"4\"]",
        "[0,0,0,1,2,3,4,7]",
        "[0,0,0,1,2,3,4,null,null,null,\"\",0]",
        "[0,0,0,1,2,3,4,null,null,null,\"\",1,7]",
        "[0,0,0,1,2,3,4,null,null,null,\"\",1,\"a\\nb\"]",
        "[0,0,0,1,2,3,4,null,null,null,\"\",1,\"of-more-than-sixteen\"]",
        "[0,0,0,1,2,3,4,null,null,null,\"\",1048577]",
        "[0,0,0,1,2,3,4,null,null,null,\"\",\"2\"]",
        "[0,0,0,1,2,3,4,\"*\"]",
        "[0,0,0,1,2,3,4,{\"blob\":\"sha256:0\",\"size\":1}]",
        "[0,0,0,1,2,3,4,{\"blob\":\"" DIGEST_A "\",\"size\":-1}]",
        "[0,0,0,1,2,3,4,{\"blob\":\"" DIGEST_A "\",\"size\":1099511627777}]",
        "[0,0,0,1,2,3,4,null,null,{}]",
        "[0,0,0,1,2,3,4,null,null,[[\"/a\",\"" DIGEST_A "\",1,420]]]",
        "[0,0,0,1,2,3,4,null,null,[[\"a/../b\",\"" DIGEST_A "\",1,420]]]",
        "[0,0,0,1,2,3,4,null,null,[[\"a/\",\"" DIGEST_A "\",1,420]]]",
        "[0,0,0,1,2,3,4,null,null,[[\"a\",\"" DIGEST_A "\",1]]]",
        "[0,0,0,1,2,3,4,null,null,[[\"a\",\"" DIGEST_A "\",1,-1]]]",
        "[0,0,0,1,2,3,4,null,null,[[\"\",\"" DIGEST_A "\",1,420]]]",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct arena arena AUTO_ARENA = {0};
        struct wire_result result;
        if (read_result(WRONG[i], 1, &arena, &result) == OK) {
            fail_msg("taken: %s", WRONG[i]);
        }
    }
}

static void inline_output_has_a_maximum(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        struct arena arena AUTO_ARENA = {0};
        struct wire_result result;
        AUTO_BUFFER struct buffer data = {0};
        buffer_append_string(&data, "[0,0,0,1,2,3,4,\"");
        // 16 KiB and 2 bytes that padding takes away, or 3 bytes more.
        for (int i = 0; i < (WIRE_INLINE_MAX + 2) / 3 - 1 + extra; i++) {
            buffer_append_string(&data, "QUFB");
        }
        buffer_append_string(&data, "QQ==\"]");
        enum status status = wire_read_result(buffer_text(&data), 1, &arena, &result, NULL);
        assert_int_equal(status == OK, extra == 0);
    }
}

static void a_long_detail_is_cut_between_characters(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct wire_result result;
    AUTO_BUFFER struct buffer data = {0};
    buffer_append_string(&data, "[0,0,0,1,2,3,4,null,null,null,\"x");
    for (int i = 0; i < WIRE_DETAIL_MAX; i++) {
        buffer_append_string(&data, "\xc3\xa9");
    }
    buffer_append_string(&data, "\"]");
    assert_int_equal(wire_read_result(buffer_text(&data), 1, &arena, &result, NULL), OK);
    assert_int_equal(result.detail.length, WIRE_DETAIL_MAX - 1);
    assert_true(text_is_utf8(result.detail));
}

static void a_piece_moves_with_its_job(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct wire_piece piece;
    AUTO_BUFFER struct buffer out = {0};
    assert_int_equal(
        wire_read_piece(TEXT("{\"from\":1,\"to\":4,\"answers\":\"" DIGEST_A
                             "\",\"answers_size\":9,\"skip\":2,\"is_part\":true,\"started_us\":5,"
                             "\"wall_us\":6,\"cpu_us\":7,\"peak_bytes\":8,\"stderr\":null}"),
                        4, &arena, &piece, NULL),
        OK);
    assert_int_equal(piece.skip, 2);
    assert_true(piece.is_part);
    wire_write_piece(&piece, 100, &piece.answers, &out);
    assert_string_equal(out.bytes, "{\"from\":101,\"to\":104,\"answers\":\"" DIGEST_A
                                   "\",\"answers_size\":9,\"started_us\":5,\"wall_us\":6,"
                                   "\"cpu_us\":7,\"peak_bytes\":8,\"stderr\":null}");
    static const char *const WRONG[] = {
        "[]",
        "{\"from\":0,\"to\":5,\"answers\":\"" DIGEST_A "\",\"answers_size\":9}",
        "{\"from\":2,\"to\":2,\"answers\":\"" DIGEST_A "\",\"answers_size\":9}",
        "{\"from\":0,\"to\":1,\"answers\":\"x\",\"answers_size\":9}",
        "{\"from\":0,\"to\":1,\"answers\":\"" DIGEST_A "\"}",
        "{\"from\":0,\"to\":1,\"answers\":\"" DIGEST_A "\",\"answers_size\":9,\"skip\":-1}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_not_equal(wire_read_piece(text_of(WRONG[i]), 4, &arena, &piece, NULL), OK);
    }
}

static void places_are_read_with_a_name_for_each(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct wire_place *places = NULL;
    size_t count = 0;
    int64_t version = 0;
    assert_int_equal(
        wire_read_places(TEXT("{\"version\":7,\"places\":[{\"place\":\"" SITE_A
                              "\",\"name\":\"ocean\",\"url\":\"https://o:1/\",\"jobs\":2},"
                              "{\"place\":\"" DIGEST_A "\",\"name\":\"\",\"url\":\"\"}]}"),
                         &arena, &places, &count, &version, NULL),
        OK);
    assert_int_equal(count, 2);
    assert_int_equal(version, 7);
    assert_string_equal(places[0].url, "https://o:1");
    assert_string_equal(places[0].site, SITE_A);
    assert_string_equal(places[1].url, "");
    assert_true(places[1].name[0] != '\0');
    static const char *const WRONG[] = {
        "[]",
        "{\"places\":[]}",
        "{\"version\":1,\"places\":{}}",
        "{\"version\":1,\"places\":[{\"name\":\"x\"}]}",
        "{\"version\":1,\"places\":[{\"place\":\"md5:1\",\"name\":\"x\",\"url\":\"\"}]}",
        "{\"version\":1,\"places\":[{\"place\":\"" SITE_A "\",\"name\":\"a\\nb\",\"url\":\"\"}]}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_not_equal(
            wire_read_places(text_of(WRONG[i]), &arena, &places, &count, &version, NULL), OK);
    }
}

static void a_document_for_elsewhere_is_without_what_is_homes_business(void **state)
{
    (void)state;
    AUTO_JSON json_t *spec = NULL;
    assert_int_equal(
        json_parse(TEXT("{\"command\":[\"a\"],\"items\":\"" DIGEST_A
                        "\",\"after\":[1],\"input_from\":[2],\"at\":\"x\",\"merge\":[\"m\"],"
                        "\"stage\":\"never\",\"offer\":\"o\",\"retries\":5,\"first_index\":100}"),
                   &spec, NULL),
        OK);
    AUTO_JSON json_t *there = wire_spec_for(spec, 10, 30);
    AUTO_BUFFER struct buffer out = {0};
    json_write(there, true, &out);
    assert_string_equal(out.bytes, "{\"command\":[\"a\"],\"count\":20,\"first_index\":110,"
                                   "\"items\":\"" DIGEST_A "\",\"offer\":\"o\",\"retries\":0}");
    assert_int_equal(json_integer_value(json_object_get(spec, "retries")), 5);
}

static void the_blobs_of_a_document_are_its_files_items_and_software(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    AUTO_JSON json_t *spec = NULL;
    struct digest *digests = NULL;
    size_t count = 0;
    assert_int_equal(json_parse(TEXT("{\"files\":[{\"name\":\"a\",\"blob\":\"" DIGEST_A
                                     "\"}],\"items\":\"" SITE_A
                                     "\",\"software\":{\"kind\":\"oci\",\"blob\":\"" SITE_A "\"}}"),
                                &spec, NULL),
                     OK);
    assert_int_equal(wire_spec_blobs(spec, &arena, &digests, &count, NULL), OK);
    assert_int_equal(count, 3);
    AUTO_JSON json_t *wrong = NULL;
    assert_int_equal(json_parse(TEXT("{\"files\":[{\"blob\":\"x\"}]}"), &wrong, NULL), OK);
    assert_int_not_equal(wire_spec_blobs(wrong, &arena, &digests, &count, NULL), OK);
}

static void logs_and_ends_and_setups_are_checked(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct wire_log log;
    struct wire_end end = {0};
    struct wire_setup setup = {0};
    assert_int_equal(
        wire_read_log(TEXT("{\"index\":0,\"stream\":\"stderr\",\"offset\":4,\"base64\":\"QQ==\"}"),
                      &arena, &log, NULL),
        OK);
    assert_true(log.is_error_output);
    assert_int_equal(log.attempt, 1);
    assert_int_equal(wire_read_log(TEXT("{\"index\":0,\"attempt\":2,\"stream\":\"stdout\","
                                        "\"offset\":0,\"base64\":\"QQ==\"}"),
                                   &arena, &log, NULL),
                     OK);
    assert_int_equal(log.attempt, 2);
    assert_int_not_equal(
        wire_read_log(TEXT("{\"stream\":\"other\",\"offset\":4,\"base64\":\"QQ==\"}"), &arena, &log,
                      NULL),
        OK);
    assert_int_equal(
        wire_read_end(TEXT("{\"state\":\"cancelled\",\"message\":\"by ann\"}"), &arena, &end, NULL),
        OK);
    assert_true(text_equal(end.message, TEXT("by ann")));
    assert_int_not_equal(wire_read_end(TEXT("7"), &arena, &end, NULL), OK);
    assert_int_equal(wire_read_setup(TEXT("{\"host\":\"h\"}"), &arena, &setup, NULL), OK);
    assert_true(text_equal(setup.host, TEXT("h")));
    assert_int_not_equal(wire_read_setup(TEXT("{\"host\":7}"), &arena, &setup, NULL), OK);
}

static void a_job_of_home_is_read(void **state)
{
    (void)state;
    AUTO_JSON json_t *document = NULL;
    AUTO_JSON json_t *wrong = NULL;
    struct wire_job job;
    struct error error = {0};
    const char *text = "{\"job\":5,\"owner\":\"ada\",\"spec\":{\"mode\":\"stream\"}}";
    assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
    assert_int_equal(wire_read_job(document, &job, NULL), OK);
    assert_int_equal(job.id, 5);
    assert_true(text_equal(job.owner, TEXT("ada")));
    assert_true(job.is_stream);
    assert_int_equal(job.disk_bytes, INT64_MAX);
    assert_int_equal(json_parse(TEXT("{\"job\":5,\"owner\":\"ada\"}"), &wrong, NULL), OK);
    assert_int_equal(wire_read_job(wrong, &job, &error), INVALID);
    assert_non_null(strstr(error.detail, "\"spec\""));
}

static void words_of_another_site_are_made_harmless(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct wire_words words = {0};
    assert_int_equal(
        wire_read_words(TEXT("{\"why\": \"a\\u001b[2Jb\\n\\nc\\u009bd\\u202ee\\u2066f é\","
                             " \"change\": null}"),
                        &arena, &words, NULL),
        OK);
    assert_true(text_equal(words.why, TEXT("a [2Jb c d e f é")));
    assert_int_equal(words.change.length, 0);
    AUTO_BUFFER struct buffer text = {0};
    buffer_append_string(&text, "{\"why\": \"");
    for (int i = 0; i < WIRE_WORDS_MAX; i++) {
        buffer_append_string(&text, "é");
    }
    buffer_append_string(&text, "\"}");
    assert_int_equal(wire_read_words(buffer_text(&text), &arena, &words, NULL), OK);
    assert_int_equal(words.why.length, WIRE_WORDS_MAX);
    assert_int_not_equal(wire_read_words(TEXT("{\"change\": \"x\"}"), &arena, &words, NULL), OK);
    assert_int_not_equal(wire_read_words(TEXT("[\"why\"]"), &arena, &words, NULL), OK);
    assert_int_not_equal(wire_read_words(TEXT("{\"why\": 7}"), &arena, &words, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_of_home_is_read),
        cmocka_unit_test(a_result_is_written_anew_as_it_was_read),
        cmocka_unit_test(who_computed_it_is_passed_on),
        cmocka_unit_test(how_often_it_was_begun_comes_with_a_result),
        cmocka_unit_test(a_short_result_has_nulls),
        cmocka_unit_test(what_is_no_result_is_refused),
        cmocka_unit_test(inline_output_has_a_maximum),
        cmocka_unit_test(a_long_detail_is_cut_between_characters),
        cmocka_unit_test(a_piece_moves_with_its_job),
        cmocka_unit_test(places_are_read_with_a_name_for_each),
        cmocka_unit_test(a_document_for_elsewhere_is_without_what_is_homes_business),
        cmocka_unit_test(the_blobs_of_a_document_are_its_files_items_and_software),
        cmocka_unit_test(logs_and_ends_and_setups_are_checked),
        cmocka_unit_test(words_of_another_site_are_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
