#include "ledger/statement.h"

#include "base/arena.h"
#include "base/calendar.h"
#include "base/hex.h"
#include "base/memory.h"

#include <stdlib.h>

// What is signed begins with this, so that no signature of another purpose fits.
static const char SIGNED_PREFIX[] = "lode-statement-1\n";

// --- the canonical form

// An object or array that has been begun.
struct canonical_frame {
    const json_t *value;
    const char **names; // Sorted; NULL in an array.
    size_t count;
    size_t at;
};

struct canonical_writer {
    struct canonical_frame frames[JSON_DEPTH_MAX];
    size_t depth;
    struct arena arena; // The lists of names.
    struct buffer *out;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted_names(const json_t *object, struct arena *arena)
{
    // Jansson's iterators take no const, but change nothing.
    json_t *walked = (json_t *)(uintptr_t)object;
    size_t count = json_object_size(object);
    const char **names = arena_new(arena, (count + 1) * sizeof *names);
    size_t at = 0;
    for (void *each = json_object_iter(walked); each; each = json_object_iter_next(walked, each)) {
        names[at++] = json_object_iter_key(each);
    }
    qsort(names, count, sizeof *names, compare_names);
    return names;
}

static enum status begin_container(struct canonical_writer *writer, const json_t *value,
                                   struct error *error)
{
    if (writer->depth == JSON_DEPTH_MAX) {
        return error_set(error, INVALID, "a statement is nested deeper than %d levels",
                         JSON_DEPTH_MAX);
    }
    bool is_object = json_is_object(value);
    writer->frames[writer->depth++] = (struct canonical_frame){
        .value = value,
        .names = is_object ? sorted_names(value, &writer->arena) : NULL,
        .count = is_object ? json_object_size(value) : json_array_size(value),
    };
    buffer_append_byte(writer->out, is_object ? '{' : '[');
    return OK;
}

static enum status write_value(struct canonical_writer *writer, const json_t *value,
                               struct error *error)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return begin_container(writer, value, error);
    case JSON_STRING: {
        struct text text = json_text(value);
        if (text_contains_byte(text, '\0')) {
            return error_set(error, INVALID, "a string in a statement has a NUL");
        }
        buffer_append_json_string(writer->out, text);
        return OK;
    }
    case JSON_INTEGER:
        buffer_append_int64(writer->out, json_integer_value(value));
        return OK;
    case JSON_TRUE:
        buffer_append_string(writer->out, "true");
        return OK;
    case JSON_FALSE:
        buffer_append_string(writer->out, "false");
        return OK;
    case JSON_NULL:
        buffer_append_string(writer->out, "null");
        return OK;
    case JSON_REAL:
        break;
    }
    return error_set(error, INVALID, "a number in a statement is no integer");
}

// Writes the next member or element of the innermost container, or ends it.
static enum status write_next(struct canonical_writer *writer, struct error *error)
{
    struct canonical_frame *frame = &writer->frames[writer->depth - 1];
    if (frame->at == frame->count) {
        buffer_append_byte(writer->out, frame->names ? '}' : ']');
        writer->depth--;
        return OK;
    }
    if (frame->at > 0) {
        buffer_append_byte(writer->out, ',');
    }
    size_t at = frame->at++;
    if (!frame->names) {
        return write_value(writer, json_array_get(frame->value, at), error);
    }
    buffer_append_json_string(writer->out, text_of(frame->names[at]));
    buffer_append_byte(writer->out, ':');
    return write_value(writer, json_object_get(frame->value, frame->names[at]), error);
}

enum status statement_write_canonical(const json_t *object, struct buffer *out, struct error *error)
{
    if (!json_is_object(object)) {
        return error_set(error, INVALID, "a statement is a JSON object");
    }
    AUTO_BUFFER struct buffer text = {0};
    struct canonical_writer writer = {.out = &text};
    enum status status = write_value(&writer, object, error);
    while (status == OK && writer.depth > 0) {
        status = write_next(&writer, error);
    }
    arena_done(&writer.arena);
    TRY(status);
    if (text.length > STATEMENT_SIZE_MAX) {
        return error_set(error, INVALID, "a statement has %zu bytes; at most %d are allowed",
                         text.length, STATEMENT_SIZE_MAX);
    }
    buffer_append_text(out, buffer_text(&text));
    return OK;
}

