// Where an identifier leads: GET /v1/resolve/{id}. Public, as every location carries the signature of the site that said so.
#include "api/api.h"

#include "api/answer.h"
#include "api/dataset.h"
#include "resolve/resolve.h"

enum { ANSWER_FIRST_SIZE = 8192 };

// One request on its way through the pool.
struct resolving {
    struct api_call *call;
    struct text name; // In normal form.
    enum resolve_reach reach;
    bool wants_distances; // It waits a moment for sites to be measured.
    bool wants_hubs;      // The client remembers which hubs it can ask when this site is away.
};

static json_t *find_own_location(const struct api *api, const json_t *answer)
{
    const json_t *locations = json_object_get(answer, "locations");
    for (size_t i = 0; i < json_array_size(locations); i++) {
        json_t *location = json_array_get(locations, i);
        struct text site = json_text(json_object_get(json_object_get(location, "entry"), "site"));
        if (text_equal(site, text_of(api->fingerprint))) {
            return location;
        }
    }
    return NULL;
}

// Who has a token of this site is told where its files lie.
static void add_roots(const struct resolving *resolving, json_t *answer)
{
    const struct api_call *call = resolving->call;
    struct dataset dataset;
    json_t *location = find_own_location(call->api, answer);
    if (location && catalog_find(call->api->catalog, resolving->name, call->request->arena,
                                 &dataset, NULL) == OK) {
        (void)json_object_set_new(location, "roots", dataset_roots_json(&dataset));
    }
}

static void add_hubs(const struct resolving *resolving, json_t *answer)
{
    AUTO_BUFFER struct buffer text = {0};
    json_t *hubs = NULL;
    resolver_write_hubs(resolving->call->api->resolver, &text);
    if (json_parse(buffer_text(&text), &hubs, NULL) == OK) {
        (void)json_object_set_new(answer, "hubs", hubs);
    }
}

// Who has no token makes this site call nobody but its hubs.
static enum status ask(const struct resolving *resolving, struct buffer *out, int64_t *catching_up,
                       struct error *error)
{
    const struct resolve_wish wish = {
        .reach = resolving->reach,
        .is_measuring = resolving->call->token && resolving->reach != RESOLVE_HERE,
        .wait_us = resolving->wants_distances ? RESOLVE_MEASURING_US : 0,
    };
    return resolver_ask_wish(resolving->call->api->resolver, resolving->name, &wish, out,
                             catching_up, error);
}

static void answer_on_pool(void *context)
{
    struct resolving *resolving = context;
    struct api_call *call = resolving->call;
    AUTO_BUFFER struct buffer out = {0};
    struct error error = {0};
    int64_t catching_up = 0;
    enum status status = ask(resolving, &out, &catching_up, &error);
    if (status == NOT_FOUND && catching_up > 0) {
        api_reply_error_number(call, &error, "catching_up", catching_up);
        return;
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    json_t *answer = NULL;
    bool has_more = call->token || resolving->wants_hubs;
    if (!has_more || json_parse(buffer_text(&out), &answer, NULL) != OK) {
        api_reply_json(call, 200, buffer_text(&out));
        return;
    }
    if (call->token) {
        add_roots(resolving, answer);
    }
    if (resolving->wants_hubs) {
        add_hubs(resolving, answer);
    }
    api_reply_value(call, 200, answer);
}

static enum status read_question(struct api_call *call, struct resolving *out, struct error *error)
{
    bool may_forward = true;
    bool is_anew = false;
    struct identifier identifier;
    TRY(identifier_parse(call->request->parameters[0], &identifier, error));
    TRY(api_query_bool(call, "forward", &may_forward, error));
    TRY(api_query_bool(call, "anew", &is_anew, error));
    TRY(api_query_bool(call, "distances", &out->wants_distances, error));
    TRY(api_query_bool(call, "hubs", &out->wants_hubs, error));
    struct text name = identifier_text(&identifier);
    out->call = call;
    out->name = (struct text){arena_copy(call->request->arena, name), name.length};
    out->reach = !may_forward ? RESOLVE_HERE : is_anew ? RESOLVE_ASKS_ANEW : RESOLVE_ASKS;
    return OK;
}

static void get_resolution(struct api_call *call)
{
    struct error error = {0};
    struct resolving question = {0};
    if (answer_failure(call, read_question(call, &question, &error), &error)) {
        return;
    }
    AUTO_BUFFER struct buffer out = {0};
    (void)buffer_reserve(&out, ANSWER_FIRST_SIZE);
    // Where our own files lie, which who has a token is told, is in the database.
    if (!question.wants_hubs && !question.wants_distances &&
        resolver_answer_fast(call->api->resolver, question.name, call->token != NULL, &out)) {
        api_reply_json(call, 200, buffer_text(&out));
        return;
    }
    struct resolving *kept = arena_new(call->request->arena, sizeof *kept);
    *kept = question;
    http_server_offload(call->api->server, answer_on_pool, kept);
}

static const char *const RESOLVE_QUERY[] = {"forward", "anew", "distances", "hubs", NULL};

const struct api_route API_RESOLVE_ROUTES[] = {
    {.method = "GET",
     .pattern = "/v1/resolve/{id}",
     .is_public = true,
     .handle = get_resolution,
     .query = RESOLVE_QUERY},
    {.method = NULL},
};
