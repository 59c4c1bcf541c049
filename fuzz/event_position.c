// event_position_read: any text as the id of an event. What is accepted is written as an id that reads the same; what is refused changes nothing.
#include "api/event_position.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_position at = {.seq = -1, .output = -1, .error_output = -1, .version = 7};
    struct event_position again = {0};
    char id[80];
    if (!event_position_read(fuzz_text(data, size), &at)) {
        FUZZ_CHECK(at.seq == -1 && at.output == -1 && at.error_output == -1);
        return 0;
    }
    FUZZ_CHECK(at.seq >= 0 && at.output >= 0 && at.error_output >= 0 && at.version == 7);
    (void)snprintf(id, sizeof id, "%lld.%lld.%lld", (long long)at.seq, (long long)at.output,
                   (long long)at.error_output);
    FUZZ_CHECK(event_position_read(text_of(id), &again));
    FUZZ_CHECK(again.seq == at.seq && again.output == at.output);
    FUZZ_CHECK(again.error_output == at.error_output);
    return 0;
}
