#include "fetch/serve.h"

#include "base/hex.h"
#include "base/memory.h"
#include "http/server.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/listening.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, CODE_OK = 200, CODE_PART = 206 };

struct sharing {
    struct http_server *server; // NULL: it has not begun.
    int fd;                     // Holds the port before; -1 after that.
    char *cache;
    char *keys;
    char *host;
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
    error_fix(error, "give one address of this machine, --serve 192.168.1.9:7744, or --serve auto, "
                     "or --serve none");
    return INVALID;
}

static enum status prepare(struct sharing *sharing, const char *address, const char *keys,
                           struct error *error)
{
    struct text host;
    TRY(check_address(text_of(address), &host, error));
    TRY(key_ensure(keys, "lode-worker", &sharing->fingerprint, error));
    TRY(listening_reserve(address, &sharing->fd, error));
    sharing->host = text_copy(host);
    sharing->url = memory_format("https://%s:%d", sharing->host, listening_port(sharing->fd));
    return OK;
}

enum status sharing_new(const char *address, const char *keys, const char *cache,
                        struct sharing **out, struct error *error)
{
    struct sharing *sharing = NEW(struct sharing);
    (void)pthread_mutex_init(&sharing->mutex, NULL);
    sharing->fd = -1;
    sharing->cache = memory_copy_string(cache);
    sharing->keys = memory_copy_string(keys);
    enum status status = prepare(sharing, address, keys, error);
    if (status != OK) {
        sharing_stop(sharing);
        return status;
    }
    *out = sharing;
    return OK;
}

enum status sharing_begin(struct sharing *sharing, struct error *error)
{
    AUTO_FREE char *key = memory_format("%s/key.pem", sharing->keys);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", sharing->keys);
    TRY(listening_begin(sharing->fd, error));
    int fd = file_take_fd(&sharing->fd); // The server's from here on.
    const struct http_server_options options = {.fds = &fd,
                                                .fd_count = 1,
                                                .key_path = key,
                                                .certificate_path = certificate,
                                                .loops = 1,
                                                .routes = ROUTES,
                                                .route_count = sizeof ROUTES / sizeof ROUTES[0],
                                                .context = sharing,
                                                .connections_max = CONNECTIONS_MAX};
    return http_server_start(&options, &sharing->server, error);
}

bool sharing_has_begun(const struct sharing *sharing)
{
    return sharing->server;
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
    if (sharing->fd >= 0) {
        (void)close(sharing->fd);
    }
    (void)pthread_mutex_destroy(&sharing->mutex);
    free(sharing->cache);
    free(sharing->keys);
    free(sharing->host);
    free(sharing->url);
    free(sharing);
}

bool sharing_is_at(const struct sharing *sharing, const char *host)
{
    return strcmp(sharing->host, host) == 0;
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

bool sharing_has_key(struct sharing *sharing)
{
    (void)pthread_mutex_lock(&sharing->mutex);
    bool has_key = sharing->has_key;
    (void)pthread_mutex_unlock(&sharing->mutex);
    return has_key;
}
