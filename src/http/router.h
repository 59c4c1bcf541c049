// Which route serves a method and a path: "/v1/jobs/{id}" with {names}, and a last "{name...}" for the rest of a path.
#ifndef LODE_HTTP_ROUTER_H
#define LODE_HTTP_ROUTER_H

#include "http/server.h"

struct router;

// The routes must outlive the router. Patterns are programmers' text: a broken one ends the program.
struct router *router_new(const struct http_route *routes, size_t count);
void router_free(struct router *router);

enum router_outcome { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

// Finds the route; literal parts win over {names}, and those over "{name...}". Parameters are percent-decoded into the
// arena. HEAD is served by GET where it has no route of its own. ROUTER_NO_METHOD: *allowed lists the methods that the
// path has ("GET, HEAD"), for the Allow field.
enum router_outcome router_find(const struct router *router, struct text method, struct text path,
                                struct arena *arena, const struct http_route **route,
                                struct text parameters[HTTP_PARAMETERS_MAX], const char **allowed);

#endif
