#include "catalog/register.h"

#include "base/memory.h"
#include "catalog/catalog_sql.h"
#include "catalog/parts.h"
#include "catalog/path.h"
#include "catalog/publish.h"
#include "catalog/rows.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static struct sql_value bytes_of(struct text text)
{
    return sql_blob(text.bytes, text.length);
}

static enum status find_root(struct text path, struct arena *arena, struct dataset_root *out,
                             struct error *error)
{
    struct text mount = TEXT_NONE;
    TRY(path_check_absolute(path, &mount, error));
    const char *given = arena_copy(arena, path);
    char real[PATH_MAX];
    // Without waiting, should it be a pipe.
    AUTO_CLOSE int fd = open(given, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0 || !realpath(given, real)) {
        enum status status = error_set_errno(error, errno, "cannot read path %.300s", given);
        error_fix(error, "check the name on the site's machine, and that the site's user "
                         "may read it and pass through the folders above");
        return status;
    }
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
        (void)error_set(error, INVALID, "path %.300s is neither a file nor a folder", given);
        error_fix(error, "give a file or folder");
        return INVALID;
    }
    *out = (struct dataset_root){
        .path = arena_copy(arena, text_of(real)),
        .mount = arena_copy(arena, mount),
        .is_folder = S_ISDIR(info.st_mode),
    };
    return OK;
}

static int compare_roots(const void *a, const void *b)
{
    const struct dataset_root *left = a;
    const struct dataset_root *right = b;
    return strcmp(left->mount, right->mount);
}

static enum status find_roots(const struct dataset_request *request, struct arena *arena,
                              struct registration *out, struct error *error)
{
    if (request->path_count == 0 || request->path_count > CATALOG_ROOTS_MAX) {
        (void)error_set(error, INVALID, "a dataset has 1 to %d paths, not %zu", CATALOG_ROOTS_MAX,
                        request->path_count);
        error_fix(error, "register the folder that the files lie in");
        return INVALID;
    }
    out->roots = arena_new(arena, request->path_count * sizeof *out->roots);
    for (size_t i = 0; i < request->path_count; i++) {
        TRY(find_root(request->paths[i], arena, &out->roots[i], error));
    }
    out->root_count = request->path_count;
    qsort(out->roots, out->root_count, sizeof *out->roots, compare_roots);
    for (size_t i = 1; i < out->root_count; i++) {
        if (strcmp(out->roots[i - 1].mount, out->roots[i].mount) == 0) {
            (void)error_set(error, INVALID,
                            "two paths are both called \"%.200s\": %.120s and %.120s",
                            out->roots[i].mount, out->roots[i - 1].path, out->roots[i].path);
            error_fix(error, "register the folder above them, or two datasets");
            return INVALID;
        }
    }
    if (out->root_count == 1 && out->roots[0].is_folder) {
        out->roots[0].mount = "";
    }
    return OK;
}

static enum status find_names(const struct dataset_request *request, struct arena *arena,
                              struct registration *out, struct error *error)
{
    TRY(identifier_parse(request->id, &out->id, error));
    if (request->alias_count > CATALOG_ALIASES_MAX) {
        return error_set(error, INVALID, "a dataset has at most %d aliases, not %zu",
                         CATALOG_ALIASES_MAX, request->alias_count);
    }
    out->aliases = arena_new(arena, (request->alias_count + 1) * sizeof *out->aliases);
    for (size_t i = 0; i < request->alias_count; i++) {
        TRY(identifier_parse(request->aliases[i], &out->aliases[i], error));
    }
    out->alias_count = request->alias_count;
    if (request->title.length > CATALOG_TITLE_MAX || !text_is_utf8(request->title) ||
        text_has_control(request->title)) {
        (void)error_set(error, INVALID, "the title passes %d bytes, or is not one line of UTF-8",
                        CATALOG_TITLE_MAX);
        error_fix(error, "shorten it");
        return INVALID;
    }
    out->title = request->title;
    out->owner = request->owner;
    out->witness = request->witness;
    return OK;
}

enum status registration_prepare(const struct dataset_request *request, struct arena *arena,
                                 struct registration *out, struct error *error)
{
    TRY(find_names(request, arena, out, error));
    return find_roots(request, arena, out, error);
}

