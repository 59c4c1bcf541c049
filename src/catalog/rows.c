#include "catalog/rows.h"

#include "catalog/catalog_sql.h"

static struct sql_value bytes_of(struct text text)
{
    return sql_blob(text.bytes, text.length);
}

static const char *const DATASET_STATES[] = {"registering", "available", "verifying", "changed",
                                             "failed"};
static const char *const FILE_STATES[] = {"new", "ok", "changed", "missing", "unreadable"};

const char *dataset_state_name(enum dataset_state state)
{
    return DATASET_STATES[state];
}

const char *dataset_file_state_name(enum dataset_file_state state)
{
    return FILE_STATES[state];
}

// The index of a name, or of the last one, which is the most careful reading of what this program did not write.
static size_t index_of(struct text name, const char *const *names, size_t count)
{
    size_t at = 0;
    while (at + 1 < count && !text_equal(name, text_of(names[at]))) {
        at++;
    }
    return at;
}

static bool read_digest(const struct sql_rows *rows, int column, struct digest *out)
{
    struct text bytes = sql_column_text(rows, column);
    if (bytes.length != DIGEST_SIZE) {
        return false;
    }
    memcpy(out->bytes, bytes.bytes, DIGEST_SIZE);
    return true;
}

static const char *copy_column(const struct sql_rows *rows, int column, struct arena *arena)
{
    return arena_copy(arena, sql_column_text(rows, column));
}

static void read_dataset(const struct sql_rows *rows, struct arena *arena, struct dataset *out)
{
    *out = (struct dataset){
        .number = sql_column_int64(rows, 0),
        .id = copy_column(rows, 1, arena),
        .title = copy_column(rows, 2, arena),
        .owner = copy_column(rows, 3, arena),
        .state = (enum dataset_state)index_of(sql_column_text(rows, 4), DATASET_STATES,
                                              sizeof DATASET_STATES / sizeof DATASET_STATES[0]),
        .problem = copy_column(rows, 5, arena),
        .fix = copy_column(rows, 6, arena),
        .file_count = sql_column_int64(rows, 7),
        .size_bytes = sql_column_int64(rows, 8),
        .registered_us = sql_column_int64(rows, 10),
    };
    out->has_digest = read_digest(rows, 9, &out->digest);
    out->progress = (struct dataset_progress){out->file_count, out->file_count, out->size_bytes,
                                              out->size_bytes};
}

static enum status read_aliases(struct sql *sql, struct arena *arena, struct dataset *out,
                                struct error *error)
{
    out->aliases = arena_new(arena, (CATALOG_ALIASES_MAX + 1) * sizeof *out->aliases);
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_ALIAS_LIST, SQL_VALUES(sql_int64(out->number)), &rows, error));
    enum status status = OK;
    while (out->alias_count < CATALOG_ALIASES_MAX && sql_next(rows, &status, error)) {
        if (!text_equal(sql_column_text(rows, 0), text_of(out->id))) {
            out->aliases[out->alias_count++] = copy_column(rows, 0, arena);
        }
    }
    return status;
}

enum status rows_read_roots(struct sql *sql, int64_t number, struct arena *arena,
                            struct dataset_root **roots, size_t *count, struct error *error)
{
    struct dataset_root *found = arena_new(arena, CATALOG_ROOTS_MAX * sizeof *found);
    size_t at = 0;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_ROOT_LIST, SQL_VALUES(sql_int64(number)), &rows, error));
    enum status status = OK;
    while (at < CATALOG_ROOTS_MAX && sql_next(rows, &status, error)) {
        found[at++] = (struct dataset_root){
            .path = copy_column(rows, 0, arena),
            .mount = copy_column(rows, 1, arena),
            .is_folder = text_equal(sql_column_text(rows, 2), TEXT("folder")),
            .tier = copy_column(rows, 3, arena),
            .state = copy_column(rows, 4, arena),
        };
    }
    *roots = found;
    *count = at;
    return status;
}

static enum status read_whole_dataset(struct sql *sql, const struct sql_rows *rows,
                                      struct arena *arena, struct dataset *out, struct error *error)
{
    struct dataset found;
    read_dataset(rows, arena, &found);
    TRY(read_aliases(sql, arena, &found, error));
    TRY(rows_read_roots(sql, found.number, arena, &found.roots, &found.root_count, error));
    *out = found;
    return OK;
}

enum status rows_find_dataset(struct sql *sql, struct text identifier, struct arena *arena,
                              struct dataset *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status =
        sql_first(sql, SQL_DATASET_FIND, SQL_VALUES(bytes_of(identifier)), &rows, error);
    if (status == NOT_FOUND) {
        (void)error_set(error, NOT_FOUND, "no dataset is registered as %.300s",
                        arena_copy(arena, identifier));
        error_fix(error, "lode data list shows what there is; lode data add registers");
        return NOT_FOUND;
    }
    TRY(status);
    return read_whole_dataset(sql, rows, arena, out, error);
}

enum status rows_get_dataset(struct sql *sql, int64_t number, struct arena *arena,
                             struct dataset *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_DATASET_GET, SQL_VALUES(sql_int64(number)), &rows, error));
    return read_whole_dataset(sql, rows, arena, out, error);
}

enum status rows_list_datasets(struct sql *sql, struct text prefix, struct text after, size_t limit,
                               struct arena *arena, struct dataset *out, size_t *count,
                               struct error *error)
{
    size_t found = 0;
    {
        AUTO_ROWS struct sql_rows *rows = NULL;
        TRY(sql_query(sql, SQL_DATASET_LIST,
                      SQL_VALUES(bytes_of(prefix), bytes_of(after), sql_int64((int64_t)limit)),
                      &rows, error));
        enum status status = OK;
        while (sql_next(rows, &status, error) &&
               text_starts_with(sql_column_text(rows, 1), prefix)) {
            read_dataset(rows, arena, &out[found++]);
        }
        TRY(status);
    }
    for (size_t i = 0; i < found; i++) {
        TRY(read_aliases(sql, arena, &out[i], error));
    }
    *count = found;
    return OK;
}

static void read_file(const struct sql_rows *rows, struct arena *arena, struct file_row *out)
{
    *out = (struct file_row){
        .file =
            {
                .path = copy_column(rows, 0, arena),
                .root = (size_t)sql_column_int64(rows, 1),
                .size_bytes = sql_column_int64(rows, 2),
                .modified_us = sql_column_int64(rows, 3),
                .inode = sql_column_int64(rows, 4),
                .changed_us = sql_column_int64(rows, 8),
                .state =
                    (enum dataset_file_state)index_of(sql_column_text(rows, 6), FILE_STATES,
                                                      sizeof FILE_STATES / sizeof FILE_STATES[0]),
            },
        .survey = sql_column_int64(rows, 7),
    };
    out->file.has_digest = read_digest(rows, 5, &out->file.digest);
}

enum status rows_read_files(struct sql *sql, int64_t number, struct text after, size_t limit,
                            struct arena *arena, struct file_row *out, size_t *count,
                            struct error *error)
{
    size_t found = 0;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_FILE_LIST,
                  SQL_VALUES(sql_int64(number), bytes_of(after), sql_int64((int64_t)limit)), &rows,
                  error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        read_file(rows, arena, &out[found++]);
    }
    TRY(status);
    *count = found;
    return OK;
}

enum status rows_find_file(struct sql *sql, int64_t number, struct text path, struct arena *arena,
                           struct file_row *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_FILE_FIND, SQL_VALUES(sql_int64(number), bytes_of(path)), &rows, error));
    read_file(rows, arena, out);
    return OK;
}
