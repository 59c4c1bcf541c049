// Many TLS connections at once, while a probe on established connections measures at a fixed rate how long it waits.
//
// Latencies count from the moment that a request was due, not from when it could be sent, so a server that stands still for
// 100 ms is seen in all requests that were due meanwhile. The server and the probe run at a higher priority where that is
// allowed: in life the storm is made by other machines, which take no time of the server's processors.
#include "base/memory.h"
#include "http_bench.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 2,
    PROBES = 8,          // Established connections, so that each loop has some.
    INTERVAL_US = 20000, // Of each of them.
    CONNECT_US = 300000, // Until they are all there.
    CALM_US = 1000000,   // Before the storm, to compare.
    SAMPLES_MAX = 10000,
    EVENTS = 256,
    FIRST = -20, // Priorities.
    SECOND = -15,
    STORM_TIMEOUT_US = 60000000,
};

static const char REQUEST[] =
    "GET /v1/resolve/sha256:0123456789abcdef HTTP/1.1\r\nHost: bench\r\n\r\n";

struct storm {
    const struct bench_server *server;
    SSL_CTX *context;
    size_t count; // Connections of this thread.
    size_t done;
    size_t failed;
    int64_t *ends_us; // When each was answered, from the beginning.
};

struct client {
    int fd;
    SSL *ssl;
    bool has_asked;
    bool is_over;
};

static struct sockaddr_in address_of(const struct bench_server *server)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)server->ports[0]),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void client_open(struct storm *storm, struct client *client, int poll_fd)
{
    struct sockaddr_in address = address_of(storm->server);
    const int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        bench_fail("no more sockets");
    }
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)connect(client->fd, (struct sockaddr *)&address, sizeof address);
    client->ssl = SSL_new(storm->context);
    (void)SSL_set_fd(client->ssl, client->fd);
    SSL_set_connect_state(client->ssl);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    (void)epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

// Goes on as far as it can: handshake, request, answer.
static void client_advance(struct storm *storm, struct client *client, int64_t began_us)
{
    char answer[8192];
    int result = SSL_do_handshake(client->ssl);
    if (result == 1 && !client->has_asked) {
        result = SSL_write(client->ssl, REQUEST, sizeof REQUEST - 1);
        client->has_asked = result > 0;
    }
    if (result > 0) {
        result = SSL_read(client->ssl, answer, sizeof answer);
    }
    if (result > 0) {
        storm->ends_us[storm->done++] = clock_steady_us() - began_us;
        client->is_over = true;
        return;
    }
    int reason = SSL_get_error(client->ssl, result);
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE &&
        !(reason == SSL_ERROR_SYSCALL && errno == ENOTCONN)) {
        storm->failed++;
        client->is_over = true;
    }
}

static void *run_storm(void *context)
{
    struct storm *storm = context;
    struct epoll_event events[EVENTS];
    struct client *clients = memory_new(storm->count, sizeof *clients);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    int64_t began_us = clock_steady_us();
    for (size_t i = 0; i < storm->count; i++) {
        client_open(storm, &clients[i], poll_fd);
    }
    while (storm->done + storm->failed < storm->count &&
           clock_steady_us() - began_us < STORM_TIMEOUT_US) {
        int ready = epoll_wait(poll_fd, events, EVENTS, 100);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (!client->is_over) {
                client_advance(storm, client, began_us);
            }
        }
    }
    for (size_t i = 0; i < storm->count; i++) {
        SSL_free(clients[i].ssl);
        (void)close(clients[i].fd);
    }
    free(clients);
    (void)close(poll_fd);
    return NULL;
}

struct probe {
    const struct bench_server *server;
    SSL_CTX *context;
    int64_t begin_us; // When its first request is due.
    _Atomic bool *is_over;
    int64_t latencies_us[SAMPLES_MAX];
    size_t count;
};

static SSL *probe_connect(const struct probe *probe)
{
    struct sockaddr_in address = address_of(probe->server);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(probe->context);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || SSL_set_fd(ssl, fd) != 1 ||
        SSL_connect(ssl) != 1) {
        bench_fail("the probe cannot connect");
    }
    return ssl;
}

static void *run_probe(void *context)
{
    struct probe *probe = context;
    char answer[8192];
    SSL *ssl = probe_connect(probe);
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), FIRST);
    int64_t due_us = probe->begin_us;
    for (size_t i = 0; !atomic_load(probe->is_over) && i < SAMPLES_MAX; i++) {
        int64_t wait_us = due_us - clock_steady_us();
        if (wait_us > 0) {
            const struct timespec wait = {.tv_sec = wait_us / 1000000,
                                          .tv_nsec = wait_us % 1000000 * 1000};
            (void)nanosleep(&wait, NULL);
        }
        if (SSL_write(ssl, REQUEST, sizeof REQUEST - 1) <= 0 ||
            SSL_read(ssl, answer, sizeof answer) <= 0) {
            bench_fail("the probe was cut off");
        }
        probe->latencies_us[i] = clock_steady_us() - due_us;
        probe->count = i + 1;
        due_us += INTERVAL_US;
    }
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    (void)close(fd);
    return NULL;
}

