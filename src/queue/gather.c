// Brings a job the outputs of other jobs (input_from): once those have succeeded, their files become files of the job, and so part
// of its identity. A thread of its own does it, as it reads much and looks into the cache; what it found is one change of the job.
#include "queue/gather.h"

#include "base/memory.h"
#include "os/thread.h"
#include "prepare/prepare.h"
#include "queue/second_look.h"
#include "records/jobs_sql.h"

#include <stdio.h>
#include <sys/stat.h>

enum {
    COLUMN_SPEC = JOB_COLUMN_COUNT,
    COLUMN_DESCRIPTION,
    COLUMN_INPUTS,
    LIST_SIZE_MAX =
        768 << 10,       // Bytes of the list of files: it must fit into the document of a job.
    FILE_OVERHEAD = 120, // Of one file in that list beside its name.
};

struct request {
    int64_t job;
    gatherer_work *work;
};

struct gatherer {
    struct queue *queue;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    struct request *requests; // Oldest first: [first, first + count).
    size_t first;
    size_t count;
    size_t capacity;
    bool is_ending;
};

// What was found for one job.
struct gather_op {
    struct queue_op op;
    int64_t job;
    struct error error; // With a status that is not OK, why the job cannot run.
    struct buffer description;
    struct buffer inputs;
    struct digest family;
    struct cache_plan plan;
    bool is_looking_up;
};

// One job's files while they are put together.
struct gathering {
    json_t *files;  // Of the description; borrowed.
    json_t *inputs; // Of the record.
    struct digest_stream *family;
    size_t list_size;
};

static void append_name(struct buffer *out, size_t position, const struct job_row *source,
                        int64_t task, struct text path)
{
    buffer_printf(out, SPEC_INPUTS_FOLDER "/%zu/", position);
    if (source->count > 1) {
        buffer_append_int64(out, source->first_index + task);
        buffer_append_byte(out, '/');
    }
    buffer_append_text(out, path);
}

static enum status too_many(int64_t source, struct error *error)
{
    (void)error_set(error, QUOTA,
                    "with those of job %lld there are more outputs than a job can get: at most %d "
                    "files, whose names and digests take at most %d KiB",
                    (long long)source, SPEC_FILES_MAX, LIST_SIZE_MAX >> 10);
    error_fix(error, "have the jobs before pack their outputs into few files, with tar");
    return QUOTA;
}

static enum status add_file(struct gathering *self, int64_t source, struct text name,
                            const json_t *output, struct error *error)
{
    struct text digest = json_text(json_array_get(output, 1));
    bool is_executable = (json_integer_value(json_array_get(output, 3)) & S_IXUSR) != 0;
    self->list_size += name.length + FILE_OVERHEAD;
    if (json_array_size(self->files) >= SPEC_FILES_MAX || self->list_size > LIST_SIZE_MAX) {
        return too_many(source, error);
    }
    TRY(spec_check_file_name(name, error));
    (void)json_array_append_new(self->files,
                                json_pack("{s:o, s:o, s:b}", "name", json_from_text(name), "blob",
                                          json_from_text(digest), "executable", is_executable));
    (void)json_array_append_new(self->inputs,
                                json_pack("{s:s, s:o, s:o}", "kind", "file", "name",
                                          json_from_text(name), "digest", json_from_text(digest)));
    digest_stream_update(self->family, name.bytes, name.length);
    digest_stream_update(self->family, is_executable ? "\0x" : "\0-", 2);
    digest_stream_update(self->family, digest.bytes, digest.length);
    return OK;
}

static enum status add_task(struct gathering *self, size_t position, const struct job_row *source,
                            int64_t task, struct text outputs, struct error *error)
{
    AUTO_JSON json_t *list = NULL;
    size_t at = 0;
    const json_t *output = NULL;
    TRY(json_parse(outputs, &list, error));
    json_array_foreach(list, at, output)
    {
        AUTO_BUFFER struct buffer name = {0};
        append_name(&name, position, source, task, json_text(json_array_get(output, 0)));
        TRY(add_file(self, source->id, buffer_text(&name), output, error));
    }
    return OK;
}

static enum status add_outputs(struct gathering *self, struct sql *sql, size_t position,
                               int64_t source, struct error *error)
{
    AUTO_ROWS struct sql_rows *job = NULL;
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    struct job_row row;
    TRY(sql_first(sql, SQL_ONE_JOB, SQL_VALUES(sql_int64(source)), &job, error));
    job_row_read(job, &row);
    TRY(sql_query(sql, SQL_TASKS_WITH_OUTPUTS,
                  SQL_VALUES(sql_int64(source), sql_int64(0), sql_int64(SPEC_FILES_MAX + 1)), &rows,
                  error));
    int64_t count = 0;
    for (; status == OK && sql_next(rows, &status, error); count++) {
        status = add_task(self, position, &row, sql_column_int64(rows, 0), sql_column_text(rows, 1),
                          error);
    }
    TRY(status);
    if (count == 0) {
        (void)error_set(error, INVALID,
                        "job %lld, whose outputs this one is to get, has left no output files",
                        (long long)source);
        error_fix(error, "run that one with --output PATTERN, and this one after it");
        return INVALID;
    }
    return OK;
}

