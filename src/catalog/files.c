// The files of registered datasets: listing and opening.
#include "base/memory.h"
#include "catalog/inspect.h"
#include "catalog/parts.h"
#include "catalog/path.h"
#include "catalog/root.h"
#include "catalog/rows.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>

enum status catalog_files(struct catalog *catalog, int64_t number, struct text after, size_t limit,
                          struct arena *arena, struct dataset_file *out, size_t *count,
                          struct error *error)
{
    struct file_row *rows = arena_new(arena, (limit + 1) * sizeof *rows);
    size_t found = 0;
    struct sql *sql = NULL;
    TRY(store_read_begin(catalog->options.store, &sql, error));
    enum status status = rows_read_files(sql, number, after, limit, arena, rows, &found, error);
    store_read_end(catalog->options.store, sql);
    TRY(status);
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
        error_fix(error, "lode data show --files %.150s lists them", dataset->id);
        return NOT_FOUND;
    }
    TRY(status);
    if (!row.file.has_digest) {
        (void)error_set(error, CONFLICT, "%.300s has no checksum yet", row.file.path);
        error_fix(error, "wait until %.150s is available, or lode data verify it", dataset->id);
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
    // What was only touched (a mode, an owner, a link) is given out: whether a job may use it is decided by its checksum.
    struct file_facts registered = {.size_bytes = file.size_bytes,
                                    .modified_us = file.modified_us,
                                    .changed_us = now.changed_us,
                                    .inode = file.inode};
    if (!S_ISREG(info.st_mode) || !file_facts_fit(&now, &registered)) {
        (void)error_set(error, CONFLICT, "%.300s is not as it was registered", file.path);
        error_fix(error, "lode data verify %.150s", dataset->id);
        return CONFLICT;
    }
    *out = file;
    *fd = file_take_fd(&opened);
    return OK;
}
