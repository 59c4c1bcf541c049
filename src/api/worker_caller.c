#include "api/worker_caller.h"

#include "os/address.h"

struct worker_caller worker_caller_of(const struct http_request *request)
{
    return (struct worker_caller){
        .key = request->peer_key,
        .certified = request->peer_name,
        .address = request->peer_address,
        .is_near = address_text_is_private(request->peer_address),
    };
}

char *worker_principal_name(struct arena *arena, const char *name)
{
    return arena_format(arena, "worker:%s", name);
}

void worker_caller_take(struct api_call *call, const struct known_worker *worker)
{
    struct arena *arena = call->request->arena;
    struct runner *runner = arena_new(arena, sizeof *runner);
    *runner = worker->runner;
    call->runner = runner;
    call->principal =
        (struct principal){.name = text_of(worker_principal_name(arena, worker->name)),
                           .role = ROLE_WORKER,
                           .runner = runner->kind};
}
