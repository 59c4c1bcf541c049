#include "worker/serve.h"

#include "base/hex.h"
#include "base/memory.h"
#include "http/server.h"
#include "os/clock.h"
#include "os/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

enum { CONNECTIONS_MAX = 64, CODE_OK = 200, CODE_PART = 206 };

struct sharing {
    struct http_server *server;
    char *cache;
    char *url;
    struct fingerprint fingerprint;
    pthread_mutex_t mutex; // Guards the next two.
    struct digest key;
    bool has_key;
};

static void refuse(struct http_request *request, int code, const char *detail)
{
    struct http_response response = {
        .code = code, .content_type = "text/plain; charset=utf-8", .body = text_of(detail)};
    http_reply(request->exchange, &response);
}

static bool is_admitted(struct sharing *sharing, const struct http_request *request,
                        const struct digest *digest)
{
    struct text header = http_header(request, "Authorization");
    if (!text_starts_with(header, TEXT("Bearer "))) {
        return false;
    }
    struct text pass = text_slice(header, sizeof "Bearer " - 1, header.length);
    (void)pthread_mutex_lock(&sharing->mutex);
    bool has_key = sharing->has_key;
    struct digest key = sharing->key;
    (void)pthread_mutex_unlock(&sharing->mutex);
    return has_key && pass_is_good(&key, digest, pass, clock_real_us());
}

// "bytes=N-": what a worker asks for that has N bytes already. Anything else is the whole.
static int64_t first_byte(const struct http_request *request, int64_t size)
{
    struct text range = http_header(request, "Range");
    struct text said = text_slice(range, sizeof "bytes=" - 1, range.length);
    int64_t from = 0;
    bool is_rest = text_starts_with(range, TEXT("bytes=")) && text_ends_with(said, TEXT("-")) &&
                   text_to_int64(text_slice(said, 0, said.length - 1), &from);
    return is_rest && from > 0 && from < size ? from : 0;
}

static void get_blob(struct http_request *request, void *context)
{
    struct sharing *sharing = context;
    struct digest digest;
    struct stat info;
    if (digest_from_text(request->parameters[0], &digest, NULL) != OK ||
        !is_admitted(sharing, request, &digest)) {
        refuse(request, 403, "this needs a pass for this very file\n");
        return;
    }
    char text[DIGEST_TEXT_SIZE];
    char range[96];
    AUTO_FREE char *path = memory_format("%s/%s", sharing->cache,
                                         digest_to_text(&digest, text) + sizeof "sha256:" - 1);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0) {
        refuse(request, 404, "this worker does not have it any more\n");
        return;
    }
    int64_t from = first_byte(request, info.st_size);
    (void)snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, from,
                   (int64_t)info.st_size - 1, (int64_t)info.st_size);
    const struct http_field field = {"Content-Range", range};
    struct http_response response = {.code = from > 0 ? CODE_PART : CODE_OK,
                                     .content_type = "application/octet-stream",
                                     .fields = &field,
                                     .field_count = from > 0,
                                     .is_file = true,
                                     .file_fd = file_take_fd(&fd),
                                     .file_from = from,
                                     .file_length = info.st_size - from};
    http_reply(request->exchange, &response);
}

static const struct http_route ROUTES[] = {
    {.method = "GET", .pattern = "/v1/blobs/{digest}", .handle = get_blob}};

// The part before the port, when other machines can use it.
static enum status check_address(struct text address, struct text *host, struct error *error)
{
    size_t colon = address.length;
    while (colon > 0 && address.bytes[colon - 1] != ':') {
        colon--;
    }
    *host = text_slice(address, 0, colon > 0 ? colon - 1 : 0);
    bool is_any = text_equal(*host, TEXT("0.0.0.0")) || text_equal(*host, TEXT("[::]"));
    if (host->length > 0 && !is_any) {
        return OK;
    }
    (void)error_set(error, INVALID, "--serve \"%.*s\" is no address that other workers reach",
                    TEXT_ARGS(text_slice(address, 0, 80)));
    error_fix(error, "give one address of this machine, --serve 192.168.1.9:7744, or --serve auto");
    return INVALID;
}

static enum status start(struct sharing *sharing, const char *address, const char *keys,
                         struct error *error)
{
    struct text host;
    AUTO_FREE char *key = memory_format("%s/key.pem", keys);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", keys);
    TRY(check_address(text_of(address), &host, error));
    TRY(key_ensure(keys, "lode-worker", &sharing->fingerprint, error));
    const struct http_server_options options = {.address = address,
                                                .key_path = key,
                                                .certificate_path = certificate,
                                                .loops = 1,
                                                .routes = ROUTES,
                                                .route_count = sizeof ROUTES / sizeof ROUTES[0],
                                                .context = sharing,
                                                .connections_max = CONNECTIONS_MAX};
    TRY(http_server_start(&options, &sharing->server, error));
    sharing->url =
        memory_format("https://%.*s:%d", TEXT_ARGS(host), http_server_port(sharing->server));
    return OK;
}

enum status sharing_start(const char *address, const char *keys, const char *cache,
                          struct sharing **out, struct error *error)
{
    struct sharing *sharing = NEW(struct sharing);
    (void)pthread_mutex_init(&sharing->mutex, NULL);
    sharing->cache = memory_copy_string(cache);
    enum status status = start(sharing, address, keys, error);
    if (status != OK) {
        sharing_stop(sharing);
        return status;
    }
    *out = sharing;
    return OK;
}

void sharing_stop(struct sharing *sharing)
{
    if (!sharing) {
        return;
    }
    if (sharing->server) {
        http_server_stop(sharing->server, 0);
        http_server_free(sharing->server);
    }
    (void)pthread_mutex_destroy(&sharing->mutex);
    free(sharing->cache);
    free(sharing->url);
    free(sharing);
}

const char *sharing_url(const struct sharing *sharing)
{
    return sharing->url;
}

const char *sharing_fingerprint(const struct sharing *sharing)
{
    return sharing->fingerprint.text;
}

void sharing_set_key(struct sharing *sharing, const char *key)
{
    struct digest read;
    bool has_key = hex_decode(text_of(key), read.bytes, DIGEST_SIZE);
    (void)pthread_mutex_lock(&sharing->mutex);
    sharing->has_key = has_key;
    sharing->key = has_key ? read : sharing->key;
    (void)pthread_mutex_unlock(&sharing->mutex);
}
