// For jobs: is the dataset, at this moment, what is registered?
#include "base/memory.h"
#include "catalog/catalog_sql.h"
#include "catalog/inspect.h"
#include "catalog/parts.h"
#include "catalog/publish.h"
#include "catalog/root.h"
#include "catalog/rows.h"
#include "catalog/walk.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { CHECK_PAGE = 256 };

struct check {
    struct catalog *catalog;
    const struct dataset *dataset;
    struct root_cursor cursor;
    int64_t registered; // Files.
    int64_t found;      // By the walk.
    int64_t look_us;    // Wall clock, before the walk.
    struct dataset_look look;
    const struct dataset_root *root; // Under walk.
    bool is_naming;                  // The walk looks for the first file that is not registered.
};

// What is written down of one file.
struct finding {
    const struct catalog_publisher *publisher;
    int64_t number;
    const char *path; // NULL: it is no single registered file.
    const struct inspection *found;
    char problem[ERROR_DETAIL_MAX];
};

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
        error_fix(error, "wait until it is available: lode data show %.150s", found.id);
        return CONFLICT;
    case DATASET_CHANGED:
    case DATASET_FAILED:
        break;
    }
    (void)error_set(error, CONFLICT, "dataset %.150s is not as registered (%s): %.280s", found.id,
                    dataset_state_name(found.state), found.problem);
    error_fix(error, "%s", found.fix);
    return CONFLICT;
}

// Same content, new time or inode: these are what is registered from now on.
static enum status write_touched(struct sql *sql, void *context, struct error *error)
{
    const struct finding *finding = context;
    const struct file_facts *now = &finding->found->now;
    return sql_run(sql, SQL_FILE_FACTS,
                   SQL_VALUES(sql_int64(now->size_bytes), sql_int64(now->modified_us),
                              sql_int64(now->inode), sql_int64(now->changed_us),
                              sql_blob(now->digest.bytes, DIGEST_SIZE), sql_int64(finding->number),
                              sql_blob(finding->path, strlen(finding->path))),
                   NULL, error);
}

static enum status write_changed(struct sql *sql, void *context, struct error *error)
{
    const struct finding *finding = context;
    TRY(sql_run(sql, SQL_DATASET_MARK_CHANGED,
                SQL_VALUES(sql_text(text_of(finding->problem)), sql_text(TEXT(CHANGED_FIX)),
                           sql_int64(finding->number)),
                NULL, error));
    TRY(publish_dataset(finding->publisher, sql, finding->number, error));
    if (!finding->path) {
        return OK;
    }
    struct text state = text_of(dataset_file_state_name(finding->found->state));
    return sql_run(sql, SQL_FILE_STATE,
                   SQL_VALUES(sql_text(state), sql_int64(finding->number),
                              sql_blob(finding->path, strlen(finding->path))),
                   NULL, error);
}

// Notes the change, so that the next job need not look, and says it.
static enum status refuse(struct check *check, struct finding *finding, struct error *error)
{
    finding->number = check->dataset->number;
    finding->publisher = check->catalog->options.publisher;
    TRY(store_write_wait(check->catalog->options.store, write_changed, finding, error));
    (void)error_set(error, CONFLICT, "dataset %.150s: %.300s", check->dataset->id,
                    finding->problem);
    error_fix(error, "%s", CHANGED_FIX);
    return CONFLICT;
}

static enum status check_file(struct check *check, const struct dataset_file *file,
                              struct error *error)
{
    const struct dataset_root *root = &check->dataset->roots[file->root];
    struct meter meter = {0};
    struct inspection found = {.state = DATASET_FILE_UNREADABLE};
    struct file_facts registered = {
        .size_bytes = file->size_bytes,
        .modified_us = file->modified_us,
        .changed_us = file->changed_us,
        .inode = file->inode,
        .has_digest = file->has_digest,
        .digest = file->digest,
    };
    struct error wrong = {0};
    if (root_cursor_move(&check->cursor, root, &wrong) != OK) {
        (void)snprintf(found.problem, sizeof found.problem, "cannot be reached: %.300s",
                       wrong.detail);
    } else {
        TRY(inspect_file(check->cursor.fd, root_path_below(root, file->path), &registered,
                         INSPECT_QUICK, &meter, &found, error));
    }
    struct finding finding = {
        .number = check->dataset->number, .path = file->path, .found = &found};
    if (found.state == DATASET_FILE_OK) {
        return found.is_hashed
                   ? store_write_wait(check->catalog->options.store, write_touched, &finding, error)
                   : OK;
    }
    (void)snprintf(finding.problem, sizeof finding.problem, "%.300s %.150s", file->path,
                   found.problem);
    return refuse(check, &finding, error);
}

static enum status read_page(struct check *check, const char *after, struct arena *arena,
                             struct file_row *rows, size_t *count, struct error *error)
{
    struct sql *sql = NULL;
    struct store *store = check->catalog->options.store;
    TRY(store_read_begin(store, &sql, error));
    enum status status = rows_read_files(sql, check->dataset->number, text_of(after), CHECK_PAGE,
                                         arena, rows, count, error);
    store_read_end(store, sql);
    return status;
}

