#include "jobs/signal_names.h"

#include <assert.h>
#include <signal.h>

static const struct {
    const char *name;
    int number;
} known[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},
             {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM}};

enum { KNOWN_COUNT = sizeof known / sizeof known[0], PREFIX = 3 };

int signal_from_name(struct text name)
{
    struct text rest =
        text_starts_with(name, TEXT("SIG")) ? text_slice(name, PREFIX, name.length) : name;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (text_equal(rest, text_of(known[i].name))) {
            return known[i].number;
        }
    }
    return 0;
}

const char *signal_name(int number)
{
    size_t at = 0;
    while (at < KNOWN_COUNT && known[at].number != number) {
        at++;
    }
    assert(at < KNOWN_COUNT);
    return known[at].name;
}
