#include "fixture.h"

#include "../cmocka_all.h"
#include "base/memory.h"
#include "os/file.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void reply_text(struct http_exchange *exchange, int code, struct text body)
{
    struct http_response response = {.code = code, .content_type = "text/plain", .body = body};
    http_reply(exchange, &response);
}

static void change(struct seen *seen, int *value)
{
    pthread_mutex_lock(&seen->mutex);
    (*value)++;
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->mutex);
}

static void handle_hello(struct http_request *request, void *context)
{
    struct seen *seen = context;
    pthread_mutex_lock(&seen->mutex);
    (void)snprintf(seen->last_key, sizeof seen->last_key, "%s",
                   request->peer_key ? request->peer_key : "");
    (void)snprintf(seen->last_authorization, sizeof seen->last_authorization, "%.*s",
                   TEXT_ARGS(http_header(request, "Authorization")));
    pthread_mutex_unlock(&seen->mutex);
    struct text name = TEXT("world");
    (void)http_query(request, "name", &name);
    reply_text(request->exchange, 200,
               (struct text){arena_format(request->arena, "hello %.*s", TEXT_ARGS(name)),
                             name.length + 6});
}

static void handle_echo(struct http_request *request, void *context)
{
    (void)context;
    reply_text(request->exchange, 200, request->body);
}

static void handle_things(struct http_request *request, void *context)
{
    (void)context;
    char *body = arena_format(request->arena, "%.*s|%.*s", TEXT_ARGS(request->parameters[0]),
                              TEXT_ARGS(request->parameters[1]));
    reply_text(request->exchange, 200, text_of(body));
}

static void on_gone(void *context)
{
    struct seen *seen = context;
    change(seen, &seen->gone_count);
}

static void handle_wait(struct http_request *request, void *context)
{
    struct seen *seen = context;
    http_on_gone(request->exchange, on_gone, seen);
    pthread_mutex_lock(&seen->mutex);
    seen->waiting = request->exchange;
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->mutex);
}

static void handle_hold(struct http_request *request, void *context)
{
    struct seen *seen = context;
    pthread_mutex_lock(&seen->mutex);
    int number = ++seen->held_count;
    pthread_cond_broadcast(&seen->changed);
    while (seen->let_go < number) {
        pthread_cond_wait(&seen->changed, &seen->mutex);
    }
    pthread_mutex_unlock(&seen->mutex);
    reply_text(request->exchange, 200, TEXT("let go"));
}

static void handle_stream(struct http_request *request, void *context)
{
    (void)context;
    struct http_response head = {.code = 200, .content_type = "text/plain"};
    http_stream_begin(request->exchange, &head);
    (void)http_stream_write(request->exchange, TEXT("one "));
    (void)http_stream_write(request->exchange, TEXT("two"));
    http_stream_end(request->exchange);
}

static void handle_file(struct http_request *request, void *context)
{
    struct seen *seen = context;
    pthread_mutex_lock(&seen->mutex);
    struct http_response response = {
        .code = 200,
        .content_type = "application/octet-stream",
        .is_file = true,
        .file_fd = fcntl(seen->file_fd, F_DUPFD_CLOEXEC, 0),
        .file_from = 0,
        .file_length = seen->file_size,
    };
    pthread_mutex_unlock(&seen->mutex);
    http_reply(request->exchange, &response);
}

static void answer_offloaded(void *context)
{
    reply_text(context, 200, TEXT("from the pool"));
}

static void handle_offload(struct http_request *request, void *context)
{
    struct seen *seen = context;
    pthread_mutex_lock(&seen->mutex);
    struct http_server *server = seen->server;
    pthread_mutex_unlock(&seen->mutex);
    http_server_offload(server, answer_offloaded, request->exchange);
}

struct sink_state {
    struct seen *seen;
    struct http_exchange *exchange;
    bool is_refusing;
};

