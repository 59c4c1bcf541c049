#include "records/record.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/file.h"
#include "records/items.h"
#include "records/jobs_sql.h"
#include "records/made_for.h"
#include "records/outcome.h"

static void append_field(struct buffer *out, const char *name, struct text value)
{
    buffer_printf(out, ",\"%s\":", name);
    buffer_append_json_string(out, value);
}

// Empty is unknown.
static void append_known(struct buffer *out, const char *name, struct text value)
{
    if (value.length > 0) {
        append_field(out, name, value);
    } else {
        buffer_printf(out, ",\"%s\":null", name);
    }
}

static bool has_result(enum job_state state)
{
    return state == JOB_SUCCEEDED || state == JOB_FAILED;
}

static void append_exit(const struct task_row *row, struct buffer *out)
{
    if (!has_result(row->state)) {
        buffer_append_string(out, ",\"exit_code\":null");
    } else {
        buffer_printf(out, ",\"exit_code\":%lld",
                      (long long)outcome_exit_code(row->outcome, row->code));
    }
}

void record_write_summary(int64_t job, const struct task_row *row, struct buffer *out)
{
    char started[CALENDAR_TEXT_SIZE];
    buffer_printf(out, "{\"job\":%lld,\"index\":%lld,\"state\":\"%s\"", (long long)job,
                  (long long)row->index, job_state_name(row->state));
    append_exit(row, out);
    buffer_printf(out, ",\"cached\":%s", row->cached_job > 0 ? "true" : "false");
    append_field(out, "message", row->message);
    if (row->started_us > 0) {
        buffer_printf(out, ",\"started_at\":\"%s\",\"wall_seconds\":%.6f",
                      calendar_format(row->started_us, started), (double)row->wall_us / 1e6);
    }
    buffer_append_byte(out, '}');
}

void record_write_held(int64_t job, int64_t index, struct buffer *out)
{
    buffer_printf(out, "{\"job\":%lld,\"index\":%lld,\"state\":\"held\",\"exit_code\":null",
                  (long long)job, (long long)index);
    buffer_append_string(out,
                         ",\"cached\":false,\"message\":\"workers were lost while running it\"}");
}

void record_write_running(int64_t job, int64_t index, struct text worker, int64_t checkpoint_us,
                          struct buffer *out)
{
    buffer_printf(out, "{\"job\":%lld,\"index\":%lld,\"state\":\"running\",\"exit_code\":null",
                  (long long)job, (long long)index);
    buffer_append_string(out, ",\"cached\":false,\"message\":\"\"");
    append_field(out, "worker", worker);
    if (checkpoint_us > 0) {
        char text[CALENDAR_TEXT_SIZE];
        buffer_printf(out, ",\"checkpoint_at\":\"%s\"", calendar_format(checkpoint_us, text));
    }
    buffer_append_byte(out, '}');
}

// The bytes of a stream, if they are few: its own, or those of its blob in *keep.
static bool read_small(struct blobs *blobs, const struct poll_stream *stream, struct buffer *keep,
                       struct text *out)
{
    AUTO_CLOSE int fd = -1;
    int64_t size = 0;
    *out = stream->bytes;
    if (stream->size > RECORD_STREAM_INLINE_MAX) {
        return false;
    }
    if (!stream->is_blob) {
        return true;
    }
    if (blob_open(blobs, &stream->digest, &fd, &size, NULL) != OK || size != stream->size) {
        return false;
    }
    char *place = buffer_reserve(keep, (size_t)size + 1);
    if (pread(fd, place, (size_t)size, 0) != size) {
        return false;
    }
    buffer_advance(keep, (size_t)size);
    *out = buffer_text(keep);
    return true;
}

// As text where it is text and fits, else null beside its size.
static void append_event_stream(struct blobs *blobs, const char *name,
                                const struct poll_stream *stream, struct buffer *out)
{
    AUTO_BUFFER struct buffer keep = {0};
    struct text bytes;
    if (read_small(blobs, stream, &keep, &bytes) && text_is_utf8(bytes)) {
        append_field(out, name, bytes);
        return;
    }
    buffer_printf(out, ",\"%s\":null,\"%s_size\":%lld", name, name, (long long)stream->size);
}

