// calendar_parse: a time that it accepts is written and read again as the same time.
#include "base/calendar.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[CALENDAR_TEXT_SIZE];
    int64_t time_us = 0;
    int64_t again_us = 0;
    // An offset can lead out of the years 0 to 9999 by a day; such a time cannot be written.
    static const int64_t FIRST_US = -62167219200000000;
    static const int64_t LAST_US = 253402300799999999;
    if (calendar_parse(fuzz_text(data, size), &time_us) && time_us >= FIRST_US &&
        time_us <= LAST_US) {
        FUZZ_CHECK(calendar_parse(text_of(calendar_format(time_us, text)), &again_us));
        FUZZ_CHECK(again_us == time_us);
    }
    return 0;
}
