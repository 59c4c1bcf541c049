// The one place that every request passes: who asks, and may they do that.
#ifndef LODE_API_GUARD_H
#define LODE_API_GUARD_H

#include "http/server.h"

// The handler of all routes without a sink; `context` is the struct api.
void guard_handle(struct http_request *request, void *context);

// For http_server_options.admit: lets nobody fill the memory who has shown no valid token.
bool guard_admit(struct http_request *request, void *context);

// The `begin` of all sinks: lets the route's own begin have it, or answers and returns NULL.
void *guard_begin(struct http_request *request, void *context);

#endif
