#include "catalog/survey.h"

#include "base/hex.h"
#include "base/memory.h"
#include "catalog/catalog_sql.h"
#include "catalog/inspect.h"
#include "catalog/parts.h"
#include "catalog/publish.h"
#include "catalog/root.h"
#include "catalog/rows.h"
#include "catalog/walk.h"
#include "os/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

enum { SEEN_BATCH = 512, JUDGED_BATCH = 256 };
// A batch is judged and written when it has this many bytes to read, so that a crash costs no more; but two files, for two threads.
#define JUDGED_BATCH_BYTES (INT64_C(1) << 30)

struct seen_file {
    char *path; // In the dataset; heap.
    size_t root;
    struct file_facts facts;
};

struct survey {
    struct store *store;
    const struct catalog_publisher *publisher;
    struct survey_order order;
    struct meter *meter;
    struct arena arena; // The roots.
    struct dataset_root *roots;
    size_t root_count;
    bool is_void; // The dataset was removed, or a later survey was ordered.

    size_t root_at; // Under walk.
    struct seen_file seen[SEEN_BATCH];
    size_t seen_count;

    struct file_row *rows; // One page, and how each was found.
    struct inspection *found;
    size_t judged_from;
    size_t judged_to;
    atomic_size_t judged_next;

    int64_t amiss_count;
    char problem[ERROR_DETAIL_MAX]; // The first thing amiss.
    char fix[ERROR_FIX_MAX];

    struct digest_stream *stream; // Of the content, while it is summed up.
    bool has_content;
    int64_t file_count;
    int64_t size_bytes;
    struct digest digest;
};

static const struct {
    const char *name;
    bool is_first;
    bool is_full;
    bool is_accepting;
} WORKS[] = {
    {"register", true, false, true},     {"verify", false, false, false},
    {"verify_full", false, true, false}, {"accept", false, false, true},
    {"accept_full", false, true, true},
};

const char *survey_work_name(bool is_first, bool is_full, bool is_accepting)
{
    return WORKS[is_first ? 0 : 1 + (is_full ? 1 : 0) + (is_accepting ? 2 : 0)].name;
}

enum status survey_next(struct store *store, struct survey_order *out, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(store, &sql, error));
    struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_SURVEY_NEXT, SQL_NO_VALUES, &rows, error);
    if (status == OK) {
        size_t at = 0;
        while (at + 1 < sizeof WORKS / sizeof WORKS[0] &&
               !text_equal(sql_column_text(rows, 2), text_of(WORKS[at].name))) {
            at++;
        }
        *out = (struct survey_order){
            .dataset = sql_column_int64(rows, 0),
            .serial = sql_column_int64(rows, 1),
            .is_first = WORKS[at].is_first,
            .is_full = WORKS[at].is_full,
            .is_accepting = WORKS[at].is_accepting,
        };
    }
    sql_end(rows);
    store_read_end(store, sql);
    return status;
}

static struct sql_value bytes_of(const char *string)
{
    return sql_blob(string, strlen(string));
}

static void note_amiss(struct survey *survey, const char *problem, const char *fix)
{
    if (survey->amiss_count++ == 0) {
        (void)snprintf(survey->problem, sizeof survey->problem, "%s", problem);
        (void)snprintf(survey->fix, sizeof survey->fix, "%s", fix);
    }
}

// Every write of a survey begins with this: what is void changes nothing.
static enum status check_current(struct survey *survey, struct sql *sql, struct error *error)
{
    struct sql_rows *rows = NULL;
    enum status status =
        sql_first(sql, SQL_SURVEY_IS_CURRENT,
                  SQL_VALUES(sql_int64(survey->order.dataset), sql_int64(survey->order.serial)),
                  &rows, error);
    survey->is_void = status == NOT_FOUND;
    sql_end(rows);
    return status;
}

