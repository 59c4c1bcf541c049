// The calls between sites (docs/protocols/federation.md): announce, heartbeat, logs, poll, changes.
//
// What is marked there needs a client certificate; the rest is public, as everything in it is signed by the site that says it.
#include "api/answer.h"

#include "base/memory.h"
#include "os/clock.h"
#include "peers/peers.h"

#include <stdio.h>

enum {
    // Batches as ledger_read_batches gives them, which stops behind the one that passes its limit.
    BATCHES_BODY_MAX = LEDGER_READ_SIZE_MAX + LEDGER_BATCH_SIZE_MAX + STATEMENT_SIZE_MAX,
    CHANGES_WAIT_SECONDS_MAX = 30,
};

static const char NDJSON[] = "application/x-ndjson";

static void reply_lines(struct api_call *call, const struct buffer *lines)
{
    api_reply_bytes(call, NDJSON, buffer_text(lines), NULL, 0);
}

static enum status site_parameter(const struct api_call *call, struct fingerprint *out,
                                  struct error *error)
{
    struct digest digest;
    struct text said = call->request->parameters[0];
    if (said.length != FINGERPRINT_SIZE - 1 || digest_from_text(said, &digest, NULL) != OK) {
        return error_set(error, NOT_FOUND, "\"%.80s\" is not the fingerprint of a site",
                         arena_copy(call->request->arena, said));
    }
    (void)digest_to_text(&digest, out->text);
    return OK;
}

static void get_statement(struct api_call *call)
{
    AUTO_BUFFER struct buffer body = {0};
    peers_own_statement(call->api->peers, &body);
    api_reply_json(call, 200, buffer_text(&body));
}

static void post_announce(struct api_call *call)
{
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    AUTO_BUFFER struct buffer answer = {0};
    enum peers_mode mode = PEERS_PUSH;
    struct text said = TEXT_NONE;
    enum status status = api_body(call, &document, &error);
    if (status == OK && http_query(call->request, "mode", &said)) {
        status = peers_mode_from_text(said, &mode, &error);
    }
    if (status == OK) {
        status = peers_heard_announcement(call->api->peers, call->request->peer_key, mode, document,
                                          &answer, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&answer));
    }
}

static void post_heartbeat(struct api_call *call)
{
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    AUTO_BUFFER struct buffer answer = {0};
    enum status status = api_body(call, &document, &error);
    if (status == OK) {
        status = peers_heard_heartbeat(call->api->peers, call->request->peer_key, document, &answer,
                                       &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&answer));
    }
}

// A refusal of batches says what this site has, so that the other one goes on from there.
static void refuse_batches(struct api_call *call, enum status status, const struct error *error,
                           const struct ledger_position *position)
{
    AUTO_BUFFER struct buffer body = {0};
    AUTO_BUFFER struct buffer whole = {0};
    AUTO_JSON json_t *problem = NULL;
    const char *content_type = NULL;
    int code = status_to_http(status);
    api_problem(code, error->detail, error->fix, &body, &content_type);
    if (json_parse(buffer_text(&body), &problem, NULL) == OK) {
        json_t *members = peers_position_json(position);
        (void)json_object_update(problem, members);
        json_decref(members);
    }
    json_write(problem, false, &whole);
    struct http_response response = {
        .code = code, .content_type = content_type, .body = buffer_text(&whole)};
    http_reply(call->request->exchange, &response);
}

static void post_log(struct api_call *call)
{
    struct error error = {0};
    struct fingerprint site = {0};
    struct ledger_position position = {0};
    if (answer_failure(call, site_parameter(call, &site, &error), &error)) {
        return;
    }
    enum status status = peers_heard_batches(call->api->peers, call->request->peer_key, &site,
                                             call->request->body, &position, &error);
    if (status != OK) {
        refuse_batches(call, status, &error, &position);
        return;
    }
    api_reply_value(call, 200, peers_position_json(&position));
}

static enum status read_position(const struct api_call *call, int64_t *epoch, int64_t *after,
                                 struct error *error)
{
    TRY(api_query_int64(call, "epoch", 0, INT64_MAX, epoch, error));
    return api_query_int64(call, "after", 0, INT64_MAX, after, error);
}

static void get_log(struct api_call *call)
{
    struct error error = {0};
    struct fingerprint site = {0};
    AUTO_BUFFER struct buffer lines = {0};
    int64_t epoch = 0;
    int64_t after = 0;
    enum status status = site_parameter(call, &site, &error);
    status = status == OK ? read_position(call, &epoch, &after, &error) : status;
    if (status == OK) {
        status = peers_read_log(call->api->peers, &site, epoch, after, &lines, &error);
    }
    if (!answer_failure(call, status, &error)) {
        reply_lines(call, &lines);
    }
}

