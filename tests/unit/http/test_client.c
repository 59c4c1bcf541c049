#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "http/client.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void write_problem(int code, const char *detail, const char *fix, struct buffer *body,
                          const char **content_type)
{
    *content_type = "application/problem+json";
    buffer_printf(body, "{\"status\":%d,\"detail\":\"%s\\u001b[2J\",\"fix\":\"%s\"}", code, detail,
                  fix);
}

static int start_tls(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    fixture_start(fixture, (struct http_server_options){.problem = write_problem}, true);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static struct http_client *client_for(const struct fixture *fixture)
{
    struct http_client_options options = {.base_url = fixture->url,
                                          .pin = fixture->fingerprint.text};
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    return client;
}

static enum status get(struct http_client *client, const char *path, struct buffer *body,
                       struct error *error)
{
    return http_client_json(client, "GET", path, TEXT_NONE, body, error);
}

static void a_pinned_server_answers(void **state)
{
    struct http_client *client = client_for(*state);
    AUTO_BUFFER struct buffer body = {0};
    struct error error;
    assert_int_equal(get(client, "/hello?name=you", &body, &error), OK);
    assert_true(text_equal(buffer_text(&body), TEXT("hello you")));
    buffer_clear(&body);
    assert_int_equal(http_client_json(client, "POST", "/echo", TEXT("{\"a\":1}"), &body, &error),
                     OK);
    assert_true(text_equal(buffer_text(&body), TEXT("{\"a\":1}")));
    http_client_free(client);
}

static void a_wrong_pin_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct http_client_options options = {
        .base_url = fixture->url,
        .pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    };
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    assert_int_equal(get(client, "/hello", NULL, &error), DENIED);
    assert_true(strlen(error.fix) > 0);
    http_client_free(client);
    options.pin = NULL;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    assert_int_equal(get(client, "/hello", NULL, &error), DENIED);
    http_client_free(client);
}

static void a_pinned_client_sends_nothing_in_the_clear(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *url = memory_format("http://127.0.0.1:%d", fixture->port);
    struct http_client_options options = {.base_url = url, .pin = fixture->fingerprint.text};
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    assert_int_equal(get(client, "/hello", NULL, &error), INVALID);
    http_client_free(client);
}

static void the_fingerprint_of_a_server_is_seen(void **state)
{
    struct fixture *fixture = *state;
    char seen[72];
    struct error error;
    assert_int_equal(http_client_fingerprint(fixture->url, seen, &error), OK);
    assert_string_equal(seen, fixture->fingerprint.text);
    assert_int_equal(http_client_fingerprint("https://127.0.0.1:1", seen, &error), UNAVAILABLE);
}

static void the_server_sees_the_key_of_the_client(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *key = memory_format("%s/key.pem", fixture->folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", fixture->folder);
    struct http_client_options options = {.base_url = fixture->url,
                                          .pin = fixture->fingerprint.text,
                                          .key_path = key,
                                          .certificate_path = certificate};
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    assert_int_equal(get(client, "/hello", NULL, &error), OK);
    char seen[FINGERPRINT_SIZE];
    fixture_last_key(fixture, seen);
    assert_string_equal(seen, fixture->fingerprint.text);
    http_client_free(client);
}

static void a_problem_document_becomes_an_error(void **state)
{
    struct http_client *client = client_for(*state);
    struct error error;
    assert_int_equal(get(client, "/nothing", NULL, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "nothing is served"));
    assert_null(strchr(error.detail, '\x1b'));
    assert_true(strlen(error.fix) > 0);
    assert_int_equal(get(client, "/spa ce", NULL, &error), INVALID);
    http_client_free(client);
}

static void a_server_that_is_not_there_is_unavailable(void **state)
{
    (void)state;
    struct http_client_options options = {.base_url = "http://127.0.0.1:1"};
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    assert_int_equal(get(client, "/", NULL, &error), UNAVAILABLE);
    http_client_free(client);
}

static void a_call_ends_when_its_time_is_up(void **state)
{
    struct fixture *fixture = *state;
    struct http_client *client = client_for(fixture);
    const struct http_ask ask = {.method = "GET", .path = "/wait", .timeout_us = 2000000};
    struct http_answer answer;
    struct error error;
    AUTO_BUFFER struct buffer keep = {0};
    // The connection is there already: the time is over while the server has the request, not before.
    (void)get(client, "/nothing", NULL, &error);
    assert_int_equal(http_client_ask(client, &ask, &keep, &answer, &error), TIMEOUT);
    fixture_answer(fixture);
    http_client_free(client);
}

static void note_answer(void *context, const struct http_answer *answer)
{
    assert_int_equal(answer->status, OK);
    (*(int *)context)++;
}

static void a_long_poll_and_a_result_go_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct http_client *client = client_for(fixture);
    int waited = 0;
    int sent = 0;
    struct http_ask poll_ask = {.method = "GET", .path = "/wait", .context = &waited};
    struct http_ask send_ask = {
        .method = "POST", .path = "/echo", .body = TEXT("{}"), .context = &sent};
    (void)http_client_start(client, &poll_ask, note_answer);
    for (int i = 1; i <= 3; i++) {
        (void)http_client_start(client, &send_ask, note_answer);
        while (sent < i) {
            (void)http_client_wait(client, NULL, 0, 1000000);
        }
    }
    assert_int_equal(waited, 0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[1]);
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(http_client_wait(client, &watched, 1, 10000000), 1);
    assert_true(watched.revents & POLLHUP);
    (void)close(ends[0]);
    fixture_answer(fixture);
    while (waited == 0) {
        (void)http_client_wait(client, NULL, 0, 1000000);
    }
    struct http_call *call = http_client_start(client, &poll_ask, note_answer);
    http_client_cancel(client, call);
    assert_int_equal(waited, 1);
    http_client_free(client);
}

