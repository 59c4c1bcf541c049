#include "../cmocka_all.h"
#include "../store/fixture.h"

#include "base/memory.h"
#include "identity/credentials.h"
#include "identity/known_sites.h"
#include "os/file.h"

#include <sys/stat.h>

#define KEY_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TOKEN "lode_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct fingerprint A = {KEY_A};
static const struct fingerprint B = {KEY_B};
static const struct site_address HERE = {"127.0.0.1:7733"};
static const struct site_address THERE = {"site.example:443"};

static void urls_become_one_address(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *address; // NULL: refused.
    } cases[] = {
        {"https://Site.Example", "site.example:443"},
        {"HTTPS://site.example:7733/v1?x", "site.example:7733"},
        {"site.example", "site.example:7733"},
        {"localhost:80", "localhost:80"},
        {"https://[2001:DB8:0::1]:99", "[2001:db8::1]:99"},
        {"[::1]", "[::1]:7733"},
        {"", NULL},
        {"https://", NULL},
        {"http://site.example", NULL},
        {"ftp://site.example", NULL},
        {"https://user@site.example", NULL},
        {"site.example:0", NULL},
        {"site.example:65536", NULL},
        {"site.example:", NULL},
        {"::1", NULL},
        {"[::1", NULL},
        {"[]", NULL},
        {"[::g]", NULL},
        {"[::1]x:1", NULL},
        {"a b", NULL},
        {"a\nb", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site_address address = {"unchanged"};
        struct error error = {0};
        enum status status = site_address_from_url(text_of(cases[i].url), &address, &error);
        if (cases[i].address) {
            assert_int_equal(status, OK);
            assert_string_equal(address.text, cases[i].address);
        } else {
            assert_int_equal(status, INVALID);
            assert_string_equal(address.text, "unchanged");
            assert_true(error.fix[0] != '\0');
        }
    }
}

static void a_site_once_met_is_recognised(void **state)
{
    AUTO_FREE char *folder = memory_format("%s/lode", (char *)*state); // Not there yet.
    assert_int_equal(known_sites_check(folder, &HERE, &A, NULL), NOT_FOUND);
    assert_int_equal(known_sites_add(folder, &HERE, &A, 1000000, NULL), OK);
    assert_int_equal(known_sites_add(folder, &THERE, &B, 2000000, NULL), OK);
    assert_int_equal(known_sites_check(folder, &HERE, &A, NULL), OK);
    assert_int_equal(known_sites_add(folder, &HERE, &B, 3000000, NULL), CONFLICT);
    struct known_site known;
    assert_int_equal(known_sites_find(folder, &THERE, &known, NULL), OK);
    assert_string_equal(known.fingerprint.text, KEY_B);
    assert_true(known.met_us == 2000000);
    assert_int_equal(known.line, 2);
}

static void a_changed_key_is_refused_with_the_way_out(void **state)
{
    const char *folder = *state;
    struct error error = {0};
    assert_int_equal(known_sites_add(folder, &THERE, &B, 1000000, NULL), OK);
    assert_int_equal(known_sites_add(folder, &HERE, &A, 1000000, NULL), OK);
    assert_int_equal(known_sites_check(folder, &HERE, &B, &error), DENIED);
    assert_non_null(strstr(error.detail, "line 2 of "));
    assert_non_null(strstr(error.detail, "/known_sites"));
    assert_non_null(strstr(error.fix, "lode login --forget https://127.0.0.1:7733"));
    assert_int_equal(known_sites_forget(folder, &HERE, NULL), OK);
    assert_int_equal(known_sites_forget(folder, &HERE, NULL), NOT_FOUND);
    assert_int_equal(known_sites_check(folder, &HERE, &B, NULL), NOT_FOUND);
    assert_int_equal(known_sites_check(folder, &THERE, &B, NULL), OK);
}

static void comments_and_broken_lines_of_others_do_no_harm(void **state)
{
    (void)state;
    static const char content[] = "# mine\n\nbroken\nother:1 nonsense\r\n"
                                  "127.0.0.1:7733   " KEY_A "  2026-11-21T10:00:00Z\r\n";
    struct known_site known;
    struct error error = {0};
    assert_int_equal(known_sites_look(text_of(content), &HERE, &known, &error), OK);
    assert_int_equal(known.line, 5);
    struct site_address other = {"other:1"};
    assert_int_equal(known_sites_look(text_of(content), &other, &known, &error), INVALID);
    assert_non_null(strstr(error.detail, "line 4"));
}

