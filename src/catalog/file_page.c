#include "catalog/file_page.h"

#include "base/hex.h"
#include "base/json.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/path.h"

static enum status read_item(const json_t *item, struct listed_file *out, struct error *error)
{
    struct text digest = TEXT_NONE;
    TRY(json_field_text(item, "path", JSON_REQUIRED, CATALOG_PATH_MAX, &out->path, error));
    TRY(json_field_text(item, "digest", JSON_REQUIRED, DIGEST_TEXT_SIZE, &digest, error));
    TRY(json_field_int64(item, "size_bytes", JSON_REQUIRED, 0, INT64_MAX, &out->size_bytes, error));
    TRY(digest_from_text(digest, &out->digest, error));
    return path_check_relative(out->path, error);
}

static enum status allow(struct file_allowance *left, const struct listed_file *file,
                         struct error *error)
{
    if (left->files < 1 || left->bytes < file->size_bytes) {
        return error_set(error, CORRUPT, "more is listed of the dataset than was signed for");
    }
    left->files--;
    left->bytes -= file->size_bytes;
    return OK;
}

static enum status read_page(struct text text, json_t **page, json_t **files, struct text *next,
                             struct error *error)
{
    TRY(json_parse(text, page, error));
    TRY(json_field_array(*page, "files", JSON_REQUIRED, FILE_PAGE_MAX, files, error));
    return json_field_text(*page, "next", JSON_OPTIONAL, CATALOG_PATH_MAX, next, error);
}

// What is wrong with the other site's answer is not wrong with the request of who asked here.
static enum status blame_list(enum status status, struct error *error)
{
    struct error cause = error ? *error : (struct error){0};
    return status == OK ? OK
                        : error_set(error, CORRUPT, "the list of files cannot be read: %.400s",
                                    cause.detail);
}

enum status file_page_read(struct text page, struct file_allowance *left, listed_file_fn *visit,
                           void *context, char **next, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    json_t *files = NULL;
    struct text cursor = TEXT_NONE;
    TRY(blame_list(read_page(page, &document, &files, &cursor, error), error));
    for (size_t i = 0; i < json_array_size(files); i++) {
        struct listed_file file = {0};
        TRY(blame_list(read_item(json_array_get(files, i), &file, error), error));
        TRY(allow(left, &file, error));
        TRY(visit(context, &file, error));
    }
    // A page without files has no next one, whatever it says.
    *next = cursor.length > 0 && json_array_size(files) > 0 ? text_copy(cursor) : NULL;
    return OK;
}

char *file_page_path(struct text dataset, const char *cursor)
{
    struct buffer path = {0};
    buffer_append_string(&path, "/v1/datasets/");
    percent_append(&path, dataset);
    buffer_printf(&path, "/files?limit=%d", FILE_PAGE_MAX);
    if (cursor) {
        buffer_append_string(&path, "&cursor=");
        percent_append(&path, text_of(cursor));
    }
    return path.bytes;
}
