#include "fixture.h"

#include "../cmocka_all.h"

#include "ledger/statement.h"

#include <stdio.h>

// Made by Python's json.dumps and `openssl pkeyutl -sign`.
static const char HEAD[] =
    "{\"Alpha\":[{\"a\":[],\"b\":-1},{},null,true,false],\"epoch\":1,\"head\":\"sha256:"
    "0000000000000000000000000000000000000000000000000000000000000000\",\"kind\":\"head\","
    "\"serial\":7,\"signature\":\"Kbk2fzvbzly8XWqsuZJzwASl6mfsmbp7ixCC8Du4AEzXqCD+"
    "RHQHJYVKVSEjYypkzsklIY0Zz+ApZm9RifbZCQ==\",\"site\":\"sha256:"
    "deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170\","
    "\"time\":\"2026-11-21T10:00:00Z\",\"z\":9223372036854775807,"
    "\"zeta\":\"caf\xc3\xa9 \\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xe2\x80\xa8"
    "\xf0\x9f\x98\x80\",\"\xc3\xa9\":0}";
static const char SITE[] =
    "{\"is_hub\":false,\"kind\":\"site\",\"name\":\"ocean\",\"protocol\":1,"
    "\"public_key\":\"PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\",\"signature\":"
    "\"6XN7Tw1moWl9Zedl7EecTf4q+XH+3dwHm1soDyJTCPZJqgps+LKRVN9oj7vuifPgwcUAJdTaBjlyBQjHFTmlBA==\","
    "\"site\":\"sha256:deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170\","
    "\"time\":\"2026-11-21T10:00:00Z\","
    "\"urls\":[\"https://ocean.example:7733\",\"https://[::1]:7733\"],\"version\":\"0.1.0\"}";

static json_t *parsed(const char *text)
{
    json_t *value = NULL;
    struct error error = {0};
    if (json_parse(text_of(text), &value, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return value;
}

static void the_canonical_form_is_pythons(void **state)
{
    (void)state;
    AUTO_JSON json_t *head = parsed(HEAD);
    AUTO_BUFFER struct buffer text = {0};
    assert_int_equal(statement_write_canonical(head, &text, NULL), OK);
    assert_string_equal(text.bytes, HEAD);
}

static void what_has_no_canonical_form_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {"{\"a\":1.5}", "{\"a\":[1e3]}", "[1]", "7"};
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        AUTO_JSON json_t *value = parsed(BAD[i]);
        struct error error = {0};
        assert_int_equal(statement_write_canonical(value, &text, &error), INVALID);
        assert_string_not_equal(error.detail, "");
    }
    AUTO_JSON json_t *nul = json_pack("{s:o}", "a", json_stringn("x\0y", 3));
    assert_int_equal(statement_write_canonical(nul, &text, NULL), INVALID);
    AUTO_JSON json_t *deep = json_object();
    json_t *at = deep;
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_t *inner = json_object();
        (void)json_object_set_new(at, "a", inner);
        at = inner;
    }
    assert_int_equal(statement_write_canonical(deep, &text, NULL), INVALID);
    assert_int_equal(text.length, 0);
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *large = json_object();
    for (int i = 0; i < 5; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        AUTO_BUFFER struct buffer filling = {0};
        for (int each = 0; each < 64 << 10; each++) {
            buffer_append_byte(&filling, 'x');
        }
        (void)json_object_set_new(large, name, json_from_text(buffer_text(&filling)));
    }
    assert_int_equal(statement_write_canonical(large, &text, NULL), INVALID);
    assert_int_equal(text.length, 0);
}

static void another_programs_signature_is_verified(void **state)
{
    AUTO_JSON json_t *head = parsed(HEAD);
    struct signing_key *key = fixture_known_key(*state);
    struct error error = {0};
    assert_int_equal(statement_verify(head, "head", signing_key_public(key), &error), OK);
    assert_int_equal(statement_verify(head, NULL, signing_key_public(key), &error), OK);
    signing_key_free(key);
}

static void signing_gives_the_same_bytes_as_another_program(void **state)
{
    AUTO_JSON json_t *head = parsed(HEAD);
    AUTO_BUFFER struct buffer text = {0};
    struct signing_key *key = fixture_known_key(*state);
    (void)json_object_del(head, "site");
    // An old signature is no part of what is signed.
    (void)json_object_set_new(head, "signature", json_string("old"));
    assert_int_equal(statement_sign(head, key, &text, NULL), OK);
    assert_string_equal(text.bytes, HEAD);
    assert_int_equal(statement_verify(head, "head", signing_key_public(key), NULL), OK);
    signing_key_free(key);
}

static void what_cannot_be_signed_is_said(void **state)
{
    AUTO_JSON json_t *bad = json_pack("{s:f}", "a", 1.5);
    AUTO_BUFFER struct buffer text = {0};
    struct signing_key *key = fixture_known_key(*state);
    assert_int_equal(statement_sign(bad, key, &text, NULL), INVALID);
    assert_int_equal(text.length, 0);
    signing_key_free(key);
}

static void assert_refused(const json_t *object, const char *kind, const struct public_key *key,
                           const char *part)
{
    struct error error = {0};
    assert_int_equal(statement_verify(object, kind, key, &error), CORRUPT);
    if (!strstr(error.detail, part)) {
        fail_msg("\"%s\" does not say \"%s\"", error.detail, part);
    }
}

