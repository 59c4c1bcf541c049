// The fields of any JSON: what a reader takes is within its bounds, and what it refuses is named and changes nothing.
#include "base/json.h"
#include "fuzz.h"

enum { LENGTH_MAX = 8, COUNT_MAX = 3, NUMBER_MAX = 100 };

static const char *const FIELDS[] = {"a", "b", NULL};

static void check_refusal(enum status status, const struct error *error)
{
    FUZZ_CHECK(status == OK || (status == INVALID && error->detail[0] != '\0'));
}

static void check_texts(const json_t *object, enum json_need need)
{
    static const char UNTOUCHED[] = "x";
    struct error error = {0};
    struct text text = {UNTOUCHED, 1};
    enum status status = json_field_text(object, "a", need, LENGTH_MAX, &text, &error);
    check_refusal(status, &error);
    FUZZ_CHECK(status == OK || text.bytes == UNTOUCHED);
    FUZZ_CHECK(text.length <= LENGTH_MAX && text_is_utf8(text));
}

static void check_numbers(const json_t *object, enum json_need need)
{
    struct error error = {0};
    int64_t whole = -1;
    double real = -1;
    bool flag = true;
    enum status status = json_field_int64(object, "a", need, 1, NUMBER_MAX, &whole, &error);
    check_refusal(status, &error);
    FUZZ_CHECK(whole == -1 || (status == OK && whole >= 1 && whole <= NUMBER_MAX));
    status = json_field_double(object, "a", need, 0, NUMBER_MAX, &real, &error);
    check_refusal(status, &error);
    FUZZ_CHECK(real == -1 || (status == OK && real >= 0 && real <= NUMBER_MAX));
    status = json_field_bool(object, "a", need, &flag, &error);
    check_refusal(status, &error);
    FUZZ_CHECK(status == OK || flag);
}

static void check_values(const json_t *object, enum json_need need)
{
    struct error error = {0};
    json_t *array = NULL;
    json_t *inner = NULL;
    enum status status = json_field_array(object, "a", need, COUNT_MAX, &array, &error);
    check_refusal(status, &error);
    FUZZ_CHECK(!array || (status == OK && json_array_size(array) <= COUNT_MAX));
    status = json_field_object(object, "a", need, &inner, &error);
    check_refusal(status, &error);
    FUZZ_CHECK(!inner || (status == OK && json_is_object(inner)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *object = NULL;
    struct error error = {0};
    if (json_parse(fuzz_text(data, size), &object, &error) != OK) {
        return 0;
    }
    check_refusal(json_check_fields(object, FIELDS, &error), &error);
    for (enum json_need need = JSON_OPTIONAL; need <= JSON_REQUIRED; need++) {
        check_texts(object, need);
        check_numbers(object, need);
        check_values(object, need);
    }
    return 0;
}
