#include "catalog/path.h"

#include "catalog/catalog.h"

enum { SHOWN_MAX = 300 };

static bool is_plain(struct text path)
{
    return path.length > 0 && path.length <= CATALOG_PATH_MAX && text_is_utf8(path) &&
           !text_has_control(path);
}

static enum status refuse(struct text path, const char *why, struct error *error)
{
    (void)error_set(error, INVALID, "path \"%.*s\" %s", TEXT_ARGS(text_slice(path, 0, SHOWN_MAX)),
                    why);
    error_fix(error, "give the absolute path of a file or folder on the site's machine");
    return INVALID;
}

enum status path_check_absolute(struct text path, struct text *last, struct error *error)
{
    if (!is_plain(path)) {
        (void)error_set(error, INVALID,
                        "a path of %zu bytes is empty, over %d bytes, not UTF-8 or has control "
                        "characters",
                        path.length, CATALOG_PATH_MAX);
        error_fix(error, "rename the file or folder, or register a folder above it");
        return INVALID;
    }
    if (path.bytes[0] != '/') {
        return refuse(path, "is not absolute", error);
    }
    struct text rest = path;
    struct text part;
    struct text found = TEXT_NONE;
    while (text_next_part(&rest, '/', &part)) {
        if (text_equal(part, TEXT("..")) || text_equal(part, TEXT("."))) {
            return refuse(path, "has a part \".\" or \"..\"", error);
        }
        found = part.length > 0 ? part : found;
    }
    if (found.length == 0) {
        return refuse(path, "is the whole machine; register a folder of it", error);
    }
    *last = found;
    return OK;
}

enum status path_check_relative(struct text path, struct error *error)
{
    struct text rest = path;
    struct text part;
    bool is_fine = is_plain(path);
    while (is_fine && text_next_part(&rest, '/', &part)) {
        is_fine = part.length > 0 && !text_equal(part, TEXT(".")) && !text_equal(part, TEXT(".."));
    }
    if (is_fine) {
        return OK;
    }
    (void)error_set(error, INVALID,
                    "the path of a file in a dataset is relative, of at most %d bytes of UTF-8, "
                    "without control characters and without empty parts, \".\" or \"..\"",
                    CATALOG_PATH_MAX);
    error_fix(error, "use a path as the list of the dataset's files has it");
    return INVALID;
}
