// What a job's document says of checkpoints: files from which an interrupted task goes on, and how often they are stored.
#include "jobs/signal_names.h"
#include "jobs/spec_fields.h"

#include <signal.h>

static enum status read_files(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct spec_checkpoint *out = &spec->checkpoint;
    TRY(spec_read_patterns(spec, document, "files", SPEC_CHECKPOINT_PATTERNS_MAX, &out->files,
                           &out->file_count, error));
    if (out->file_count == 0) {
        (void)error_set(error, INVALID, "\"checkpoint\" names no files");
        error_fix(error, "give the files from which a task can go on: {\"files\": "
                         "[\"state.*\"]}");
        return INVALID;
    }
    return OK;
}

static enum status read_signal(struct job_spec *spec, const json_t *document, struct error *error)
{
    struct text name = TEXT_NONE;
    TRY(json_field_text(document, "signal", JSON_OPTIONAL, SPEC_NAME_MAX, &name, error));
    if (!name.bytes) {
        return OK;
    }
    spec->checkpoint.signal = signal_from_name(name);
    if (spec->checkpoint.signal == 0 || spec->checkpoint.signal == SIGTERM) {
        (void)error_set(error, INVALID, "a checkpoint cannot be asked for by the signal \"%.*s\"",
                        TEXT_ARGS(text_slice(name, 0, 80)));
        error_fix(error, "use one of HUP, INT, QUIT, USR1 or USR2");
        return INVALID;
    }
    return OK;
}

enum status spec_read_checkpoint(struct job_spec *spec, const json_t *document, struct error *error)
{
    static const char *const known[] = {"files", "interval_seconds", "signal", NULL};
    json_t *checkpoint = NULL;
    double seconds = SPEC_CHECKPOINT_SECONDS_DEFAULT;
    TRY(json_field_object(document, "checkpoint", JSON_OPTIONAL, &checkpoint, error));
    if (!checkpoint) {
        return OK;
    }
    if (spec->mode == SPEC_STREAM) {
        (void)error_set(error, INVALID, "a streamed job has no \"checkpoint\"");
        error_fix(error, "its answers are kept as they come, and only unanswered items are "
                         "given again; leave \"checkpoint\" out");
        return INVALID;
    }
    TRY(json_check_fields(checkpoint, known, error));
    TRY(json_field_double(checkpoint, "interval_seconds", JSON_OPTIONAL,
                          SPEC_CHECKPOINT_SECONDS_MIN, SPEC_WALLTIME_SECONDS_MAX, &seconds, error));
    spec->checkpoint.interval_us = (int64_t)(seconds * 1e6 + 0.5);
    TRY(read_files(spec, checkpoint, error));
    return read_signal(spec, checkpoint, error);
}
