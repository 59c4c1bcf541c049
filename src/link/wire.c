#include "link/wire.h"

#include "base/hex.h"

#include <stdio.h>

static bool copy_text(struct text text, char *out, size_t size)
{
    if (text.length >= size || text_has_control(text) || !text_is_utf8(text)) {
        return false;
    }
    if (text.length > 0) { // One that was left out has no bytes at all.
        memcpy(out, text.bytes, text.length);
    }
    out[text.length] = '\0';
    return true;
}

static bool is_fingerprint(struct text text)
{
    struct digest digest;
    return text_starts_with(text, TEXT("sha256:")) && digest_from_text(text, &digest, NULL) == OK;
}

static enum status read_place(const json_t *value, struct wire_place *out, struct error *error)
{
    struct text site = TEXT_NONE;
    struct text name = TEXT_NONE;
    struct text url = TEXT_NONE;
    TRY(json_field_text(value, "place", JSON_REQUIRED, WIRE_FINGERPRINT_SIZE, &site, error));
    TRY(json_field_text(value, "name", JSON_OPTIONAL, WIRE_NAME_MAX, &name, error));
    TRY(json_field_text(value, "url", JSON_OPTIONAL, WIRE_URL_MAX, &url, error));
    while (text_ends_with(url, TEXT("/"))) {
        url = text_slice(url, 0, url.length - 1);
    }
    if (!is_fingerprint(site) || !copy_text(site, out->site, sizeof out->site) ||
        !copy_text(name.length > 0 ? name : text_slice(site, 0, 23), out->name, sizeof out->name) ||
        !copy_text(url, out->url, sizeof out->url)) {
        return error_set(error, INVALID, "a place is not described by fingerprint, name and url");
    }
    return OK;
}

enum status wire_read_places(struct text text, struct arena *arena, struct wire_place **out,
                             size_t *count, int64_t *version, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    json_t *array = NULL;
    int64_t number = 0;
    TRY(json_parse(text, &document, error));
    TRY(json_field_int64(document, "version", JSON_REQUIRED, 0, INT64_MAX, &number, error));
    TRY(json_field_array(document, "places", JSON_REQUIRED, WIRE_PLACES_MAX, &array, error));
    size_t length = json_array_size(array);
    struct wire_place *places = arena_new(arena, (length + 1) * sizeof *places);
    for (size_t i = 0; i < length; i++) {
        TRY(read_place(json_array_get(array, i), &places[i], error));
    }
    *out = places;
    *count = length;
    *version = number;
    return OK;
}

static struct text keep(struct arena *arena, struct text text)
{
    return (struct text){arena_copy(arena, text), text.length};
}

enum status wire_read_job(const json_t *document, struct wire_job *out, struct error *error)
{
    struct wire_job read = {.disk_bytes = INT64_MAX};
    struct text mode = TEXT_NONE;
    TRY(json_field_int64(document, "job", JSON_REQUIRED, 1, INT64_MAX, &read.id, error));
    TRY(json_field_text(document, "owner", JSON_REQUIRED, WIRE_OWNER_MAX, &read.owner, error));
    TRY(json_field_text(document, "origin", JSON_OPTIONAL, WIRE_FINGERPRINT_SIZE, &read.origin,
                        error));
    struct digest origin;
    if (read.origin.length > 0) {
        TRY(digest_from_text(read.origin, &origin, error));
    }
    TRY(json_field_object(document, "spec", JSON_REQUIRED, &read.spec, error));
    TRY(json_field_text(read.spec, "mode", JSON_OPTIONAL, WIRE_MODE_MAX, &mode, error));
    TRY(json_field_int64(read.spec, "disk_bytes", JSON_OPTIONAL, 0, INT64_MAX, &read.disk_bytes,
                         error));
    read.is_stream = text_equal(mode, TEXT("stream"));
    *out = read;
    return OK;
}

