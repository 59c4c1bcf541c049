#include "protocol/poll_parse.h"

#include "base/hex.h"
#include "base/memory.h"
#include "jobs/spec.h"
#include "protocol/hello.h"

enum {
    TASK_ELEMENTS_MAX = 13,
    LOG_ELEMENTS_MAX = 6,
    STREAM_BASE64_MAX = (POLL_INLINE_MAX + 2) / 3 * 4
};

// Element `at` of a compact array as a number; absent and null read as 0.
static enum status element_int64(const json_t *array, size_t at, const char *what, int64_t min,
                                 int64_t *out, struct error *error)
{
    const json_t *value = json_array_get(array, at);
    if (!value || json_is_null(value)) {
        *out = 0;
        return OK;
    }
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > POLL_NUMBER_MAX) {
        return error_set(error, INVALID,
                         "%s (element %zu) must be a whole number from %lld to %lld", what, at,
                         (long long)min, (long long)POLL_NUMBER_MAX);
    }
    *out = json_integer_value(value);
    return OK;
}

// The same of a number of attempts, which is 1 where it is left out.
static enum status element_attempt(const json_t *array, size_t at, int64_t *out,
                                   struct error *error)
{
    int64_t number = 0;
    TRY(element_int64(array, at, "attempt", 1, &number, error));
    if (number > POLL_ATTEMPT_MAX) {
        return error_set(error, INVALID, "attempt %lld (element %zu) is more than %d",
                         (long long)number, at, POLL_ATTEMPT_MAX);
    }
    *out = number > 0 ? number : 1;
    return OK;
}

// A class that is not known is for who uses it to judge.
static enum status read_class(const json_t *value, struct text *out, struct error *error)
{
    struct text text = json_text(value);
    bool is_said = value && !json_is_null(value);
    if (is_said &&
        (!json_is_string(value) || text.length > POLL_CLASS_MAX || text_has_control(text))) {
        return error_set(error, INVALID, "a class must be a word of at most %d bytes",
                         POLL_CLASS_MAX);
    }
    *out = text;
    return OK;
}

