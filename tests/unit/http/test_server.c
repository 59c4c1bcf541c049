#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int start_plain(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    // Long enough for a client that the machine lets wait.
    fixture_start(fixture, (struct http_server_options){.header_timeout_us = 60000000}, false);
    *state = fixture;
    return 0;
}

static int start_impatient(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    fixture_start(fixture, (struct http_server_options){.header_timeout_us = 300000}, false);
    *state = fixture;
    return 0;
}

static int start_with_one_place(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    struct http_server_options options = {.header_timeout_us = 100000, .connections_max = 1};
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

// Sends the bytes on a connection of their own and reads to its end; the code of the first answer.
static int ask_bytes(const struct fixture *fixture, struct text bytes, struct buffer *answer)
{
    int fd = raw_connect(fixture->port);
    raw_send(fd, bytes.bytes, bytes.length);
    raw_read_all(fd, answer);
    (void)close(fd);
    return raw_code(buffer_text(answer));
}

static bool has(const struct buffer *answer, const char *part)
{
    return answer->bytes && strstr(answer->bytes, part);
}

#define CLOSE "Connection: close\r\n\r\n"

static void a_request_is_answered(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(
        ask_bytes(*state, TEXT("GET /hello?name=a%20b+c HTTP/1.1\r\nHost: x\r\nEmpty:\r\n" CLOSE),
                  &answer),
        200);
    assert_true(has(&answer, "\r\nContent-Length: 11\r\n"));
    assert_true(has(&answer, "\r\nConnection: close\r\n"));
    assert_true(text_ends_with(buffer_text(&answer), TEXT("\r\n\r\nhello a b c")));
}

static void a_head_request_gets_the_length_without_the_body(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(*state, TEXT("HEAD /hello HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer),
                     200);
    assert_true(has(&answer, "\r\nContent-Length: 11\r\n"));
    assert_true(text_ends_with(buffer_text(&answer), TEXT("\r\n\r\n")));
}

static void ambiguous_requests_are_refused(void **state)
{
    static const struct {
        struct text bytes;
        int code;
    } REQUESTS[] = {
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
              "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
              "Content-Length: 4\r\n\r\n0\r\n\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n"
              "abcd"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n"
              "abcd"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\nabcd"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
              "0\r\n\r\n"),
         501},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
              "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"
              "0\r\n\r\n"),
         400},
        {TEXT("GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), 400},
        {TEXT("GET /hello HTTP/1.1\r\n\r\n"), 400},
        {TEXT("GET /hello HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), 400},
        {TEXT("GET /hello HTTP/1.1\nHost: x\n\n"), 400},
        {TEXT("GET /hello HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"), 400},
        {TEXT("GET /hello HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n"), 400},
        {TEXT("GET /hello HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n"), 400},
        {TEXT("GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
        {TEXT("GET /hello#x HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
        {TEXT("GET /hello  HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
        {TEXT("GET\t/hello HTTP/1.1\r\nHost: x\r\n\r\n"), 501},
        {TEXT("GET hello HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
        {TEXT("GET /hello HTTP/1.2\r\nHost: x\r\n\r\n"), 505},
        {TEXT("GET /hello HTTP/2.0\r\nHost: x\r\n\r\n"), 505},
        {TEXT("GET /hello\r\n\r\n"), 400},
        {TEXT("FROB /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 501},
        {TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
        {TEXT("\x16\x03\x01\x02\x00\x01\x00"), 400},
        {TEXT("\r\n\r\n"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
              "fffffffffffffffff\r\n"),
         400},
        {TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n"), 417},
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof REQUESTS / sizeof REQUESTS[0]; i++) {
        AUTO_BUFFER struct buffer answer = {0};
        int code = ask_bytes(*state, REQUESTS[i].bytes, &answer);
        if (code != REQUESTS[i].code) {
            print_error("request %zu got %d instead of %d\n", i, code, REQUESTS[i].code);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

static void unknown_addresses_methods_and_large_heads_are_refused(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(*state, TEXT("GET /no HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer),
                     404);
    buffer_clear(&answer);
    assert_int_equal(
        ask_bytes(*state, TEXT("DELETE /hello HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer), 405);
    assert_true(has(&answer, "\r\nAllow: GET, HEAD\r\n"));
    AUTO_BUFFER struct buffer request = {0};
    buffer_append_string(&request, "GET /hello HTTP/1.1\r\nHost: x\r\nLong: ");
    for (int i = 0; i < 40000; i++) {
        buffer_append_byte(&request, 'a');
    }
    buffer_append_string(&request, "\r\n\r\n");
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(*state, buffer_text(&request), &answer), 431);
    buffer_clear(&request);
    buffer_append_string(&request, "GET /hello HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 200; i++) {
        buffer_append_string(&request, "A: b\r\n");
    }
    buffer_append_string(&request, "\r\n");
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(*state, buffer_text(&request), &answer), 431);
}

static void parameters_are_decoded(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(
        ask_bytes(*state, TEXT("GET /things/a%2Fb/c/d%20e HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer),
        200);
    assert_true(text_ends_with(buffer_text(&answer), TEXT("\r\n\r\na/b|c/d e")));
    buffer_clear(&answer);
    assert_int_equal(
        ask_bytes(*state, TEXT("GET /things/a%zz/c HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer), 404);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(*state,
                               TEXT("GET /hello?name=1 HTTP/1.1\r\nHost: x\r\n\r\n"
                                    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                                    "GET /offload HTTP/1.1\r\nHost: x\r\n\r\n"
                                    "GET /hello?name=2 HTTP/1.1\r\nHost: x\r\n" CLOSE),
                               &answer),
                     200);
    const char *first = strstr(answer.bytes, "hello 1");
    const char *second = first ? strstr(first, "\r\n\r\nabc") : NULL;
    const char *third = second ? strstr(second, "from the pool") : NULL;
    assert_non_null(third);
    assert_non_null(strstr(third, "hello 2"));
}

static void a_request_that_comes_byte_by_byte_is_read(void **state)
{
    static const char REQUEST[] =
        "\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct fixture *fixture = *state;
    int fd = raw_connect(fixture->port);
    for (size_t i = 0; i < sizeof REQUEST - 1; i++) {
        raw_send(fd, &REQUEST[i], 1);
    }
    AUTO_BUFFER struct buffer answer = {0};
    raw_read_all(fd, &answer);
    (void)close(fd);
    assert_true(text_ends_with(buffer_text(&answer), TEXT("\r\n\r\nabcde")));
}

static void a_body_over_the_limit_gets_413(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(
        ask_bytes(*state, TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\nabc"),
                  &answer),
        413);
    AUTO_BUFFER struct buffer request = {0};
    buffer_append_string(&request,
                         "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 2000; i++) {
        buffer_append_string(&request, "1\r\na\r\n");
    }
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(*state, buffer_text(&request), &answer), 413);
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(*state,
                               TEXT("GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"),
                               &answer),
                     413);
}

static void a_body_of_a_stranger_is_not_awaited(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(*state,
                               TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nX-Stranger: 1\r\n"
                                    "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"),
                               &answer),
                     401);
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(*state,
                               TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nX-Stranger: 1\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                               &answer),
                     401);
}

static void a_body_is_asked_for_when_the_client_expects_it(void **state)
{
    struct fixture *fixture = *state;
    int fd = raw_connect(fixture->port);
    struct text head = TEXT("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                            "Content-Length: 3\r\n" CLOSE);
    raw_send(fd, head.bytes, head.length);
    AUTO_BUFFER struct buffer answer = {0};
    raw_read_answer(fd, &answer);
    assert_int_equal(raw_code(buffer_text(&answer)), 100);
    raw_send(fd, "abc", 3);
    buffer_clear(&answer);
    raw_read_all(fd, &answer);
    assert_int_equal(raw_code(buffer_text(&answer)), 200);
    (void)close(fd);
}

static void a_slow_head_is_cut_off(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(*state, TEXT("GET /hello HTTP/1.1\r\nHost: x\r\n"), &answer), 408);
}

static void a_client_that_stays_after_its_slow_head_was_cut_off_is_left(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer answer = {0};
    int slow = raw_connect(fixture->port);
    raw_send(slow, "GET", 3);
    raw_read_all(slow, &answer);
    assert_int_equal(raw_code(buffer_text(&answer)), 408);
    // It holds the only place that there is, for as long as the server lingers for it.
    int code = 0;
    for (int tries = 0; code != 200 && tries < 3000; tries++) {
        const struct timespec pause = {.tv_nsec = 20000000};
        (void)nanosleep(&pause, NULL);
        buffer_clear(&answer);
        code = ask_bytes(fixture, TEXT("GET /hello HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer);
    }
    assert_int_equal(code, 200);
    (void)close(slow);
}

static void a_chunked_upload_goes_to_the_sink(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer request = {0};
    buffer_append_string(&request, "PUT /sink/a HTTP/1.1\r\nHost: x\r\n"
                                   "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 3000; i++) {
        buffer_append_string(&request, "100\r\n");
        memset(buffer_reserve(&request, 256), 'x', 256);
        buffer_advance(&request, 256);
        buffer_append_string(&request, "\r\n");
    }
    buffer_append_string(&request, "0\r\n\r\n");
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(fixture, buffer_text(&request), &answer), 201);
    assert_int_equal(fixture_sink_bytes(fixture), 3000 * 256);
    fixture_await(fixture, &fixture->seen.sink_ended, 1);
    fixture_await(fixture, &fixture->seen.sink_aborted, 0);
}

static void an_upload_without_a_body_reaches_the_end_of_the_sink(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(
        ask_bytes(fixture, TEXT("PUT /sink/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" CLOSE),
                  &answer),
        201);
    fixture_await(fixture, &fixture->seen.sink_ended, 1);
}

static void a_sink_may_refuse_at_the_beginning_and_later(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(fixture,
                               TEXT("PUT /sink/refused HTTP/1.1\r\nHost: x\r\n"
                                    "Content-Length: 100000000\r\n\r\nabc"),
                               &answer),
                     409);
    fixture_await(fixture, &fixture->seen.sink_begun, 0);
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(fixture,
                               TEXT("PUT /sink/refusing HTTP/1.1\r\nHost: x\r\n"
                                    "Content-Length: 100000000\r\n\r\nabc"),
                               &answer),
                     507);
    fixture_await(fixture, &fixture->seen.sink_aborted, 1);
}

static void a_sink_is_told_when_the_client_leaves(void **state)
{
    struct fixture *fixture = *state;
    int fd = raw_connect(fixture->port);
    struct text head = TEXT("PUT /sink/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    raw_send(fd, head.bytes, head.length);
    fixture_await(fixture, &fixture->seen.sink_begun, 1);
    (void)close(fd);
    fixture_await(fixture, &fixture->seen.sink_aborted, 1);
}

static void another_thread_answers_a_waiting_request(void **state)
{
    struct fixture *fixture = *state;
    int fd = raw_connect(fixture->port);
    struct text request = TEXT("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
                               "GET /hello HTTP/1.1\r\nHost: x\r\n" CLOSE);
    raw_send(fd, request.bytes, request.length);
    fixture_answer(fixture);
    AUTO_BUFFER struct buffer answer = {0};
    raw_read_all(fd, &answer);
    (void)close(fd);
    assert_true(has(&answer, "waited"));
    assert_true(has(&answer, "hello world"));
    fixture_await(fixture, &fixture->seen.gone_count, 0);
}

static void a_handler_is_told_when_its_client_leaves(void **state)
{
    struct fixture *fixture = *state;
    int fd = raw_connect(fixture->port);
    struct text request = TEXT("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send(fd, request.bytes, request.length);
    fixture_await_waiter(fixture);
    (void)close(fd);
    fixture_await(fixture, &fixture->seen.gone_count, 1);
    fixture_answer(fixture);
}

static void a_stream_is_chunked_and_plain_for_http_1_0(void **state)
{
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(*state, TEXT("GET /stream HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer),
                     200);
    assert_true(
        text_ends_with(buffer_text(&answer), TEXT("\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")));
    buffer_clear(&answer);
    assert_int_equal(ask_bytes(*state, TEXT("GET /stream HTTP/1.0\r\n\r\n"), &answer), 200);
    assert_true(text_ends_with(buffer_text(&answer), TEXT("\r\n\r\none two")));
}

static void a_file_is_sent_whole(void **state)
{
    struct fixture *fixture = *state;
    fixture_make_file(fixture, 3000001);
    AUTO_BUFFER struct buffer answer = {0};
    assert_int_equal(ask_bytes(fixture,
                               TEXT("GET /file HTTP/1.1\r\nHost: x\r\n\r\n"
                                    "HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n"
                                    "GET /hello HTTP/1.1\r\nHost: x\r\n" CLOSE),
                               &answer),
                     200);
    assert_true(answer.length > 3000001);
    assert_true(text_ends_with(buffer_text(&answer), TEXT("hello world")));
}

static void stopping_lets_an_answer_under_way_finish(void **state)
{
    struct fixture *fixture = *state;
    int idle = raw_connect(fixture->port);
    int fd = raw_connect(fixture->port);
    struct text request = TEXT("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send(fd, request.bytes, request.length);
    fixture_await_waiter(fixture);
    fixture_answer(fixture);
    fixture_stop_server(fixture, 10000000);
    AUTO_BUFFER struct buffer answer = {0};
    raw_read_all(fd, &answer);
    assert_true(has(&answer, "waited"));
    buffer_clear(&answer);
    raw_read_all(idle, &answer);
    assert_int_equal(answer.length, 0);
    (void)close(fd);
    (void)close(idle);
}

static void stopping_drops_what_is_not_answered_in_time(void **state)
{
    struct fixture *fixture = *state;
    int fd = raw_connect(fixture->port);
    struct text request = TEXT("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send(fd, request.bytes, request.length);
    fixture_await_waiter(fixture);
    fixture_stop_server(fixture, 0);
    assert_int_equal(fixture->seen.gone_count, 1);
    fixture_answer(fixture); // Too late, and harmless.
    (void)close(fd);
}

struct slow_work {
    sem_t has_begun;
    sem_t may_end;
    atomic_int niceness; // Of a thread that ran it.
};

static void be_slow(void *context)
{
    struct slow_work *work = context;
    atomic_store(&work->niceness, getpriority(PRIO_PROCESS, 0));
    (void)sem_post(&work->has_begun);
    (void)sem_wait(&work->may_end);
}

// Gives the server slow work, and quick work once so much of the slow has begun; then lets that end. The code of the quick one's answer; 0: so much never began.
static int ask_beside(struct fixture *fixture, struct slow_work *work, int count, int to_begin,
                      void (*give)(struct http_server *server, void (*run)(void *context),
                                   void *context))
{
    AUTO_BUFFER struct buffer answer = {0};
    struct timespec until;
    int begun = 0;
    int code = 0;
    assert_int_equal(sem_init(&work->has_begun, 0, 0), 0);
    assert_int_equal(sem_init(&work->may_end, 0, 0), 0);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += 10;
    for (int i = 0; i < count; i++) {
        give(fixture->server, be_slow, work);
    }
    while (begun < to_begin && sem_timedwait(&work->has_begun, &until) == 0) {
        begun++;
    }
    if (begun == to_begin) {
        code = ask_bytes(fixture, TEXT("GET /offload HTTP/1.1\r\nHost: x\r\n" CLOSE), &answer);
    }
    for (int i = 0; i < count; i++) {
        (void)sem_post(&work->may_end);
    }
    return code;
}

static void slow_work_leaves_threads_for_quick_work(void **state)
{
    enum { SLOW = 4 };
    static struct slow_work work; // Its threads outlive this function.
    assert_int_equal(ask_beside(*state, &work, SLOW, SLOW, http_server_offload), 200);
}

// What has come in masses, more than there are threads for it.
static void background_work_stands_back_and_delays_no_other(void **state)
{
    enum { MASS = 64 };
    static struct slow_work work; // Its threads outlive this function.
    assert_int_equal(ask_beside(*state, &work, MASS, 1, http_server_background), 200);
    int niceness = getpriority(PRIO_PROCESS, 0);
    assert_int_equal(atomic_load(&work.niceness), niceness + 10 < 19 ? niceness + 10 : 19);
}

static void an_address_in_use_is_told_with_the_way_out(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *address = memory_format("127.0.0.1:%d", fixture->port);
    struct http_server *server = NULL;
    struct error error;
    struct http_server_options options = {.address = address};
    assert_int_equal(http_server_start(&options, &server, &error), CONFLICT);
    assert_true(strlen(error.fix) > 0);
    options.address = "nonsense";
    assert_int_equal(http_server_start(&options, &server, &error), INVALID);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start_plain, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_request_is_answered),
        WITH_SERVER(a_head_request_gets_the_length_without_the_body),
        WITH_SERVER(ambiguous_requests_are_refused),
        WITH_SERVER(unknown_addresses_methods_and_large_heads_are_refused),
        WITH_SERVER(parameters_are_decoded),
        WITH_SERVER(pipelined_requests_are_answered_in_order),
        WITH_SERVER(a_request_that_comes_byte_by_byte_is_read),
        WITH_SERVER(a_body_over_the_limit_gets_413),
        WITH_SERVER(a_body_of_a_stranger_is_not_awaited),
        WITH_SERVER(a_body_is_asked_for_when_the_client_expects_it),
        cmocka_unit_test_setup_teardown(a_slow_head_is_cut_off, start_impatient, stop),
        cmocka_unit_test_setup_teardown(a_client_that_stays_after_its_slow_head_was_cut_off_is_left,
                                        start_with_one_place, stop),
        WITH_SERVER(a_chunked_upload_goes_to_the_sink),
        WITH_SERVER(an_upload_without_a_body_reaches_the_end_of_the_sink),
        WITH_SERVER(a_sink_may_refuse_at_the_beginning_and_later),
        WITH_SERVER(a_sink_is_told_when_the_client_leaves),
        WITH_SERVER(another_thread_answers_a_waiting_request),
        WITH_SERVER(a_handler_is_told_when_its_client_leaves),
        WITH_SERVER(a_stream_is_chunked_and_plain_for_http_1_0),
        WITH_SERVER(a_file_is_sent_whole),
        WITH_SERVER(stopping_lets_an_answer_under_way_finish),
        WITH_SERVER(stopping_drops_what_is_not_answered_in_time),
        WITH_SERVER(slow_work_leaves_threads_for_quick_work),
        WITH_SERVER(background_work_stands_back_and_delays_no_other),
        WITH_SERVER(an_address_in_use_is_told_with_the_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
