// The files of registered datasets: listing, opening, and looking whether they are still as registered.
#include "base/memory.h"
#include "catalog/catalog_sql.h"
#include "catalog/inspect.h"
#include "catalog/parts.h"
#include "catalog/path.h"
#include "catalog/root.h"
#include "catalog/rows.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { CHECK_PAGE = 256 };

static enum status read_rows(struct catalog *catalog, int64_t number, struct text after,
                             size_t limit, struct arena *arena, struct file_row *out, size_t *count,
                             struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(catalog->options.store, &sql, error));
    enum status status = rows_read_files(sql, number, after, limit, arena, out, count, error);
    store_read_end(catalog->options.store, sql);
    return status;
}

enum status catalog_files(struct catalog *catalog, int64_t number, struct text after, size_t limit,
                          struct arena *arena, struct dataset_file *out, size_t *count,
                          struct error *error)
{
    struct file_row *rows = arena_new(arena, (limit + 1) * sizeof *rows);
    size_t found = 0;
    TRY(read_rows(catalog, number, after, limit, arena, rows, &found, error));
    for (size_t i = 0; i < found; i++) {
        out[i] = rows[i].file;
    }
    *count = found;
    return OK;
}

const char *catalog_file_source(const struct dataset *dataset, const struct dataset_file *file,
                                struct arena *arena)
{
    const struct dataset_root *root = &dataset->roots[file->root];
    if (!root->is_folder) {
        return root->path;
    }
    return arena_format(arena, "%s/%s", root->path, root_path_below(root, file->path));
}

static enum status find_file(struct catalog *catalog, const struct dataset *dataset,
                             struct text path, struct arena *arena, struct dataset_file *out,
                             struct error *error)
{
    struct sql *sql = NULL;
    struct file_row row;
    TRY(path_check_relative(path, error));
    TRY(store_read_begin(catalog->options.store, &sql, error));
    enum status status = rows_find_file(sql, dataset->number, path, arena, &row, error);
    store_read_end(catalog->options.store, sql);
    if (status == NOT_FOUND || (status == OK && row.file.root >= dataset->root_count)) {
        (void)error_set(error, NOT_FOUND, "%.150s has no file %.300s", dataset->id,
                        arena_copy(arena, path));
        (void)error_fix(error, "lode data show --files %.150s lists them", dataset->id);
        return NOT_FOUND;
    }
    TRY(status);
    if (!row.file.has_digest) {
        (void)error_set(error, CONFLICT, "%.300s has no checksum yet", row.file.path);
        (void)error_fix(error, "wait until %.150s is available, or lode data verify it",
                        dataset->id);
        return CONFLICT;
    }
    *out = row.file;
    return OK;
}

enum status catalog_open_file(struct catalog *catalog, const struct dataset *dataset,
                              struct text path, int *fd, struct dataset_file *out,
                              struct arena *arena, struct error *error)
{
    struct dataset_file file;
    TRY(find_file(catalog, dataset, path, arena, &file, error));
    const struct dataset_root *root = &dataset->roots[file.root];
    AUTO_CLOSE int folder_fd = -1;
    AUTO_CLOSE int opened = -1;
    TRY(root_open(root, &folder_fd, error));
    TRY(file_open_beneath(folder_fd, root_path_below(root, file.path), O_RDONLY | O_NONBLOCK, 0,
                          &opened, error));
    struct stat info;
    if (fstat(opened, &info) < 0) {
        return error_set_errno(error, errno, "cannot look at %.300s", file.path);
    }
    struct file_facts now = file_facts_of(&info);
    struct file_facts registered = {
        .size_bytes = file.size_bytes, .modified_us = file.modified_us, .inode = file.inode};
    if (!S_ISREG(info.st_mode) || !file_facts_fit(&now, &registered)) {
        (void)error_set(error, CONFLICT, "%.300s is not as it was registered", file.path);
        (void)error_fix(error, "lode data verify %.150s", dataset->id);
        return CONFLICT;
    }
    *out = file;
    *fd = file_take_fd(&opened);
    return OK;
}

enum status catalog_resolve_for_job(struct catalog *catalog, struct text id, struct arena *arena,
                                    struct dataset *out, struct error *error)
{
    struct dataset found;
    TRY(catalog_find(catalog, id, arena, &found, error));
    switch (found.state) {
    case DATASET_AVAILABLE:
        *out = found;
        return OK;
    case DATASET_REGISTERING:
    case DATASET_VERIFYING:
        (void)error_set(error, CONFLICT, "dataset %.200s is %s: %lld of %lld files are done",
                        found.id, dataset_state_name(found.state),
                        (long long)found.progress.files_done,
                        (long long)found.progress.files_total);
        (void)error_fix(error, "wait until it is available: lode data show %.150s", found.id);
        return CONFLICT;
    case DATASET_CHANGED:
    case DATASET_FAILED:
        break;
    }
    (void)error_set(error, CONFLICT, "dataset %.150s is not as registered (%s): %.280s", found.id,
                    dataset_state_name(found.state), found.problem);
    (void)error_fix(error, "%s", found.fix);
    return CONFLICT;
}

