// What a runner says to its worker: a sandbox must not be able to confuse what is outside it.
#include "fuzz.h"

#include "sandbox/runner_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct text rest = {(const char *)bytes, size};
    struct runner_frame frame;
    size_t used = 0;
    while (runner_take_frame(rest, &frame, &used, NULL) == OK && used > 0) {
        struct text payload = frame.payload;
        struct runner_result result;
        while (payload.length > 0 && runner_get_result(&payload, &result, NULL) == OK) {
        }
        struct runner_answers answers;
        payload = frame.payload;
        (void)!runner_get_answers(&payload, &answers, NULL);
        struct runner_job job;
        payload = frame.payload;
        if (runner_get_job(&payload, &job, NULL) == OK) {
            runner_job_done(&job);
        }
        rest = text_slice(rest, used, rest.length);
    }
    return 0;
}
