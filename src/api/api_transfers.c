// Transfers: replicas on order, at this site or, for one of its users, at another one.
#include "api/answer.h"
#include "api/audit.h"
#include "api/documents.h"
#include "base/hex.h"
#include "broker/broker.h"
#include "catalog/identifier.h"
#include "os/clock.h"
#include "peers/peers.h"
#include "transfer/transfer.h"

// --- at another site

// Adds `"site"` to the document of the other site, so that the caller knows where the number holds.
static void reply_of_site(struct api_call *call, int code, const struct fingerprint *site,
                          struct text document)
{
    AUTO_JSON json_t *transfer = NULL;
    struct error error = {0};
    if (!answer_failure(call, json_parse(document, &transfer, &error), &error)) {
        (void)json_object_set_new(transfer, "site", json_string(site->text));
        api_reply_value(call, code, json_incref(transfer));
    }
}

static enum status call_site(struct api_call *call, const struct fingerprint *site,
                             const char *method, const char *path, struct text body,
                             struct buffer *out, struct error *error)
{
    const char *user = arena_copy(call->request->arena, call->principal.name);
    return broker_call(call->api->broker, site, user, method, path, body, out, error);
}

// `?site=`: *is_there and *out are set when it names another site.
static enum status read_site(struct api_call *call, bool *is_there, struct fingerprint *out,
                             struct error *error)
{
    struct text site = TEXT_NONE;
    struct peer peer;
    *is_there = http_query(call->request, "site", &site) &&
                !text_equal(site, text_of(call->api->fingerprint));
    if (*is_there) {
        TRY(peers_find_named(call->api->peers, site, &peer, error));
        *out = peer.site;
    }
    return OK;
}

// --- ordering

struct order {
    struct identifier id;
    bool is_there; // It is to be at another site.
    struct fingerprint to;
    bool has_from;
    struct fingerprint from;
    bool has_digest;
    struct digest digest; // Of the content that is meant.
};

static enum status find_site(struct api_call *call, struct text name, struct fingerprint *out,
                             struct error *error)
{
    struct peer peer;
    TRY(peers_introduce(call->api->peers, name, &peer, error));
    *out = peer.site;
    return OK;
}

static bool is_self(const struct api_call *call, struct text site)
{
    return text_equal(site, text_of(call->api->name)) ||
           text_equal(site, text_of(call->api->fingerprint));
}

static enum status read_order(struct api_call *call, struct order *out, struct error *error)
{
    AUTO_JSON json_t *body = NULL;
    struct order_document said;
    TRY(api_body(call, &body, error));
    TRY(order_document_read(body, &said, error));
    out->id = said.id;
    out->has_digest = said.has_digest;
    out->digest = said.digest;
    out->is_there = said.to.bytes && !is_self(call, said.to);
    if (out->is_there) {
        TRY(find_site(call, said.to, &out->to, error));
    }
    out->has_from = said.from.bytes != NULL;
    return out->has_from ? find_site(call, said.from, &out->from, error) : OK;
}

static enum status order_there(struct api_call *call, const struct order *order, struct buffer *out,
                               struct error *error)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO_BUFFER struct buffer body = {0};
    buffer_append_string(&body, "{\"id\":");
    buffer_append_json_string(&body, identifier_text(&order->id));
    if (order->has_from) {
        buffer_printf(&body, ",\"from\":\"%s\"", order->from.text);
    }
    if (order->has_digest) {
        buffer_printf(&body, ",\"digest\":\"%s\"", digest_to_text(&order->digest, digest));
    }
    buffer_append_byte(&body, '}');
    return call_site(call, &order->to, "POST", "/v1/transfers", buffer_text(&body), out, error);
}

static void post_transfer(struct api_call *call)
{
    struct error error = {0};
    struct order order = {0};
    AUTO_BUFFER struct buffer out = {0};
    enum status status = read_order(call, &order, &error);
    if (status == OK && order.is_there) {
        status = order_there(call, &order, &out, &error);
    } else if (status == OK) {
        const struct transfer_request request = {.id = identifier_text(&order.id),
                                                 .owner = call->principal.name,
                                                 .is_guest = call->principal.role == ROLE_PEER,
                                                 .from = order.has_from ? &order.from : NULL,
                                                 .content =
                                                     order.has_digest ? &order.digest : NULL};
        status = transfers_order(call->api->transfers, &request, &out, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    if (order.is_there) {
        reply_of_site(call, 202, &order.to, buffer_text(&out));
    } else {
        api_reply_json(call, 202, buffer_text(&out));
    }
}

// --- looking

static void list_transfers(struct api_call *call)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer out = {0};
    int64_t limit = 0;
    int64_t before = 0;
    enum status status = api_query_limit(call, &limit, &error);
    if (status == OK) {
        status = api_query_int64(call, "cursor", 1, INT64_MAX, &before, &error);
    }
    if (status == OK) {
        status = transfers_list(call->api->transfers, before, limit, &out, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&out));
    }
}

