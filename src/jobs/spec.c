// Reads a job's document: the plain fields here, the lists in spec_fields.c. A spec is complete or does not exist.
#include "jobs/spec.h"

#include "base/memory.h"
#include "jobs/spec_fields.h"

static const char *const known_fields[] = {
    "name",     "mode",         "command",     "count",      "over",        "over_name",
    "items",    "data",         "files",       "outputs",    "environment", "after",
    "cpus",     "memory_bytes", "disk_bytes",  "cache",      "retries",     "walltime_seconds",
    "priority", "network",      "first_index", "input_from", "at",          "merge",
    "stage",    "offer",        "when_lost",   "group",      "over_digest", "checkpoint",
    "gpus",     "require",      "api",         "software",   "spare",       NULL,
};

// Reads a field that is one of `names` (NULL-terminated); *out is its place among them.
static enum status read_word(const json_t *document, const char *field, const char *const *names,
                             int *out, struct error *error)
{
    struct text text = TEXT_NONE;
    TRY(json_field_text(document, field, JSON_OPTIONAL, SPEC_NAME_MAX, &text, error));
    if (!text.bytes) {
        return OK;
    }
    AUTO_BUFFER struct buffer choice = {0};
    for (int i = 0; names[i]; i++) {
        if (text_equal(text, text_of(names[i]))) {
            *out = i;
            return OK;
        }
        buffer_printf(&choice, "%s\"%s\"", i > 0 ? ", " : "", names[i]);
    }
    (void)error_set(error, INVALID, "field \"%s\" is \"%.*s\"", field,
                    TEXT_ARGS(text_slice(text, 0, 80)));
    error_fix(error, "use one of %s", choice.bytes ? choice.bytes : "");
    return INVALID;
}

static enum status read_group(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct text group = TEXT_NONE;
    TRY(json_field_text(document, "group", JSON_OPTIONAL, SPEC_GROUP_MAX, &group, error));
    if (!group.bytes) {
        return OK;
    }
    TRY(spec_check_text(group, "field \"group\"", error));
    if (group.length == 0 || text_has_control(group) || text_contains_byte(group, ',') ||
        text_contains_byte(group, ' ')) {
        (void)error_set(error, INVALID, "field \"group\" is not the name of a group");
        error_fix(error, "`lode group list` shows the groups that you belong to");
        return INVALID;
    }
    spec->group = arena_copy(&spec->arena, group);
    return OK;
}

static enum status read_api(struct job_spec *spec, const json_t *document, struct error *error)
{
    TRY(json_field_bool(document, "api", JSON_OPTIONAL, &spec->has_api, error));
    if (spec->has_api && !spec->has_network) {
        (void)error_set(error, INVALID, "field \"api\" is true: tasks cannot reach the site");
        error_fix(error, "give them the network, too: \"network\": true");
        return INVALID;
    }
    if (spec->has_api && spec->mode == SPEC_STREAM) {
        (void)error_set(error, INVALID,
                        "field \"api\" is true: a streamed program outlives its tokens");
        error_fix(error, "use mode \"command\", or leave out \"api\"");
        return INVALID;
    }
    return OK;
}

static enum status read_words(struct job_spec *spec, const json_t *document, struct error *error)
{
    static const char *const modes[] = {"command", "stream", NULL};
    static const char *const caches[] = {"use", "refresh", "off", NULL};
    static const char *const ends[] = {"hold", "fail", NULL};
    int mode = SPEC_COMMAND;
    int cache = SPEC_CACHE_USE;
    int when_lost = SPEC_LOST_HOLD;
    struct text name = TEXT_NONE;
    TRY(read_word(document, "mode", modes, &mode, error));
    TRY(read_word(document, "cache", caches, &cache, error));
    TRY(read_word(document, "when_lost", ends, &when_lost, error));
    TRY(json_field_text(document, "name", JSON_OPTIONAL, SPEC_NAME_MAX, &name, error));
    TRY(spec_check_text(name, "field \"name\"", error));
    if (text_has_control(name)) {
        return error_set(error, INVALID, "field \"name\" has a control character");
    }
    TRY(read_group(spec, document, error));
    spec->mode = (enum spec_mode)mode;
    spec->cache = (enum spec_cache)cache;
    spec->when_lost = (enum spec_when_lost)when_lost;
    spec->name = arena_copy(&spec->arena, name);
    return OK;
}

