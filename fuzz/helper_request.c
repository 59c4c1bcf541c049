// helper_request_read: any bytes as a caller's request, before and after which nobody is trusted. What is accepted has no text that could be another thing in a command line or a log, and
// comes back the same when it is written and read again.
#include "fuzz.h"
#include "helper/message.h"

static void check(const struct helper_request *request)
{
    char pin[PIN_SIZE];
    FUZZ_CHECK(fingerprint_to_pin(request->fingerprint.text, pin, NULL) == OK);
    FUZZ_CHECK(request->directory.length == 0 || request->directory.bytes[0] == '/');
    FUZZ_CHECK(helper_text_is_plain(request->directory, HELPER_PATH_MAX));
    FUZZ_CHECK(helper_text_is_plain(request->account, HELPER_NAME_MAX));
    FUZZ_CHECK(helper_text_is_plain(request->worker.name, HELPER_NAME_MAX));
    FUZZ_CHECK(request->worker.label_count <= HELPER_LABELS_MAX);
    bool is_start = request->verb == HELPER_START;
    FUZZ_CHECK(is_start == text_starts_with(request->site, TEXT("https://")));
    FUZZ_CHECK(is_start || request->invitation.length == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer first = {0};
    AUTO_BUFFER struct buffer second = {0};
    AUTO_JSON json_t *document = NULL;
    AUTO_JSON json_t *again = NULL;
    struct helper_request request;
    struct error error = {0};
    if (helper_request_read(fuzz_text(data, size), &document, &request, &error) != OK) {
        FUZZ_CHECK(error.status != OK && error.detail[0] != '\0' && !document);
        return 0;
    }
    check(&request);
    helper_request_write(&request, &first);
    // What was written shorter than it is written here may pass the bound.
    if (first.length <= HELPER_LINE_MAX) {
        struct text line = text_slice(buffer_text(&first), 0, first.length - 1);
        FUZZ_CHECK(!text_contains_byte(line, '\n'));
        FUZZ_CHECK(helper_request_read(line, &again, &request, NULL) == OK);
        helper_request_write(&request, &second);
        FUZZ_CHECK(text_equal(buffer_text(&first), buffer_text(&second)));
    }
    return 0;
}