struct finding {
    int64_t number;
    const char *path;
    const struct inspection *found;
    char problem[ERROR_DETAIL_MAX];
};

static const char CHANGED_FIX[] =
    "put the files back, or register what is there now: lode data verify --accept-changes";

// Same content, new time or inode: these are what is registered from now on.
static enum status write_touched(struct sql *sql, void *context, struct error *error)
{
    const struct finding *finding = context;
    const struct file_facts *now = &finding->found->now;
    return sql_run(sql, SQL_FILE_FACTS,
                   SQL_VALUES(sql_int64(now->size_bytes), sql_int64(now->modified_us),
                              sql_int64(now->inode), sql_blob(now->digest.bytes, DIGEST_SIZE),
                              sql_int64(finding->number),
                              sql_blob(finding->path, strlen(finding->path))),
                   NULL, error);
}

static enum status write_changed(struct sql *sql, void *context, struct error *error)
{
    const struct finding *finding = context;
    struct text state = text_of(dataset_file_state_name(finding->found->state));
    TRY(sql_run(sql, SQL_DATASET_MARK_CHANGED,
                SQL_VALUES(sql_text(text_of(finding->problem)), sql_text(text_of(CHANGED_FIX)),
                           sql_int64(finding->number)),
                NULL, error));
    return sql_run(sql, SQL_FILE_STATE,
                   SQL_VALUES(sql_text(state), sql_int64(finding->number),
                              sql_blob(finding->path, strlen(finding->path))),
                   NULL, error);
}

static enum status check_file(struct catalog *catalog, const struct dataset *dataset,
                              const struct dataset_file *file, struct root_cursor *cursor,
                              struct error *error)
{
    const struct dataset_root *root = &dataset->roots[file->root];
    struct meter meter = {0};
    struct inspection found = {.state = DATASET_FILE_UNREADABLE};
    struct file_facts registered = {
        .size_bytes = file->size_bytes,
        .modified_us = file->modified_us,
        .inode = file->inode,
        .has_digest = file->has_digest,
        .digest = file->digest,
    };
    struct error wrong = {0};
    if (root_cursor_move(cursor, root, &wrong) != OK) {
        (void)snprintf(found.problem, sizeof found.problem, "cannot be reached: %.300s",
                       wrong.detail);
    } else {
        TRY(inspect_file(cursor->fd, root_path_below(root, file->path), &registered, INSPECT_QUICK,
                         &meter, &found, error));
    }
    struct finding finding = {.number = dataset->number, .path = file->path, .found = &found};
    if (found.state == DATASET_FILE_OK) {
        return found.is_hashed
                   ? store_write_wait(catalog->options.store, write_touched, &finding, error)
                   : OK;
    }
    (void)snprintf(finding.problem, sizeof finding.problem, "%.300s %.150s", file->path,
                   found.problem);
    TRY(store_write_wait(catalog->options.store, write_changed, &finding, error));
    (void)error_set(error, CONFLICT, "dataset %.150s: %.300s", dataset->id, finding.problem);
    (void)error_fix(error, "%s", CHANGED_FIX);
    return CONFLICT;
}

enum status catalog_check_files(struct catalog *catalog, const struct dataset *dataset,
                                struct error *error)
{
    AUTO_ROOT struct root_cursor cursor = {0};
    AUTO_FREE struct file_row *rows = memory_new(CHECK_PAGE, sizeof *rows);
    char after[CATALOG_PATH_MAX + 1] = "";
    for (;;) {
        AUTO_ARENA struct arena arena = {0};
        size_t count = 0;
        TRY(read_rows(catalog, dataset->number, text_of(after), CHECK_PAGE, &arena, rows, &count,
                      error));
        for (size_t i = 0; i < count; i++) {
            if (rows[i].file.root < dataset->root_count && rows[i].file.has_digest) {
                TRY(check_file(catalog, dataset, &rows[i].file, &cursor, error));
            }
        }
        if (count == 0) {
            return OK;
        }
        (void)snprintf(after, sizeof after, "%s", rows[count - 1].file.path);
    }
}
