// The server-sent events of a job, read from where a follower is.
#include "queue/state.h"

#include "base/hex.h"
#include "os/clock.h"
#include "records/handover.h"
#include "records/jobs_sql.h"
#include "records/record.h"

enum {
    EVENTS_A_READ = 256,
    EVENTS_SIZE_MAX = 256 << 10,
    LOG_PIECE_MAX = 48 << 10, // Bytes of live output in one event.
};

static void write_id(const struct event_position *at, struct buffer *out)
{
    buffer_append_string(out, "id: ");
    event_position_write(at, out);
    buffer_append_byte(out, '\n');
}

// What only the writer's thread knows: the job's document, and live output of a job with one task.
struct glance {
    struct queue *queue;
    int64_t job;
    const struct event_position *at;
    struct buffer document;
    int64_t version;
    bool has_ended;
    struct buffer live[2];
    int64_t live_offset[2];
    int64_t attempt; // That it is of.
};

// What was seen of another attempt is none of this one's.
static void copy_live(struct glance *glance, const struct live_task *live)
{
    const struct event_position *at = glance->at;
    bool is_other = at->attempt != 0 && at->attempt != glance->attempt;
    const int64_t seen[2] = {is_other ? 0 : at->output, is_other ? 0 : at->error_output};
    for (int i = 0; i < 2; i++) {
        const struct live_stream *stream = &live->streams[i];
        int64_t from = seen[i] > stream->offset ? seen[i] : stream->offset;
        struct text rest =
            text_slice(buffer_text(&stream->bytes), (size_t)(from - stream->offset), SIZE_MAX);
        glance->live_offset[i] = from;
        buffer_append_text(&glance->live[i], text_slice(rest, 0, LOG_PIECE_MAX));
    }
}

static enum status run_glance(struct sql *sql, void *context, struct error *error)
{
    struct glance *glance = context;
    struct queue *queue = glance->queue;
    struct job_row row;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(queue_settle(queue, sql, error));
    TRY(sql_first(sql, SQL_ONE_JOB, SQL_VALUES(sql_int64(glance->job)), &rows, error));
    job_row_read(rows, &row);
    const struct active_job *job = queue_find_job(queue, glance->job);
    glance->version = job ? job->row.progress.version : row.progress.version;
    glance->has_ended = !job;
    struct live_task *live = row.count == 1 ? live_find(queue, glance->job, 0) : NULL;
    if (live) {
        AUTO_ROWS struct sql_rows *past = NULL;
        TRY(sql_first(sql, SQL_LAST_ATTEMPT, SQL_VALUES(sql_int64(glance->job), sql_int64(0)),
                      &past, error));
        glance->attempt = live->attempt + sql_column_int64(past, 0);
        copy_live(glance, live);
    }
    if (glance->version == glance->at->version) {
        return OK;
    }
    return job_write_document(queue, sql, glance->job, glance->has_ended, &glance->document, error);
}

static enum status write_tasks(struct queue *queue, struct sql *sql, int64_t job,
                               struct event_position *at, struct buffer *out, bool *is_more,
                               struct error *error)
{
    enum status status = OK;
    int64_t count = 0;
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (at->wants_results) {
        const struct handover_limits limits = {EVENTS_A_READ, EVENTS_SIZE_MAX};
        return handover_write(sql, job, &limits, at, out, is_more, error);
    }
    TRY(sql_query(sql, SQL_TASKS_AFTER_SEQ,
                  SQL_VALUES(sql_int64(job), sql_int64(at->seq), sql_int64(EVENTS_A_READ)), &rows,
                  error));
    while (out->length < EVENTS_SIZE_MAX && sql_next(rows, &status, error)) {
        struct task_row row;
        task_row_read(rows, &row);
        at->seq = row.seq;
        buffer_append_string(out, "event: task\n");
        write_id(at, out);
        buffer_append_string(out, "data: ");
        record_write_event(queue->blobs, &row, out);
        buffer_append_string(out, "\n\n");
        count++;
    }
    *is_more = count == EVENTS_A_READ || out->length >= EVENTS_SIZE_MAX;
    return status;
}

static void write_logs(struct glance *glance, struct event_position *at, struct buffer *out)
{
    static const char *const NAMES[2] = {"stdout", "stderr"};
    int64_t *const seen[2] = {&at->output, &at->error_output};
    for (int i = 0; i < 2; i++) {
        if (glance->live[i].length == 0) {
            continue;
        }
        if (at->attempt != glance->attempt) {
            at->output = at->attempt != 0 ? 0 : at->output;
            at->error_output = at->attempt != 0 ? 0 : at->error_output;
            at->attempt = glance->attempt;
        }
        *seen[i] = glance->live_offset[i] + (int64_t)glance->live[i].length;
        buffer_append_string(out, "event: log\n");
        write_id(at, out);
        buffer_printf(
            out,
            "data: {\"index\":0,\"attempt\":%lld,\"stream\":\"%s\",\"offset\":%lld,\"base64\":\"",
            (long long)glance->attempt, NAMES[i], (long long)glance->live_offset[i]);
        base64_append(out, glance->live[i].bytes, glance->live[i].length);
        buffer_append_string(out, "\"}\n\n");
    }
}

// The counters, or the end; only when all tasks up to them have been told of.
static void write_job(const struct glance *glance, bool wants_job, struct event_position *at,
                      struct buffer *out, struct queue_events *found)
{
    if (glance->document.length == 0) {
        return;
    }
    if (!glance->has_ended && !wants_job) {
        found->is_job_omitted = true;
        return;
    }
    at->version = glance->version;
    buffer_append_string(out, glance->has_ended ? "event: end\n" : "event: job\n");
    write_id(at, out);
    buffer_append_string(out, "data: ");
    buffer_append_text(out, text_trim(buffer_text(&glance->document)));
    buffer_append_string(out, "\n\n");
    found->has_job = true;
    found->is_ended = glance->has_ended;
}

enum status queue_read_events(struct queue *queue, int64_t job, bool wants_job,
                              struct event_position *at, struct buffer *out,
                              struct queue_events *found, struct error *error)
{
    struct glance glance = {.queue = queue, .job = job, .at = at};
    struct sql *sql = NULL;
    *found = (struct queue_events){0};
    // First the job, then its tasks: so its end comes behind the last of them.
    enum status status = store_write_wait(queue->store, run_glance, &glance, error);
    if (status == OK) {
        status = store_read_begin(queue->store, &sql, error);
    }
    if (status == OK) {
        write_logs(&glance, at, out);
        status = write_tasks(queue, sql, job, at, out, &found->is_more, error);
        store_read_end(queue->store, sql);
    }
    if (status == OK && !found->is_more) {
        write_job(&glance, wants_job, at, out, found);
    }
    for (int i = 0; i < 2; i++) {
        found->is_more = found->is_more || (int)glance.live[i].length >= LOG_PIECE_MAX;
        buffer_done(&glance.live[i]);
    }
    buffer_done(&glance.document);
    return status;
}
