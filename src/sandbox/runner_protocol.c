#include "sandbox/runner_protocol.h"

#include "base/memory.h"

#include <assert.h>

struct frame_header {
    uint32_t length;
    uint32_t kind;
};

enum status runner_take_frame(struct text bytes, struct runner_frame *frame, size_t *used,
                              struct error *error)
{
    struct frame_header header;
    *used = 0;
    if (bytes.length < sizeof header) {
        return OK;
    }
    memcpy(&header, bytes.bytes, sizeof header);
    if (header.length > RUNNER_FRAME_MAX || header.kind < RUNNER_JOB ||
        header.kind >= RUNNER_KIND_END) {
        return error_set(error, CORRUPT, "a runner's frame of kind %u with %u bytes cannot be",
                         header.kind, header.length);
    }
    if (bytes.length - sizeof header < header.length) {
        return OK;
    }
    frame->kind = (enum runner_kind)header.kind;
    frame->payload = text_slice(bytes, sizeof header, sizeof header + header.length);
    *used = sizeof header + header.length;
    return OK;
}

size_t runner_begin_frame(struct buffer *buffer, enum runner_kind kind)
{
    size_t begin = buffer->length;
    struct frame_header header = {.kind = (uint32_t)kind};
    buffer_append(buffer, &header, sizeof header);
    return begin;
}

void runner_end_frame(struct buffer *buffer, size_t begin)
{
    struct frame_header header;
    size_t length = buffer->length - begin - sizeof header;
    assert(length <= RUNNER_FRAME_MAX);
    memcpy(&header, buffer->bytes + begin, sizeof header);
    header.length = (uint32_t)length;
    memcpy(buffer->bytes + begin, &header, sizeof header);
}

void runner_put_int64(struct buffer *buffer, int64_t value)
{
    buffer_append(buffer, &value, sizeof value);
}

void runner_put_text(struct buffer *buffer, struct text text)
{
    assert(text.length <= RUNNER_FRAME_MAX);
    uint32_t length = (uint32_t)text.length;
    buffer_append(buffer, &length, sizeof length);
    buffer_append_text(buffer, text);
}

enum status runner_get_int64(struct text *rest, int64_t min, int64_t max, int64_t *out,
                             struct error *error)
{
    int64_t value = 0;
    if (rest->length < sizeof value) {
        return error_set(error, CORRUPT, "a runner's frame ends in the middle of a number");
    }
    memcpy(&value, rest->bytes, sizeof value);
    if (value < min || value > max) {
        return error_set(error, CORRUPT, "a runner's frame has %lld where %lld to %lld can be",
                         (long long)value, (long long)min, (long long)max);
    }
    *rest = text_slice(*rest, sizeof value, rest->length);
    *out = value;
    return OK;
}

enum status runner_get_text(struct text *rest, struct text *out, struct error *error)
{
    uint32_t length = 0;
    if (rest->length < sizeof length) {
        return error_set(error, CORRUPT, "a runner's frame ends in the middle of a text");
    }
    memcpy(&length, rest->bytes, sizeof length);
    if (rest->length - sizeof length < length) {
        return error_set(error, CORRUPT, "a runner's frame has a text of %u bytes in %zu", length,
                         rest->length);
    }
    *out = text_slice(*rest, sizeof length, sizeof length + length);
    *rest = text_slice(*rest, sizeof length + length, rest->length);
    return OK;
}

static void put_output(struct buffer *buffer, const struct runner_output *output)
{
    runner_put_int64(buffer, output->size);
    runner_put_int64(buffer, output->file);
    runner_put_text(buffer, output->bytes);
}

static enum status get_output(struct text *rest, struct runner_output *out, struct error *error)
{
    TRY(runner_get_int64(rest, 0, INT64_MAX, &out->size, error));
    TRY(runner_get_int64(rest, -1, INT64_MAX, &out->file, error));
    TRY(runner_get_text(rest, &out->bytes, error));
    bool is_inline = out->file < 0;
    if (out->bytes.length > RUNNER_INLINE_MAX ||
        (is_inline ? (size_t)out->size != out->bytes.length : out->bytes.length != 0)) {
        return error_set(error, CORRUPT, "a runner's result has %zu bytes of an output of %lld",
                         out->bytes.length, (long long)out->size);
    }
    return OK;
}

void runner_put_result(struct buffer *buffer, const struct runner_result *result)
{
    runner_put_int64(buffer, result->lease);
    runner_put_int64(buffer, result->index);
    runner_put_int64(buffer, result->outcome);
    runner_put_int64(buffer, result->code);
    runner_put_int64(buffer, result->started_us);
    runner_put_int64(buffer, result->wall_us);
    runner_put_int64(buffer, result->cpu_us);
    runner_put_int64(buffer, result->peak_bytes);
    runner_put_int64(buffer, result->is_held);
    runner_put_int64(buffer, result->is_warned);
    put_output(buffer, &result->out);
    put_output(buffer, &result->err);
    runner_put_text(buffer, result->detail);
}

