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

// INVALID when the text has a NUL byte or is no UTF-8; `what` names it ("outputs[2]").
enum status spec_check_text(struct text text, const char *what, struct error *error);
// INVALID unless the text is one path part that a folder entry can have: not empty, no "/", not "." or "..", no control
// characters, at most 255 bytes.
enum status spec_check_part(struct text text, const char *what, struct error *error);
// INVALID unless the text can identify a dataset: 1 to SPEC_ID_MAX bytes without spaces or control characters.
enum status spec_check_id(struct text text, const char *what, struct error *error);
// INVALID unless the text is "sha256:" and 64 lower-case hexadecimal digits.
enum status spec_check_digest(struct text text, const char *what, struct error *error);

// The last part of an identifier, made safe as a name below /data; lives in the arena.
const char *spec_default_name(struct arena *arena, struct text id);

#endif