static void note_blob(struct poll_body *body, const struct digest *digest)
{
    if (body->blob_count == body->blob_capacity) {
        body->blob_capacity = body->blob_capacity ? body->blob_capacity * 2 : 16;
        body->blobs = memory_resize(body->blobs, body->blob_capacity, sizeof *body->blobs);
    }
    body->blobs[body->blob_count++] = *digest;
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static void sort_blobs(struct poll_body *body)
{
    size_t kept = 0;
    if (body->blob_count > 0) {
        qsort(body->blobs, body->blob_count, sizeof *body->blobs, compare_digests);
    }
    for (size_t i = 0; i < body->blob_count; i++) {
        if (kept == 0 || compare_digests(&body->blobs[kept - 1], &body->blobs[i]) != 0) {
            body->blobs[kept++] = body->blobs[i];
        }
    }
    body->blob_count = kept;
}

static enum status decode_base64(struct poll_body *body, struct text encoded, size_t max,
                                 struct text *out, struct error *error)
{
    AUTO_BUFFER struct buffer bytes = {0};
    TRY(base64_decode(encoded, &bytes, error));
    if (bytes.length > max) {
        return error_set(error, INVALID, "output of %zu bytes; at most %zu fit into a result",
                         bytes.length, max);
    }
    if (bytes.length > 0) {
        *out = (struct text){arena_copy(&body->arena, buffer_text(&bytes)), bytes.length};
    }
    return OK;
}

static enum status parse_stream(struct poll_body *body, const json_t *value,
                                struct poll_stream *out, struct error *error)
{
    *out = (struct poll_stream){0};
    if (!value || json_is_null(value)) {
        return OK;
    }
    if (json_is_string(value)) {
        struct text encoded = json_text(value);
        if (encoded.length > STREAM_BASE64_MAX) {
            return error_set(error, INVALID, "output of more than %d bytes must be a blob",
                             POLL_INLINE_MAX);
        }
        TRY(decode_base64(body, encoded, POLL_INLINE_MAX, &out->bytes, error));
        out->size = (int64_t)out->bytes.length;
        return OK;
    }
    static const char *const FIELDS[] = {"blob", "size", NULL};
    struct text digest = TEXT_NONE;
    TRY(json_check_fields(value, FIELDS, error));
    TRY(json_field_text(value, "blob", JSON_REQUIRED, DIGEST_TEXT_SIZE, &digest, error));
    TRY(json_field_int64(value, "size", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->size, error));
    TRY(digest_from_text(digest, &out->digest, error));
    out->is_blob = true;
    note_blob(body, &out->digest);
    return OK;
}

static bool is_safe_path(struct text path)
{
    if (path.length == 0 || path.length > POLL_PATH_MAX || path.bytes[0] == '/' ||
        memchr(path.bytes, '\0', path.length)) {
        return false;
    }
    struct text part;
    while (text_next_part(&path, '/', &part)) {
        if (part.length == 0 || text_equal(part, TEXT(".")) || text_equal(part, TEXT(".."))) {
            return false;
        }
    }
    return true;
}

static enum status parse_outputs(struct poll_body *body, const json_t *value, struct text *out,
                                 struct error *error)
{
    if (!value || json_is_null(value)) {
        return OK;
    }
    if (!json_is_array(value) || json_array_size(value) > POLL_OUTPUTS_MAX) {
        return error_set(error, INVALID, "outputs must be an array of at most %d files",
                         POLL_OUTPUTS_MAX);
    }
    size_t at = 0;
    const json_t *each = NULL;
    json_array_foreach((json_t *)(uintptr_t)value, at, each)
    {
        const json_t *path = json_array_get(each, 0);
        struct digest digest;
        if (json_array_size(each) != 4 || !json_is_string(path) || !is_safe_path(json_text(path)) ||
            !json_is_integer(json_array_get(each, 2)) ||
            !json_is_integer(json_array_get(each, 3))) {
            return error_set(error, INVALID,
                             "output %zu must be [relative path, digest, size, mode]", at);
        }
        TRY(digest_from_text(json_text(json_array_get(each, 1)), &digest, error));
        note_blob(body, &digest);
    }
    if (at > 0) {
        AUTO_BUFFER struct buffer text = {0};
        json_write(value, false, &text);
        *out = (struct text){arena_copy(&body->arena, buffer_text(&text)), text.length};
    }
    return OK;
}

static enum status parse_task(struct poll_body *body, const json_t *value, struct poll_task *out,
                              struct error *error)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count < 2 || count > TASK_ELEMENTS_MAX) {
        return error_set(error, INVALID, "a task must be an array of 2 to %d elements",
                         TASK_ELEMENTS_MAX);
    }
    int64_t outcome = 0;
    TRY(element_int64(value, 0, "index", 0, &out->index, error));
    TRY(element_int64(value, 1, "outcome", 0, &outcome, error));
    if (outcome >= OUTCOME_LOST) {
        return error_set(error, INVALID, "outcome %lld is not known", (long long)outcome);
    }
    out->outcome = (enum poll_outcome)outcome;
    TRY(element_int64(value, 2, "code", 0, &out->code, error));
    TRY(element_int64(value, 3, "started_us", 0, &out->started_us, error));
    TRY(element_int64(value, 4, "wall_us", 0, &out->wall_us, error));
    TRY(element_int64(value, 5, "cpu_us", 0, &out->cpu_us, error));
    TRY(element_int64(value, 6, "peak_bytes", 0, &out->peak_bytes, error));
    TRY(element_attempt(value, 11, &out->attempts, error));
    TRY(read_class(json_array_get(value, 12), &out->made_by, error));
    if (count <= 7) {
        return OK;
    }
    TRY(parse_stream(body, json_array_get(value, 7), &out->output, error));
    TRY(parse_stream(body, json_array_get(value, 8), &out->error_output, error));
    TRY(parse_outputs(body, json_array_get(value, 9), &out->outputs, error));
    const json_t *detail = json_array_get(value, 10);
    if (detail && !json_is_null(detail) && !json_is_string(detail)) {
        return error_set(error, INVALID, "detail (element 10) must be a string");
    }
    out->detail = text_slice(json_text(detail), 0, POLL_DETAIL_MAX);
    return OK;
}

