// The one flat table of routes that the server is given, made from the tables of the handlers' files.
#include "api/api.h"

#include "api/guard.h"
#include "base/memory.h"

#include <assert.h>

enum { ROUTES_MAX = 96 };

struct api_table {
    size_t count;
    struct http_route routes[ROUTES_MAX];
    const struct api_route *known[ROUTES_MAX]; // Beside `routes`.
    struct http_sink sinks[ROUTES_MAX];
};

static void add_routes(struct api_table *table, const struct api_route *routes)
{
    for (const struct api_route *each = routes; each->method; each++) {
        assert(table->count < ROUTES_MAX);
        size_t at = table->count++;
        table->known[at] = each;
        table->routes[at] = (struct http_route){
            .method = each->method, .pattern = each->pattern, .body_max = each->body_max};
        if (each->sink) {
            table->sinks[at] = *each->sink;
            table->sinks[at].begin = guard_begin;
            table->routes[at].sink = &table->sinks[at];
        } else {
            table->routes[at].handle = guard_handle;
        }
    }
}

void api_routes_new(struct api *api, const struct http_route **routes, size_t *count)
{
    static const struct api_route *const TABLES[] = {
        API_SITE_ROUTES,       API_BLOB_ROUTES,       API_DATA_ROUTES,  API_TOKEN_ROUTES,
        API_JOB_ROUTES,        API_TASK_ROUTES,       API_EVENT_ROUTES, API_WORKER_ROUTES,
        API_WORKER_KEY_ROUTES, API_FEDERATION_ROUTES, API_HUB_ROUTES,   API_PLAN_ROUTES,
        API_TRANSFER_ROUTES,   API_RESOLVE_ROUTES,    API_GROUP_ROUTES, API_INPUT_ROUTES,
    };
    struct api_table *table = NEW(struct api_table);
    for (size_t i = 0; i < sizeof TABLES / sizeof TABLES[0]; i++) {
        add_routes(table, TABLES[i]);
    }
    api->table = table;
    *routes = table->routes;
    *count = table->count;
}

void api_routes_free(struct api *api)
{
    free(TAKE(api->table));
}

const struct api_route *api_route_of(const struct api *api, const struct http_request *request)
{
    const struct http_route *route = request->route;
    assert(route >= api->table->routes && route < api->table->routes + api->table->count);
    return api->table->known[route - api->table->routes];
}
