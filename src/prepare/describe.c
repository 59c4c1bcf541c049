// What workers are told of a job: those of this site how to run it, those of another place the whole document.
#include "prepare/prepare.h"

static void describe_items(const struct job_spec *spec, const struct job_row *row, int64_t size,
                           struct buffer *out)
{
    char digest[DIGEST_TEXT_SIZE];
    if (!row->has_items) {
        buffer_append_string(out, "\"items\":null");
        return;
    }
    buffer_printf(
        out, "\"items\":{\"kind\":\"%s\",\"blob\":\"%s\",\"size\":%lld,\"count\":%lld,\"name\":",
        row->items_kind == ITEMS_FILES ? "files" : "lines", digest_to_text(&row->items, digest),
        (long long)size, (long long)row->count);
    buffer_append_json_string(out, text_of(spec->over_name));
    buffer_append_byte(out, '}');
}

// The description's members that the spec's own document has in the same form.
static enum status describe_spec(const json_t *spec, struct buffer *out, struct error *error)
{
    static const char *const FIELDS[] = {"mode",  "command",         "environment", "network",
                                         "cpus",  "memory_bytes",    "disk_bytes",  "outputs",
                                         "files", "walltime_seconds"};
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        const json_t *value = json_object_get(spec, FIELDS[i]);
        if (!value) {
            return error_set(error, INTERNAL, "a job's document has no \"%s\"", FIELDS[i]);
        }
        buffer_printf(out, "\"%s\":", FIELDS[i]);
        json_write(value, false, out);
        buffer_append_byte(out, ',');
    }
    const json_t *checkpoint = json_object_get(spec, "checkpoint");
    if (checkpoint) {
        buffer_append_string(out, "\"checkpoint\":");
        json_write(checkpoint, false, out);
        buffer_append_byte(out, ',');
    }
    return OK;
}

void describe_elsewhere(const json_t *document, const struct prepare_options *options,
                        struct prepared *out)
{
    // That it is spare is said of this site's runners: what comes from the other site is for everyone here.
    static const char *const DONE[] = {"at",    "merge",      "stage", "offer",
                                       "after", "input_from", "spare"};
    AUTO_JSON json_t *spec = json_copy((json_t *)(uintptr_t)document);
    json_t *data = json_deep_copy(json_object_get(document, "data"));
    struct buffer *text = &out->description;
    size_t at = 0;
    json_t *datum = NULL;
    for (size_t i = 0; i < sizeof DONE / sizeof DONE[0]; i++) {
        (void)json_object_del(spec, DONE[i]);
    }
    // The content that its results are known by here must be what they are computed from there.
    json_array_foreach(data, at, datum)
    {
        (void)json_object_set_new(datum, "digest", json_string(out->digests[at]));
    }
    (void)json_object_set_new(spec, "data", data);
    if (json_object_get(spec, "over")) {
        (void)json_object_set_new(spec, "over_digest", json_string(out->digests[at]));
    }
    if (options->to.offer.id) {
        (void)json_object_set_new(spec, "offer", json_string(options->to.offer.id));
    }
    buffer_append_string(text, "\"owner\":");
    buffer_append_json_string(text, options->owner);
    if (options->key.length > 0) {
        char digest[DIGEST_TEXT_SIZE];
        const struct digest origin = digest_of(options->key.bytes, options->key.length);
        buffer_printf(text, ",\"origin\":\"%s\"", digest_to_text(&origin, digest));
    }
    buffer_append_string(text, ",\"spec\":");
    json_write(spec, false, text);
    buffer_append_byte(text, '}');
}

enum status describe_here(const struct job_spec *spec, const json_t *document, struct text data,
                          int64_t items_size, struct prepared *out, struct error *error)
{
    if (spec->has_api) {
        buffer_append_string(&out->description, DESCRIPTION_API);
    }
    if (spec->first_index > 0) {
        buffer_printf(&out->description, "\"first_index\":%lld,", (long long)spec->first_index);
    }
    TRY(describe_spec(document, &out->description, error));
    if (spec->need.gpus > 0) {
        buffer_printf(&out->description, "\"gpus\":%lld,", (long long)spec->need.gpus);
    }
    if (spec->software_digest) {
        buffer_append_string(&out->description, "\"software\":");
        json_write(json_object_get(document, "software"), false, &out->description);
        buffer_append_byte(&out->description, ',');
    }
    describe_items(spec, &out->row, items_size, &out->description);
    buffer_append_string(&out->description, ",\"data\":[");
    buffer_append_text(&out->description, data);
    buffer_append_string(&out->description, "]}");
    return OK;
}