static enum status read_blob(const json_t *digest, const json_t *size, struct wire_blob *out,
                             struct error *error)
{
    int64_t number = json_is_integer(size) ? json_integer_value(size) : -1;
    if (number < 0 || number > WIRE_BLOB_MAX) {
        return error_set(error, INVALID, "the size of a blob is not from 0 to 1 TiB");
    }
    TRY(digest_from_text(json_text(digest), &out->digest, error));
    out->size = number;
    return OK;
}

static enum status read_stream(const json_t *value, struct arena *arena, struct wire_stream *out,
                               struct error *error)
{
    *out = (struct wire_stream){0};
    if (!value || json_is_null(value)) {
        return OK;
    }
    if (json_is_object(value)) {
        out->is_blob = true;
        return read_blob(json_object_get(value, "blob"), json_object_get(value, "size"), &out->blob,
                         error);
    }
    AUTO_BUFFER struct buffer bytes = {.max = WIRE_INLINE_MAX};
    if (!json_is_string(value) || base64_decode(json_text(value), &bytes, NULL) != OK ||
        bytes.is_overflown) {
        return error_set(error, INVALID, "output is neither null, a blob nor base64 of 16 KiB");
    }
    out->base64 = keep(arena, json_text(value));
    return OK;
}

// A relative path that stays below where it starts.
static bool is_safe_path(struct text path)
{
    struct text part;
    if (path.length == 0 || path.length > WIRE_PATH_MAX || path.bytes[0] == '/' ||
        memchr(path.bytes, '\0', path.length)) {
        return false;
    }
    for (struct text rest = path; rest.length > 0 && text_next_part(&rest, '/', &part);) {
        if (part.length == 0 || text_equal(part, TEXT(".")) || text_equal(part, TEXT(".."))) {
            return false;
        }
    }
    return path.bytes[path.length - 1] != '/';
}

static enum status read_outputs(const json_t *value, struct arena *arena, struct wire_result *out,
                                struct error *error)
{
    if (!value || json_is_null(value)) {
        return OK;
    }
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count > WIRE_OUTPUTS_MAX) {
        return error_set(error, INVALID, "outputs are no list of at most %d", WIRE_OUTPUTS_MAX);
    }
    out->outputs = arena_new(arena, (count + 1) * sizeof *out->outputs);
    for (size_t i = 0; i < count; i++) {
        const json_t *each = json_array_get(value, i);
        struct wire_output *output = &out->outputs[i];
        const json_t *mode = json_array_get(each, 3);
        if (json_array_size(each) != 4 || !is_safe_path(json_text(json_array_get(each, 0))) ||
            !json_is_integer(mode) || json_integer_value(mode) < 0 ||
            json_integer_value(mode) > 07777) {
            return error_set(error, INVALID, "output %zu is not path, digest, size and mode", i);
        }
        TRY(read_blob(json_array_get(each, 1), json_array_get(each, 2), &output->blob, error));
        output->path = keep(arena, json_text(json_array_get(each, 0)));
        output->mode = json_integer_value(mode);
    }
    out->output_count = count;
    return OK;
}

