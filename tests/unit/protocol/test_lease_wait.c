// Uploads for a lease that the site does not know, or not yet.
#include "../cmocka_all.h"

#include "protocol/lease_wait.h"

static void a_site_has_a_minute_to_hear_of_a_lease(void **state)
{
    (void)state;
    int64_t refused_us = 0;
    assert_true(lease_is_awaited(&refused_us, CODE_NO_LEASE, 7));
    assert_true(lease_is_awaited(&refused_us, CODE_NO_LEASE, 7 + LEASE_WAIT_US - 1));
    assert_false(lease_is_awaited(&refused_us, CODE_NO_LEASE, 7 + LEASE_WAIT_US));
}

static void another_answer_begins_the_minute_anew(void **state)
{
    (void)state;
    static const int OTHERS[] = {0, 200, 404, 503, 507};
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        int64_t refused_us = 0;
        assert_true(lease_is_awaited(&refused_us, CODE_NO_LEASE, 1));
        assert_false(lease_is_awaited(&refused_us, OTHERS[i], 2));
        assert_true(lease_is_awaited(&refused_us, CODE_NO_LEASE, 1 + LEASE_WAIT_US));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_has_a_minute_to_hear_of_a_lease),
        cmocka_unit_test(another_answer_begins_the_minute_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
