#include "api/audit.h"

#include "identity/audit.h"
#include "os/clock.h"

#include <stdio.h>

enum { OBJECT_SIZE = 80 };

struct change {
    const struct api_call *call;
    const char *what;
};

enum status audit_change(struct sql *sql, const struct api_call *call, enum action action,
                         const char *object, struct error *error)
{
    struct audit_entry entry = {
        .principal = call->principal.name,
        .action = text_of(action_name(action)),
        .object = text_of(object),
        .reason = text_of(call->reason),
    };
    return audit_append(sql, &entry, clock_real_us(), error);
}

static enum status write_entry(struct sql *sql, void *context, int64_t number, struct error *error)
{
    const struct change *change = context;
    const struct api_call *call = change->call;
    char object[OBJECT_SIZE];
    (void)snprintf(object, sizeof object, "%s %lld", change->what, (long long)number);
    return audit_change(sql, call, call->route->action, object, error);
}

struct queue_witness audit_witness(struct api_call *call, const char *what)
{
    struct change *change = arena_new(call->request->arena, sizeof *change);
    *change = (struct change){.call = call, .what = what};
    return (struct queue_witness){.write = write_entry, .context = change};
}