static void reply_transfer(struct api_call *call, int64_t number)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer out = {0};
    if (!answer_failure(call, transfers_show(call->api->transfers, number, &out, &error), &error)) {
        api_reply_json(call, 200, buffer_text(&out));
    }
}

// The transfer changed, or the time is over; called on a thread that must not wait for the database.
static void answer_later(void *context)
{
    struct api_call *call = context;
    reply_transfer(call, *(const int64_t *)call->state);
}

static void on_woken(void *context)
{
    struct api_call *call = context;
    http_server_offload(call->api->server, answer_later, call);
}

// The other site holds the answer no longer than a call to it may take.
static enum status show_there(struct api_call *call, const struct fingerprint *site,
                              const char *query, int64_t number, struct buffer *out,
                              struct error *error)
{
    const char *path =
        arena_format(call->request->arena, "/v1/transfers/%lld%s", (long long)number, query);
    return call_site(call, site, "GET", path, TEXT_NONE, out, error);
}

static const char *waiting_query(const struct api_call *call, int64_t wait_us, int64_t version)
{
    if (wait_us <= 0) {
        return "";
    }
    return version < 0
               ? "?wait=2"
               : arena_format(call->request->arena, "?wait=2&version=%lld", (long long)version);
}

static void show_transfer(struct api_call *call)
{
    struct error error = {0};
    struct fingerprint site;
    AUTO_BUFFER struct buffer out = {0};
    bool is_there = false;
    int64_t *number = arena_new(call->request->arena, sizeof *number);
    int64_t wait_us = 0;
    int64_t version = -1;
    enum status status = api_parameter_int64(call, 0, "transfer", number, &error);
    status = status == OK ? api_query_wait(call, &wait_us, &error) : status;
    status =
        status == OK ? api_query_int64(call, "version", 0, INT64_MAX, &version, &error) : status;
    status = status == OK ? read_site(call, &is_there, &site, &error) : status;
    if (status == OK && is_there) {
        status =
            show_there(call, &site, waiting_query(call, wait_us, version), *number, &out, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    if (is_there) {
        reply_of_site(call, 200, &site, buffer_text(&out));
    } else if (wait_us > 0) {
        call->state = number;
        transfers_watch(call->api->transfers, *number, version < 0 ? INT64_MAX : version,
                        clock_steady_us() + wait_us, on_woken, call);
    } else {
        reply_transfer(call, *number);
    }
}

// Who ordered it may end it, and administrators.
static enum status check_owner(const struct api_call *call, int64_t number, struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    AUTO_JSON json_t *transfer = NULL;
    TRY(transfers_show(call->api->transfers, number, &document, error));
    TRY(json_parse(buffer_text(&document), &transfer, error));
    struct text owner = json_text(json_object_get(transfer, "owner"));
    if (call->principal.role == ROLE_ADMIN || text_equal(owner, call->principal.name)) {
        return OK;
    }
    return error_set(error, DENIED, "transfer %lld was ordered by somebody else",
                     (long long)number);
}

static void delete_transfer(struct api_call *call)
{
    struct error error = {0};
    struct fingerprint site;
    AUTO_BUFFER struct buffer out = {0};
    bool is_there = false;
    bool is_taken_back = false;
    int64_t number = 0;
    enum status status = api_parameter_int64(call, 0, "transfer", &number, &error);
    status = status == OK ? read_site(call, &is_there, &site, &error) : status;
    status = status == OK ? api_query_bool(call, "take_back", &is_taken_back, &error) : status;
    if (status == OK && is_there) {
        const char *path = arena_format(call->request->arena, "/v1/transfers/%lld%s",
                                        (long long)number, is_taken_back ? "?take_back=true" : "");
        status = call_site(call, &site, "DELETE", path, TEXT_NONE, &out, &error);
    } else if (status == OK) {
        enum status (*end)(struct transfers *, int64_t, struct error *) =
            is_taken_back ? transfers_take_back : transfers_cancel;
        status = check_owner(call, number, &error);
        status = status != OK ? status : end(call->api->transfers, number, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_nothing(call);
    }
}

static const char *const LIST[] = {"limit", "cursor", NULL};
static const char *const SHOW[] = {"wait", "version", "site", NULL};
static const char *const END[] = {"site", "take_back", NULL};

const struct api_route API_TRANSFER_ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/transfers",
     .action = ACTION_TRANSFER_ORDER,
     .place = API_ON_POOL,
     .handle = post_transfer,
     .body_max = API_JSON_MAX},
    {.method = "GET",
     .pattern = "/v1/transfers",
     .action = ACTION_DATA_READ,
     .place = API_ON_POOL,
     .handle = list_transfers,
     .query = LIST},
    {.method = "GET",
     .pattern = "/v1/transfers/{transfer}",
     .action = ACTION_DATA_READ,
     .place = API_ON_POOL,
     .handle = show_transfer,
     .query = SHOW},
    {.method = "DELETE",
     .pattern = "/v1/transfers/{transfer}",
     .action = ACTION_TRANSFER_ORDER,
     .place = API_ON_POOL,
     .handle = delete_transfer,
     .query = END},
    {.method = NULL},
};
