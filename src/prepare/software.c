// Software that jobs bring.
#include "prepare/software.h"

#include "base/memory.h"

enum status software_prepare(const struct prepare_site *site, const struct job_spec *spec,
                             struct prepared *out, struct error *error)
{
    struct digest digest;
    if (!spec->software_digest) {
        return OK;
    }
    const char *kind = spec_software_name((enum spec_software)spec->need.software);
    TRY(digest_from_text(text_of(spec->software_digest), &digest, error));
    if (!blob_claim(site->blobs, &digest)) {
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