enum status runner_get_result(struct text *rest, struct runner_result *out, struct error *error)
{
    struct runner_result result = {0};
    TRY(runner_get_int64(rest, 0, INT64_MAX, &result.lease, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &result.index, error));
    TRY(runner_get_int64(rest, 0, OUTCOME_END - 1, &result.outcome, error));
    TRY(runner_get_int64(rest, 0, 255, &result.code, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &result.started_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &result.wall_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &result.cpu_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &result.peak_bytes, error));
    TRY(runner_get_int64(rest, 0, 1, &result.is_held, error));
    TRY(runner_get_int64(rest, 0, 1, &result.is_warned, error));
    TRY(get_output(rest, &result.out, error));
    TRY(get_output(rest, &result.err, error));
    TRY(runner_get_text(rest, &result.detail, error));
    if (result.detail.length > RUNNER_DETAIL_MAX) {
        return error_set(error, CORRUPT, "a runner's result has a detail of %zu bytes",
                         result.detail.length);
    }
    *out = result;
    return OK;
}

void runner_put_answers(struct buffer *buffer, const struct runner_answers *answers)
{
    runner_put_int64(buffer, answers->lease);
    runner_put_int64(buffer, answers->from);
    runner_put_int64(buffer, answers->to);
    runner_put_int64(buffer, answers->started_us);
    runner_put_int64(buffer, answers->wall_us);
    runner_put_int64(buffer, answers->cpu_us);
    runner_put_int64(buffer, answers->peak_bytes);
    runner_put_text(buffer, answers->errors);
    runner_put_text(buffer, answers->lines);
}

enum status runner_get_answers(struct text *rest, struct runner_answers *out, struct error *error)
{
    struct runner_answers answers = {0};
    TRY(runner_get_int64(rest, 0, INT64_MAX, &answers.lease, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &answers.from, error));
    TRY(runner_get_int64(rest, answers.from, INT64_MAX, &answers.to, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &answers.started_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &answers.wall_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &answers.cpu_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &answers.peak_bytes, error));
    TRY(runner_get_text(rest, &answers.errors, error));
    TRY(runner_get_text(rest, &answers.lines, error));
    if (answers.errors.length > RUNNER_INLINE_MAX) {
        return error_set(error, CORRUPT, "a runner's answers have %zu bytes of errors",
                         answers.errors.length);
    }
    int64_t lines = 0;
    size_t end = 0;
    for (size_t at = 0; at < answers.lines.length; at = end) {
        end = text_find_byte(answers.lines, at, '\n') + 1;
        lines++;
    }
    if (end > answers.lines.length || lines != answers.to - answers.from) {
        return error_set(error, CORRUPT, "a runner gave %lld answers for %lld items",
                         (long long)lines, (long long)(answers.to - answers.from));
    }
    *out = answers;
    return OK;
}

static void put_list(struct buffer *buffer, const struct text *list, int64_t count)
{
    runner_put_int64(buffer, count);
    for (int64_t i = 0; i < count; i++) {
        runner_put_text(buffer, list[i]);
    }
}

static enum status get_list(struct text *rest, struct text **list, int64_t *count,
                            struct error *error)
{
    int64_t promised = 0;
    TRY(runner_get_int64(rest, 0, RUNNER_STRINGS_MAX, &promised, error));
    *list = memory_new((size_t)promised + 1, sizeof **list);
    for (; *count < promised; (*count)++) {
        TRY(runner_get_text(rest, &(*list)[*count], error));
    }
    return OK;
}

void runner_put_job(struct buffer *buffer, const struct runner_job *job)
{
    runner_put_int64(buffer, job->is_stream);
    runner_put_int64(buffer, job->items);
    runner_put_int64(buffer, job->holds);
    runner_put_int64(buffer, job->walltime_us);
    runner_put_int64(buffer, job->disk_bytes);
    runner_put_int64(buffer, job->memory_bytes);
    runner_put_int64(buffer, job->pids_rlimit);
    runner_put_int64(buffer, job->first_index);
    runner_put_int64(buffer, job->keeps_beneath);
    runner_put_text(buffer, job->data_folder);
    put_list(buffer, job->arguments, job->argument_count);
    put_list(buffer, job->environment, job->environment_count);
    put_list(buffer, job->kept, job->kept_count);
}

static enum status get_job(struct text *rest, struct runner_job *job, struct error *error)
{
    TRY(runner_get_int64(rest, 0, 1, &job->is_stream, error));
    TRY(runner_get_int64(rest, ITEMS_COUNT, ITEMS_FILES, &job->items, error));
    TRY(runner_get_int64(rest, 0, HOLD_ALL, &job->holds, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &job->walltime_us, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &job->disk_bytes, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &job->memory_bytes, error));
    TRY(runner_get_int64(rest, 0, INT64_MAX, &job->pids_rlimit, error));
    TRY(runner_get_int64(rest, 0, INT32_MAX, &job->first_index, error));
    TRY(runner_get_int64(rest, 0, 1, &job->keeps_beneath, error));
    TRY(runner_get_text(rest, &job->data_folder, error));
    TRY(get_list(rest, &job->arguments, &job->argument_count, error));
    TRY(get_list(rest, &job->environment, &job->environment_count, error));
    TRY(get_list(rest, &job->kept, &job->kept_count, error));
    if (job->argument_count == 0) {
        return error_set(error, CORRUPT, "a job for a runner has no command");
    }
    return OK;
}

enum status runner_get_job(struct text *rest, struct runner_job *out, struct error *error)
{
    struct runner_job job = {0};
    enum status status = get_job(rest, &job, error);
    if (status != OK) {
        runner_job_done(&job);
        return status;
    }
    *out = job;
    return OK;
}

void runner_job_done(struct runner_job *job)
{
    free(job->arguments);
    free(job->environment);
    free(job->kept);
    *job = (struct runner_job){0};
}
