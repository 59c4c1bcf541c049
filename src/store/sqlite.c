// SQLite behind sql.h and connection.h: the only file that knows which database this is.
//
// Write-ahead log, synced at each commit, so that a commit costs one fdatasync and readers never wait for the writer.
// Statements are prepared once and kept under the address of their text.
#include "store/connection.h"

#include "base/buffer.h"
#include "base/map.h"
#include "base/memory.h"
#include "os/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

enum {
    PARAMETERS_MAX = 64,
    BUSY_TIMEOUT_MS = 10000,
    TIDY_FRAMES = 1000, // Pages in the log from which it is worth moving them: about 4 MiB.
};

static const char WRITER_SETTINGS[] = "PRAGMA journal_mode=WAL;"
                                      "PRAGMA synchronous=FULL;"
                                      "PRAGMA foreign_keys=ON;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA trusted_schema=OFF;"
                                      "PRAGMA journal_size_limit=16777216;"
                                      "PRAGMA cache_size=-4096;";
static const char READER_SETTINGS[] = "PRAGMA query_only=ON;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA trusted_schema=OFF;"
                                      "PRAGMA cache_size=-1024;";

struct sql {
    sqlite3 *database;
    char *path;
    struct map *statements; // Address of the text -> struct sql_rows.
    unsigned open_queries;
    int frames;        // Pages in the log after the last commit.
    int frames_tidied; // The same when the log was last tidied.
};

// A prepared statement, and the query that runs on it.
struct sql_rows {
    struct sql *sql;
    sqlite3_stmt *prepared;
    size_t value_count;                     // The highest $N.
    unsigned char value_at[PARAMETERS_MAX]; // SQLite's parameter -> N - 1.
    int parameter_count;
    bool is_running;
    bool is_kept; // In sql->statements.
};

static enum status status_of(sqlite3 *database, int code)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return CONFLICT;
    case SQLITE_FULL:
        return QUOTA;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return DENIED;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
        int number = sqlite3_system_errno(database);
        return number == ENOSPC || number == EDQUOT ? QUOTA : INTERNAL;
    }
    default:
        return INTERNAL;
    }
}

static enum status fail(const struct sql *sql, int code, struct error *error)
{
    enum status status = status_of(sql->database, code);
    if (status == QUOTA) {
        (void)error_set(error, QUOTA, "the disk that holds the database %s is full", sql->path);
        error_fix(error, "free space on it; the change was not made, so repeat it "
                         "then");
        return QUOTA;
    }
    (void)error_set(error, status, "database %s: %s", sql->path, sqlite3_errmsg(sql->database));
    if (status == CORRUPT) {
        error_fix(error, "restore the file from a backup, or move it away to start anew");
    }
    return status;
}

static int note_frames(void *context, sqlite3 *database, const char *name, int frames)
{
    (void)database;
    (void)name;
    struct sql *sql = context;
    sql->frames = frames;
    return SQLITE_OK;
}

// SQLite would create it readable by everyone; its log takes the mode of the file.
static enum status create_private(const char *path, struct error *error)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST
                   ? OK
                   : error_set_errno(error, errno, "cannot create the database %s", path);
    }
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *folder =
        slash ? memory_copy_bytes(path, (size_t)(slash - path) + 1) : memory_copy_string(".");
    return file_sync_folder(folder, error);
}

