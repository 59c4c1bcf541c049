// Requests over TLS to one server, as fast as it answers or at a fixed rate: the load of the resolution benchmark, for Lode and nginx alike.
//
//     resolve_load PORT CONNECTIONS SECONDS RATE IDS SEED THREADS
//
// Each connection asks for the address of a random one of IDS datasets, every second time by its alias, and for the next one when the answer is there.
// It ends after SECONDS, or at SIGTERM. RATE 0: at once. Else requests are due at fixed times, whether or not earlier ones were answered, and their latency counts from when they were due.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_MAX = 512,
    ANSWER_MAX = 1 << 16,
    EVENTS_MAX = 64,
    SAMPLES_MAX = 8 << 20,
    DUE_MAX = 1 << 20, // Requests that are due and find no idle connection.
};

struct load;

struct connection {
    struct load *load;
    SSL *ssl;
    int fd;
    bool is_busy;
    int64_t due_ns;
    size_t length; // Of the answer, so far.
    struct connection *next_idle;
    char answer[ANSWER_MAX + 1];
};

// What one thread does.
struct load {
    pthread_t thread;
    SSL_CTX *tls;
    int port;
    int connection_count;
    int64_t from_ns;
    int64_t until_ns;
    int64_t interval_ns; // Between requests; 0: no pause.
    uint64_t ids;
    uint64_t random;
    int epoll_fd;
    int timer_fd;
    struct connection *idle;
    int64_t *due; // A ring of times at which requests were due.
    size_t due_first;
    size_t due_count;
    int64_t next_due_ns;
    int64_t answered;
    int64_t bytes;
    int64_t sent;
    uint32_t *samples_us;
    size_t sample_count;
};

static volatile sig_atomic_t is_ended;

static void end(int signal_number)
{
    (void)signal_number;
    is_ended = 1;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "resolve_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// xorshift64* (Vigna 2016).
static uint64_t next_random(struct load *load)
{
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    return load->random * 2685821657736338717U;
}

// splitmix64, as in mirror_load.c.
static uint64_t scramble(uint64_t x)
{
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

// The names that mirror_load.c gives: every fifth dataset has an alias.
static void write_id(struct load *load, char *out, size_t size)
{
    uint64_t number = next_random(load) % load->ids;
    if (load->sent++ % 2 == 0) {
        (void)snprintf(out, size, "doi%%3A10.5065%%2F%016" PRIx64, scramble(number));
    } else {
        number -= number % 5;
        (void)snprintf(out, size, "ocean%%3Arun-%016" PRIx64, scramble(number ^ 0xA11A5U));
    }
}

static void send_request(struct load *load, struct connection *connection, int64_t due_ns)
{
    char request[REQUEST_MAX];
    char id[64];
    write_id(load, id, sizeof id);
    int length = snprintf(request, sizeof request,
                          "GET /v1/resolve/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", id);
    connection->is_busy = true;
    connection->due_ns = due_ns;
    connection->length = 0;
    // A request of this size always finds room: the one before it was answered.
    if (SSL_write(connection->ssl, request, length) != length) {
        fail("cannot send");
    }
}

static struct connection *open_connection(struct load *load)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->port)};
    struct connection *connection = calloc(1, sizeof *connection);
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->load = load;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fail("cannot connect");
    }
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->ssl = SSL_new(load->tls);
    (void)SSL_set_fd(connection->ssl, connection->fd);
    if (SSL_connect(connection->ssl) != 1) {
        fail("no TLS");
    }
    (void)fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        fail("epoll_ctl");
    }
    return connection;
}