static enum status write_seen(struct sql *sql, void *context, struct error *error)
{
    struct survey *survey = context;
    TRY(check_current(survey, sql, error));
    for (size_t i = 0; i < survey->seen_count; i++) {
        const struct seen_file *seen = &survey->seen[i];
        TRY(sql_run(sql, SQL_FILE_SEEN,
                    SQL_VALUES(sql_int64(survey->order.dataset), bytes_of(seen->path),
                               sql_int64((int64_t)seen->root), sql_int64(survey->order.serial),
                               sql_int64(seen->facts.size_bytes),
                               sql_int64(seen->facts.modified_us), sql_int64(seen->facts.inode),
                               sql_int64(seen->facts.changed_us)),
                    NULL, error));
    }
    return OK;
}

static void forget_seen(struct survey *survey)
{
    while (survey->seen_count > 0) {
        free(survey->seen[--survey->seen_count].path);
    }
}

static enum status flush_seen(struct survey *survey, struct error *error)
{
    enum status status = store_write_wait(survey->store, write_seen, survey, error);
    forget_seen(survey);
    return status;
}

static enum status see_file(void *context, struct text path, const struct stat *info,
                            struct error *error)
{
    struct survey *survey = context;
    if (S_ISDIR(info->st_mode)) {
        return OK;
    }
    const char *mount = survey->roots[survey->root_at].mount;
    const char *separator = path.length > 0 && mount[0] != '\0' ? "/" : "";
    if (strlen(mount) + 1 + path.length > CATALOG_PATH_MAX) {
        (void)error_set(error, INVALID, "%.300s has a path that is too long", mount);
        error_fix(error, "register a folder further down");
        return INVALID;
    }
    survey->seen[survey->seen_count++] = (struct seen_file){
        .path = memory_format("%s%s%.*s", mount, separator, TEXT_ARGS(path)),
        .root = survey->root_at,
        .facts = file_facts_of(info),
    };
    atomic_fetch_add(&survey->meter->files_total, 1);
    atomic_fetch_add(&survey->meter->bytes_total, info->st_size);
    return survey->seen_count == SEEN_BATCH ? flush_seen(survey, error) : OK;
}

