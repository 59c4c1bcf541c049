// Authentication by bearer token or by the key of another site, authorisation by the policy's one table, and nothing that a handler could forget.
#include "api/guard.h"

#include "api/api.h"
#include "api/guests.h"
#include "api/worker_caller.h"
#include "catalog/catalog.h"
#include "os/clock.h"
#include "queue/queue.h"
#include "queue/task_access.h"

#include <stdio.h>

enum {
    PEER_USER_MAX = 40,
    PEER_DIGITS_SHOWN = 16, // Of a site's fingerprint, in the name of a principal.
};

static void refuse_credentials(struct http_request *request, const char *detail, const char *fix)
{
    AUTO_BUFFER struct buffer body = {0};
    const char *content_type = NULL;
    api_problem(401, detail, fix, &body, &content_type);
    struct http_field field = {"WWW-Authenticate", "Bearer realm=\"lode\""};
    struct http_response response = {
        .code = 401,
        .content_type = content_type,
        .fields = &field,
        .field_count = 1,
        .body = buffer_text(&body),
    };
    http_reply(request->exchange, &response);
}

static bool is_user_name(struct text name)
{
    if (name.length == 0 || name.length > PEER_USER_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.bytes[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') &&
            !(byte >= '0' && byte <= '9') && byte != '.' && byte != '_' && byte != '-') {
            return false;
        }
    }
    return true;
}

// Another site, which showed its key when it connected, speaks for one of its users: `alice@0123456789abcdef`.
static bool authenticate_peer(struct api_call *call)
{
    struct http_request *request = call->request;
    struct text user = http_header(request, "Lode-User");
    user = user.length > 0 ? user : TEXT("site");
    if (!is_user_name(user)) {
        struct error error = {0};
        (void)error_set(&error, INVALID, "the field Lode-User is not the name of a user");
        error_fix(&error, "use 1 to %d letters, digits, dots, underscores and hyphens",
                  PEER_USER_MAX);
        api_reply_error(call, &error);
        return false;
    }
    struct text digits = text_of(request->peer_key + strlen("sha256:"));
    char *name =
        arena_format(request->arena, "%.*s@%.*s", TEXT_ARGS(user), PEER_DIGITS_SHOWN, digits.bytes);
    call->principal = (struct principal){.name = text_of(name), .role = ROLE_PEER};
    return true;
}

// A worker by its key: `worker:desk-2`. Who says for which user it asks is a site.
static enum status authenticate_worker(struct api_call *call, struct error *error)
{
    struct known_worker known;
    const struct worker_caller caller = worker_caller_of(call->request);
    TRY(known_workers_admit(call->api->known_workers, &caller, clock_real_us(), &known, error));
    worker_caller_take(call, &known);
    return OK;
}

static bool authenticate_key(struct api_call *call)
{
    struct error error = {0};
    bool is_site = http_header(call->request, "Lode-User").length > 0;
    enum status status = is_site ? NOT_FOUND : authenticate_worker(call, &error);
    if (status == OK) {
        return true;
    }
    if (status == DENIED && !call->route->is_public) {
        api_reply_key_problem(call, "worker_refused", call->request->peer_key, &error);
        return false;
    }
    return authenticate_peer(call);
}

// What runs in a task: `task:17`.
static bool authenticate_task(struct api_call *call, struct text bearer)
{
    struct arena *arena = call->request->arena;
    struct task_access *task = arena_new(arena, sizeof *task);
    struct error error = {0};
    if (task_access_find(call->api->queue, bearer, task, &error) != OK) {
        refuse_credentials(call->request, error.detail, error.fix);
        return false;
    }
    const char *job = arena_format(arena, "%lld", (long long)task->job);
    call->task = task;
    call->principal = (struct principal){.name = text_of(arena_format(arena, "task:%s", job)),
                                         .role = ROLE_TASK,
                                         .job = text_of(job)};
    return true;
}

// Fills in who asks. False when the request was answered: there is a credential and it is no good.
static bool authenticate(struct api_call *call)
{
    struct http_request *request = call->request;
    struct text header = http_header(request, "Authorization");
    call->principal = (struct principal){.role = ROLE_NOBODY};
    if (header.length == 0) {
        return !request->peer_key || authenticate_key(call);
    }
    static const size_t scheme_length = sizeof "Bearer " - 1;
    if (!text_equal_no_case(text_slice(header, 0, scheme_length), TEXT("Bearer "))) {
        refuse_credentials(request, "the Authorization header has another scheme than Bearer",
                           "send \"Authorization: Bearer TOKEN\"");
        return false;
    }
    struct token *token = arena_new(request->arena, sizeof *token);
    struct error error = {0};
    struct text bearer = text_trim(text_slice(header, scheme_length, header.length));
    if (task_token_is_one(bearer)) {
        return authenticate_task(call, bearer);
    }
    if (tokens_find(call->api->tokens, bearer, clock_real_us(), token, &error) != OK) {
        refuse_credentials(request, error.detail,
                           *error.fix ? error.fix : "lode login gets a new token");
        return false;
    }
    call->token = token;
    call->runner = &token->runner;
    call->principal = token_principal(token);
    return true;
}

