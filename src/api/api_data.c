// Datasets: register, list, show, verify, remove, their files and bytes.
#include "api/api.h"

#include "api/answer.h"
#include "api/audit.h"
#include "api/dataset.h"
#include "api/documents.h"
#include "base/calendar.h"
#include "catalog/catalog.h"
#include "os/clock.h"
#include "transfer/transfer.h"

static json_t *json_of_time(int64_t time_us)
{
    char text[CALENDAR_TEXT_SIZE];
    return json_string(calendar_format(time_us, text));
}

static json_t *json_of_digest(bool has_digest, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    return has_digest ? json_string(digest_to_text(digest, text)) : json_null();
}

static json_t *json_of_string(const char *string)
{
    return json_from_text(text_of(string));
}

json_t *dataset_roots_json(const struct dataset *dataset)
{
    json_t *roots = json_array();
    for (size_t i = 0; i < dataset->root_count; i++) {
        const struct dataset_root *root = &dataset->roots[i];
        json_t *item = json_object();
        (void)json_object_set_new(item, "path", json_of_string(root->path));
        (void)json_object_set_new(item, "mount", json_of_string(root->mount));
        (void)json_object_set_new(item, "kind", json_string(root->is_folder ? "folder" : "file"));
        (void)json_array_append_new(roots, item);
    }
    return roots;
}

static json_t *json_of_aliases(const struct dataset *dataset)
{
    json_t *aliases = json_array();
    for (size_t i = 0; i < dataset->alias_count; i++) {
        (void)json_array_append_new(aliases, json_of_string(dataset->aliases[i]));
    }
    return aliases;
}

static bool is_under_survey(const struct dataset *dataset)
{
    return dataset->state == DATASET_REGISTERING || dataset->state == DATASET_VERIFYING;
}

static json_t *json_of_progress(const struct dataset *dataset)
{
    const struct dataset_progress *progress = &dataset->progress;
    if (!is_under_survey(dataset)) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I}", "files_done", (json_int_t)progress->files_done,
                     "files_total", (json_int_t)progress->files_total, "bytes_done",
                     (json_int_t)progress->bytes_done, "bytes_total",
                     (json_int_t)progress->bytes_total);
}

// Paths of the site's machine are for who works at the site: not for the users of other ones.
static bool may_see_paths(const struct api_call *call)
{
    return call->principal.role != ROLE_PEER;
}

static json_t *json_of_problem(const struct api_call *call, const struct dataset *dataset)
{
    struct arena *arena = call->request->arena;
    if (dataset->problem[0] == '\0') {
        return json_null();
    }
    if (!may_see_paths(call)) {
        return json_string("something is wrong with it: the site's users see what");
    }
    return json_of_string(dataset->fix[0] == '\0'
                              ? dataset->problem
                              : arena_format(arena, "%s: %s", dataset->problem, dataset->fix));
}

static json_t *json_of_dataset(const struct api_call *call, const struct dataset *dataset)
{
    json_t *item = json_object();
    (void)json_object_set_new(item, "id", json_of_string(dataset->id));
    (void)json_object_set_new(item, "aliases", json_of_aliases(dataset));
    (void)json_object_set_new(item, "title", json_of_string(dataset->title));
    (void)json_object_set_new(item, "owner", json_of_string(dataset->owner));
    (void)json_object_set_new(item, "state", json_string(dataset_state_name(dataset->state)));
    (void)json_object_set_new(item, "problem", json_of_problem(call, dataset));
    (void)json_object_set_new(item, "file_count", json_integer(dataset->file_count));
    (void)json_object_set_new(item, "size_bytes", json_integer(dataset->size_bytes));
    (void)json_object_set_new(item, "digest",
                              json_of_digest(dataset->has_digest, &dataset->digest));
    (void)json_object_set_new(item, "registered_at", json_of_time(dataset->registered_us));
    (void)json_object_set_new(item, "progress", json_of_progress(dataset));
    if (dataset->roots && may_see_paths(call)) {
        (void)json_object_set_new(item, "roots", dataset_roots_json(dataset));
    }
    return item;
}

// The entry of the audit log that goes with a change.
struct change {
    const struct api_call *call;
    const char *object;
};

static enum status write_audit(struct sql *sql, void *context, struct error *error)
{
    const struct change *change = context;
    return audit_change(sql, change->call, ACTION_DATA_CHANGE, change->object, error);
}

// `what` is done to the dataset `id`; texts from outside are judged by the catalogue before this is written.
static struct catalog_witness witness_of(const struct api_call *call, const char *what,
                                         struct text id)
{
    struct arena *arena = call->request->arena;
    struct change *change = arena_new(arena, sizeof *change);
    change->call = call;
    change->object = arena_format(arena, "%s dataset %s", what, arena_copy(arena, id));
    return (struct catalog_witness){.write = write_audit, .context = change};
}

