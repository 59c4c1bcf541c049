#include "../cmocka_all.h"

#include "base/json.h"
#include "base/memory.h"

static json_t *parsed(const char *string)
{
    json_t *value = NULL;
    struct error error = {0};
    assert_int_equal(json_parse(text_of(string), &value, &error), OK);
    return value;
}

static void assert_refused(struct text text)
{
    json_t *value = NULL;
    struct error error = {0};
    assert_int_equal(json_parse(text, &value, &error), INVALID);
    assert_int_equal(json_parse(text, &value, NULL), INVALID);
    assert_true(error.detail[0] != '\0');
    assert_null(value);
}

static void only_one_strict_value_is_json(void **state)
{
    (void)state;
    assert_refused(TEXT(""));
    assert_refused(TEXT("{} {}"));
    assert_refused(TEXT("[1,]"));
    assert_refused(TEXT("{\"a\":1,\"a\":2}"));
    assert_refused(TEXT("\"\\u0000\""));
    assert_refused(TEXT("\"\xff\""));
    assert_refused(TEXT("\"\xed\xa0\x80\""));
    assert_refused(TEXT("{\"a\":1}\0"));
    assert_refused(TEXT("nul"));
    assert_refused(TEXT("1e999"));
    AUTO_JSON json_t *scalar = parsed(" 7\n");
    assert_int_equal(json_integer_value(scalar), 7);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    AUTO_FREE char *deep = memory_new(DEEP, 1);
    memset(deep, '[', DEEP);
    assert_refused((struct text){deep, DEEP});
    // Brackets in strings do not count.
    AUTO_JSON json_t *value = parsed("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]");
    assert_int_equal(json_array_size(value), 1);
}

static void unknown_fields_are_named(void **state)
{
    (void)state;
    static const char *const KNOWN[] = {"name", "count", NULL};
    struct error error = {0};
    AUTO_JSON json_t *good = parsed("{\"count\":1}");
    AUTO_JSON json_t *bad = parsed("{\"count\":1,\"cuont\":2}");
    AUTO_JSON json_t *array = parsed("[]");
    assert_int_equal(json_check_fields(good, KNOWN, &error), OK);
    assert_int_equal(json_check_fields(bad, KNOWN, &error), INVALID);
    assert_non_null(strstr(error.detail, "cuont"));
    assert_non_null(strstr(error.fix, "name"));
    assert_int_equal(json_check_fields(bad, KNOWN, NULL), INVALID);
    assert_int_equal(json_check_fields(array, KNOWN, &error), INVALID);
}

static void fields_are_read_by_type(void **state)
{
    (void)state;
    AUTO_JSON json_t *object =
        parsed("{\"t\":\"text\",\"i\":-3,\"d\":2.5,\"b\":true,\"a\":[1,2],\"o\":{}}");
    struct text text = TEXT_NONE;
    int64_t number = 0;
    double real = 0;
    bool flag = false;
    json_t *array = NULL;
    json_t *inner = NULL;
    assert_int_equal(json_field_text(object, "t", JSON_REQUIRED, 4, &text, NULL), OK);
    assert_true(text_equal(text, TEXT("text")));
    assert_int_equal(json_field_int64(object, "i", JSON_REQUIRED, -3, 5, &number, NULL), OK);
    assert_int_equal(number, -3);
    assert_int_equal(json_field_double(object, "d", JSON_REQUIRED, 0, 3, &real, NULL), OK);
    assert_true(real > 2.4 && real < 2.6);
    assert_int_equal(json_field_bool(object, "b", JSON_REQUIRED, &flag, NULL), OK);
    assert_true(flag);
    assert_int_equal(json_field_array(object, "a", JSON_REQUIRED, 2, &array, NULL), OK);
    assert_int_equal(json_array_size(array), 2);
    assert_int_equal(json_field_object(object, "o", JSON_REQUIRED, &inner, NULL), OK);
    assert_non_null(inner);
}

