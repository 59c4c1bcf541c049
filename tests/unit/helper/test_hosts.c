#include "../cmocka_all.h"

#include "base/buffer.h"
#include "helper/hosts.h"

#include <string.h>

#define KEY "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_port_says_that_a_helper_listens(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum host_way asked;
        enum host_way way;
        const char *name;
        int64_t port;
    } cases[] = {
        {"node7", HOST_WAY_ANY, HOST_WAY_SSH, "node7", 0},
        {"ada@node7.example.org", HOST_WAY_ANY, HOST_WAY_SSH, "ada@node7.example.org", 0},
        {"node7:7730", HOST_WAY_ANY, HOST_WAY_LISTEN, "node7", 7730},
        {"node7:2222", HOST_WAY_SSH, HOST_WAY_SSH, "node7", 2222},
        {"node7", HOST_WAY_LISTEN, HOST_WAY_LISTEN, "node7", 0},
        {"[2001:db8::1]:7730", HOST_WAY_ANY, HOST_WAY_LISTEN, "2001:db8::1", 7730},
        {"ada@[fe80::1%eth0]", HOST_WAY_ANY, HOST_WAY_SSH, "ada@fe80::1%eth0", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        assert_int_equal(host_read(text_of(cases[i].said), cases[i].asked, &host, NULL), OK);
        assert_int_equal(host.way, cases[i].way);
        assert_string_equal(host.name, cases[i].name);
        assert_string_equal(host.said, cases[i].said);
        assert_int_equal(host.port, cases[i].port);
    }
}

static void what_a_program_could_take_for_something_else_is_no_machine(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "-oProxyCommand=id",
        "-v",
        "ada@-v",
        "a b",
        "a;b",
        "$(id)",
        "a\nb",
        "node7:",
        "node7:0",
        "node7:65536",
        "::1",
        "[::1",
        "[::1]x:1",
        "@node7",
        "ada@",
        "a@b@c",
        "node7:x",
        "ada@node7:7730",
        "`id`",
        "a/b",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host = {.port = 99};
        struct error error = {0};
        assert_int_equal(host_read(text_of(cases[i]), HOST_WAY_ANY, &host, &error), INVALID);
        assert_true(error.fix[0] != '\0');
        assert_int_equal(host.port, 99);
    }
}

static enum status note(void *context, const struct host *host, struct error *error)
{
    (void)error;
    buffer_printf(context, "%s %s;", host->said, host->pin.text);
    return OK;
}

static void a_file_has_a_machine_in_a_line(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer seen = {0};
    const struct text content =
        TEXT("# the cluster\nnode1\n\n  node2:7730\t" KEY " # new\nada@node3");
    assert_int_equal(hosts_read(content, HOST_WAY_ANY, note, &seen, NULL), OK);
    assert_string_equal(seen.bytes, "node1 ;node2:7730 " KEY ";ada@node3 ;");
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    static const char *const cases[] = {"node1\n-v\n", "node1\nnode2:1 sha256:12\n",
                                        "node1\nnode2 " KEY "\n", "node1\nnode2:1 " KEY KEY "\n"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_BUFFER struct buffer seen = {0};
        struct error error = {0};
        assert_int_equal(hosts_read(text_of(cases[i]), HOST_WAY_ANY, note, &seen, &error), INVALID);
        assert_non_null(strstr(error.detail, "line 2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_says_that_a_helper_listens),
        cmocka_unit_test(what_a_program_could_take_for_something_else_is_no_machine),
        cmocka_unit_test(a_file_has_a_machine_in_a_line),
        cmocka_unit_test(a_bad_line_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
