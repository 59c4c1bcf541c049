// file_page_read: any bytes as a page of files. Each file that is visited is fit to be looked for, and all together are within what was signed for.
#include "catalog/file_page.h"
#include "catalog/path.h"
#include "fuzz.h"

enum { FILES_SIGNED = 3, BYTES_SIGNED = 1000, VISITS_MAX = 2 };

struct visits {
    size_t count;
    int64_t bytes;
};

static enum status visit(void *context, const struct listed_file *file, struct error *error)
{
    struct visits *visits = context;
    FUZZ_CHECK(path_check_relative(file->path, NULL) == OK);
    FUZZ_CHECK(file->size_bytes >= 0);
    if (visits->count == VISITS_MAX) {
        return error_set(error, QUOTA, "enough");
    }
    visits->count++;
    visits->bytes += file->size_bytes;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file_allowance left = {.files = FILES_SIGNED, .bytes = BYTES_SIGNED};
    struct visits visits = {0};
    struct error error = {0};
    char *next = NULL;
    enum status status =
        file_page_read(fuzz_text(data, size), &left, visit, &visits, &next, &error);
    FUZZ_CHECK(visits.bytes <= BYTES_SIGNED && left.files >= 0 && left.bytes >= 0);
    if (status == OK) {
        FUZZ_CHECK(left.files == FILES_SIGNED - (int64_t)visits.count);
        FUZZ_CHECK(left.bytes == BYTES_SIGNED - visits.bytes);
        FUZZ_CHECK(!next || visits.count > 0);
    } else {
        FUZZ_CHECK((status == CORRUPT || status == QUOTA) && error.detail[0] != '\0' && !next);
    }
    free(next);
    return 0;
}
