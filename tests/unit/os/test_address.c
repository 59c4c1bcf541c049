#include "../cmocka_all.h"

#include "os/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static void private_addresses_are_those_of_the_standards(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_private;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.255.255.255", true},
        {"128.0.0.1", false},
        {"10.0.0.1", true},
        {"11.0.0.1", false},
        {"9.255.255.255", false},
        {"172.15.255.255", false},
        {"172.16.0.0", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.168.0.1", true},
        {"192.167.0.1", false},
        {"192.169.0.1", false},
        {"169.254.7.7", true},
        {"169.253.0.1", false},
        {"0.0.0.0", false},
        {"8.8.8.8", false},
        {"100.64.0.1", false},
        {"255.255.255.255", false},
        {"::1", true},
        {"::", false},
        {"::2", false},
        {"fe80::1", true},
        {"fe80::1%eth0", true},
        {"febf::1", true},
        {"fec0::1", false},
        {"fc00::1", true},
        {"fdff::1", true},
        {"fe00::1", false},
        {"2001:db8::1", false},
        {"::ffff:192.168.0.1", true},
        {"::ffff:8.8.8.8", false},
        {"ff02::1", false},
        {"", false},
        {"localhost", false},
        {"10.0.0", false},
        {"10.0.0.1.1", false},
        {" 10.0.0.1", false},
        {"[::1]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (address_text_is_private(text_of(cases[i].text)) != cases[i].is_private) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static void a_socket_s_address_is_judged_as_its_text(void **state)
{
    (void)state;
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    const struct sockaddr other = {.sa_family = AF_APPLETALK};
    assert_true(address_is_private((struct sockaddr *)&ipv4));
    assert_true(address_is_private((struct sockaddr *)&ipv6));
    assert_true(address_is_private((const struct sockaddr *)&local));
    assert_false(address_is_private(&other));
    ipv4.sin_addr.s_addr = htonl(INADDR_ANY);
    ipv6.sin6_addr = in6addr_any;
    assert_false(address_is_private((struct sockaddr *)&ipv4));
    assert_false(address_is_private((struct sockaddr *)&ipv6));
}

static void loopback_is_each_machine_s_own(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family;
        bool is_loopback;
    } CASES[] = {
        {"127.0.0.0", AF_INET, true},
        {"127.0.0.1", AF_INET, true},
        {"127.255.255.255", AF_INET, true},
        {"126.255.255.255", AF_INET, false},
        {"128.0.0.0", AF_INET, false},
        {"1.0.0.127", AF_INET, false},
        {"0.0.0.0", AF_INET, false},
        {"10.0.0.1", AF_INET, false},
        {"::1", AF_INET6, true},
        {"::", AF_INET6, false},
        {"::2", AF_INET6, false},
        {"1::1", AF_INET6, false},
        {"::7f00:1", AF_INET6, false},
        {"7f00::1", AF_INET6, false},
        {"fe80::1", AF_INET6, false},
        {"2001:db8::1", AF_INET6, false},
        {"::ffff:127.0.0.1", AF_INET6, true},
        {"::ffff:127.255.0.1", AF_INET6, true},
        {"::ffff:128.0.0.1", AF_INET6, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct sockaddr_in ipv4 = {.sin_family = AF_INET};
        struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
        bool is_ipv4 = CASES[i].family == AF_INET;
        void *bytes = is_ipv4 ? (void *)&ipv4.sin_addr : (void *)&ipv6.sin6_addr;
        assert_int_equal(inet_pton(CASES[i].family, CASES[i].text, bytes), 1);
        bool is_loopback = address_bytes_are_loopback(CASES[i].family, bytes);
        if (is_loopback != CASES[i].is_loopback ||
            address_text_is_loopback(text_of(CASES[i].text)) != is_loopback ||
            address_is_loopback(is_ipv4 ? (struct sockaddr *)&ipv4 : (struct sockaddr *)&ipv6) !=
                is_loopback) {
            fail_msg("%s", CASES[i].text);
        }
    }
    static const unsigned char NONE[16] = {127};
    assert_false(address_bytes_are_loopback(AF_UNIX, NONE));
    assert_true(address_is_loopback(&(const struct sockaddr){.sa_family = AF_UNIX}));
    assert_false(address_is_loopback(&(const struct sockaddr){.sa_family = AF_APPLETALK}));
    assert_false(address_text_is_loopback(TEXT("localhost")));
    assert_false(address_text_is_loopback(TEXT("[::1]")));
    assert_false(address_text_is_loopback(TEXT("127.0.0.1.example.org")));
    assert_false(address_text_is_loopback(TEXT("")));
}

static void a_url_or_a_host_may_say_each_machine_s_own(void **state)
{
    (void)state;
    static const char *const OWN[] = {
        "https://127.0.0.1:7733",
        "https://[::1]:7733/v1",
        "https://localhost:7733",
        "https://[::ffff:127.0.0.1]:7733",
        "127.9.0.1",
        "localhost",
        "::1",
        "[::1]",
        "127.0.0.1:7730",
    };
    static const char *const OTHERS[] = {
        "https://10.0.0.5:7733",
        "https://[fd00::5]:7733",
        "https://localhost.example.org",
        "https://127.0.0.1.example.org",
        "https://desk/127.0.0.1",
        "desk",
        "fd00::1",
        "",
        "https://",
    };
    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++) {
        if (!address_is_own(text_of(OWN[i]))) {
            fail_msg("%s", OWN[i]);
        }
    }
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        if (address_is_own(text_of(OTHERS[i]))) {
            fail_msg("%s", OTHERS[i]);
        }
    }
}

