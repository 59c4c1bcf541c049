#include "broker/heard.h"

#include "base/calendar.h"

// --- questions

// An element of `data`: an identifier, or {"id", "digest"}: of this content alone.
static enum status read_datum(const json_t *element, struct arena *arena, struct wish *out,
                              struct error *error)
{
    static const char *const FIELDS[] = {"id", "digest", NULL};
    struct text id = json_text(element);
    struct text digest = TEXT_NONE;
    if (json_is_object(element)) {
        TRY(json_check_fields(element, FIELDS, error));
        TRY(json_field_text(element, "id", JSON_REQUIRED, SPEC_ID_MAX, &id, error));
        TRY(json_field_text(element, "digest", JSON_OPTIONAL, DIGEST_TEXT_SIZE, &digest, error));
    }
    if (id.length == 0 || id.length > SPEC_ID_MAX) {
        return error_set(error, INVALID, "field \"data\" must hold identifiers");
    }
    return wish_add(out, arena, id, digest, error);
}

static enum status read_data(const json_t *request, struct arena *arena, struct wish *out,
                             struct error *error)
{
    json_t *data = NULL;
    struct text over = TEXT_NONE;
    TRY(json_field_array(request, "data", JSON_OPTIONAL, SPEC_DATA_MAX, &data, error));
    TRY(json_field_text(request, "over", JSON_OPTIONAL, SPEC_ID_MAX, &over, error));
    for (size_t i = 0; i < json_array_size(data); i++) {
        TRY(read_datum(json_array_get(data, i), arena, out, error));
    }
    return over.bytes ? wish_add(out, arena, over, TEXT_NONE, error) : OK;
}

enum status heard_read_wish(const json_t *request, struct arena *arena, struct wish *out,
                            struct error *error)
{
    static const char *const FIELDS[] = {"data",  "over",         "count",
                                         "cpus",  "memory_bytes", "disk_bytes",
                                         "stage", "task_seconds", "walltime_seconds",
                                         NULL};
    double cpus = 1;
    double walltime_seconds = 86400;
    struct wish read = {.count = 1, .task_seconds = 1};
    TRY(json_check_fields(request, FIELDS, error));
    TRY(read_data(request, arena, &read, error));
    TRY(json_field_int64(request, "count", JSON_OPTIONAL, 0, SPEC_COUNT_MAX, &read.count, error));
    TRY(json_field_double(request, "cpus", JSON_OPTIONAL, 0.001, SPEC_CPUS_MAX, &cpus, error));
    TRY(json_field_int64(request, "memory_bytes", JSON_OPTIONAL, 0, SPEC_RESOURCE_BYTES_MAX,
                         &read.need.memory_bytes, error));
    TRY(json_field_int64(request, "disk_bytes", JSON_OPTIONAL, 0, SPEC_RESOURCE_BYTES_MAX,
                         &read.need.disk_bytes, error));
    TRY(json_field_double(request, "walltime_seconds", JSON_OPTIONAL, 0, HEARD_SECONDS_MAX,
                          &walltime_seconds, error));
    TRY(json_field_double(request, "task_seconds", JSON_OPTIONAL, 0, HEARD_SECONDS_MAX,
                          &read.task_seconds, error));
    TRY(json_field_bool(request, "stage", JSON_OPTIONAL, &read.may_stage, error));
    read.need.cpu_millis = (int64_t)(cpus * 1000 + 0.5);
    read.walltime_us = (int64_t)(walltime_seconds * 1e6 + 0.5);
    *out = read;
    return OK;
}

// --- answers

// What is wrong with the other site's answer is not wrong with the request of who asked here.
static enum status blame_answer(enum status status, struct error *error)
{
    struct error cause = error ? *error : (struct error){0};
    return status == OK
               ? OK
               : error_set(error, CORRUPT, "its answer cannot be read: %.300s", cause.detail);
}