static void look_up_guest(void *context)
{
    struct api_call *call = context;
    struct fingerprint site = {0};
    (void)snprintf(site.text, sizeof site.text, "%s", call->request->peer_key);
    (void)guests_check(call->api->guests, &site, clock_steady_us(), NULL);
    struct error error = {0};
    (void)error_set(&error, UNAVAILABLE, "whether this site takes yours as a guest was not known");
    error_fix(&error, "try again: it is now");
    api_reply_error(call, &error);
}

// Is the peer a guest of this site? False when the request was, or will be, answered. What runs on a loop cannot wait for the
// policy, which may ask hubs: there a site that was not heard of lately is told to ask again.
static bool admit_guest(struct api_call *call)
{
    struct fingerprint site = {0};
    struct error error = {0};
    enum status status = OK;
    int64_t now_us = clock_steady_us();
    bool may_block = call->route->place != API_ON_LOOP && !call->route->sink;
    (void)snprintf(site.text, sizeof site.text, "%s", call->request->peer_key);
    if (may_block) {
        status = guests_check(call->api->guests, &site, now_us, &error);
    } else if (!guests_recall(call->api->guests, &site, now_us, &status, &error)) {
        http_server_offload(call->api->server, look_up_guest, call);
        return false;
    }
    if (status != OK) {
        error.status = status;
        api_reply_error(call, &error);
        return false;
    }
    call->principal.is_guest = true;
    return true;
}

static enum status decide(const struct api_call *call, enum action action,
                          const struct policy_object *object, const char **reason,
                          struct error *error)
{
    struct policy_answer answer = policy_decide(&call->principal, action, object);
    if (answer.allowed) {
        *reason = answer.reason;
        return OK;
    }
    (void)error_set(error, DENIED, "%s may not %s: %s",
                    call->principal.role == ROLE_NOBODY
                        ? "a request without a token"
                        : arena_copy(call->request->arena, call->principal.name),
                    action_words(action), answer.reason);
    if (action == ACTION_WORKER_POLL) {
        error_fix(error, "a worker needs a token of its own: `lode token create --role worker`, or "
                         "`--class` for one of its own class");
    }
    return DENIED;
}

enum status api_may(const struct api_call *call, enum action action, struct text owner,
                    struct error *error)
{
    struct policy_object object = {.owner = owner};
    const char *reason = NULL;
    return decide(call, action, &object, &reason, error);
}

bool api_may_with_object(const struct api_call *call, enum action action)
{
    return policy_decide(&call->principal, action, &call->object).allowed;
}

static enum status is_input_dataset(const struct api_call *call, bool *out, struct error *error)
{
    const struct api *api = call->api;
    struct arena *arena = call->request->arena;
    const char **ids = NULL;
    size_t count = 0;
    struct dataset asked;
    struct text id = call->request->parameters[0];
    TRY(task_access_data(api->queue, call->task->job, arena, &ids, &count, error));
    *out = false;
    // One that is not there is none of the inputs either: so nobody learns which there are.
    bool is_there = catalog_find(api->catalog, id, arena, &asked, NULL) == OK;
    for (size_t i = 0; is_there && i < count && !*out; i++) {
        struct dataset each;
        *out = catalog_find(api->catalog, text_of(ids[i]), arena, &each, NULL) == OK &&
               each.number == asked.number;
    }
    return OK;
}

// Is what a task asks for among its inputs? Blocks for the database.
static enum status find_input(const struct api_call *call, bool *out, struct error *error)
{
    if (call->route->object == API_OBJECT_DATASET) {
        return is_input_dataset(call, out, error);
    }
    struct digest digest;
    TRY(digest_from_text(call->request->parameters[0], &digest, error));
    return task_access_has_blob(call->api->queue, call->task->job, &digest, out, error);
}

