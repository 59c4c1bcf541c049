#include "base/json.h"

static bool is_too_deep(struct text text)
{
    size_t depth = 0;
    bool is_string = false;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        if (is_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                is_string = false;
            }
        } else if (byte == '"') {
            is_string = true;
        } else if (byte == '[' || byte == '{') {
            if (++depth > JSON_DEPTH_MAX) {
                return true;
            }
        } else if ((byte == ']' || byte == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

enum status json_parse(struct text text, json_t **out, struct error *error)
{
    if (is_too_deep(text)) {
        return error_set(error, INVALID, "JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
    }
    json_error_t problem;
    json_t *value = json_loadb(text.bytes ? text.bytes : "", text.length,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!value) {
        return error_set(error, INVALID, "malformed JSON at line %d, column %d: %s", problem.line,
                         problem.column, problem.text);
    }
    *out = value;
    return OK;
}

static bool is_in_list(const char *name, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(name, *list) == 0) {
            return true;
        }
    }
    return false;
}

enum status json_check_fields(const json_t *value, const char *const *allowed, struct error *error)
{
    if (!json_is_object(value)) {
        return error_set(error, INVALID, "a JSON object is needed here");
    }
    for (void *at = json_object_iter((json_t *)(uintptr_t)value); at;
         at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
        const char *name = json_object_iter_key(at);
        if (!is_in_list(name, allowed)) {
            AUTO_BUFFER struct buffer known = {0};
            for (const char *const *each = allowed; *each; each++) {
                buffer_printf(&known, "%s%s", each == allowed ? "" : ", ", *each);
            }
            (void)error_set(error, INVALID, "unknown field \"%.100s\"", name);
            error_fix(error, "known fields: %.420s", known.bytes ? known.bytes : "none");
            return INVALID;
        }
    }
    return OK;
}

// Finds a present field; *out NULL and OK when an optional one is absent.
static enum status find_field(const json_t *object, const char *name, enum json_need need,
                              json_t **out, struct error *error)
{
    json_t *value = json_object_get(object, name);
    *out = NULL;
    if (!value || json_is_null(value)) {
        if (need == JSON_REQUIRED) {
            return error_set(error, INVALID, "field \"%s\" is missing", name);
        }
        return OK;
    }
    *out = value;
    return OK;
}

enum status json_field_text(const json_t *object, const char *name, enum json_need need,
                            size_t length_max, struct text *out, struct error *error)
{
    json_t *value = NULL;
    TRY(find_field(object, name, need, &value, error));
    if (!value) {
        return OK;
    }
    if (!json_is_string(value)) {
        return error_set(error, INVALID, "field \"%s\" must be a string", name);
    }
    struct text text = json_text(value);
    if (text.length > length_max) {
        return error_set(error, INVALID, "field \"%s\" has %zu bytes; at most %zu are allowed",
                         name, text.length, length_max);
    }
    *out = text;
    return OK;
}

enum status json_field_int64(const json_t *object, const char *name, enum json_need need,
                             int64_t min, int64_t max, int64_t *out, struct error *error)
{
    json_t *value = NULL;
    TRY(find_field(object, name, need, &value, error));
    if (!value) {
        return OK;
    }
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max) {
        return error_set(error, INVALID, "field \"%s\" must be a whole number from %lld to %lld",
                         name, (long long)min, (long long)max);
    }
    *out = number;
    return OK;
}

enum status json_field_double(const json_t *object, const char *name, enum json_need need,
                              double min, double max, double *out, struct error *error)
{
    json_t *value = NULL;
    TRY(find_field(object, name, need, &value, error));
    if (!value) {
        return OK;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || number < min || number > max) {
        return error_set(error, INVALID, "field \"%s\" must be a number from %g to %g", name, min,
                         max);
    }
    *out = number;
    return OK;
}

enum status json_field_duration(const json_t *object, const char *name, int64_t seconds_max,
                                int64_t *out_us, struct error *error)
{
    double seconds = -1;
    TRY(json_field_double(object, name, JSON_OPTIONAL, 0, (double)seconds_max, &seconds, error));
    *out_us = seconds < 0 ? -1 : (int64_t)(seconds * 1e6);
    return OK;
}

enum status json_field_bool(const json_t *object, const char *name, enum json_need need, bool *out,
                            struct error *error)
{
    json_t *value = NULL;
    TRY(find_field(object, name, need, &value, error));
    if (!value) {
        return OK;
    }
    if (!json_is_boolean(value)) {
        return error_set(error, INVALID, "field \"%s\" must be true or false", name);
    }
    *out = json_is_true(value);
    return OK;
}

enum status json_field_array(const json_t *object, const char *name, enum json_need need,
                             size_t count_max, json_t **out, struct error *error)
{
    json_t *value = NULL;
    TRY(find_field(object, name, need, &value, error));
    if (!value) {
        return OK;
    }
    if (!json_is_array(value) || json_array_size(value) > count_max) {
        return error_set(error, INVALID, "field \"%s\" must be an array of at most %zu elements",
                         name, count_max);
    }
    *out = value;
    return OK;
}

enum status json_field_object(const json_t *object, const char *name, enum json_need need,
                              json_t **out, struct error *error)
{
    json_t *value = NULL;
    TRY(find_field(object, name, need, &value, error));
    if (!value) {
        return OK;
    }
    if (!json_is_object(value)) {
        return error_set(error, INVALID, "field \"%s\" must be an object", name);
    }
    *out = value;
    return OK;
}

struct text json_text(const json_t *string)
{
    return (struct text){json_string_value(string), json_string_length(string)};
}

json_t *json_from_text(struct text text)
{
    json_t *string = json_stringn(text.bytes ? text.bytes : "", text.length);
    if (string) {
        return string;
    }
    AUTO_BUFFER struct buffer clean = {0};
    buffer_append_json_string(&clean, text);
    return json_loadb(clean.bytes, clean.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static int append_dump(const char *bytes, size_t length, void *buffer)
{
    buffer_append(buffer, bytes, length);
    return 0;
}

void json_write(const json_t *value, bool is_canonical, struct buffer *out)
{
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | (is_canonical ? JSON_SORT_KEYS : 0);
    (void)json_dump_callback(value, append_dump, out, flags);
}
