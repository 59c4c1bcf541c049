#include "sandbox/job.h"

#include "base/memory.h"
#include "crypto/digest.h"
#include "jobs/signal_names.h"
#include "jobs/spec.h"

#include <stdlib.h>

enum { NAME_MAX_LENGTH = 200, PATH_MAX_LENGTH = 4096, WORD_MAX = 128 << 10, OUTPUTS_MAX = 64 };

static struct text keep(struct job *job, struct text text)
{
    return (struct text){arena_copy(&job->arena, text), text.length};
}

// A name that is one part of a path: it is joined to folders of this machine.
static enum status field_name(const json_t *object, const char *field, struct text *out,
                              struct error *error)
{
    TRY(json_field_text(object, field, JSON_REQUIRED, NAME_MAX_LENGTH, out, error));
    if (out->length == 0 || text_contains_byte(*out, '/') || text_equal(*out, TEXT(".")) ||
        text_equal(*out, TEXT(".."))) {
        return error_set(error, INVALID, "%s \"%.*s\" is no single path part", field,
                         TEXT_ARGS(*out));
    }
    return OK;
}

// A path of such names below the working folder.
static enum status field_path(const json_t *object, const char *field, struct text *out,
                              struct error *error)
{
    TRY(json_field_text(object, field, JSON_REQUIRED, PATH_MAX_LENGTH, out, error));
    struct text rest = *out;
    struct text part;
    bool is_good =
        out->length > 0 && out->bytes[out->length - 1] != '/' && !text_contains_byte(*out, '\0');
    while (is_good && text_next_part(&rest, '/', &part)) {
        is_good = part.length > 0 && !text_equal(part, TEXT(".")) && !text_equal(part, TEXT(".."));
    }
    return is_good ? OK
                   : error_set(error, INVALID, "%s \"%.*s\" is no path below the working folder",
                               field, TEXT_ARGS(text_slice(*out, 0, 200)));
}

static enum status parse_texts(struct job *job, const json_t *object, const char *field,
                               size_t count_max, struct text **out, size_t *count,
                               struct error *error)
{
    json_t *array = NULL;
    size_t at = 0;
    json_t *element = NULL;
    TRY(json_field_array(object, field, JSON_OPTIONAL, count_max, &array, error));
    *out = arena_new(&job->arena, (json_array_size(array) + 1) * sizeof **out);
    json_array_foreach(array, at, element)
    {
        struct text text = json_text(element);
        if (!json_is_string(element) || text.length > WORD_MAX) {
            return error_set(error, INVALID, "%s[%zu] is no string of at most %d bytes", field, at,
                             WORD_MAX);
        }
        (*out)[(*count)++] = keep(job, text);
    }
    return OK;
}

static enum status parse_environment(struct job *job, const json_t *document, struct error *error)
{
    json_t *variables = NULL;
    const char *name = NULL;
    json_t *value = NULL;
    TRY(json_field_object(document, "environment", JSON_OPTIONAL, &variables, error));
    job->environment =
        arena_new(&job->arena, (json_object_size(variables) + 1) * sizeof *job->environment);
    json_object_foreach(variables, name, value)
    {
        if (!json_is_string(value) || name[0] == '\0' || strchr(name, '=')) {
            return error_set(error, INVALID, "environment variable \"%.100s\" is no name and text",
                             name);
        }
        const char *line = arena_format(&job->arena, "%s=%s", name, json_string_value(value));
        job->environment[job->environment_count++] = text_of(line);
    }
    return OK;
}

static enum status field_digest(const json_t *document, const char *name, struct text *out,
                                struct error *error)
{
    struct digest digest;
    TRY(json_field_text(document, name, JSON_REQUIRED, DIGEST_TEXT_SIZE, out, error));
    return digest_from_text(*out, &digest, error);
}

static enum status field_absolute(const json_t *document, const char *name, struct text *out,
                                  struct error *error)
{
    TRY(json_field_text(document, name, JSON_REQUIRED, PATH_MAX_LENGTH, out, error));
    if (!text_starts_with(*out, TEXT("/"))) {
        return error_set(error, INVALID, "field \"%s\" is no absolute path", name);
    }
    return OK;
}