static void *sink_begin(struct http_request *request, void *context)
{
    struct seen *seen = context;
    if (text_equal(request->parameters[0], TEXT("refused"))) {
        reply_text(request->exchange, 409, TEXT("refused at once"));
        return NULL;
    }
    change(seen, &seen->sink_begun);
    struct sink_state *state = arena_new(request->arena, sizeof *state);
    state->seen = seen;
    state->exchange = request->exchange;
    state->is_refusing = text_equal(request->parameters[0], TEXT("refusing"));
    return state;
}

static bool sink_data(void *context, struct text bytes)
{
    struct sink_state *state = context;
    pthread_mutex_lock(&state->seen->mutex);
    state->seen->sink_bytes += (int64_t)bytes.length;
    pthread_mutex_unlock(&state->seen->mutex);
    if (state->is_refusing) {
        reply_text(state->exchange, 507, TEXT("no room"));
    }
    return !state->is_refusing;
}

static void sink_end(void *context, struct http_request *request)
{
    struct sink_state *state = context;
    change(state->seen, &state->seen->sink_ended);
    reply_text(request->exchange, 201, TEXT("stored"));
}

static void sink_abort(void *context)
{
    struct sink_state *state = context;
    change(state->seen, &state->seen->sink_aborted);
}

static const struct http_sink SINK = {sink_begin, sink_data, sink_end, sink_abort};

static const struct http_route ROUTES[] = {
    {.method = "GET", .pattern = "/hello", .handle = handle_hello},
    {.method = "POST", .pattern = "/echo", .handle = handle_echo, .body_max = 1024},
    {.method = "PUT", .pattern = "/sink/{name}", .sink = &SINK},
    {.method = "GET", .pattern = "/wait", .handle = handle_wait},
    {.method = "GET", .pattern = "/hold", .handle = handle_hold},
    {.method = "GET", .pattern = "/stream", .handle = handle_stream},
    {.method = "GET", .pattern = "/file", .handle = handle_file},
    {.method = "GET", .pattern = "/offload", .handle = handle_offload},
    {.method = "GET", .pattern = "/things/{a}/{b...}", .handle = handle_things},
};

static bool admit(struct http_request *request, void *context)
{
    (void)context;
    if (http_header(request, "X-Stranger").length == 0) {
        return true;
    }
    reply_text(request->exchange, 401, TEXT("who is it?"));
    return false;
}

void fixture_start(struct fixture *fixture, struct http_server_options options, bool has_tls)
{
    *fixture = (struct fixture){.folder = "/tmp/lode-http-XXXXXX"};
    fixture->seen.file_fd = -1;
    struct error error;
    pthread_mutex_init(&fixture->seen.mutex, NULL);
    pthread_cond_init(&fixture->seen.changed, NULL);
    assert_non_null(mkdtemp(fixture->folder));
    AUTO_FREE char *key = memory_format("%s/key.pem", fixture->folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", fixture->folder);
    if (has_tls) {
        assert_int_equal(key_ensure(fixture->folder, "test", &fixture->fingerprint, &error), OK);
        options.key_path = key;
        options.certificate_path = certificate;
    }
    options.address = "127.0.0.1:0";
    options.loops = options.loops > 0 ? options.loops : 2;
    options.context = &fixture->seen;
    options.admit = admit;
    options.routes = ROUTES;
    options.route_count = sizeof ROUTES / sizeof ROUTES[0];
    assert_int_equal(http_server_start(&options, &fixture->server, &error), OK);
    fixture->port = http_server_port(fixture->server);
    pthread_mutex_lock(&fixture->seen.mutex);
    fixture->seen.server = fixture->server;
    pthread_mutex_unlock(&fixture->seen.mutex);
    (void)snprintf(fixture->url, sizeof fixture->url, "http%s://127.0.0.1:%d", has_tls ? "s" : "",
                   fixture->port);
}

void fixture_stop_server(struct fixture *fixture, int64_t grace_us)
{
    if (!fixture->is_stopped) {
        http_server_stop(fixture->server, grace_us);
        fixture->is_stopped = true;
    }
}

void fixture_stop(struct fixture *fixture)
{
    fixture_stop_server(fixture, 0);
    http_server_free(fixture->server);
    if (fixture->seen.file_fd >= 0) {
        (void)close(fixture->seen.file_fd);
    }
    struct error error;
    assert_int_equal(file_remove_tree(fixture->folder, &error), OK);
    pthread_cond_destroy(&fixture->seen.changed);
    pthread_mutex_destroy(&fixture->seen.mutex);
}

void fixture_await_waiter(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->seen.mutex);
    while (!fixture->seen.waiting) {
        pthread_cond_wait(&fixture->seen.changed, &fixture->seen.mutex);
    }
    pthread_mutex_unlock(&fixture->seen.mutex);
}