void record_write_event(struct blobs *blobs, const struct task_row *row, struct buffer *out)
{
    buffer_printf(out, "{\"index\":%lld,\"state\":\"%s\"", (long long)row->index,
                  job_state_name(row->state));
    append_exit(row, out);
    buffer_printf(out, ",\"cached\":%s,\"attempts\":%lld", row->cached_job > 0 ? "true" : "false",
                  (long long)row->attempts);
    append_event_stream(blobs, "stdout", &row->output, out);
    append_event_stream(blobs, "stderr", &row->error_output, out);
    append_field(out, "message", row->message);
    buffer_append_byte(out, '}');
}

void record_write_outputs(struct text outputs, int64_t index, bool *is_first, struct buffer *out)
{
    AUTO_JSON json_t *list = NULL;
    if (outputs.length == 0 || json_parse(outputs, &list, NULL) != OK) {
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *each = json_array_get(list, i);
        buffer_append_string(out, *is_first ? "{" : ",{");
        *is_first = false;
        if (index >= 0) {
            buffer_printf(out, "\"index\":%lld,", (long long)index);
        }
        buffer_append_string(out, "\"path\":");
        buffer_append_json_string(out, json_text(json_array_get(each, 0)));
        append_field(out, "digest", json_text(json_array_get(each, 1)));
        buffer_printf(out, ",\"size_bytes\":%lld,\"mode\":%lld}",
                      (long long)json_integer_value(json_array_get(each, 2)),
                      (long long)json_integer_value(json_array_get(each, 3)));
    }
}

static void append_stream(const char *name, const struct poll_stream *stream, struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest digest =
        stream->is_blob ? stream->digest : digest_of(stream->bytes.bytes, stream->bytes.length);
    buffer_printf(out, ",\"%s\":{\"digest\":\"%s\",\"size_bytes\":%lld}", name,
                  digest_to_text(&digest, text), (long long)stream->size);
}

void record_write_failures(const int64_t failures[CAUSE_COUNT], struct buffer *out)
{
    buffer_append_string(out, ",\"failures\":{");
    for (int i = 0; i < CAUSE_COUNT; i++) {
        buffer_printf(out, "%s\"%s\":%lld", i > 0 ? "," : "", cause_name((enum task_cause)i),
                      (long long)failures[i]);
    }
    buffer_append_byte(out, '}');
}

// `task`: whose last failure is among its failures.
static enum status append_attempts(struct sql *sql, int64_t job, const struct task_row *task,
                                   struct buffer *out, struct error *error)
{
    int64_t failures[CAUSE_COUNT] = {0};
    int64_t index = task->index;
    if (task->state == JOB_FAILED) {
        failures[outcome_cause(task->outcome)]++;
    }
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_TASK_ATTEMPTS, SQL_VALUES(sql_int64(job), sql_int64(index)), &rows,
                  error));
    buffer_append_string(out, ",\"failed_attempts\":[");
    for (bool is_first = true; sql_next(rows, &status, error); is_first = false) {
        char ended[CALENDAR_TEXT_SIZE];
        buffer_printf(out, "%s{\"attempt\":%lld", is_first ? "" : ",",
                      (long long)sql_column_int64(rows, 0));
        append_field(out, "worker", sql_column_text(rows, 1));
        enum poll_outcome outcome = (enum poll_outcome)sql_column_int64(rows, 2);
        failures[outcome_cause(outcome)]++;
        buffer_printf(out, ",\"outcome\":\"%s\",\"cause\":\"%s\",\"code\":%lld",
                      outcome_name(outcome), cause_name(outcome_cause(outcome)),
                      (long long)sql_column_int64(rows, 3));
        append_field(out, "message", sql_column_text(rows, 4));
        buffer_printf(out, ",\"ended_at\":\"%s\"}",
                      calendar_format(sql_column_int64(rows, 5), ended));
    }
    buffer_append_byte(out, ']');
    record_write_failures(failures, out);
    return status;
}

