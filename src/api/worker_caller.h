// A worker that shows its key instead of a token: what its connection says of it, and its name as a principal.
#ifndef LODE_API_WORKER_CALLER_H
#define LODE_API_WORKER_CALLER_H

#include "api/api.h"
#include "identity/known_workers.h"

// Borrows from the request, which has a peer_key.
struct worker_caller worker_caller_of(const struct http_request *request);

// The call is from this accepted worker.
void worker_caller_take(struct api_call *call, const struct known_worker *worker);

// The name of a worker as a principal, in the arena: "worker:desk-2".
char *worker_principal_name(struct arena *arena, const char *name);

#endif
