// identifier_parse: a normal form is its own normal form, of the same kind, within the maximum and free of control characters.
#include "catalog/identifier.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct identifier identifier;
    static struct identifier again;
    struct error error = {0};
    if (identifier_parse(fuzz_text(data, size), &identifier, &error) != OK) {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0' && error.fix[0] != '\0');
        return 0;
    }
    struct text normal = identifier_text(&identifier);
    FUZZ_CHECK(normal.length > 0 && normal.length <= IDENTIFIER_SIZE_MAX);
    FUZZ_CHECK(text_is_utf8(normal) && !text_has_control(normal));
    FUZZ_CHECK(strlen(identifier.bytes) == identifier.length);
    FUZZ_CHECK(identifier_parse(normal, &again, &error) == OK);
    FUZZ_CHECK(identifier_equal(&identifier, &again) && identifier.kind == again.kind);
    return 0;
}