static void set_timer(const struct load *load)
{
    struct itimerspec when = {.it_value = {.tv_sec = load->next_due_ns / 1000000000,
                                           .tv_nsec = load->next_due_ns % 1000000000}};
    (void)timerfd_settime(load->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

// Sends what is due by now on idle connections; the rest waits for one.
static void send_due(struct load *load)
{
    int64_t now = now_ns();
    while (load->next_due_ns <= now && load->next_due_ns < load->until_ns) {
        if (load->due_count == DUE_MAX) {
            fail("the server is hopelessly behind");
        }
        load->due[(load->due_first + load->due_count++) % DUE_MAX] = load->next_due_ns;
        load->next_due_ns += load->interval_ns;
    }
    while (load->due_count > 0 && load->idle) {
        struct connection *connection = load->idle;
        load->idle = connection->next_idle;
        send_request(load, connection, load->due[load->due_first]);
        load->due_first = (load->due_first + 1) % DUE_MAX;
        load->due_count--;
    }
    set_timer(load);
}

// The length of the whole answer once its head is there; 0 before.
static size_t whole_length(struct connection *connection)
{
    connection->answer[connection->length] = '\0';
    const char *end = strstr(connection->answer, "\r\n\r\n");
    if (!end) {
        return 0;
    }
    if (strncmp(connection->answer, "HTTP/1.1 200", 12) != 0) {
        (void)fprintf(stderr, "%.300s\n", connection->answer);
        fail("no answer with code 200");
    }
    const char *field = strcasestr(connection->answer, "\r\nContent-Length: ");
    if (!field || field > end) {
        fail("an answer without Content-Length");
    }
    size_t body = strtoul(field + strlen("\r\nContent-Length: "), NULL, 10);
    return (size_t)(end + 4 - connection->answer) + body;
}

static void end_request(struct load *load, struct connection *connection)
{
    int64_t now = now_ns();
    connection->is_busy = false;
    load->answered++;
    load->bytes += (int64_t)connection->length;
    if (load->sample_count < SAMPLES_MAX) {
        load->samples_us[load->sample_count++] = (uint32_t)((now - connection->due_ns) / 1000);
    }
    if (load->interval_ns > 0) {
        connection->next_idle = load->idle;
        load->idle = connection;
        send_due(load);
    } else if (now < load->until_ns) {
        send_request(load, connection, now);
    }
}

static void on_readable(struct load *load, struct connection *connection)
{
    int length = 0;
    while ((length = SSL_read(connection->ssl, connection->answer + connection->length,
                              (int)(ANSWER_MAX - connection->length))) > 0) {
        connection->length += (size_t)length;
        size_t whole = whole_length(connection);
        if (whole > 0 && connection->length >= whole) {
            end_request(load, connection);
            return;
        }
    }
    if (SSL_get_error(connection->ssl, length) != SSL_ERROR_WANT_READ) {
        fail("the server has closed a connection");
    }
}

static void on_timer(struct load *load)
{
    uint64_t expirations;
    ssize_t length = read(load->timer_fd, &expirations, sizeof expirations);
    (void)length;
    send_due(load);
}

static void prepare(struct load *load)
{
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    load->samples_us = malloc(SAMPLES_MAX * sizeof *load->samples_us);
    load->due = malloc(DUE_MAX * sizeof *load->due);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->timer_fd, &event) != 0) {
        fail("epoll_ctl");
    }
    for (int i = 0; i < load->connection_count; i++) {
        struct connection *connection = open_connection(load);
        connection->next_idle = load->idle;
        load->idle = connection;
    }
}

static void begin(struct load *load)
{
    load->next_due_ns = load->from_ns;
    if (load->interval_ns > 0) {
        send_due(load);
        return;
    }
    while (load->idle) {
        struct connection *connection = load->idle;
        load->idle = connection->next_idle;
        send_request(load, connection, now_ns());
    }
}

static void *run(void *context)
{
    struct load *load = context;
    struct epoll_event events[EVENTS_MAX];
    begin(load);
    while (now_ns() < load->until_ns && !is_ended) {
        int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, 100);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                on_readable(load, events[i].data.ptr);
            } else {
                on_timer(load);
            }
        }
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void report(struct load *loads, int threads, double seconds)
{
    size_t count = 0;
    int64_t answered = 0;
    int64_t bytes = 0;
    for (int i = 0; i < threads; i++) {
        count += loads[i].sample_count;
        answered += loads[i].answered;
        bytes += loads[i].bytes;
    }
    uint32_t *all = malloc((count + 1) * sizeof *all);
    size_t at = 0;
    size_t waiting = 0;
    for (int i = 0; i < threads; i++) {
        memcpy(all + at, loads[i].samples_us, loads[i].sample_count * sizeof *all);
        at += loads[i].sample_count;
        waiting += loads[i].due_count;
    }
    if (count == 0) {
        fail("no answer at all");
    }
    qsort(all, count, sizeof *all, compare);
    (void)printf("{\"answered\": %lld, \"per_second\": %.1f, \"bytes_each\": %.1f, \"p50_us\": %u, "
                 "\"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u, \"waiting\": %zu}\n",
                 (long long)answered, (double)answered / seconds, (double)bytes / (double)answered,
                 all[count / 2], all[count * 99 / 100], all[count * 999 / 1000], all[count - 1],
                 waiting);
    free(all);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        (void)fprintf(stderr, "resolve_load PORT CONNECTIONS SECONDS RATE IDS SEED THREADS\n");
        return 2;
    }
    double seconds = strtod(argv[3], NULL);
    double rate = strtod(argv[4], NULL);
    int threads = (int)strtol(argv[7], NULL, 10);
    struct load *loads = calloc((size_t)threads, sizeof *loads);
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    (void)SSL_CTX_set_mode(tls, SSL_MODE_AUTO_RETRY);
    for (int i = 0; i < threads; i++) {
        loads[i] = (struct load){
            .tls = tls,
            .port = (int)strtol(argv[1], NULL, 10),
            .connection_count = (int)strtol(argv[2], NULL, 10) / threads,
            .interval_ns = rate > 0 ? (int64_t)(1e9 * threads / rate) : 0,
            .ids = strtoull(argv[5], NULL, 10),
            .random = strtoull(argv[6], NULL, 10) * 7919U + (uint64_t)(unsigned)i + 1U,
        };
        prepare(&loads[i]);
    }
    (void)signal(SIGTERM, end);
    int64_t from_ns = now_ns() + 10000000;
    for (int i = 0; i < threads; i++) {
        loads[i].from_ns = from_ns;
        loads[i].until_ns = from_ns + (int64_t)(seconds * 1e9);
        if (pthread_create(&loads[i].thread, NULL, run, &loads[i]) != 0) {
            fail("cannot start a thread");
        }
    }
    for (int i = 0; i < threads; i++) {
        (void)pthread_join(loads[i].thread, NULL);
    }
    report(loads, threads, (double)(now_ns() - from_ns) / 1e9);
    return 0;
}