// Who ran it, and with what.
static enum status append_setup(struct sql *sql, const struct job_row *job,
                                const struct task_row *task, struct buffer *out,
                                struct error *error)
{
    static const char *const NAMES[] = {"executable", "executable_digest", "host", "sandbox"};
    AUTO_ROWS struct sql_rows *names = NULL;
    AUTO_ROWS struct sql_rows *setup = NULL;
    enum status status = OK;
    TRY(sql_query(sql, SQL_WORKER_NAME, SQL_VALUES(sql_int64(task->worker)), &names, error));
    append_known(out, "worker",
                 sql_next(names, &status, error) ? sql_column_text(names, 0) : TEXT_NONE);
    TRY(status);
    int64_t ran_as = task->cached_job > 0 ? task->cached_job : job->id;
    TRY(sql_query(sql, SQL_TASK_SETUP, SQL_VALUES(sql_int64(ran_as), sql_int64(task->worker)),
                  &setup, error));
    bool is_known = sql_next(setup, &status, error);
    for (int i = 0; i < 4; i++) {
        append_known(out, NAMES[i], is_known ? sql_column_text(setup, i) : TEXT_NONE);
    }
    return status;
}

// What {words} of the command stand for in this task.
struct item {
    struct buffer line;
    struct text file; // The file's path in the sandbox; empty for lines.
    struct buffer path;
    struct item_file parts;
};

static void item_done(struct item *item)
{
    buffer_done(&item->line);
    buffer_done(&item->path);
}

static enum status read_item(struct blobs *blobs, const struct job_row *job, const json_t *spec,
                             int64_t index, struct item *out, struct error *error)
{
    if (!job->has_items) {
        buffer_append_int64(&out->line, job->first_index + index);
        return OK;
    }
    TRY(items_read(blobs, &job->items, job->first_index + index, &out->line, error));
    if (job->items_kind == ITEMS_FILES && item_file_parse(buffer_text(&out->line), &out->parts)) {
        struct text name = json_text(json_object_get(spec, "over_name"));
        buffer_printf(&out->path, "/data/%.*s/", TEXT_ARGS(name));
        buffer_append_text(&out->path, out->parts.path);
        out->file = buffer_text(&out->path);
    }
    return OK;
}

static void append_command(const json_t *spec, int64_t index, const struct item *item,
                           struct buffer *out)
{
    const json_t *command = json_object_get(spec, "command");
    struct text whole = item->file.length > 0 ? item->file : buffer_text(&item->line);
    buffer_append_string(out, ",\"command\":[");
    for (size_t i = 0; i < json_array_size(command); i++) {
        AUTO_BUFFER struct buffer argument = {0};
        spec_expand(json_text(json_array_get(command, i)), index, whole, item->file, &argument);
        buffer_append_string(out, i > 0 ? "," : "");
        buffer_append_json_string(out, buffer_text(&argument));
    }
    buffer_append_string(out, "],\"environment\":");
    json_write(json_object_get(spec, "environment"), false, out);
}

static void append_inputs(const struct job_row *job, struct text inputs, const struct item *item,
                          struct buffer *out)
{
    buffer_append_string(out, ",\"inputs\":");
    buffer_append_text(out, text_slice(inputs, 0, inputs.length ? inputs.length - 1 : 0));
    buffer_append_string(out, inputs.length > 2 && job->has_items ? "," : "");
    if (job->has_items && item->file.length > 0) {
        buffer_append_string(out, "{\"kind\":\"item\",\"name\":\"item\"");
        append_field(out, "path", item->file);
        buffer_printf(out, ",\"digest\":\"sha256:%.*s\",\"size_bytes\":%lld}",
                      TEXT_ARGS(item->parts.digest), (long long)item->parts.size_bytes);
    } else if (job->has_items) {
        char text[DIGEST_TEXT_SIZE];
        struct digest digest = digest_of(item->line.bytes, item->line.length);
        buffer_printf(out,
                      "{\"kind\":\"item\",\"name\":\"item\",\"digest\":\"%s\",\"size_bytes\":%zu}",
                      digest_to_text(&digest, text), item->line.length);
    }
    buffer_append_byte(out, ']');
}

