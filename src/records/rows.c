#include "records/rows.h"

#include "records/jobs_sql.h"

static const char *const STATE_NAMES[JOB_STATE_COUNT] = {"waiting", "running",   "succeeded",
                                                         "failed",  "cancelled", "held"};

const char *job_state_name(enum job_state state)
{
    return (unsigned)state < JOB_STATE_COUNT ? STATE_NAMES[state] : "unknown";
}

bool job_state_from_text(struct text text, enum job_state *out)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (text_equal(text, text_of(STATE_NAMES[i]))) {
            *out = (enum job_state)i;
            return true;
        }
    }
    return false;
}

enum status job_unknown(int64_t job, struct error *error)
{
    (void)error_set(error, NOT_FOUND, "there is no job %lld", (long long)job);
    error_fix(error, "lode jobs lists those that there are");
    return NOT_FOUND;
}

static void read_digest(struct text bytes, struct digest *out)
{
    if (bytes.length == DIGEST_SIZE) {
        memcpy(out->bytes, bytes.bytes, DIGEST_SIZE);
    }
}

static void read_progress(const struct sql_rows *rows, struct job_progress *out)
{
    out->state = (enum job_state)sql_column_int64(rows, 16);
    out->started_us = sql_column_int64(rows, 17);
    out->finished_us = sql_column_int64(rows, 18);
    out->succeeded = sql_column_int64(rows, 19);
    out->failed = sql_column_int64(rows, 20);
    out->cancelled = sql_column_int64(rows, 21);
    out->cached = sql_column_int64(rows, 22);
    out->first_failed = sql_column_int64(rows, 23);
    out->exit_code = sql_column_int64(rows, 24);
    struct text message = text_slice(sql_column_text(rows, 25), 0, JOB_MESSAGE_MAX - 1);
    if (message.length > 0) {
        memcpy(out->message, message.bytes, message.length);
    }
    out->seq = sql_column_int64(rows, 26);
    out->version = sql_column_int64(rows, 27);
    for (int i = 0; i < CAUSE_COUNT; i++) {
        out->failures[i] = sql_column_int64(rows, 38 + i);
    }
}

void job_row_read(const struct sql_rows *rows, struct job_row *out)
{
    *out = (struct job_row){
        .id = sql_column_int64(rows, 0),
        .owner = sql_column_text(rows, 1),
        .name = sql_column_text(rows, 2),
        .mode = (enum spec_mode)sql_column_int64(rows, 3),
        .cache = (enum spec_cache)sql_column_int64(rows, 4),
        .count = sql_column_int64(rows, 6),
        .has_items = !sql_column_is_null(rows, 7),
        .items_kind = (enum items_kind)sql_column_int64(rows, 8),
        .need = {.cpu_millis = sql_column_int64(rows, 9),
                 .memory_bytes = sql_column_int64(rows, 10),
                 .disk_bytes = sql_column_int64(rows, 11),
                 .software = sql_column_int64(rows, 47)},
        .priority = sql_column_int64(rows, 13),
        .locality = sql_column_int64(rows, 14),
        .submitted_us = sql_column_int64(rows, 15),
        .command = sql_column_text(rows, 28),
        .first_index = sql_column_int64(rows, 29),
        .gathers = sql_column_int64(rows, 30) != 0,
        .place = sql_column_text(rows, 31),
        .retries = {.times = {[CAUSE_FAIL] = sql_column_int64(rows, 12),
                              [CAUSE_LIMIT] = sql_column_int64(rows, 33),
                              [CAUSE_LOST] = sql_column_int64(rows, 34),
                              [CAUSE_INPUT] = sql_column_int64(rows, 35),
                              [CAUSE_WORKER] = sql_column_int64(rows, 36)}},
        .when_lost = (enum spec_when_lost)sql_column_int64(rows, 37),
        .walltime_us = sql_column_int64(rows, 45),
        .checkpoint_us = sql_column_int64(rows, 46),
        .offer = sql_column_text(rows, 44),
        .is_spare = sql_column_int64(rows, 48) != 0,
    };
    struct text group = sql_column_text(rows, 43);
    out->group = group.length > 0 ? group : out->owner;
    read_digest(sql_column_text(rows, 5), &out->family);
    read_digest(sql_column_text(rows, 7), &out->items);
    out->has_origin = !sql_column_is_null(rows, 32);
    read_digest(sql_column_text(rows, 32), &out->origin);
    read_progress(rows, &out->progress);
}