static void a_wrong_field_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    AUTO_JSON json_t *object =
        parsed("{\"t\":\"text\",\"i\":9,\"f\":1.5,\"a\":[1,2,3],\"null\":null}");
    struct error error = {0};
    struct text text = TEXT("kept");
    int64_t number = 42;
    json_t *array = NULL;
    bool flag = true;
    assert_int_equal(json_field_text(object, "t", JSON_REQUIRED, 3, &text, &error), INVALID);
    assert_non_null(strstr(error.detail, "\"t\""));
    assert_int_equal(json_field_text(object, "i", JSON_OPTIONAL, 9, &text, NULL), INVALID);
    assert_int_equal(json_field_int64(object, "i", JSON_REQUIRED, 0, 8, &number, NULL), INVALID);
    assert_int_equal(json_field_int64(object, "f", JSON_REQUIRED, 0, 8, &number, NULL), INVALID);
    assert_int_equal(json_field_int64(object, "t", JSON_REQUIRED, 0, 8, &number, NULL), INVALID);
    assert_int_equal(json_field_array(object, "a", JSON_REQUIRED, 2, &array, NULL), INVALID);
    assert_int_equal(json_field_bool(object, "i", JSON_REQUIRED, &flag, NULL), INVALID);
    assert_true(text_equal(text, TEXT("kept")));
    assert_int_equal(number, 42);
    assert_null(array);
    assert_true(flag);
}

static void an_absent_field_keeps_its_default_unless_required(void **state)
{
    (void)state;
    AUTO_JSON json_t *object = parsed("{\"null\":null}");
    struct error error = {0};
    int64_t number = 42;
    assert_int_equal(json_field_int64(object, "none", JSON_OPTIONAL, 0, 9, &number, NULL), OK);
    assert_int_equal(json_field_int64(object, "null", JSON_OPTIONAL, 0, 9, &number, NULL), OK);
    assert_int_equal(number, 42);
    assert_int_equal(json_field_int64(object, "none", JSON_REQUIRED, 0, 9, &number, &error),
                     INVALID);
    assert_non_null(strstr(error.detail, "none"));
    assert_int_equal(json_field_int64(object, "null", JSON_REQUIRED, 0, 9, &number, NULL), INVALID);
}

static void equal_objects_have_one_canonical_form(void **state)
{
    (void)state;
    AUTO_JSON json_t *one = parsed("{\"b\": 1, \"a\": [true, null, \"\\u00e9\"]}");
    AUTO_JSON json_t *other = parsed("{\"a\":[true,null,\"\xc3\xa9\"],\"b\":1}");
    AUTO_BUFFER struct buffer first = {0};
    AUTO_BUFFER struct buffer second = {0};
    AUTO_BUFFER struct buffer as_set = {0};
    json_write(one, true, &first);
    json_write(other, true, &second);
    json_write(one, false, &as_set);
    assert_true(text_equal(buffer_text(&first), buffer_text(&second)));
    assert_string_equal(first.bytes, "{\"a\":[true,null,\"\xc3\xa9\"],\"b\":1}");
    assert_string_equal(as_set.bytes, "{\"b\":1,\"a\":[true,null,\"\xc3\xa9\"]}");
}

static void any_bytes_become_a_json_string(void **state)
{
    (void)state;
    AUTO_JSON json_t *plain = json_from_text(TEXT("caf\xc3\xa9"));
    AUTO_JSON json_t *broken = json_from_text(TEXT("a\xff"
                                                   "b"));
    AUTO_JSON json_t *with_nul = json_from_text(TEXT("a\xff\0b"));
    AUTO_JSON json_t *none = json_from_text(TEXT_NONE);
    assert_string_equal(json_string_value(plain), "caf\xc3\xa9");
    assert_string_equal(json_string_value(broken), "a\xef\xbf\xbd"
                                                   "b");
    assert_true(text_equal(json_text(with_nul), TEXT("a\xef\xbf\xbd\0b")));
    assert_string_equal(json_string_value(none), "");
    assert_int_equal(json_text(NULL).length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_strict_value_is_json),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(unknown_fields_are_named),
        cmocka_unit_test(fields_are_read_by_type),
        cmocka_unit_test(a_wrong_field_is_refused_and_changes_nothing),
        cmocka_unit_test(an_absent_field_keeps_its_default_unless_required),
        cmocka_unit_test(equal_objects_have_one_canonical_form),
        cmocka_unit_test(any_bytes_become_a_json_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
