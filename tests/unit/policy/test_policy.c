#include "../cmocka_all.h"

#include "policy/policy.h"

// The table of policy.h, as one reads it there: '-' no, 'y' yes, 'o' own, 'i' an input of the task's job, or of one that the runner has; nobody, user, worker, admin, task,
// peer, runner.
static const struct {
    enum action action;
    const char *name;
    const char *cells;
} TABLE[] = {
    {ACTION_SITE_READ, "site.read", "-yyy---"},
    {ACTION_SITE_CHANGE, "site.change", "---y---"},
    {ACTION_DATA_READ, "data.read", "-y-yiy-"},
    {ACTION_DATA_CHANGE, "data.change", "---y---"},
    {ACTION_TRANSFER_ORDER, "transfer.order", "-y-y-y-"},
    {ACTION_JOB_SUBMIT, "job.submit", "-y-y-y-"},
    {ACTION_JOB_LIST, "job.list", "-y-yoo-"},
    {ACTION_JOB_CONTENT, "job.content", "-o-y-o-"},
    {ACTION_JOB_CHANGE, "job.change", "-o-y-o-"},
    {ACTION_BLOB_READ, "blob.read", "-yyyiyi"},
    {ACTION_BLOB_WRITE, "blob.write", "-yyyyyy"},
    {ACTION_WORKER_POLL, "worker.poll", "--yy--y"},
    {ACTION_WORKER_LINK, "worker.link", "--yy---"},
    {ACTION_RUNNER_MAKE, "runner.make", "-o-y---"},
    {ACTION_GROUP_USE, "group.use", "-o-y---"},
    {ACTION_GROUP_LIST, "group.list", "-y-y---"},
    {ACTION_GROUP_CHANGE, "group.change", "---y---"},
    {ACTION_TOKEN_OWN, "token.own", "-o-y---"},
    {ACTION_TOKEN_CHANGE, "token.change", "---y---"},
    {ACTION_AUDIT_READ, "audit.read", "---y---"},
};

static void check(int column, enum action action, bool is_own, bool expected)
{
    bool is_runner = column == ROLE_COUNT;
    enum role role = is_runner ? ROLE_WORKER : (enum role)column;
    struct principal principal = {.name = TEXT("ada"),
                                  .role = role,
                                  .job = role == ROLE_TASK ? TEXT("j1") : TEXT_NONE,
                                  .is_guest = role == ROLE_PEER,
                                  .runner = is_runner ? RUNNER_USER : RUNNER_SITE};
    struct policy_object own = {TEXT("ada"), TEXT("j1"), true};
    struct policy_object foreign = {TEXT("eve"), TEXT("j2"), false};
    struct policy_answer answer = policy_decide(&principal, action, is_own ? &own : &foreign);
    if (answer.allowed != expected) {
        fail_msg("%s, %s, own: %d", is_runner ? "runner" : role_name(role), action_name(action),
                 is_own);
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
        for (int column = 0; column <= ROLE_COUNT; column++) {
            char cell = TABLE[i].cells[column];
            check(column, TABLE[i].action, true, cell != '-');
            check(column, TABLE[i].action, false, cell == 'y');
        }
    }
}

static void an_object_without_owner_is_nobodys_own(void **state)
{
    (void)state;
    struct principal nameless = {.role = ROLE_USER};
    struct principal jobless = {.name = TEXT("ada"), .role = ROLE_TASK};
    struct policy_object object = {TEXT_NONE, TEXT_NONE, false};
    assert_false(policy_decide(&nameless, ACTION_JOB_CHANGE, &object).allowed);
    assert_false(policy_decide(&jobless, ACTION_JOB_LIST, &object).allowed);
}

static void a_task_does_not_gain_by_its_owners_name(void **state)
{
    (void)state;
    struct principal task = {.name = TEXT("ada"), .role = ROLE_TASK, .job = TEXT("j1")};
    struct policy_object object = {TEXT("ada"), TEXT("j2"), false};
    assert_false(policy_decide(&task, ACTION_JOB_LIST, &object).allowed);
    assert_false(policy_decide(&task, ACTION_BLOB_READ, &object).allowed);
}

static void a_peer_that_is_no_guest_may_do_nothing(void **state)
{
    (void)state;
    struct principal peer = {.name = TEXT("ada@0123456789abcdef"), .role = ROLE_PEER};
    struct policy_object own = {peer.name, TEXT("j1"), true};
    for (int i = 0; i < ACTION_COUNT; i++) {
        struct policy_answer answer = policy_decide(&peer, (enum action)i, &own);
        assert_false(answer.allowed);
        assert_string_equal(answer.reason, "this site does not serve it as a guest");
    }
}

static void a_worker_of_each_class_but_the_sites_is_a_runner(void **state)
{
    (void)state;
    struct policy_object object = {0};
    for (int i = 0; i < RUNNER_CLASS_COUNT; i++) {
        struct principal worker = {
            .name = TEXT("w"), .role = ROLE_WORKER, .runner = (enum runner_class)i};
        bool is_sites = i == RUNNER_SITE;
        assert_int_equal(policy_decide(&worker, ACTION_SITE_READ, &object).allowed, is_sites);
        assert_int_equal(policy_decide(&worker, ACTION_BLOB_READ, &object).allowed, is_sites);
        assert_int_equal(policy_decide(&worker, ACTION_WORKER_LINK, &object).allowed, is_sites);
        assert_true(policy_decide(&worker, ACTION_WORKER_POLL, &object).allowed);
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

static void the_site_of_a_guest_is_read_from_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *site;
    } NAMES[] = {
        {"alice@0123456789abcdef", "@0123456789abcdef"},
        {"alice@desk@0123456789abcdef", "@0123456789abcdef"},
        {"@0123456789abcdef", "@0123456789abcdef"},
        {"alice", ""},
        {"alice@", ""},
        {"alice@0123456789abcdef@", ""},
        {"@", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (!text_equal(guest_site(text_of(NAMES[i].name)), text_of(NAMES[i].site))) {
            fail_msg("%s", NAMES[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_of_the_table_decides_as_written),
        cmocka_unit_test(an_object_without_owner_is_nobodys_own),
        cmocka_unit_test(a_task_does_not_gain_by_its_owners_name),
        cmocka_unit_test(a_peer_that_is_no_guest_may_do_nothing),
        cmocka_unit_test(a_worker_of_each_class_but_the_sites_is_a_runner),
        cmocka_unit_test(the_site_of_a_guest_is_read_from_its_name),
        cmocka_unit_test(roles_are_read_as_they_are_written),
        cmocka_unit_test(each_action_has_words_that_follow_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
