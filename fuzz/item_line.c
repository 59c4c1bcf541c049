// item_line_parse of the worker: any bytes as the line of a file that a task is about. What is accepted leads below its folder.
#include "fuzz.h"
#include "sandbox/items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct item_line line = {0};
    if (!item_line_parse(fuzz_text(data, size), &line)) {
        return 0;
    }
    FUZZ_CHECK(line.size >= 0 && line.path.length > 0);
    FUZZ_CHECK(line.path.bytes + line.path.length == (const char *)data + size);
    FUZZ_CHECK(line.path.bytes[0] != '/' && !text_contains_byte(line.path, '\0'));
    struct text parts = line.path;
    for (struct text part; text_next_part(&parts, '/', &part);) {
        FUZZ_CHECK(part.length > 0 && !text_equal(part, TEXT("..")));
    }
    return 0;
}
