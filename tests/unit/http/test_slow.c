// Clients that begin and do not go on: what they hold is given back, and who still listens is told.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_US = 300000, FILE_SIZE = 64 << 20, TRIES_MAX = 3000 };

// A server that waits for a moment only, and has one place.
static int start(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    struct http_server_options options = {
        .header_timeout_us = 60000000, .idle_timeout_us = IDLE_US, .connections_max = 1};
    fixture_start(fixture, options, false);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

// The code of the answer to a request that stops there; its connection is closed by the server.
static int ask_half(const struct fixture *fixture, struct text half)
{
    AUTO_BUFFER struct buffer answer = {0};
    int fd = raw_connect(fixture->port);
    raw_send(fd, half.bytes, half.length);
    raw_read_all(fd, &answer);
    (void)close(fd);
    return raw_code(buffer_text(&answer));
}

static void await_a_place(const struct fixture *fixture)
{
    int code = 0;
    for (int tries = 0; code != 200 && tries < TRIES_MAX; tries++) {
        const struct timespec pause = {.tv_nsec = 20000000};
        (void)nanosleep(&pause, NULL);
        code =
            ask_half(fixture, TEXT("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    }
    assert_int_equal(code, 200);
}

static void a_body_that_stops_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask_half(fixture, TEXT("POST /echo HTTP/1.1\r\nHost: x\r\n"
                                            "Content-Length: 10\r\n\r\nabc")),
                     408);
    await_a_place(fixture);
}

static void an_upload_that_stops_is_taken_back_and_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask_half(fixture, TEXT("PUT /sink/a HTTP/1.1\r\nHost: x\r\n"
                                            "Content-Length: 10\r\n\r\nabc")),
                     408);
    fixture_await(fixture, &fixture->seen.sink_aborted, 1);
    await_a_place(fixture);
}

static void a_reader_that_stops_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct text request = TEXT("GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)fixture_make_file(fixture, FILE_SIZE);
    int fd = raw_connect(fixture->port);
    raw_send(fd, request.bytes, request.length);
    char first = 0;
    assert_int_equal(recv(fd, &first, 1, 0), 1);
    await_a_place(fixture);
    (void)close(fd);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_body_that_stops_is_refused),
        WITH_SERVER(an_upload_that_stops_is_taken_back_and_refused),
        WITH_SERVER(a_reader_that_stops_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
