#include "../cmocka_all.h"
#include "../folder.h"

#include "base/hex.h"
#include "base/memory.h"
#include "crypto/signature.h"
#include "os/file.h"

#include <stdlib.h>

// RFC 8032 section 7.1, test 2: the key as PKCS #8, its public half, and the signature of the byte 0x72.
static const char PRIVATE_PEM[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";
static const char PUBLIC_HEX[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
static const char SIGNATURE_HEX[] =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
// The same number as a key of X25519, which cannot sign.
static const char OTHER_PEM[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MC4CAQAwBQYDK2VuBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
                                "-----END PRIVATE KEY-----\n";

static void put_key(void **state, const char *pem)
{
    AUTO_FREE char *path = memory_format("%s/key.pem", (const char *)*state);
    assert_int_equal(file_write_atomic(path, text_of(pem), 0600, NULL), OK);
}

static void signatures_are_those_of_rfc_8032(void **state)
{
    struct signing_key *key = NULL;
    struct signature expected;
    struct signature made;
    struct public_key public_key;
    assert_true(hex_decode(text_of(PUBLIC_HEX), public_key.bytes, PUBLIC_KEY_SIZE));
    assert_true(hex_decode(text_of(SIGNATURE_HEX), expected.bytes, SIGNATURE_SIZE));
    put_key(state, PRIVATE_PEM);
    assert_int_equal(signing_key_open(*state, &key, NULL), OK);
    assert_memory_equal(signing_key_public(key), &public_key, sizeof public_key);
    signing_key_sign(key, TEXT("r"), &made);
    assert_memory_equal(&made, &expected, sizeof made);
    assert_true(signature_is_good(&public_key, TEXT("r"), &made));
    signing_key_free(key);
}

static void only_the_same_message_key_and_signature_fit(void **state)
{
    struct signing_key *key = NULL;
    struct signature signature;
    put_key(state, PRIVATE_PEM);
    assert_int_equal(signing_key_open(*state, &key, NULL), OK);
    struct public_key public_key = *signing_key_public(key);
    signing_key_sign(key, TEXT_NONE, &signature);
    assert_true(signature_is_good(&public_key, TEXT_NONE, &signature));
    assert_false(signature_is_good(&public_key, TEXT("x"), &signature));
    for (size_t at = 0; at < SIGNATURE_SIZE; at++) {
        struct signature altered = signature;
        altered.bytes[at] ^= 1;
        assert_false(signature_is_good(&public_key, TEXT_NONE, &altered));
    }
    for (size_t at = 0; at < PUBLIC_KEY_SIZE; at++) {
        struct public_key altered = public_key;
        altered.bytes[at] ^= 1;
        assert_false(signature_is_good(&altered, TEXT_NONE, &signature));
    }
    signing_key_free(key);
}

static void the_fingerprint_is_that_of_the_sites_certificate(void **state)
{
    struct signing_key *key = NULL;
    struct fingerprint of_certificate;
    assert_int_equal(key_ensure(*state, "site", &of_certificate, NULL), OK);
    assert_int_equal(signing_key_open(*state, &key, NULL), OK);
    assert_string_equal(signing_key_fingerprint(key)->text, of_certificate.text);
    struct fingerprint computed = public_key_fingerprint(signing_key_public(key));
    assert_string_equal(computed.text, of_certificate.text);
    signing_key_free(key);
}

static void a_missing_key_is_not_found(void **state)
{
    struct signing_key *key = NULL;
    struct error error = {0};
    assert_int_equal(signing_key_open(*state, &key, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "key.pem"));
    assert_null(key);
}

static void what_is_no_ed25519_key_is_refused(void **state)
{
    struct signing_key *key = NULL;
    struct error error = {0};
    put_key(state, "mine");
    assert_int_equal(signing_key_open(*state, &key, &error), CORRUPT);
    put_key(state, OTHER_PEM);
    assert_int_equal(signing_key_open(*state, &key, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "Ed25519"));
    assert_null(key);
    signing_key_free(NULL);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(signatures_are_those_of_rfc_8032),
        IN_A_FOLDER(only_the_same_message_key_and_signature_fit),
        IN_A_FOLDER(the_fingerprint_is_that_of_the_sites_certificate),
        IN_A_FOLDER(a_missing_key_is_not_found),
        IN_A_FOLDER(what_is_no_ed25519_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
