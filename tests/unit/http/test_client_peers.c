#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "http/client.h"
#include "http/server_parts.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/listening.h"

#include <stdio.h>

enum { WAIT_US = 60000000 };

static const char WRONG_PIN[] =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

struct two_sites {
    struct fixture first;
    struct fixture second;
};

static int start(void **state)
{
    struct two_sites *sites = NEW(struct two_sites);
    fixture_start(&sites->first, (struct http_server_options){0}, true);
    fixture_start(&sites->second, (struct http_server_options){0}, true);
    *state = sites;
    return 0;
}

static int stop(void **state)
{
    struct two_sites *sites = *state;
    fixture_stop(&sites->first);
    fixture_stop(&sites->second);
    free(sites);
    return 0;
}

static struct http_client *client_new(struct http_client_options options)
{
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), OK);
    return client;
}

static enum status ask_hello(struct http_client *client, const struct http_peer *peer,
                             struct error *error)
{
    const struct http_ask ask = {.peer = peer, .method = "GET", .path = "/hello"};
    struct http_answer answer;
    AUTO_BUFFER struct buffer keep = {0};
    return http_client_ask(client, &ask, &keep, &answer, error);
}

static struct http_peer peer_of(const struct fixture *fixture, const char *token)
{
    return (struct http_peer){fixture->url, fixture->fingerprint.text, token};
}

// How many handshakes the server has completed.
static long handshakes_of(const struct fixture *fixture)
{
    return SSL_CTX_sess_accept_good(fixture->server->tls);
}

static void one_client_talks_to_many_servers_with_a_pin_and_token_for_each(void **state)
{
    struct two_sites *sites = *state;
    struct http_client *client = client_new((struct http_client_options){0});
    struct http_peer first = peer_of(&sites->first, "one");
    struct http_peer second = peer_of(&sites->second, "two");
    char seen[64];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_hello(client, &first, NULL), OK);
        assert_int_equal(ask_hello(client, &second, NULL), OK);
        fixture_last_authorization(&sites->first, seen);
        assert_string_equal(seen, "Bearer one");
        fixture_last_authorization(&sites->second, seen);
        assert_string_equal(seen, "Bearer two");
    }
    assert_int_equal(handshakes_of(&sites->first), 1);
    assert_int_equal(handshakes_of(&sites->second), 1);
    struct http_peer without_token = peer_of(&sites->first, NULL);
    assert_int_equal(ask_hello(client, &without_token, NULL), OK);
    fixture_last_authorization(&sites->first, seen);
    assert_string_equal(seen, "");
    http_client_free(client);
}

static void a_connection_or_session_for_one_pin_is_not_used_for_another(void **state)
{
    struct two_sites *sites = *state;
    struct http_client *client = client_new((struct http_client_options){0});
    struct http_peer right = peer_of(&sites->first, "secret");
    struct http_peer wrong = {sites->first.url, WRONG_PIN, "told to nobody"};
    struct http_peer foreign = {sites->first.url, sites->second.fingerprint.text, "told to nobody"};
    struct http_peer none = {sites->first.url, NULL, "told to nobody"};
    const struct http_peer *others[] = {&wrong, &foreign, &none};
    struct error error;
    char seen[64];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask_hello(client, &right, &error), OK);
        assert_int_equal(ask_hello(client, others[i], &error), DENIED);
        assert_int_equal(ask_hello(client, others[i], &error), DENIED);
        fixture_last_authorization(&sites->first, seen);
        assert_string_equal(seen, "Bearer secret");
    }
    http_client_free(client);
}

static void a_call_that_names_no_usable_server_is_refused(void **state)
{
    struct two_sites *sites = *state;
    struct http_client *client = client_new((struct http_client_options){0});
    struct http_peer no_address = {.base_url = NULL};
    struct http_peer no_pin = {sites->first.url, "sha256:nonsense", NULL};
    struct http_peer control = {"https://127.0.0.1\r\n", NULL, NULL};
    struct error error;
    assert_int_equal(ask_hello(client, NULL, &error), INVALID);
    assert_int_equal(ask_hello(client, &no_address, &error), INVALID);
    assert_int_equal(ask_hello(client, &no_pin, &error), INVALID);
    assert_int_equal(ask_hello(client, &control, &error), INVALID);
    http_client_free(client);
}

static void a_key_that_cannot_be_read_makes_no_client(void **state)
{
    struct two_sites *sites = *state;
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", sites->first.folder);
    AUTO_FREE char *other_key = memory_format("%s/key.pem", sites->second.folder);
    struct http_client_options options = {.key_path = "/nothing/key.pem",
                                          .certificate_path = certificate};
    struct http_client *client = NULL;
    struct error error;
    assert_int_equal(http_client_new(&options, &client, &error), INVALID);
    options.key_path = other_key;
    assert_int_equal(http_client_new(&options, &client, &error), INVALID);
    assert_null(client);
}