static void get_poll(struct api_call *call)
{
    struct error error = {0};
    struct fingerprint own = {0};
    AUTO_BUFFER struct buffer lines = {0};
    int64_t epoch = 0;
    int64_t after = 0;
    (void)snprintf(own.text, sizeof own.text, "%s", call->api->fingerprint);
    peers_own_heartbeat(call->api->peers, &lines);
    buffer_append_byte(&lines, '\n');
    enum status status = read_position(call, &epoch, &after, &error);
    if (status == OK) {
        peers_heard_poll(call->api->peers, epoch, after);
        status = peers_read_log(call->api->peers, &own, epoch, after, &lines, &error);
    }
    if (!answer_failure(call, status, &error)) {
        reply_lines(call, &lines);
    }
}

// Tells what there is; `is_last`: also when that is nothing. Whether it answered.
static bool tell_changes(struct api_call *call, bool is_last)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer lines = {0};
    struct text cursor = TEXT_NONE;
    bool is_something = false;
    (void)http_query(call->request, "cursor", &cursor);
    enum status status =
        peers_read_changes(call->api->peers, cursor, &lines, &is_something, &error);
    if (answer_failure(call, status, &error)) {
        return true;
    }
    if (!is_something && !is_last) {
        return false;
    }
    reply_lines(call, &lines);
    return true;
}

static void wake_changes(void *context)
{
    (void)tell_changes(context, true);
}

static void get_changes(struct api_call *call)
{
    struct error error = {0};
    struct text cursor = TEXT_NONE;
    int64_t wait_seconds = 0;
    enum status status =
        api_query_int64(call, "wait", 0, CHANGES_WAIT_SECONDS_MAX, &wait_seconds, &error);
    if (answer_failure(call, status, &error) || tell_changes(call, wait_seconds == 0)) {
        return;
    }
    (void)http_query(call->request, "cursor", &cursor);
    peers_watch(call->api->peers, cursor, clock_steady_us() + wait_seconds * 1000000, wake_changes,
                call);
}

static void get_known_site(struct api_call *call)
{
    struct error error = {0};
    struct peer peer;
    AUTO_BUFFER struct buffer body = {0};
    enum status status =
        peers_find_named(call->api->peers, call->request->parameters[0], &peer, &error);
    if (status == OK) {
        status = peers_describe(call->api->peers, &peer.site, &body, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&body));
    }
}

static const char *const ANNOUNCE[] = {"mode", NULL};
static const char *const POSITION[] = {"epoch", "after", NULL};
static const char *const CHANGES[] = {"cursor", "wait", NULL};

const struct api_route API_FEDERATION_ROUTES[] = {
    {.method = "GET", .pattern = "/v1/federation/site", .is_public = true, .handle = get_statement},
    {.method = "POST",
     .pattern = "/v1/federation/announce",
     .is_public = true,
     .needs_peer = true,
     .place = API_IN_BACKGROUND,
     .handle = post_announce,
     .body_max = STATEMENT_SIZE_MAX,
     .query = ANNOUNCE},
    {.method = "POST",
     .pattern = "/v1/federation/heartbeat",
     .is_public = true,
     .needs_peer = true,
     .handle = post_heartbeat,
     .body_max = STATEMENT_SIZE_MAX},
    {.method = "POST",
     .pattern = "/v1/federation/logs/{site}",
     .is_public = true,
     .needs_peer = true,
     .place = API_IN_BACKGROUND,
     .handle = post_log,
     .body_max = BATCHES_BODY_MAX},
    {.method = "GET",
     .pattern = "/v1/federation/logs/{site}",
     .is_public = true,
     .place = API_IN_BACKGROUND,
     .handle = get_log,
     .query = POSITION},
    {.method = "GET",
     .pattern = "/v1/federation/poll",
     .is_public = true,
     .place = API_IN_BACKGROUND,
     .handle = get_poll,
     .query = POSITION},
    {.method = "GET",
     .pattern = "/v1/federation/changes",
     .is_public = true,
     .place = API_IN_BACKGROUND,
     .handle = get_changes,
     .query = CHANGES},
    {.method = "GET",
     .pattern = "/v1/federation/sites/{site}",
     .is_public = true,
     .handle = get_known_site},
    {.method = NULL},
};