enum status sql_connection_open(const char *path, enum connection_use use, struct sql **out,
                                struct error *error)
{
    bool is_writer = use == CONNECTION_WRITE;
    if (is_writer) {
        TRY(create_private(path, error));
    }
    struct sql *sql = NEW(struct sql);
    sql->path = memory_copy_string(path);
    sql->statements = map_new();
    int flags = SQLITE_OPEN_NOMUTEX | (is_writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    int code = sqlite3_open_v2(path, &sql->database, flags, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(sql->database, BUSY_TIMEOUT_MS);
        code = sqlite3_exec(sql->database, is_writer ? WRITER_SETTINGS : READER_SETTINGS, NULL,
                            NULL, NULL);
    }
    if (code != SQLITE_OK) {
        enum status status = fail(sql, code, error);
        sql_connection_close(sql);
        return status;
    }
    if (is_writer) {
        (void)sqlite3_wal_hook(sql->database, note_frames, sql);
    }
    *out = sql;
    return OK;
}

void sql_connection_close(struct sql *sql)
{
    if (!sql) {
        return;
    }
    size_t at = 0;
    for (struct sql_rows *rows; (rows = map_next(sql->statements, &at)) != NULL;) {
        (void)sqlite3_finalize(rows->prepared);
        free(rows);
    }
    map_free(sql->statements);
    (void)sqlite3_close_v2(sql->database);
    free(sql->path);
    free(sql);
}

// SQLite numbers parameters as they appear; ours carry their number in their name.
static enum status map_parameters(struct sql_rows *rows, const char *statement, struct error *error)
{
    rows->parameter_count = sqlite3_bind_parameter_count(rows->prepared);
    for (int i = 0; i < rows->parameter_count && i < PARAMETERS_MAX; i++) {
        const char *name = sqlite3_bind_parameter_name(rows->prepared, i + 1);
        int64_t number = 0;
        if (!name || name[0] != '$' || !text_to_int64(text_of(name + 1), &number) || number < 1 ||
            number > PARAMETERS_MAX) {
            return error_set(error, INTERNAL, "parameter %s of \"%.200s\" is not $1 to $%d",
                             name ? name : "?", statement, PARAMETERS_MAX);
        }
        rows->value_at[i] = (unsigned char)(number - 1);
        rows->value_count = rows->value_count < (size_t)number ? (size_t)number : rows->value_count;
    }
    if (rows->parameter_count > PARAMETERS_MAX) {
        return error_set(error, INTERNAL, "more than %d parameters in \"%.200s\"", PARAMETERS_MAX,
                         statement);
    }
    return OK;
}

static enum status prepare(struct sql *sql, const char *statement, struct sql_rows **out,
                           struct error *error)
{
    struct sql_rows *kept = map_find_int64(sql->statements, (int64_t)(intptr_t)statement);
    if (kept && !kept->is_running) {
        // A text that is no literal would run another statement than it says.
        assert(strcmp(sqlite3_sql(kept->prepared), statement) == 0);
        *out = kept;
        return OK;
    }
    struct sql_rows *rows = NEW(struct sql_rows);
    rows->sql = sql;
    int code = sqlite3_prepare_v3(sql->database, statement, -1,
                                  kept ? 0 : SQLITE_PREPARE_PERSISTENT, &rows->prepared, NULL);
    enum status status =
        code == SQLITE_OK ? map_parameters(rows, statement, error) : fail(sql, code, error);
    if (status != OK) {
        (void)sqlite3_finalize(rows->prepared);
        free(rows);
        return status;
    }
    if (!kept) {
        rows->is_kept = true;
        (void)map_set_int64(sql->statements, (int64_t)(intptr_t)statement, rows);
    }
    *out = rows;
    return OK;
}

static int bind_value(sqlite3_stmt *prepared, int at, const struct sql_value *value,
                      sqlite3_destructor_type lifetime)
{
    // A NULL pointer would bind NULL; the empty text is a value.
    const char *bytes = value->bytes.bytes ? value->bytes.bytes : "";
    switch (value->kind) {
    case SQL_INT64:
        return sqlite3_bind_int64(prepared, at, value->number);
    case SQL_TEXT:
        return sqlite3_bind_text64(prepared, at, bytes, value->bytes.length, lifetime, SQLITE_UTF8);
    case SQL_BLOB:
        return sqlite3_bind_blob64(prepared, at, bytes, value->bytes.length, lifetime);
    case SQL_NULL:
        break;
    }
    return sqlite3_bind_null(prepared, at);
}

static enum status start(struct sql *sql, const char *statement, const struct sql_value *values,
                         size_t count, sqlite3_destructor_type lifetime, struct sql_rows **out,
                         struct error *error)
{
    struct sql_rows *rows = NULL;
    TRY(prepare(sql, statement, &rows, error));
    assert(rows->value_count == count);
    rows->is_running = true;
    sql->open_queries++;
    for (int i = 0; i < rows->parameter_count; i++) {
        int code = bind_value(rows->prepared, i + 1, &values[rows->value_at[i]], lifetime);
        if (code != SQLITE_OK) {
            enum status status = fail(sql, code, error);
            sql_end(rows);
            return status;
        }
    }
    *out = rows;
    return OK;
}

enum status sql_run(struct sql *sql, const char *statement, const struct sql_value *values,
                    size_t count, int64_t *changed, struct error *error)
{
    struct sql_rows *rows = NULL;
    TRY(start(sql, statement, values, count, SQLITE_STATIC, &rows, error));
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW) {
        code = sqlite3_step(rows->prepared);
    }
    enum status status = code == SQLITE_DONE ? OK : fail(sql, code, error);
    if (status == OK && changed) {
        *changed = sqlite3_changes64(sql->database);
    }
    sql_end(rows);
    return status;
}

