// Numbers, sizes and durations: never negative where that means nothing, and an integer reads back as it was written.
#include "base/buffer.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = fuzz_text(data, size);
    int64_t value = -1;
    FUZZ_CHECK(text_to_bytes(text, &value) == (value >= 0));
    value = -1;
    FUZZ_CHECK(text_to_duration_us(text, &value) == (value >= 0));
    if (text_to_int64(text, &value)) {
        AUTO_BUFFER struct buffer written = {0};
        int64_t again = 0;
        buffer_append_int64(&written, value);
        FUZZ_CHECK(text_to_int64(buffer_text(&written), &again) && again == value);
    }
    return 0;
}
