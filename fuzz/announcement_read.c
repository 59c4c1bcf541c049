// announcement_read: a TXT record from the network. What is accepted is bounded, fit for a terminal, and written again it reads the same.
#include "discover/announcement.h"
#include "fuzz.h"

static void check_clean(const char *text, size_t max)
{
    FUZZ_CHECK(strlen(text) <= max);
    FUZZ_CHECK(text_is_utf8(text_of(text)));
    FUZZ_CHECK(!text_has_control(text_of(text)));
    FUZZ_CHECK(text_trim(text_of(text)).length == strlen(text) || text[strlen(text) - 1] == ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct announcement read = {.name = "unchanged"};
    struct announcement again;
    struct error error = {0};
    if (announcement_read(fuzz_text(data, size), &read, &error) != OK) {
        FUZZ_CHECK(error.detail[0] != '\0');
        FUZZ_CHECK(strcmp(read.name, "unchanged") == 0);
        return 0;
    }
    FUZZ_CHECK(read.name[0] != '\0');
    FUZZ_CHECK(strlen(read.fingerprint.text) == FINGERPRINT_SIZE - 1);
    check_clean(read.name, ANNOUNCED_NAME_MAX);
    check_clean(read.version, ANNOUNCED_VERSION_MAX);
    AUTO_BUFFER struct buffer txt = {0};
    char label[SERVICE_LABEL_SIZE];
    announcement_write(&read, &txt);
    FUZZ_CHECK(announcement_read(buffer_text(&txt), &again, NULL) == OK);
    FUZZ_CHECK(memcmp(read.fingerprint.text, again.fingerprint.text, FINGERPRINT_SIZE) == 0);
    announcement_label(&read, 0, label);
    FUZZ_CHECK(text_is_utf8(text_of(label)));
    return 0;
}
