#include "../cmocka_all.h"

#include "base/memory.h"
#include "crypto/key.h"
#include "http/tls_stream.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/listening.h"
#include "os/thread.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define LONG_US INT64_C(60000000)
enum { BIG = 32 << 20 }; // More than the system's buffers hold.

// A server that takes one connection, on a thread of its own.
struct server {
    int listening;
    char port[8];
    char folder[32];
    SSL_CTX *context;
    SSL_CTX *client_key; // Shows the same key: one is enough to see that it arrives.
    struct fingerprint key;
    pthread_t thread;
    int64_t patience_us;
    enum status (*serve)(struct server *server, struct tls_stream *stream);
    enum status status; // Of the handshake, or of what it served; the thread's until it is joined.
};

static int64_t soon(int64_t time_us)
{
    return clock_steady_us() + time_us;
}

static void *run(void *context)
{
    struct server *server = context;
    struct tls_stream *stream = NULL;
    struct pollfd ready = {.fd = server->listening, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, -1), 1);
    int fd = accept4(server->listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    server->status =
        tls_stream_accept(fd, server->context, soon(server->patience_us), &stream, NULL);
    if (server->status == OK) {
        server->status = server->serve(server, stream);
        tls_stream_close(stream, soon(LONG_US));
    }
    return NULL;
}

static void start(struct server *server,
                  enum status (*serve)(struct server *server, struct tls_stream *stream))
{
    server->serve = serve;
    assert_int_equal(thread_start(&server->thread, "server", run, server, NULL), OK);
}

static enum status join(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    return server->status;
}