static SSL_CTX *client_context(const struct bench_server *server)
{
    AUTO_FREE char *key = memory_format("%s/key.pem", server->folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", server->folder);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        bench_fail("cannot use the key");
    }
    return context;
}

static void print_latencies(const char *name, int64_t *values, size_t count)
{
    (void)printf("%s: %zu requests, p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, longest %.2f ms\n",
                 name, count, (double)bench_percentile(values, count, 0.5) / 1e3,
                 (double)bench_percentile(values, count, 0.99) / 1e3,
                 (double)bench_percentile(values, count, 0.999) / 1e3,
                 (double)bench_percentile(values, count, 1) / 1e3);
}

static void print_storm(struct storm *storms, size_t connections)
{
    int64_t *ends_us = memory_new(connections, sizeof *ends_us);
    size_t done = 0;
    size_t failed = 0;
    for (size_t i = 0; i < THREADS; i++) {
        memcpy(ends_us + done, storms[i].ends_us, storms[i].done * sizeof *ends_us);
        done += storms[i].done;
        failed += storms[i].failed;
    }
    (void)printf(
        "storm: %zu answered, %zu failed, of %zu; median after %.2f s, last after %.2f s\n", done,
        failed, connections, (double)bench_percentile(ends_us, done, 0.5) / 1e6,
        (double)bench_percentile(ends_us, done, 1) / 1e6);
    free(ends_us);
}

// What the probes saw before the storm, and in it.
static void print_probes(const struct probe *probes)
{
    int64_t *calm_us = memory_new((size_t)PROBES * SAMPLES_MAX, sizeof *calm_us);
    int64_t *storm_us = memory_new((size_t)PROBES * SAMPLES_MAX, sizeof *storm_us);
    size_t calm_count = 0;
    size_t storm_count = 0;
    for (size_t i = 0; i < PROBES; i++) {
        for (size_t j = 0; j < probes[i].count; j++) {
            if ((int64_t)j * INTERVAL_US < CALM_US - INTERVAL_US) {
                calm_us[calm_count++] = probes[i].latencies_us[j];
            } else {
                storm_us[storm_count++] = probes[i].latencies_us[j];
            }
        }
    }
    print_latencies("before", calm_us, calm_count);
    print_latencies("storm", storm_us, storm_count);
    free(calm_us);
    free(storm_us);
}

static void start_probes(const struct bench_server *server, SSL_CTX *context, struct probe *probes,
                         _Atomic bool *is_over, pthread_t *threads)
{
    int64_t begin_us = clock_steady_us() + CONNECT_US;
    for (size_t i = 0; i < PROBES; i++) {
        probes[i].server = server;
        probes[i].context = context;
        probes[i].begin_us = begin_us + (int64_t)i * INTERVAL_US / PROBES;
        probes[i].is_over = is_over;
        (void)pthread_create(&threads[i], NULL, run_probe, &probes[i]);
    }
    const struct timespec calm = {.tv_sec = (CONNECT_US + CALM_US) / 1000000,
                                  .tv_nsec = (CONNECT_US + CALM_US) % 1000000 * 1000};
    (void)nanosleep(&calm, NULL);
}

int bench_storm(size_t connections, unsigned loops)
{
    static struct probe probes[PROBES];
    static _Atomic bool is_over;
    static struct bench_server server;
    (void)setpriority(PRIO_PROCESS, 0, SECOND);
    bench_server_start(&server, loops, 1);
    (void)setpriority(PRIO_PROCESS, 0, 0);
    struct storm storms[THREADS];
    pthread_t threads[THREADS];
    pthread_t probing[PROBES];
    SSL_CTX *context = client_context(&server);
    int64_t idle_kib = bench_server_memory(&server, "VmRSS:");
    start_probes(&server, context, probes, &is_over, probing);
    for (size_t i = 0; i < THREADS; i++) {
        size_t count = connections * (i + 1) / THREADS - connections * i / THREADS;
        storms[i] = (struct storm){.server = &server,
                                   .context = context,
                                   .count = count,
                                   .ends_us = memory_new(count, sizeof(int64_t))};
        (void)pthread_create(&threads[i], NULL, run_storm, &storms[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < PROBES; i++) {
        (void)pthread_join(probing[i], NULL);
    }
    print_storm(storms, connections);
    print_probes(probes);
    (void)printf("server: %lld KiB before, %lld KiB at most, %.2f s of processor time\n",
                 (long long)idle_kib, (long long)bench_server_memory(&server, "VmHWM:"),
                 (double)bench_server_cpu_us(&server) / 1e6);
    for (size_t i = 0; i < THREADS; i++) {
        free(storms[i].ends_us);
    }
    SSL_CTX_free(context);
    bench_server_stop(&server);
    return 0;
}
