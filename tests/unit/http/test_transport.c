#include "../cmocka_all.h"

#include "http/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int option(const struct transport *transport, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(transport->fd, IPPROTO_TCP, name, &value, &size), 0);
    return value;
}

// The system gives up an interval after the last question that was not answered.
static void a_silent_machine_is_given_up_in_the_time_that_was_asked_for(void **state)
{
    (void)state;
    for (int seconds = 2; seconds <= 60; seconds++) {
        struct transport transport;
        transport_init(&transport, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL);
        transport_watch(&transport, seconds);
        int until = option(&transport, TCP_KEEPIDLE) +
                    option(&transport, TCP_KEEPINTVL) * option(&transport, TCP_KEEPCNT);
        transport_done(&transport);
        assert_in_range(until, seconds - 2, seconds); // Whole seconds, rounded down.
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_machine_is_given_up_in_the_time_that_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
