// Tokens: who may use the site. Making and revoking is in the audit log.
#include "api/answer.h"
#include "api/audit.h"
#include "api/documents.h"
#include "api/runner_making.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "queue/queue.h"
#include "store/store.h"

static json_t *json_of_time(int64_t time_us)
{
    char text[CALENDAR_TEXT_SIZE];
    return time_us > 0 ? json_string(calendar_format(time_us, text)) : json_null();
}

static json_t *describe(const struct token *token)
{
    json_t *value = json_object();
    (void)json_object_set_new(value, "token_id", json_integer(token->id));
    (void)json_object_set_new(value, "principal", json_from_text(text_of(token->name)));
    (void)json_object_set_new(value, "role", json_string(role_name(token->role)));
    (void)json_object_set_new(value, "label", json_from_text(text_of(token->label)));
    (void)json_object_set_new(value, "created_at", json_of_time(token->created_us));
    (void)json_object_set_new(value, "expires_at", json_of_time(token->expires_us));
    (void)json_object_set_new(value, "revoked_at", json_of_time(token->revoked_us));
    runner_describe(&token->runner, value);
    return value;
}

struct change {
    struct api_call *call;
    struct token_request request;
    int64_t id;
    struct token token;
    struct token_secret secret;
};

static enum status create(struct sql *sql, void *context, struct error *error)
{
    struct change *change = context;
    const struct runner *runner = &change->request.runner;
    bool is_runner = runner->kind != RUNNER_SITE;
    AUTO_FREE char *object =
        memory_format("token of %.*s, role %s%s%s", TEXT_ARGS(change->request.name),
                      role_name(change->request.role), is_runner ? ", class " : "",
                      is_runner ? runner_class_name(runner->kind) : "");
    TRY(audit_change(sql, change->call, is_runner ? ACTION_RUNNER_MAKE : ACTION_TOKEN_CHANGE,
                     object, error));
    return tokens_create(change->call->api->tokens, sql, &change->request, clock_real_us(),
                         &change->token, &change->secret, error);
}

// May the caller make it, and what is its name? That of a runner for somebody's jobs is his, so that he finds and revokes it; another one is of who makes it
// where he names nobody: never of a word that may be somebody's name, too.
static enum status complete(const struct api_call *call, struct token_request *request,
                            struct error *error)
{
    struct runner *runner = &request->runner;
    TRY(runner_making_complete(call, runner, error));
    if (runner->kind == RUNNER_SITE && request->name.length == 0) {
        return error_set(error, INVALID, "field \"principal\" is missing");
    }
    if (runner_is_for_users(runner->kind)) {
        request->name = text_of(runner->user);
    } else if (request->name.length == 0) {
        request->name = call->principal.name;
    }
    return OK;
}

static void post_token(struct api_call *call)
{
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    struct change change = {.call = call};
    enum status status = api_body(call, &document, &error);
    if (status == OK) {
        status = token_document_read(document, clock_real_us(), &change.request, &error);
    }
    if (status == OK) {
        status = complete(call, &change.request, &error);
    }
    if (status == OK) {
        status = store_write_wait(call->api->store, create, &change, &error);
    }
    if (!answer_failure(call, status, &error)) {
        json_t *answer = describe(&change.token);
        (void)json_object_set_new(answer, "token", json_string(change.secret.text));
        api_reply_value(call, 201, answer);
    }
}

struct listing {
    json_t *tokens;
    int64_t limit;
    int64_t seen; // Those revoked too.
    int64_t last;
    bool is_more;
};

static void visit(void *context, const struct token *token)
{
    struct listing *listing = context;
    if (++listing->seen > listing->limit) {
        listing->is_more = true;
        return;
    }
    listing->last = token->id;
    if (token->revoked_us == 0) {
        (void)json_array_append_new(listing->tokens, describe(token));
    }
}

static void list_tokens(struct api_call *call)
{
    struct error error = {0};
    struct listing listing = {0};
    struct token_filter filter = {0};
    struct sql *sql = NULL;
    enum status status = api_query_limit(call, &listing.limit, &error);
    if (status == OK) {
        status = api_query_int64(call, "cursor", 0, INT64_MAX, &filter.after_id, &error);
    }
    if (status == OK) {
        status = store_read_begin(call->api->store, &sql, &error);
    }
    if (status == OK) {
        listing.tokens = json_array();
        bool may_all = api_may(call, ACTION_TOKEN_CHANGE, TEXT_NONE, NULL) == OK;
        filter.name = may_all ? TEXT_NONE : call->principal.name;
        filter.count_max = listing.limit + 1;
        status = tokens_list(sql, &filter, visit, &listing, &error);
        store_read_end(call->api->store, sql);
    }
    if (answer_failure(call, status, &error)) {
        json_decref(listing.tokens);
        return;
    }
    json_t *answer = json_object();
    (void)json_object_set_new(answer, "tokens", listing.tokens);
    (void)json_object_set_new(answer, "next",
                              listing.is_more ? json_sprintf("%lld", (long long)listing.last)
                                              : json_null());
    api_reply_value(call, 200, answer);
}

static enum status revoke(struct sql *sql, void *context, struct error *error)
{
    struct change *change = context;
    AUTO_FREE char *object = memory_format("token %lld revoked", (long long)change->id);
    TRY(audit_change(sql, change->call, ACTION_TOKEN_OWN, object, error));
    return tokens_revoke(change->call->api->tokens, sql, change->id, clock_real_us(), error);
}

static void delete_token(struct api_call *call)
{
    struct error error = {0};
    struct change change = {.call = call};
    enum status status = api_parameter_int64(call, 0, "token", &change.id, &error);
    if (status == OK) {
        status = tokens_get(call->api->tokens, change.id, &change.token, &error);
    }
    if (status == OK) {
        status = api_may(call, ACTION_TOKEN_OWN, text_of(change.token.name), &error);
    }
    if (status == OK) {
        status = store_write_wait(call->api->store, revoke, &change, &error);
    }
    if (!answer_failure(call, status, &error)) {
        if (change.token.runner.kind != RUNNER_SITE) {
            // What it runs goes to others at once.
            queue_drop_workers(call->api->queue, text_of(change.token.runner_name));
        }
        queue_release_polls(
            call->api->queue); // A worker whose token it was hears of it with its next poll.
        api_reply_nothing(call);
    }
}

static const char *const PAGE[] = {"limit", "cursor", NULL};

const struct api_route API_TOKEN_ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/tokens",
     .action = ACTION_RUNNER_MAKE,
     .object = API_OBJECT_OWN,
     .place = API_ON_POOL,
     .handle = post_token,
     .body_max = API_JSON_MAX},
    {.method = "GET",
     .pattern = "/v1/tokens",
     .action = ACTION_TOKEN_OWN,
     .object = API_OBJECT_OWN,
     .place = API_ON_POOL,
     .handle = list_tokens,
     .query = PAGE},
    {.method = "DELETE",
     .pattern = "/v1/tokens/{token}",
     .action = ACTION_TOKEN_OWN,
     .object = API_OBJECT_OWN,
     .place = API_ON_POOL,
     .handle = delete_token},
    {.method = NULL},
};
