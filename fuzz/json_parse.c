// json_parse: what it accepts is written in canonical form and read again as the same value.
#include "base/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *value = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_BUFFER struct buffer text = {0};
    struct error error = {0};
    if (json_parse(fuzz_text(data, size), &value, &error) != OK) {
        FUZZ_CHECK(value == NULL);
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
        return 0;
    }
    json_write(value, true, &text);
    FUZZ_CHECK(json_parse(buffer_text(&text), &again, NULL) == OK);
    FUZZ_CHECK(json_equal(value, again));
    return 0;
}
