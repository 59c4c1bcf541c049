// Writes a job's spec again: as the full document, as the identity of its results, and as the arguments of one task.
#include "jobs/spec.h"

#include "base/memory.h"
#include "jobs/signal_names.h"

#include <stdlib.h>

static json_t *number_of(double value)
{
    bool is_whole = value == (double)(json_int_t)value;
    return is_whole ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *array_of_strings(const char *const *strings, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, json_string(strings[i]));
    }
    return array;
}

static json_t *environment_of(const struct job_spec *spec)
{
    json_t *object = json_object();
    for (size_t i = 0; i < spec->environment_count; i++) {
        (void)json_object_set_new(object, spec->environment[i].name,
                                  json_string(spec->environment[i].value));
    }
    return object;
}

static json_t *file_of(const struct spec_file *file)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "name", json_string(file->name));
    (void)json_object_set_new(object, "blob", json_string(file->digest));
    (void)json_object_set_new(object, "executable", json_boolean(file->is_executable));
    return object;
}

static const char *mode_name(enum spec_mode mode)
{
    return mode == SPEC_STREAM ? "stream" : "command";
}

static void set_index(const struct job_spec *spec, json_t *document)
{
    switch (spec->index) {
    case SPEC_INDEX_COUNT:
        (void)json_object_set_new(document, "count", json_integer(spec->count));
        break;
    case SPEC_INDEX_OVER:
        (void)json_object_set_new(document, "over", json_string(spec->over));
        (void)json_object_set_new(document, "over_name", json_string(spec->over_name));
        if (spec->over_digest) {
            (void)json_object_set_new(document, "over_digest", json_string(spec->over_digest));
        }
        break;
    case SPEC_INDEX_ITEMS:
        (void)json_object_set_new(document, "items", json_string(spec->items));
        break;
    }
}

static void set_part(const struct job_spec *spec, json_t *document)
{
    if (spec->first_index > 0 || spec->part_count > 0) {
        (void)json_object_set_new(document, "first_index", json_integer(spec->first_index));
    }
    if (spec->part_count > 0) {
        (void)json_object_set_new(document, "count", json_integer(spec->part_count));
    }
}

static json_t *array_of_jobs(const int64_t *jobs, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, json_integer(jobs[i]));
    }
    return array;
}

static json_t *checkpoint_of(const struct spec_checkpoint *checkpoint)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "files",
                              array_of_strings(checkpoint->files, checkpoint->file_count));
    (void)json_object_set_new(object, "interval_seconds",
                              number_of((double)checkpoint->interval_us / 1e6));
    if (checkpoint->signal != 0) {
        (void)json_object_set_new(object, "signal", json_string(signal_name(checkpoint->signal)));
    }
    return object;
}

// What most jobs do not say is not in their documents.
static void set_travel(const struct job_spec *spec, json_t *document)
{
    if (spec->need.gpus > 0) {
        (void)json_object_set_new(document, "gpus", json_integer(spec->need.gpus));
    }
    if (spec->label_count > 0) {
        (void)json_object_set_new(document, "require",
                                  array_of_strings(spec->labels, spec->label_count));
    }
    if (spec->input_count > 0) {
        (void)json_object_set_new(document, "input_from",
                                  array_of_jobs(spec->input_from, spec->input_count));
    }
    if (spec->at) {
        (void)json_object_set_new(document, "at", json_string(spec->at));
    }
    if (spec->merge) {
        (void)json_object_set_new(document, "merge",
                                  array_of_strings(spec->merge, spec->merge_count));
    }
    if (spec->stage == SPEC_STAGE_NEVER) {
        (void)json_object_set_new(document, "stage", json_string("never"));
    }
    if (spec->checkpoint.file_count > 0) {
        (void)json_object_set_new(document, "checkpoint", checkpoint_of(&spec->checkpoint));
    }
    if (spec->offer) {
        (void)json_object_set_new(document, "offer", json_string(spec->offer));
    }
}

static json_t *software_of(const struct job_spec *spec)
{
    const char *kind = spec_software_name((enum spec_software)spec->need.software);
    return json_pack("{s:s, s:s}", "kind", kind, "blob", spec->software_digest);
}

static void set_software(const struct job_spec *spec, json_t *document)
{
    if (spec->software_digest) {
        json_t *software = software_of(spec);
        if (spec->software_name[0]) {
            (void)json_object_set_new(software, "name", json_string(spec->software_name));
        }
        (void)json_object_set_new(document, "software", software);
    }
}

