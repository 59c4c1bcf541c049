// text_matches_glob: agrees with fnmatch(3) on patterns of `*`, `?` and plain bytes. The input is pattern, line feed, text.
#include "base/memory.h"
#include "fuzz.h"

#include <fnmatch.h>

// Classes and `**` mean something else to fnmatch, or nothing.
static bool is_common_ground(struct text pattern, struct text whole)
{
    for (size_t i = 0; i < pattern.length; i++) {
        char byte = pattern.bytes[i];
        bool is_deep = byte == '*' && i + 1 < pattern.length && pattern.bytes[i + 1] == '*';
        if (is_deep || byte == '[' || byte == '\\' || byte <= 0) {
            return false;
        }
    }
    return !text_contains_byte(whole, '\0') && !text_contains_byte(whole, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = fuzz_text(data, size);
    size_t end = text_find_byte(input, 0, '\n');
    struct text pattern = text_slice(input, 0, end);
    struct text whole = text_slice(input, end + 1, size);
    bool is_match = text_matches_glob(whole, pattern);
    if (is_common_ground(pattern, whole)) {
        AUTO_FREE char *pattern_string = text_copy(pattern);
        AUTO_FREE char *whole_string = text_copy(whole);
        FUZZ_CHECK(is_match == (fnmatch(pattern_string, whole_string, FNM_PATHNAME) == 0));
    }
    return 0;
}