// --- signing and verifying

// Appends the bytes that the signature is over.
static enum status write_signed_bytes(const json_t *object, struct buffer *out, struct error *error)
{
    AUTO_JSON json_t *bare = json_copy((json_t *)(uintptr_t)object);
    (void)json_object_del(bare, "signature");
    buffer_append_string(out, SIGNED_PREFIX);
    return statement_write_canonical(bare, out, error);
}

enum status statement_sign(json_t *object, const struct signing_key *key, struct buffer *out,
                           struct error *error)
{
    AUTO_BUFFER struct buffer message = {0};
    AUTO_BUFFER struct buffer base64 = {0};
    struct signature signature;
    (void)json_object_set_new(object, "site", json_string(signing_key_fingerprint(key)->text));
    TRY(write_signed_bytes(object, &message, error));
    signing_key_sign(key, buffer_text(&message), &signature);
    base64_append(&base64, signature.bytes, SIGNATURE_SIZE);
    (void)json_object_set_new(object, "signature", json_from_text(buffer_text(&base64)));
    return statement_write_canonical(object, out, error);
}

// Who claims to have said it: "dataset of site sha256:... (epoch 1, serial 7)".
static void describe(const json_t *object, char *out, size_t size)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *site = json_string_value(json_object_get(object, "site"));
    const json_t *epoch = json_object_get(object, "epoch");
    const json_t *serial = json_object_get(object, "serial");
    int length = snprintf(out, size, "%.20s of site %.80s", kind ? kind : "statement",
                          site ? site : "(unnamed)");
    if (json_is_integer(epoch) && json_is_integer(serial)) {
        (void)snprintf(out + length, size - (size_t)length, " (epoch %lld, serial %lld)",
                       (long long)json_integer_value(epoch), (long long)json_integer_value(serial));
    }
}

enum { DESCRIPTION_SIZE = 200 };

static bool read_signature(const json_t *object, struct signature *out)
{
    AUTO_BUFFER struct buffer bytes = {0};
    struct text text = json_text(json_object_get(object, "signature"));
    if (base64_decode(text, &bytes, NULL) != OK || bytes.length != SIGNATURE_SIZE) {
        return false;
    }
    memcpy(out->bytes, bytes.bytes, SIGNATURE_SIZE);
    return true;
}

enum status statement_verify(const json_t *object, const char *kind, const struct public_key *key,
                             struct error *error)
{
    char said[DESCRIPTION_SIZE];
    AUTO_BUFFER struct buffer message = {0};
    struct signature signature;
    if (!json_is_object(object)) {
        return error_set(error, CORRUPT, "a statement is a JSON object");
    }
    describe(object, said, sizeof said);
    const char *its_kind = json_string_value(json_object_get(object, "kind"));
    if (!its_kind || (kind && strcmp(kind, its_kind) != 0)) {
        return error_set(error, CORRUPT, "%s is not of kind %s", said, kind ? kind : "anything");
    }
    const char *site = json_string_value(json_object_get(object, "site"));
    struct fingerprint fingerprint = public_key_fingerprint(key);
    if (!site || strcmp(site, fingerprint.text) != 0) {
        return error_set(error, CORRUPT, "%s is not by the site with the key %s", said,
                         fingerprint.text);
    }
    struct error wrong = {0};
    if (write_signed_bytes(object, &message, &wrong) != OK) {
        return error_set(error, CORRUPT, "%s: %.200s", said, wrong.detail);
    }
    if (!read_signature(object, &signature) ||
        !signature_is_good(key, buffer_text(&message), &signature)) {
        return error_set(error, CORRUPT, "%s: the signature does not fit", said);
    }
    return OK;
}

// --- a site's own statement

enum { KEY_TEXT_MAX = 64 };