static enum status parse_chunk(struct poll_body *body, const json_t *value, struct poll_chunk *out,
                               struct error *error)
{
    static const char *const FIELDS[] = {"from",       "to",      "answers", "answers_size",
                                         "started_us", "wall_us", "cpu_us",  "peak_bytes",
                                         "stderr",     "class",   NULL};
    struct text digest = TEXT_NONE;
    TRY(json_check_fields(value, FIELDS, error));
    TRY(json_field_int64(value, "from", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->from, error));
    TRY(json_field_int64(value, "to", JSON_REQUIRED, out->from + 1, POLL_NUMBER_MAX, &out->to,
                         error));
    TRY(json_field_text(value, "answers", JSON_REQUIRED, DIGEST_TEXT_SIZE, &digest, error));
    TRY(digest_from_text(digest, &out->answers, error));
    TRY(json_field_int64(value, "answers_size", JSON_REQUIRED, 0, POLL_NUMBER_MAX,
                         &out->answers_size, error));
    TRY(json_field_int64(value, "started_us", JSON_OPTIONAL, 0, POLL_NUMBER_MAX, &out->started_us,
                         error));
    TRY(json_field_int64(value, "wall_us", JSON_OPTIONAL, 0, POLL_NUMBER_MAX, &out->wall_us,
                         error));
    TRY(json_field_int64(value, "cpu_us", JSON_OPTIONAL, 0, POLL_NUMBER_MAX, &out->cpu_us, error));
    TRY(json_field_int64(value, "peak_bytes", JSON_OPTIONAL, 0, POLL_NUMBER_MAX, &out->peak_bytes,
                         error));
    TRY(read_class(json_object_get(value, "class"), &out->made_by, error));
    note_blob(body, &out->answers);
    return parse_stream(body, json_object_get(value, "stderr"), &out->error_output, error);
}

static enum status parse_result(struct poll_body *body, const json_t *value,
                                struct poll_result *out, size_t *tasks_left, struct error *error)
{
    static const char *const FIELDS[] = {"lease", "job", "tasks", "stream", NULL};
    json_t *tasks = NULL;
    TRY(json_check_fields(value, FIELDS, error));
    TRY(json_field_int64(value, "lease", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->lease, error));
    TRY(json_field_int64(value, "job", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->job, error));
    TRY(json_field_array(value, "tasks", JSON_OPTIONAL, *tasks_left, &tasks, error));
    out->task_count = json_array_size(tasks);
    out->tasks = arena_new(&body->arena, out->task_count * sizeof *out->tasks + 1);
    *tasks_left -= out->task_count;
    for (size_t i = 0; i < out->task_count; i++) {
        TRY(parse_task(body, json_array_get(tasks, i), &out->tasks[i], error));
    }
    const json_t *stream = json_object_get(value, "stream");
    if (stream && !json_is_null(stream)) {
        out->has_chunk = true;
        return parse_chunk(body, stream, &out->chunk, error);
    }
    return OK;
}

static enum status parse_lease(const json_t *value, bool has_job, struct poll_lease *out,
                               struct error *error)
{
    size_t count = has_job ? 4 : 3;
    if (!json_is_array(value) || json_array_size(value) != count) {
        return error_set(error, INVALID, "a lease must be an array of %zu numbers", count);
    }
    size_t at = 0;
    TRY(element_int64(value, at++, "lease", 0, &out->lease, error));
    if (has_job) {
        TRY(element_int64(value, at++, "job", 0, &out->job, error));
    }
    TRY(element_int64(value, at++, "from", 0, &out->from, error));
    return element_int64(value, at, "to", out->from, &out->to, error);
}

static enum status parse_log(struct poll_body *body, const json_t *value, struct poll_log *out,
                             struct error *error)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count < LOG_ELEMENTS_MAX - 1 || count > LOG_ELEMENTS_MAX) {
        return error_set(error, INVALID,
                         "a log must be [job, index, stream, offset, base64, attempt]");
    }
    struct text stream = json_text(json_array_get(value, 2));
    if (!text_equal(stream, TEXT("stdout")) && !text_equal(stream, TEXT("stderr"))) {
        return error_set(error, INVALID, "a log's stream must be \"stdout\" or \"stderr\"");
    }
    out->is_error_output = text_equal(stream, TEXT("stderr"));
    TRY(element_int64(value, 0, "job", 0, &out->job, error));
    TRY(element_int64(value, 1, "index", 0, &out->index, error));
    TRY(element_int64(value, 3, "offset", 0, &out->offset, error));
    TRY(element_attempt(value, 5, &out->attempt, error));
    return decode_base64(body, json_text(json_array_get(value, 4)), POLL_BODY_MAX, &out->bytes,
                         error);
}

