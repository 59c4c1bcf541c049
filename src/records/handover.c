#include "records/handover.h"

#include "base/hex.h"
#include "records/jobs_sql.h"
#include "records/rows.h"

void event_position_write(const struct event_position *at, struct buffer *out)
{
    buffer_printf(out, "%lld.%lld.%lld.%lld", (long long)at->seq, (long long)at->output,
                  (long long)at->error_output, (long long)at->attempt);
}

static void begin_event(const char *name, const struct event_position *at, struct buffer *out)
{
    buffer_printf(out, "event: %s\nid: ", name);
    event_position_write(at, out);
    buffer_append_string(out, "\ndata: ");
}

static void write_stream(const struct poll_stream *stream, struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    if (stream->size == 0) {
        buffer_append_string(out, "null");
    } else if (stream->is_blob) {
        buffer_printf(out, "{\"blob\":\"%s\",\"size\":%lld}", digest_to_text(&stream->digest, text),
                      (long long)stream->size);
    } else {
        buffer_append_byte(out, '"');
        base64_append(out, stream->bytes.bytes, stream->bytes.length);
        buffer_append_byte(out, '"');
    }
}

static void write_task(const struct task_row *row, const struct event_position *at,
                       struct buffer *out)
{
    // At home a loss here is the worker's fault: the protocol of workers has no other word for it.
    enum poll_outcome outcome = row->outcome == OUTCOME_LOST ? OUTCOME_WORKER : row->outcome;
    begin_event("result", at, out);
    buffer_printf(out, "[%lld,%d,%lld,%lld,%lld,%lld,%lld,", (long long)row->index, (int)outcome,
                  (long long)row->code, (long long)row->started_us, (long long)row->wall_us,
                  (long long)row->cpu_us, (long long)row->peak_bytes);
    write_stream(&row->output, out);
    buffer_append_byte(out, ',');
    write_stream(&row->error_output, out);
    buffer_append_byte(out, ',');
    if (row->outputs.length > 0) {
        buffer_append_text(out, row->outputs);
    } else {
        buffer_append_string(out, "null");
    }
    buffer_append_byte(out, ',');
    buffer_append_json_string(out, row->message);
    buffer_printf(out, ",%lld,\"%s\"]\n\n", (long long)row->attempts, runner_class_name(row->kind));
}

static void write_chunk(const struct chunk_row *row, const struct event_position *at,
                        struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    begin_event("piece", at, out);
    buffer_printf(out,
                  "{\"from\":%lld,\"to\":%lld,\"answers\":\"%s\",\"answers_size\":%lld,"
                  "\"skip\":%lld,\"is_part\":%s,\"started_us\":%lld,\"wall_us\":%lld,"
                  "\"cpu_us\":%lld,\"peak_bytes\":%lld,\"stderr\":",
                  (long long)row->from, (long long)row->to, digest_to_text(&row->answers, text),
                  (long long)row->answers_size, (long long)(row->from - row->answers_first),
                  row->cached_job > 0 ? "true" : "false", (long long)row->started_us,
                  (long long)row->wall_us, (long long)row->cpu_us, (long long)row->peak_bytes);
    write_stream(&row->error_output, out);
    buffer_printf(out, ",\"class\":\"%s\"}\n\n", runner_class_name(row->kind));
}

// Before the first result: what it ran with is durable at the same time as that.
static enum status write_setups(struct sql *sql, int64_t job, struct event_position *at,
                                struct buffer *out, struct error *error)
{
    static const char *const NAMES[] = {"executable", "executable_digest", "host", "sandbox"};
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_JOB_SETUPS, SQL_VALUES(sql_int64(job)), &rows, error));
    while (sql_next(rows, &status, error)) {
        begin_event("setup", at, out);
        for (int i = 0; i < 4; i++) {
            buffer_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", NAMES[i]);
            buffer_append_json_string(out, sql_column_text(rows, i));
        }
        buffer_append_string(out, "}\n\n");
        at->has_setups = true;
    }
    return status;
}

// Rows of one kind, in order of commit.
struct source {
    struct sql_rows *rows;
    int64_t count; // Seen so far.
    bool is_there; // `seq` is that of the present row.
    int64_t seq;
    int seq_column;
};

static enum status step(struct source *source, struct error *error)
{
    enum status status = OK;
    source->is_there = sql_next(source->rows, &status, error);
    source->count += source->is_there;
    source->seq = source->is_there ? sql_column_int64(source->rows, source->seq_column) : INT64_MAX;
    return status;
}

static void write_row(bool is_chunk, const struct source *source, const struct event_position *at,
                      struct buffer *out)
{
    if (is_chunk) {
        struct chunk_row row;
        chunk_row_read(source->rows, &row);
        row.cached_job = sql_column_int64(source->rows, 13);
        row.kind = (enum runner_class)sql_column_int64(source->rows, 15);
        write_chunk(&row, at, out);
    } else {
        struct task_row row;
        task_row_read(source->rows, &row);
        write_task(&row, at, out);
    }
}

static enum status write_both(struct source sources[2], const struct handover_limits *limits,
                              struct event_position *at, struct buffer *out, bool *is_more,
                              struct error *error)
{
    TRY(step(&sources[0], error));
    TRY(step(&sources[1], error));
    for (;;) {
        bool is_chunk = sources[1].seq < sources[0].seq;
        struct source *next = &sources[is_chunk];
        *is_more = next->is_there && out->length >= limits->size_max;
        if (!next->is_there || *is_more) {
            return OK;
        }
        at->seq = next->seq;
        write_row(is_chunk, next, at, out);
        TRY(step(next, error));
        // What was read of this kind ends here, but there may be more of it before the next one of the other kind.
        if (!next->is_there && next->count == limits->count_max) {
            *is_more = true;
            return OK;
        }
    }
}

enum status handover_write(struct sql *sql, int64_t job, const struct handover_limits *limits,
                           struct event_position *at, struct buffer *out, bool *is_more,
                           struct error *error)
{
    AUTO_ROWS struct sql_rows *tasks = NULL;
    AUTO_ROWS struct sql_rows *chunks = NULL;
    *is_more = false;
    if (!at->has_setups) {
        TRY(write_setups(sql, job, at, out, error));
    }
    TRY(sql_query(sql, SQL_TASKS_AFTER_SEQ,
                  SQL_VALUES(sql_int64(job), sql_int64(at->seq), sql_int64(limits->count_max)),
                  &tasks, error));
    TRY(sql_query(sql, SQL_CHUNKS_AFTER_SEQ,
                  SQL_VALUES(sql_int64(job), sql_int64(at->seq), sql_int64(limits->count_max)),
                  &chunks, error));
    struct source sources[2] = {{.rows = tasks, .seq_column = 1},
                                {.rows = chunks, .seq_column = 14}};
    return write_both(sources, limits, at, out, is_more, error);
}
