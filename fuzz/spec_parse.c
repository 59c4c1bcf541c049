// spec_parse: what it accepts is written again and read as the same job; each refusal says what is wrong.
#include "fuzz.h"
#include "jobs/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *document = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_BUFFER struct buffer text = {0};
    struct job_spec *spec = NULL;
    struct job_spec *copy = NULL;
    struct error error = {0};
    if (json_parse(fuzz_text(data, size), &document, &error) != OK) {
        return 0;
    }
    if (spec_parse(document, &spec, &error) != OK) {
        FUZZ_CHECK(spec == NULL);
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
        return 0;
    }
    again = spec_to_json(spec);
    FUZZ_CHECK(spec_parse(again, &copy, &error) == OK);
    AUTO_JSON json_t *third = spec_to_json(copy);
    FUZZ_CHECK(json_equal(again, third));
    spec_write_identity(spec, &text);
    for (size_t i = 0; i < spec->argument_count; i++) {
        spec_expand(text_of(spec->command[i]), 7, TEXT("item"), TEXT("file"), &text);
    }
    spec_free(spec);
    spec_free(copy);
    return 0;
}