static enum status walk_file_root(struct survey *survey, int folder_fd, struct error *error)
{
    const struct dataset_root *root = &survey->roots[survey->root_at];
    struct stat info;
    if (fstatat(folder_fd, root_path_below(root, root->mount), &info, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(info.st_mode)) {
        (void)error_set(error, INVALID, "the registered file %.300s is missing", root->path);
        error_fix(error, "put it back");
        return INVALID;
    }
    return see_file(survey, TEXT_NONE, &info, error);
}

static enum status walk_root(struct survey *survey, struct error *error)
{
    const struct dataset_root *root = &survey->roots[survey->root_at];
    AUTO_CLOSE int fd = -1;
    TRY(root_open(root, &fd, error));
    if (!root->is_folder) {
        return walk_file_root(survey, fd, error);
    }
    return walk_folder(fd, root->path, &survey->meter->is_stopped, see_file, survey, error);
}

// What is wrong with the data is noted as amiss; other failures are returned.
static enum status walk_roots(struct survey *survey, struct error *error)
{
    for (survey->root_at = 0; survey->root_at < survey->root_count; survey->root_at++) {
        struct error wrong = {0};
        enum status status = walk_root(survey, &wrong);
        if (survey->is_void || (status != OK && atomic_load(&survey->meter->is_stopped))) {
            return error_set(error, TIMEOUT, "the survey was stopped");
        }
        bool is_data = status == INVALID || status == NOT_FOUND || status == DENIED;
        if (status != OK && !is_data) {
            if (error) {
                *error = wrong;
            }
            return status;
        }
        if (is_data) {
            note_amiss(survey, wrong.detail, wrong.fix);
            return OK;
        }
    }
    return flush_seen(survey, error);
}

static enum inspect_mode mode_of(const struct survey_order *order)
{
    if (order->is_full) {
        return INSPECT_FULL;
    }
    return order->is_accepting ? INSPECT_ACCEPT : INSPECT_QUICK;
}

static enum status judge_file(struct survey *survey, size_t at, struct root_cursor *cursor)
{
    const struct file_row *row = &survey->rows[at];
    struct inspection *found = &survey->found[at];
    if (row->survey != survey->order.serial || row->file.root >= survey->root_count) {
        *found = (struct inspection){.state = DATASET_FILE_MISSING, .problem = "is missing"};
        return OK;
    }
    if (!row->file.has_digest && !survey->order.is_accepting) {
        *found = (struct inspection){.state = DATASET_FILE_NEW, .problem = "is not registered"};
        return OK;
    }
    const struct dataset_root *root = &survey->roots[row->file.root];
    struct error error = {0};
    if (root_cursor_move(cursor, root, &error) != OK) {
        *found = (struct inspection){.state = DATASET_FILE_UNREADABLE};
        (void)snprintf(found->problem, sizeof found->problem, "%s", error.detail);
        return OK;
    }
    struct file_facts registered = {
        .size_bytes = row->file.size_bytes,
        .modified_us = row->file.modified_us,
        .changed_us = row->file.changed_us,
        .inode = row->file.inode,
        .has_digest = row->file.has_digest,
        .digest = row->file.digest,
    };
    return inspect_file(cursor->fd, root_path_below(root, row->file.path), &registered,
                        mode_of(&survey->order), survey->meter, found, &error);
}

// Both threads run this; each takes the next file of the batch until there is none.
static void *judge_files(void *context)
{
    struct survey *survey = context;
    AUTO_ROOT struct root_cursor cursor = {0};
    for (;;) {
        size_t at = atomic_fetch_add(&survey->judged_next, 1);
        if (at >= survey->judged_to || judge_file(survey, at, &cursor) != OK) {
            return NULL;
        }
        atomic_fetch_add(&survey->meter->files_done, 1);
    }
}

static enum status write_found(struct survey *survey, struct sql *sql, size_t at,
                               struct error *error)
{
    const struct file_row *row = &survey->rows[at];
    const struct inspection *found = &survey->found[at];
    struct sql_value dataset = sql_int64(survey->order.dataset);
    bool is_taken =
        found->is_hashed && (survey->order.is_accepting || found->state == DATASET_FILE_OK);
    if (is_taken) {
        return sql_run(sql, SQL_FILE_FACTS,
                       SQL_VALUES(sql_int64(found->now.size_bytes),
                                  sql_int64(found->now.modified_us), sql_int64(found->now.inode),
                                  sql_int64(found->now.changed_us),
                                  sql_blob(found->now.digest.bytes, DIGEST_SIZE), dataset,
                                  bytes_of(row->file.path)),
                       NULL, error);
    }
    bool is_gone = found->state == DATASET_FILE_MISSING &&
                   (survey->order.is_accepting || !row->file.has_digest);
    if (is_gone) {
        return sql_run(sql, SQL_FILE_DELETE, SQL_VALUES(dataset, bytes_of(row->file.path)), NULL,
                       error);
    }
    if (found->state == row->file.state) {
        return OK;
    }
    struct text state = text_of(dataset_file_state_name(found->state));
    return sql_run(sql, SQL_FILE_STATE,
                   SQL_VALUES(sql_text(state), dataset, bytes_of(row->file.path)), NULL, error);
}

static enum status write_judged(struct sql *sql, void *context, struct error *error)
{
    struct survey *survey = context;
    TRY(check_current(survey, sql, error));
    for (size_t at = survey->judged_from; at < survey->judged_to; at++) {
        TRY(write_found(survey, sql, at, error));
    }
    return OK;
}

static void note_found(struct survey *survey, size_t at)
{
    const struct file_row *row = &survey->rows[at];
    const struct inspection *found = &survey->found[at];
    bool is_gone = found->state == DATASET_FILE_MISSING &&
                   (survey->order.is_accepting || !row->file.has_digest);
    bool is_taken = found->is_hashed && survey->order.is_accepting;
    if (found->state == DATASET_FILE_OK || is_gone || is_taken) {
        return;
    }
    char problem[ERROR_DETAIL_MAX];
    (void)snprintf(problem, sizeof problem, "%.300s %.150s", row->file.path, found->problem);
    note_amiss(survey, problem,
               survey->order.is_accepting
                   ? "make the file readable and let it rest, then do this again"
                   : CHANGED_FIX);
}

// Judges the files [judged_from, judged_to) of the page with two threads and writes down what they found.
static enum status judge_batch(struct survey *survey, struct error *error)
{
    pthread_t helper;
    atomic_store(&survey->judged_next, survey->judged_from);
    bool is_helped = survey->judged_to - survey->judged_from > 1 &&
                     pthread_create(&helper, NULL, judge_files, survey) == 0;
    (void)judge_files(survey);
    if (is_helped) {
        (void)pthread_join(helper, NULL);
    }
    if (atomic_load(&survey->meter->is_stopped)) {
        return error_set(error, TIMEOUT, "the survey was stopped");
    }
    for (size_t at = survey->judged_from; at < survey->judged_to; at++) {
        note_found(survey, at);
    }
    return store_write_wait(survey->store, write_judged, survey, error);
}

static enum status judge_page(struct survey *survey, size_t count, struct error *error)
{
    survey->judged_from = 0;
    while (survey->judged_from < count) {
        int64_t bytes = 0;
        size_t to = survey->judged_from;
        while (to < count && (bytes < JUDGED_BATCH_BYTES || to - survey->judged_from < 2)) {
            bytes += survey->rows[to++].file.size_bytes;
        }
        survey->judged_to = to;
        TRY(judge_batch(survey, error));
        survey->judged_from = to;
    }
    return OK;
}

static enum status read_page(struct survey *survey, const char *after, struct arena *arena,
                             size_t *count, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(survey->store, &sql, error));
    enum status status = rows_read_files(sql, survey->order.dataset, text_of(after), JUDGED_BATCH,
                                         arena, survey->rows, count, error);
    store_read_end(survey->store, sql);
    return status;
}

