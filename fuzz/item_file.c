// item_file_parse of the queue: any bytes as a line of an items blob of files. What is accepted is the line.
#include "base/buffer.h"
#include "fuzz.h"
#include "records/items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct item_file file = {0};
    if (!item_file_parse(fuzz_text(data, size), &file)) {
        return 0;
    }
    FUZZ_CHECK(file.digest.length == 64 && file.path.length > 0);
    FUZZ_CHECK(file.digest.bytes == (const char *)data);
    FUZZ_CHECK(file.path.bytes + file.path.length == (const char *)data + size);
    // Written again and read again it is the same.
    AUTO_BUFFER struct buffer line = {0};
    struct item_file again = {0};
    buffer_printf(&line, "%.*s %lld %lld ", TEXT_ARGS(file.digest), (long long)file.size_bytes,
                  (long long)file.modified_us);
    buffer_append_text(&line, file.path);
    bool has_zero = text_contains_byte(file.digest, '\0');
    FUZZ_CHECK(has_zero || item_file_parse(buffer_text(&line), &again));
    FUZZ_CHECK(has_zero ||
               (text_equal(again.path, file.path) && again.size_bytes == file.size_bytes));
    return 0;
}
