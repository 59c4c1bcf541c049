// PUT, GET and HEAD /v1/blobs/{digest}: immutable bytes by their SHA-256.
#include "api/api.h"

#include "base/memory.h"
#include "queue/queue.h"
#include "queue/task_access.h"
#include "store/blobs.h"

#define BLOB_SIZE_MAX (INT64_C(1) << 40)

struct upload {
    struct api_call *call;
    struct digest digest;
    struct blob_writer *writer; // NULL when the blob is there already: what comes is dropped.
    int64_t size;
    struct error error;
};

static void reply_too_large(const struct api_call *call)
{
    AUTO_BUFFER struct buffer body = {0};
    const char *content_type = NULL;
    api_problem(413, "a blob has at most 1 TiB",
                "register larger files where they lie (lode data add), or send them in parts",
                &body, &content_type);
    const struct http_response response = {
        .code = 413, .content_type = content_type, .body = buffer_text(&body)};
    http_reply(call->request->exchange, &response);
}

static enum status begin_upload(struct upload *upload, struct error *error)
{
    struct api_call *call = upload->call;
    TRY(digest_from_text(call->request->parameters[0], &upload->digest, error));
    if (call->task) {
        // What is here already it must not learn by being spared the upload; nor must a runner below.
        TRY(task_access_spend(call->api->queue, call->task, 1, 0, error));
    } else if (call->principal.runner == RUNNER_SITE &&
               blob_exists(call->api->blobs, &upload->digest)) {
        return OK;
    }
    return blob_writer_new(call->api->blobs, &upload->writer, error);
}

static void *upload_begin(struct http_request *request, void *context)
{
    struct upload *upload = arena_new(request->arena, sizeof *upload);
    upload->call = context;
    struct error error = {0};
    int64_t announced = 0;
    if (text_to_int64(http_header(request, "Content-Length"), &announced) &&
        announced > BLOB_SIZE_MAX) {
        reply_too_large(upload->call);
        return NULL;
    }
    enum status status = begin_upload(upload, &error);
    if (status != OK) {
        error.status = status;
        api_reply_error(upload->call, &error);
        return NULL;
    }
    return upload;
}

static enum status append(struct upload *upload, struct text bytes)
{
    const struct api_call *call = upload->call;
    if (call->task) {
        TRY(task_access_spend(call->api->queue, call->task, 0, (int64_t)bytes.length,
                              &upload->error));
    }
    return blob_writer_append(upload->writer, bytes, &upload->error);
}

static bool upload_data(void *state, struct text bytes)
{
    struct upload *upload = state;
    upload->size += (int64_t)bytes.length;
    if (upload->size > BLOB_SIZE_MAX) {
        blob_writer_abort(TAKE(upload->writer));
        reply_too_large(upload->call);
        return false;
    }
    if (!upload->writer) {
        return true;
    }
    enum status status = append(upload, bytes);
    if (status != OK) {
        upload->error.status = status;
        blob_writer_abort(TAKE(upload->writer));
        api_reply_error(upload->call, &upload->error);
        return false;
    }
    return true;
}

static void reply_uploaded(struct upload *upload, int code)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO_BUFFER struct buffer body = {0};
    buffer_printf(&body, "{\"digest\":\"%s\"}\n", digest_to_text(&upload->digest, digest));
    api_reply_json(upload->call, code, buffer_text(&body));
}

static void upload_commit(void *context)
{
    struct upload *upload = context;
    enum status status =
        blob_writer_commit(TAKE(upload->writer), &upload->digest, NULL, NULL, &upload->error);
    const struct api_call *call = upload->call;
    if (status == OK && call->principal.runner != RUNNER_SITE) {
        status = queue_runner_uploaded(call->api->queue, call->principal.name, &upload->digest,
                                       &upload->error);
    }
    if (status != OK) {
        upload->error.status = status;
        api_reply_error(upload->call, &upload->error);
        return;
    }
    reply_uploaded(upload, 201);
}

static void upload_end(void *state, struct http_request *request)
{
    (void)request;
    struct upload *upload = state;
    if (!upload->writer) {
        reply_uploaded(upload, 200);
        return;
    }
    http_server_offload(upload->call->api->server, upload_commit, upload);
}

static void upload_abort(void *state)
{
    struct upload *upload = state;
    blob_writer_abort(TAKE(upload->writer));
}

static const struct http_sink UPLOAD = {upload_begin, upload_data, upload_end, upload_abort};

static void get_blob(struct api_call *call)
{
    struct error error = {0};
    struct digest digest;
    int fd = -1;
    int64_t size = 0;
    enum status status = digest_from_text(call->request->parameters[0], &digest, &error);
    if (status == OK) {
        status = blob_open(call->api->blobs, &digest, &fd, &size, &error);
    }
    if (status != OK) {
        error.status = status;
        api_reply_error(call, &error);
        return;
    }
    char tag[DIGEST_TEXT_SIZE];
    api_reply_file(call, fd, size, "application/octet-stream", digest_to_text(&digest, tag));
}

const struct api_route API_BLOB_ROUTES[] = {
    {.method = "PUT",
     .pattern = "/v1/blobs/{digest}",
     .action = ACTION_BLOB_WRITE,
     .sink = &UPLOAD},
    {.method = "GET",
     .pattern = "/v1/blobs/{digest}",
     .action = ACTION_BLOB_READ,
     .object = API_OBJECT_BLOB,
     .place = API_ON_POOL,
     .handle = get_blob},
    {.method = NULL},
};