static enum status add_alias(struct sql *sql, int64_t number, const struct identifier *alias,
                             struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct text name = identifier_text(alias);
    enum status status = sql_first(sql, SQL_DATASET_FIND, SQL_VALUES(bytes_of(name)), &rows, error);
    if (status == OK && sql_column_int64(rows, 0) != number) {
        struct text other = sql_column_text(rows, 1);
        (void)error_set(error, CONFLICT, "%.200s already names the dataset %.*s", alias->bytes,
                        TEXT_ARGS(text_slice(other, 0, 200)));
        error_fix(error, "leave that alias out, or remove the other dataset first");
        return CONFLICT;
    }
    if (status != NOT_FOUND) {
        return status;
    }
    return sql_run(sql, SQL_ALIAS_ADD, SQL_VALUES(bytes_of(name), sql_int64(number)), NULL, error);
}

static enum status add_aliases(struct sql *sql, int64_t number, const struct registration *from,
                               struct error *error)
{
    for (size_t i = 0; i < from->alias_count; i++) {
        TRY(add_alias(sql, number, &from->aliases[i], error));
    }
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_ALIAS_LIST, SQL_VALUES(sql_int64(number)), &rows, error));
    enum status status = OK;
    size_t count = 0;
    while (sql_next(rows, &status, error)) {
        count++;
    }
    if (status == OK && count > CATALOG_ALIASES_MAX + 1) {
        return error_set(error, QUOTA, "%s would have more than %d aliases", from->id.bytes,
                         CATALOG_ALIASES_MAX);
    }
    return status;
}

static enum status add_dataset(struct sql *sql, struct registration *from, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_DATASET_NUMBER, SQL_NO_VALUES, &rows, error));
    int64_t number = sql_column_int64(rows, 0);
    struct text id = identifier_text(&from->id);
    TRY(sql_run(sql, SQL_DATASET_ADD,
                SQL_VALUES(sql_int64(number), bytes_of(id), sql_text(from->title),
                           sql_text(from->owner), sql_int64(from->now_us)),
                NULL, error));
    TRY(sql_run(sql, SQL_ALIAS_ADD, SQL_VALUES(bytes_of(id), sql_int64(number)), NULL, error));
    for (size_t i = 0; i < from->root_count; i++) {
        const struct dataset_root *root = &from->roots[i];
        struct text kind = root->is_folder ? TEXT("folder") : TEXT("file");
        TRY(sql_run(sql, SQL_ROOT_ADD,
                    SQL_VALUES(sql_int64(number), sql_int64((int64_t)i),
                               bytes_of(text_of(root->path)), bytes_of(text_of(root->mount)),
                               sql_text(kind)),
                    NULL, error));
    }
    from->is_new = true;
    from->is_ordered = true;
    return add_aliases(sql, number, from, error);
}

static bool has_same_roots(const struct dataset *dataset, const struct registration *from)
{
    bool is_same = dataset->root_count == from->root_count;
    for (size_t i = 0; is_same && i < from->root_count; i++) {
        const struct dataset_root *a = &dataset->roots[i];
        const struct dataset_root *b = &from->roots[i];
        is_same = strcmp(a->path, b->path) == 0 && strcmp(a->mount, b->mount) == 0 &&
                  a->is_folder == b->is_folder;
    }
    return is_same;
}

static enum status resume_dataset(struct sql *sql, struct registration *from,
                                  const struct dataset *known, struct error *error)
{
    if (!has_same_roots(known, from)) {
        (void)error_set(error, CONFLICT, "%.200s is registered with other paths, the first %.200s",
                        known->id, known->root_count > 0 ? known->roots[0].path : "none");
        error_fix(error, "lode data remove %.150s, then register it anew", known->id);
        return CONFLICT;
    }
    TRY(add_aliases(sql, known->number, from, error));
    TRY(publish_dataset(from->publisher, sql, known->number, error));
    if (known->state != DATASET_FAILED) {
        return OK;
    }
    from->is_ordered = true;
    return sql_run(sql, SQL_DATASET_BEGIN,
                   SQL_VALUES(sql_text(TEXT("registering")), sql_text(TEXT("register")),
                              sql_int64(known->number)),
                   NULL, error);
}

enum status registration_write(struct sql *sql, void *context, struct error *error)
{
    struct registration *from = context;
    AUTO_ARENA struct arena arena = {0};
    struct dataset known;
    enum status status = rows_find_dataset(sql, identifier_text(&from->id), &arena, &known, error);
    if (status != OK && status != NOT_FOUND) {
        return status;
    }
    TRY(status == OK ? resume_dataset(sql, from, &known, error) : add_dataset(sql, from, error));
    return witness_write(&from->witness, sql, error);
}
