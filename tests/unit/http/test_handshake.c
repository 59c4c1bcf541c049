#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WAITING = 200, // Handshakes that wait at once.
    HEADER_TIMEOUT_US = 3000000,
};

static int start(void **state, unsigned loops)
{
    struct fixture *fixture = NEW(struct fixture);
    struct http_server_options options = {.header_timeout_us = HEADER_TIMEOUT_US, .loops = loops};
    fixture_start(fixture, options, true);
    *state = fixture;
    return 0;
}

static int start_one_loop(void **state)
{
    return start(state, 1);
}

static int start_two_loops(void **state)
{
    return start(state, 2);
}

static int stop(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    return context;
}

// A connection whose handshake has not begun.
static SSL *tls_open(const struct fixture *fixture, SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    assert_int_equal(SSL_set_fd(ssl, raw_connect(fixture->port)), 1);
    SSL_set_connect_state(ssl);
    return ssl;
}

static SSL *tls_connect(const struct fixture *fixture, SSL_CTX *context)
{
    SSL *ssl = tls_open(fixture, context);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    return ssl;
}

static void tls_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    (void)close(fd);
}

static void tls_ask(SSL *ssl, const char *path)
{
    AUTO_FREE char *request = memory_format("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(SSL_write(ssl, request, (int)strlen(request)), strlen(request));
}

static int tls_answer(SSL *ssl)
{
    char answer[4096];
    int got = SSL_read(ssl, answer, sizeof answer);
    return got > 0 ? raw_code((struct text){answer, (size_t)got}) : 0;
}

// Sends the first message of the handshake, without waiting for its answer.
static void say_hello(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    assert_int_equal(SSL_get_error(ssl, SSL_do_handshake(ssl)), SSL_ERROR_WANT_READ);
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

static bool has_input(const SSL *ssl)
{
    struct pollfd watched = {.fd = SSL_get_fd(ssl), .events = POLLIN};
    return poll(&watched, 1, 0) == 1;
}

static void a_request_is_served_before_the_handshakes_that_came_first(void **state)
{
    struct fixture *fixture = *state;
    SSL_CTX *context = context_new();
    SSL *first = tls_connect(fixture, context);
    SSL *second = tls_connect(fixture, context);
    SSL *waiting[WAITING];
    for (size_t i = 0; i < WAITING; i++) {
        waiting[i] = tls_open(fixture, context);
    }
    tls_ask(first, "/hello"); // By its answer all of them have been accepted.
    assert_int_equal(tls_answer(first), 200);
    tls_ask(first, "/hold");
    fixture_await(fixture, &fixture->seen.held_count, 1);
    for (size_t i = 0; i < WAITING; i++) {
        say_hello(waiting[i]);
    }
    tls_ask(second, "/hold");
    fixture_let_go(fixture);
    fixture_await(fixture, &fixture->seen.held_count, 2);
    size_t answered = 0;
    for (size_t i = 0; i < WAITING; i++) {
        answered += has_input(waiting[i]);
    }
    fixture_let_go(fixture);
    assert_in_range(answered, 0, WAITING / 2);
    assert_int_equal(tls_answer(first), 200);
    assert_int_equal(tls_answer(second), 200);
    for (size_t i = 0; i < WAITING; i++) {
        assert_int_equal(SSL_do_handshake(waiting[i]), 1);
        tls_ask(waiting[i], "/hello");
        assert_int_equal(tls_answer(waiting[i]), 200);
        tls_close(waiting[i]);
    }
    tls_close(first);
    tls_close(second);
    SSL_CTX_free(context);
}

struct hammer {
    const struct fixture *fixture;
    SSL_CTX *context;
    _Atomic bool is_over;
};

static void *keep_asking(void *context)
{
    enum { AT_ONCE = 64 };
    struct hammer *hammer = context;
    SSL *connections[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++) {
        connections[i] = tls_connect(hammer->fixture, hammer->context);
        tls_ask(connections[i], "/hello");
    }
    while (!atomic_load(&hammer->is_over)) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            (void)tls_answer(connections[i]);
            tls_ask(connections[i], "/hello");
        }
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        tls_close(connections[i]);
    }
    return NULL;
}

static void handshakes_get_their_turn_while_others_ask_without_end(void **state)
{
    struct fixture *fixture = *state;
    struct hammer hammer = {.fixture = fixture, .context = context_new()};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keep_asking, &hammer), 0);
    for (int i = 0; i < WAITING; i++) {
        SSL *ssl = tls_connect(fixture, hammer.context);
        tls_ask(ssl, "/hello");
        assert_int_equal(tls_answer(ssl), 200);
        tls_close(ssl);
    }
    atomic_store(&hammer.is_over, true);
    (void)pthread_join(thread, NULL);
    SSL_CTX_free(hammer.context);
}

