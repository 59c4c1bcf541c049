// The fields of a job's document that are lists: each reader checks one field and fills its part of the spec.
#ifndef LODE_JOBS_SPEC_FIELDS_H
#define LODE_JOBS_SPEC_FIELDS_H

#include "jobs/spec.h"

// Each takes the whole document; INVALID names the field, the value and the way out. What they store lives in the spec's arena.
enum status spec_read_command(struct job_spec *spec, const json_t *document, struct error *error);
enum status spec_read_data(struct job_spec *spec, const json_t *document, struct error *error);
enum status spec_read_files(struct job_spec *spec, const json_t *document, struct error *error);
enum status spec_read_outputs(struct job_spec *spec, const json_t *document, struct error *error);
enum status spec_read_environment(struct job_spec *spec, const json_t *document,
                                  struct error *error);
enum status spec_read_after(struct job_spec *spec, const json_t *document, struct error *error);
// Jobs by number, each once. For "after" and "input_from".
enum status spec_read_jobs(struct job_spec *spec, const json_t *document, const char *field,
                           size_t max, int64_t **out, size_t *count, struct error *error);
enum status spec_read_software(struct job_spec *spec, const json_t *document, struct error *error);
// "checkpoint"; after the mode.
enum status spec_read_checkpoint(struct job_spec *spec, const json_t *document,
                                 struct error *error);
// Patterns of files below the working folder: at most `max` of them.
enum status spec_read_patterns(struct job_spec *spec, const json_t *document, const char *field,
                               size_t max, const char ***out, size_t *count, struct error *error);
// "require" and "gpus".
enum status spec_read_labels(struct job_spec *spec, const json_t *document, struct error *error);
// "at", "merge", "stage", "offer" and "input_from".
enum status spec_read_travel(struct job_spec *spec, const json_t *document, struct error *error);
// A command: not empty, and no longer than the limits. *out is NULL-terminated, and NULL when an optional field is absent.
enum status spec_read_words(struct job_spec *spec, const json_t *document, const char *field,
                            enum json_need need, const char ***out, size_t *count,
                            struct error *error);

// INVALID when the text has a NUL byte or is no UTF-8; `what` names it ("outputs[2]").
enum status spec_check_text(struct text text, const char *what, struct error *error);
// INVALID unless the text is one path part that a folder entry can have: not empty, no "/", not "." or "..", no control
// characters, at most 255 bytes.
enum status spec_check_part(struct text text, const char *what, struct error *error);
// INVALID unless the text is a relative path of such parts, of at most SPEC_PATTERN_MAX bytes.
enum status spec_check_path(struct text text, const char *what, struct error *error);
// INVALID unless the text can identify a dataset: 1 to SPEC_ID_MAX bytes without spaces or control characters.
enum status spec_check_id(struct text text, const char *what, struct error *error);
// The digest of a dataset's content in that field; *out is NULL when it is absent.
enum status spec_read_digest(struct job_spec *spec, const json_t *object, const char *field,
                             const char *what, const char **out, struct error *error);
// INVALID unless the text is "sha256:" and 64 lower-case hexadecimal digits.
enum status spec_check_digest(struct text text, const char *what, struct error *error);

// The last part of an identifier, made safe as a name below /data; lives in the arena.
const char *spec_default_name(struct arena *arena, struct text id);

#endif