static void a_lie_is_refused_and_named(void **state)
{
    struct signing_key *known = fixture_known_key(*state);
    struct signing_key *other = fixture_new_key(*state, "other");
    const struct public_key *key = signing_key_public(known);
    AUTO_JSON json_t *head = parsed(HEAD);
    assert_refused(head, "dataset", key, "kind dataset");
    assert_refused(head, "head", signing_key_public(other), "is not by the site with the key");
    (void)json_object_set_new(head, "serial", json_integer(8));
    assert_refused(head, "head", key, "(epoch 1, serial 8): the signature does not fit");
    assert_refused(head, "head", key, FIXTURE_SITE);
    (void)json_object_set_new(head, "serial", json_integer(7));
    assert_int_equal(statement_verify(head, "head", key, NULL), OK);
    (void)json_object_set_new(head, "more", json_null());
    assert_refused(head, "head", key, "does not fit");
    (void)json_object_set_new(head, "more", json_real(1.5));
    assert_refused(head, "head", key, "no integer");
    (void)json_object_del(head, "more");
    (void)json_object_set_new(head, "signature", json_string("AAAA"));
    assert_refused(head, "head", key, "does not fit");
    (void)json_object_del(head, "signature");
    assert_refused(head, "head", key, "does not fit");
    (void)json_object_set_new(head, "site", json_string(signing_key_fingerprint(other)->text));
    assert_refused(head, "head", key, signing_key_fingerprint(other)->text);
    (void)json_object_del(head, "kind");
    assert_refused(head, NULL, key, "kind");
    AUTO_JSON json_t *array = json_array();
    assert_refused(array, NULL, key, "object");
    signing_key_free(known);
    signing_key_free(other);
}

static void a_site_brings_its_key(void **state)
{
    (void)state;
    AUTO_JSON json_t *object = parsed(SITE);
    struct site_statement site;
    struct error error = {0};
    if (site_statement_read(object, &site, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    char key[PUBLIC_KEY_TEXT_SIZE];
    public_key_to_text(&site.key, key);
    assert_string_equal(key, "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=");
    assert_string_equal(site.site.text, FIXTURE_SITE);
    assert_string_equal(site.name, "ocean");
    assert_string_equal(site.version, "0.1.0");
    assert_int_equal(json_array_size(site.urls), 2);
    assert_false(site.is_hub);
    assert_int_equal(site.time_us, INT64_C(1795255200000000));
}

// Signs the site statement with one member replaced, or without it, and reads it.
static enum status reread(const struct signing_key *key, const char *member, json_t *value,
                          struct error *error)
{
    AUTO_JSON json_t *object = parsed(SITE);
    AUTO_BUFFER struct buffer text = {0};
    struct site_statement site;
    if (value) {
        (void)json_object_set_new(object, member, value);
    } else {
        (void)json_object_del(object, member);
    }
    assert_int_equal(statement_sign(object, key, &text, NULL), OK);
    return site_statement_read(object, &site, error);
}

static void what_a_site_must_say_is_checked(void **state)
{
    static const char *const NEEDED[] = {"name",     "public_key", "urls", "version",
                                         "protocol", "is_hub",     "time"};
    struct signing_key *key = fixture_known_key(*state);
    struct error error = {0};
    for (size_t i = 0; i < sizeof NEEDED / sizeof NEEDED[0]; i++) {
        assert_int_equal(reread(key, NEEDED[i], NULL, &error), INVALID);
        assert_non_null(strstr(error.detail, NEEDED[i]));
    }
    assert_int_equal(reread(key, "name", json_string(""), &error), INVALID);
    assert_int_equal(reread(key, "name", json_string("a\nb"), &error), INVALID);
    assert_int_equal(reread(key, "time", json_string("now"), &error), INVALID);
    assert_int_equal(reread(key, "public_key", json_string("AAAA"), &error), INVALID);
    assert_int_equal(reread(key, "protocol", json_integer(2), &error), UNSUPPORTED);
    assert_non_null(strstr(error.detail, "protocol 2"));
    assert_int_equal(reread(key, "urls", json_pack("[s]", "http://a"), &error), INVALID);
    assert_int_equal(reread(key, "urls", json_pack("[s]", "https://a b"), &error), INVALID);
    assert_int_equal(reread(key, "urls", json_pack("[i]", 7), &error), INVALID);
    assert_int_equal(reread(key, "urls", json_array(), &error), OK);
    assert_int_equal(reread(key, "later", json_string("what a later version says"), &error), OK);
    assert_int_equal(reread(key, "kind", json_string("head"), &error), CORRUPT);
    signing_key_free(key);
}

static void a_forged_site_is_refused(void **state)
{
    AUTO_JSON json_t *object = parsed(SITE);
    struct site_statement site;
    struct error error = {0};
    (void)json_object_set_new(object, "name", json_string("river"));
    assert_int_equal(site_statement_read(object, &site, &error), CORRUPT);
    // Another's key in one's own statement.
    struct signing_key *key = fixture_new_key(*state, "forger");
    assert_int_equal(reread(key, "name", json_string("ocean"), &error), CORRUPT);
    assert_non_null(strstr(error.detail, "is not by the site"));
    AUTO_JSON json_t *array = json_array();
    assert_int_equal(site_statement_read(array, &site, NULL), INVALID);
    signing_key_free(key);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_canonical_form_is_pythons),
        cmocka_unit_test(what_has_no_canonical_form_is_refused),
        cmocka_unit_test(what_is_too_large_is_refused),
        IN_A_FOLDER(another_programs_signature_is_verified),
        IN_A_FOLDER(signing_gives_the_same_bytes_as_another_program),
        IN_A_FOLDER(what_cannot_be_signed_is_said),
        IN_A_FOLDER(a_lie_is_refused_and_named),
        cmocka_unit_test(a_site_brings_its_key),
        IN_A_FOLDER(what_a_site_must_say_is_checked),
        IN_A_FOLDER(a_forged_site_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
