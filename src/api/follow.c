#include "api/follow.h"

#include <stdatomic.h>

// One thread looks at a time: the one that raises `pending` from nothing. A change meanwhile makes it look once more.
static void run(void *context)
{
    struct follow *follow = context;
    unsigned seen = atomic_load(&follow->pending);
    for (;;) {
        if (follow->look(follow)) {
            queue_unwatch(follow->call->api->queue, follow->watch);
            follow->end(follow);
            return;
        }
        if (atomic_compare_exchange_strong(&follow->pending, &seen, 0)) {
            return;
        }
    }
}

static void changed(void *context)
{
    struct follow *follow = context;
    if (atomic_fetch_add(&follow->pending, 1) == 0) {
        http_server_offload(follow->call->api->server, run, follow);
    }
}

void follow_start(struct follow *follow)
{
    queue_watch_job(follow->call->api->queue, follow->job, follow->until_us, changed, follow,
                    &follow->watch);
}
