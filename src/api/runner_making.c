#include "api/runner_making.h"

#include "queue/queue.h"

#include <stdio.h>

static enum status take_owner(const struct api_call *call, struct runner *runner,
                              struct error *error)
{
    char owner[QUEUE_OWNER_MAX + 1];
    TRY(queue_job_owner(call->api->queue, runner->job, owner, error));
    if (runner->user[0] != '\0' && strcmp(runner->user, owner) != 0) {
        return error_set(error, INVALID, "job %lld is not one of %s", (long long)runner->job,
                         runner->user);
    }
    (void)snprintf(runner->user, sizeof runner->user, "%s", owner);
    return OK;
}

static enum status check_groups(const struct api_call *call, const struct runner *runner,
                                struct error *error)
{
    struct text rest = text_of(runner->groups);
    struct text name;
    while (rest.length > 0 && text_next_part(&rest, ',', &name)) {
        TRY(groups_may_use(call, arena_copy(call->request->arena, name), error));
    }
    return OK;
}

enum status runner_making_complete(const struct api_call *call, struct runner *runner,
                                   struct error *error)
{
    struct runner full = *runner;
    bool is_of_job = false;
    if (runner_is_of_job(full.kind) && full.job != 0) {
        TRY(take_owner(call, &full, error));
        is_of_job = true;
    } else if (runner_is_for_users(full.kind) && full.user[0] == '\0') {
        (void)snprintf(full.user, sizeof full.user, "%.*s", TEXT_ARGS(call->principal.name));
    }
    TRY(runner_check(&full, error));
    TRY(runner_is_for_users(full.kind)
            ? api_may(call, ACTION_RUNNER_MAKE, text_of(full.user), error)
            : api_may(call, ACTION_TOKEN_CHANGE, TEXT_NONE, error));
    TRY(check_groups(call, &full, error));
    if (is_of_job) {
        TRY(queue_job_lasts(call->api->queue, full.job, error)); // Else it would be refused.
    }
    *runner = full;
    return OK;
}

static void set_text(json_t *object, const char *name, const char *text)
{
    (void)json_object_set_new(object, name, *text ? json_from_text(text_of(text)) : json_null());
}

void runner_describe(const struct runner *runner, json_t *out)
{
    json_t *groups = json_array();
    struct text rest = text_of(runner->groups);
    struct text name;
    while (rest.length > 0 && text_next_part(&rest, ',', &name)) {
        (void)json_array_append_new(groups, json_from_text(name));
    }
    set_text(out, "class", runner_class_name(runner->kind));
    set_text(out, "user", runner->user);
    (void)json_object_set_new(out, "groups", groups);
    (void)json_object_set_new(out, "job", runner->job ? json_integer(runner->job) : json_null());
}