struct counted {
    int64_t bytes;
    int64_t stop_after;
    int64_t progress;
};

static bool count_data(void *context, struct text bytes)
{
    struct counted *counted = context;
    counted->bytes += (int64_t)bytes.length;
    return counted->stop_after == 0 || counted->bytes < counted->stop_after;
}

static void note_progress(void *context, int64_t done, int64_t total)
{
    struct counted *counted = context;
    assert_true(total < 0 || done <= total);
    counted->progress = done;
}

static void large_bodies_stream_both_ways(void **state)
{
    struct fixture *fixture = *state;
    struct http_client *client = client_for(fixture);
    const int64_t size = 20000003;
    int fd = fixture_make_file(fixture, size);
    struct counted counted = {0};
    struct http_answer answer;
    struct error error;
    AUTO_BUFFER struct buffer keep = {0};
    struct http_ask ask = {.method = "GET",
                           .path = "/file",
                           .on_data = count_data,
                           .on_progress = note_progress,
                           .context = &counted};
    assert_int_equal(http_client_ask(client, &ask, &keep, &answer, &error), OK);
    assert_int_equal(counted.bytes, size);
    assert_int_equal(counted.progress, size);
    counted = (struct counted){.stop_after = 1000000};
    assert_int_equal(http_client_ask(client, &ask, &keep, &answer, &error), CONFLICT);
    struct http_ask put = {
        .method = "PUT", .path = "/sink/a", .body_fd = fd, .has_body_fd = true, .body_size = size};
    assert_int_equal(http_client_ask(client, &put, &keep, &answer, &error), OK);
    assert_int_equal(answer.code, 201);
    assert_int_equal(fixture_sink_bytes(fixture), size);
    put.path = "/sink/refusing";
    assert_int_not_equal(http_client_ask(client, &put, &keep, &answer, &error), OK);
    fixture_await(fixture, &fixture->seen.sink_aborted, 1);
    http_client_free(client);
}

enum { MANY = 1000 };

static void a_thousand_silent_connections_leave_room_for_one_that_asks(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL **connections = memory_new(MANY, sizeof *connections);
    int *fds = memory_new(MANY, sizeof *fds);
    for (size_t i = 0; i < MANY; i++) {
        fds[i] = raw_connect(fixture->port);
        connections[i] = SSL_new(context);
        assert_int_equal(SSL_set_fd(connections[i], fds[i]), 1);
        assert_int_equal(SSL_connect(connections[i]), 1);
    }
    struct http_client *client = client_for(fixture);
    struct error error;
    assert_int_equal(get(client, "/hello", NULL, &error), OK);
    http_client_free(client);
    for (size_t i = 0; i < MANY; i++) {
        SSL_free(connections[i]);
        (void)close(fds[i]);
    }
    free(connections);
    free(fds);
    SSL_CTX_free(context);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start_tls, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_pinned_server_answers),
        WITH_SERVER(a_wrong_pin_is_refused),
        WITH_SERVER(a_pinned_client_sends_nothing_in_the_clear),
        WITH_SERVER(the_fingerprint_of_a_server_is_seen),
        WITH_SERVER(the_server_sees_the_key_of_the_client),
        WITH_SERVER(a_problem_document_becomes_an_error),
        cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
        WITH_SERVER(a_call_ends_when_its_time_is_up),
        WITH_SERVER(a_long_poll_and_a_result_go_side_by_side),
        WITH_SERVER(large_bodies_stream_both_ways),
        WITH_SERVER(a_thousand_silent_connections_leave_room_for_one_that_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
