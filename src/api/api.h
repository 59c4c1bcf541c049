// The HTTP interface of a site: what all its handlers share, and how a route is described.
//
// A request passes the guard (guard.c) first: who asks, may they do that, are the query parameters known. A handler then
// gets a struct api_call and answers it exactly once, now or later, from any thread.
#ifndef LODE_API_API_H
#define LODE_API_API_H

#include "base/json.h"
#include "crypto/key.h"
#include "http/server.h"
#include "identity/tokens.h"
#include "policy/policy.h"

struct store;
struct blobs;
struct catalog;
struct queue;
struct transfers;
struct broker;
struct peers;
struct resolver;
struct guests;
struct senders;
struct known_workers;
struct task_access;

enum {
    API_PAGE_DEFAULT = 100,
    API_PAGE_MAX = 1000,
    API_WAIT_SECONDS_MAX = 60,
    API_KEY_MAX = 200, // Bytes of an Idempotency-Key.
    API_JSON_MAX = 1 << 20,
};

// The parts of a site, all borrowed; programs/site.c puts them together.
struct api {
    struct store *store;
    struct blobs *blobs;
    struct tokens *tokens;
    struct catalog *catalog;
    struct queue *queue;
    struct peers *peers;
    struct resolver *resolver;
    struct transfers *transfers;
    struct broker *broker;
    struct http_server *server; // Set right after it started; handlers use it to leave the loop.
    const char *name;
    const char *fingerprint;
    const char *url;
    const char *directory;
    int64_t started_us;  // Wall clock.
    struct text openapi; // The document of GET /v1/openapi.json; empty when it is not installed.
    struct api_table *table; // The routes (routes.c).
    struct guests *guests;   // Which other sites may have jobs run here.
    struct senders *senders; // What people have sent lately.
    // What /v1/status says of the announcement on the local network, a new reference; `announcement` is its context.
    json_t *(*describe_announcement)(void *announcement);
    void *announcement;
    // The URLs under which other machines reach the site, an array, a new reference; `reach` is its context.
    json_t *(*describe_reach)(void *reach);
    void *reach;
    struct known_workers *known_workers;
    _Atomic int64_t input_files_sent; // To workers.
    _Atomic int64_t input_bytes_sent;
};

// One request that the guard let through. Lives in the request's arena until it is answered.
struct api_call {
    struct api *api;
    struct http_request *request;
    struct principal principal;     // Its texts live as long as the call.
    const struct task_access *task; // The lease that a task's token is for; NULL: it is none.
    const struct token *token;      // What the caller showed; NULL: nothing, or the key of a site.
    const struct runner
        *runner; // The class of a worker, by its token or key; NULL: of the site, or no worker.
    struct policy_object
        object;         // What the route's action is done to. Its texts live as long as the call.
    const char *reason; // By which right the policy let it through; a static string.
    const struct api_route *route;
    void *state; // The handler's own.
};

enum api_place {
    API_ON_LOOP,       // The handler never blocks.
    API_ON_POOL,       // It reads the database or the disk: run on a thread of the pool.
    API_IN_BACKGROUND, // The same, and nobody waits for it but another site: stands back behind all else.
};

// What the action is done to, for the guard to find its owner.
enum api_object {
    API_OBJECT_NONE,
    API_OBJECT_OWN, // A list, or something new: the handler narrows it to what is the caller's own, and judges the rest.
    API_OBJECT_BLOB, // The first path parameter is a digest, and
    API_OBJECT_DATASET, // an identifier: looked up for tasks and runners only, whose inputs they must be. On the pool.
    API_OBJECT_JOB, // The first path parameter is the number of a job. The route must be API_ON_POOL.
};

struct api_route {
    const char *method;
    const char *pattern;
    enum action action;
    bool is_public; // Needs no token.
    bool
        needs_peer; // Needs the client certificate of a site, whose key is call->request->peer_key.
    bool meets_workers; // Takes the key of a worker that is not known yet; the handler decides.
    enum api_object object;
    enum api_place place;
    void (*handle)(struct api_call *call);
    // Instead of `handle`: bodies of any size. `begin` gets the struct api_call as its context.
    const struct http_sink *sink;
    size_t body_max;
    const char *const *query; // The query parameters that it takes, NULL-terminated; NULL: none.
};

