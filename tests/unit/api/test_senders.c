// What people may send a day.
#include "../cmocka_all.h"

#include "api/senders.h"
#include "policy/day_sum.h"

#include <stdio.h>
#include <string.h>

enum { MIB = 1 << 20 };

static const struct senders_limits LIMITS = {.guest_bytes = 10 * MIB, .user_bytes = 20 * MIB};

static struct principal guest(const char *name)
{
    return (struct principal){.name = text_of(name), .role = ROLE_PEER, .is_guest = true};
}

static enum status spend(struct senders *senders, struct principal who, int64_t bytes,
                         int64_t at_us)
{
    return senders_spend(senders, &who, bytes, at_us, NULL);
}

static void a_guest_sends_so_much_a_day(void **state)
{
    (void)state;
    struct senders *senders = senders_new(&LIMITS);
    struct error error = {0};
    const struct principal alice = guest("alice@0123456789abcdef");
    assert_int_equal(spend(senders, alice, 6 * MIB, 0), OK);
    assert_int_equal(senders_spend(senders, &alice, 6 * MIB, 1, &error), QUOTA);
    assert_non_null(strstr(error.detail, "may send 10485760 bytes a day and has sent 6291456"));
    assert_non_null(strstr(error.fix, "--guest-upload-max"));
    assert_int_equal(spend(senders, alice, 4 * MIB, 1), OK);
    senders_give_back(senders, &alice, 4 * MIB, DAY_SUM_HOUR_US);
    assert_int_equal(spend(senders, alice, 4 * MIB, DAY_SUM_HOUR_US), OK);
    assert_int_equal(spend(senders, alice, 1, DAY_SUM_US - 1), QUOTA);
    // What it sent in the first hour is a day old.
    assert_int_equal(spend(senders, alice, 6 * MIB, DAY_SUM_US), OK);
    assert_int_equal(spend(senders, alice, 1, DAY_SUM_US), QUOTA);
    senders_free(senders);
}

static void names_of_users_are_made_up_in_vain(void **state)
{
    (void)state;
    struct senders *senders = senders_new(&LIMITS);
    char name[64];
    int64_t sent = 0;
    for (int i = 0; i < 2 * SENDERS_SITE_FACTOR; i++) {
        (void)snprintf(name, sizeof name, "user%d@0123456789abcdef", i);
        sent += spend(senders, guest(name), 10 * MIB, 0) == OK ? 10 * MIB : 0;
    }
    assert_int_equal(sent, SENDERS_SITE_FACTOR * LIMITS.guest_bytes);
    assert_int_equal(spend(senders, guest("alice@ffff456789abcdef"), 10 * MIB, 0), OK);
    int taken = 0;
    for (int i = 0; i < 2 * SENDERS_OF_SITE_MAX; i++) {
        (void)snprintf(name, sizeof name, "user%d@ffff456789abcdef", i);
        taken += spend(senders, guest(name), SENDERS_FILE_BYTES, 0) == OK;
    }
    assert_int_equal(taken, SENDERS_OF_SITE_MAX - 1);
    // They are forgotten with what they sent.
    assert_int_equal(spend(senders, guest("new@ffff456789abcdef"), 1, 2 * DAY_SUM_US), OK);
    senders_free(senders);
}

static void who_is_refused_takes_no_other_users_place(void **state)
{
    (void)state;
    struct senders *senders = senders_new(&LIMITS);
    char name[64];
    for (int i = 0; i < 2 * SENDERS_OF_SITE_MAX; i++) {
        (void)snprintf(name, sizeof name, "user%d@0123456789abcdef", i);
        assert_int_equal(spend(senders, guest(name), 10 * MIB + 1, 0), QUOTA);
    }
    assert_int_equal(spend(senders, guest("alice@0123456789abcdef"), 1, 0), OK);
    senders_free(senders);
}

static void many_are_forgotten(void **state)
{
    (void)state;
    struct senders *senders = senders_new(&LIMITS);
    char name[64];
    for (int turn = 0; turn < 2; turn++) {
        int64_t now_us = turn * 2 * DAY_SUM_US;
        // The first sweep leaves some, which the next that sends finds.
        assert_int_equal(spend(senders, guest("alice@ffff456789abcdef"), 1, now_us), OK);
        assert_int_equal(spend(senders, guest("alice@ffff456789abcdef"), 1, now_us), OK);
        assert_int_equal(spend(senders, guest("alice@ffff456789abcdef"), 1, now_us), OK);
        for (int i = 0; i < 2 * SENDERS_OF_SITE_MAX; i++) {
            (void)snprintf(name, sizeof name, "user%d_%d@%d123456789abcdef", i, turn, i % 2);
            assert_int_equal(spend(senders, guest(name), 1, now_us), OK);
        }
    }
    senders_free(senders);
}

static void users_have_a_limit_where_one_is_set_and_operators_none(void **state)
{
    (void)state;
    const struct principal ada = {.name = {"ada", 3}, .role = ROLE_USER};
    const struct principal root = {.name = {"root", 4}, .role = ROLE_ADMIN};
    struct senders *senders = senders_new(&LIMITS);
    assert_int_equal(spend(senders, ada, 20 * MIB, 0), OK);
    assert_int_equal(spend(senders, ada, 1, 0), QUOTA);
    assert_int_equal(spend(senders, root, 1000L * MIB, 0), OK);
    senders_free(senders);
    const struct senders_limits none = {0};
    senders = senders_new(&none);
    assert_int_equal(spend(senders, ada, 1000L * MIB, 0), OK);
    assert_int_equal(spend(senders, guest("alice@0123456789abcdef"), 1000L * MIB, 0), OK);
    senders_free(senders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_sends_so_much_a_day),
        cmocka_unit_test(names_of_users_are_made_up_in_vain),
        cmocka_unit_test(who_is_refused_takes_no_other_users_place),
        cmocka_unit_test(many_are_forgotten),
        cmocka_unit_test(users_have_a_limit_where_one_is_set_and_operators_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