static void set_lists(const struct job_spec *spec, json_t *document)
{
    json_t *data = json_array();
    for (size_t i = 0; i < spec->data_count; i++) {
        json_t *datum = json_object();
        (void)json_object_set_new(datum, "id", json_string(spec->data[i].id));
        (void)json_object_set_new(datum, "name", json_string(spec->data[i].name));
        if (spec->data[i].digest) {
            (void)json_object_set_new(datum, "digest", json_string(spec->data[i].digest));
        }
        (void)json_array_append_new(data, datum);
    }
    json_t *files = json_array();
    for (size_t i = 0; i < spec->file_count; i++) {
        (void)json_array_append_new(files, file_of(&spec->files[i]));
    }
    (void)json_object_set_new(document, "data", data);
    (void)json_object_set_new(document, "files", files);
    (void)json_object_set_new(document, "outputs",
                              array_of_strings(spec->outputs, spec->output_count));
    (void)json_object_set_new(document, "environment", environment_of(spec));
    (void)json_object_set_new(document, "after", array_of_jobs(spec->after, spec->after_count));
}

json_t *spec_to_json(const struct job_spec *spec)
{
    static const char *const caches[] = {"use", "refresh", "off"};
    json_t *document = json_object();
    (void)json_object_set_new(document, "name", json_string(spec->name));
    (void)json_object_set_new(document, "mode", json_string(mode_name(spec->mode)));
    (void)json_object_set_new(document, "command",
                              array_of_strings(spec->command, spec->argument_count));
    set_index(spec, document);
    set_part(spec, document);
    set_lists(spec, document);
    (void)json_object_set_new(document, "cpus", number_of((double)spec->need.cpu_millis / 1000));
    (void)json_object_set_new(document, "memory_bytes", json_integer(spec->need.memory_bytes));
    (void)json_object_set_new(document, "disk_bytes", json_integer(spec->need.disk_bytes));
    (void)json_object_set_new(document, "walltime_seconds",
                              number_of((double)spec->walltime_us / 1e6));
    (void)json_object_set_new(document, "retries", retries_to_json(&spec->retries));
    if (spec->group) {
        (void)json_object_set_new(document, "group", json_string(spec->group));
    }
    if (spec->when_lost == SPEC_LOST_FAIL) {
        (void)json_object_set_new(document, "when_lost", json_string("fail"));
    }
    (void)json_object_set_new(document, "priority", json_integer(spec->priority));
    (void)json_object_set_new(document, "network", json_boolean(spec->has_network));
    if (spec->has_api) {
        (void)json_object_set_new(document, "api", json_true());
    }
    if (spec->is_spare) {
        (void)json_object_set_new(document, "spare", json_true());
    }
    (void)json_object_set_new(document, "cache", json_string(caches[spec->cache]));
    set_travel(spec, document);
    set_software(spec, document);
    return document;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The strings in bytewise order: what is a set gives one identity in whatever order it was written.
static json_t *sorted_strings(const char *const *strings, size_t count)
{
    AUTO_FREE const char **sorted = memory_new(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = strings[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_strings);
    return array_of_strings(sorted, count);
}

void spec_write_identity(const struct job_spec *spec, struct buffer *out)
{
    AUTO_JSON json_t *identity = json_object();
    json_t *files = json_object();
    for (size_t i = 0; i < spec->file_count; i++) {
        (void)json_object_set_new(files, spec->files[i].name, file_of(&spec->files[i]));
    }
    (void)json_object_set_new(identity, "command",
                              array_of_strings(spec->command, spec->argument_count));
    (void)json_object_set_new(identity, "mode", json_string(mode_name(spec->mode)));
    (void)json_object_set_new(identity, "files", files);
    (void)json_object_set_new(identity, "environment", environment_of(spec));
    (void)json_object_set_new(identity, "outputs",
                              sorted_strings(spec->outputs, spec->output_count));
    (void)json_object_set_new(identity, "network", json_boolean(spec->has_network));
    if (spec->has_api) {
        (void)json_object_set_new(identity, "api", json_true());
    }
    (void)json_object_set_new(identity, "over_name",
                              spec->over_name ? json_string(spec->over_name) : json_null());
    if (spec->first_index > 0) {
        (void)json_object_set_new(identity, "first_index", json_integer(spec->first_index));
    }
    if (spec->software_digest) {
        (void)json_object_set_new(identity, "software", software_of(spec));
    }
    json_write(identity, true, out);
}
