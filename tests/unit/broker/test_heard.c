// What other sites answer, and what of it is not taken. Questions for offers are tested with the offers.
#include "../cmocka_all.h"

#include "broker/heard.h"

static void an_offer_is_read(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct heard_offer offer;
    assert_int_equal(
        heard_read_offer(TEXT("{\"offer\":\"00ff\",\"expires_at\":"
                              "\"2026-11-21T10:05:00Z\",\"start_seconds\":1,\"run_seconds\""
                              ":2.5,\"stage_bytes\":10,\"stage_seconds\":0.5,"
                              "\"price\":{\"core_hours\":0.25},\"more\":1}"),
                         &arena, &offer, NULL),
        OK);
    assert_string_equal(offer.name, "00ff");
    assert_string_equal(offer.expires_at, "2026-11-21T10:05:00Z");
    assert_float_equal(offer.start_seconds, 1, 0);
    assert_float_equal(offer.run_seconds, 2.5, 0);
    assert_float_equal(offer.core_hours, 0.25, 0);
    assert_float_equal(offer.stage_bytes, 10, 0);
    assert_float_equal(offer.stage_seconds, 0.5, 0);
}

// It is the other site that is wrong, not the request of the user for whom it was asked.
static void a_wrong_offer_is_corrupt_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        "<html>",
        "null",
        "{\"offer\":7,\"start_seconds\":1,\"run_seconds\":1,\"price\":{\"core_hours\":1}}",
        "{\"offer\":\"a\",\"start_seconds\":-1,\"run_seconds\":1,\"price\":{\"core_hours\":1}}",
        "{\"offer\":\"a\",\"start_seconds\":1e13,\"run_seconds\":1,\"price\":{\"core_hours\":1}}",
        "{\"offer\":\"a\",\"start_seconds\":1,\"price\":{\"core_hours\":1}}",
        ("{\"offer\":\"a\",\"expires_at\":\"soon\",\"start_seconds\":1,\"run_seconds\":1,"
         "\"price\":{\"core_hours\":1}}"),
        "{\"offer\":\"a\",\"start_seconds\":1,\"run_seconds\":1,\"price\":3}",
        "{\"offer\":\"a\",\"start_seconds\":1,\"run_seconds\":1,\"price\":{}}",
        "{\"offer\":\"a\",\"start_seconds\":1,\"run_seconds\":\"1\",\"price\":{\"core_hours\":1}}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        AUTO_ARENA struct arena arena = {0};
        struct heard_offer offer = {.name = "untouched"};
        struct error error = {0};
        assert_int_equal(heard_read_offer(text_of(WRONG[i]), &arena, &offer, &error), CORRUPT);
        assert_non_null(strstr(error.detail, "its answer cannot be read: "));
        assert_string_equal(offer.name, "untouched");
    }
}

// A plan would hold times without end otherwise, which no JSON can say.
static void a_rate_that_no_link_has_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *seconds;
        double rate;
    } SAID[] = {{"1000", "0.5", 2000}, {"0", "0", 0},    {"5", "0", 0},
                {"1e-300", "1e12", 0}, {"0", "1e12", 0}, {"1e18", "1e-300", 0}};
    for (size_t i = 0; i < sizeof SAID / sizeof SAID[0]; i++) {
        AUTO_ARENA struct arena arena = {0};
        struct heard_offer offer;
        const char *text = arena_format(&arena,
                                        "{\"offer\":\"a\",\"start_seconds\":0,\"run_seconds\":1,"
                                        "\"price\":{\"core_hours\":1},\"stage_bytes\":%s,"
                                        "\"stage_seconds\":%s}",
                                        SAID[i].bytes, SAID[i].seconds);
        assert_int_equal(heard_read_offer(text_of(text), &arena, &offer, NULL), OK);
        assert_float_equal(offer.stage_rate, SAID[i].rate, 0);
    }
}

static enum status read_transfer(const char *text, struct heard_transfer *out, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
    return heard_read_transfer(document, out, error);
}

static void a_transfer_is_done_or_failed_or_under_way(void **state)
{
    (void)state;
    struct heard_transfer transfer;
    assert_int_equal(read_transfer("{\"state\":\"done\"}", &transfer, NULL), OK);
    assert_true(transfer.is_done && !transfer.has_failed);
    assert_int_equal(read_transfer("{\"state\":\"cancelled\"}", &transfer, NULL), OK);
    assert_true(!transfer.is_done && transfer.has_failed);
    assert_int_equal(transfer.number, 0);
    assert_int_equal(
        read_transfer("{\"id\":7,\"state\":\"copying\",\"bytes_done\":5,\"bytes_total\":9}",
                      &transfer, NULL),
        OK);
    assert_true(!transfer.is_done && !transfer.has_failed);
    assert_int_equal(transfer.number, 7);
    assert_int_equal(transfer.bytes_done, 5);
    assert_int_equal(transfer.bytes_total, 9);
}

static void a_wrong_transfer_is_corrupt(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"{}",
                                        "[]",
                                        "{\"state\":7}",
                                        "{\"state\":\"done\",\"id\":\"x\"}",
                                        "{\"state\":\"done\",\"bytes_done\":-1}",
                                        "{\"state\":\"done\",\"problem\":{}}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct heard_transfer transfer;
        struct error error = {0};
        assert_int_equal(read_transfer(WRONG[i], &transfer, &error), CORRUPT);
        assert_non_null(strstr(error.detail, "its answer cannot be read: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_is_read),
        cmocka_unit_test(a_rate_that_no_link_has_is_none),
        cmocka_unit_test(a_wrong_offer_is_corrupt_and_leaves_nothing),
        cmocka_unit_test(a_transfer_is_done_or_failed_or_under_way),
        cmocka_unit_test(a_wrong_transfer_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