static int compare_tops(const void *a, const void *b)
{
    return strcmp(((const struct job_top *)a)->name, ((const struct job_top *)b)->name);
}

static enum status find_tops(struct job *job, struct error *error)
{
    struct job_top *tops = arena_new(&job->arena, (job->file_count + 1) * sizeof *tops);
    for (size_t i = 0; i < job->file_count; i++) {
        struct text name = text_of(job->files[i].name);
        size_t length = text_find_byte(name, 0, '/');
        tops[i].is_folder = length < name.length;
        tops[i].name = arena_copy(&job->arena, text_slice(name, 0, length));
    }
    qsort(tops, job->file_count, sizeof *tops, compare_tops);
    for (size_t i = 0; i < job->file_count; i++) {
        const struct job_top *last = job->top_count ? &tops[job->top_count - 1] : NULL;
        if (!last || strcmp(last->name, tops[i].name) != 0) {
            tops[job->top_count++] = tops[i];
        } else if (!last->is_folder || !tops[i].is_folder) {
            return error_set(error, INVALID, "file \"%.200s\" is there twice", last->name);
        }
    }
    job->tops = tops;
    return OK;
}

static enum status parse_files(struct job *job, const json_t *document, struct error *error)
{
    json_t *array = NULL;
    size_t at = 0;
    json_t *element = NULL;
    TRY(json_field_array(document, "files", JSON_OPTIONAL, JOB_FILES_MAX, &array, error));
    job->files = arena_new(&job->arena, (json_array_size(array) + 1) * sizeof *job->files);
    json_array_foreach(array, at, element)
    {
        struct text name;
        struct text blob;
        struct job_file *file = &job->files[job->file_count++];
        TRY(field_path(element, "name", &name, error));
        TRY(field_digest(element, "blob", &blob, error));
        TRY(json_field_bool(element, "executable", JSON_OPTIONAL, &file->is_executable, error));
        file->name = keep(job, name).bytes;
        file->digest = keep(job, blob).bytes;
    }
    return find_tops(job, error);
}

static enum status parse_roots(struct job *job, struct job_data *data, const json_t *document,
                               struct error *error)
{
    json_t *array = NULL;
    size_t at = 0;
    json_t *element = NULL;
    TRY(json_field_array(document, "roots", JSON_REQUIRED, JOB_ROOTS_MAX, &array, error));
    data->roots = arena_new(&job->arena, (json_array_size(array) + 1) * sizeof *data->roots);
    json_array_foreach(array, at, element)
    {
        struct text path;
        struct text mount = TEXT("");
        struct text kind = TEXT("folder");
        TRY(field_absolute(element, "path", &path, error));
        TRY(json_field_text(element, "mount", JSON_OPTIONAL, PATH_MAX_LENGTH, &mount, error));
        TRY(json_field_text(element, "kind", JSON_OPTIONAL, 16, &kind, error));
        struct text rest = mount;
        for (struct text part; mount.length > 0 && text_next_part(&rest, '/', &part);) {
            if (text_equal(part, TEXT("..")) || part.length == 0) {
                return error_set(error, INVALID, "mount \"%.*s\" leaves /data", TEXT_ARGS(mount));
            }
        }
        data->roots[data->root_count++] = (struct job_root){
            keep(job, path).bytes, keep(job, mount).bytes, text_equal(kind, TEXT("folder"))};
    }
    return OK;
}

static enum status parse_data_files(struct job *job, struct job_data *data, const json_t *document,
                                    struct error *error)
{
    json_t *array = NULL;
    size_t at = 0;
    json_t *element = NULL;
    TRY(json_field_array(document, "files", JSON_OPTIONAL, JOB_DATA_FILES_MAX, &array, error));
    data->files = arena_new(&job->arena, (json_array_size(array) + 1) * sizeof *data->files);
    json_array_foreach(array, at, element)
    {
        struct text source;
        struct text path = TEXT("(unnamed)");
        struct job_data_file *file = &data->files[data->file_count++];
        TRY(field_absolute(element, "source", &source, error));
        if (json_object_get(element, "path")) {
            TRY(field_path(element, "path", &path, error));
        }
        TRY(json_field_int64(element, "size", JSON_REQUIRED, 0, INT64_MAX, &file->size, error));
        TRY(json_field_int64(element, "modified_us", JSON_REQUIRED, INT64_MIN, INT64_MAX,
                             &file->modified_us, error));
        TRY(json_field_int64(element, "inode", JSON_OPTIONAL, 0, INT64_MAX, &file->inode, error));
        if (json_object_get(element, "digest")) {
            struct text digest;
            TRY(field_digest(element, "digest", &digest, error));
            file->has_digest = digest_from_text(digest, &file->digest, error) == OK;
        }
        file->source = keep(job, source).bytes;
        file->path = keep(job, path).bytes;
    }
    return OK;
}

