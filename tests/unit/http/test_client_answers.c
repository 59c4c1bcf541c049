// What becomes of a call whose server answers with garbage, without an end, or slowly.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "http/client.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A server for one connection: says `head`, then `piece` over and over, with a pause of `pause_us` behind each.
struct liar {
    const char *head;
    const char *piece; // NULL: it closes behind the head.
    int64_t pause_us;
    int listen_fd;
    char url[64];
    pthread_t thread;
};

static void *lie(void *context)
{
    const struct liar *liar = context;
    const struct timespec pause = {.tv_nsec = liar->pause_us * 1000};
    char request[4096];
    int fd = accept(liar->listen_fd, NULL, NULL);
    bool goes_on = read(fd, request, sizeof request) > 0 &&
                   send(fd, liar->head, strlen(liar->head), MSG_NOSIGNAL) > 0 && liar->piece;
    while (goes_on) {
        goes_on = send(fd, liar->piece, strlen(liar->piece), MSG_NOSIGNAL) > 0;
        if (liar->pause_us > 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    (void)close(fd);
    return NULL;
}

static void liar_start(struct liar *liar)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    liar->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(liar->listen_fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(liar->listen_fd, 1), 0);
    assert_int_equal(getsockname(liar->listen_fd, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(liar->url, sizeof liar->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&liar->thread, NULL, lie, liar), 0);
}

enum { ANSWER_MAX = 100000, TIMEOUT_US = 500000, LONG_US = 60000000 };

// Asks the liar; the status, with the error's words.
static enum status ask_liar(struct liar liar, int64_t timeout_us, struct error *error)
{
    liar_start(&liar);
    struct http_client_options options = {.base_url = liar.url};
    struct http_client *client = NULL;
    struct http_answer answer;
    AUTO_BUFFER struct buffer keep = {0};
    assert_int_equal(http_client_new(&options, &client, error), OK);
    const struct http_ask ask = {
        .method = "GET", .path = "/", .timeout_us = timeout_us, .answer_size_max = ANSWER_MAX};
    enum status status = http_client_ask(client, &ask, &keep, &answer, error);
    http_client_free(client);
    (void)pthread_join(liar.thread, NULL);
    (void)close(liar.listen_fd);
    return status;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void an_endless_body_ends_at_the_limit(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(
        ask_liar((struct liar){.head = OK_HEAD "\r\n[", .piece = "1, "}, LONG_US, &error), QUOTA);
    assert_non_null(strstr(error.detail, "larger than 100000 bytes"));
    assert_int_equal(ask_liar((struct liar){.head = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n",
                                            .piece = "4\r\n[[[[\r\n"},
                              LONG_US, &error),
                     QUOTA);
    assert_int_equal(ask_liar((struct liar){.head = "HTTP/1.1 500 Oh\r\n\r\n", .piece = "no! "},
                              LONG_US, &error),
                     QUOTA);
}

static void an_endless_head_ends_at_the_limit(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(ask_liar((struct liar){.head = OK_HEAD, .piece = "A: b\r\n"}, LONG_US, &error),
                     QUOTA);
    assert_non_null(strstr(error.detail, "head of the answer"));
    assert_int_equal(ask_liar((struct liar){.head = "HTTP/1.1 100 Continue\r\n\r\n",
                                            .piece = "HTTP/1.1 100 Continue\r\n\r\n"},
                              LONG_US, &error),
                     QUOTA);
    assert_int_not_equal(
        ask_liar((struct liar){.head = OK_HEAD "A: ", .piece = "aaaaaaaaaaaaaaa"}, LONG_US, &error),
        OK);
    assert_true(strlen(error.detail) > 0);
}

static void a_slow_answer_ends_when_its_time_is_up(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(ask_liar((struct liar){.head = OK_HEAD "Content-Length: 1000000\r\n\r\n",
                                            .piece = "1",
                                            .pause_us = 10000},
                              TIMEOUT_US, &error),
                     TIMEOUT);
    assert_int_equal(ask_liar((struct liar){.head = OK_HEAD "A: ", .piece = "b", .pause_us = 10000},
                              TIMEOUT_US, &error),
                     TIMEOUT);
}

static void garbage_is_told_from_a_server_that_is_not_there(void **state)
{
    static const char *const HEADS[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01 no http at all",
        "HTTP/9.9 what\r\n\r\n",
        OK_HEAD "Content-Length: nonsense\r\n\r\n",
    };
    (void)state;
    struct error error;
    for (size_t i = 0; i < sizeof HEADS / sizeof HEADS[0]; i++) {
        enum status status = ask_liar((struct liar){.head = HEADS[i]}, LONG_US, &error);
        if (status != CORRUPT) {
            print_error("answer %zu: %s: %s\n", i, status_name(status), error.detail);
        }
        assert_int_equal(status, CORRUPT);
        assert_non_null(strstr(error.detail, "no answer of HTTP"));
    }
}

static void an_answer_that_breaks_off_is_no_answer(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(
        ask_liar((struct liar){.head = OK_HEAD "Content-Length: 10\r\n\r\n[1"}, LONG_US, &error),
        UNAVAILABLE);
    assert_int_equal(
        ask_liar((struct liar){.head = OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n"}, LONG_US,
                 &error),
        UNAVAILABLE);
    assert_int_equal(
        ask_liar((struct liar){.head = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\n[1"},
                 LONG_US, &error),
        UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endless_body_ends_at_the_limit),
        cmocka_unit_test(an_endless_head_ends_at_the_limit),
        cmocka_unit_test(a_slow_answer_ends_when_its_time_is_up),
        cmocka_unit_test(garbage_is_told_from_a_server_that_is_not_there),
        cmocka_unit_test(an_answer_that_breaks_off_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
