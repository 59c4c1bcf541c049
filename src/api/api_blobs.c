// PUT, GET and HEAD /v1/blobs/{digest}: immutable bytes by their SHA-256.
#include "api/upload_count.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/queue.h"
#include "store/blobs.h"

#define BLOB_SIZE_MAX (INT64_C(1) << 40)

struct upload {
    struct api_call *call;
    struct digest digest;
    struct blob_writer *writer; // NULL when the blob is there already: what comes is dropped.
    struct upload_count count;  // With a writer.
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

// It came to nothing.
static void drop(struct upload *upload)
{
    if (upload->writer) {
        blob_writer_abort(TAKE(upload->writer));
        upload_count_end(&upload->count, NULL);
    }
}

// What the sender may not send is 413; 507 says that the site's disk is full, which passes.
static void refuse(struct upload *upload, enum status status, bool is_counted)
{
    upload->error.status = status;
    bool is_limit = is_counted && status == QUOTA && !upload->call->task;
    api_reply_error_as(upload->call, is_limit ? 413 : status_to_http(status), &upload->error);
}

// Is the blob here, and may the sender know? A task or a runner must not learn what is here by being spared an upload, but for what it has just sent.
static bool is_spared(const struct upload *upload)
{
    const struct api_call *call = upload->call;
    bool may_know = !call->task && call->principal.runner == RUNNER_SITE;
    bool has_sent = !may_know && !call->task &&
                    worker_upload_was_sent(call->api->queue, call->principal.name, &upload->digest,
                                           clock_steady_us());
    // On a loop, which waits for no removal: what is being removed comes as if it were not here.
    return (may_know || has_sent) && blob_try_claim(call->api->blobs, &upload->digest);
}

static bool begin_upload(struct upload *upload, int64_t announced)
{
    struct api_call *call = upload->call;
    enum status status =
        digest_from_text(call->request->parameters[0], &upload->digest, &upload->error);
    if (status == OK && is_spared(upload)) {
        return true;
    }
    bool is_known = status == OK;
    status =
        is_known ? upload_count_begin(&upload->count, call, announced, &upload->error) : status;
    if (status != OK) {
        refuse(upload, status, is_known);
        return false;
    }
    status = blob_writer_new(call->api->blobs, &upload->writer, &upload->error);
    if (status != OK) {
        upload_count_end(&upload->count, NULL);
        refuse(upload, status, false);
        return false;
    }
    if (call->task) {
        blob_writer_keep(upload->writer); // What the task prints may name it.
    }
    return true;
}

static void *upload_begin(struct http_request *request, void *context)
{
    struct upload *upload = arena_new(request->arena, sizeof *upload);
    upload->call = context;
    int64_t announced = 0;
    if (!text_to_int64(http_header(request, "Content-Length"), &announced) || announced < 0) {
        announced = 0;
    }
    if (announced > BLOB_SIZE_MAX) {
        reply_too_large(upload->call);
        return NULL;
    }
    return begin_upload(upload, announced) ? upload : NULL;
}

static bool upload_data(void *state, struct text bytes)
{
    struct upload *upload = state;
    upload->size += (int64_t)bytes.length;
    if (upload->size > BLOB_SIZE_MAX) {
        drop(upload);
        reply_too_large(upload->call);
        return false;
    }
    if (!upload->writer) {
        return true;
    }
    bool is_counted = false;
    enum status status = upload_count_grow(&upload->count, upload->size, &upload->error);
    if (status == OK) {
        is_counted = true;
        status = blob_writer_append(upload->writer, bytes, &upload->error);
    }
    if (status != OK) {
        drop(upload);
        refuse(upload, status, !is_counted);
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

static enum status commit(struct upload *upload)
{
    const struct api_call *call = upload->call;
    if (upload->writer) {
        TRY(blob_writer_commit(TAKE(upload->writer), &upload->digest, NULL, NULL, &upload->error));
    }
    return call->principal.runner == RUNNER_SITE
               ? OK
               : queue_runner_uploaded(call->api->queue, call->principal.name, &upload->digest,
                                       &upload->error);
}

static void upload_commit(void *context)
{
    struct upload *upload = context;
    bool is_counted = upload->writer != NULL;
    enum status status = commit(upload);
    if (is_counted) {
        upload_count_end(&upload->count, status == OK ? &upload->digest : NULL);
    }
    if (status != OK) {
        refuse(upload, status, false);
        return;
    }
    reply_uploaded(upload, 201);
}

static void upload_end(void *state, struct http_request *request)
{
    (void)request;
    struct upload *upload = state;
    if (!upload->writer && upload->call->principal.runner == RUNNER_SITE) {
        reply_uploaded(upload, 200);
        return;
    }
    http_server_offload(upload->call->api->server, upload_commit, upload);
}

static void upload_abort(void *state)
{
    drop(state);
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
        (void)blob_claim(call->api->blobs,
                         &digest); // Who is told that it is here need not send it.
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