static enum status read_over(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct text over = TEXT_NONE;
    struct text name = TEXT_NONE;
    TRY(json_field_text(document, "over", JSON_OPTIONAL, SPEC_ID_MAX, &over, error));
    TRY(json_field_text(document, "over_name", JSON_OPTIONAL, SPEC_NAME_MAX, &name, error));
    TRY(spec_read_digest(spec, document, "over_digest", "field \"over_digest\"", &spec->over_digest,
                         error));
    if (!over.bytes && (name.bytes || spec->over_digest)) {
        return error_set(error, INVALID, "\"%s\" without \"over\"",
                         name.bytes ? "over_name" : "over_digest");
    }
    if (!over.bytes) {
        return OK;
    }
    TRY(spec_check_id(over, "field \"over\"", error));
    spec->index = SPEC_INDEX_OVER;
    spec->count = 0;
    spec->over = arena_copy(&spec->arena, over);
    if (!name.bytes) {
        spec->over_name = spec_default_name(&spec->arena, over);
        return OK;
    }
    TRY(spec_check_part(name, "field \"over_name\"", error));
    spec->over_name = arena_copy(&spec->arena, name);
    return OK;
}

static bool is_given(const json_t *document, const char *field)
{
    const json_t *value = json_object_get(document, field);
    return value && !json_is_null(value);
}

// One of "count", "over" and "items"; with "first_index" a count may stand beside another one.
static enum status check_index_sets(const json_t *document, struct error *error)
{
    static const char *const kinds[] = {"count", "over", "items"};
    const char *given = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool is_part = i == 0 && is_given(document, "first_index");
        if (!is_given(document, kinds[i]) || is_part) {
            continue;
        }
        if (given) {
            (void)error_set(error, INVALID, "\"%s\" and \"%s\" are two index sets", given,
                            kinds[i]);
            error_fix(error, "give one of \"count\", \"over\" and \"items\"");
            return INVALID;
        }
        given = kinds[i];
    }
    return OK;
}

static enum status read_index(struct job_spec *spec, const json_t *document, struct error *error)
{
    TRY(check_index_sets(document, error));
    spec->index = SPEC_INDEX_COUNT;
    spec->count = 1;
    TRY(json_field_int64(document, "count", JSON_OPTIONAL, 1, SPEC_COUNT_MAX, &spec->count, error));
    int64_t count = is_given(document, "count") ? spec->count : 0;
    TRY(json_field_int64(document, "first_index", JSON_OPTIONAL, 0, SPEC_COUNT_MAX - spec->count,
                         &spec->first_index, error));
    TRY(read_over(spec, document, error));
    struct text items = TEXT_NONE;
    TRY(json_field_text(document, "items", JSON_OPTIONAL, SPEC_NAME_MAX, &items, error));
    if (items.bytes) {
        TRY(spec_check_digest(items, "field \"items\"", error));
        spec->index = SPEC_INDEX_ITEMS;
        spec->count = 0;
        spec->items = arena_copy(&spec->arena, items);
    }
    spec->part_count = spec->index == SPEC_INDEX_COUNT ? 0 : count;
    return OK;
}

// {file} stands for a file of the dataset of "over"; without one it would silently be nothing.
static enum status check_file_word(const struct job_spec *spec, struct error *error)
{
    for (size_t i = 0; i < spec->argument_count && spec->index != SPEC_INDEX_OVER; i++) {
        AUTO_BUFFER struct buffer without = {0};
        AUTO_BUFFER struct buffer with = {0};
        struct text argument = text_of(spec->command[i]);
        spec_expand(argument, 0, TEXT(""), TEXT(""), &without);
        spec_expand(argument, 0, TEXT(""), TEXT("x"), &with);
        if (with.length != without.length) {
            (void)error_set(error, INVALID,
                            "the command says {file}, but the job runs over no dataset");
            error_fix(error, "give the dataset with \"over\" (lode run --over ID), or write "
                             "{{file}} for the word itself");
            return INVALID;
        }
    }
    return OK;
}

