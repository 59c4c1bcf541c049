// helper_answer_read: any bytes as a helper's answer. What is accepted is fit for a terminal.
#include "fuzz.h"
#include "helper/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *document = NULL;
    struct helper_answer answer;
    struct error error = {0};
    if (helper_answer_read(fuzz_text(data, size), &document, &answer, &error) != OK) {
        FUZZ_CHECK(error.status != OK && error.detail[0] != '\0' && !document);
        return 0;
    }
    FUZZ_CHECK(answer.state.length > 0 || answer.problem.status != OK);
    FUZZ_CHECK(!text_has_control(text_of(answer.problem.detail)));
    FUZZ_CHECK(!text_has_control(text_of(answer.problem.fix)));
    FUZZ_CHECK(!text_has_control(answer.account) && !text_has_control(answer.name));
    FUZZ_CHECK(answer.pid >= 0);
    return 0;
}