static void the_time_in_which_a_handshake_waits_for_its_turn_is_not_counted(void **state)
{
    struct fixture *fixture = *state;
    const struct timespec too_long = {.tv_sec = HEADER_TIMEOUT_US / 1000000, .tv_nsec = 200000000};
    SSL_CTX *context = context_new();
    SSL *first = tls_connect(fixture, context);
    SSL *second = tls_connect(fixture, context);
    SSL *waiting = tls_open(fixture, context);
    tls_ask(first, "/hello");
    assert_int_equal(tls_answer(first), 200);
    tls_ask(first, "/hold");
    fixture_await(fixture, &fixture->seen.held_count, 1);
    say_hello(waiting);
    tls_ask(second, "/hold");
    fixture_let_go(fixture);
    fixture_await(fixture, &fixture->seen.held_count, 2);
    // The loop is held by the second request, behind the handshake's beginning.
    (void)nanosleep(&too_long, NULL);
    fixture_let_go(fixture);
    for (int i = 0; i < 2; i++) { // By the second answer the loop has looked at what is due.
        assert_int_equal(tls_answer(i == 0 ? first : second), 200);
        tls_ask(i == 0 ? first : second, "/hello");
        assert_int_equal(tls_answer(i == 0 ? first : second), 200);
    }
    assert_int_equal(SSL_do_handshake(waiting), 1);
    tls_ask(waiting, "/hello");
    assert_int_equal(tls_answer(waiting), 200);
    tls_close(waiting);
    tls_close(first);
    tls_close(second);
    SSL_CTX_free(context);
}

static void a_handshake_that_stops_half_way_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    SSL_CTX *context = context_new();
    SSL *first = tls_connect(fixture, context);
    SSL *silent = tls_open(fixture, context);
    SSL *half = tls_open(fixture, context);
    char byte;
    tls_ask(first, "/hold");
    fixture_await(fixture, &fixture->seen.held_count, 1);
    say_hello(half);
    fixture_let_go(fixture);
    assert_int_equal(recv(SSL_get_fd(silent), &byte, 1, 0), 0);
    while (recv(SSL_get_fd(half), &byte, 1, 0) > 0) {
    }
    tls_close(silent);
    tls_close(half);
    tls_close(first);
    SSL_CTX_free(context);
}

static void stopping_drops_handshakes_that_wait(void **state)
{
    struct fixture *fixture = *state;
    SSL_CTX *context = context_new();
    SSL *first = tls_connect(fixture, context);
    SSL *waiting[WAITING];
    tls_ask(first, "/hold");
    fixture_await(fixture, &fixture->seen.held_count, 1);
    for (size_t i = 0; i < WAITING; i++) {
        waiting[i] = tls_open(fixture, context);
        say_hello(waiting[i]);
    }
    fixture_let_go(fixture);
    fixture_stop_server(fixture, 0);
    for (size_t i = 0; i < WAITING; i++) {
        tls_close(waiting[i]);
    }
    tls_close(first);
    SSL_CTX_free(context);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

static void a_resumed_session_has_the_same_key_on_any_loop(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *key = memory_format("%s/key.pem", fixture->folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", fixture->folder);
    SSL_SESSION *session = NULL;
    char seen[FINGERPRINT_SIZE];
    SSL_CTX *context = context_new();
    assert_int_equal(SSL_CTX_use_certificate_chain_file(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context, &session);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    SSL *first = tls_connect(fixture, context);
    tls_ask(first, "/hello");
    assert_int_equal(tls_answer(first), 200);
    assert_non_null(session);
    // The first one stays, so the second one goes to the other loop.
    SSL *second = tls_open(fixture, context);
    assert_int_equal(SSL_set_session(second, session), 1);
    assert_int_equal(SSL_do_handshake(second), 1);
    assert_int_equal(SSL_session_reused(second), 1);
    tls_ask(second, "/hello?name=again");
    assert_int_equal(tls_answer(second), 200);
    fixture_last_key(fixture, seen);
    assert_string_equal(seen, fixture->fingerprint.text);
    // One without a key that does not resume has none.
    SSL_CTX *stranger_context = context_new();
    SSL *stranger = tls_connect(fixture, stranger_context);
    tls_ask(stranger, "/hello");
    assert_int_equal(tls_answer(stranger), 200);
    fixture_last_key(fixture, seen);
    assert_string_equal(seen, "");
    tls_close(first);
    tls_close(second);
    tls_close(stranger);
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    SSL_CTX_free(stranger_context);
}

#define WITH_ONE_LOOP(test) cmocka_unit_test_setup_teardown(test, start_one_loop, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ONE_LOOP(a_request_is_served_before_the_handshakes_that_came_first),
        WITH_ONE_LOOP(handshakes_get_their_turn_while_others_ask_without_end),
        WITH_ONE_LOOP(the_time_in_which_a_handshake_waits_for_its_turn_is_not_counted),
        WITH_ONE_LOOP(a_handshake_that_stops_half_way_is_cut_off),
        WITH_ONE_LOOP(stopping_drops_handshakes_that_wait),
        cmocka_unit_test_setup_teardown(a_resumed_session_has_the_same_key_on_any_loop,
                                        start_two_loops, stop),
    };
    (void)signal(
        SIGPIPE,
        SIG_IGN); // A connection that was cut off is to fail its test, and not to end the program.
    return cmocka_run_group_tests(tests, NULL, NULL);
}