// The tables; each ends with an entry without a method.
extern const struct api_route API_SITE_ROUTES[];
extern const struct api_route API_BLOB_ROUTES[];
extern const struct api_route API_TOKEN_ROUTES[];
extern const struct api_route API_DATA_ROUTES[];
extern const struct api_route API_RESOLVE_ROUTES[];
extern const struct api_route API_GROUP_ROUTES[];
extern const struct api_route API_JOB_ROUTES[];
extern const struct api_route API_TASK_ROUTES[];
extern const struct api_route API_EVENT_ROUTES[];
extern const struct api_route API_WORKER_ROUTES[];
extern const struct api_route API_WORKER_KEY_ROUTES[];
extern const struct api_route API_INPUT_ROUTES[];
extern const struct api_route API_FEDERATION_ROUTES[];
extern const struct api_route API_HUB_ROUTES[];
extern const struct api_route API_PLAN_ROUTES[];
extern const struct api_route API_TRANSFER_ROUTES[];

// Joins the tables into api->table; *routes is what the server is started with and belongs to the api.
void api_routes_new(struct api *api, const struct http_route **routes, size_t *count);
void api_routes_free(struct api *api);
// The route that the server found, with what the API knows of it.
const struct api_route *api_route_of(const struct api *api, const struct http_request *request);

// For http_server_options.problem. Without a fix of its own a refusal has the usual one of its code: each says what to do.
void api_problem(int code, const char *detail, const char *fix, struct buffer *body,
                 const char **content_type);

// May the caller do `action` to what belongs to `owner`? DENIED with the reason. For objects that are known only later.
enum status api_may(const struct api_call *call, enum action action, struct text owner,
                    struct error *error);

// May the caller submit jobs for the group? NOT_FOUND when there is none, DENIED with the way to become a member. May wait for the database.
enum status groups_may_use(const struct api_call *call, const char *group, struct error *error);

// May the caller also do `action` to the route's own object?
bool api_may_with_object(const struct api_call *call, enum action action);

// Answers. The body is copied.
void api_reply_json(struct api_call *call, int code, struct text body);
void api_reply_error(struct api_call *call, const struct error *error);
// The same with another code than the status has.
void api_reply_error_as(struct api_call *call, int code, const struct error *error);
// The same as a problem of its own kind ("worker_pending") that is about this key.
void api_reply_key_problem(struct api_call *call, const char *kind, const char *key,
                           const struct error *error);
// The same with another member, a number.
void api_reply_error_number(struct api_call *call, const struct error *error, const char *name,
                            int64_t number);
// A JSON value, which is released.
void api_reply_value(struct api_call *call, int code, json_t *value);
// 204: it is done, and there is nothing to say.
void api_reply_nothing(struct api_call *call);
// Bytes, with `fields` beside Content-Type.
void api_reply_bytes(struct api_call *call, const char *content_type, struct text bytes,
                     const struct http_field *fields, size_t field_count);
// Bytes [0, size) of a file, or the part that Range asks for; closes `fd`. `tag` names this content (ETag, without quotes).
void api_reply_file(struct api_call *call, int fd, int64_t size, const char *content_type,
                    const char *tag);
// The same, and adds what was sent of it to *sent, which must outlive the server.
void api_reply_counted_file(struct api_call *call, int fd, int64_t size, const char *tag,
                            _Atomic int64_t *sent);

// What a request says, checked. *out keeps its value when it is not said.
enum status api_query_int64(const struct api_call *call, const char *name, int64_t min, int64_t max,
                            int64_t *out, struct error *error);
// `?name=true` or `false`.
enum status api_query_bool(const struct api_call *call, const char *name, bool *out,
                           struct error *error);
// `?wait=SECONDS`, in microseconds; 0 without it.
enum status api_query_wait(const struct api_call *call, int64_t *wait_us, struct error *error);
// `?limit=`.
enum status api_query_limit(const struct api_call *call, int64_t *limit, struct error *error);
// A path parameter that is a number from 0.
enum status api_parameter_int64(const struct api_call *call, size_t at, const char *what,
                                int64_t *out, struct error *error);
// The JSON object of the body, a new reference.
enum status api_body(const struct api_call *call, json_t **out, struct error *error);
// The Idempotency-Key; empty when there is none.
enum status api_idempotency_key(const struct api_call *call, struct text *out, struct error *error);

#endif
