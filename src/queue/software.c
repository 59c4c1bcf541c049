// Software that jobs bring, and which kinds of it workers give to tasks.
#include "queue/software.h"

#include "base/memory.h"

enum status software_prepare(struct queue *queue, const struct job_spec *spec, struct prepared *out,
                             struct error *error)
{
    struct digest digest;
    if (!spec->software_digest) {
        return OK;
    }
    const char *kind = spec_software_name((enum spec_software)spec->need.software);
    TRY(digest_from_text(text_of(spec->software_digest), &digest, error));
    if (!blob_exists(queue->blobs, &digest)) {
        (void)error_set(error, NOT_FOUND, "the %s names the blob %s, which is not here", kind,
                        spec->software_digest);
        error_fix(error, "upload it first with PUT /v1/blobs/{digest}");
        return NOT_FOUND;
    }
    buffer_printf(&out->inputs, "%s{\"kind\":\"%s\",\"name\":", out->inputs.length > 1 ? "," : "",
                  kind);
    buffer_append_json_string(&out->inputs, text_of(spec->software_name));
    buffer_printf(&out->inputs, ",\"digest\":\"%s\"}", spec->software_digest);
    for (size_t i = 0; i < sizeof out->row.locality; i++) { // Who has unpacked it is preferred.
        out->row.locality = (int64_t)((uint64_t)out->row.locality * 31 + (uint64_t)digest.bytes[i]);
    }
    return OK;
}

enum status software_read_kinds(const json_t *document, int64_t *last, struct error *error)
{
    json_t *kinds = NULL;
    TRY(json_field_array(document, "software", JSON_OPTIONAL, SPEC_SOFTWARES, &kinds, error));
    *last = SPEC_SOFTWARE_HOST;
    for (size_t i = 0; i < json_array_size(kinds); i++) {
        const char *expected = spec_software_name((enum spec_software)i);
        if (!text_equal(json_text(json_array_get(kinds, i)), text_of(expected))) {
            (void)error_set(error, INVALID, "field \"software\" has no \"%s\" at its place %zu",
                            expected, i);
            error_fix(error, "who gives a kind gives those before it: host, bundle, oci");
            return INVALID;
        }
        *last = (int64_t)i;
    }
    return OK;
}

void software_write_kinds(int64_t last, struct buffer *out)
{
    for (int64_t i = 0; i <= last; i++) {
        buffer_printf(out, "%s\"%s\"", i > 0 ? "," : "", spec_software_name((enum spec_software)i));
    }
}

json_t *software_of_workers(const struct queue *queue)
{
    int64_t last = -1;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (!worker->is_lost && !worker->place && worker->capacity.software > last) {
            last = worker->capacity.software;
        }
    }
    json_t *kinds = json_array();
    for (int64_t i = 0; i <= last; i++) {
        (void)json_array_append_new(kinds, json_string(spec_software_name((enum spec_software)i)));
    }
    return kinds;
}
