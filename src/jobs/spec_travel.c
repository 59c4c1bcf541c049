// What a job's document says of other jobs and sites: where it runs, how it may be divided, and whose outputs it gets.
#include "jobs/spec_fields.h"

static enum status read_input_from(struct job_spec *spec, const json_t *document,
                                   struct error *error)
{
    TRY(spec_read_jobs(spec, document, "input_from", SPEC_INPUTS_MAX, &spec->input_from,
                       &spec->input_count, error));
    for (size_t i = 0; i < spec->file_count && spec->input_count > 0; i++) {
        struct text rest = text_of(spec->files[i].name);
        struct text top;
        if (text_next_part(&rest, '/', &top) && text_equal(top, TEXT(SPEC_INPUTS_FOLDER))) {
            (void)error_set(error, INVALID,
                            "file \"%.80s\" would lie where the outputs of \"input_from\" are put",
                            spec->files[i].name);
            error_fix(error, "give it a name that does not begin with \"%s\"", SPEC_INPUTS_FOLDER);
            return INVALID;
        }
    }
    return OK;
}

static enum status read_site(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct text at = TEXT_NONE;
    TRY(json_field_text(document, "at", JSON_OPTIONAL, SPEC_NAME_MAX, &at, error));
    if (!at.bytes) {
        return OK;
    }
    TRY(spec_check_text(at, "field \"at\"", error));
    if (at.length == 0 || text_has_control(at)) {
        (void)error_set(error, INVALID, "field \"at\" must be a site's name or fingerprint");
        error_fix(error, "leave it out to have the job run wherever is best");
        return INVALID;
    }
    spec->at = arena_copy(&spec->arena, at);
    return OK;
}

static enum status read_stage(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct text stage = TEXT_NONE;
    TRY(json_field_text(document, "stage", JSON_OPTIONAL, SPEC_NAME_MAX, &stage, error));
    if (text_equal(stage, TEXT("never"))) {
        spec->stage = SPEC_STAGE_NEVER;
    } else if (stage.bytes && !text_equal(stage, TEXT("auto"))) {
        (void)error_set(error, INVALID, "field \"stage\" is \"%.*s\"",
                        TEXT_ARGS(text_slice(stage, 0, 80)));
        error_fix(error, "use one of \"auto\", \"never\"");
        return INVALID;
    }
    return OK;
}

static enum status read_offer(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct text offer = TEXT_NONE;
    TRY(json_field_text(document, "offer", JSON_OPTIONAL, SPEC_OFFER_MAX, &offer, error));
    if (!offer.bytes) {
        return OK;
    }
    TRY(spec_check_text(offer, "field \"offer\"", error));
    if (offer.length == 0 || text_has_control(offer)) {
        return error_set(error, INVALID, "field \"offer\" is not the text of an offer");
    }
    spec->offer = arena_copy(&spec->arena, offer);
    return OK;
}

enum status spec_read_travel(struct job_spec *spec, const json_t *document, struct error *error)
{
    TRY(read_site(spec, document, error));
    TRY(read_stage(spec, document, error));
    TRY(read_offer(spec, document, error));
    TRY(spec_read_words(spec, document, "merge", JSON_OPTIONAL, &spec->merge, &spec->merge_count,
                        error));
    return read_input_from(spec, document, error);
}
