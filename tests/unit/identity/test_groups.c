#include "../cmocka_all.h"
#include "../store/fixture.h"

#include "base/memory.h"
#include "identity/groups.h"
#include "identity/migrations.h"
#include "identity/tokens.h"
#include "os/file.h"
#include "store/store.h"

// What is done in one change, and what is expected of it.
struct change {
    enum status (*run)(struct sql *sql, struct text group, struct text member, int64_t number,
                       struct error *error);
    struct text group;
    struct text member;
    int64_t number;
};

static enum status run_change(struct sql *sql, void *context, struct error *error)
{
    const struct change *change = context;
    return change->run(sql, change->group, change->member, change->number, error);
}

static enum status create(struct sql *sql, struct text group, struct text member, int64_t number,
                          struct error *error)
{
    (void)member;
    return groups_create(sql, group, number, 1000, error);
}

static enum status set_weight(struct sql *sql, struct text group, struct text member,
                              int64_t number, struct error *error)
{
    (void)member;
    return groups_set_weight(sql, group, number, error);
}

static enum status add(struct sql *sql, struct text group, struct text member, int64_t number,
                       struct error *error)
{
    (void)number;
    return groups_add_member(sql, group, member, error);
}

static enum status remove_member(struct sql *sql, struct text group, struct text member,
                                 int64_t number, struct error *error)
{
    (void)number;
    return groups_remove_member(sql, group, member, error);
}

static enum status delete (struct sql *sql, struct text group, struct text member, int64_t number,
                           struct error *error) {
    (void)member; (void)number; return groups_delete(sql, group, error);
}

// 1: a member; 0: not; NOT_FOUND as it comes.
static enum status is_member(struct sql *sql, struct text group, struct text member, int64_t number,
                             struct error *error)
{
    bool found = false;
    TRY(groups_is_member(sql, group, member, &found, error));
    assert_int_equal(found, number);
    return OK;
}

struct token_change {
    struct tokens *tokens;
    struct text name;
    enum role role;
};

static enum status run_token(struct sql *sql, void *context, struct error *error)
{
    const struct token_change *change = context;
    struct token_request request = {.name = change->name, .role = change->role};
    struct token token;
    struct token_secret secret;
    return tokens_create(change->tokens, sql, &request, 1000, &token, &secret, error);
}

static struct store *open_groups(const char *folder)
{
    AUTO_FREE char *path = memory_format("%s/site.db", folder);
    struct store *store = NULL;
    const struct store_options options = {.url = path,
                                          .migrations = IDENTITY_MIGRATIONS,
                                          .migration_count = IDENTITY_MIGRATION_COUNT};
    assert_int_equal(store_open(&options, &store, NULL), OK);
    return store;
}

static enum status does(struct store *store, struct change change)
{
    return store_write_wait(store, run_change, &change, NULL);
}

#define PHYSICS TEXT("physics")
#define ADA TEXT("ada")
#define EVE TEXT("eve")

static void members_belong_to_a_group_and_nobody_else(void **state)
{
    const char *folder = *state;
    struct store *store = open_groups(folder);
    assert_int_equal(does(store, (struct change){add, PHYSICS, ADA, 0}), NOT_FOUND);
    assert_int_equal(does(store, (struct change){is_member, PHYSICS, ADA, 0}), NOT_FOUND);
    assert_int_equal(does(store, (struct change){create, PHYSICS, TEXT_NONE, 2500}), OK);
    assert_int_equal(does(store, (struct change){create, PHYSICS, TEXT_NONE, 1}), CONFLICT);
    assert_int_equal(does(store, (struct change){is_member, PHYSICS, ADA, 0}), OK);
    assert_int_equal(does(store, (struct change){add, PHYSICS, ADA, 0}), OK);
    assert_int_equal(does(store, (struct change){add, PHYSICS, ADA, 0}), OK);
    assert_int_equal(does(store, (struct change){is_member, PHYSICS, ADA, 1}), OK);
    assert_int_equal(does(store, (struct change){is_member, PHYSICS, EVE, 0}), OK);
    assert_int_equal(does(store, (struct change){remove_member, PHYSICS, EVE, 0}), NOT_FOUND);
    assert_int_equal(does(store, (struct change){remove_member, PHYSICS, ADA, 0}), OK);
    assert_int_equal(does(store, (struct change){is_member, PHYSICS, ADA, 0}), OK);
    store_close(store);
}

static void everybody_has_a_group_of_his_own(void **state)
{
    const char *folder = *state;
    struct store *store = open_groups(folder);
    assert_int_equal(does(store, (struct change){is_member, ADA, ADA, 1}), OK);
    assert_int_equal(does(store, (struct change){is_member, ADA, EVE, 1}), NOT_FOUND);
    assert_int_equal(does(store, (struct change){create, ADA, TEXT_NONE, 1000}), OK);
    assert_int_equal(does(store, (struct change){add, ADA, EVE, 0}), OK);
    assert_int_equal(does(store, (struct change){is_member, ADA, EVE, 1}), OK);
    store_close(store);
}

static enum status check(struct sql *sql, struct text group, struct text member, int64_t number,
                         struct error *error)
{
    (void)member;
    (void)number;
    return groups_check(sql, group, error);
}

