#include "../cmocka_all.h"

#include "base/memory.h"
#include "catalog/identifier.h"

static void expect(const char *given, enum identifier_kind kind, const char *normal)
{
    struct identifier identifier = {0};
    struct identifier again = {0};
    struct error error = {0};
    if (identifier_parse(text_of(given), &identifier, &error) != OK) {
        fail_msg("%s: %s", given, error.detail);
    }
    assert_string_equal(identifier.bytes, normal);
    assert_int_equal(identifier.length, strlen(normal));
    assert_int_equal(identifier.kind, kind);
    assert_int_equal(identifier_parse(identifier_text(&identifier), &again, &error), OK);
    assert_true(identifier_equal(&identifier, &again));
    assert_int_equal(again.kind, kind);
}

static void refuse(struct text given)
{
    struct identifier identifier = {.length = 1, .bytes = "x"};
    struct error error = {0};
    if (identifier_parse(given, &identifier, &error) == OK) {
        fail_msg("%.*s became %s", TEXT_ARGS(given), identifier.bytes);
    }
    assert_int_equal(error.status, INVALID);
    assert_true(error.detail[0] != '\0' && error.fix[0] != '\0');
    assert_string_equal(identifier.bytes, "x");
}

static void dois_fold_and_lose_their_resolver(void **state)
{
    (void)state;
    expect("doi:10.5065/COADS", IDENTIFIER_DOI, "doi:10.5065/coads");
    expect("DOI:10.5065/coads", IDENTIFIER_DOI, "doi:10.5065/coads");
    expect("10.5065/Coads", IDENTIFIER_DOI, "doi:10.5065/coads");
    expect("https://doi.org/10.5065/coads", IDENTIFIER_DOI, "doi:10.5065/coads");
    expect("http://DX.doi.org:80/10.5065/coads", IDENTIFIER_DOI, "doi:10.5065/coads");
    expect("hdl:10.5065/COADS", IDENTIFIER_DOI, "doi:10.5065/coads");
    expect("10.1002/(SICI)1096%3A3.0.CO;2-L", IDENTIFIER_DOI,
           "doi:10.1002/(sici)1096%3a3.0.co;2-l");
    expect("https://doi.org/10.1002/(SICI)1%3C2%3E3", IDENTIFIER_DOI, "doi:10.1002/(sici)1<2>3");
    expect("10.1/\xC3\x84", IDENTIFIER_DOI, "doi:10.1/\xC3\x84");
}

static void arks_lose_host_hyphens_and_idle_marks(void **state)
{
    (void)state;
    expect("ark:/12025/654xz321", IDENTIFIER_ARK, "ark:12025/654xz321");
    expect("ARK:12025/65-4-xz-321", IDENTIFIER_ARK, "ark:12025/654xz321");
    expect("https://n2t.net/ark:/12025/654Xz321?info", IDENTIFIER_ARK, "ark:12025/654Xz321");
    expect("https://n2t.net/%61rk:/12025/6", IDENTIFIER_ARK, "ark:12025/6");
    expect("ark:/B5072/F//x/", IDENTIFIER_ARK, "ark:b5072/F/x");
    expect("ark:12025/6/s3.v2.xsl", IDENTIFIER_ARK, "ark:12025/6/s3.v2.xsl");
    expect("ark:12025/6%2fa%c3", IDENTIFIER_ARK, "ark:12025/6%2Fa%C3");
}

static void handles_fold_their_prefix_only(void **state)
{
    (void)state;
    expect("hdl:20.500.ABC/Name", IDENTIFIER_HANDLE, "hdl:20.500.abc/Name");
    expect("info:hdl/2381/12345", IDENTIFIER_HANDLE, "hdl:2381/12345");
    expect("https://hdl.handle.net/2381/ab%3F", IDENTIFIER_HANDLE, "hdl:2381/ab?");
}

static void urns_keep_their_name_and_lose_their_components(void **state)
{
    (void)state;
    expect("URN:ISBN:0-395-36341-1", IDENTIFIER_URN, "urn:isbn:0-395-36341-1");
    expect("urn:example:a123%2cz456", IDENTIFIER_URN, "urn:example:a123%2Cz456");
    expect("urn:example:a123,z456?+abc?=xyz#12", IDENTIFIER_URN, "urn:example:a123,z456");
    expect("urn:example:A123,z456", IDENTIFIER_URN, "urn:example:A123,z456");
    expect("urn:example:%7ea", IDENTIFIER_URN, "urn:example:%7Ea");
}

static void ivoids_fold_before_their_local_part(void **state)
{
    (void)state;
    expect("IVO://Org.GAVO.DC/Flare/Q/", IDENTIFIER_IVOID, "ivo://org.gavo.dc/flare/q");
    expect("ivo://org.gavo.dc/~?Plates/B_1.fits", IDENTIFIER_IVOID,
           "ivo://org.gavo.dc/~?Plates/B_1.fits");
}