static enum status read_expiry(const json_t *offer, struct text *out, struct error *error)
{
    int64_t time_us = 0;
    TRY(json_field_text(offer, "expires_at", JSON_OPTIONAL, CALENDAR_TEXT_SIZE, out, error));
    if (out->length > 0 && !calendar_parse(*out, &time_us)) {
        return error_set(error, INVALID, "\"expires_at\" is no time: %.*s", TEXT_ARGS(*out));
    }
    return OK;
}

static enum status read_offer(const json_t *offer, struct text *name, struct text *expires_at,
                              struct heard_offer *out, struct error *error)
{
    json_t *price = NULL;
    TRY(json_field_text(offer, "offer", JSON_REQUIRED, HEARD_OFFER_NAME_MAX, name, error));
    TRY(read_expiry(offer, expires_at, error));
    TRY(json_field_double(offer, "start_seconds", JSON_REQUIRED, 0, HEARD_OFFER_SECONDS_MAX,
                          &out->start_seconds, error));
    TRY(json_field_double(offer, "run_seconds", JSON_REQUIRED, 0, HEARD_OFFER_SECONDS_MAX,
                          &out->run_seconds, error));
    TRY(json_field_object(offer, "price", JSON_REQUIRED, &price, error));
    TRY(json_field_double(price, "core_hours", JSON_REQUIRED, 0, HEARD_CORE_HOURS_MAX,
                          &out->core_hours, error));
    TRY(json_field_double(offer, "stage_bytes", JSON_OPTIONAL, 0, HEARD_BYTES_MAX,
                          &out->stage_bytes, error));
    return json_field_double(offer, "stage_seconds", JSON_OPTIONAL, 0, HEARD_OFFER_SECONDS_MAX,
                             &out->stage_seconds, error);
}

enum status heard_read_offer(struct text document, struct arena *arena, struct heard_offer *out,
                             struct error *error)
{
    AUTO_JSON json_t *offer = NULL;
    struct text name = TEXT_NONE;
    struct text expires_at = TEXT_NONE;
    struct heard_offer read = {0};
    TRY(blame_answer(json_parse(document, &offer, error), error));
    TRY(blame_answer(read_offer(offer, &name, &expires_at, &read, error), error));
    double rate = read.stage_seconds > 0 ? read.stage_bytes / read.stage_seconds : 0;
    read.stage_rate = rate >= HEARD_RATE_MIN && rate <= HEARD_RATE_MAX ? rate : 0;
    read.name = arena_copy(arena, name);
    read.expires_at = expires_at.length > 0 ? arena_copy(arena, expires_at) : NULL;
    *out = read;
    return OK;
}

static enum status read_transfer(const json_t *document, struct heard_transfer *out,
                                 struct error *error)
{
    TRY(json_field_int64(document, "id", JSON_OPTIONAL, 0, INT64_MAX, &out->number, error));
    TRY(json_field_text(document, "state", JSON_REQUIRED, HEARD_TRANSFER_TEXT_MAX, &out->state,
                        error));
    TRY(json_field_text(document, "source", JSON_OPTIONAL, HEARD_TRANSFER_TEXT_MAX, &out->source,
                        error));
    TRY(json_field_text(document, "problem", JSON_OPTIONAL, HEARD_TRANSFER_TEXT_MAX, &out->problem,
                        error));
    TRY(json_field_int64(document, "bytes_done", JSON_OPTIONAL, 0, INT64_MAX, &out->bytes_done,
                         error));
    return json_field_int64(document, "bytes_total", JSON_OPTIONAL, 0, INT64_MAX, &out->bytes_total,
                            error);
}

enum status heard_read_transfer(const json_t *document, struct heard_transfer *out,
                                struct error *error)
{
    struct heard_transfer read = {0};
    TRY(blame_answer(read_transfer(document, &read, error), error));
    read.is_done = text_equal(read.state, TEXT("done"));
    read.has_failed =
        text_equal(read.state, TEXT("failed")) || text_equal(read.state, TEXT("cancelled"));
    *out = read;
    return OK;
}
