// worker_hello_parse: any JSON as a worker's registration. What is accepted keeps what the scheduler relies on.
#include "fuzz.h"
#include "protocol/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *document = NULL;
    struct worker_hello hello = {0};
    struct error error = {0};
    if (json_parse(fuzz_text(data, size), &document, &error) != OK) {
        return 0;
    }
    if (worker_hello_parse(document, &hello, &error) != OK) {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(hello.name.length > 0 && hello.name.length <= WORKER_NAME_MAX);
    FUZZ_CHECK(hello.cpu_millis > 0 && hello.memory_bytes >= 0 && hello.disk_bytes >= 0);
    FUZZ_CHECK(hello.process >= 0);
    return 0;
}
