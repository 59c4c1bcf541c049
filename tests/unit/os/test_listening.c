#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/listening.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

// 0, or why not.
static int connect_to(int port)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

static void who_connects_to_a_reserved_port_is_refused_until_it_listens(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = -1;
    assert_int_equal(listening_reserve("127.0.0.1:0", &fd, NULL), OK);
    int port = listening_port(fd);
    assert_true(port > 0);
    assert_int_equal(connect_to(port), ECONNREFUSED);
    assert_int_equal(listening_begin(fd, NULL), OK);
    assert_int_equal(listening_port(fd), port);
    assert_int_equal(connect_to(port), 0);
}

static void a_reserved_port_is_nobody_else_s(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    int fds[COUNT];
    int ports[COUNT];
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(listening_reserve("127.0.0.1:0", &fds[i], NULL), OK);
        ports[i] = listening_port(fds[i]);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(ports[i], ports[j]);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(listening_begin(fds[i], NULL), OK);
        (void)close(fds[i]);
    }
}

static void a_port_that_is_taken_is_a_conflict_and_free_again_once_closed(void **state)
{
    (void)state;
    struct error error = {0};
    int fd = -1;
    AUTO_CLOSE int other = -1;
    assert_int_equal(listening_open("127.0.0.1:0", &fd, NULL), OK);
    AUTO_FREE char *same = memory_format("127.0.0.1:%d", listening_port(fd));
    assert_int_equal(listening_open(same, &other, &error), CONFLICT);
    assert_non_null(strstr(error.fix, "another port"));
    (void)close(fd);
    assert_int_equal(listening_open(same, &other, NULL), OK);
}

static void what_is_no_address_is_invalid(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(listening_open("127.0.0.1", &fd, NULL), INVALID);
    assert_int_equal(listening_open(":0", &fd, NULL), INVALID);
    assert_int_equal(listening_reserve("nowhere.invalid:0", &fd, NULL), INVALID);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_connects_to_a_reserved_port_is_refused_until_it_listens),
        cmocka_unit_test(a_reserved_port_is_nobody_else_s),
        cmocka_unit_test(a_port_that_is_taken_is_a_conflict_and_free_again_once_closed),
        cmocka_unit_test(what_is_no_address_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