static enum status write_progress(struct sql *sql, const char *statement, const struct job_row *row,
                                  struct error *error)
{
    const struct job_progress *progress = &row->progress;
    return sql_run(
        sql, statement,
        SQL_VALUES(
            sql_int64(row->id), sql_int64(progress->state), sql_int64(progress->started_us),
            sql_int64(progress->finished_us), sql_int64(progress->succeeded),
            sql_int64(progress->failed), sql_int64(progress->cancelled),
            sql_int64(progress->cached), sql_int64(progress->first_failed),
            sql_int64(progress->exit_code), sql_text(text_of(progress->message)),
            sql_int64(progress->seq), sql_int64(progress->version),
            sql_int64(progress->failures[CAUSE_FAIL]), sql_int64(progress->failures[CAUSE_LIMIT]),
            sql_int64(progress->failures[CAUSE_LOST]), sql_int64(progress->failures[CAUSE_INPUT]),
            sql_int64(progress->failures[CAUSE_WORKER])),
        NULL, error);
}

enum status job_progress_insert(struct sql *sql, const struct job_row *row, struct error *error)
{
    return write_progress(sql, SQL_INSERT_PROGRESS, row, error);
}

enum status job_progress_update(struct sql *sql, const struct job_row *row, struct error *error)
{
    return write_progress(sql, SQL_UPDATE_PROGRESS, row, error);
}

enum status job_read_done(struct sql *sql, int64_t job, struct ranges *done, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *tasks = NULL;
    TRY(sql_query(sql, SQL_DONE_TASKS, SQL_VALUES(sql_int64(job)), &tasks, error));
    while (sql_next(tasks, &status, error)) {
        int64_t index = sql_column_int64(tasks, 0);
        (void)ranges_add(done, index, index + 1);
    }
    TRY(status);
    AUTO_ROWS struct sql_rows *chunks = NULL;
    TRY(sql_query(sql, SQL_DONE_CHUNKS, SQL_VALUES(sql_int64(job)), &chunks, error));
    while (sql_next(chunks, &status, error)) {
        (void)ranges_add(done, sql_column_int64(chunks, 0), sql_column_int64(chunks, 1));
    }
    return status;
}

static void stream_read(const struct sql_rows *rows, int column, struct poll_stream *out)
{
    out->bytes = sql_column_text(rows, column);
    out->size = sql_column_int64(rows, column + 1);
    struct text digest = sql_column_text(rows, column + 2);
    out->is_blob = digest.length == DIGEST_SIZE;
    if (out->is_blob) {
        memcpy(out->digest.bytes, digest.bytes, DIGEST_SIZE);
    }
}

void task_row_read(const struct sql_rows *rows, struct task_row *out)
{
    *out = (struct task_row){
        .index = sql_column_int64(rows, 0),
        .seq = sql_column_int64(rows, 1),
        .state = (enum job_state)sql_column_int64(rows, 2),
        .outcome = (enum poll_outcome)sql_column_int64(rows, 3),
        .code = sql_column_int64(rows, 4),
        .attempts = sql_column_int64(rows, 5),
        .worker = sql_column_int64(rows, 6),
        .started_us = sql_column_int64(rows, 7),
        .wall_us = sql_column_int64(rows, 8),
        .cpu_us = sql_column_int64(rows, 9),
        .peak_bytes = sql_column_int64(rows, 10),
        .outputs = sql_column_text(rows, 17),
        .message = sql_column_text(rows, 18),
        .cached_job = sql_column_int64(rows, 19),
        .cached_index = sql_column_int64(rows, 20),
        .kind = (enum runner_class)sql_column_int64(rows, 21),
    };
    stream_read(rows, 11, &out->output);
    stream_read(rows, 14, &out->error_output);
}

void chunk_row_read(const struct sql_rows *rows, struct chunk_row *out)
{
    *out = (struct chunk_row){
        .from = sql_column_int64(rows, 0),
        .to = sql_column_int64(rows, 1),
        .answers_size = sql_column_int64(rows, 3),
        .answers_first = sql_column_int64(rows, 4),
        .worker = sql_column_int64(rows, 5),
        .started_us = sql_column_int64(rows, 6),
        .wall_us = sql_column_int64(rows, 7),
        .cpu_us = sql_column_int64(rows, 8),
        .peak_bytes = sql_column_int64(rows, 9),
    };
    struct text answers = sql_column_text(rows, 2);
    if (answers.length == DIGEST_SIZE) {
        memcpy(out->answers.bytes, answers.bytes, DIGEST_SIZE);
    }
    stream_read(rows, 10, &out->error_output);
}
