// Whose programs a job's tasks see: read from its document, and written again.
#include "jobs/spec_fields.h"

enum { DIGEST_FIELD_MAX = 255 };

static const char *const kinds[SPEC_SOFTWARES] = {"host", "bundle", "oci"};

const char *spec_software_name(enum spec_software software)
{
    return kinds[software];
}

static enum status read_kind(const json_t *software, enum spec_software *out, struct error *error)
{
    struct text kind = TEXT_NONE;
    TRY(json_field_text(software, "kind", JSON_REQUIRED, SPEC_NAME_MAX, &kind, error));
    for (int i = 0; i < SPEC_SOFTWARES; i++) {
        if (text_equal(kind, text_of(kinds[i]))) {
            *out = (enum spec_software)i;
            return OK;
        }
    }
    (void)error_set(error, INVALID, "field \"software.kind\" is \"%.*s\"",
                    TEXT_ARGS(text_slice(kind, 0, 80)));
    error_fix(error, "use one of \"host\", \"bundle\", \"oci\"");
    return INVALID;
}

enum status spec_read_software(struct job_spec *spec, const json_t *document, struct error *error)
{
    static const char *const known[] = {"kind", "blob", "name", NULL};
    enum spec_software kind = SPEC_SOFTWARE_HOST;
    json_t *software = NULL;
    struct text blob = TEXT_NONE;
    struct text name = TEXT("");
    spec->software_name = "";
    TRY(json_field_object(document, "software", JSON_OPTIONAL, &software, error));
    if (!software) {
        return OK;
    }
    TRY(json_check_fields(software, known, error));
    TRY(read_kind(software, &kind, error));
    TRY(json_field_text(software, "blob", JSON_OPTIONAL, DIGEST_FIELD_MAX, &blob, error));
    TRY(json_field_text(software, "name", JSON_OPTIONAL, SPEC_NAME_MAX, &name, error));
    TRY(spec_check_text(name, "field \"software.name\"", error));
    if (text_has_control(name)) {
        return error_set(error, INVALID, "field \"software.name\" has a control character");
    }
    if (kind == SPEC_SOFTWARE_HOST) {
        return blob.bytes
                   ? error_set(error, INVALID, "\"software.blob\" beside the software of the host")
                   : OK;
    }
    if (!blob.bytes) {
        (void)error_set(error, INVALID, "software of the kind \"%s\" needs a \"blob\"",
                        kinds[kind]);
        error_fix(error, "name the archive: \"blob\": \"sha256:...\"");
        return INVALID;
    }
    TRY(spec_check_digest(blob, "field \"software.blob\"", error));
    spec->need.software = kind;
    spec->software_digest = arena_copy(&spec->arena, blob);
    spec->software_name = arena_copy(&spec->arena, name);
    return OK;
}