static bool read_number(const json_t *value, int64_t max, int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > max) {
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

// An older site says nothing of it.
static enum status read_attempt(const json_t *value, int64_t *out, struct error *error)
{
    int64_t number = 1;
    bool is_said = value && !json_is_null(value);
    if (is_said && (!read_number(value, WIRE_ATTEMPT_MAX, &number) || number == 0)) {
        return error_set(error, INVALID, "an attempt is no number from 1 to %d", WIRE_ATTEMPT_MAX);
    }
    *out = number;
    return OK;
}

// An older site says nothing of it. What the word means is home's to judge.
static enum status read_class(const json_t *value, char out[WIRE_CLASS_MAX + 1],
                              struct error *error)
{
    bool is_said = value && !json_is_null(value);
    if (is_said &&
        (!json_is_string(value) || !copy_text(json_text(value), out, WIRE_CLASS_MAX + 1))) {
        return error_set(error, INVALID, "a class is no word of at most %d bytes", WIRE_CLASS_MAX);
    }
    return OK;
}

// At most WIRE_DETAIL_MAX bytes, cut between characters.
static struct text short_detail(struct text text)
{
    struct text part = text_slice(text, 0, WIRE_DETAIL_MAX);
    while (part.length > 0 && !text_is_utf8(part)) {
        part.length--;
    }
    return part;
}

enum status wire_read_result(struct text data, int64_t count, struct arena *arena,
                             struct wire_result *out, struct error *error)
{
    AUTO_JSON json_t *value = NULL;
    TRY(json_parse(data, &value, error));
    *out = (struct wire_result){0};
    bool is_sound =
        json_is_array(value) && read_number(json_array_get(value, 0), count - 1, &out->index);
    for (size_t i = 0; i < 6; i++) {
        int64_t max = i == 0 ? WIRE_OUTCOME_MAX : WIRE_NUMBER_MAX;
        is_sound = is_sound && read_number(json_array_get(value, i + 1), max, &out->numbers[i]);
    }
    if (!is_sound) {
        return error_set(error, INVALID,
                         "a result does not begin with seven numbers in their range");
    }
    TRY(read_stream(json_array_get(value, 7), arena, &out->streams[0], error));
    TRY(read_stream(json_array_get(value, 8), arena, &out->streams[1], error));
    TRY(read_outputs(json_array_get(value, 9), arena, out, error));
    out->detail = keep(arena, short_detail(json_text(json_array_get(value, 10))));
    TRY(read_attempt(json_array_get(value, 11), &out->attempts, error));
    return read_class(json_array_get(value, 12), out->made_by, error);
}

static void write_stream(const struct wire_stream *stream, struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    if (stream->is_blob) {
        buffer_printf(out, "{\"blob\":\"%s\",\"size\":%lld}",
                      digest_to_text(&stream->blob.digest, text), (long long)stream->blob.size);
    } else if (stream->base64.length > 0) {
        buffer_append_json_string(out, stream->base64);
    } else {
        buffer_append_string(out, "null");
    }
}

void wire_write_result(const struct wire_result *result, int64_t index, struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    buffer_printf(out, "[%lld", (long long)index);
    for (size_t i = 0; i < 6; i++) {
        buffer_printf(out, ",%lld", (long long)result->numbers[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        buffer_append_byte(out, ',');
        write_stream(&result->streams[i], out);
    }
    buffer_append_string(out, result->output_count > 0 ? ",[" : ",null");
    for (size_t i = 0; i < result->output_count; i++) {
        const struct wire_output *output = &result->outputs[i];
        buffer_append_string(out, i > 0 ? ",[" : "[");
        buffer_append_json_string(out, output->path);
        buffer_printf(out, ",\"%s\",%lld,%lld]", digest_to_text(&output->blob.digest, text),
                      (long long)output->blob.size, (long long)output->mode);
    }
    buffer_append_string(out, result->output_count > 0 ? "]," : ",");
    buffer_append_json_string(out, result->detail);
    if (result->attempts > 1 || result->made_by[0] != '\0') {
        buffer_printf(out, ",%lld", (long long)result->attempts);
    }
    if (result->made_by[0] != '\0') {
        buffer_append_byte(out, ',');
        buffer_append_json_string(out, text_of(result->made_by));
    }
    buffer_append_byte(out, ']');
}

enum status wire_read_piece(struct text data, int64_t count, struct arena *arena,
                            struct wire_piece *out, struct error *error)
{
    static const char *const NUMBERS[4] = {"started_us", "wall_us", "cpu_us", "peak_bytes"};
    AUTO_JSON json_t *value = NULL;
    *out = (struct wire_piece){0};
    TRY(json_parse(data, &value, error));
    TRY(json_field_int64(value, "from", JSON_REQUIRED, 0, count - 1, &out->from, error));
    TRY(json_field_int64(value, "to", JSON_REQUIRED, out->from + 1, count, &out->to, error));
    TRY(json_field_int64(value, "skip", JSON_OPTIONAL, 0, WIRE_NUMBER_MAX, &out->skip, error));
    TRY(json_field_bool(value, "is_part", JSON_OPTIONAL, &out->is_part, error));
    for (size_t i = 0; i < 4; i++) {
        TRY(json_field_int64(value, NUMBERS[i], JSON_OPTIONAL, 0, WIRE_NUMBER_MAX, &out->numbers[i],
                             error));
    }
    TRY(read_blob(json_object_get(value, "answers"), json_object_get(value, "answers_size"),
                  &out->answers, error));
    TRY(read_class(json_object_get(value, "class"), out->made_by, error));
    return read_stream(json_object_get(value, "stderr"), arena, &out->errors, error);
}

void wire_write_piece(const struct wire_piece *piece, int64_t first,
                      const struct wire_blob *answers, struct buffer *out)
{
    char text[DIGEST_TEXT_SIZE];
    int64_t from = first + piece->from;
    int64_t to = first + piece->to;
    buffer_printf(out,
                  "{\"from\":%lld,\"to\":%lld,\"answers\":\"%s\",\"answers_size\":%lld,"
                  "\"started_us\":%lld,\"wall_us\":%lld,\"cpu_us\":%lld,\"peak_bytes\":%lld,"
                  "\"stderr\":",
                  (long long)from, (long long)to, digest_to_text(&answers->digest, text),
                  (long long)answers->size, (long long)piece->numbers[0],
                  (long long)piece->numbers[1], (long long)piece->numbers[2],
                  (long long)piece->numbers[3]);
    write_stream(&piece->errors, out);
    if (piece->made_by[0] != '\0') {
        buffer_append_string(out, ",\"class\":");
        buffer_append_json_string(out, text_of(piece->made_by));
    }
    buffer_append_byte(out, '}');
}

static enum status keep_field(const json_t *object, const char *name, size_t max,
                              struct arena *arena, struct text *out, struct error *error)
{
    struct text text = TEXT_NONE;
    TRY(json_field_text(object, name, JSON_OPTIONAL, max, &text, error));
    *out = keep(arena, text);
    return OK;
}

enum status wire_read_setup(struct text data, struct arena *arena, struct wire_setup *out,
                            struct error *error)
{
    AUTO_JSON json_t *value = NULL;
    TRY(json_parse(data, &value, error));
    if (!json_is_object(value)) {
        return error_set(error, INVALID, "a setup is no object");
    }
    TRY(keep_field(value, "executable", WIRE_PATH_MAX, arena, &out->executable, error));
    TRY(keep_field(value, "executable_digest", DIGEST_TEXT_SIZE, arena, &out->executable_digest,
                   error));
    TRY(keep_field(value, "host", 256, arena, &out->host, error));
    return keep_field(value, "sandbox", 64, arena, &out->sandbox, error);
}

enum status wire_read_log(struct text data, struct arena *arena, struct wire_log *out,
                          struct error *error)
{
    AUTO_JSON json_t *value = NULL;
    struct text stream = TEXT_NONE;
    struct text base64 = TEXT_NONE;
    AUTO_BUFFER struct buffer bytes = {.max = WIRE_LOG_MAX};
    TRY(json_parse(data, &value, error));
    TRY(json_field_text(value, "stream", JSON_REQUIRED, 8, &stream, error));
    TRY(json_field_text(value, "base64", JSON_REQUIRED, 2 * WIRE_LOG_MAX, &base64, error));
    TRY(json_field_int64(value, "offset", JSON_REQUIRED, 0, WIRE_NUMBER_MAX, &out->offset, error));
    TRY(read_attempt(json_object_get(value, "attempt"), &out->attempt, error));
    out->is_error_output = text_equal(stream, TEXT("stderr"));
    if ((!out->is_error_output && !text_equal(stream, TEXT("stdout"))) ||
        base64_decode(base64, &bytes, NULL) != OK || bytes.is_overflown) {
        return error_set(error, INVALID, "a piece of live output is not as it should be");
    }
    out->base64 = keep(arena, base64);
    return OK;
}

enum status wire_read_end(struct text data, struct arena *arena, struct wire_end *out,
                          struct error *error)
{
    AUTO_JSON json_t *value = NULL;
    struct text message = TEXT_NONE;
    TRY(json_parse(data, &value, error));
    TRY(json_field_text(value, "state", JSON_REQUIRED, 32, &out->state, error));
    out->state = keep(arena, out->state);
    message = json_text(json_object_get(value, "message"));
    out->message = keep(arena, short_detail(message));
    return OK;
}

// At most WIRE_WORDS_MAX bytes, each run of characters that could do something to a terminal a space: controls, C0 and C1, and what turns the
// direction of writing (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
static struct text keep_words(struct arena *arena, struct text text)
{
    AUTO_BUFFER struct buffer out = {0};
    struct text part = short_detail(text_slice(text, 0, WIRE_WORDS_MAX));
    for (size_t i = 0; i < part.length; i++) {
        const unsigned char *at = (const unsigned char *)part.bytes + i;
        size_t left = part.length - i;
        size_t length = at[0] < 0x20 || at[0] == 0x7f ? 1 : 0;
        if (left >= 2 && at[0] == 0xc2 && at[1] < 0xa0) {
            length = 2;
        } else if (left >= 3 && at[0] == 0xe2 &&
                   ((at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f)) ||
                    (at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae) ||
                    (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9))) {
            length = 3;
        }
        if (length == 0) {
            buffer_append_byte(&out, part.bytes[i]);
            continue;
        }
        i += length - 1;
        if (out.length > 0 && out.bytes[out.length - 1] != ' ') {
            buffer_append_byte(&out, ' ');
        }
    }
    return keep(arena, text_trim(buffer_text(&out)));
}

enum status wire_read_words(struct text text, struct arena *arena, struct wire_words *out,
                            struct error *error)
{
    AUTO_JSON json_t *value = NULL;
    TRY(json_parse(text, &value, error));
    if (!json_is_string(json_object_get(value, "why"))) {
        return error_set(error, INVALID, "an answer to why has no words");
    }
    out->why = keep_words(arena, json_text(json_object_get(value, "why")));
    out->change = keep_words(arena, json_text(json_object_get(value, "change")));
    return OK;
}

json_t *wire_spec_for(const json_t *spec, int64_t from, int64_t to)
{
    // What it waited for has ended, its inputs are files by now, failures are home's to judge, and where it runs is decided.
    static const char *const HOME[] = {"after", "input_from", "at",   "merge",
                                       "stage", "when_lost",  "group"};
    json_t *copy = json_copy((json_t *)(uintptr_t)spec);
    for (size_t i = 0; i < sizeof HOME / sizeof HOME[0]; i++) {
        (void)json_object_del(copy, HOME[i]);
    }
    int64_t first = json_integer_value(json_object_get(spec, "first_index")) + from;
    bool is_by_count = !json_is_string(json_object_get(spec, "over")) &&
                       !json_is_string(json_object_get(spec, "items"));
    (void)json_object_set_new(copy, "retries", json_integer(0));
    (void)json_object_set_new(copy, "count", json_integer(to - from));
    if (first > 0 || !is_by_count) {
        (void)json_object_set_new(copy, "first_index", json_integer(first));
    }
    return copy;
}

enum status wire_spec_blobs(const json_t *spec, struct arena *arena, struct digest **out,
                            size_t *count, struct error *error)
{
    const json_t *files = json_object_get(spec, "files");
    const json_t *items = json_object_get(spec, "items");
    const json_t *software = json_object_get(json_object_get(spec, "software"), "blob");
    size_t length = json_array_size(files);
    struct digest *digests = arena_new(arena, (length + 2) * sizeof *digests);
    size_t found = 0;
    for (size_t i = 0; i < length; i++) {
        const json_t *blob = json_object_get(json_array_get(files, i), "blob");
        TRY(digest_from_text(json_text(blob), &digests[found++], error));
    }
    if (json_is_string(items)) {
        TRY(digest_from_text(json_text(items), &digests[found++], error));
    }
    if (json_is_string(software)) {
        TRY(digest_from_text(json_text(software), &digests[found++], error));
    }
    *out = digests;
    *count = found;
    return OK;
}