static enum status parse_setup(const json_t *value, struct poll_setup *out, struct error *error)
{
    static const char *const FIELDS[] = {"job",  "executable", "executable_digest",
                                         "host", "sandbox",    NULL};
    TRY(json_check_fields(value, FIELDS, error));
    TRY(json_field_int64(value, "job", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->job, error));
    TRY(json_field_text(value, "executable", JSON_OPTIONAL, POLL_PATH_MAX, &out->executable,
                        error));
    TRY(json_field_text(value, "executable_digest", JSON_OPTIONAL, DIGEST_TEXT_SIZE,
                        &out->executable_digest, error));
    TRY(json_field_text(value, "host", JSON_OPTIONAL, WORKER_NAME_MAX, &out->host, error));
    return json_field_text(value, "sandbox", JSON_OPTIONAL, WORKER_NAME_MAX, &out->sandbox, error);
}

// The lists of one poll; each element's parser checks its own kind.
static enum status parse_leases(struct poll_body *body, struct error *error)
{
    json_t *leases = NULL;
    json_t *returned = NULL;
    TRY(json_field_array(body->document, "leases", JSON_OPTIONAL, POLL_LEASES_MAX, &leases, error));
    TRY(json_field_array(body->document, "returned", JSON_OPTIONAL, POLL_LEASES_MAX, &returned,
                         error));
    body->has_leases = leases != NULL;
    body->lease_count = json_array_size(leases);
    body->returned_count = json_array_size(returned);
    body->leases = arena_new(&body->arena, body->lease_count * sizeof *body->leases + 1);
    body->returned = arena_new(&body->arena, body->returned_count * sizeof *body->returned + 1);
    for (size_t i = 0; i < body->lease_count; i++) {
        TRY(parse_lease(json_array_get(leases, i), true, &body->leases[i], error));
    }
    for (size_t i = 0; i < body->returned_count; i++) {
        TRY(parse_lease(json_array_get(returned, i), false, &body->returned[i], error));
    }
    return OK;
}

static enum status parse_results(struct poll_body *body, struct error *error)
{
    json_t *results = NULL;
    TRY(json_field_array(body->document, "results", JSON_OPTIONAL, POLL_RESULTS_MAX, &results,
                         error));
    body->result_count = json_array_size(results);
    body->results = arena_new(&body->arena, body->result_count * sizeof *body->results + 1);
    size_t tasks_left = POLL_TASKS_MAX;
    for (size_t i = 0; i < body->result_count; i++) {
        TRY(parse_result(body, json_array_get(results, i), &body->results[i], &tasks_left, error));
    }
    return OK;
}

static enum status parse_checkpoint(struct poll_body *body, const json_t *value,
                                    struct poll_checkpoint *out, struct error *error)
{
    static const char *const FIELDS[] = {"job", "index", "attempt", "files", NULL};
    json_t *files = NULL;
    TRY(json_check_fields(value, FIELDS, error));
    TRY(json_field_int64(value, "job", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->job, error));
    TRY(json_field_int64(value, "index", JSON_REQUIRED, 0, POLL_NUMBER_MAX, &out->index, error));
    TRY(json_field_int64(value, "attempt", JSON_REQUIRED, 1, POLL_NUMBER_MAX, &out->attempt,
                         error));
    TRY(json_field_array(value, "files", JSON_REQUIRED, POLL_CHECKPOINT_FILES_MAX, &files, error));
    if (json_array_size(files) == 0) {
        return error_set(error, INVALID, "a checkpoint has no files");
    }
    return parse_outputs(body, files, &out->files, error);
}