void public_key_to_text(const struct public_key *key, char out[PUBLIC_KEY_TEXT_SIZE])
{
    AUTO_BUFFER struct buffer base64 = {0};
    base64_append(&base64, key->bytes, PUBLIC_KEY_SIZE);
    (void)snprintf(out, PUBLIC_KEY_TEXT_SIZE, "%s", base64.bytes);
}

enum status public_key_from_text(struct text text, struct public_key *out, struct error *error)
{
    AUTO_BUFFER struct buffer bytes = {0};
    if (text.length > KEY_TEXT_MAX || base64_decode(text, &bytes, NULL) != OK ||
        bytes.length != PUBLIC_KEY_SIZE) {
        return error_set(error, INVALID, "a public key is the base64 of %d bytes", PUBLIC_KEY_SIZE);
    }
    memcpy(out->bytes, bytes.bytes, PUBLIC_KEY_SIZE);
    return OK;
}

static enum status check_urls(const json_t *urls, struct error *error)
{
    for (size_t i = 0; i < json_array_size(urls); i++) {
        struct text url = json_text(json_array_get(urls, i));
        if (!text_starts_with(url, TEXT("https://")) || url.length > SITE_URL_TEXT_MAX ||
            text_has_control(url) || text_contains_byte(url, ' ')) {
            return error_set(error, INVALID, "\"%.*s\" is no https URL of at most %d bytes",
                             TEXT_ARGS(text_slice(url, 0, 200)), SITE_URL_TEXT_MAX);
        }
    }
    return OK;
}

static enum status check_line(struct text text, const char *what, struct error *error)
{
    if (text.length == 0 || text_has_control(text)) {
        return error_set(error, INVALID, "a site's %s is one line of text", what);
    }
    return OK;
}

static enum status read_site_fields(const json_t *object, struct site_statement *out,
                                    struct error *error)
{
    struct text name = TEXT_NONE;
    struct text version = TEXT_NONE;
    struct text key = TEXT_NONE;
    struct text time = TEXT_NONE;
    int64_t protocol = 0;
    json_t *urls = NULL;
    TRY(json_field_text(object, "name", JSON_REQUIRED, SITE_NAME_TEXT_MAX, &name, error));
    TRY(json_field_text(object, "version", JSON_REQUIRED, SITE_VERSION_TEXT_MAX, &version, error));
    TRY(json_field_text(object, "public_key", JSON_REQUIRED, KEY_TEXT_MAX, &key, error));
    TRY(json_field_text(object, "time", JSON_REQUIRED, CALENDAR_TEXT_SIZE, &time, error));
    TRY(json_field_int64(object, "protocol", JSON_REQUIRED, 1, INT64_MAX, &protocol, error));
    TRY(json_field_array(object, "urls", JSON_REQUIRED, SITE_URLS_MAX, &urls, error));
    TRY(json_field_bool(object, "is_hub", JSON_REQUIRED, &out->is_hub, error));
    TRY(check_line(name, "name", error));
    TRY(check_line(version, "version", error));
    TRY(check_urls(urls, error));
    TRY(public_key_from_text(key, &out->key, error));
    if (!calendar_parse(time, &out->time_us)) {
        return error_set(error, INVALID, "\"%.*s\" is no time", TEXT_ARGS(time));
    }
    if (protocol != STATEMENT_PROTOCOL) {
        (void)error_set(error, UNSUPPORTED, "site %.*s speaks protocol %lld, this one %d",
                        TEXT_ARGS(name), (long long)protocol, STATEMENT_PROTOCOL);
        error_fix(error, "bring both sites to versions that speak the same protocol");
        return UNSUPPORTED;
    }
    out->name = name.bytes;
    out->version = version.bytes;
    out->urls = urls;
    return OK;
}

enum status site_statement_read(const json_t *object, struct site_statement *out,
                                struct error *error)
{
    struct site_statement read = {0};
    if (!json_is_object(object)) {
        return error_set(error, INVALID, "a statement is a JSON object");
    }
    TRY(read_site_fields(object, &read, error));
    read.site = public_key_fingerprint(&read.key);
    TRY(statement_verify(object, "site", &read.key, error));
    *out = read;
    return OK;
}
