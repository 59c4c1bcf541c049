#include "../cmocka_all.h"

#include "policy/policy.h"

// The table of policy.h, as one reads it there: '-' no, 'y' yes, 'o' own, 'i' an input of the task's job; nobody, user, worker, admin, task, peer.
static const struct {
    enum action action;
    const char *name;
    const char *cells;
} TABLE[] = {
    {ACTION_SITE_READ, "site.read", "-yyy--"},
    {ACTION_SITE_CHANGE, "site.change", "---y--"},
    {ACTION_DATA_READ, "data.read", "-y-yiy"},
    {ACTION_DATA_CHANGE, "data.change", "---y--"},
    {ACTION_TRANSFER_ORDER, "transfer.order", "-y-y-y"},
    {ACTION_JOB_SUBMIT, "job.submit", "-y-y-y"},
    {ACTION_JOB_LIST, "job.list", "-y-yoo"},
    {ACTION_JOB_CONTENT, "job.content", "-o-y-o"},
    {ACTION_JOB_CHANGE, "job.change", "-o-y-o"},
    {ACTION_BLOB_READ, "blob.read", "-yyyiy"},
    {ACTION_BLOB_WRITE, "blob.write", "-yyyyy"},
    {ACTION_WORKER_POLL, "worker.poll", "--yy--"},
    {ACTION_GROUP_USE, "group.use", "-o-y--"},
    {ACTION_GROUP_LIST, "group.list", "-y-y--"},
    {ACTION_GROUP_CHANGE, "group.change", "---y--"},
    {ACTION_TOKEN_OWN, "token.own", "-o-y--"},
    {ACTION_TOKEN_CHANGE, "token.change", "---y--"},
    {ACTION_AUDIT_READ, "audit.read", "---y--"},
};

static void check(enum role role, enum action action, bool is_own, bool expected)
{
    struct principal principal = {TEXT("ada"), role, role == ROLE_TASK ? TEXT("j1") : TEXT_NONE,
                                  role == ROLE_PEER};
    struct policy_object own = {TEXT("ada"), TEXT("j1"), true};
    struct policy_object foreign = {TEXT("eve"), TEXT("j2"), false};
    struct policy_answer answer = policy_decide(&principal, action, is_own ? &own : &foreign);
    if (answer.allowed != expected) {
        fail_msg("%s, %s, own: %d", role_name(role), action_name(action), is_own);
    }
    assert_true(strlen(answer.reason) > 10);
}

static void each_cell_of_the_table_decides_as_written(void **state)
{
    (void)state;
    assert_int_equal(sizeof TABLE / sizeof TABLE[0], ACTION_COUNT);
    for (int i = 0; i < ACTION_COUNT; i++) {
        assert_int_equal(TABLE[i].action, i);
        assert_string_equal(TABLE[i].name, action_name(TABLE[i].action));
        for (int role = 0; role < ROLE_COUNT; role++) {
            char cell = TABLE[i].cells[role];
            check((enum role)role, TABLE[i].action, true, cell != '-');
            check((enum role)role, TABLE[i].action, false, cell == 'y');
        }
    }
}

static void an_object_without_owner_is_nobodys_own(void **state)
{
    (void)state;
    struct principal nameless = {TEXT_NONE, ROLE_USER, TEXT_NONE, false};
    struct principal jobless = {TEXT("ada"), ROLE_TASK, TEXT_NONE, false};
    struct policy_object object = {TEXT_NONE, TEXT_NONE, false};
    assert_false(policy_decide(&nameless, ACTION_JOB_CHANGE, &object).allowed);
    assert_false(policy_decide(&jobless, ACTION_JOB_LIST, &object).allowed);
}

static void a_task_does_not_gain_by_its_owners_name(void **state)
{
    (void)state;
    struct principal task = {TEXT("ada"), ROLE_TASK, TEXT("j1"), false};
    struct policy_object object = {TEXT("ada"), TEXT("j2"), false};
    assert_false(policy_decide(&task, ACTION_JOB_LIST, &object).allowed);
    assert_false(policy_decide(&task, ACTION_BLOB_READ, &object).allowed);
}

static void a_peer_that_is_no_guest_may_do_nothing(void **state)
{
    (void)state;
    struct principal peer = {TEXT("ada@0123456789abcdef"), ROLE_PEER, TEXT_NONE, false};
    struct policy_object own = {peer.name, TEXT("j1"), true};
    for (int i = 0; i < ACTION_COUNT; i++) {
        struct policy_answer answer = policy_decide(&peer, (enum action)i, &own);
        assert_false(answer.allowed);
        assert_string_equal(answer.reason, "this site does not serve it as a guest");
    }
}

static void roles_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (int i = 0; i < ROLE_COUNT; i++) {
        enum role role = ROLE_NOBODY;
        assert_true(role_from_text(text_of(role_name((enum role)i)), &role));
        assert_int_equal(role, i);
    }
    enum role role = ROLE_USER;
    assert_false(role_from_text(TEXT("Admin"), &role));
    assert_false(role_from_text(TEXT(""), &role));
    assert_int_equal(role, ROLE_USER);
}

static void each_action_has_words_that_follow_may(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++) {
        assert_non_null(strchr(action_words((enum action)i), ' '));
    }
    assert_string_equal(action_words(ACTION_JOB_SUBMIT), "submit jobs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_of_the_table_decides_as_written),
        cmocka_unit_test(an_object_without_owner_is_nobodys_own),
        cmocka_unit_test(a_task_does_not_gain_by_its_owners_name),
        cmocka_unit_test(a_peer_that_is_no_guest_may_do_nothing),
        cmocka_unit_test(roles_are_read_as_they_are_written),
        cmocka_unit_test(each_action_has_words_that_follow_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