static enum status parse_checkpoints(struct poll_body *body, struct error *error)
{
    json_t *checkpoints = NULL;
    TRY(json_field_array(body->document, "checkpoints", JSON_OPTIONAL, POLL_CHECKPOINTS_MAX,
                         &checkpoints, error));
    body->checkpoint_count = json_array_size(checkpoints);
    body->checkpoints =
        arena_new(&body->arena, body->checkpoint_count * sizeof *body->checkpoints + 1);
    for (size_t i = 0; i < body->checkpoint_count; i++) {
        TRY(parse_checkpoint(body, json_array_get(checkpoints, i), &body->checkpoints[i], error));
    }
    return OK;
}

static enum status parse_jobs(struct poll_body *body, struct error *error)
{
    json_t *jobs = NULL;
    TRY(json_field_array(body->document, "jobs", JSON_OPTIONAL, POLL_JOBS_MAX, &jobs, error));
    body->job_count = json_array_size(jobs);
    body->jobs = arena_new(&body->arena, body->job_count * sizeof *body->jobs + 1);
    for (size_t i = 0; i < body->job_count; i++) {
        TRY(element_int64(jobs, i, "a job", 1, &body->jobs[i], error));
        if (body->jobs[i] == 0) {
            return error_set(error, INVALID, "a job (element %zu) is missing", i);
        }
    }
    return OK;
}

static enum status parse_rest(struct poll_body *body, struct error *error)
{
    json_t *setups = NULL;
    json_t *logs = NULL;
    TRY(json_field_array(body->document, "setups", JSON_OPTIONAL, POLL_SETUPS_MAX, &setups, error));
    TRY(json_field_array(body->document, "logs", JSON_OPTIONAL, POLL_LOGS_MAX, &logs, error));
    body->setup_count = json_array_size(setups);
    body->log_count = json_array_size(logs);
    body->setups = arena_new(&body->arena, body->setup_count * sizeof *body->setups + 1);
    body->logs = arena_new(&body->arena, body->log_count * sizeof *body->logs + 1);
    for (size_t i = 0; i < body->setup_count; i++) {
        TRY(parse_setup(json_array_get(setups, i), &body->setups[i], error));
    }
    for (size_t i = 0; i < body->log_count; i++) {
        TRY(parse_log(body, json_array_get(logs, i), &body->logs[i], error));
    }
    return OK;
}

static enum status parse_problem(struct poll_body *body, struct error *error)
{
    static const char *const FIELDS[] = {"text", "change", NULL};
    json_t *problem = NULL;
    TRY(json_field_object(body->document, "problem", JSON_OPTIONAL, &problem, error));
    if (!problem) {
        return OK;
    }
    TRY(json_check_fields(problem, FIELDS, error));
    TRY(json_field_text(problem, "text", JSON_REQUIRED, POLL_DETAIL_MAX, &body->problem, error));
    TRY(json_field_text(problem, "change", JSON_REQUIRED, POLL_DETAIL_MAX, &body->problem_change,
                        error));
    if (body->problem.length == 0 || text_has_control(body->problem) ||
        text_has_control(body->problem_change)) {
        return error_set(error, INVALID,
                         "\"problem\" must have a text, without control characters");
    }
    return OK;
}

static enum status parse_words_of(const json_t *value, struct poll_words *out, struct error *error)
{
    static const char *const FIELDS[] = {"job", "why", "change", "begun", NULL};
    if (!json_is_object(value)) {
        return error_set(error, INVALID, "an element of \"words\" is no object");
    }
    TRY(json_check_fields(value, FIELDS, error));
    TRY(json_field_int64(value, "job", JSON_REQUIRED, 1, INT64_MAX, &out->job, error));
    TRY(json_field_text(value, "why", JSON_REQUIRED, POLL_WORDS_SIZE_MAX, &out->why, error));
    TRY(json_field_text(value, "change", JSON_REQUIRED, POLL_WORDS_SIZE_MAX, &out->change, error));
    if (json_object_get(value, "begun")) {
        bool has_begun = false;
        TRY(json_field_bool(value, "begun", JSON_REQUIRED, &has_begun, error));
        out->begun = has_begun ? PLACE_BEGUN_SOMETHING : PLACE_BEGUN_NOTHING;
    }
    if (text_has_control(out->why) || text_has_control(out->change)) {
        return error_set(error, INVALID, "\"words\" must be without control characters");
    }
    return OK;
}