// Calls `use` with each page of the noted files, by path.
static enum status each_page(struct survey *survey,
                             enum status (*use)(struct survey *survey, size_t count,
                                                struct error *error),
                             struct error *error)
{
    char after[CATALOG_PATH_MAX + 1] = "";
    for (;;) {
        AUTO_ARENA struct arena arena = {0};
        size_t count = 0;
        TRY(read_page(survey, after, &arena, &count, error));
        if (count == 0) {
            return OK;
        }
        (void)snprintf(after, sizeof after, "%s", survey->rows[count - 1].file.path);
        TRY(use(survey, count, error));
    }
}

static enum status add_to_content(struct survey *survey, size_t count, struct error *error)
{
    (void)error;
    for (size_t i = 0; i < count; i++) {
        const struct dataset_file *file = &survey->rows[i].file;
        char digits[2 * DIGEST_SIZE + 1];
        char size[32];
        hex_encode(file->digest.bytes, DIGEST_SIZE, digits);
        int length = snprintf(size, sizeof size, " %lld ", (long long)file->size_bytes);
        digest_stream_update(survey->stream, digits, 2 * DIGEST_SIZE);
        digest_stream_update(survey->stream, size, (size_t)length);
        digest_stream_update(survey->stream, file->path, strlen(file->path));
        digest_stream_update(survey->stream, "\n", 1);
        survey->file_count++;
        survey->size_bytes += file->size_bytes;
    }
    return OK;
}

// What the dataset is now: only where all that was found is registered.
static enum status sum_up(struct survey *survey, struct error *error)
{
    survey->stream = digest_stream_new();
    enum status status = each_page(survey, add_to_content, error);
    survey->digest = digest_stream_finish(TAKE(survey->stream));
    survey->has_content = status == OK;
    return status;
}

