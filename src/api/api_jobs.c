// Jobs: submit, list, show and wait, cancel, retry, why.
#include "api/answer.h"
#include "api/audit.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "os/clock.h"

// Another site brings a job to run it here, and under the offer that it was made, if it names one.
static enum status check_guest_job(const struct api_call *call, const struct job_spec *spec,
                                   struct prepare_offer *offer, struct error *error)
{
    const struct broker_caller caller = {.site = call->request->peer_key,
                                         .steady_us = clock_steady_us()};
    if (spec->at || spec->merge) {
        (void)error_set(error, INVALID,
                        "field \"%s\" asks for other sites on behalf of another one",
                        spec->at ? "at" : "merge");
        error_fix(error, "the site of its user plans a job and sends each part where it runs");
        return INVALID;
    }
    return spec->offer ? broker_check_offer(call->api->broker, &caller, spec, offer, error) : OK;
}

// The digest of the key under which the user of another site submitted the job there; nothing of it is of use to anybody else.
static enum status read_origin(const struct api_call *call, const struct digest **out,
                               struct error *error)
{
    struct text said = http_header(call->request, "Lode-Origin-Key");
    if (call->principal.role != ROLE_PEER || said.length == 0) {
        return OK;
    }
    struct digest *digest = arena_new(call->request->arena, sizeof *digest);
    TRY(digest_from_text(said, digest, error));
    *out = digest;
    return OK;
}

// What is asked for, however it is laid out.
static const struct digest *request_digest(const struct api_call *call, const json_t *document)
{
    AUTO_BUFFER struct buffer text = {0};
    struct digest *digest = arena_new(call->request->arena, sizeof *digest);
    json_write(document, true, &text);
    *digest = digest_of(text.bytes, text.length);
    return digest;
}

static enum status read_submission(struct api_call *call, struct queue_submission *out,
                                   struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    out->owner = call->principal.name;
    out->witness = audit_witness(call, "submit job");
    TRY(api_query_wait(call, &out->wait_us, error));
    TRY(api_idempotency_key(call, &out->idempotency_key, error));
    TRY(read_origin(call, &out->origin, error));
    TRY(api_body(call, &document, error));
    out->request = request_digest(call, document);
    TRY(spec_parse(document, &out->spec, error));
    enum status status = out->spec->group ? groups_may_use(call, out->spec->group, error) : OK;
    if (status == OK && call->principal.role == ROLE_PEER) {
        out->spec->when_lost = SPEC_LOST_FAIL; // Whether it is held, its user's site decides.
        status = check_guest_job(call, out->spec, &out->to.offer, error);
    }
    if (status != OK) {
        spec_free(TAKE(out->spec));
    }
    return status;
}

// What came under an offer that has lapsed meanwhile is the job that it was.
static bool answer_earlier(struct api_call *call, const struct queue_submission *submission)
{
    const struct queue_view view = {.wait_us = submission->wait_us, .after_version = -1};
    struct queue_repeat repeat = {0};
    if (queue_find_repeat(call->api->queue, submission, &repeat, NULL) != OK || repeat.job == 0) {
        return false;
    }
    queue_show_job(call->api->queue, repeat.job, &view, answer_created(call));
    return true;
}

static void post_job(struct api_call *call)
{
    struct error error = {0};
    struct queue_submission submission = {0};
    enum status status = read_submission(call, &submission, &error);
    if (status == CONFLICT && answer_earlier(call, &submission)) {
        return;
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    if (call->principal.role == ROLE_PEER) {
        queue_submit(call->api->queue, &submission, answer_created(call)); // It goes no further.
    } else {
        broker_submit(call->api->broker, &submission, answer_created(call));
    }
}

static enum status read_filter(struct api_call *call, struct queue_job_filter *out,
                               struct error *error)
{
    (void)http_query(call->request, "state", &out->state);
    (void)http_query(call->request, "owner", &out->owner);
    if (api_may(call, ACTION_JOB_LIST, TEXT_NONE, NULL) != OK) {
        if (out->owner.length > 0) { // Its own, or a refusal.
            TRY(api_may(call, ACTION_JOB_LIST, out->owner, error));
        }
        out->owner = call->principal.name;
    }
    TRY(api_query_limit(call, &out->limit, error));
    return api_query_int64(call, "cursor", 1, INT64_MAX, &out->before, error);
}

static void list_jobs(struct api_call *call)
{
    struct error error = {0};
    struct queue_job_filter filter = {0};
    AUTO_BUFFER struct buffer body = {0};
    enum status status = read_filter(call, &filter, &error);
    if (status == OK) {
        status = queue_list_jobs(call->api->queue, &filter, &body, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&body));
    }
}