static enum status read_numbers(struct job_spec *spec, const json_t *document, struct error *error)
{
    double cpus = 1;
    double walltime_seconds = SPEC_WALLTIME_SECONDS_DEFAULT;
    spec->need =
        (struct resources){.memory_bytes = INT64_C(1) << 30, .disk_bytes = INT64_C(1) << 30};
    TRY(json_field_double(document, "cpus", JSON_OPTIONAL, 0.001, SPEC_CPUS_MAX, &cpus, error));
    TRY(json_field_int64(document, "memory_bytes", JSON_OPTIONAL, SPEC_MEMORY_MIN,
                         SPEC_RESOURCE_BYTES_MAX, &spec->need.memory_bytes, error));
    TRY(json_field_int64(document, "disk_bytes", JSON_OPTIONAL, 0, SPEC_RESOURCE_BYTES_MAX,
                         &spec->need.disk_bytes, error));
    TRY(json_field_double(document, "walltime_seconds", JSON_OPTIONAL, 0.001,
                          SPEC_WALLTIME_SECONDS_MAX, &walltime_seconds, error));
    TRY(retries_parse(json_object_get(document, "retries"), &spec->retries, error));
    TRY(json_field_int64(document, "priority", JSON_OPTIONAL, -SPEC_PRIORITY_MAX, SPEC_PRIORITY_MAX,
                         &spec->priority, error));
    TRY(json_field_bool(document, "network", JSON_OPTIONAL, &spec->has_network, error));
    TRY(read_api(spec, document, error));
    spec->need.cpu_millis = (int64_t)(cpus * 1000 + 0.5);
    spec->walltime_us = (int64_t)(walltime_seconds * 1e6 + 0.5);
    return OK;
}

// What is registered at the site is kept back from computers that strangers lend: the site has it from others, who have not agreed to that.
static enum status read_spare(struct job_spec *spec, const json_t *document, struct error *error)
{
    TRY(json_field_bool(document, "spare", JSON_OPTIONAL, &spec->is_spare, error));
    if (spec->is_spare && (spec->data_count > 0 || spec->over)) {
        (void)error_set(error, INVALID,
                        "field \"spare\" is true, but the job uses data that is registered at the "
                        "site, which is kept back from spare runners");
        error_fix(error,
                  "leave out \"spare\", or bring what it needs as files of the job (\"files\", "
                  "\"items\")");
        return INVALID;
    }
    return OK;
}

static enum status read_document(struct job_spec *spec, const json_t *document, struct error *error)
{
    TRY(json_check_fields(document, known_fields, error));
    TRY(read_words(spec, document, error));
    TRY(read_index(spec, document, error));
    TRY(read_numbers(spec, document, error));
    TRY(spec_read_command(spec, document, error));
    TRY(check_file_word(spec, error));
    TRY(spec_read_data(spec, document, error));
    TRY(read_spare(spec, document, error));
    TRY(spec_read_files(spec, document, error));
    TRY(spec_read_outputs(spec, document, error));
    TRY(spec_read_checkpoint(spec, document, error));
    TRY(spec_read_environment(spec, document, error));
    TRY(spec_read_after(spec, document, error));
    TRY(spec_read_labels(spec, document, error));
    TRY(spec_read_software(spec, document, error));
    return spec_read_travel(spec, document, error);
}

enum status spec_parse(const json_t *document, struct job_spec **out, struct error *error)
{
    struct job_spec *spec = NEW(struct job_spec);
    enum status status = read_document(spec, document, error);
    if (status != OK) {
        spec_free(spec);
        return status;
    }
    *out = spec;
    return OK;
}

void spec_free(struct job_spec *spec)
{
    if (spec) {
        arena_done(&spec->arena);
        free(spec);
    }
}
