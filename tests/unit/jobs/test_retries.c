// How often a task may run again, in the forms in which that is said.
#include "../cmocka_all.h"

#include "base/memory.h"
#include "jobs/retries.h"

#include <string.h>

static json_t *json_of(const char *text)
{
    json_t *value = NULL;
    AUTO_FREE char *array = memory_format("[%s]", text);
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(text_of(array), &document, NULL), OK);
    value = json_incref(json_array_get(document, 0));
    return value;
}

static struct retries retries_of(const char *text)
{
    struct retries retries;
    AUTO_JSON json_t *value = json_of(text);
    assert_int_equal(retries_parse(value, &retries, NULL), OK);
    return retries;
}

static void a_number_is_that_of_the_tasks_own_failures(void **state)
{
    (void)state;
    const struct retries expected = {.times = {7, 0, 2, 0, 2}};
    const struct retries retries = retries_of("7");
    assert_memory_equal(&retries, &expected, sizeof expected);
}

static void what_is_not_said_is_the_default(void **state)
{
    (void)state;
    struct retries none;
    const struct retries usual = retries_default();
    const struct retries expected = {.times = {0, 3, 9, 0, 2}};
    const struct retries some = retries_of("{\"limit\": 3, \"lost\": 9}");
    assert_memory_equal(&some, &expected, sizeof expected);
    assert_int_equal(retries_parse(NULL, &none, NULL), OK);
    assert_memory_equal(&none, &usual, sizeof usual);
}

static void it_is_written_as_it_was_said(void **state)
{
    (void)state;
    static const char *const FORMS[] = {"0", "5", "{\"fail\":0,\"lost\":0}",
                                        "{\"fail\":2,\"limit\":1,\"lost\":5}"};
    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
        const struct retries retries = retries_of(FORMS[i]);
        AUTO_JSON json_t *written = retries_to_json(&retries);
        AUTO_BUFFER struct buffer text = {0};
        json_write(written, true, &text);
        assert_int_equal(text.length, strlen(FORMS[i]));
        assert_memory_equal(text.bytes, FORMS[i], text.length);
    }
}

static void bad_forms_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const BAD[][2] = {
        {"101", "from 0 to 100"},
        {"-1", "from 0 to 100"},
        {"1.5", "from 0 to 100"},
        {"\"3\"", "from 0 to 100"},
        {"[]", "from 0 to 100"},
        {"{\"lost\": 101}", "for the cause lost"},
        {"{\"lost\": null}", "for the cause lost"},
        {"{\"fial\": 1}", "names \"fial\", which is not a cause"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct error error = {0};
        struct retries retries = {.times = {42}};
        AUTO_JSON json_t *value = json_of(BAD[i][0]);
        assert_int_equal(retries_parse(value, &retries, &error), INVALID);
        assert_non_null(strstr(error.detail, BAD[i][1]));
        assert_non_null(strstr(error.fix, "fail, limit, lost"));
        assert_int_equal(retries.times[0], 42);
        assert_int_equal(retries_parse(value, &retries, NULL), INVALID);
    }
}

static void options_say_it_in_words(void **state)
{
    (void)state;
    AUTO_JSON json_t *number = NULL;
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *none = NULL;
    assert_int_equal(retries_from_text(TEXT("3"), &number, NULL), OK);
    assert_int_equal(json_integer_value(number), 3);
    assert_int_equal(retries_from_text(TEXT("fail=2,lost=5"), &object, NULL), OK);
    assert_int_equal(json_integer_value(json_object_get(object, "fail")), 2);
    assert_int_equal(json_integer_value(json_object_get(object, "lost")), 5);
    assert_int_equal(json_object_size(object), 2);
    static const char *const BAD[] = {
        "", "x", "fail", "fail=", "=3", "fail=1,", "fail=1;lost=2", "fail=-1", "fial=2", "101"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(retries_from_text(text_of(BAD[i]), &none, NULL), INVALID);
        assert_null(none);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_that_of_the_tasks_own_failures),
        cmocka_unit_test(what_is_not_said_is_the_default),
        cmocka_unit_test(it_is_written_as_it_was_said),
        cmocka_unit_test(bad_forms_are_refused_by_name),
        cmocka_unit_test(options_say_it_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