static enum status parse_words(struct poll_body *body, struct error *error)
{
    json_t *words = NULL;
    TRY(json_field_array(body->document, "words", JSON_OPTIONAL, POLL_WORDS_MAX, &words, error));
    body->word_count = json_array_size(words);
    body->words = arena_new(&body->arena, body->word_count * sizeof *body->words + 1);
    for (size_t i = 0; i < body->word_count; i++) {
        TRY(parse_words_of(json_array_get(words, i), &body->words[i], error));
    }
    return OK;
}

static enum status parse_notes(struct poll_body *body, struct error *error)
{
    static const char *const KINDS[] = {"none", "waiting", "unable"};
    json_t *notes = NULL;
    TRY(json_field_array(body->document, "notes", JSON_OPTIONAL, POLL_NOTES_MAX, &notes, error));
    body->note_count = json_array_size(notes);
    body->notes = arena_new(&body->arena, body->note_count * sizeof *body->notes + 1);
    for (size_t i = 0; i < body->note_count; i++) {
        const json_t *value = json_array_get(notes, i);
        struct poll_note *note = &body->notes[i];
        struct text kind = json_text(json_array_get(value, 1));
        size_t at = 0;
        while (at < sizeof KINDS / sizeof KINDS[0] && !text_equal(kind, text_of(KINDS[at]))) {
            at++;
        }
        note->job = json_integer_value(json_array_get(value, 0));
        note->kind = (enum poll_note_kind)at;
        note->text = text_slice(json_text(json_array_get(value, 2)), 0, POLL_DETAIL_MAX);
        note->change = text_slice(json_text(json_array_get(value, 3)), 0, POLL_DETAIL_MAX);
        if (json_array_size(value) != 4 || note->job <= 0 || at > POLL_NOTE_UNABLE ||
            text_has_control(note->text) || text_has_control(note->change)) {
            return error_set(error, INVALID,
                             "note %zu must be [job, \"none\", \"waiting\" or \"unable\", text, "
                             "change]",
                             i);
        }
    }
    return OK;
}

static enum status parse_all(struct poll_body *body, struct error *error)
{
    static const char *const FIELDS[] = {"wait_seconds", "leases",  "jobs",  "results",
                                         "returned",     "setups",  "logs",  "leaving",
                                         "gone",         "problem", "words", "leaves_in_seconds",
                                         "checkpoints",  "notes",   "full",  NULL};
    double wait_seconds = 0;
    TRY(json_check_fields(body->document, FIELDS, error));
    TRY(json_field_double(body->document, "wait_seconds", JSON_OPTIONAL, 0, POLL_WAIT_SECONDS_MAX,
                          &wait_seconds, error));
    TRY(json_field_duration(body->document, "leaves_in_seconds", LEAVING_SECONDS_MAX,
                            &body->leaves_in_us, error));
    TRY(json_field_bool(body->document, "leaving", JSON_OPTIONAL, &body->is_leaving, error));
    TRY(json_field_bool(body->document, "gone", JSON_OPTIONAL, &body->is_last, error));
    TRY(json_field_bool(body->document, "full", JSON_OPTIONAL, &body->is_full, error));
    body->wait_us = (int64_t)(wait_seconds * 1e6);
    TRY(parse_problem(body, error));
    TRY(parse_words(body, error));
    TRY(parse_notes(body, error));
    TRY(parse_leases(body, error));
    TRY(parse_jobs(body, error));
    TRY(parse_results(body, error));
    TRY(parse_checkpoints(body, error));
    return parse_rest(body, error);
}

enum status poll_parse(struct text text, struct poll_body **out, struct error *error)
{
    struct poll_body *body = NEW(struct poll_body);
    enum status status = json_parse(text, &body->document, error);
    if (status == OK) {
        status = parse_all(body, error);
        sort_blobs(body);
    }
    if (status != OK) {
        poll_free(body);
        return status;
    }
    *out = body;
    return OK;
}

void poll_free(struct poll_body *body)
{
    if (!body) {
        return;
    }
    json_decref(body->document);
    free(body->blobs);
    arena_done(&body->arena);
    free(body);
}
