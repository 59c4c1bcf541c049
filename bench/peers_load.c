// Plays many sites to one hub: each has a key, a log, and an address of 127.0.0.0/8 of its own, where it may be polled.
//
//     peers_load HUB_PORT SITES ENTRIES
//
// Reads commands, a line each, and answers each with a JSON object a line:
//
//     announce push    all sites connect in the same moment, announce themselves and push their logs of ENTRIES entries
//     announce poll    the same without pushing: the hub is to poll them
//     grow             every log gets an entry; ends when the hub has asked for all of them
//     watch SECONDS    only answers polls
//
// What fails is tried again, as by a real site, after a pause that doubles. One thread, so the players take one processor at most.
#include "base/memory.h"
#include "os/clock.h"
#include "played_sites.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    BACKLOG = 4096,
    READ_SIZE = 16384,
    SITES_MAX = 60000,
    PAUSE_MS = 50,
    PAUSE_BASE_US = 1000000,
    DOUBLINGS_MAX = 6,
};

enum step { ANNOUNCE, PUSH, DONE };

struct player {
    struct played_site site;
    enum step step;
    unsigned failures;
    int64_t retry_us; // 0: no retry waits.
    int64_t sent;     // The serial up to which a poll was answered.
};

// A connection to the hub (of a player) or from it (of nobody until its address is known).
struct connection {
    int fd;
    SSL *ssl;
    struct player *player;
    bool is_from_hub;
    bool is_over;
    struct buffer out;
    size_t written;
    struct buffer in;
};

struct play {
    struct player *players;
    size_t count;
    int hub_port;
    int port;
    int listener;
    int poll_fd;
    SSL_CTX *context;
    bool is_polled;
    size_t done;
    size_t failed;
    int64_t began_us;
    int64_t *ends_us; // When each was done.
    size_t polls;
    size_t connections; // Of the hub's, that were accepted.
    size_t open;        // Of these.
    size_t open_most;
};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct connection *connection_new(struct play *play, int fd, struct player *player,
                                         bool is_from_hub)
{
    struct connection *connection = NEW(struct connection);
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *connection = (struct connection){.fd = fd, .player = player, .is_from_hub = is_from_hub};
    connection->ssl = SSL_new(play->context);
    (void)SSL_use_certificate(connection->ssl, player->site.certificate);
    (void)SSL_use_PrivateKey(connection->ssl, player->site.key);
    (void)SSL_set_fd(connection->ssl, fd);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    (void)epoll_ctl(play->poll_fd, EPOLL_CTL_ADD, fd, &event);
    return connection;
}

static void connection_free(struct connection *connection)
{
    SSL_free(connection->ssl);
    (void)close(connection->fd);
    buffer_done(&connection->in);
    buffer_done(&connection->out);
    free(connection);
}

// --- what a player says to the hub

static void ask(struct connection *connection, const char *path, const char *type,
                const struct buffer *body)
{
    buffer_clear(&connection->out);
    connection->written = 0;
    buffer_printf(
        &connection->out,
        "POST %s HTTP/1.1\r\nHost: hub\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", path,
        type, body->length);
    buffer_append_text(&connection->out, buffer_text(body));
}

static void ask_next(const struct play *play, struct connection *connection)
{
    AUTO_BUFFER struct buffer body = {0};
    struct player *player = connection->player;
    if (player->step == ANNOUNCE) {
        played_site_write_statement(&player->site, &body);
        ask(connection,
            play->is_polled ? "/v1/federation/announce?mode=poll"
                            : "/v1/federation/announce?mode=push",
            "application/json", &body);
    } else {
        AUTO_FREE char *path = memory_format("/v1/federation/logs/%s", player->site.fingerprint);
        played_site_write_log(&player->site, 0, &body);
        ask(connection, path, "application/x-ndjson", &body);
    }
}

static void begin(struct play *play, struct player *player)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)play->hub_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail("no more sockets");
    }
    player->retry_us = 0;
    (void)connect(fd, (struct sockaddr *)&address, sizeof address);
    struct connection *connection = connection_new(play, fd, player, false);
    SSL_set_connect_state(connection->ssl);
    ask_next(play, connection);
}

static void retry_later(struct play *play, struct player *player)
{
    unsigned doublings = player->failures < DOUBLINGS_MAX ? player->failures : DOUBLINGS_MAX;
    int64_t pause_us = (int64_t)PAUSE_BASE_US << doublings;
    player->failures++;
    player->retry_us = clock_steady_us() + pause_us / 4 + (int64_t)(random() % (pause_us * 3 / 4));
    play->failed++;
}