static enum status check_registered(struct check *check, struct error *error)
{
    AUTO_FREE struct file_row *rows = memory_new(CHECK_PAGE, sizeof *rows);
    char after[CATALOG_PATH_MAX + 1] = "";
    for (;;) {
        AUTO_ARENA struct arena arena = {0};
        size_t count = 0;
        TRY(read_page(check, after, &arena, rows, &count, error));
        for (size_t i = 0; i < count; i++) {
            if (rows[i].file.root < check->dataset->root_count && rows[i].file.has_digest) {
                TRY(check_file(check, &rows[i].file, error));
                check->registered++;
            }
        }
        if (count == 0) {
            return OK;
        }
        (void)snprintf(after, sizeof after, "%s", rows[count - 1].file.path);
    }
}

// The state is a sum, as a walk comes to the files in no order, of numbers that nobody can choose.
static void note_look(struct check *check, const struct stat *info)
{
    const int64_t facts[] = {(int64_t)info->st_ino, (int64_t)info->st_ctim.tv_sec,
                             (int64_t)info->st_ctim.tv_nsec};
    struct digest digest = digest_of(facts, sizeof facts);
    uint64_t number = 0;
    memcpy(&number, digest.bytes, sizeof number);
    check->look.state += number;
    check->look.is_settled = check->look.is_settled && is_settled(info, check->look_us);
}

// While naming, CONFLICT at the first file that is not registered, with its path as the text.
static enum status see(void *context, struct text path, const struct stat *info,
                       struct error *error)
{
    struct check *check = context;
    note_look(check, info);
    if (S_ISDIR(info->st_mode)) {
        return OK;
    }
    check->found++;
    if (!check->is_naming) {
        return OK;
    }
    AUTO_ARENA struct arena arena = {0};
    const char *mount = check->root->mount;
    const char *name = arena_format(&arena, "%s%s%.*s", mount, *mount ? "/" : "", TEXT_ARGS(path));
    struct store *store = check->catalog->options.store;
    struct sql *sql = NULL;
    struct file_row row;
    TRY(store_read_begin(store, &sql, error));
    enum status status =
        rows_find_file(sql, check->dataset->number, text_of(name), &arena, &row, error);
    store_read_end(store, sql);
    if (status == NOT_FOUND || (status == OK && !row.file.has_digest)) {
        return error_set(error, CONFLICT, "%.300s is not registered", name);
    }
    return status;
}

// A root that is a file. One that is missing is found by the check of the registered files.
static enum status see_single(struct check *check, struct error *error)
{
    struct stat info;
    const char *name = root_path_below(check->root, check->root->mount);
    if (fstatat(check->cursor.fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        enum status status = error_set_errno(
            error, errno, "cannot look at the registered file %.300s", check->root->path);
        error_fix(error, "put it back");
        return status;
    }
    check->found++;
    note_look(check, &info);
    return OK;
}

static enum status walk_roots(struct check *check, struct error *error)
{
    check->found = 0;
    check->look = (struct dataset_look){.is_settled = true};
    check->look_us = clock_real_us();
    for (size_t i = 0; i < check->dataset->root_count; i++) {
        check->root = &check->dataset->roots[i];
        TRY(root_cursor_move(&check->cursor, check->root, error));
        TRY(check->root->is_folder
                ? walk_folder(check->cursor.fd, check->root->path, NULL, see, check, error)
                : see_single(check, error));
    }
    return OK;
}

// All registered files are there: then a file more is one that is not registered, and a job would see it. `status` and `wrong` are of
// the walk that was made before.
static enum status check_others(struct check *check, enum status status, struct error *wrong,
                                struct error *error)
{
    if (status == OK && check->found > check->registered) {
        check->is_naming = true;
        status = walk_roots(check, wrong);
    }
    bool is_data =
        status == CONFLICT || status == INVALID || status == NOT_FOUND || status == DENIED;
    if (status != OK && is_data) {
        struct finding finding = {.path = NULL};
        (void)snprintf(finding.problem, sizeof finding.problem, "%s", wrong->detail);
        return refuse(check, &finding, error);
    }
    if (status != OK && error) {
        *error = *wrong;
    }
    return status;
}

enum status catalog_check_files(struct catalog *catalog, const struct dataset *dataset,
                                struct dataset_look *look, struct error *error)
{
    struct check check = {.catalog = catalog, .dataset = dataset};
    struct error wrong = {0};
    // The look comes first: what is touched after it, be it while files are checked, shows in the next one.
    enum status walked = walk_roots(&check, &wrong);
    struct dataset_look before = check.look;
    enum status status = check_registered(&check, error);
    if (status == OK) {
        status = check_others(&check, walked, &wrong, error);
    }
    root_cursor_done(&check.cursor);
    if (status == OK) {
        *look = before;
    }
    return status;
}

enum status catalog_look(struct catalog *catalog, const struct dataset *dataset,
                         struct dataset_look *look, struct error *error)
{
    struct check check = {.catalog = catalog, .dataset = dataset};
    enum status status = walk_roots(&check, error);
    root_cursor_done(&check.cursor);
    if (status == OK) {
        *look = check.look;
    }
    return status;
}
