// event_position_read: any text as the id of an event. What is accepted is written as an id that reads the same; what is refused changes nothing.
#include "api/event_position.h"
#include "fuzz.h"

#include "records/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_position at = {.seq = -1, .output = -1, .error_output = -1, .version = 7};
    struct event_position again = {0};
    AUTO_BUFFER struct buffer id = {0};
    if (!event_position_read(fuzz_text(data, size), &at)) {
        FUZZ_CHECK(at.seq == -1 && at.output == -1 && at.error_output == -1);
        return 0;
    }
    FUZZ_CHECK(at.seq >= 0 && at.output >= 0 && at.error_output >= 0 && at.attempt >= 0);
    FUZZ_CHECK(at.version == 7);
    event_position_write(&at, &id);
    FUZZ_CHECK(event_position_read(buffer_text(&id), &again));
    FUZZ_CHECK(again.seq == at.seq && again.output == at.output);
    FUZZ_CHECK(again.error_output == at.error_output && again.attempt == at.attempt);
    return 0;
}
