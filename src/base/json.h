// Access to JSON objects from outside: typed, with limits, naming the field that is wrong. The one place that includes
// jansson; other modules take its types from here.
#ifndef LODE_BASE_JSON_H
#define LODE_BASE_JSON_H

#include "base/buffer.h"

#include <jansson.h>

enum { JSON_DEPTH_MAX = 32 };

// Parses one JSON value (RFC 8259) that fills the whole text: duplicate keys, NUL in strings, broken UTF-8 and nesting
// over JSON_DEPTH_MAX are INVALID. *out is a new reference for the caller.
enum status json_parse(struct text text, json_t **out, struct error *error);

static inline void json_free_local(json_t **local)
{
    json_decref(*local);
}
#define AUTO_JSON __attribute__((cleanup(json_free_local)))

// INVALID, naming the first offender, when `value` is no object or has a field that is not in the NULL-terminated list.
enum status json_check_fields(const json_t *value, const char *const *allowed, struct error *error);

// One field of an object. Absent or null: *out is unchanged and OK is returned when it is optional, INVALID naming the
// field when it is required. The texts are borrowed from the object.
enum json_need { JSON_OPTIONAL, JSON_REQUIRED };
enum status json_field_text(const json_t *object, const char *name, enum json_need need,
                            size_t length_max, struct text *out, struct error *error);
enum status json_field_int64(const json_t *object, const char *name, enum json_need need,
                             int64_t min, int64_t max, int64_t *out, struct error *error);
enum status json_field_double(const json_t *object, const char *name, enum json_need need,
                              double min, double max, double *out, struct error *error);
// A number of seconds, in microseconds; -1 when the field is absent.
enum status json_field_duration(const json_t *object, const char *name, int64_t seconds_max,
                                int64_t *out_us, struct error *error);
enum status json_field_bool(const json_t *object, const char *name, enum json_need need, bool *out,
                            struct error *error);
// *out is borrowed; NULL stays when the field is absent and optional.
enum status json_field_array(const json_t *object, const char *name, enum json_need need,
                             size_t count_max, json_t **out, struct error *error);
enum status json_field_object(const json_t *object, const char *name, enum json_need need,
                              json_t **out, struct error *error);

// The text of a JSON string value; the empty text for anything else.
struct text json_text(const json_t *string);

// A new JSON string; bytes that are not UTF-8 become U+FFFD.
json_t *json_from_text(struct text text);

// Appends the value in compact form, keys in the order they were set (`is_canonical`: sorted, for digests).
void json_write(const json_t *value, bool is_canonical, struct buffer *out);

#endif
