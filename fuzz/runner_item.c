// item_file_parse of the runner: any bytes as the line of the file that a task is about.
#include "fuzz.h"
#include "runner/runner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // The runner has lines with a zero behind them.
    char *line = text_copy(fuzz_text(data, size));
    struct item_file file = {0};
    struct error error = {0};
    if (item_file_parse((struct text){line, size}, &file, &error) == OK) {
        FUZZ_CHECK(file.path.length > 0);
        FUZZ_CHECK(file.path.bytes + file.path.length == line + size);
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
    }
    free(line);
    return 0;
}