static enum status add_all(struct gathering *self, struct sql *sql, const struct job_spec *spec,
                           struct error *error)
{
    for (size_t i = 0; i < spec->input_count; i++) {
        TRY(add_outputs(self, sql, i, spec->input_from[i], error));
    }
    return OK;
}

// The list of files in a description, and the description itself as an object.
static enum status open_description(struct text description, json_t **object, json_t **files,
                                    struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_append_byte(&text, '{');
    buffer_append_text(&text, description);
    TRY(json_parse(buffer_text(&text), object, error));
    const json_t *spec = json_object_get(*object, "spec"); // Of a job with a place.
    *files = json_object_get(spec ? spec : *object, "files");
    return *files ? OK : error_set(error, CORRUPT, "a job's description has no files");
}

static enum status gather(struct gather_op *self, struct sql *sql, const struct sql_rows *rows,
                          const struct job_spec *spec, struct error *error)
{
    AUTO_JSON json_t *description = NULL;
    AUTO_JSON json_t *inputs = NULL;
    AUTO_BUFFER struct buffer text = {0};
    struct job_row row;
    struct gathering gathering = {0};
    job_row_read(rows, &row);
    TRY(open_description(sql_column_text(rows, COLUMN_DESCRIPTION), &description, &gathering.files,
                         error));
    TRY(json_parse(sql_column_text(rows, COLUMN_INPUTS), &inputs, error));
    gathering.inputs = inputs;
    gathering.family = digest_stream_new();
    digest_stream_update(gathering.family, row.family.bytes, DIGEST_SIZE);
    enum status status = add_all(&gathering, sql, spec, error);
    self->family = digest_stream_finish(gathering.family);
    TRY(status);
    json_write(description, false, &text);
    buffer_append_text(&self->description, text_slice(buffer_text(&text), 1, SIZE_MAX));
    json_write(inputs, false, &self->inputs);
    return OK;
}

// Reads the job and all that it gets. The row's family becomes the new one; of its texts only owner and group, in the arena, may be used
// afterwards.
static enum status read_all(struct gather_op *self, struct sql *sql, struct arena *arena,
                            struct job_row *row, struct job_spec **spec, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    AUTO_JSON json_t *document = NULL;
    TRY(sql_first(sql, SQL_GATHER_JOB, SQL_VALUES(sql_int64(self->job)), &rows, error));
    job_row_read(rows, row);
    TRY(json_parse(sql_column_text(rows, COLUMN_SPEC), &document, error));
    TRY(spec_parse(document, spec, error));
    TRY(gather(self, sql, rows, *spec, error));
    row->family = self->family;
    row->owner = text_of(arena_copy(arena, row->owner));
    row->group = text_of(arena_copy(arena, row->group));
    return OK;
}

static enum status gather_job(struct queue *queue, struct gather_op *self, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct sql *sql = NULL;
    struct job_row row;
    struct prepare_look look = {0};
    struct job_spec *spec = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = read_all(self, sql, &arena, &row, &spec, error);
    store_read_end(queue->store, sql);
    // Who computed the same may have begun before this job was submitted, and ended after it.
    if (status == OK && second_look_now(queue, self->job, &look) == OK) {
        status =
            cache_look_up(&queue->site, &row, prepare_says_index(spec), &look, &self->plan, error);
    }
    spec_free(spec);
    return status;
}

static enum status take_files(struct gather_op *self, struct sql *sql, struct active_job *job,
                              struct error *error)
{
    struct queue *queue = self->op.queue;
    TRY(sql_run(sql, SQL_UPDATE_GATHERED,
                SQL_VALUES(sql_int64(self->job), sql_text(buffer_text(&self->description)),
                           sql_blob(self->family.bytes, DIGEST_SIZE),
                           sql_text(buffer_text(&self->inputs))),
                NULL, error));
    queue->is_touched = true;
    job_touch(queue, job);
    free(job->description);
    job->description = text_copy(buffer_text(&self->description));
    twins_remove(queue, job);
    job->row.family = self->family;
    twins_add(queue, job);
    job->row.gathers = false;
    TRY(cache_apply_piece(queue, sql, job, &self->plan, error));
    self->is_looking_up = !job->has_ended && self->plan.run_count > 0;
    job->is_looking_up = self->is_looking_up;
    TRY(twins_join(queue, sql, job, error));
    return job->has_ended ? OK : job_look_at_needs(queue, sql, job, error);
}

