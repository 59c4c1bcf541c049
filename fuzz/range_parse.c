// range_parse: any bytes as a Range header. A part lies within the file.
#include "api/range.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t SIZES[] = {0, 1, 10, INT64_MAX};
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        int64_t from = 0;
        int64_t to = 0;
        if (range_parse(fuzz_text(data, size), SIZES[i], &from, &to) == RANGE_PART) {
            FUZZ_CHECK(from >= 0 && from < to && to <= SIZES[i]);
        }
    }
    return 0;
}
