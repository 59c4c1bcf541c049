// On the loopback only: what is announced here is heard by nobody else.
#include "../cmocka_all.h"

#include "discover/announcer.h"
#include "discover/browse.h"
#include "os/clock.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PORT = 7733, DEADLINE_US = 60000000, PAUSE_US = 10000, ROUNDS = 20 };

static struct announcer_options options_of(const char *name)
{
    struct announcer_options options = {.bound_count = 1, .port = PORT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct fingerprint key = fingerprint_of_public_key(name, strlen(name));
    memcpy(&options.bound[0], &four, sizeof four);
    assert_int_equal(
        announcement_make(text_of(name), text_of(key.text), TEXT("1"), &options.announcement, NULL),
        OK);
    return options;
}

static void note_state(void *context, enum announcer_state state, enum responder by,
                       const struct error *problem)
{
    atomic_int *states = context;
    assert_int_equal(by, RESPONDER_CORE);
    assert_int_equal(state == ANNOUNCER_FAILING, problem != NULL);
    (void)atomic_fetch_or(states, 1 << state);
}

static void it_ends_whatever_it_is_at(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct announcer_options options = options_of("short");
        struct announcer *announcer = NULL;
        enum responder by = RESPONDER_CORE;
        struct error problem = {0};
        atomic_int states = 0;
        options.report = note_state;
        options.context = &states;
        assert_int_equal(announcer_start(&options, &announcer, NULL), OK);
        (void)announcer_look(announcer, &by, &problem);
        announcer_stop(announcer);
        announcer_free(announcer);
    }
    announcer_stop(NULL);
    announcer_free(NULL);
}

// Is it there, and where? Others on this machine may announce something too.
static bool find(const struct browsed *browsed, const struct announcement *said)
{
    char url[BROWSED_URL_SIZE];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", PORT);
    for (size_t i = 0; i < browsed->count; i++) {
        if (strcmp(browsed->sites[i].said.fingerprint.text, said->fingerprint.text) == 0) {
            assert_string_equal(browsed->sites[i].said.name, said->name);
            assert_string_equal(browsed->sites[i].url, url);
            return true;
        }
    }
    return false;
}

static void what_is_announced_is_heard(void **state)
{
    (void)state;
    struct announcer_options options = options_of("heard");
    struct announcer *announcer = NULL;
    enum responder by = RESPONDER_CORE;
    struct error problem = {0};
    static struct browsed browsed;
    int64_t deadline_us = clock_steady_us() + DEADLINE_US;
    assert_int_equal(announcer_start(&options, &announcer, NULL), OK);
    enum announcer_state now = announcer_look(announcer, &by, &problem);
    while (now == ANNOUNCER_STARTING && clock_steady_us() < deadline_us) {
        (void)usleep(PAUSE_US);
        now = announcer_look(announcer, &by, &problem);
    }
    if (now == ANNOUNCER_FAILING) {
        announcer_stop(announcer);
        announcer_free(announcer);
        print_message("not on this machine: %s\n", problem.detail);
        skip();
    }
    bool is_found = false;
    while (!is_found && clock_steady_us() < deadline_us) {
        assert_int_equal(browse_sites(1000000, 1000000, &browsed, NULL), OK);
        is_found = find(&browsed, &options.announcement);
    }
    announcer_stop(announcer);
    announcer_free(announcer);
    assert_int_equal(now, ANNOUNCER_ANNOUNCED);
    assert_true(is_found);
}

int main(void)
{
    // No daemon of this machine is to announce any of it.
    assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1), 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_whatever_it_is_at),
        cmocka_unit_test(what_is_announced_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