static int set_up(void **state)
{
    struct server *server = NEW(struct server);
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    (void)snprintf(server->folder, sizeof server->folder, "/tmp/lode-stream-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    assert_int_equal(key_ensure(server->folder, "test", &server->key, NULL), OK);
    AUTO_FREE char *key = memory_format("%s/key.pem", server->folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", server->folder);
    assert_int_equal(tls_context_new(key, certificate, NULL, &server->context, NULL), OK);
    assert_int_equal(tls_client_key_read(key, certificate, &server->client_key, NULL), OK);
    assert_int_equal(listening_open("127.0.0.1:0", &server->listening, NULL), OK);
    assert_int_equal(getsockname(server->listening, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(server->port, sizeof server->port, "%d", ntohs(address.sin_port));
    server->patience_us = LONG_US;
    *state = server;
    return 0;
}

static int tear_down(void **state)
{
    struct server *server = *state;
    (void)close(server->listening);
    SSL_CTX_free(server->context);
    SSL_CTX_free(server->client_key);
    assert_int_equal(file_remove_tree(server->folder, NULL), OK);
    free(server);
    return 0;
}

static struct tls_stream *connect_to(const struct server *server)
{
    struct tls_stream *stream = NULL;
    assert_int_equal(tls_stream_connect("127.0.0.1", server->port, server->client_key,
                                        soon(LONG_US), &stream, NULL),
                     OK);
    return stream;
}

// Sends back what comes until the other side ends.
static enum status echo(struct server *server, struct tls_stream *stream)
{
    char block[5000];
    size_t got = 0;
    struct fingerprint shown = {""};
    assert_true(tls_stream_peer_key(stream, &shown));
    assert_string_equal(shown.text, server->key.text);
    do {
        TRY(tls_stream_read(stream, block, sizeof block, &got, soon(LONG_US), NULL));
        TRY(tls_stream_write(stream, (struct text){block, got}, soon(LONG_US), NULL));
    } while (got > 0);
    return OK;
}

static void both_sides_show_their_keys_and_what_is_said_arrives(void **state)
{
    struct server *server = *state;
    struct fingerprint shown = {""};
    char block[16];
    size_t got = 0;
    start(server, echo);
    struct tls_stream *stream = connect_to(server);
    assert_true(tls_stream_peer_key(stream, &shown));
    assert_string_equal(shown.text, server->key.text);
    assert_int_equal(tls_stream_write(stream, TEXT("hello"), soon(LONG_US), NULL), OK);
    assert_int_equal(tls_stream_read(stream, block, sizeof block, &got, soon(LONG_US), NULL), OK);
    assert_true(text_equal((struct text){block, got}, TEXT("hello")));
    assert_int_equal(tls_stream_read(stream, block, sizeof block, &got, soon(1000), NULL), TIMEOUT);
    tls_stream_close(stream, 0);
    assert_int_equal(join(server), OK);
}

static void more_than_fits_on_the_way_is_carried_there_and_back(void **state)
{
    struct server *server = *state;
    AUTO_FREE char *sent = memory_new(1, BIG);
    AUTO_BUFFER struct buffer back = {0};
    char path[] = "/tmp/lode-carried-XXXXXX";
    AUTO_CLOSE int in = mkstemp(path);
    AUTO_CLOSE int out = -1;
    AUTO_FREE char *out_path = memory_format("%s-back", path);
    for (size_t i = 0; i < BIG; i++) {
        sent[i] = (char)(i * 7 + i / 251);
    }
    assert_int_equal(file_write_all(in, (struct text){sent, BIG}, NULL), OK);
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    out = open(out_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    start(server, echo);
    struct tls_stream *stream = connect_to(server);
    assert_int_equal(tls_stream_carry(stream, in, out, NULL), OK);
    tls_stream_close(stream, soon(LONG_US));
    assert_int_equal(join(server), OK);
    assert_int_equal(file_read(out_path, BIG + 1, &back, NULL), OK);
    assert_int_equal(back.length, BIG);
    assert_memory_equal(back.bytes, sent, BIG);
    (void)unlink(path);
    (void)unlink(out_path);
}

// Says a word of farewell without having read what came.
static enum status refuse(struct server *server, struct tls_stream *stream)
{
    (void)server;
    return tls_stream_write(stream, TEXT("no"), soon(LONG_US), NULL);
}

static void the_last_word_arrives_though_nobody_listens_any_more(void **state)
{
    struct server *server = *state;
    char block[16];
    size_t got = 0;
    start(server, refuse);
    struct tls_stream *stream = connect_to(server);
    assert_int_equal(tls_stream_write(stream, TEXT("please"), soon(LONG_US), NULL), OK);
    assert_int_equal(tls_stream_read(stream, block, sizeof block, &got, soon(LONG_US), NULL), OK);
    assert_true(text_equal((struct text){block, got}, TEXT("no")));
    assert_int_equal(tls_stream_read(stream, block, sizeof block, &got, soon(LONG_US), NULL), OK);
    assert_int_equal(got, 0);
    tls_stream_close(stream, 0);
    assert_int_equal(join(server), OK);
}

static int connect_plainly(const struct server *server)
{
    int64_t port = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(text_to_int64(text_of(server->port), &port));
    address.sin_port = htons((uint16_t)port);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void who_speaks_no_tls_who_is_silent_and_who_leaves_are_told_apart(void **state)
{
    struct server *server = *state;
    start(server, echo);
    int fd = connect_plainly(server);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    assert_int_equal(join(server), INVALID);
    (void)close(fd);

    server->patience_us = 1000;
    start(server, echo);
    fd = connect_plainly(server);
    assert_int_equal(join(server), TIMEOUT);
    (void)close(fd);

    server->patience_us = LONG_US;
    start(server, echo);
    (void)close(connect_plainly(server));
    assert_int_equal(join(server), UNAVAILABLE);
}

static void where_nobody_listens_nobody_is_reached(void **state)
{
    struct server *server = *state;
    struct tls_stream *stream = NULL;
    struct error error = {0};
    assert_int_equal(close(server->listening), 0);
    server->listening = -1;
    assert_int_equal(tls_stream_connect("127.0.0.1", server->port, server->client_key,
                                        soon(LONG_US), &stream, &error),
                     UNAVAILABLE);
    assert_non_null(strstr(error.detail, "refused"));
    assert_null(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_sides_show_their_keys_and_what_is_said_arrives, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(more_than_fits_on_the_way_is_carried_there_and_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_last_word_arrives_though_nobody_listens_any_more,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_speaks_no_tls_who_is_silent_and_who_leaves_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_nobody_listens_nobody_is_reached, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
