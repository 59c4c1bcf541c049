// The lists in a job's document: command, data, outputs, environment, after. Names are compared pairwise only where the list's
// maximum is small (SPEC_DATA_MAX).
#include "jobs/spec_fields.h"

#include <stdlib.h>

enum { PART_SIZE_MAX = 255, SHOWN_MAX = 80, WHAT_SIZE = 64, DIGEST_FIELD_MAX = 255 };

// At most SHOWN_MAX bytes of a text from outside, for an error's text.
#define SHOWN(t) TEXT_ARGS(text_slice((t), 0, SHOWN_MAX))

enum status spec_check_text(struct text text, const char *what, struct error *error)
{
    if (text_contains_byte(text, '\0')) {
        return error_set(error, INVALID, "%s has a NUL byte", what);
    }
    if (!text_is_utf8(text)) {
        (void)error_set(error, INVALID, "%s is not UTF-8", what);
        error_fix(error, "write names and arguments as UTF-8; pass other bytes in a file");
        return INVALID;
    }
    return OK;
}

enum status spec_check_part(struct text text, const char *what, struct error *error)
{
    TRY(spec_check_text(text, what, error));
    if (text.length > PART_SIZE_MAX) {
        return error_set(error, INVALID, "%s has %zu bytes; at most %d are allowed", what,
                         text.length, PART_SIZE_MAX);
    }
    if (text.length == 0 || text_contains_byte(text, '/') || text_has_control(text) ||
        text_equal(text, TEXT(".")) || text_equal(text, TEXT(".."))) {
        (void)error_set(error, INVALID, "%s is \"%.*s\", which is not a single file name", what,
                        SHOWN(text));
        error_fix(error, "use one name without \"/\", such as \"input.nc\"");
        return INVALID;
    }
    return OK;
}

enum status spec_check_path(struct text text, const char *what, struct error *error)
{
    struct text rest = text;
    struct text part;
    if (text.length > SPEC_PATTERN_MAX) {
        return error_set(error, INVALID, "%s has %zu bytes; at most %d are allowed", what,
                         text.length, SPEC_PATTERN_MAX);
    }
    if (text.length == 0 || text.bytes[text.length - 1] == '/') {
        return spec_check_part(text, what, error);
    }
    while (text_next_part(&rest, '/', &part)) {
        if (spec_check_part(part, what, error) != OK) {
            (void)error_set(error, INVALID,
                            "%s is \"%.*s\", which is no path below the working folder", what,
                            SHOWN(text));
            error_fix(error, "write it relative to the working folder, without \"..\": "
                             "\"input.nc\" or \"parts/a.nc\"");
            return INVALID;
        }
    }
    return OK;
}

enum status spec_check_id(struct text text, const char *what, struct error *error)
{
    TRY(spec_check_text(text, what, error));
    if (text.length == 0 || text.length > SPEC_ID_MAX) {
        return error_set(error, INVALID, "%s has %zu bytes; an identifier has 1 to %d", what,
                         text.length, SPEC_ID_MAX);
    }
    if (text_has_control(text) || text_contains_byte(text, ' ')) {
        (void)error_set(error, INVALID, "%s has a space or a control character", what);
        error_fix(error, "write it as doi:10.1234/x, scope:name or a URL with %%20");
        return INVALID;
    }
    return OK;
}