static void a_group_is_known_when_somebody_can_work_for_it(void **state)
{
    const char *folder = *state;
    struct store *store = open_groups(folder);
    struct error error = {0};
    struct change change = {check, PHYSICS, TEXT_NONE, 0};
    assert_int_equal(store_write_wait(store, run_change, &change, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "no group \"physics\", and nobody of that name"));
    assert_non_null(strstr(error.fix, "there are no groups yet"));
    const char *const NAMES[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        assert_int_equal(does(store, (struct change){create, text_of(NAMES[i]), TEXT_NONE, 1000}),
                         OK);
    }
    assert_int_equal(store_write_wait(store, run_change, &change, &error), NOT_FOUND);
    assert_non_null(strstr(error.fix, "there are: a, b, c, d, e (lode group list has all)"));
    assert_int_equal(does(store, (struct change){check, TEXT("f"), TEXT_NONE, 0}), OK);
    assert_int_equal(does(store, (struct change){add, TEXT("f"), EVE, 0}), OK);
    assert_int_equal(does(store, (struct change){check, EVE, TEXT_NONE, 0}), OK);
    // Who has a token has a group; who is the token of a machine has none.
    struct tokens *tokens = NULL;
    assert_int_equal(tokens_open(store, &tokens, NULL), OK);
    struct token_change made = {tokens, ADA, ROLE_USER};
    assert_int_equal(store_write_wait(store, run_token, &made, NULL), OK);
    made = (struct token_change){tokens, PHYSICS, ROLE_WORKER};
    assert_int_equal(store_write_wait(store, run_token, &made, NULL), OK);
    assert_int_equal(does(store, (struct change){check, ADA, TEXT_NONE, 0}), OK);
    assert_int_equal(does(store, change), NOT_FOUND);
    store_close(store);
    tokens_close(tokens);
}

static void bad_names_and_weights_are_refused(void **state)
{
    const char *folder = *state;
    struct store *store = open_groups(folder);
    static const char LONG[] = "a234567890123456789012345678901234567890123456789012345678901234x";
    const struct text BAD[] = {TEXT_NONE,   TEXT("a b"),      TEXT("a,b"),
                               TEXT("a/b"), TEXT("\303\244"), text_of(LONG)};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(does(store, (struct change){create, BAD[i], TEXT_NONE, 1000}), INVALID);
    }
    assert_int_equal(does(store, (struct change){create, PHYSICS, TEXT_NONE, 0}), INVALID);
    assert_int_equal(does(store, (struct change){create, PHYSICS, TEXT_NONE, 1000001}), INVALID);
    assert_int_equal(does(store, (struct change){create, PHYSICS, TEXT_NONE, 1000000}), OK);
    assert_int_equal(does(store, (struct change){add, PHYSICS, TEXT("a b"), 0}), INVALID);
    assert_int_equal(does(store, (struct change){set_weight, PHYSICS, TEXT_NONE, 0}), INVALID);
    assert_int_equal(does(store, (struct change){set_weight, ADA, TEXT_NONE, 1}), NOT_FOUND);
    assert_int_equal(does(store, (struct change){delete, ADA, TEXT_NONE, 1}), NOT_FOUND);
    store_close(store);
}

struct seen {
    struct buffer names;
};

static void see(void *context, const struct group *group)
{
    struct seen *seen = context;
    buffer_printf(&seen->names, "%s:%lld:%lld ", group->name, (long long)group->weight_millis,
                  (long long)group->member_count);
}

static void see_member(void *context, struct text member)
{
    struct seen *seen = context;
    buffer_printf(&seen->names, "%.*s ", TEXT_ARGS(member));
}

static enum status list(struct sql *sql, struct text after, struct text member, int64_t count,
                        struct error *error)
{
    struct seen seen = {0};
    const struct group_filter filter = {.after = after, .member = member, .count_max = count};
    TRY(groups_list(sql, &filter, see, &seen, error));
    buffer_append_byte(&seen.names, '\0');
    assert_string_equal(seen.names.bytes, count == 1          ? "beta:2000:1 "
                                          : member.length > 0 ? "alpha:1000:2 "
                                                              : "alpha:1000:2 beta:2000:1 ");
    buffer_done(&seen.names);
    TRY(groups_members(sql, TEXT("alpha"), see_member, &seen, error));
    buffer_append_byte(&seen.names, '\0');
    assert_string_equal(seen.names.bytes, "ada eve ");
    buffer_done(&seen.names);
    return OK;
}

static void groups_are_listed_by_name_and_member_and_survive(void **state)
{
    const char *folder = *state;
    struct store *store = open_groups(folder);
    assert_int_equal(does(store, (struct change){create, TEXT("beta"), TEXT_NONE, 1000}), OK);
    assert_int_equal(does(store, (struct change){create, TEXT("alpha"), TEXT_NONE, 1000}), OK);
    assert_int_equal(does(store, (struct change){set_weight, TEXT("beta"), TEXT_NONE, 2000}), OK);
    assert_int_equal(does(store, (struct change){add, TEXT("alpha"), EVE, 0}), OK);
    assert_int_equal(does(store, (struct change){add, TEXT("alpha"), ADA, 0}), OK);
    assert_int_equal(does(store, (struct change){add, TEXT("beta"), EVE, 0}), OK);
    store_close(store);
    store = open_groups(folder);
    assert_int_equal(does(store, (struct change){list, TEXT_NONE, TEXT_NONE, 0}), OK);
    assert_int_equal(does(store, (struct change){list, TEXT("alpha"), TEXT_NONE, 1}), OK);
    assert_int_equal(does(store, (struct change){list, TEXT_NONE, ADA, 0}), OK);
    assert_int_equal(does(store, (struct change){delete, TEXT("beta"), TEXT_NONE, 0}), OK);
    assert_int_equal(does(store, (struct change){create, TEXT("beta"), TEXT_NONE, 1000}), OK);
    assert_int_equal(does(store, (struct change){is_member, TEXT("beta"), EVE, 0}), OK);
    store_close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(members_belong_to_a_group_and_nobody_else),
        TEST(everybody_has_a_group_of_his_own),
        TEST(a_group_is_known_when_somebody_can_work_for_it),
        TEST(bad_names_and_weights_are_refused),
        TEST(groups_are_listed_by_name_and_member_and_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