static void reply_dataset(struct api_call *call, struct text id, int code)
{
    struct arena *arena = call->request->arena;
    struct error error = {0};
    struct dataset dataset;
    enum status status = catalog_find(call->api->catalog, id, arena, &dataset, &error);
    if (answer_failure(call, status, &error)) {
        return;
    }
    api_reply_value(call, code, json_of_dataset(call, &dataset));
}

static enum status register_dataset(struct api_call *call, struct dataset_request *request,
                                    bool *is_new, struct error *error)
{
    struct arena *arena = call->request->arena;
    AUTO_JSON json_t *body = NULL;
    TRY(api_body(call, &body, error));
    TRY(dataset_document_read(body, arena, request, error));
    // What outlives the document: the answer, and the entry of the audit log, name it.
    request->id = (struct text){arena_copy(arena, request->id), request->id.length};
    request->owner = call->principal.name;
    request->witness = witness_of(call, "register", request->id);
    return catalog_register(call->api->catalog, request, is_new, error);
}

static void post_dataset(struct api_call *call)
{
    struct dataset_request request = {0};
    struct error error = {0};
    bool is_new = false;
    enum status status = register_dataset(call, &request, &is_new, &error);
    if (answer_failure(call, status, &error)) {
        return;
    }
    reply_dataset(call, request.id, is_new ? 201 : 200);
}

// One more than the page is asked for, to know whether there is a next one.
static json_t *json_of_page(const char *name, json_t *items, const char *next)
{
    json_t *page = json_object();
    (void)json_object_set_new(page, name, items);
    (void)json_object_set_new(page, "next", next ? json_of_string(next) : json_null());
    return page;
}

