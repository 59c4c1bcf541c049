// base64_decode: what it accepts is exactly what base64_append writes.
#include "base/hex.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer bytes = {0};
    AUTO_BUFFER struct buffer again = {0};
    struct text text = fuzz_text(data, size);
    struct error error = {0};
    if (base64_decode(text, &bytes, &error) == OK) {
        base64_append(&again, bytes.bytes, bytes.length);
        FUZZ_CHECK(text_equal(buffer_text(&again), text));
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
    }
    return 0;
}