static void addresses_are_normal_as_rfc_3986_says(void **state)
{
    (void)state;
    expect("HTTP://User-Data.Org:80/a/./b/../c/%7Euser?q=%c3", IDENTIFIER_URL,
           "http://user-data.org/a/c/~user?q=%C3");
    expect("https://example.org", IDENTIFIER_URL, "https://example.org/");
    expect("https://example.org:443/../..", IDENTIFIER_URL, "https://example.org/");
    expect("https://example.org:08443//a/#f", IDENTIFIER_URL, "https://example.org:8443//a/#f");
    expect("https://[2001:DB8::1]:443/x", IDENTIFIER_URL, "https://[2001:db8::1]/x");
    expect("https://example.org/Gr\xC3\xBC\xC3\x9F|", IDENTIFIER_URL,
           "https://example.org/Gr%C3%BC%C3%9F%7C");
    expect("https://example.org/%2e%2E/x", IDENTIFIER_URL, "https://example.org/x");
}

static void scoped_names_stay_as_they_are(void **state)
{
    (void)state;
    expect("user.ada:run-7/a.root", IDENTIFIER_SCOPED, "user.ada:run-7/a.root");
    expect("cms:/Primary/Processed/AOD#1", IDENTIFIER_SCOPED, "cms:/Primary/Processed/AOD#1");
}

static const char *const REFUSED[] = {
    "x",
    "name",
    "a b:c",
    "s:a b",
    "s:",
    ":n",
    "s:a\nb",
    "s:a\x7f",
    "s:\xC0\xAF",
    "s:a/../b",
    "s:..",
    "_s:n",
    "a123456789012345678901234567890:n",
    "s:a\\b",
    "s:\xC3\xBC",
    "doi:11.1/x",
    "doi:10.1",
    "doi:10.1/",
    "doi:10./x",
    "doi:10.a/x",
    "10.5065",
    "doi:10.1/a/../b",
    "https://doi.org/10.1/a%0Ab",
    "https://doi.org/10.1/a?b",
    "https://doi.org/10.1/%2e%2e%2fx",
    "ark:",
    "ark:/",
    "ark:12345",
    "ark:12345/",
    "ark:12345/--",
    "ark:1a345/x",
    "ark:12345/a.b/c",
    "ark:12345/x/../y",
    "ark:12345/%00",
    "hdl:",
    "hdl:x",
    "hdl:/x",
    "hdl:a..b/x",
    "urn:",
    "urn:a:b",
    "urn:example:",
    "urn:-ex:a",
    "urn:example:a?b",
    "urn:example:a b",
    "urn:example:\xC3\xBC",
    "urn:example:%4",
    "urn:example:%0a",
    "ivo://",
    "ivo://ab/x",
    "ivo://-abc/x",
    "ivo://abc/%41",
    "ivo://abc?a/%2e%2e/x",
    "ivo://abc/../x",
    "http://",
    "http:///x",
    "http://a@b/c",
    "http://a:b/",
    "http://a:65536/",
    "http://a:0/",
    "http://[::1/",
    "http://a/%",
    "http://a/%0a",
    "http://a/%00",
    "http://\xC3\xBC/",
    "file:///etc/passwd",
    "ftp://x/y",
    "file:x",
    "s3://b/k",
    "javascript:x",
};

static void other_texts_are_refused_with_a_way_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        refuse(text_of(REFUSED[i]));
    }
    refuse(TEXT_NONE);
    refuse(TEXT("s:a\0b"));
}

static void the_maximum_holds_for_what_is_given_and_for_the_normal_form(void **state)
{
    (void)state;
    AUTO_FREE char *large = memory_new(10 << 20, 1);
    memset(large, 'a', 10 << 20);
    memcpy(large, "doi:10.1/", 9);
    refuse((struct text){large, 10 << 20});
    refuse((struct text){large, IDENTIFIER_SIZE_MAX + 1});
    struct identifier identifier;
    struct text longest = {large, IDENTIFIER_SIZE_MAX};
    assert_int_equal(identifier_parse(longest, &identifier, NULL), OK);
    assert_int_equal(identifier.length, IDENTIFIER_SIZE_MAX);
    memcpy(large, "http://h/", 9);
    memset(large + 9, '|', 1000);
    refuse((struct text){large, 1009});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dois_fold_and_lose_their_resolver),
        cmocka_unit_test(arks_lose_host_hyphens_and_idle_marks),
        cmocka_unit_test(handles_fold_their_prefix_only),
        cmocka_unit_test(urns_keep_their_name_and_lose_their_components),
        cmocka_unit_test(ivoids_fold_before_their_local_part),
        cmocka_unit_test(addresses_are_normal_as_rfc_3986_says),
        cmocka_unit_test(scoped_names_stay_as_they_are),
        cmocka_unit_test(other_texts_are_refused_with_a_way_out),
        cmocka_unit_test(the_maximum_holds_for_what_is_given_and_for_the_normal_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