static void show_job(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    // A spec names the job's files by their digests, which is all that it takes to read them.
    struct queue_view view = {.after_version = -1,
                              .is_brief = !api_may_with_object(call, ACTION_JOB_CONTENT)};
    enum status status = api_parameter_int64(call, 0, "job", &job, &error);
    if (status == OK) {
        status = api_query_wait(call, &view.wait_us, &error);
    }
    if (status == OK) {
        status = api_query_int64(call, "after_version", 0, INT64_MAX, &view.after_version, &error);
    }
    if (!answer_failure(call, status, &error)) {
        queue_show_job(call->api->queue, job, &view, answer_ok(call));
    }
}

static void cancel_job(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    if (!answer_failure(call, api_parameter_int64(call, 0, "job", &job, &error), &error)) {
        queue_cancel_job(call->api->queue, job, call->principal.name,
                         audit_witness(call, "cancel job"), answer_ok(call));
    }
}

static void retry_job(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    if (!answer_failure(call, api_parameter_int64(call, 0, "job", &job, &error), &error)) {
        queue_retry_job(call->api->queue, job, audit_witness(call, "retry job"), answer_ok(call));
    }
}

static enum status read_task(struct api_call *call, int64_t *job, int64_t *index,
                             struct error *error)
{
    TRY(api_parameter_int64(call, 0, "job", job, error));
    return api_parameter_int64(call, 1, "task", index, error);
}

static void retry_task(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    int64_t index = 0;
    if (!answer_failure(call, read_task(call, &job, &index, &error), &error)) {
        queue_retry_task(call->api->queue, job, index, audit_witness(call, "retry task"),
                         answer_ok(call));
    }
}

static void answer_why(struct api_call *call, int64_t job, int64_t index)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer body = {0};
    bool may_read = api_may_with_object(call, ACTION_JOB_CONTENT);
    enum status status = queue_why(call->api->queue, job, index, may_read, &body, &error);
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&body));
    }
}

static void why_job(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    if (!answer_failure(call, api_parameter_int64(call, 0, "job", &job, &error), &error)) {
        answer_why(call, job, -1);
    }
}

static void why_task(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    int64_t index = 0;
    if (!answer_failure(call, read_task(call, &job, &index, &error), &error)) {
        answer_why(call, job, index);
    }
}

static const char *const WAIT[] = {"wait", NULL};
static const char *const SHOW[] = {"wait", "after_version", NULL};
static const char *const LIST[] = {"state", "owner", "limit", "cursor", NULL};

const struct api_route API_JOB_ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/jobs",
     .action = ACTION_JOB_SUBMIT,
     .place = API_ON_POOL,
     .handle = post_job,
     .body_max = SPEC_BODY_MAX,
     .query = WAIT},
    {.method = "GET",
     .pattern = "/v1/jobs",
     .action = ACTION_JOB_LIST,
     .object = API_OBJECT_OWN,
     .place = API_ON_POOL,
     .handle = list_jobs,
     .query = LIST},
    {.method = "GET",
     .pattern = "/v1/jobs/{job}",
     .action = ACTION_JOB_LIST,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = show_job,
     .query = SHOW},
    {.method = "POST",
     .pattern = "/v1/jobs/{job}/cancel",
     .action = ACTION_JOB_CHANGE,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = cancel_job},
    {.method = "POST",
     .pattern = "/v1/jobs/{job}/retry",
     .action = ACTION_JOB_CHANGE,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = retry_job},
    {.method = "POST",
     .pattern = "/v1/jobs/{job}/tasks/{index}/retry",
     .action = ACTION_JOB_CHANGE,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = retry_task},
    {.method = "GET",
     .pattern = "/v1/jobs/{job}/why",
     .action = ACTION_JOB_LIST,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = why_job},
    {.method = "GET",
     .pattern = "/v1/jobs/{job}/tasks/{index}/why",
     .action = ACTION_JOB_LIST,
     .object = API_OBJECT_JOB,
     .place = API_ON_POOL,
     .handle = why_task},
    {.method = NULL},
};
