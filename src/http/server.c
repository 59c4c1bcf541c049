#include "http/server.h"

#include "base/memory.h"
#include "http/connection.h"
#include "http/server_parts.h"
#include "http/tls.h"
#include "os/clock.h"
#include "os/listening.h"
#include "os/thread.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 16, // New connections at once, before others have their turn.
    // A loop gets ten times the share of a thread that stands back so far.
    BACKGROUND_STEPS_BACK = 10,
    LOOPS_MAX = 256,
    CONNECTIONS_MAX = 20000,
    HEADER_TIMEOUT_US = 10000000,
    IDLE_TIMEOUT_US = 120000000,
    PAUSE_US = 100000,
    KEEPALIVE_IDLE_SECONDS = 60,
    KEEPALIVE_INTERVAL_SECONDS = 15,
};

// A new connection on its way to its loop.
struct arrival {
    struct mail mail;
    int fd;
    char address[ADDRESS_SIZE];
};

static void deliver_arrival(struct loop *loop, struct mail *mail)
{
    struct arrival *arrival = (struct arrival *)mail;
    http_connection_open(loop, arrival->fd, arrival->address);
    free(arrival);
}

static struct loop *least_busy(const struct http_server *server)
{
    struct loop *best = server->loops[0];
    for (size_t i = 1; i < server->loop_count; i++) {
        if (atomic_load(&server->loops[i]->connection_count) <
            atomic_load(&best->connection_count)) {
            best = server->loops[i];
        }
    }
    return best;
}

static void take_connection(struct http_server *server, int fd, const struct sockaddr *address,
                            socklen_t length)
{
    if (atomic_load(&server->connection_count) >= server->connections_max) {
        (void)close(fd);
        return;
    }
    struct arrival *arrival = NEW(struct arrival);
    arrival->mail.deliver = deliver_arrival;
    arrival->fd = fd;
    if (address->sa_family == AF_UNIX ||
        getnameinfo(address, length, arrival->address, sizeof arrival->address, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        (void)snprintf(arrival->address, sizeof arrival->address, "local");
    }
    struct loop *loop = least_busy(server);
    atomic_fetch_add(&server->connection_count, 1);
    atomic_fetch_add(&loop->connection_count, 1);
    if (loop_is_here(loop)) {
        deliver_arrival(loop, &arrival->mail);
    } else {
        loop_post(loop, &arrival->mail);
    }
}

static void on_acceptable(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct listener *listener = context;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int taken = accept4(fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (taken >= 0) {
            take_connection(listener->server, taken, (struct sockaddr *)&address, length);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // It would be reported over and over: wait until other connections have ended.
            const struct timeval pause = {.tv_usec = PAUSE_US};
            (void)event_del(listener->event);
            (void)event_add(listener->pause, &pause);
        }
        if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void on_pause_end(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct listener *listener = context;
    (void)event_add(listener->event, NULL);
}

// Options of a listening socket that its connections inherit: small answers go at once (over TLS they took 48 ms
// without it), and clients that vanished are noticed.
static void prepare_socket(int fd)
{
    const int on = 1;
    const int idle = KEEPALIVE_IDLE_SECONDS;
    const int interval = KEEPALIVE_INTERVAL_SECONDS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)evutil_make_socket_nonblocking(fd);
}

// First of all: sockets that were handed over are the server's then, and closed with it, whatever fails.
static enum status open_sockets(struct http_server *server,
                                const struct http_server_options *options, struct error *error)
{
    size_t count = options->address ? 1 : options->fd_count;
    if (count == 0) {
        return error_set(error, INVALID, "there is no address to listen at");
    }
    server->listeners = memory_new(count, sizeof *server->listeners);
    if (options->address) {
        TRY(listening_open(options->address, &server->listeners[0].fd, error));
    }
    server->listener_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!options->address) {
            server->listeners[i].fd = options->fds[i];
        }
        prepare_socket(server->listeners[i].fd);
    }
    server->port = listening_port(server->listeners[0].fd);
    return OK;
}

static enum status watch_sockets(struct http_server *server, struct error *error)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        struct event_base *base = server->loops[0]->base;
        listener->server = server;
        listener->event =
            event_new(base, listener->fd, EV_READ | EV_PERSIST, on_acceptable, listener);
        listener->pause = event_new(base, -1, 0, on_pause_end, listener);
        if (!listener->event || !listener->pause || event_add(listener->event, NULL) < 0) {
            return error_set(error, INTERNAL, "cannot watch the listening socket");
        }
    }
    return OK;
}

// How many threads there are for the processors of the machine.
static unsigned one_each(unsigned max)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (unsigned long)cores < max ? (unsigned)cores : max;
}

static enum status make_pools(struct http_server *server, struct error *error)
{
    const struct offload_options pool = {.name = "http-offload", .threads = HTTP_POOL_THREADS};
    const struct offload_options background = {.name = "http-background",
                                               .threads = one_each(HTTP_BACKGROUND_THREADS_MAX),
                                               .steps_back = BACKGROUND_STEPS_BACK};
    TRY(offload_new(&pool, &server->offload, error));
    return offload_new(&background, &server->background, error);
}

