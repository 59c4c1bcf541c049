// path_check_absolute, path_check_relative: what they let through cannot lead out of a folder.
#include "catalog/catalog.h"
#include "catalog/path.h"
#include "fuzz.h"

static void check_harmless(struct text path)
{
    char copy[CATALOG_PATH_MAX + 3];
    FUZZ_CHECK(path.length > 0 && path.length <= CATALOG_PATH_MAX && text_is_utf8(path));
    int length = snprintf(copy, sizeof copy, "/%.*s/", TEXT_ARGS(path));
    FUZZ_CHECK(length == (int)path.length + 2);
    FUZZ_CHECK(!strstr(copy, "/../") && !strstr(copy, "/./") && !strchr(copy, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text path = fuzz_text(data, size);
    struct text last = TEXT_NONE;
    struct error error = {0};
    enum status absolute = path_check_absolute(path, &last, &error);
    if (absolute == OK) {
        check_harmless(path);
        FUZZ_CHECK(path.bytes[0] == '/' && last.length > 0 && !text_contains_byte(last, '/'));
    } else {
        FUZZ_CHECK(absolute == INVALID && error.detail[0] != '\0' && error.fix[0] != '\0');
    }
    if (path_check_relative(path, &error) == OK) {
        check_harmless(path);
        FUZZ_CHECK(path.bytes[0] != '/' && path.bytes[path.length - 1] != '/' && absolute != OK);
    }
    return 0;
}