enum status spec_check_digest(struct text text, const char *what, struct error *error)
{
    static const struct text prefix = {"sha256:", 7};
    bool is_good = text.length == prefix.length + 64 && text_starts_with(text, prefix);
    for (size_t i = prefix.length; is_good && i < text.length; i++) {
        char digit = text.bytes[i];
        is_good = (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
    }
    if (!is_good) {
        (void)error_set(error, INVALID, "%s must be \"sha256:\" and 64 hexadecimal digits", what);
        error_fix(error, "upload the content as a blob first and give the name it gets");
        return INVALID;
    }
    return OK;
}

const char *spec_default_name(struct arena *arena, struct text id)
{
    while (id.length > 0 && (id.bytes[id.length - 1] == '/' || id.bytes[id.length - 1] == ':')) {
        id.length--;
    }
    size_t from = id.length;
    while (from > 0 && id.bytes[from - 1] != '/' && id.bytes[from - 1] != ':' &&
           id.length - from < PART_SIZE_MAX) {
        from--;
    }
    char *name = arena_copy(arena, text_slice(id, from, id.length));
    for (char *at = name; *at; at++) {
        bool is_safe = (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') ||
                       (*at >= '0' && *at <= '9') || *at == '_' || *at == '-' ||
                       (*at == '.' && at != name);
        *at = is_safe ? *at : '_';
    }
    return *name ? name : "data";
}

// The text of element `at` of an array; INVALID, naming it, when it is none.
static enum status element_text(const json_t *array, const char *field, size_t at, struct text *out,
                                char what[WHAT_SIZE], struct error *error)
{
    (void)snprintf(what, WHAT_SIZE, "%s[%zu]", field, at);
    const json_t *element = json_array_get(array, at);
    if (!json_is_string(element)) {
        return error_set(error, INVALID, "%s must be a string", what);
    }
    *out = json_text(element);
    return spec_check_text(*out, what, error);
}

enum status spec_read_words(struct job_spec *spec, const json_t *document, const char *field,
                            enum json_need need, const char ***out, size_t *count,
                            struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, field, need, SPEC_ARGUMENTS_MAX, &array, error));
    if (!array) {
        return OK;
    }
    *count = json_array_size(array);
    if (*count == 0 || json_text(json_array_get(array, 0)).length == 0) {
        (void)error_set(error, INVALID, "field \"%s\" is empty", field);
        error_fix(error, "give the program and its arguments: [\"wc\", \"-l\", \"x\"]");
        return INVALID;
    }
    *out = arena_new(&spec->arena, (*count + 1) * sizeof **out);
    size_t size = 0;
    for (size_t i = 0; i < *count; i++) {
        struct text argument = TEXT_NONE;
        char what[WHAT_SIZE];
        TRY(element_text(array, field, i, &argument, what, error));
        size += argument.length + 1;
        if (size > SPEC_ARGUMENTS_SIZE_MAX) {
            (void)error_set(error, INVALID, "the %s is longer than %d bytes", field,
                            (int)SPEC_ARGUMENTS_SIZE_MAX);
            error_fix(error, "put long arguments into a file of the job (\"files\")");
            return INVALID;
        }
        (*out)[i] = arena_copy(&spec->arena, argument);
    }
    return OK;
}

enum status spec_read_command(struct job_spec *spec, const json_t *document, struct error *error)
{
    return spec_read_words(spec, document, "command", JSON_REQUIRED, &spec->command,
                           &spec->argument_count, error);
}

enum status spec_read_digest(struct job_spec *spec, const json_t *object, const char *field,
                             const char *what, const char **out, struct error *error)
{
    struct text digest = TEXT_NONE;
    TRY(json_field_text(object, field, JSON_OPTIONAL, DIGEST_FIELD_MAX, &digest, error));
    if (!digest.bytes) {
        return OK;
    }
    if (spec_check_digest(digest, what, error) != OK) {
        error_fix(error, "give the dataset's digest as lode data show and lode resolve "
                         "print it, or leave it out");
        return INVALID;
    }
    *out = arena_copy(&spec->arena, digest);
    return OK;
}

