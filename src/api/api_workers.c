// Workers: register, poll, drain, list.
#include "api/answer.h"
#include "api/audit.h"
#include "api/worker_meeting.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"

#include <stdatomic.h>

static void post_worker(struct api_call *call)
{
    struct error error = {0};
    struct worker_hello hello = {0};
    AUTO_JSON json_t *document = NULL;
    enum status status = api_body(call, &document, &error);
    if (status == OK) {
        status = worker_hello_parse(document, &hello, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    if (call->token) {
        worker_meeting_register(call, TAKE(document));
    } else {
        worker_meeting_hold(call, &hello, TAKE(document));
    }
}

struct post {
    struct queue *queue;
    struct queue_poll poll;
    const struct http_exchange *exchange;
};

static void poll_gone(void *context)
{
    struct post *post = context;
    atomic_store(&post->poll.is_silent, http_fell_silent(post->exchange));
    atomic_store(&post->poll.is_gone, true);
}

static void poll_on_pool(void *context)
{
    struct post *post = context;
    queue_poll(post->queue, &post->poll);
}

static void post_poll(struct api_call *call)
{
    struct error error = {0};
    struct post *post = arena_new(call->request->arena, sizeof *post);
    struct queue_poll *poll = &post->poll;
    enum status status = api_parameter_int64(call, 0, "worker", &poll->worker, &error);
    if (status == OK) {
        status = poll_parse(call->request->body, &poll->body, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    poll->owner = call->principal.name;
    poll->runner = call->runner;
    poll->answer = answer_ok(call);
    post->exchange = call->request->exchange;
    http_on_gone(call->request->exchange, poll_gone, post);
    http_watch_closely(call->request->exchange, queue_silence_seconds(call->api->queue));
    if (poll->body->blob_count == 0) {
        queue_poll(call->api->queue, poll);
        return;
    }
    post->queue = call->api->queue;
    http_server_offload(call->api->server, poll_on_pool, post);
}

// When the worker is to be gone: "in_seconds" or "at"; neither: now.
static enum status read_drain(const json_t *document, int64_t *in_us, struct error *error)
{
    static const char *const FIELDS[] = {"in_seconds", "at", NULL};
    double seconds = 0;
    struct text at = TEXT_NONE;
    int64_t at_us = 0;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_double(document, "in_seconds", JSON_OPTIONAL, 0, LEAVING_SECONDS_MAX, &seconds,
                          error));
    TRY(json_field_text(document, "at", JSON_OPTIONAL, CALENDAR_TEXT_SIZE, &at, error));
    *in_us = (int64_t)(seconds * 1e6);
    if (!at.bytes) {
        return OK;
    }
    if (json_object_get(document, "in_seconds")) {
        return error_set(error, INVALID, "\"in_seconds\" and \"at\" are two times");
    }
    if (!calendar_parse(at, &at_us)) {
        (void)error_set(error, INVALID, "field \"at\" is no time");
        error_fix(error, "write it like 2026-11-21T18:00:00Z");
        return INVALID;
    }
    *in_us = at_us - clock_real_us();
    if (*in_us < 0 || *in_us > LEAVING_SECONDS_MAX * INT64_C(1000000)) {
        (void)error_set(error, INVALID, "the time \"at\" %s",
                        *in_us < 0 ? "has passed" : "is too far away");
        error_fix(error, "leave it out to have the worker leave now");
        return INVALID;
    }
    return OK;
}

static void drain_worker(struct api_call *call)
{
    struct error error = {0};
    int64_t worker = 0;
    int64_t in_us = 0;
    AUTO_JSON json_t *document = NULL;
    enum status status = api_parameter_int64(call, 0, "worker", &worker, &error);
    if (status == OK) {
        status = api_body(call, &document, &error);
    }
    if (status == OK) {
        status = read_drain(document, &in_us, &error);
    }
    if (!answer_failure(call, status, &error)) {
        queue_drain_worker(call->api->queue, worker, in_us, audit_witness(call, "drain worker"),
                           answer_ok(call));
    }
}

static void undrain_worker(struct api_call *call)
{
    struct error error = {0};
    int64_t worker = 0;
    enum status status = api_parameter_int64(call, 0, "worker", &worker, &error);
    if (!answer_failure(call, status, &error)) {
        queue_drain_worker(call->api->queue, worker, -1, audit_witness(call, "keep worker"),
                           answer_ok(call));
    }
}

static void list_workers(struct api_call *call)
{
    struct error error = {0};
    int64_t after = 0;
    int64_t limit = 0;
    enum status status = api_query_limit(call, &limit, &error);
    if (status == OK) {
        status = api_query_int64(call, "cursor", 0, INT64_MAX, &after, &error);
    }
    if (!answer_failure(call, status, &error)) {
        queue_list_workers(call->api->queue, after, limit, answer_ok(call));
    }
}

static enum status read_groups(struct api_call *call, json_t **document, struct text *out,
                               size_t *count, struct error *error)
{
    static const char *const FIELDS[] = {"groups", NULL};
    json_t *groups = NULL;
    TRY(api_body(call, document, error));
    TRY(json_check_fields(*document, FIELDS, error));
    TRY(json_field_array(*document, "groups", JSON_REQUIRED, WORKER_GROUPS_MAX, &groups, error));
    return groups_parse(groups, out, count, error);
}

static void put_groups(struct api_call *call)
{
    struct error error = {0};
    struct text groups[WORKER_GROUPS_MAX];
    size_t count = 0;
    int64_t worker = 0;
    AUTO_JSON json_t *document = NULL;
    enum status status = api_parameter_int64(call, 0, "worker", &worker, &error);
    if (status == OK) {
        status = read_groups(call, &document, groups, &count, &error);
    }
    if (!answer_failure(call, status, &error)) {
        queue_move_worker(call->api->queue, worker, groups, count,
                          audit_witness(call, "move worker"), answer_ok(call));
    }
}

static void list_places(struct api_call *call)
{
    struct error error = {0};
    int64_t version = -1;
    int64_t wait_us = 0;
    enum status status = api_query_wait(call, &wait_us, &error);
    if (status == OK) {
        status = api_query_int64(call, "version", 0, INT64_MAX, &version, &error);
    }
    if (!answer_failure(call, status, &error)) {
        queue_list_places(call->api->queue, version, wait_us, answer_ok(call));
    }
}

static const char *const PLACES[] = {"wait", "version", NULL};
static const char *const LIST[] = {"limit", "cursor", NULL};

const struct api_route API_WORKER_ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/workers",
     .action = ACTION_WORKER_POLL,
     .meets_workers = true,
     .handle = post_worker,
     .body_max = API_JSON_MAX},
    {.method = "POST",
     .pattern = "/v1/workers/{worker}/poll",
     .action = ACTION_WORKER_POLL,
     .handle = post_poll,
     .body_max = POLL_BODY_MAX},
    {.method = "POST",
     .pattern = "/v1/workers/{worker}/drain",
     .action = ACTION_SITE_CHANGE,
     .handle = drain_worker,
     .body_max = API_JSON_MAX},
    {.method = "DELETE",
     .pattern = "/v1/workers/{worker}/drain",
     .action = ACTION_SITE_CHANGE,
     .handle = undrain_worker},
    {.method = "PUT",
     .pattern = "/v1/workers/{worker}/groups",
     .action = ACTION_SITE_CHANGE,
     .handle = put_groups,
     .body_max = API_JSON_MAX},
    {.method = "GET",
     .pattern = "/v1/workers",
     .action = ACTION_SITE_READ,
     .handle = list_workers,
     .query = LIST},
    {.method = "GET",
     .pattern = "/v1/places",
     .action = ACTION_WORKER_LINK,
     .handle = list_places,
     .query = PLACES},
    {.method = NULL},
};
