// digest_from_text: what it accepts is the digest's own text, with or without its prefix and in either case.
#include "crypto/digest.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = fuzz_text(data, size);
    struct error error = {0};
    struct digest digest;
    char again[DIGEST_TEXT_SIZE];
    if (digest_from_text(text, &digest, &error) == OK) {
        struct text whole = text_of(digest_to_text(&digest, again));
        FUZZ_CHECK(text.length <= whole.length);
        struct text end = text_slice(whole, whole.length - text.length, whole.length);
        FUZZ_CHECK(text_equal_no_case(end, text));
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
    }
    return 0;
}