static enum status read_datum(struct job_spec *spec, const json_t *element, size_t at,
                              struct error *error)
{
    static const char *const known[] = {"id", "name", "digest", NULL};
    struct spec_data *datum = &spec->data[at];
    struct text id = TEXT_NONE;
    struct text name = TEXT_NONE;
    char what[WHAT_SIZE];
    TRY(json_check_fields(element, known, error));
    TRY(json_field_text(element, "id", JSON_REQUIRED, SPEC_ID_MAX, &id, error));
    TRY(json_field_text(element, "name", JSON_OPTIONAL, PART_SIZE_MAX, &name, error));
    (void)snprintf(what, sizeof what, "data[%zu].id", at);
    TRY(spec_check_id(id, what, error));
    datum->id = arena_copy(&spec->arena, id);
    (void)snprintf(what, sizeof what, "data[%zu].digest", at);
    TRY(spec_read_digest(spec, element, "digest", what, &datum->digest, error));
    if (!name.bytes) {
        datum->name = spec_default_name(&spec->arena, id);
        return OK;
    }
    (void)snprintf(what, sizeof what, "data[%zu].name", at);
    TRY(spec_check_part(name, what, error));
    datum->name = arena_copy(&spec->arena, name);
    return OK;
}

enum status spec_read_data(struct job_spec *spec, const json_t *document, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, "data", JSON_OPTIONAL, SPEC_DATA_MAX, &array, error));
    size_t count = json_array_size(array);
    spec->data = arena_new(&spec->arena, count * sizeof *spec->data);
    for (size_t i = 0; i < count; i++) {
        TRY(read_datum(spec, json_array_get(array, i), i, error));
        const char *name = spec->data[i].name;
        bool is_taken = spec->over_name && strcmp(spec->over_name, name) == 0;
        for (size_t j = 0; j < i && !is_taken; j++) {
            is_taken = strcmp(spec->data[j].name, name) == 0;
        }
        if (is_taken) {
            (void)error_set(error, INVALID, "two datasets would be bound at /data/%s", name);
            error_fix(error, "give one of them another \"name\"");
            return INVALID;
        }
    }
    spec->data_count = count;
    return OK;
}

static enum status check_pattern(struct text pattern, const char *what, struct error *error)
{
    if (pattern.length == 0 || pattern.length > SPEC_PATTERN_MAX || text_has_control(pattern)) {
        return error_set(error, INVALID, "%s must have 1 to %d bytes and no control characters",
                         what, SPEC_PATTERN_MAX);
    }
    struct text rest = pattern;
    struct text part;
    while (text_next_part(&rest, '/', &part)) {
        if (part.length == 0 || text_equal(part, TEXT(".")) || text_equal(part, TEXT(".."))) {
            (void)error_set(error, INVALID,
                            "%s is \"%.*s\", which is no path below the task's "
                            "folder",
                            what, SHOWN(pattern));
            error_fix(error, "write it relative to the working folder, without \"..\": "
                             "\"*.nc\" or \"results/**\"");
            return INVALID;
        }
    }
    return OK;
}

enum status spec_read_patterns(struct job_spec *spec, const json_t *document, const char *field,
                               size_t max, const char ***out, size_t *count, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, field, JSON_OPTIONAL, max, &array, error));
    *count = json_array_size(array);
    *out = arena_new(&spec->arena, *count * sizeof **out);
    for (size_t i = 0; i < *count; i++) {
        struct text pattern = TEXT_NONE;
        char what[WHAT_SIZE];
        TRY(element_text(array, field, i, &pattern, what, error));
        TRY(check_pattern(pattern, what, error));
        (*out)[i] = arena_copy(&spec->arena, pattern);
    }
    return OK;
}

enum status spec_read_outputs(struct job_spec *spec, const json_t *document, struct error *error)
{
    TRY(spec_read_patterns(spec, document, "outputs", SPEC_OUTPUTS_MAX, &spec->outputs,
                           &spec->output_count, error));
    if (spec->output_count > 0 && spec->mode == SPEC_STREAM) {
        (void)error_set(error, INVALID, "a streamed job has no \"outputs\"");
        error_fix(error, "answer on standard output, one line an item, or use mode command");
        return INVALID;
    }
    return OK;
}