static enum status make_loops(struct http_server *server, unsigned wanted, struct error *error)
{
    size_t count = wanted > 0 && wanted < LOOPS_MAX ? wanted : one_each(LOOPS_MAX);
    server->loops = memory_new(count, sizeof(struct loop *));
    for (size_t i = 0; i < count; i++) {
        TRY(loop_new(server, &server->loops[i], error));
        server->loop_count++;
    }
    return OK;
}

static void free_listeners(struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].event) {
            event_free(server->listeners[i].event);
        }
        if (server->listeners[i].pause) {
            event_free(server->listeners[i].pause);
        }
        (void)close(server->listeners[i].fd);
    }
    server->listener_count = 0;
    free(TAKE(server->listeners));
}

void http_server_free(struct http_server *server)
{
    if (!server) {
        return;
    }
    free_listeners(server);
    offload_free(server->offload);
    offload_free(server->background);
    for (size_t i = 0; i < server->loop_count; i++) {
        loop_deliver(server->loops[i]);
        while (server->loops[i]->exchanges) {
            exchange_free(server->loops[i]->exchanges);
        }
        loop_free(server->loops[i]);
    }
    free(server->loops);
    router_free(server->router);
    SSL_CTX_free(server->tls);
    pthread_cond_destroy(&server->is_empty);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

static struct http_server *server_new(const struct http_server_options *options)
{
    struct http_server *server = NEW(struct http_server);
    condition_init(&server->is_empty);
    pthread_mutex_init(&server->mutex, NULL);
    server->router = router_new(options->routes, options->route_count);
    server->context = options->context;
    server->admit = options->admit;
    server->problem = options->problem;
    server->header_timeout_us =
        options->header_timeout_us > 0 ? options->header_timeout_us : HEADER_TIMEOUT_US;
    server->idle_timeout_us =
        options->idle_timeout_us > 0 ? options->idle_timeout_us : IDLE_TIMEOUT_US;
    server->connections_max =
        options->connections_max > 0 ? options->connections_max : CONNECTIONS_MAX;
    return server;
}

static enum status prepare(struct http_server *server, const struct http_server_options *options,
                           struct error *error)
{
    TRY(open_sockets(server, options, error));
    if (options->key_path) {
        TRY(tls_context_new(options->key_path, options->certificate_path, options->authority_path,
                            &server->tls, error));
    }
    TRY(make_pools(server, error));
    TRY(make_loops(server, options->loops, error));
    TRY(watch_sockets(server, error));
    // The first loop, which accepts, comes last: by then the others are there to be given connections.
    for (size_t i = server->loop_count; i > 0; i--) {
        TRY(loop_start(server->loops[i - 1], error));
    }
    return OK;
}

enum status http_server_start(const struct http_server_options *options, struct http_server **out,
                              struct error *error)
{
    struct http_server *server = server_new(options);
    if (options->started) {
        *options->started = server;
    }
    enum status status = prepare(server, options, error);
    if (status != OK) {
        if (options->started) {
            *options->started = NULL;
        }
        for (size_t i = 0; i < server->loop_count; i++) {
            loop_join(server->loops[i]);
        }
        http_server_free(server);
        return status;
    }
    *out = server;
    return OK;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

size_t http_server_addresses(const struct http_server *server, struct sockaddr_storage *out,
                             size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < server->listener_count && count < max; i++) {
        socklen_t length = sizeof out[count];
        if (getsockname(server->listeners[i].fd, (struct sockaddr *)&out[count], &length) == 0) {
            count++;
        }
    }
    return count;
}

static void post(struct loop *loop, void (*deliver)(struct loop *loop, struct mail *mail))
{
    struct mail *mail = NEW(struct mail);
    mail->deliver = deliver;
    loop_post(loop, mail);
}

static void drain(struct loop *loop, struct mail *mail)
{
    free(mail);
    loop->is_draining = true;
    struct http_server *server = loop->server;
    for (size_t i = 0; loop == server->loops[0] && i < server->listener_count; i++) {
        (void)event_del(server->listeners[i].event);
        (void)event_del(server->listeners[i].pause);
    }
    struct connection *next;
    for (struct connection *at = loop->connections; at; at = next) {
        next = at->next;
        http_connection_drain(at);
    }
}

static void drop_all(struct loop *loop, struct mail *mail)
{
    free(mail);
    while (loop->connections) {
        http_connection_drop(loop->connections);
    }
}

void http_server_stop(struct http_server *server, int64_t grace_us)
{
    for (size_t i = 0; i < server->loop_count; i++) {
        post(server->loops[i], drain);
    }
    int64_t until_us = clock_steady_us() + grace_us;
    pthread_mutex_lock(&server->mutex);
    while (atomic_load(&server->connection_count) > 0 &&
           condition_wait_until(&server->is_empty, &server->mutex, until_us)) {
    }
    pthread_mutex_unlock(&server->mutex);
    // The loops before the pool, as their handlers hand work to it; what that answers then waits in the mailboxes.
    for (size_t i = 0; i < server->loop_count; i++) {
        post(server->loops[i], drop_all);
        loop_join(server->loops[i]);
    }
    free_listeners(server);
    offload_stop(server->offload);
    offload_stop(server->background);
}

void http_server_offload(struct http_server *server, void (*run)(void *context), void *context)
{
    offload_run(server->offload, run, context);
}

void http_server_background(struct http_server *server, void (*run)(void *context), void *context)
{
    offload_run(server->background, run, context);
}
