#include "../cmocka_all.h"

#include "base/hex.h"
#include "base/memory.h"
#include "crypto/seal.h"
#include "os/file.h"

#include <stdlib.h>

// RFC 4231, test case 1, with its key of 20 bytes filled up with zeros, which is the same key.
static void seals_are_those_of_rfc_4231(void **state)
{
    (void)state;
    struct digest key = {{0}};
    struct digest expected;
    memset(key.bytes, 0x0b, 20);
    assert_true(hex_decode(TEXT("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
                           expected.bytes, DIGEST_SIZE));
    struct digest made = seal_make(&key, TEXT("Hi There"));
    assert_true(digest_equal(&made, &expected));
    assert_true(seal_is_good(&key, TEXT("Hi There"), &made));
    assert_false(seal_is_good(&key, TEXT("Hi There!"), &made));
    made.bytes[31] ^= 1;
    assert_false(seal_is_good(&key, TEXT("Hi There"), &made));
}

static void a_derived_key_depends_on_the_sites_key_and_the_purpose_alone(void **state)
{
    (void)state;
    struct digest keys[2][2];
    for (int i = 0; i < 2; i++) {
        char folder[] = "/tmp/lode-test-seal.XXXXXX";
        struct fingerprint fingerprint;
        struct signing_key *key = NULL;
        assert_non_null(mkdtemp(folder));
        assert_int_equal(key_ensure(folder, "site", &fingerprint, NULL), OK);
        assert_int_equal(signing_key_open(folder, &key, NULL), OK);
        keys[i][0] = seal_key_derive(key, TEXT("one purpose"));
        keys[i][1] = seal_key_derive(key, TEXT("another"));
        struct digest again = seal_key_derive(key, TEXT("one purpose"));
        assert_true(digest_equal(&keys[i][0], &again));
        signing_key_free(key);
        assert_int_equal(file_remove_tree(folder, NULL), OK);
    }
    assert_false(digest_equal(&keys[0][0], &keys[0][1]));
    assert_false(digest_equal(&keys[0][0], &keys[1][0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_are_those_of_rfc_4231),
        cmocka_unit_test(a_derived_key_depends_on_the_sites_key_and_the_purpose_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
