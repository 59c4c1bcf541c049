// GET /v1/jobs/{job}/events: server-sent events, from where the client says it was.
#include "api/event_position.h"
#include "api/follow.h"
#include "os/clock.h"

enum {
    UNSENT_MAX = 1 << 20,       // Bytes that wait for a slow client before the stream pauses.
    JOB_EVENT_EACH_US = 100000, // At most ten `job` events a second.
    RETRY_US = 200000,
};

struct stream {
    struct follow follow; // First.
    struct event_position at;
    int64_t job_event_us;
};

static bool write_events(struct stream *self, struct queue_events *found)
{
    struct http_exchange *exchange = self->follow.call->request->exchange;
    struct error error = {0};
    AUTO_BUFFER struct buffer events = {0};
    int64_t now_us = clock_steady_us();
    bool wants_job = now_us - self->job_event_us >= JOB_EVENT_EACH_US;
    enum status status = queue_read_events(self->follow.call->api->queue, self->follow.job,
                                           wants_job, &self->at, &events, found, &error);
    if (status != OK) {
        return false;
    }
    self->job_event_us = found->has_job ? now_us : self->job_event_us;
    if (found->is_job_omitted) {
        queue_watch_until(self->follow.watch, self->job_event_us + JOB_EVENT_EACH_US);
    }
    if (events.length == 0) {
        // Keeps the connection alive where something between closes silent ones.
        buffer_append_string(&events, ":\n\n");
    }
    return http_stream_write(exchange, buffer_text(&events)) >= 0;
}

static bool look(struct follow *follow)
{
    struct stream *self = (struct stream *)follow;
    struct queue_events found = {.is_more = true};
    while (found.is_more) {
        int64_t unsent = http_stream_write(follow->call->request->exchange, TEXT_NONE);
        if (unsent < 0 || queue_is_stopping(follow->call->api->queue)) {
            return true;
        }
        if (unsent > UNSENT_MAX) {
            queue_watch_until(follow->watch, clock_steady_us() + RETRY_US);
            return false;
        }
        if (!write_events(self, &found) || found.is_ended) {
            return true;
        }
    }
    return false;
}

static void end(struct follow *follow)
{
    http_stream_end(follow->call->request->exchange);
}

// `?results=true`: for another site, which takes over what tasks came to.
static enum status read_results_wish(const struct api_call *call, bool *out, struct error *error)
{
    struct text value = TEXT_NONE;
    if (!http_query(call->request, "results", &value)) {
        return OK;
    }
    *out = text_equal(value, TEXT("true"));
    return *out || text_equal(value, TEXT("false"))
               ? OK
               : error_set(error, INVALID, "the parameter results is neither true nor false");
}

static void get_events(struct api_call *call)
{
    struct error error = {0};
    struct stream *self = arena_new(call->request->arena, sizeof *self);
    struct text last = http_header(call->request, "Last-Event-ID");
    self->follow.call = call;
    self->follow.look = look;
    self->follow.end = end;
    self->at.version = -1;
    enum status status = api_parameter_int64(call, 0, "job", &self->follow.job, &error);
    if (status == OK && last.length > 0 && !event_position_read(last, &self->at)) {
        status = error_set(&error, INVALID, "Last-Event-ID \"%.60s\" is not an id of this stream",
                           arena_copy(call->request->arena, last));
    }
    if (status == OK) {
        status = read_results_wish(call, &self->at.wants_results, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    struct http_field field = {"Cache-Control", "no-store"};
    struct http_response head = {
        .code = 200, .content_type = "text/event-stream", .fields = &field, .field_count = 1};
    http_stream_begin(call->request->exchange, &head);
    follow_start(&self->follow);
}

static const char *const QUERY[] = {"results", NULL};

const struct api_route API_EVENT_ROUTES[] = {
    {.method = "GET",
     .pattern = "/v1/jobs/{job}/events",
     .action = ACTION_JOB_CONTENT,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = get_events,
     .query = QUERY},
    {.method = NULL},
};