static enum status run_gather(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct gather_op *self = (struct gather_op *)op;
    struct active_job *job = queue_find_job(op->queue, self->job);
    if (!job || !job->row.gathers || job->unmet_needs > 0) {
        return OK; // It was cancelled, or done already.
    }
    if (job->hold_reason) {
        job->is_gathering = false; // Its description will be another one when it is released.
        return OK;
    }
    if (self->error.status != OK) {
        char message[JOB_MESSAGE_MAX];
        bool has_fix = self->error.fix[0] != '\0';
        (void)snprintf(message, sizeof message, "%.340s%s%.250s", self->error.detail,
                       has_fix ? ": " : "", self->error.fix);
        job_fail(op->queue, job, message);
        return OK;
    }
    return take_files(self, sql, job, error);
}

static void done_gather(struct queue_op *op, enum status status, const struct error *error)
{
    (void)error;
    struct gather_op *self = (struct gather_op *)op;
    if (status != OK) {
        op->queue->needs_reload = true; // Then it is asked for again.
    } else if (self->is_looking_up) {
        cache_apply(op->queue, self->job, &self->plan);
    }
    buffer_done(&self->description);
    buffer_done(&self->inputs);
    cache_plan_done(&self->plan);
    free(self);
}

void gather_outputs(struct queue *queue, int64_t job)
{
    struct gather_op *self = NEW(struct gather_op);
    struct error error = {0};
    self->op.run = run_gather;
    self->op.done = done_gather;
    self->job = job;
    enum status status = gather_job(queue, self, &error);
    if (status != OK) {
        self->error = error;
        self->error.status = status;
    }
    queue_enqueue(queue, &self->op);
}

static void *run(void *context)
{
    struct gatherer *gatherer = context;
    (void)pthread_mutex_lock(&gatherer->mutex);
    while (!gatherer->is_ending) {
        if (gatherer->count == 0) {
            (void)pthread_cond_wait(&gatherer->changed, &gatherer->mutex);
            continue;
        }
        const struct request request = gatherer->requests[gatherer->first++];
        gatherer->count--;
        (void)pthread_mutex_unlock(&gatherer->mutex);
        request.work(gatherer->queue, request.job);
        (void)pthread_mutex_lock(&gatherer->mutex);
    }
    (void)pthread_mutex_unlock(&gatherer->mutex);
    return NULL;
}

static void destroy(struct gatherer *gatherer)
{
    (void)pthread_cond_destroy(&gatherer->changed);
    (void)pthread_mutex_destroy(&gatherer->mutex);
    free(gatherer->requests);
    free(gatherer);
}

enum status gatherer_new(struct queue *queue, struct gatherer **out, struct error *error)
{
    struct gatherer *gatherer = NEW(struct gatherer);
    gatherer->queue = queue;
    (void)pthread_mutex_init(&gatherer->mutex, NULL);
    (void)pthread_cond_init(&gatherer->changed, NULL);
    enum status status = thread_start(&gatherer->thread, "lode-gather", run, gatherer, error);
    if (status != OK) {
        destroy(gatherer);
        return status;
    }
    *out = gatherer;
    return OK;
}

void gatherer_stop(struct gatherer *gatherer)
{
    if (!gatherer) {
        return;
    }
    (void)pthread_mutex_lock(&gatherer->mutex);
    bool is_first = !gatherer->is_ending;
    gatherer->is_ending = true;
    (void)pthread_cond_signal(&gatherer->changed);
    (void)pthread_mutex_unlock(&gatherer->mutex);
    if (is_first) {
        (void)pthread_join(gatherer->thread, NULL);
    }
}

void gatherer_free(struct gatherer *gatherer)
{
    if (gatherer) {
        gatherer_stop(gatherer);
        destroy(gatherer);
    }
}

void gatherer_ask(struct gatherer *gatherer, gatherer_work *work, int64_t job)
{
    (void)pthread_mutex_lock(&gatherer->mutex);
    bool is_full = gatherer->first + gatherer->count == gatherer->capacity;
    if (is_full && gatherer->first > gatherer->count) {
        memcpy(gatherer->requests, gatherer->requests + gatherer->first,
               gatherer->count * sizeof *gatherer->requests);
        gatherer->first = 0;
    } else if (is_full) {
        gatherer->capacity = gatherer->capacity ? gatherer->capacity * 2 : 8;
        gatherer->requests =
            memory_resize(gatherer->requests, gatherer->capacity, sizeof *gatherer->requests);
    }
    gatherer->requests[gatherer->first + gatherer->count++] = (struct request){job, work};
    (void)pthread_cond_signal(&gatherer->changed);
    (void)pthread_mutex_unlock(&gatherer->mutex);
}
