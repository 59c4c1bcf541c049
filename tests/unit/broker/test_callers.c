// Questions to several sites at once: who answers, who refuses, who is silent or somebody else.
#include "../cmocka_all.h"
#include "../http/fixture.h"

#include "base/memory.h"
#include "broker/state.h"
#include "http/server_parts.h"
#include "os/clock.h"

#include <stdio.h>

enum { SILENCE_US = 300000, PATIENCE_US = 60000000, ROUNDS = 3 };

struct two_sites {
    struct fixture first;
    struct fixture second;
    struct callers *callers; // With the key of the first.
    struct peer at_first;
    struct peer at_second;
};

static struct peer peer_of(const struct fixture *fixture, const char *name)
{
    struct peer peer = {.site = fixture->fingerprint};
    (void)snprintf(peer.name, sizeof peer.name, "%s", name);
    (void)snprintf(peer.url, sizeof peer.url, "%s", fixture->url);
    return peer;
}

static int start(void **state)
{
    struct two_sites *sites = NEW(struct two_sites);
    fixture_start(&sites->first, (struct http_server_options){0}, true);
    fixture_start(&sites->second, (struct http_server_options){0}, true);
    sites->at_first = peer_of(&sites->first, "ocean");
    sites->at_second = peer_of(&sites->second, "land");
    sites->callers = callers_new(sites->first.folder);
    *state = sites;
    return 0;
}

static int stop(void **state)
{
    struct two_sites *sites = *state;
    callers_free(sites->callers);
    fixture_stop(&sites->first);
    fixture_stop(&sites->second);
    free(sites);
    return 0;
}

static void ask(struct two_sites *sites, struct caller_question *questions, size_t count,
                int64_t wait_us)
{
    struct error error = {0};
    assert_int_equal(callers_ask(sites->callers, questions, count, wait_us, &error), OK);
}

static void done(struct caller_question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_done(&questions[i].answer);
    }
}

static void assert_answer(const struct caller_question *question, const char *wanted)
{
    assert_int_equal(question->status, OK);
    assert_true(text_equal(buffer_text(&question->answer), text_of(wanted)));
}

static void all_are_asked_and_each_answer_is_beside_its_question(void **state)
{
    struct two_sites *sites = *state;
    char key[FINGERPRINT_SIZE];
    struct caller_question questions[] = {
        {.site = &sites->at_first, .method = "GET", .path = "/hello?name=sea"},
        {.site = &sites->at_second, .method = "POST", .path = "/echo", .body = TEXT("{\"a\":1}")},
        {.site = &sites->at_second, .method = "GET", .path = "/hello?name=soil"},
    };
    ask(sites, questions, 3, PATIENCE_US);
    assert_answer(&questions[0], "hello sea");
    assert_answer(&questions[1], "{\"a\":1}");
    assert_answer(&questions[2], "hello soil");
    fixture_last_key(&sites->second, key);
    assert_string_equal(key, sites->first.fingerprint.text);
    done(questions, 3);
}

static void a_refusal_is_that_questions_alone(void **state)
{
    struct two_sites *sites = *state;
    struct caller_question questions[] = {
        {.site = &sites->at_first, .method = "GET", .path = "/nothing"},
        {.site = &sites->at_second, .method = "GET", .path = "/hello"},
    };
    ask(sites, questions, 2, PATIENCE_US);
    assert_int_equal(questions[0].status, NOT_FOUND);
    assert_true(questions[0].error.detail[0] != '\0');
    assert_int_equal(questions[0].answer.length, 0);
    assert_answer(&questions[1], "hello world");
    done(questions, 2);
}

static void a_silent_site_holds_nobody_for_longer_than_was_said(void **state)
{
    struct two_sites *sites = *state;
    struct caller_question silent = {.site = &sites->at_first, .method = "GET", .path = "/wait"};
    int64_t began_us = clock_steady_us();
    ask(sites, &silent, 1, SILENCE_US);
    assert_int_equal(silent.status, TIMEOUT);
    assert_true(clock_steady_us() - began_us >= SILENCE_US);
    // The client that was given back is good for the next question.
    struct caller_question next = {.site = &sites->at_second, .method = "GET", .path = "/hello"};
    ask(sites, &next, 1, PATIENCE_US);
    assert_answer(&next, "hello world");
    done(&silent, 1);
    done(&next, 1);
}

static void a_site_without_an_address_or_with_another_key_is_not_asked(void **state)
{
    struct two_sites *sites = *state;
    struct peer nowhere = sites->at_first;
    struct peer impostor = sites->at_second;
    char key[FINGERPRINT_SIZE];
    nowhere.url[0] = '\0';
    impostor.site = sites->first.fingerprint;
    struct caller_question questions[] = {
        {.site = &nowhere, .method = "GET", .path = "/hello"},
        {.site = &impostor, .method = "GET", .path = "/hello"},
    };
    ask(sites, questions, 2, PATIENCE_US);
    assert_int_equal(questions[0].status, UNAVAILABLE);
    assert_non_null(strstr(questions[0].error.detail, "ocean says no address"));
    assert_int_equal(questions[1].status, DENIED);
    fixture_last_key(&sites->second, key);
    assert_string_equal(key, "");
    done(questions, 2);
}

static void connections_stay_warm_between_questions(void **state)
{
    struct two_sites *sites = *state;
    for (int i = 0; i < ROUNDS; i++) {
        struct caller_question question = {
            .site = &sites->at_first, .method = "GET", .path = "/hello"};
        ask(sites, &question, 1, PATIENCE_US);
        assert_answer(&question, "hello world");
        done(&question, 1);
    }
    assert_int_equal(SSL_CTX_sess_accept_good(sites->first.server->tls), 1);
}

static void no_question_is_answered_at_once(void **state)
{
    struct two_sites *sites = *state;
    ask(sites, NULL, 0, PATIENCE_US);
}

static void without_the_sites_key_nobody_can_be_asked(void **state)
{
    struct two_sites *sites = *state;
    struct error error = {0};
    struct callers *keyless = callers_new("/nonexistent");
    struct caller_question question = {.site = &sites->at_first, .method = "GET", .path = "/hello"};
    assert_int_not_equal(callers_ask(keyless, &question, 1, PATIENCE_US, &error), OK);
    assert_true(error.detail[0] != '\0');
    callers_free(keyless);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_are_asked_and_each_answer_is_beside_its_question),
        TEST(a_refusal_is_that_questions_alone),
        TEST(a_silent_site_holds_nobody_for_longer_than_was_said),
        TEST(a_site_without_an_address_or_with_another_key_is_not_asked),
        TEST(connections_stay_warm_between_questions),
        TEST(no_question_is_answered_at_once),
        TEST(without_the_sites_key_nobody_can_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
