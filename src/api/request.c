// What a request says, read with limits: query parameters, path parameters, body, idempotency key.
#include "api/api.h"

enum status api_query_int64(const struct api_call *call, const char *name, int64_t min, int64_t max,
                            int64_t *out, struct error *error)
{
    struct text said;
    if (!http_query(call->request, name, &said)) {
        return OK;
    }
    int64_t number = 0;
    if (!text_to_int64(said, &number) || number < min || number > max) {
        return error_set(error, INVALID,
                         "query parameter %s=%.60s must be a whole number from %lld to %lld", name,
                         arena_copy(call->request->arena, said), (long long)min, (long long)max);
    }
    *out = number;
    return OK;
}

enum status api_query_bool(const struct api_call *call, const char *name, bool *out,
                           struct error *error)
{
    struct text said;
    if (!http_query(call->request, name, &said)) {
        return OK;
    }
    bool is_true = text_equal(said, TEXT("true"));
    if (!is_true && !text_equal(said, TEXT("false"))) {
        return error_set(error, INVALID, "query parameter %s=%.60s must be true or false", name,
                         arena_copy(call->request->arena, said));
    }
    *out = is_true;
    return OK;
}

enum status api_query_wait(const struct api_call *call, int64_t *wait_us, struct error *error)
{
    int64_t seconds = 0;
    TRY(api_query_int64(call, "wait", 0, API_WAIT_SECONDS_MAX, &seconds, error));
    *wait_us = seconds * 1000000;
    return OK;
}

enum status api_query_limit(const struct api_call *call, int64_t *limit, struct error *error)
{
    *limit = API_PAGE_DEFAULT;
    return api_query_int64(call, "limit", 1, API_PAGE_MAX, limit, error);
}

enum status api_parameter_int64(const struct api_call *call, size_t at, const char *what,
                                int64_t *out, struct error *error)
{
    struct text said = call->request->parameters[at];
    int64_t number = 0;
    if (!text_to_int64(said, &number) || number < 0) {
        return error_set(error, NOT_FOUND, "\"%.60s\" is not the number of a %s",
                         arena_copy(call->request->arena, said), what);
    }
    *out = number;
    return OK;
}

enum status api_body(const struct api_call *call, json_t **out, struct error *error)
{
    if (call->request->body.length == 0) {
        return error_set(error, INVALID, "the request has no body; a JSON object is needed");
    }
    json_t *value = NULL;
    TRY(json_parse(call->request->body, &value, error));
    if (!json_is_object(value)) {
        json_decref(value);
        return error_set(error, INVALID, "the body must be a JSON object");
    }
    *out = value;
    return OK;
}

enum status api_idempotency_key(const struct api_call *call, struct text *out, struct error *error)
{
    struct text key = http_header(call->request, "Idempotency-Key");
    if (key.length > API_KEY_MAX || text_has_control(key) || !text_is_utf8(key)) {
        return error_set(
            error, INVALID,
            "Idempotency-Key must be at most %d bytes of text without control characters",
            API_KEY_MAX);
    }
    *out = key;
    return OK;
}
