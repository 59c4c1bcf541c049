#include "../cmocka_all.h"

#include "crypto/pass.h"

#define NOW_US INT64_C(1800000000000000)

static void a_pass_is_good_for_its_blob_and_its_time(void **state)
{
    (void)state;
    const struct digest key = {{1, 2, 3}};
    const struct digest other_key = {{1, 2, 4}};
    struct digest digest = digest_of("a", 1);
    struct digest other = digest_of("b", 1);
    char pass[PASS_SIZE];
    pass_make(&key, &digest, NOW_US + 60000000, pass);
    assert_true(pass_is_good(&key, &digest, text_of(pass), NOW_US));
    assert_true(pass_is_good(&key, &digest, text_of(pass), NOW_US + 60000000));
    assert_false(pass_is_good(&key, &digest, text_of(pass), NOW_US + 61000000));
    assert_false(pass_is_good(&key, &other, text_of(pass), NOW_US));
    assert_false(pass_is_good(&other_key, &digest, text_of(pass), NOW_US));
}

static void what_was_changed_is_no_pass(void **state)
{
    (void)state;
    const struct digest key = {{1, 2, 3}};
    struct digest digest = digest_of("a", 1);
    char pass[PASS_SIZE];
    pass_make(&key, &digest, NOW_US, pass);
    for (size_t i = 0; i < strlen(pass); i++) {
        char kept = pass[i];
        pass[i] = kept == '5' ? '6' : '5';
        assert_false(pass_is_good(&key, &digest, text_of(pass), NOW_US - 1000000));
        pass[i] = kept;
    }
    static const char *const WRONG[] = {"", "pass1", "pass1..", "pass1.9999999999",
                                        "pass1.9999999999."};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_false(pass_is_good(&key, &digest, text_of(WRONG[i]), NOW_US));
    }
    assert_false(
        pass_is_good(&key, &digest, text_slice(text_of(pass), 0, strlen(pass) - 1), NOW_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_is_good_for_its_blob_and_its_time),
        cmocka_unit_test(what_was_changed_is_no_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