static void a_listening_address_must_be_private_as_a_whole(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(address_check_private(TEXT("127.0.0.1:7733"), NULL), OK);
    assert_int_equal(address_check_private(TEXT("[fd00::1]:0"), NULL), OK);
    assert_int_equal(address_check_private(TEXT("localhost:0"), NULL), OK);
    assert_int_equal(address_check_private(TEXT("0.0.0.0:7733"), &error), DENIED);
    assert_non_null(strstr(error.detail, "0.0.0.0"));
    assert_int_equal(address_check_private(TEXT("[::]:7733"), NULL), DENIED);
    assert_int_equal(address_check_private(TEXT("[2001:db8::1]:7733"), NULL), DENIED);
    assert_int_equal(address_check_private(TEXT(":7733"), NULL), INVALID);
    assert_int_equal(address_check_private(TEXT("nonsense"), NULL), INVALID);
    assert_int_equal(address_check_private(TEXT(""), NULL), INVALID);
}

static void the_own_address_towards_a_host_is_found(void **state)
{
    (void)state;
    char own[ADDRESS_TEXT_SIZE] = "";
    struct error error = {0};
    bool is_here = false;
    assert_int_equal(address_toward("https://127.0.0.1:7733/", own, &is_here, NULL), OK);
    assert_string_equal(own, "127.0.0.1");
    assert_true(is_here);
    is_here = false;
    assert_int_equal(address_toward("https://127.0.0.9", own, &is_here, NULL), OK);
    assert_string_equal(own, "127.0.0.1");
    assert_true(is_here);
    assert_int_equal(address_toward("https://localhost:7733/v1/x", own, &is_here, NULL), OK);
    assert_int_equal(address_toward("https:///v1", own, &is_here, &error), INVALID);
    assert_non_null(strstr(error.detail, "names no machine"));
    assert_int_equal(address_toward("", own, &is_here, NULL), INVALID);
}

static void addresses_of_one_network_are_near(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        bool is_near;
    } CASES[] = {
        {"10.0.0.1", "10.0.0.250", true},
        {"10.0.0.1", "10.0.1.1", false},
        {"10.0.0.1", "::ffff:10.0.0.9", true}, // As a socket of IPv6 sees it.
        {"fd00::1", "fd00::ffff:0:0:1", true},
        {"fd00::1", "fd00:0:0:1::1", false},
        {"::1", "127.0.0.1", false},
        {"10.0.0.1", "", false},
        {"desk", "desk", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(address_text_is_near(text_of(CASES[i].a), text_of(CASES[i].b)),
                         CASES[i].is_near);
        assert_int_equal(address_text_is_near(text_of(CASES[i].b), text_of(CASES[i].a)),
                         CASES[i].is_near);
    }
}

static void one_address_may_be_written_in_several_ways(void **state)
{
    (void)state;
    assert_true(address_text_is_same(TEXT("10.0.0.1"), TEXT("::ffff:10.0.0.1")));
    assert_true(address_text_is_same(TEXT("fd00::1"), TEXT("FD00:0::1")));
    assert_false(address_text_is_same(TEXT("10.0.0.1"), TEXT("10.0.0.2")));
    assert_false(address_text_is_same(TEXT(""), TEXT("")));
}

static void the_host_of_a_url_is_read(void **state)
{
    (void)state;
    assert_true(text_equal(address_host(TEXT("https://10.0.0.5:7744")), TEXT("10.0.0.5")));
    assert_true(text_equal(address_host(TEXT("https://[fd00::5]:1/v1")), TEXT("fd00::5")));
    assert_true(text_equal(address_host(TEXT("desk")), TEXT("desk")));
    assert_int_equal(address_host(TEXT("https://")).length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_addresses_are_those_of_the_standards),
        cmocka_unit_test(a_socket_s_address_is_judged_as_its_text),
        cmocka_unit_test(loopback_is_each_machine_s_own),
        cmocka_unit_test(a_url_or_a_host_may_say_each_machine_s_own),
        cmocka_unit_test(a_listening_address_must_be_private_as_a_whole),
        cmocka_unit_test(the_own_address_towards_a_host_is_found),
        cmocka_unit_test(addresses_of_one_network_are_near),
        cmocka_unit_test(one_address_may_be_written_in_several_ways),
        cmocka_unit_test(the_host_of_a_url_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