static bool is_variable_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.bytes[i];
        bool is_letter =
            (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
        if (!is_letter && (i == 0 || byte < '0' || byte > '9')) {
            return false;
        }
    }
    return name.length > 0;
}

static enum status read_variable(struct job_spec *spec, struct text name, const json_t *value,
                                 struct error *error)
{
    struct spec_variable *variable = &spec->environment[spec->environment_count];
    if (!is_variable_name(name)) {
        (void)error_set(error, INVALID, "environment variable \"%.*s\" has no valid name",
                        SHOWN(name));
        error_fix(error, "use letters, digits and \"_\", not starting with a digit");
        return INVALID;
    }
    if (text_starts_with(name, TEXT("LODE_"))) {
        (void)error_set(error, INVALID, "environment variable \"%.*s\" is set by Lode itself",
                        SHOWN(name));
        error_fix(error, "use a name that does not start with LODE_");
        return INVALID;
    }
    if (!json_is_string(value)) {
        return error_set(error, INVALID, "environment variable \"%.*s\" must be a string",
                         SHOWN(name));
    }
    TRY(spec_check_text(json_text(value), "an environment variable's value", error));
    variable->name = arena_copy(&spec->arena, name);
    variable->value = arena_copy(&spec->arena, json_text(value));
    spec->environment_count++;
    return OK;
}

static int compare_variables(const void *a, const void *b)
{
    const struct spec_variable *first = a;
    const struct spec_variable *second = b;
    return strcmp(first->name, second->name);
}

enum status spec_read_environment(struct job_spec *spec, const json_t *document,
                                  struct error *error)
{
    json_t *object = NULL;
    TRY(json_field_object(document, "environment", JSON_OPTIONAL, &object, error));
    size_t count = json_object_size(object);
    if (count > SPEC_ENVIRONMENT_MAX) {
        return error_set(error, INVALID,
                         "field \"environment\" has %zu variables; at most %d are "
                         "allowed",
                         count, SPEC_ENVIRONMENT_MAX);
    }
    spec->environment = arena_new(&spec->arena, count * sizeof *spec->environment);
    size_t size = 0;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const json_t *value = json_object_iter_value(at);
        struct text name = text_of(json_object_iter_key(at));
        size += name.length + json_text(value).length + 2;
        if (size > SPEC_ARGUMENTS_SIZE_MAX) {
            (void)error_set(error, INVALID, "the environment is longer than %d bytes",
                            (int)SPEC_ARGUMENTS_SIZE_MAX);
            error_fix(error, "put long values into a file of the job (\"files\")");
            return INVALID;
        }
        TRY(read_variable(spec, name, value, error));
    }
    if (count > 0) {
        qsort(spec->environment, count, sizeof *spec->environment, compare_variables);
    }
    return OK;
}

enum status spec_read_jobs(struct job_spec *spec, const json_t *document, const char *field,
                           size_t max, int64_t **out, size_t *count, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, field, JSON_OPTIONAL, max, &array, error));
    *count = json_array_size(array);
    *out = arena_new(&spec->arena, *count * sizeof **out);
    for (size_t i = 0; i < *count; i++) {
        const json_t *element = json_array_get(array, i);
        int64_t job = json_integer_value(element);
        if (job <= 0) {
            return error_set(error, INVALID, "%s[%zu] must be a job's number", field, i);
        }
        for (size_t j = 0; j < i; j++) {
            if ((*out)[j] == job) {
                return error_set(error, INVALID, "field \"%s\" names job %lld twice", field,
                                 (long long)job);
            }
        }
        (*out)[i] = job;
    }
    return OK;
}

enum status spec_read_after(struct job_spec *spec, const json_t *document, struct error *error)
{
    return spec_read_jobs(spec, document, "after", SPEC_AFTER_MAX, &spec->after, &spec->after_count,
                          error);
}