static void get_datasets(struct api_call *call)
{
    struct arena *arena = call->request->arena;
    struct error error = {0};
    struct text prefix = TEXT_NONE;
    struct text cursor = TEXT_NONE;
    int64_t limit = 0;
    size_t count = 0;
    (void)http_query(call->request, "prefix", &prefix);
    (void)http_query(call->request, "cursor", &cursor);
    enum status status = api_query_limit(call, &limit, &error);
    struct dataset *datasets = arena_new(arena, ((size_t)limit + 1) * sizeof *datasets);
    if (status == OK) {
        status = catalog_list(call->api->catalog, prefix, cursor, (size_t)limit + 1, arena,
                              datasets, &count, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    json_t *items = json_array();
    size_t shown = count > (size_t)limit ? (size_t)limit : count;
    for (size_t i = 0; i < shown; i++) {
        (void)json_array_append_new(items, json_of_dataset(call, &datasets[i]));
    }
    const char *next = count > shown ? datasets[shown - 1].id : NULL;
    api_reply_value(call, 200, json_of_page("datasets", items, next));
}

static void answer_waiter(void *context)
{
    struct api_call *call = context;
    reply_dataset(call, call->request->parameters[0], 200);
}

static void get_dataset(struct api_call *call)
{
    struct catalog *catalog = call->api->catalog;
    struct arena *arena = call->request->arena;
    struct error error = {0};
    struct dataset dataset;
    int64_t wait_us = 0;
    int64_t ticket = catalog_ticket(catalog);
    enum status status = api_query_wait(call, &wait_us, &error);
    if (status == OK) {
        status = catalog_find(catalog, call->request->parameters[0], arena, &dataset, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    if (wait_us > 0 && is_under_survey(&dataset)) {
        catalog_watch(catalog, ticket, clock_steady_us() + wait_us, answer_waiter, call);
        return;
    }
    api_reply_value(call, 200, json_of_dataset(call, &dataset));
}

static json_t *json_of_file(const struct dataset_file *file)
{
    json_t *item = json_object();
    (void)json_object_set_new(item, "path", json_of_string(file->path));
    (void)json_object_set_new(item, "size_bytes", json_integer(file->size_bytes));
    (void)json_object_set_new(item, "modified_at", json_of_time(file->modified_us));
    (void)json_object_set_new(item, "digest", json_of_digest(file->has_digest, &file->digest));
    (void)json_object_set_new(item, "state", json_string(dataset_file_state_name(file->state)));
    return item;
}

static void get_files(struct api_call *call)
{
    struct catalog *catalog = call->api->catalog;
    struct arena *arena = call->request->arena;
    struct error error = {0};
    struct dataset dataset;
    struct text cursor = TEXT_NONE;
    int64_t limit = 0;
    size_t count = 0;
    (void)http_query(call->request, "cursor", &cursor);
    enum status status = api_query_limit(call, &limit, &error);
    if (status == OK) {
        status = catalog_find(catalog, call->request->parameters[0], arena, &dataset, &error);
    }
    struct dataset_file *files = arena_new(arena, ((size_t)limit + 1) * sizeof *files);
    if (status == OK) {
        status = catalog_files(catalog, dataset.number, cursor, (size_t)limit + 1, arena, files,
                               &count, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    json_t *items = json_array();
    size_t shown = count > (size_t)limit ? (size_t)limit : count;
    for (size_t i = 0; i < shown; i++) {
        (void)json_array_append_new(items, json_of_file(&files[i]));
    }
    const char *next = count > shown ? files[shown - 1].path : NULL;
    api_reply_value(call, 200, json_of_page("files", items, next));
}

static enum status open_content(struct api_call *call, int *fd, struct dataset_file *file,
                                struct error *error)
{
    struct catalog *catalog = call->api->catalog;
    const struct http_request *request = call->request;
    struct dataset dataset;
    TRY(catalog_find(catalog, request->parameters[0], request->arena, &dataset, error));
    return catalog_open_file(catalog, &dataset, request->parameters[1], fd, file, request->arena,
                             error);
}

// Names the content: by its digest or, until that is known, by what tells that the file is still the same.
static const char *content_tag(const struct dataset_file *file, struct arena *arena)
{
    if (file->has_digest) {
        return digest_to_text(&file->digest, arena_new(arena, DIGEST_TEXT_SIZE));
    }
    return arena_format(arena, "%lld-%lld-%lld", (long long)file->inode,
                        (long long)file->modified_us, (long long)file->size_bytes);
}

static void get_content(struct api_call *call)
{
    struct error error = {0};
    struct dataset_file file;
    int fd = -1;
    enum status status = open_content(call, &fd, &file, &error);
    if (answer_failure(call, status, &error)) {
        return;
    }
    api_reply_file(call, fd, file.size_bytes, "application/octet-stream",
                   content_tag(&file, call->request->arena));
}

static enum status verify_dataset(struct api_call *call, struct error *error)
{
    AUTO_JSON json_t *body = NULL;
    struct catalog_verify how = {0};
    TRY(api_body(call, &body, error));
    TRY(verify_document_read(body, &how, error));
    how.witness = witness_of(call, how.accept_changes ? "verify and accept" : "verify",
                             call->request->parameters[0]);
    return catalog_verify(call->api->catalog, call->request->parameters[0], how, error);
}

static void post_verify(struct api_call *call)
{
    struct error error = {0};
    enum status status = verify_dataset(call, &error);
    if (answer_failure(call, status, &error)) {
        return;
    }
    reply_dataset(call, call->request->parameters[0], 202);
}

// What Lode copied here itself goes with its registration.
static enum status remove_copies(struct api_call *call, const struct dataset *dataset,
                                 struct error *error)
{
    bool is_replica = strcmp(dataset->owner, TRANSFER_OWNER) == 0;
    for (size_t i = 0; is_replica && i < dataset->root_count; i++) {
        TRY(transfers_forget(call->api->transfers, text_of(dataset->roots[i].path), error));
    }
    return OK;
}

static void delete_dataset(struct api_call *call)
{
    struct error error = {0};
    struct dataset dataset;
    struct text id = call->request->parameters[0];
    enum status status =
        catalog_find(call->api->catalog, id, call->request->arena, &dataset, &error);
    if (status == OK) {
        status = catalog_remove(call->api->catalog, id, witness_of(call, "remove", id), &error);
    }
    if (status == OK) {
        status = remove_copies(call, &dataset, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    struct http_response response = {.code = 204};
    http_reply(call->request->exchange, &response);
}

static const char *const LIST_QUERY[] = {"prefix", "limit", "cursor", NULL};
static const char *const PAGE_QUERY[] = {"limit", "cursor", NULL};
static const char *const WAIT_QUERY[] = {"wait", NULL};

const struct api_route API_DATA_ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/datasets",
     .action = ACTION_DATA_CHANGE,
     .place = API_ON_POOL,
     .handle = post_dataset,
     .body_max = API_JSON_MAX},
    {.method = "GET",
     .pattern = "/v1/datasets",
     .action = ACTION_DATA_READ,
     .place = API_ON_POOL,
     .handle = get_datasets,
     .query = LIST_QUERY},
    {.method = "GET",
     .pattern = "/v1/datasets/{id}",
     .action = ACTION_DATA_READ,
     .place = API_ON_POOL,
     .handle = get_dataset,
     .query = WAIT_QUERY},
    {.method = "DELETE",
     .pattern = "/v1/datasets/{id}",
     .action = ACTION_DATA_CHANGE,
     .place = API_ON_POOL,
     .handle = delete_dataset},
    {.method = "GET",
     .pattern = "/v1/datasets/{id}/files",
     .action = ACTION_DATA_READ,
     .object = API_OBJECT_DATASET,
     .place = API_ON_POOL,
     .handle = get_files,
     .query = PAGE_QUERY},
    {.method = "GET",
     .pattern = "/v1/datasets/{id}/content/{path...}",
     .action = ACTION_DATA_READ,
     .object = API_OBJECT_DATASET,
     .place = API_ON_POOL,
     .handle = get_content},
    {.method = "POST",
     .pattern = "/v1/datasets/{id}/verify",
     .action = ACTION_DATA_CHANGE,
     .place = API_ON_POOL,
     .handle = post_verify,
     .body_max = API_JSON_MAX},
    {.method = NULL},
};
