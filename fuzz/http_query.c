// http_query: any bytes as the query of a request. A value is never longer than it was sent, and a name without escapes is found where it stands first.
#include "base/arena.h"
#include "fuzz.h"
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const NAMES[] = {"a", "wait", ""};
    AUTO_ARENA struct arena arena = {0};
    struct text query = fuzz_text(data, size);
    const struct http_request request = {.arena = &arena, .query = query};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct text value = TEXT_NONE;
        if (http_query(&request, NAMES[i], &value)) {
            FUZZ_CHECK(value.length <= query.length);
        }
    }
    bool is_plain = text_starts_with(query, TEXT("a=")) && !text_contains_byte(query, '&') &&
                    !text_contains_byte(query, '%') && !text_contains_byte(query, '+');
    struct text value = TEXT_NONE;
    FUZZ_CHECK(!is_plain || (http_query(&request, "a", &value) &&
                             text_equal(value, text_slice(query, 2, query.length))));
    return 0;
}