static void comments_survive_a_change(void **state)
{
    AUTO_FREE char *path = memory_format("%s/known_sites", (char *)*state);
    static const char content[] = "# mine\n\nother:1 nonsense\n\n";
    assert_int_equal(file_write_atomic(path, text_of(content), 0644, NULL), OK);
    assert_int_equal(known_sites_add(*state, &HERE, &A, 1000000, NULL), OK);
    assert_int_equal(known_sites_forget(*state, &HERE, NULL), OK);
    AUTO_BUFFER struct buffer after = {0};
    assert_int_equal(file_read(path, 1000, &after, NULL), OK);
    assert_string_equal(after.bytes, content);
}

static void tokens_are_kept_by_site_and_private(void **state)
{
    const char *folder = *state;
    struct token_secret secret = {TOKEN};
    struct token_secret found = {""};
    struct error error = {0};
    assert_int_equal(credentials_find(folder, &HERE, &found, &error), NOT_FOUND);
    assert_non_null(strstr(error.fix, "lode login https://127.0.0.1:7733"));
    assert_int_equal(credentials_save(folder, &HERE, &secret, NULL), OK);
    assert_int_equal(credentials_find(folder, &HERE, &found, NULL), OK);
    assert_string_equal(found.text, TOKEN);
    assert_int_equal(credentials_find(folder, &THERE, &found, NULL), NOT_FOUND);
    AUTO_FREE char *path = memory_format("%s/tokens", folder);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(credentials_find(folder, &HERE, &found, &error), DENIED);
    assert_non_null(strstr(error.fix, "chmod 600"));
    assert_int_equal(credentials_forget(folder, &HERE, NULL), OK);
    assert_int_equal(credentials_forget(folder, &HERE, NULL), OK);
    assert_int_equal(credentials_find(folder, &HERE, &found, NULL), NOT_FOUND);
}

static void a_line_without_a_token_is_named(void **state)
{
    AUTO_FREE char *path = memory_format("%s/tokens", (char *)*state);
    struct token_secret found;
    struct error error = {0};
    assert_int_equal(file_write_atomic(path, TEXT("\n127.0.0.1:7733 lode_x\n"), 0600, NULL), OK);
    assert_int_equal(credentials_find(*state, &HERE, &found, &error), INVALID);
    assert_non_null(strstr(error.detail, "line 2"));
}

static void the_default_site_is_remembered(void **state)
{
    struct site_address found;
    struct error error = {0};
    assert_int_equal(default_site_find(*state, &found, &error), NOT_FOUND);
    assert_non_null(strstr(error.fix, "lode login"));
    assert_int_equal(default_site_save(*state, &THERE, NULL), OK);
    assert_int_equal(default_site_find(*state, &found, NULL), OK);
    assert_string_equal(found.text, THERE.text);
}

static void the_clients_folder_follows_xdg(void **state)
{
    (void)state;
    AUTO_FREE char *xdg = client_folder("/x", "/home/ada");
    AUTO_FREE char *home = client_folder(NULL, "/home/ada");
    AUTO_FREE char *relative = client_folder("x", "/home/ada");
    assert_string_equal(xdg, "/x/lode");
    assert_string_equal(home, "/home/ada/.config/lode");
    assert_string_equal(relative, "/home/ada/.config/lode");
    assert_null(client_folder("", NULL));
}

static void a_key_is_found_at_whatever_address(void **state)
{
    const char *folder = *state;
    assert_false(known_sites_has_key(folder, &A));
    assert_int_equal(known_sites_add(folder, &HERE, &A, 0, NULL), OK);
    assert_int_equal(known_sites_add(folder, &THERE, &A, 0, NULL), OK);
    assert_true(known_sites_has_key(folder, &A));
    assert_false(known_sites_has_key(folder, &B));
    assert_int_equal(known_sites_forget(folder, &HERE, NULL), OK);
    assert_true(known_sites_has_key(folder, &A));
    assert_int_equal(known_sites_forget(folder, &THERE, NULL), OK);
    assert_false(known_sites_has_key(folder, &A));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_become_one_address),
        TEST(a_site_once_met_is_recognised),
        TEST(a_changed_key_is_refused_with_the_way_out),
        cmocka_unit_test(comments_and_broken_lines_of_others_do_no_harm),
        TEST(a_key_is_found_at_whatever_address),
        TEST(comments_survive_a_change),
        TEST(tokens_are_kept_by_site_and_private),
        TEST(a_line_without_a_token_is_named),
        TEST(the_default_site_is_remembered),
        cmocka_unit_test(the_clients_folder_follows_xdg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
