#include "../cmocka_all.h"

#include "api/guests.h"

#include <stdio.h>

struct policy {
    enum status status;
    int asked;
};

static enum status check(void *context, const struct fingerprint *site, struct error *error)
{
    struct policy *policy = context;
    policy->asked++;
    return policy->status == OK ? OK
                                : error_set(error, policy->status, "no jobs of %.12s", site->text);
}

static struct fingerprint make_site(int number)
{
    struct fingerprint site;
    (void)snprintf(site.text, sizeof site.text, "sha256:%064d", number);
    return site;
}

static void an_answer_is_recalled_for_a_while(void **state)
{
    (void)state;
    struct policy policy = {OK, 0};
    struct guests *guests = guests_new(check, &policy);
    struct fingerprint site = make_site(7);
    enum status status = INTERNAL;
    assert_false(guests_recall(guests, &site, 1000, &status, NULL));
    assert_int_equal(guests_check(guests, &site, 1000, NULL), OK);
    assert_true(guests_recall(guests, &site, 1000 + GUESTS_KEPT_US - 1, &status, NULL));
    assert_int_equal(status, OK);
    assert_false(guests_recall(guests, &site, 1000 + GUESTS_KEPT_US, &status, NULL));
    assert_int_equal(policy.asked, 1);
    guests_free(guests);
}

static void a_refusal_is_recalled_with_its_reason(void **state)
{
    (void)state;
    struct policy policy = {DENIED, 0};
    struct guests *guests = guests_new(check, &policy);
    struct fingerprint site = make_site(7);
    struct fingerprint other = make_site(8);
    struct error error = {0};
    enum status status = OK;
    assert_int_equal(guests_check(guests, &site, 1, &error), DENIED);
    assert_string_equal(error.detail, "no jobs of sha256:00000");
    error = (struct error){0};
    assert_true(guests_recall(guests, &site, 2, &status, &error));
    assert_int_equal(status, DENIED);
    assert_string_equal(error.detail, "no jobs of sha256:00000");
    assert_false(guests_recall(guests, &other, 2, &status, &error));
    guests_free(guests);
}

static void the_policy_is_asked_each_time_by_who_may_block(void **state)
{
    (void)state;
    struct policy policy = {OK, 0};
    struct guests *guests = guests_new(check, &policy);
    struct fingerprint site = make_site(7);
    enum status status = OK;
    assert_int_equal(guests_check(guests, &site, 1, NULL), OK);
    policy.status = DENIED;
    assert_int_equal(guests_check(guests, &site, 2, NULL), DENIED);
    assert_true(guests_recall(guests, &site, 3, &status, NULL));
    assert_int_equal(status, DENIED);
    guests_free(guests);
}

static void many_sites_fit_into_little_memory(void **state)
{
    (void)state;
    struct policy policy = {OK, 0};
    struct guests *guests = guests_new(check, &policy);
    enum status status = INTERNAL;
    for (int i = 0; i < 10 * GUESTS_KEPT_MAX; i++) {
        struct fingerprint site = make_site(i);
        assert_int_equal(guests_check(guests, &site, 1, NULL), OK);
        assert_true(guests_recall(guests, &site, 2, &status, NULL));
    }
    guests_free(guests);
}

static void without_a_policy_nobody_is_a_guest(void **state)
{
    (void)state;
    struct guests *guests = guests_new(NULL, NULL);
    struct fingerprint site = make_site(7);
    struct error error = {0};
    assert_int_equal(guests_check(guests, &site, 1, &error), DENIED);
    assert_true(strlen(error.detail) > 10 && strlen(error.fix) > 10);
    guests_free(guests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_recalled_for_a_while),
        cmocka_unit_test(a_refusal_is_recalled_with_its_reason),
        cmocka_unit_test(the_policy_is_asked_each_time_by_who_may_block),
        cmocka_unit_test(many_sites_fit_into_little_memory),
        cmocka_unit_test(without_a_policy_nobody_is_a_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