static void take_answer(struct play *play, struct connection *connection)
{
    struct player *player = connection->player;
    if (!text_starts_with(buffer_text(&connection->in), TEXT("HTTP/1.1 200"))) {
        if (play->failed < 3) {
            (void)fprintf(stderr, "peers_load: %.300s\n", connection->in.bytes);
        }
        connection->is_over = true;
        retry_later(play, player);
        return;
    }
    player->step = player->step == ANNOUNCE && !play->is_polled ? PUSH : DONE;
    buffer_clear(&connection->in);
    if (player->step == PUSH) {
        ask_next(play, connection);
        return;
    }
    connection->is_over = true;
    play->ends_us[play->done++] = clock_steady_us() - play->began_us;
}

// --- what the hub asks of a player

static void answer_poll(struct play *play, struct connection *connection)
{
    AUTO_BUFFER struct buffer body = {0};
    struct player *player = connection->player;
    const char *after = strstr(connection->in.bytes, "after=");
    int64_t serial = after ? strtoll(after + strlen("after="), NULL, 10) : 0;
    played_site_write_heartbeat(&player->site, &body);
    played_site_write_log(&player->site, serial, &body);
    buffer_clear(&connection->out);
    connection->written = 0;
    buffer_printf(&connection->out,
                  "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: "
                  "%zu\r\n\r\n",
                  body.length);
    buffer_append_text(&connection->out, buffer_text(&body));
    buffer_clear(&connection->in);
    play->polls++;
    if (player->sent < player->site.serial) {
        player->sent = player->site.serial;
        play->ends_us[play->done++] = clock_steady_us() - play->began_us;
    }
}

// --- connections

// Is a whole message there?
static bool is_whole(struct connection *connection)
{
    struct buffer *in = &connection->in;
    (void)buffer_reserve(in, 1);
    in->bytes[in->length] = '\0';
    const char *end = in->length > 0 ? strstr(in->bytes, "\r\n\r\n") : NULL;
    if (!end) {
        return false;
    }
    const char *field = strcasestr(in->bytes, "\r\nContent-Length: ");
    size_t body =
        field && field < end ? strtoul(field + strlen("\r\nContent-Length: "), NULL, 10) : 0;
    return in->length >= (size_t)(end + 4 - in->bytes) + body;
}

static bool is_waiting(const struct connection *connection, int result)
{
    int reason = SSL_get_error(connection->ssl, result);
    return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ||
           (reason == SSL_ERROR_SYSCALL && errno == ENOTCONN);
}

// Goes on as far as it can; false when the connection has failed or was closed.
static bool advance(struct play *play, struct connection *connection)
{
    char bytes[READ_SIZE];
    ERR_clear_error();
    int result = SSL_do_handshake(connection->ssl);
    while (result == 1 && !connection->is_over) {
        size_t left = connection->out.length - connection->written;
        if (left > 0) {
            result =
                SSL_write(connection->ssl, connection->out.bytes + connection->written, (int)left);
            connection->written += result > 0 ? (size_t)result : 0;
        } else {
            result = SSL_read(connection->ssl, bytes, sizeof bytes);
            buffer_append(&connection->in, bytes, result > 0 ? (size_t)result : 0);
        }
        if (result <= 0) {
            break;
        }
        result = 1;
        if (is_whole(connection)) {
            connection->is_from_hub ? answer_poll(play, connection) : take_answer(play, connection);
        }
    }
    return result == 1 || is_waiting(connection, result);
}

static void go_on(struct play *play, struct connection *connection)
{
    bool is_good = advance(play, connection);
    if (is_good && !connection->is_over) {
        return;
    }
    if (connection->is_from_hub) {
        play->open--;
    } else if (!connection->is_over) {
        retry_later(play, connection->player);
    }
    connection_free(connection);
}

static void accept_all(struct play *play)
{
    for (;;) {
        struct sockaddr_in address;
        socklen_t length = sizeof address;
        int fd = accept4(play->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        (void)getsockname(fd, (struct sockaddr *)&address, &length);
        size_t number = played_site_at(ntohl(address.sin_addr.s_addr));
        if (number >= play->count) {
            (void)close(fd);
            continue;
        }
        struct connection *connection = connection_new(play, fd, &play->players[number], true);
        SSL_set_accept_state(connection->ssl);
        play->connections++;
        play->open++;
        play->open_most = play->open > play->open_most ? play->open : play->open_most;
    }
}

static void run_events(struct play *play)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(play->poll_fd, events, EVENTS, PAUSE_MS);
    for (int i = 0; i < ready; i++) {
        if (events[i].data.ptr) {
            go_on(play, events[i].data.ptr);
        } else {
            accept_all(play);
        }
    }
}

