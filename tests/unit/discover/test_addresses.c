#include "../cmocka_all.h"

#include "discover/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage made = {0};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(7733)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(7733)};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        memcpy(&made, &four, sizeof four);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
        memcpy(&made, &six, sizeof six);
    }
    return made;
}

static void sockets_answer_where_they_are_bound(void **state)
{
    (void)state;
    static const struct {
        const char *bound;
        const char *own;
        bool answers;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1", true},       {"10.0.0.1", "10.0.0.2", false},
        {"0.0.0.0", "10.0.0.2", true},        {"0.0.0.0", "127.0.0.1", true},
        {"0.0.0.0", "2001:db8::1", false},    {"::", "10.0.0.2", true},
        {"::", "2001:db8::1", true},          {"::", "fe80::1", false},
        {"2001:db8::1", "2001:db8::1", true}, {"2001:db8::1", "2001:db8::2", false},
        {"2001:db8::1", "10.0.0.1", false},   {"fe80::1", "fe80::1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_storage bound = address(cases[i].bound);
        struct sockaddr_storage own = address(cases[i].own);
        assert_int_equal(address_answers(&bound, &own), cases[i].answers);
    }
}

static void what_is_reached_lies_within_what_is_bound(void **state)
{
    (void)state;
    struct host_address found[HOST_ADDRESSES_MAX];
    const struct sockaddr_storage bound[] = {address("127.0.0.1"), address("127.0.0.1")};
    size_t count = addresses_reached(bound, 2, found);
    // A machine without a loopback has none; one that has it, once.
    assert_true(count <= 1);
    if (count == 1) {
        assert_int_equal(found[0].family, AF_INET);
        assert_int_equal(found[0].bytes[0], 127);
        assert_true(found[0].interface > 0);
    }
    const struct sockaddr_storage elsewhere = address("192.0.2.77"); // Of documentation (RFC 5737).
    assert_int_equal(addresses_reached(&elsewhere, 1, found), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_answer_where_they_are_bound),
        cmocka_unit_test(what_is_reached_lies_within_what_is_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