static enum status write_end(struct sql *sql, void *context, struct error *error)
{
    struct survey *survey = context;
    TRY(check_current(survey, sql, error));
    struct sql_value dataset = sql_int64(survey->order.dataset);
    struct sql_value serial = sql_int64(survey->order.serial);
    if (survey->has_content) {
        TRY(sql_run(sql, SQL_DATASET_CONTENT,
                    SQL_VALUES(sql_int64(survey->file_count), sql_int64(survey->size_bytes),
                               sql_blob(survey->digest.bytes, DIGEST_SIZE), dataset, serial),
                    NULL, error));
    }
    enum dataset_state state = DATASET_AVAILABLE;
    if (survey->amiss_count > 0) {
        state = survey->order.is_first ? DATASET_FAILED : DATASET_CHANGED;
    }
    TRY(sql_run(sql, SQL_DATASET_END,
                SQL_VALUES(sql_text(text_of(dataset_state_name(state))),
                           sql_text(text_of(survey->problem)), sql_text(text_of(survey->fix)),
                           dataset, serial),
                NULL, error));
    return publish_dataset(survey->publisher, sql, survey->order.dataset, error);
}

static enum status conclude(struct survey *survey, struct error *error)
{
    if (survey->amiss_count > 1) {
        size_t length = strnlen(survey->problem, sizeof survey->problem - 40);
        (void)snprintf(survey->problem + length, sizeof survey->problem - length, "; and %lld more",
                       (long long)(survey->amiss_count - 1));
    }
    return store_write_wait(survey->store, write_end, survey, error);
}

static enum status load_roots(struct survey *survey, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(survey->store, &sql, error));
    enum status status = rows_read_roots(sql, survey->order.dataset, &survey->arena, &survey->roots,
                                         &survey->root_count, error);
    store_read_end(survey->store, sql);
    return status;
}

static enum status go_through(struct survey *survey, struct error *error)
{
    TRY(load_roots(survey, error));
    TRY(walk_roots(survey, error));
    // Files that a walk did not come to are not missing: without a whole walk nothing is judged.
    bool is_walked = survey->amiss_count == 0;
    if (is_walked) {
        TRY(each_page(survey, judge_page, error));
    }
    if (survey->order.is_accepting && survey->amiss_count == 0) {
        TRY(sum_up(survey, error));
    }
    return conclude(survey, error);
}

enum status survey_run(struct store *store, const struct catalog_publisher *publisher,
                       const struct survey_order *order, struct meter *meter, struct error *error)
{
    AUTO_FREE struct survey *survey = NEW(struct survey);
    survey->store = store;
    survey->publisher = publisher;
    survey->order = *order;
    survey->meter = meter;
    survey->rows = arena_new(&survey->arena, JUDGED_BATCH * sizeof *survey->rows);
    survey->found = arena_new(&survey->arena, JUDGED_BATCH * sizeof *survey->found);
    enum status status = go_through(survey, error);
    forget_seen(survey);
    arena_done(&survey->arena);
    return survey->is_void ? OK : status;
}

struct sweep {
    int64_t dataset;
    int64_t deleted;
};

static enum status write_sweep(struct sql *sql, void *context, struct error *error)
{
    struct sweep *sweep = context;
    struct sql_value dataset = sql_int64(sweep->dataset);
    TRY(sql_run(sql, SQL_REMOVED_FILES, SQL_VALUES(dataset), &sweep->deleted, error));
    return sweep->deleted > 0 ? OK
                              : sql_run(sql, SQL_REMOVED_DELETE, SQL_VALUES(dataset), NULL, error);
}

enum status survey_sweep(struct store *store, struct error *error)
{
    struct sql *sql = NULL;
    struct sweep sweep = {0};
    TRY(store_read_begin(store, &sql, error));
    struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_REMOVED_NEXT, SQL_NO_VALUES, &rows, error);
    if (status == OK) {
        sweep.dataset = sql_column_int64(rows, 0);
    }
    sql_end(rows);
    store_read_end(store, sql);
    TRY(status);
    return store_write_wait(store, write_sweep, &sweep, error);
}
