// percent_decode: never longer than its input, and what was decoded survives being encoded again.
#include "base/hex.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer bytes = {0};
    AUTO_BUFFER struct buffer encoded = {0};
    AUTO_BUFFER struct buffer again = {0};
    struct error error = {0};
    if (percent_decode(fuzz_text(data, size), &bytes, &error) != OK) {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(bytes.length <= size);
    percent_append(&encoded, buffer_text(&bytes));
    FUZZ_CHECK(percent_decode(buffer_text(&encoded), &again, NULL) == OK);
    FUZZ_CHECK(text_equal(buffer_text(&again), buffer_text(&bytes)));
    return 0;
}