static enum status parse_data(struct job *job, const json_t *document, struct error *error)
{
    json_t *array = NULL;
    size_t at = 0;
    json_t *element = NULL;
    TRY(json_field_array(document, "data", JSON_OPTIONAL, JOB_DATA_MAX, &array, error));
    job->data = arena_new(&job->arena, (json_array_size(array) + 1) * sizeof *job->data);
    json_array_foreach(array, at, element)
    {
        struct text name;
        struct job_data *data = &job->data[job->data_count++];
        TRY(field_name(element, "name", &name, error));
        data->name = keep(job, name).bytes;
        TRY(parse_roots(job, data, element, error));
        TRY(parse_data_files(job, data, element, error));
        data->file_total = (int64_t)data->file_count;
        TRY(json_field_int64(element, "file_count", JSON_OPTIONAL, 0, INT64_MAX, &data->file_total,
                             error));
    }
    return OK;
}

static enum status parse_items(struct job *job, const json_t *document, struct error *error)
{
    json_t *items = NULL;
    struct text kind;
    struct text blob;
    struct text name = TEXT("");
    TRY(json_field_object(document, "items", JSON_OPTIONAL, &items, error));
    if (!items) {
        return OK;
    }
    TRY(json_field_text(items, "kind", JSON_REQUIRED, 16, &kind, error));
    TRY(field_digest(items, "blob", &blob, error));
    TRY(json_field_text(items, "name", JSON_OPTIONAL, NAME_MAX_LENGTH, &name, error));
    TRY(json_field_int64(items, "size", JSON_OPTIONAL, 0, INT64_MAX, &job->items_size, error));
    TRY(json_field_int64(items, "count", JSON_OPTIONAL, 0, INT64_MAX, &job->items_count, error));
    bool is_files = text_equal(kind, TEXT("files"));
    if (!is_files && !text_equal(kind, TEXT("lines"))) {
        return error_set(error, INVALID, "field \"kind\" is neither \"files\" nor \"lines\"");
    }
    job->items = is_files ? ITEMS_FILES : ITEMS_LINES;
    job->items_digest = keep(job, blob).bytes;
    job->items_name = keep(job, name).bytes;
    for (size_t i = 0; i < job->data_count && is_files; i++) {
        struct job_data *data = &job->data[i];
        data->is_index_set = data->file_count == 0 && strcmp(data->name, job->items_name) == 0;
    }
    return OK;
}

static enum status parse_software(struct job *job, const json_t *document, struct error *error)
{
    json_t *software = NULL;
    struct text kind;
    struct text blob;
    TRY(json_field_object(document, "software", JSON_OPTIONAL, &software, error));
    if (!software) {
        return OK;
    }
    TRY(json_field_text(software, "kind", JSON_REQUIRED, NAME_MAX_LENGTH, &kind, error));
    job->is_image = text_equal(kind, TEXT("oci"));
    if (!job->is_image && !text_equal(kind, TEXT("bundle"))) {
        return error_set(error, INVALID, "software of the kind \"%.*s\" is not known here",
                         TEXT_ARGS(kind));
    }
    TRY(field_digest(software, "blob", &blob, error));
    job->software_digest = keep(job, blob).bytes;
    return OK;
}

