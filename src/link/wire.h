// What the link is told by its own site and by others, read and checked. Pure.
//
// Nothing that another site says is passed on as it came: it is read into these structures and written anew, so that the own site
// is not made to refuse a report by what a strange one put into it.
#ifndef LODE_LINK_WIRE_H
#define LODE_LINK_WIRE_H

#include "base/arena.h"
#include "base/json.h"
#include "crypto/digest.h"

enum {
    WIRE_PLACES_MAX = 10000,
    WIRE_NAME_MAX = 64,
    WIRE_URL_MAX = 300,
    WIRE_LEASES_MAX = 10000,
    WIRE_OWNER_MAX = 200,
    WIRE_MODE_MAX = 16,
    WIRE_OUTCOME_MAX = 7,
    WIRE_OUTCOME_INPUT = 5,
    WIRE_OUTCOME_WORKER = 6,
    WIRE_INLINE_MAX = 16 << 10, // Bytes of output that a result carries itself.
    WIRE_OUTPUTS_MAX = 10000,
    WIRE_PATH_MAX = 4096,
    WIRE_DETAIL_MAX = 1000,
    WIRE_ATTEMPT_MAX = 1 << 20,
    WIRE_CLASS_MAX = 16,
    WIRE_WORDS_MAX = 500,
    WIRE_FINGERPRINT_SIZE = 72,
    WIRE_LOG_MAX = 64 << 10,
};
#define WIRE_NUMBER_MAX (INT64_C(1) << 53)
#define WIRE_BLOB_MAX (INT64_C(1) << 40)

// One of GET /v1/places: a site where jobs are to go.
struct wire_place {
    char site[WIRE_FINGERPRINT_SIZE]; // "sha256:..."
    char name[WIRE_NAME_MAX + 1];
    char url[WIRE_URL_MAX + 1]; // Without a last slash; "" when it is not known where the site is.
};
// *out lives in the arena.
enum status wire_read_places(struct text text, struct arena *arena, struct wire_place **out,
                             size_t *count, int64_t *version, struct error *error);

// A job that home tells of: its number there, for whom it is, and its document, which is borrowed.
struct wire_job {
    int64_t id;
    struct text owner;
    struct text origin; // Digest of the key that it was submitted under; empty: none.
    json_t *spec;
    bool is_stream;
    int64_t disk_bytes; // INT64_MAX when it names no bound.
};
enum status wire_read_job(const json_t *document, struct wire_job *out, struct error *error);

// A blob that a result names.
struct wire_blob {
    struct digest digest;
    int64_t size;
};

// What a task wrote to one stream: a blob, or base64 of a few bytes (the empty text: nothing).
struct wire_stream {
    bool is_blob;
    struct wire_blob blob;
    struct text base64;
};

struct wire_output {
    struct text path;
    struct wire_blob blob;
    int64_t mode;
};

// `event: result`.
struct wire_result {
    int64_t index;
    int64_t numbers[6]; // Outcome, code, started_us, wall_us, cpu_us, peak_bytes.
    struct wire_stream streams[2];
    struct wire_output *outputs;
    size_t output_count;
    struct text detail;
    int64_t attempts;                 // How often it was begun there; 0: nothing is said.
    char made_by[WIRE_CLASS_MAX + 1]; // Class of who computed it there; "": nothing is said.
};
// The texts live in the arena. INVALID says what is wrong.
enum status wire_read_result(struct text data, int64_t count, struct arena *arena,
                             struct wire_result *out, struct error *error);
// As an element of a poll's `tasks`, as the task `index`.
void wire_write_result(const struct wire_result *result, int64_t index, struct buffer *out);

// `event: piece`: answers of [from, to), which are lines of a blob.
struct wire_piece {
    int64_t from;
    int64_t to;
    struct wire_blob answers;
    int64_t skip;       // Lines of the blob before the first answer.
    bool is_part;       // Of the blob: others may come behind the last answer too.
    int64_t numbers[4]; // started_us, wall_us, cpu_us, peak_bytes.
    struct wire_stream errors;
    char made_by[WIRE_CLASS_MAX + 1]; // As that of a result.
};
enum status wire_read_piece(struct text data, int64_t count, struct arena *arena,
                            struct wire_piece *out, struct error *error);
// As `stream` of a poll's result, moved up by `first`; its answers are this blob.
void wire_write_piece(const struct wire_piece *piece, int64_t first,
                      const struct wire_blob *answers, struct buffer *out);

// `event: setup`.
struct wire_setup {
    struct text executable;
    struct text executable_digest;
    struct text host;
    struct text sandbox;
};
enum status wire_read_setup(struct text data, struct arena *arena, struct wire_setup *out,
                            struct error *error);

// GET /v1/jobs/{job}/why: texts for people, made harmless. They live in the arena.
struct wire_words {
    struct text why;
    struct text change;
};
enum status wire_read_words(struct text text, struct arena *arena, struct wire_words *out,
                            struct error *error);

// `event: log`: live output of a job with one task.
struct wire_log {
    bool is_error_output;
    int64_t offset;
    struct text base64;
    int64_t attempt; // There, from 1.
};
enum status wire_read_log(struct text data, struct arena *arena, struct wire_log *out,
                          struct error *error);

// `event: end`: how the job there has ended; of `event: job`, how it is.
struct wire_end {
    struct text state;
    struct text message;
};
enum status wire_read_end(struct text data, struct arena *arena, struct wire_end *out,
                          struct error *error);

// The document that a job is submitted with at another site: that of the home site without what is home's business, for the tasks
// [from, to) alone. `spec` is not changed. The caller releases it.
json_t *wire_spec_for(const json_t *spec, int64_t from, int64_t to);

// The blobs that a job's document names: its files, its items and its software. *out lives in the arena.
enum status wire_spec_blobs(const json_t *spec, struct arena *arena, struct digest **out,
                            size_t *count, struct error *error);

#endif
