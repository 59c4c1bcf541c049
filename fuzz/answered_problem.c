// answered_problem_read: any bytes as the body of a refusal. There are always words, and none that a terminal would obey.
#include "http/answered_problem.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int CODE = 409;
    struct error error = {0};
    answered_problem_read(fuzz_text(data, size), CONFLICT, CODE, &error);
    FUZZ_CHECK(error.status == CONFLICT && error.detail[0] != '\0');
    FUZZ_CHECK(!text_has_control(text_of(error.detail)) && !text_has_control(text_of(error.fix)));
    answered_problem_read(fuzz_text(data, size), CONFLICT, CODE, NULL);
    return 0;
}
