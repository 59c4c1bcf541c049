#include "../cmocka_all.h"

#include "policy/runner.h"

enum { JOBS = 6, SINCE_US = 1000 };

// Job 7 of ada for physics is that of the runners of one job; the others differ from it in one thing each.
static const struct runner_job JOB[JOBS] = {
    {7, {"ada", 3}, {"physics", 7}, SINCE_US, false},
    {8, {"ada", 3}, {"physics", 7}, SINCE_US, false},     // Another one.
    {9, {"ada", 3}, {"ada", 3}, SINCE_US, false},         // Of another group.
    {5, {"ada", 3}, {"physics", 7}, SINCE_US - 1, false}, // Before the session.
    {10, {"eve", 3}, {"physics", 7}, SINCE_US, false},    // Of another user.
    {11, {"eve", 3}, {"eve", 3}, SINCE_US, true},         // A spare one.
};

static const struct {
    struct runner runner;
    const char *name;
    const char *leases;    // 'y' for each of JOB that it may lease.
    const char *is_reused; // And for each that may reuse what it computed for job 7.
    const char *scope;     // Of what it computed for job 7.
    bool shares_inputs;
    bool is_of_job;
} TABLE[RUNNER_CLASS_COUNT] = {
    {{.kind = RUNNER_SITE}, "site", "yyyyyy", "yyyyyy", "site", true, false},
    {{.kind = RUNNER_GROUP, .groups = "chemistry,physics"},
     "group",
     "yy-yy-",
     "yy-yy-",
     "group:physics",
     false,
     false},
    {{.kind = RUNNER_USER, .user = "ada"}, "user", "yyyy--", "yyyy--", "user:ada", false, false},
    {{.kind = RUNNER_SESSION, .user = "ada", .since_us = SINCE_US},
     "session",
     "yyy---",
     "yyyy--",
     "user:ada",
     false,
     false},
    {{.kind = RUNNER_JOB, .user = "ada", .job = 7},
     "job",
     "y-----",
     "yyyy--",
     "user:ada",
     false,
     true},
    {{.kind = RUNNER_JOB_TOKEN, .user = "ada", .job = 7},
     "job-token",
     "y-----",
     "y-----",
     "job:7",
     false,
     true},
    {{.kind = RUNNER_SPARE}, "spare", "-----y", "-----y", "spare", false, false},
};

static void each_cell_of_the_table_decides_as_written(void **state)
{
    (void)state;
    for (int i = 0; i < RUNNER_CLASS_COUNT; i++) {
        const struct runner *runner = &TABLE[i].runner;
        assert_int_equal(runner->kind, i);
        assert_int_equal(runner_check(runner, NULL), OK);
        assert_string_equal(runner_class_name(runner->kind), TABLE[i].name);
        for (int job = 0; job < JOBS; job++) {
            if (runner_may_lease(runner, &JOB[job]) != (TABLE[i].leases[job] == 'y')) {
                fail_msg("%s leases job %d", TABLE[i].name, (int)JOB[job].id);
            }
            if (runner_may_reuse(runner->kind, &JOB[0], &JOB[job]) !=
                (TABLE[i].is_reused[job] == 'y')) {
                fail_msg("what %s computed for job %d", TABLE[i].name, (int)JOB[job].id);
            }
        }
        AUTO_BUFFER struct buffer scope = {0};
        runner_scope(runner->kind, &JOB[0], &scope);
        buffer_append_byte(&scope, '\0');
        assert_string_equal(scope.bytes, TABLE[i].scope);
        assert_int_equal(runner_shares_inputs(runner->kind), TABLE[i].shares_inputs);
        assert_int_equal(runner_is_of_job(runner->kind), TABLE[i].is_of_job);
        assert_int_equal(runner_is_for_users(runner->kind), runner->user[0] != '\0');
    }
}