// Finds whose the route's object is; blocks for the database when there is an object.
static enum status find_object(const struct api_call *call, struct policy_object *object,
                               struct error *error)
{
    if (call->route->object == API_OBJECT_NONE) {
        return OK;
    }
    if (call->route->object == API_OBJECT_BLOB && call->principal.runner != RUNNER_SITE) {
        struct digest digest;
        TRY(digest_from_text(call->request->parameters[0], &digest, error));
        return queue_runner_has_blob(call->api->queue, call->principal.name, &digest,
                                     &object->is_input, error);
    }
    if (call->route->object == API_OBJECT_BLOB || call->route->object == API_OBJECT_DATASET) {
        return call->task ? find_input(call, &object->is_input, error) : OK;
    }
    if (call->route->object == API_OBJECT_OWN) {
        object->owner = call->principal.name;
        return OK;
    }
    int64_t job = 0;
    TRY(api_parameter_int64(call, 0, "job", &job, error));
    char *owner = arena_new(call->request->arena, QUEUE_OWNER_MAX + 1);
    TRY(queue_job_owner(call->api->queue, job, owner, error));
    object->owner = text_of(owner);
    object->job = call->request->parameters[0];
    return OK;
}

static bool is_known_query(const struct api_route *route, struct text name)
{
    for (const char *const *each = route->query; each && *each; each++) {
        if (text_equal(name, text_of(*each))) {
            return true;
        }
    }
    return false;
}

static enum status check_query(const struct api_call *call, struct error *error)
{
    struct text rest = call->request->query;
    struct text part;
    while (rest.length > 0 && text_next_part(&rest, '&', &part)) {
        struct text name = text_slice(part, 0, text_find_byte(part, 0, '='));
        if (name.length > 0 && !is_known_query(call->route, name)) {
            return error_set(error, INVALID, "unknown query parameter \"%.60s\"",
                             arena_copy(call->request->arena, name));
        }
    }
    return OK;
}

// Is it somebody, where that is needed? False when the request was answered.
static bool identify(struct api_call *call)
{
    if (!authenticate(call)) {
        return false;
    }
    if (call->route->needs_peer && !call->request->peer_key) {
        refuse_credentials(call->request,
                           "this is a call between sites: it needs a client certificate",
                           "show the site's own: curl --key key.pem --cert certificate.pem, both "
                           "from its directory");
        return false;
    }
    if (call->route->is_public || call->principal.role != ROLE_NOBODY) {
        return true;
    }
    refuse_credentials(call->request, "this needs a token",
                       "send \"Authorization: Bearer TOKEN\"; lode login gets one");
    return false;
}

// What only workers do, asked by a key that is none's. False when that was answered.
static bool admit_stranger(struct api_call *call)
{
    struct error error = {0};
    if (call->route->meets_workers) {
        return true;
    }
    (void)error_set(&error, NOT_FOUND, "this site has not accepted a worker with the key %s",
                    call->request->peer_key);
    error_fix(&error, "register again: POST /v1/workers");
    api_reply_error(call, &error);
    return false;
}

// Everything before the handler. False when the request was answered.
static bool admit(struct api_call *call)
{
    // The first thing, as who is nobody must not learn which objects there are.
    if (!identify(call)) {
        return false;
    }
    bool is_peer = call->principal.role == ROLE_PEER && !call->route->is_public;
    bool is_of_workers =
        call->route->action == ACTION_WORKER_POLL || call->route->action == ACTION_WORKER_LINK;
    bool is_stranger =
        is_peer && is_of_workers && http_header(call->request, "Lode-User").length == 0;
    if (is_stranger ? !admit_stranger(call) : is_peer && !admit_guest(call)) {
        return false;
    }
    struct error error = {0};
    enum status status = check_query(call, &error);
    if (status == OK) {
        status = find_object(call, &call->object, &error);
    }
    if (status == OK && !call->route->is_public && !is_stranger) {
        status = decide(call, call->route->action, &call->object, &call->reason, &error);
    }
    if (status != OK) {
        error.status = status;
        api_reply_error(call, &error);
        return false;
    }
    return true;
}

static struct api_call *new_call(struct http_request *request, struct api *api)
{
    struct api_call *call = arena_new(request->arena, sizeof *call);
    call->api = api;
    call->request = request;
    call->route = api_route_of(api, request);
    call->reason = "everyone may do this";
    return call;
}

static void run(void *context)
{
    struct api_call *call = context;
    if (admit(call)) {
        call->route->handle(call);
    }
}

bool guard_admit(struct http_request *request, void *context)
{
    return identify(new_call(request, context));
}

void guard_handle(struct http_request *request, void *context)
{
    struct api_call *call = new_call(request, context);
    switch (call->route->place) {
    case API_ON_POOL:
        http_server_offload(call->api->server, run, call);
        break;
    case API_IN_BACKGROUND:
        http_server_background(call->api->server, run, call);
        break;
    case API_ON_LOOP:
        run(call);
        break;
    }
}

void *guard_begin(struct http_request *request, void *context)
{
    struct api_call *call = new_call(request, context);
    return admit(call) ? call->route->sink->begin(request, call) : NULL;
}
