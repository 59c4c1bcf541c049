// Input files for workers that do not see them by path: of exactly the data of jobs that they have been told of.
#include "api/answer.h"

#include "catalog/catalog.h"
#include "os/file.h"

#include <stdatomic.h>

enum { SOURCE_BODY_MAX = 4096 };

struct input_request {
    struct api_call *call;
    int64_t worker;
    int64_t job;
    struct text name; // Of the data in the job,
    struct text path; // and of the file in the data.
    struct digest digest;
    struct error refusal;
};

static enum status read_request(struct api_call *call, struct input_request *out,
                                struct error *error)
{
    struct text digest = TEXT_NONE;
    out->call = call;
    out->name = call->request->parameters[2];
    out->path = call->request->parameters[3];
    TRY(api_parameter_int64(call, 0, "worker", &out->worker, error));
    TRY(api_parameter_int64(call, 1, "job", &out->job, error));
    if (!http_query(call->request, "digest", &digest)) {
        return error_set(error, INVALID, "the query parameter \"digest\" is missing");
    }
    return digest_from_text(digest, &out->digest, error);
}

static enum status open_input(const struct input_request *input, int *fd, int64_t *size,
                              struct error *error)
{
    const struct api *api = input->call->api;
    struct arena *arena = input->call->request->arena;
    const char *id = NULL;
    struct dataset dataset;
    struct dataset_file file;
    TRY(queue_job_data(api->queue, input->job, input->name, arena, &id, error));
    TRY(catalog_find(api->catalog, text_of(id), arena, &dataset, error));
    TRY(catalog_open_file(api->catalog, &dataset, input->path, fd, &file, arena, error));
    *size = file.size_bytes;
    if (!file.has_digest || !digest_equal(&file.digest, &input->digest)) {
        file_close_local(fd);
        (void)error_set(error, CONFLICT,
                        "input file %.200s is registered with another content now than when the "
                        "job was submitted",
                        file.path);
        error_fix(error, "submit the job again");
        return CONFLICT;
    }
    return OK;
}

static void send_input(void *context)
{
    const struct input_request *input = context;
    struct api *api = input->call->api;
    struct error error = {0};
    char tag[DIGEST_TEXT_SIZE];
    int fd = -1;
    int64_t size = 0;
    enum status status = open_input(input, &fd, &size, &error);
    if (!answer_failure(input->call, status, &error)) {
        atomic_fetch_add(&api->input_files_sent, 1);
        api_reply_counted_file(input->call, fd, size, digest_to_text(&input->digest, tag),
                               &api->input_bytes_sent);
    }
}

static void refuse_input(void *context)
{
    struct input_request *input = context;
    api_reply_error(input->call, &input->refusal);
}

// On the writer's thread, which is not to wait for files.
static void take_answer(void *context, enum status status, const struct error *error,
                        struct text document)
{
    struct input_request *input = context;
    (void)document;
    if (status != OK) {
        input->refusal = *error;
        input->refusal.status = status;
        refuse_input(input);
        return;
    }
    http_server_offload(input->call->api->server, send_input, input);
}

static void get_input(struct api_call *call)
{
    struct error error = {0};
    struct input_request *input = arena_new(call->request->arena, sizeof *input);
    enum status status = read_request(call, input, &error);
    if (!answer_failure(call, status, &error)) {
        queue_check_told(call->api->queue, input->worker, call->principal.name, input->job,
                         (struct queue_answer){take_answer, input});
    }
}

static enum status read_workers(const json_t *body, const char *name, int64_t *out, size_t *count,
                                struct error *error)
{
    json_t *workers = NULL;
    TRY(json_field_array(body, name, JSON_OPTIONAL, QUEUE_FAILED_MAX, &workers, error));
    for (size_t i = 0; i < json_array_size(workers); i++) {
        const json_t *worker = json_array_get(workers, i);
        if (!json_is_integer(worker)) {
            return error_set(error, INVALID, "\"%s\" has something that is no worker's number",
                             name);
        }
        out[(*count)++] = json_integer_value(worker);
    }
    return OK;
}

static enum status read_source(const struct api_call *call, struct queue_source_request *out,
                               struct error *error)
{
    static const char *const FIELDS[] = {"job", "digest", "failed", "unreached", "has_it", NULL};
    AUTO_JSON json_t *body = NULL;
    struct text digest;
    TRY(api_parameter_int64(call, 0, "worker", &out->worker, error));
    TRY(api_body(call, &body, error));
    TRY(json_check_fields(body, FIELDS, error));
    TRY(json_field_int64(body, "job", JSON_REQUIRED, 1, INT64_MAX, &out->job, error));
    TRY(json_field_text(body, "digest", JSON_REQUIRED, DIGEST_TEXT_SIZE, &digest, error));
    TRY(digest_from_text(digest, &out->digest, error));
    TRY(json_field_bool(body, "has_it", JSON_OPTIONAL, &out->has_it, error));
    TRY(read_workers(body, "failed", out->failed, &out->failed_count, error));
    TRY(read_workers(body, "unreached", out->unreached, &out->unreached_count, error));
    (void)snprintf(out->address, sizeof out->address, "%.*s",
                   TEXT_ARGS(call->request->peer_address));
    out->owner = call->principal.name;
    return OK;
}

static void post_sources(struct api_call *call)
{
    struct error error = {0};
    struct queue_source_request request = {0};
    enum status status = read_source(call, &request, &error);
    if (!answer_failure(call, status, &error)) {
        queue_find_source(call->api->queue, &request, answer_ok(call));
    }
}

static const char *const DIGEST[] = {"digest", NULL};

const struct api_route API_INPUT_ROUTES[] = {
    {.method = "GET",
     .pattern = "/v1/workers/{worker}/jobs/{job}/data/{name}/{path...}",
     .action = ACTION_WORKER_POLL,
     .handle = get_input,
     .query = DIGEST},
    {.method = "POST",
     .pattern = "/v1/workers/{worker}/sources",
     .action = ACTION_WORKER_POLL,
     .handle = post_sources,
     .body_max = SOURCE_BODY_MAX},
    {.method = NULL},
};