static enum status parse_needs(struct job *job, const json_t *document, struct error *error)
{
    double cpus = 1;
    double walltime_seconds = 86400;
    TRY(json_field_double(document, "cpus", JSON_OPTIONAL, 0, 1e6, &cpus, error));
    TRY(json_field_double(document, "walltime_seconds", JSON_OPTIONAL, 0, 1e9, &walltime_seconds,
                          error));
    TRY(json_field_int64(document, "memory_bytes", JSON_OPTIONAL, 0, INT64_MAX, &job->memory_bytes,
                         error));
    TRY(json_field_int64(document, "disk_bytes", JSON_OPTIONAL, 0, INT64_MAX, &job->disk_bytes,
                         error));
    TRY(json_field_int64(document, "gpus", JSON_OPTIONAL, 0, JOB_GPUS_MAX, &job->gpus, error));
    TRY(json_field_int64(document, "first_index", JSON_OPTIONAL, 0, INT32_MAX, &job->first_index,
                         error));
    TRY(json_field_bool(document, "network", JSON_OPTIONAL, &job->has_network, error));
    TRY(json_field_bool(document, "api", JSON_OPTIONAL, &job->has_api, error));
    job->cpu_millis = (int64_t)(cpus * 1000);
    job->walltime_us = (int64_t)(walltime_seconds * 1e6);
    return OK;
}

static enum status parse_checkpoint(struct job *job, const json_t *document, struct error *error)
{
    json_t *checkpoint = NULL;
    struct text *files = NULL;
    struct text name = TEXT_NONE;
    double seconds = SPEC_CHECKPOINT_SECONDS_DEFAULT;
    TRY(json_field_object(document, "checkpoint", JSON_OPTIONAL, &checkpoint, error));
    if (!checkpoint) {
        return OK;
    }
    TRY(parse_texts(job, checkpoint, "files", SPEC_CHECKPOINT_PATTERNS_MAX, &files,
                    &job->checkpoint_count, error));
    TRY(json_field_double(checkpoint, "interval_seconds", JSON_OPTIONAL, 0.001, 1e9, &seconds,
                          error));
    TRY(json_field_text(checkpoint, "signal", JSON_OPTIONAL, 16, &name, error));
    job->checkpoint_interval_us = (int64_t)(seconds * 1e6);
    job->checkpoint_signal = signal_from_name(name);
    job->checkpoint_files =
        arena_new(&job->arena, (job->checkpoint_count + 1) * sizeof *job->checkpoint_files);
    for (size_t i = 0; i < job->checkpoint_count; i++) {
        job->checkpoint_files[i] = files[i].bytes;
    }
    return OK;
}

static enum status parse(struct job *job, const json_t *document, struct error *error)
{
    struct text mode = TEXT("command");
    struct text *outputs = NULL;
    TRY(json_field_int64(document, "job", JSON_REQUIRED, 0, INT64_MAX, &job->id, error));
    TRY(json_field_text(document, "mode", JSON_OPTIONAL, 16, &mode, error));
    job->is_stream = text_equal(mode, TEXT("stream"));
    TRY(parse_texts(job, document, "command", RUNNER_STRINGS_MAX, &job->command,
                    &job->command_count, error));
    if (job->command_count == 0) {
        return error_set(error, INVALID, "job %lld has no command", (long long)job->id);
    }
    TRY(parse_texts(job, document, "outputs", OUTPUTS_MAX, &outputs, &job->output_count, error));
    job->outputs = arena_new(&job->arena, (job->output_count + 1) * sizeof *job->outputs);
    for (size_t i = 0; i < job->output_count; i++) {
        job->outputs[i] = outputs[i].bytes;
    }
    TRY(parse_checkpoint(job, document, error));
    TRY(parse_environment(job, document, error));
    TRY(parse_files(job, document, error));
    TRY(parse_data(job, document, error));
    TRY(parse_items(job, document, error));
    TRY(parse_software(job, document, error));
    return parse_needs(job, document, error);
}

enum status job_parse(const json_t *document, struct job **out, struct error *error)
{
    struct job *job = NEW(struct job);
    enum status status = parse(job, document, error);
    if (status != OK) {
        job_free(job);
        return status;
    }
    *out = job;
    return OK;
}

struct job *job_stub(int64_t id)
{
    struct job *job = NEW(struct job);
    job->id = id;
    return job;
}

void job_free(struct job *job)
{
    if (job) {
        arena_done(&job->arena);
        free(job);
    }
}