enum status sql_query(struct sql *sql, const char *statement, const struct sql_value *values,
                      size_t count, struct sql_rows **rows, struct error *error)
{
    return start(sql, statement, values, count, SQLITE_TRANSIENT, rows, error);
}

bool sql_next(struct sql_rows *rows, enum status *status, struct error *error)
{
    int code = sqlite3_step(rows->prepared);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        *status = fail(rows->sql, code, error);
    }
    return code == SQLITE_ROW;
}

enum status sql_first(struct sql *sql, const char *statement, const struct sql_value *values,
                      size_t count, struct sql_rows **rows, struct error *error)
{
    struct sql_rows *found = NULL;
    TRY(sql_query(sql, statement, values, count, &found, error));
    enum status status = OK;
    if (sql_next(found, &status, error)) {
        *rows = found;
        return OK;
    }
    sql_end(found);
    return status != OK ? status : error_set(error, NOT_FOUND, "there is no such row");
}

int64_t sql_column_int64(const struct sql_rows *rows, int column)
{
    return sqlite3_column_int64(rows->prepared, column);
}

struct text sql_column_text(const struct sql_rows *rows, int column)
{
    // The pointer first: reading it may convert the value and change its length.
    const char *bytes = sqlite3_column_blob(rows->prepared, column);
    return (struct text){bytes, (size_t)sqlite3_column_bytes(rows->prepared, column)};
}

bool sql_column_is_null(const struct sql_rows *rows, int column)
{
    return sqlite3_column_type(rows->prepared, column) == SQLITE_NULL;
}

void sql_end(struct sql_rows *rows)
{
    if (!rows) {
        return;
    }
    rows->sql->open_queries--;
    if (!rows->is_kept) {
        (void)sqlite3_finalize(rows->prepared);
        free(rows);
        return;
    }
    (void)sqlite3_reset(rows->prepared);
    (void)sqlite3_clear_bindings(rows->prepared);
    rows->is_running = false;
}

enum status connection_begin(struct sql *sql, struct error *error)
{
    // Deferred is enough, as there is one writer: nobody can take the lock between its first read and its first write.
    return sql_run(sql, "BEGIN", SQL_NO_VALUES, NULL, error);
}

enum status connection_commit(struct sql *sql, struct error *error)
{
    return sql_run(sql, "COMMIT", SQL_NO_VALUES, NULL, error);
}

void connection_rollback(struct sql *sql)
{
    if (connection_is_in_transaction(sql)) {
        (void)sql_run(sql, "ROLLBACK", SQL_NO_VALUES, NULL, NULL);
    }
}

bool connection_is_in_transaction(const struct sql *sql)
{
    return sqlite3_get_autocommit(sql->database) == 0;
}

enum status connection_mark(struct sql *sql, struct error *error)
{
    return sql_run(sql, "SAVEPOINT one", SQL_NO_VALUES, NULL, error);
}

enum status connection_keep(struct sql *sql, struct error *error)
{
    return sql_run(sql, "RELEASE one", SQL_NO_VALUES, NULL, error);
}

enum status connection_undo(struct sql *sql, struct error *error)
{
    TRY(sql_run(sql, "ROLLBACK TO one", SQL_NO_VALUES, NULL, error));
    return connection_keep(sql, error);
}

int64_t connection_changes(const struct sql *sql)
{
    return sqlite3_total_changes64(sql->database);
}

unsigned connection_open_queries(const struct sql *sql)
{
    return sql->open_queries;
}

enum status connection_run_script(struct sql *sql, const char *statements, struct error *error)
{
    static const char word[] = "BLOB_TYPE";
    AUTO_BUFFER struct buffer script = {0};
    for (const char *found; (found = strstr(statements, word)) != NULL;) {
        buffer_append(&script, statements, (size_t)(found - statements));
        buffer_append_string(&script, "BLOB");
        statements = found + sizeof word - 1;
    }
    buffer_append_string(&script, statements);
    buffer_append_byte(&script, '\n');
    int code = sqlite3_exec(sql->database, script.bytes, NULL, NULL, NULL);
    return code == SQLITE_OK ? OK : fail(sql, code, error);
}

void connection_tidy(struct sql *sql)
{
    if (sql->frames < sql->frames_tidied) {
        sql->frames_tidied = 0; // The log began anew.
    }
    if (sql->frames - sql->frames_tidied < TIDY_FRAMES) {
        return;
    }
    sql->frames_tidied = sql->frames;
    (void)sqlite3_wal_checkpoint_v2(sql->database, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}