static void classes_are_read_as_they_are_written(void **state)
{
    (void)state;
    enum runner_class kind = RUNNER_SITE;
    for (int i = 0; i < RUNNER_CLASS_COUNT; i++) {
        assert_true(runner_class_from_text(text_of(TABLE[i].name), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(runner_class_from_text(TEXT("Spare"), &kind));
    assert_false(runner_class_from_text(TEXT(""), &kind));
    assert_int_equal(kind, RUNNER_SPARE);
}

// What a runner is for is part of its class: one without would be for nobody, or for everybody.
static void a_class_has_what_it_needs_and_nothing_else(void **state)
{
    (void)state;
    static const struct runner WRONG[] = {
        {.kind = RUNNER_USER},
        {.kind = RUNNER_SESSION, .since_us = SINCE_US},
        {.kind = RUNNER_JOB, .user = "ada"},
        {.kind = RUNNER_JOB_TOKEN, .job = 7},
        {.kind = RUNNER_GROUP},
        {.kind = RUNNER_SITE, .user = "ada"},
        {.kind = RUNNER_SPARE, .groups = "physics"},
        {.kind = RUNNER_USER, .user = "ada", .job = 7},
        {.kind = RUNNER_GROUP, .groups = "physics", .user = "ada"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct error error = {0};
        assert_int_equal(runner_check(&WRONG[i], &error), INVALID);
        assert_non_null(strstr(error.detail, runner_class_name(WRONG[i].kind)));
        assert_true(strlen(error.fix) > 0);
    }
}

static void a_job_without_owner_or_group_is_nobodys(void **state)
{
    (void)state;
    const struct runner_job nameless = {.id = 7};
    const struct runner user = {.kind = RUNNER_USER};
    const struct runner group = {.kind = RUNNER_GROUP};
    assert_false(runner_may_lease(&user, &nameless));
    assert_false(runner_may_lease(&group, &nameless));
    assert_false(runner_may_reuse(RUNNER_USER, &nameless, &nameless));
    assert_false(runner_may_reuse(RUNNER_GROUP, &nameless, &nameless));
}

// A name that is part of another one, or has it as a part, is another name.
static void names_of_groups_are_compared_whole(void **state)
{
    (void)state;
    const struct runner runner = {.kind = RUNNER_GROUP, .groups = "physics,chem"};
    assert_true(runner_has_group(&runner, TEXT("chem")));
    assert_false(runner_has_group(&runner, TEXT("chemistry")));
    assert_false(runner_has_group(&runner, TEXT("phys")));
    assert_false(runner_has_group(&runner, TEXT("physics,chem")));
    assert_false(runner_has_group(&runner, TEXT("")));
}

// What began with one and was ended by another is for nobody that one of them is not for.
static void what_comes_of_two_is_for_those_that_both_are_for(void **state)
{
    (void)state;
    for (int a = 0; a < RUNNER_CLASS_COUNT; a++) {
        for (int b = 0; b < RUNNER_CLASS_COUNT; b++) {
            enum runner_class both = runner_of_both((enum runner_class)a, (enum runner_class)b);
            for (int made = 0; made < JOBS; made++) {
                for (int asks = 0; asks < JOBS; asks++) {
                    bool may_a = runner_may_reuse((enum runner_class)a, &JOB[made], &JOB[asks]);
                    bool may_b = runner_may_reuse((enum runner_class)b, &JOB[made], &JOB[asks]);
                    bool may = runner_may_reuse(both, &JOB[made], &JOB[asks]);
                    // The job itself has its results in any case.
                    assert_true(!may || (may_a && may_b) || made == asks);
                }
            }
            assert_int_equal(runner_of_both((enum runner_class)b, (enum runner_class)a) ==
                                 RUNNER_SITE,
                             both == RUNNER_SITE);
        }
        assert_int_equal(runner_of_both((enum runner_class)a, (enum runner_class)a), a);
        assert_int_equal(runner_of_both(RUNNER_SITE, (enum runner_class)a), a);
        assert_int_equal(runner_of_both((enum runner_class)a, RUNNER_SITE), a);
    }
}

static void what_another_site_says_is_taken_in_its_weaker_sense(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum runner_class here;
    } SAID[] = {
        {"", RUNNER_SITE},
        {"site", RUNNER_SITE},
        {"group", RUNNER_USER},
        {"user", RUNNER_USER},
        {"session", RUNNER_USER},
        {"job", RUNNER_USER},
        {"job-token", RUNNER_JOB_TOKEN},
        {"spare", RUNNER_JOB_TOKEN},
        {"of-later", RUNNER_JOB_TOKEN},
    };
    for (size_t i = 0; i < sizeof SAID / sizeof SAID[0]; i++) {
        assert_int_equal(runner_of_elsewhere(text_of(SAID[i].name)), SAID[i].here);
    }
}

static void two_are_equal_that_are_for_the_same(void **state)
{
    (void)state;
    const struct runner one = {.kind = RUNNER_SESSION, .user = "ada", .since_us = 5};
    struct runner other = one;
    assert_true(runner_equal(&one, &other));
    other.since_us = 6;
    assert_false(runner_equal(&one, &other));
    other = one;
    other.user[0] = 'e';
    assert_false(runner_equal(&one, &other));
    other = one;
    other.until_us = 1; // It ends at another time, and is the same one.
    assert_true(runner_equal(&one, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_of_the_table_decides_as_written),
        cmocka_unit_test(classes_are_read_as_they_are_written),
        cmocka_unit_test(a_class_has_what_it_needs_and_nothing_else),
        cmocka_unit_test(a_job_without_owner_or_group_is_nobodys),
        cmocka_unit_test(names_of_groups_are_compared_whole),
        cmocka_unit_test(what_comes_of_two_is_for_those_that_both_are_for),
        cmocka_unit_test(what_another_site_says_is_taken_in_its_weaker_sense),
        cmocka_unit_test(two_are_equal_that_are_for_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
