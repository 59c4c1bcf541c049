// Where jobs would run: plans for users, offers for other sites.
#include "api/answer.h"
#include "broker/broker.h"
#include "os/clock.h"

enum { PLAN_BODY_MAX = SPEC_BODY_MAX, REASON_SIZE_MAX = 2000 };

static enum status make_plan(struct api_call *call, struct buffer *out, struct error *error)
{
    static const char *const FIELDS[] = {"job", NULL};
    AUTO_JSON json_t *body = NULL;
    json_t *document = NULL;
    struct job_spec *spec = NULL;
    TRY(api_body(call, &body, error));
    TRY(json_check_fields(body, FIELDS, error));
    TRY(json_field_object(body, "job", JSON_REQUIRED, &document, error));
    TRY(spec_parse(document, &spec, error));
    enum status status = broker_plan(call->api->broker, spec, call->principal.name, out, error);
    spec_free(spec);
    return status;
}

static void post_plan(struct api_call *call)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer out = {0};
    if (!answer_failure(call, make_plan(call, &out, &error), &error)) {
        api_reply_json(call, 200, buffer_text(&out));
    }
}

static void post_offer(struct api_call *call)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *body = NULL;
    enum status status = api_body(call, &body, &error);
    if (status == OK) {
        const struct broker_caller caller = {call->request->peer_key, clock_steady_us(),
                                             clock_real_us()};
        status = broker_offer(call->api->broker, &caller, body, &out, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&out));
    }
}

static enum status read_refusal(struct api_call *call, struct broker_refusal *out,
                                struct error *error)
{
    static const char *const FIELDS[] = {"offer", "reason", NULL};
    AUTO_JSON json_t *body = NULL;
    struct text offer = TEXT_NONE;
    struct text reason = TEXT_NONE;
    TRY(api_parameter_int64(call, 0, "job", &out->job, error));
    TRY(api_body(call, &body, error));
    TRY(json_check_fields(body, FIELDS, error));
    TRY(json_field_text(body, "offer", JSON_OPTIONAL, SPEC_OFFER_MAX, &offer, error));
    TRY(json_field_text(body, "reason", JSON_REQUIRED, REASON_SIZE_MAX, &reason, error));
    out->offer = offer.bytes ? arena_copy(call->request->arena, offer) : NULL;
    out->reason = arena_copy(call->request->arena, reason);
    return OK;
}

// The link has a token, as all that bring jobs to other sites; who is a worker by its key does not.
static enum status check_brings_jobs(const struct api_call *call, struct error *error)
{
    if (call->token) {
        return OK;
    }
    (void)error_set(error, DENIED,
                    "only who brings jobs to another site may say that it refused one");
    error_fix(error, "a worker of another site's place needs a token");
    return DENIED;
}

// From the link: the site that it took the job to refused it as it was planned.
static void post_replan(struct api_call *call)
{
    struct error error = {0};
    struct broker_refusal refusal = {0};
    enum status status = check_brings_jobs(call, &error);
    status = status == OK ? read_refusal(call, &refusal, &error) : status;
    if (status == OK) {
        status = broker_refused(call->api->broker, &refusal, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_nothing(call);
    }
}

const struct api_route API_PLAN_ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/plans",
     .action = ACTION_JOB_SUBMIT,
     .place = API_ON_POOL,
     .handle = post_plan,
     .body_max = PLAN_BODY_MAX},
    {.method = "POST",
     .pattern = "/v1/federation/offers",
     .action = ACTION_JOB_SUBMIT,
     .needs_peer = true,
     .place = API_ON_POOL,
     .handle = post_offer,
     .body_max = API_JSON_MAX},
    {.method = "POST",
     .pattern = "/v1/jobs/{job}/replan",
     .action = ACTION_WORKER_LINK,
     .place = API_ON_POOL,
     .handle = post_replan,
     .body_max = API_JSON_MAX},
    {.method = NULL},
};