void fixture_await(struct fixture *fixture, const int *value, int wanted)
{
    pthread_mutex_lock(&fixture->seen.mutex);
    while (*value != wanted) {
        pthread_cond_wait(&fixture->seen.changed, &fixture->seen.mutex);
    }
    pthread_mutex_unlock(&fixture->seen.mutex);
}

void fixture_let_go(struct fixture *fixture)
{
    change(&fixture->seen, &fixture->seen.let_go);
}

int64_t fixture_sink_bytes(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->seen.mutex);
    int64_t bytes = fixture->seen.sink_bytes;
    pthread_mutex_unlock(&fixture->seen.mutex);
    return bytes;
}

void fixture_last_key(struct fixture *fixture, char out[FINGERPRINT_SIZE])
{
    pthread_mutex_lock(&fixture->seen.mutex);
    memcpy(out, fixture->seen.last_key, FINGERPRINT_SIZE);
    pthread_mutex_unlock(&fixture->seen.mutex);
}

void fixture_last_authorization(struct fixture *fixture, char out[64])
{
    pthread_mutex_lock(&fixture->seen.mutex);
    memcpy(out, fixture->seen.last_authorization, sizeof fixture->seen.last_authorization);
    pthread_mutex_unlock(&fixture->seen.mutex);
}

int fixture_make_file(struct fixture *fixture, int64_t size)
{
    AUTO_FREE char *path = memory_format("%s/file", fixture->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, size), 0);
    pthread_mutex_lock(&fixture->seen.mutex);
    fixture->seen.file_fd = fd;
    fixture->seen.file_size = size;
    pthread_mutex_unlock(&fixture->seen.mutex);
    return fd;
}

void fixture_answer(struct fixture *fixture)
{
    fixture_await_waiter(fixture);
    pthread_mutex_lock(&fixture->seen.mutex);
    struct http_exchange *exchange = TAKE(fixture->seen.waiting);
    pthread_mutex_unlock(&fixture->seen.mutex);
    reply_text(exchange, 200, TEXT("waited"));
}

int raw_connect(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 10}; // So that a failing test ends.
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void raw_send(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; // The server has closed; its answer tells why.
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

void raw_read_all(int fd, struct buffer *out)
{
    ssize_t got;
    while ((got = read(fd, buffer_reserve(out, 65536), 65536)) > 0) {
        buffer_advance(out, (size_t)got);
    }
}

static bool is_whole(struct text answer)
{
    const char *end = answer.bytes ? strstr(answer.bytes, "\r\n\r\n") : NULL;
    if (!end) {
        return false;
    }
    const char *field = strstr(answer.bytes, "Content-Length: ");
    size_t body = field && field < end ? strtoul(field + 16, NULL, 10) : 0;
    return answer.length >= (size_t)(end + 4 - answer.bytes) + body;
}

void raw_read_answer(int fd, struct buffer *out)
{
    while (!is_whole(buffer_text(out))) {
        char byte;
        assert_int_equal(read(fd, &byte, 1), 1);
        buffer_append_byte(out, byte);
    }
}

int raw_code(struct text answer)
{
    int64_t code = 0;
    return text_starts_with(answer, TEXT("HTTP/1.1 ")) &&
                   text_to_int64(text_slice(answer, 9, 12), &code)
               ? (int)code
               : 0;
}
