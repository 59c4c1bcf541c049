// Groups: who works for what, and what that weighs. Changes are in the audit log; a weight takes effect at once.
#include "api/answer.h"
#include "api/audit.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "identity/groups.h"
#include "os/clock.h"
#include "store/store.h"

struct change {
    struct api_call *call;
    struct text group;
    struct text member;
    int64_t weight_millis;
    const char *what; // For the audit log.
    enum status (*run)(struct sql *sql, const struct change *change, struct error *error);
};

static enum status run_create(struct sql *sql, const struct change *change, struct error *error)
{
    return groups_create(sql, change->group, change->weight_millis, clock_real_us(), error);
}

static enum status run_weight(struct sql *sql, const struct change *change, struct error *error)
{
    return groups_set_weight(sql, change->group, change->weight_millis, error);
}

static enum status run_delete(struct sql *sql, const struct change *change, struct error *error)
{
    return groups_delete(sql, change->group, error);
}

static enum status run_add(struct sql *sql, const struct change *change, struct error *error)
{
    return groups_add_member(sql, change->group, change->member, error);
}

static enum status run_remove(struct sql *sql, const struct change *change, struct error *error)
{
    return groups_remove_member(sql, change->group, change->member, error);
}

static enum status write_change(struct sql *sql, void *context, struct error *error)
{
    const struct change *change = context;
    AUTO_FREE char *object =
        memory_format("group %.*s %s%s%.*s", TEXT_ARGS(change->group), change->what,
                      change->member.length > 0 ? " " : "", TEXT_ARGS(change->member));
    TRY(change->run(sql, change, error));
    return audit_change(sql, change->call, ACTION_GROUP_CHANGE, object, error);
}

static void visit_member(void *context, struct text member)
{
    (void)json_array_append_new(context, json_from_text(member));
}

// The members are read behind the groups, as one statement is under way already while those are visited.
static enum status describe(struct sql *sql, const struct group *group, json_t **out,
                            struct error *error)
{
    char created[CALENDAR_TEXT_SIZE];
    AUTO_JSON json_t *members = json_array();
    TRY(groups_members(sql, text_of(group->name), visit_member, members, error));
    *out = json_pack("{s:s, s:f, s:s, s:O}", "name", group->name, "weight",
                     (double)group->weight_millis / GROUP_WEIGHT_ONE, "created_at",
                     calendar_format(group->created_us, created), "members", members);
    return OK;
}

// Answers with the group as it is now.
static void answer_group(struct api_call *call, struct text name, int code)
{
    struct error error = {0};
    struct sql *sql = NULL;
    struct group group;
    json_t *document = NULL;
    enum status status = store_read_begin(call->api->store, &sql, &error);
    if (status == OK) {
        status = groups_find(sql, name, &group, &error);
        if (status == OK) {
            status = describe(sql, &group, &document, &error);
        }
        store_read_end(call->api->store, sql);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_value(call, code, document);
    }
}

static enum status read_weight(const json_t *document, enum json_need need, int64_t *out,
                               struct error *error)
{
    double weight = 1;
    TRY(json_field_double(document, "weight", need, 0.001,
                          (double)GROUP_WEIGHT_MAX / GROUP_WEIGHT_ONE, &weight, error));
    *out = (int64_t)(weight * GROUP_WEIGHT_ONE + 0.5);
    return OK;
}

static void tell_weight(const struct change *change)
{
    queue_set_group_weight(change->call->api->queue, change->group,
                           (double)change->weight_millis / GROUP_WEIGHT_ONE);
}

static void post_group(struct api_call *call)
{
    static const char *const FIELDS[] = {"name", "weight", NULL};
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    struct change change = {.call = call, .what = "created", .run = run_create};
    enum status status = api_body(call, &document, &error);
    if (status == OK) {
        status = json_check_fields(document, FIELDS, &error);
    }
    if (status == OK) {
        status =
            json_field_text(document, "name", JSON_REQUIRED, GROUP_NAME_MAX, &change.group, &error);
    }
    if (status == OK) {
        status = read_weight(document, JSON_OPTIONAL, &change.weight_millis, &error);
    }
    if (status == OK) {
        status = store_write_wait(call->api->store, write_change, &change, &error);
    }
    if (!answer_failure(call, status, &error)) {
        tell_weight(&change);
        answer_group(call, change.group, 201);
    }
}

static void put_weight(struct api_call *call)
{
    static const char *const FIELDS[] = {"weight", NULL};
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    struct change change = {.call = call, .what = "weighed", .run = run_weight};
    change.group = call->request->parameters[0];
    enum status status = api_body(call, &document, &error);
    if (status == OK) {
        status = json_check_fields(document, FIELDS, &error);
    }
    if (status == OK) {
        status = read_weight(document, JSON_REQUIRED, &change.weight_millis, &error);
    }
    if (status == OK) {
        status = store_write_wait(call->api->store, write_change, &change, &error);
    }
    if (!answer_failure(call, status, &error)) {
        tell_weight(&change);
        answer_group(call, change.group, 200);
    }
}