static void a_session_is_resumed_when_its_connection_is_gone(void **state)
{
    struct two_sites *sites = *state;
    AUTO_FREE char *key = memory_format("%s/key.pem", sites->second.folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", sites->second.folder);
    struct http_client *client = client_new((struct http_client_options){
        .connections_kept = 1, .key_path = key, .certificate_path = certificate});
    struct http_peer first = peer_of(&sites->first, NULL);
    struct http_peer second = peer_of(&sites->second, NULL);
    struct http_peer wrong = {sites->first.url, WRONG_PIN, NULL};
    char seen[FINGERPRINT_SIZE];
    assert_int_equal(ask_hello(client, &first, NULL), OK);
    assert_int_equal(ask_hello(client, &second, NULL), OK); // Takes the only place.
    assert_int_equal(ask_hello(client, &wrong, NULL), DENIED);
    assert_int_equal(SSL_CTX_sess_hits(sites->first.server->tls), 0);
    assert_int_equal(ask_hello(client, &first, NULL), OK);
    assert_int_equal(SSL_CTX_sess_hits(sites->first.server->tls), 1);
    fixture_last_key(&sites->first, seen);
    assert_string_equal(seen, sites->second.fingerprint.text);
    http_client_free(client);
}

static void count_answer(void *context, const struct http_answer *answer)
{
    assert_int_equal(answer->status, OK);
    (*(int *)context)++;
}

static void no_more_calls_than_allowed_are_under_way(void **state)
{
    struct two_sites *sites = *state;
    struct http_client *client = client_new((struct http_client_options){.calls_max = 2});
    struct http_peer first = peer_of(&sites->first, NULL);
    struct http_peer second = peer_of(&sites->second, NULL);
    int done = 0;
    struct http_ask ask = {.peer = &first, .method = "GET", .path = "/hello", .context = &done};
    assert_non_null(http_client_start(client, &ask, count_answer));
    ask.peer = &second;
    struct http_call *call = http_client_start(client, &ask, count_answer);
    assert_non_null(call);
    assert_null(http_client_start(client, &ask, count_answer));
    http_client_cancel(client, call);
    assert_non_null(http_client_start(client, &ask, count_answer));
    assert_null(http_client_start(client, &ask, count_answer));
    while (done < 2) {
        (void)http_client_wait(client, NULL, 0, WAIT_US);
    }
    assert_non_null(http_client_start(client, &ask, count_answer));
    http_client_free(client);
}

static void *wake(void *client)
{
    http_client_wake(client);
    return NULL;
}

static void another_thread_ends_the_wait(void **state)
{
    (void)state;
    struct http_client *client = client_new((struct http_client_options){0});
    pthread_t thread;
    int64_t began_us = clock_steady_us();
    assert_int_equal(pthread_create(&thread, NULL, wake, client), 0);
    (void)http_client_wait(client, NULL, 0, WAIT_US);
    (void)pthread_join(thread, NULL);
    http_client_wake(client); // Before the wait it counts as well.
    (void)http_client_wait(client, NULL, 0, WAIT_US);
    assert_true(clock_steady_us() - began_us < WAIT_US);
    http_client_free(client);
}

#define WITH_SITES(test) cmocka_unit_test_setup_teardown(test, start, stop)

static void a_call_may_have_less_patience_with_a_connection(void **state)
{
    (void)state;
    enum { SHORT_US = 50000, LONG_US = 55000000 };
    struct http_client *client =
        client_new((struct http_client_options){.connect_timeout_us = WAIT_US});
    AUTO_CLOSE int silent = -1; // It takes connections, and says nothing.
    assert_int_equal(listening_open("127.0.0.1:0", &silent, NULL), OK);
    AUTO_FREE char *url = memory_format("https://127.0.0.1:%d", listening_port(silent));
    const struct http_peer peer = {url, WRONG_PIN, NULL};
    const struct http_ask ask = {
        .peer = &peer, .method = "GET", .path = "/hello", .connect_timeout_us = SHORT_US};
    struct http_answer answer;
    AUTO_BUFFER struct buffer keep = {0};
    int64_t began_us = clock_steady_us();
    enum status status = http_client_ask(client, &ask, &keep, &answer, NULL);
    assert_true(status == TIMEOUT || status == UNAVAILABLE);
    assert_true(clock_steady_us() - began_us < LONG_US);
    http_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITES(one_client_talks_to_many_servers_with_a_pin_and_token_for_each),
        WITH_SITES(a_connection_or_session_for_one_pin_is_not_used_for_another),
        WITH_SITES(a_call_that_names_no_usable_server_is_refused),
        WITH_SITES(a_key_that_cannot_be_read_makes_no_client),
        WITH_SITES(a_session_is_resumed_when_its_connection_is_gone),
        WITH_SITES(no_more_calls_than_allowed_are_under_way),
        cmocka_unit_test(another_thread_ends_the_wait),
        cmocka_unit_test(a_call_may_have_less_patience_with_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