static void append_cache(const struct job_row *job, const struct task_row *task,
                         const struct item *item, struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest_stream *stream = digest_stream_new();
    digest_stream_update(stream, job->family.bytes, DIGEST_SIZE);
    digest_stream_update(stream, item->line.bytes, item->line.length);
    struct digest key = digest_stream_finish(stream);
    buffer_printf(out, ",\"cache\":{\"key\":\"%s\",\"hit\":%s", digest_to_text(&key, text),
                  task->cached_job > 0 ? "true" : "false");
    if (task->cached_job > 0) {
        buffer_printf(out, ",\"first_job\":%lld,\"first_index\":%lld}", (long long)task->cached_job,
                      (long long)task->cached_index);
    } else {
        buffer_append_string(out, ",\"first_job\":null,\"first_index\":null}");
    }
}

// Who else may reuse the result: of one from the cache that is said of the job that computed it.
static enum status append_results_for(struct sql *sql, const struct job_row *job,
                                      const struct task_row *task, struct buffer *out,
                                      struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_BUFFER struct buffer scope = {0};
    struct runner_job made = made_for_row(job);
    if (task->cached_job > 0) {
        TRY(made_for_read(sql, task->cached_job, &arena, &made, error));
    }
    runner_scope(task->kind, &made, &scope);
    append_field(out, "results_for", buffer_text(&scope));
    return OK;
}

static void append_run(const struct task_row *task, struct buffer *out)
{
    char started[CALENDAR_TEXT_SIZE];
    buffer_printf(out, ",\"outcome\":\"%s\"", outcome_name(task->outcome));
    append_exit(task, out);
    if (task->outcome == OUTCOME_SIGNAL) {
        buffer_printf(out, ",\"signal\":%lld", (long long)task->code);
    } else {
        buffer_append_string(out, ",\"signal\":null");
    }
    append_field(out, "message", task->message);
    buffer_printf(out,
                  ",\"attempts\":%lld,\"started_at\":\"%s\",\"wall_seconds\":%.6f,"
                  "\"cpu_seconds\":%.6f,\"peak_memory_bytes\":%lld",
                  (long long)task->attempts, calendar_format(task->started_us, started),
                  (double)task->wall_us / 1e6, (double)task->cpu_us / 1e6,
                  (long long)task->peak_bytes);
    append_stream("stdout", &task->output, out);
    append_stream("stderr", &task->error_output, out);
    bool is_first = true;
    buffer_append_string(out, ",\"outputs\":[");
    record_write_outputs(task->outputs, -1, &is_first, out);
    buffer_append_byte(out, ']');
}

enum status record_write(struct blobs *blobs, struct sql *sql, const struct job_row *job,
                         struct text spec_text, struct text inputs, const struct task_row *task,
                         struct buffer *out, struct error *error)
{
    AUTO_JSON json_t *spec = NULL;
    struct item item = {0};
    TRY(json_parse(spec_text, &spec, error));
    enum status status = read_item(blobs, job, spec, task->index, &item, error);
    if (status != OK) {
        item_done(&item);
        return status;
    }
    buffer_printf(out, "{\"job\":%lld,\"index\":%lld,\"state\":\"%s\"", (long long)job->id,
                  (long long)task->index, job_state_name(task->state));
    append_field(out, "owner", job->owner);
    append_command(spec, job->first_index + task->index, &item, out);
    append_inputs(job, inputs, &item, out);
    append_cache(job, task, &item, out);
    item_done(&item);
    buffer_append_string(out, ",\"offer\":");
    buffer_append_text(out, job->offer.length > 0 ? job->offer : TEXT("null"));
    if (has_result(task->state)) {
        append_run(task, out);
        TRY(append_results_for(sql, job, task, out, error));
        TRY(append_setup(sql, job, task, out, error));
    }
    TRY(append_attempts(sql, job->id, task, out, error));
    buffer_append_string(out, "}\n");
    return OK;
}