static void delete_group(struct api_call *call)
{
    struct error error = {0};
    struct change change = {.call = call,
                            .group = call->request->parameters[0],
                            .weight_millis = GROUP_WEIGHT_ONE,
                            .what = "deleted",
                            .run = run_delete};
    enum status status = store_write_wait(call->api->store, write_change, &change, &error);
    if (!answer_failure(call, status, &error)) {
        tell_weight(&change);
        api_reply_nothing(call);
    }
}

static void change_member(struct api_call *call, struct change change)
{
    struct error error = {0};
    change.call = call;
    change.group = call->request->parameters[0];
    change.member = call->request->parameters[1];
    enum status status = store_write_wait(call->api->store, write_change, &change, &error);
    if (!answer_failure(call, status, &error)) {
        answer_group(call, change.group, 200);
    }
}

static void put_member(struct api_call *call)
{
    change_member(call, (struct change){.what = "has member", .run = run_add});
}

static void delete_member(struct api_call *call)
{
    change_member(call, (struct change){.what = "lost member", .run = run_remove});
}

struct listing {
    struct group *groups;
    int64_t limit;
    int64_t count;
};

static void visit(void *context, const struct group *group)
{
    struct listing *listing = context;
    if (listing->count < listing->limit) {
        listing->groups[listing->count] = *group;
    }
    listing->count++;
}

static enum status list(struct sql *sql, const struct api_call *call, struct listing *listing,
                        json_t *out, struct error *error)
{
    struct group_filter filter = {.count_max = listing->limit + 1};
    (void)http_query(call->request, "cursor", &filter.after);
    if (api_may(call, ACTION_GROUP_CHANGE, TEXT_NONE, NULL) != OK) {
        filter.member = call->principal.name;
    }
    TRY(groups_list(sql, &filter, visit, listing, error));
    int64_t shown = listing->count < listing->limit ? listing->count : listing->limit;
    json_t *groups = json_array();
    (void)json_object_set_new(out, "groups", groups);
    for (int64_t i = 0; i < shown; i++) {
        json_t *group = NULL;
        TRY(describe(sql, &listing->groups[i], &group, error));
        (void)json_array_append_new(groups, group);
    }
    (void)json_object_set_new(out, "next",
                              listing->count > shown ? json_string(listing->groups[shown - 1].name)
                                                     : json_null());
    return OK;
}

static void list_groups(struct api_call *call)
{
    struct error error = {0};
    struct listing listing = {0};
    struct sql *sql = NULL;
    AUTO_JSON json_t *out = json_object();
    enum status status = api_query_limit(call, &listing.limit, &error);
    if (status == OK) {
        status = store_read_begin(call->api->store, &sql, &error);
    }
    if (status == OK) {
        listing.groups =
            arena_new(call->request->arena, (size_t)listing.limit * sizeof *listing.groups);
        status = list(sql, call, &listing, out, &error);
        store_read_end(call->api->store, sql);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_value(call, 200, json_incref(out));
    }
}

enum status groups_may_use(const struct api_call *call, const char *group, struct error *error)
{
    struct sql *sql = NULL;
    bool is_member = false;
    TRY(store_read_begin(call->api->store, &sql, error));
    enum status status =
        groups_is_member(sql, text_of(group), call->principal.name, &is_member, error);
    store_read_end(call->api->store, sql);
    TRY(status);
    status = api_may(call, ACTION_GROUP_USE, is_member ? call->principal.name : TEXT_NONE, NULL);
    if (status != OK) {
        (void)error_set(error, DENIED, "%.*s may not submit jobs for group \"%s\": not a member",
                        TEXT_ARGS(call->principal.name), group);
        error_fix(error, "an administrator may say: lode group add %s %.*s", group,
                  TEXT_ARGS(call->principal.name));
    }
    return status;
}

static const char *const PAGE[] = {"limit", "cursor", NULL};

#define GROUP_ROUTE(verb, path, handler)                                                           \
    {                                                                                              \
        .method = (verb), .pattern = "/v1/groups/{group}" path, .action = ACTION_GROUP_CHANGE,     \
        .place = API_ON_POOL, .handle = (handler), .body_max = API_JSON_MAX                        \
    }

const struct api_route API_GROUP_ROUTES[] = {
    {.method = "GET",
     .pattern = "/v1/groups",
     .action = ACTION_GROUP_LIST,
     .place = API_ON_POOL,
     .handle = list_groups,
     .query = PAGE},
    {.method = "POST",
     .pattern = "/v1/groups",
     .action = ACTION_GROUP_CHANGE,
     .place = API_ON_POOL,
     .handle = post_group,
     .body_max = API_JSON_MAX},
    GROUP_ROUTE("DELETE", "", delete_group),
    GROUP_ROUTE("PUT", "/weight", put_weight),
    GROUP_ROUTE("PUT", "/members/{member}", put_member),
    GROUP_ROUTE("DELETE", "/members/{member}", delete_member),
    {.method = NULL},
};
