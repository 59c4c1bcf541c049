#include "protocol/source_answer.h"

#include "base/json.h"

static enum status read_copy(const json_t *document, const char *name, char *out, size_t size,
                             struct error *error)
{
    struct text text;
    TRY(json_field_text(document, name, JSON_REQUIRED, size - 1, &text, error));
    memcpy(out, text.bytes, text.length);
    return OK;
}

static enum status read_kind(const json_t *document, enum source_kind *out, struct error *error)
{
    static const char *const NAMES[] = {"site", "worker", "wait"};
    struct text name;
    TRY(json_field_text(document, "from", JSON_REQUIRED, 16, &name, error));
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (text_equal(name, text_of(NAMES[i]))) {
            *out = (enum source_kind)i;
            return OK;
        }
    }
    return error_set(error, INVALID, "field \"from\" is neither site, worker nor wait");
}

enum status source_answer_read(struct text body, struct source_answer *out, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    struct source_answer read = {0};
    TRY(json_parse(body, &document, error));
    TRY(read_kind(document, &read.kind, error));
    if (read.kind == SOURCE_WORKER) {
        TRY(json_field_int64(document, "worker", JSON_REQUIRED, 1, INT64_MAX, &read.worker, error));
        TRY(read_copy(document, "url", read.url, sizeof read.url, error));
        TRY(read_copy(document, "fingerprint", read.fingerprint, sizeof read.fingerprint, error));
        TRY(read_copy(document, "pass", read.pass, sizeof read.pass, error));
    }
    *out = read;
    return OK;
}