static void run_retries(struct play *play)
{
    int64_t now_us = clock_steady_us();
    for (size_t i = 0; i < play->count; i++) {
        struct player *player = &play->players[i];
        if (player->retry_us > 0 && player->retry_us <= now_us) {
            begin(play, player);
        }
    }
}

// --- commands

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void begin_counting(struct play *play)
{
    play->done = 0;
    play->failed = 0;
    play->polls = 0;
    play->connections = 0;
    play->open_most = play->open;
    play->began_us = clock_steady_us();
}

static void report(struct play *play)
{
    double seconds = (double)(clock_steady_us() - play->began_us) / 1e6;
    qsort(play->ends_us, play->done, sizeof *play->ends_us, compare);
    size_t middle = play->done / 2;
    double median = play->done > 0 ? (double)play->ends_us[middle] / 1e6 : 0;
    (void)printf("{\"done\": %zu, \"seconds\": %.2f, \"median_seconds\": %.2f, \"tried_again\": "
                 "%zu, \"polls\": %zu, \"polls_per_second\": %.1f, \"connections\": %zu, "
                 "\"open_most\": %zu}\n",
                 play->done, seconds, median, play->failed, play->polls,
                 (double)play->polls / seconds, play->connections, play->open_most);
    (void)fflush(stdout);
}

static void run_until_done(struct play *play)
{
    while (play->done < play->count) {
        run_events(play);
        run_retries(play);
    }
    report(play);
}

static void announce(struct play *play, bool is_polled)
{
    play->is_polled = is_polled;
    begin_counting(play);
    for (size_t i = 0; i < play->count; i++) {
        play->players[i].step = ANNOUNCE;
        play->players[i].failures = 0;
        // So that being polled meanwhile is not taken for being done.
        play->players[i].sent = play->players[i].site.serial;
        begin(play, &play->players[i]);
    }
    run_until_done(play);
}

static void grow(struct play *play)
{
    for (size_t i = 0; i < play->count; i++) {
        played_site_grow(&play->players[i].site, 1);
    }
    begin_counting(play);
    run_until_done(play);
}

static void watch(struct play *play, double seconds)
{
    begin_counting(play);
    while (clock_steady_us() - play->began_us < (int64_t)(seconds * 1e6)) {
        run_events(play);
    }
    report(play);
}

static void listen_everywhere(struct play *play)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    struct epoll_event event = {.events = EPOLLIN};
    play->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    play->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (bind(play->listener, (struct sockaddr *)&address, length) != 0 ||
        listen(play->listener, BACKLOG) != 0 ||
        getsockname(play->listener, (struct sockaddr *)&address, &length) != 0 ||
        epoll_ctl(play->poll_fd, EPOLL_CTL_ADD, play->listener, &event) != 0) {
        fail("cannot listen");
    }
    play->port = ntohs(address.sin_port);
}

static int accept_any(X509_STORE_CTX *store, void *context)
{
    (void)store;
    (void)context;
    return 1;
}

static void make_players(struct play *play, int64_t entries)
{
    play->context = SSL_CTX_new(TLS_method());
    (void)SSL_CTX_set_min_proto_version(play->context, TLS1_3_VERSION);
    SSL_CTX_set_mode(play->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(play->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(play->context, accept_any, NULL);
    (void)SSL_CTX_set_session_id_context(play->context, (const unsigned char *)"play", 4);
    play->players = memory_new(play->count, sizeof *play->players);
    play->ends_us = memory_new(play->count, sizeof *play->ends_us);
    for (size_t i = 0; i < play->count; i++) {
        played_site_make(&play->players[i].site, i, play->port);
        played_site_grow(&play->players[i].site, entries);
    }
}

int main(int argc, char **argv)
{
    char line[64];
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc != 4) {
        (void)fputs("usage: peers_load HUB_PORT SITES ENTRIES\n", stderr);
        return 2;
    }
    struct play play = {.hub_port = (int)strtol(argv[1], NULL, 10),
                        .count = strtoul(argv[2], NULL, 10)};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (play.count == 0 || play.count > SITES_MAX) {
        return 2;
    }
    listen_everywhere(&play);
    make_players(&play, strtoll(argv[3], NULL, 10));
    (void)printf("{\"sites\": %zu, \"port\": %d}\n", play.count, play.port);
    (void)fflush(stdout);
    // Nothing is played while no command runs, so each comes right behind the one before.
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "announce ", 9) == 0) {
            announce(&play, strncmp(line + 9, "poll", 4) == 0);
        } else if (strncmp(line, "grow", 4) == 0) {
            grow(&play);
        } else {
            watch(&play, strtod(line + strcspn(line, " "), NULL));
        }
    }
    return 0;
}
