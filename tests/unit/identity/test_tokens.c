#include "../cmocka_all.h"
#include "../store/fixture.h"

#include "base/memory.h"
#include "identity/migrations.h"
#include "identity/tokens.h"
#include "os/file.h"

#include <pthread.h>

enum { NOW_US = 1000 };
#define SITES                                                                                      \
    {                                                                                              \
        .kind = RUNNER_SITE                                                                        \
    }

struct site {
    struct store *store;
    struct tokens *tokens;
};

static void open_site(const char *folder, struct site *out)
{
    AUTO_FREE char *path = memory_format("%s/site.db", folder);
    struct store_options options = {.url = path,
                                    .migrations = IDENTITY_MIGRATIONS,
                                    .migration_count = IDENTITY_MIGRATION_COUNT};
    struct error error = {0};
    if (store_open(&options, &out->store, &error) != OK ||
        tokens_open(out->store, &out->tokens, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static void close_site(struct site *site)
{
    store_close(site->store);
    tokens_close(site->tokens);
}

struct creation {
    struct tokens *tokens;
    struct token_request request;
    struct token token;
    struct token_secret secret;
};

static enum status create(struct sql *sql, void *context, struct error *error)
{
    struct creation *creation = context;
    return tokens_create(creation->tokens, sql, &creation->request, NOW_US, &creation->token,
                         &creation->secret, error);
}

static struct creation make(struct site *site, struct text name, enum role role, int64_t expires_us)
{
    struct creation creation = {
        .tokens = site->tokens,
        .request = {.name = name, .label = TEXT("a test"), .role = role, .expires_us = expires_us}};
    assert_int_equal(store_write_wait(site->store, create, &creation, NULL), OK);
    return creation;
}

struct revocation {
    struct tokens *tokens;
    int64_t id;
};

static enum status run_revoke(struct sql *sql, void *context, struct error *error)
{
    struct revocation *revocation = context;
    return tokens_revoke(revocation->tokens, sql, revocation->id, NOW_US + 1, error);
}

static enum status find(struct site *site, const struct token_secret *secret, int64_t now_us,
                        struct token *out, struct error *error)
{
    return tokens_find(site->tokens, text_of(secret->text), now_us, out, error);
}

static void who_holds_the_text_is_the_principal(void **state)
{
    struct site site;
    open_site(*state, &site);
    struct creation ada = make(&site, TEXT("ada"), ROLE_ADMIN, 0);
    struct creation ben = make(&site, TEXT("ben"), ROLE_USER, 0);
    assert_string_not_equal(ada.secret.text, ben.secret.text);
    for (int round = 0; round < 2; round++) {
        struct token token;
        assert_int_equal(find(&site, &ada.secret, NOW_US, &token, NULL), OK);
        struct principal principal = token_principal(&token);
        assert_true(text_equal(principal.name, TEXT("ada")));
        assert_int_equal(principal.role, ROLE_ADMIN);
        assert_string_equal(token.label, "a test");
        // And again after a restart.
        close_site(&site);
        open_site(*state, &site);
    }
    close_site(&site);
}

static void the_text_itself_is_not_in_the_database(void **state)
{
    struct site site;
    open_site(*state, &site);
    struct creation ada = make(&site, TEXT("ada"), ROLE_USER, 0);
    close_site(&site);
    AUTO_FREE char *path = memory_format("%s/site.db", (char *)*state);
    AUTO_BUFFER struct buffer content = {0};
    assert_int_equal(file_read(path, SIZE_MAX, &content, NULL), OK);
    assert_non_null(memmem(content.bytes, content.length, "a test", 6));
    assert_null(memmem(content.bytes, content.length, ada.secret.text + 5, 16));
}

static void a_revoked_token_is_refused_at_once_and_after_a_restart(void **state)
{
    struct site site;
    open_site(*state, &site);
    struct creation ada = make(&site, TEXT("ada"), ROLE_USER, 0);
    struct revocation revocation = {site.tokens, ada.token.id};
    struct error error = {0};
    struct token token;
    assert_int_equal(store_write_wait(site.store, run_revoke, &revocation, NULL), OK);
    assert_int_equal(find(&site, &ada.secret, NOW_US, &token, &error), DENIED);
    assert_non_null(strstr(error.fix, "lode login"));
    assert_int_equal(store_write_wait(site.store, run_revoke, &revocation, NULL), NOT_FOUND);
    close_site(&site);
    open_site(*state, &site);
    assert_int_equal(find(&site, &ada.secret, NOW_US, &token, &error), DENIED);
    close_site(&site);
}

static void an_expired_token_is_refused_with_its_time(void **state)
{
    struct site site;
    open_site(*state, &site);
    struct creation ada = make(&site, TEXT("ada"), ROLE_USER, 2000000);
    struct token token;
    struct error error = {0};
    assert_int_equal(find(&site, &ada.secret, 1999999, &token, &error), OK);
    assert_int_equal(find(&site, &ada.secret, 2000000, &token, &error), DENIED);
    assert_non_null(strstr(error.detail, "1970-01-01T00:00:02Z"));
    close_site(&site);
}

static void what_is_no_token_is_refused_without_repeating_it(void **state)
{
    struct site site;
    open_site(*state, &site);
    static const char *const texts[] = {
        "",
        "lode_",
        "secret",
        "lode_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "lode_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", // One too many.
        "lode_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct token token;
        struct error error = {0};
        assert_int_equal(tokens_find(site.tokens, text_of(texts[i]), NOW_US, &token, &error),
                         DENIED);
        assert_null(strstr(error.detail, "AAAA"));
    }
    close_site(&site);
}

static enum status create_and_lose(struct sql *sql, void *context, struct error *error)
{
    TRY(create(sql, context, error));
    return sql_run(sql, "ROLLBACK", SQL_NO_VALUES, NULL, error);
}

static enum status revoke_and_lose(struct sql *sql, void *context, struct error *error)
{
    TRY(run_revoke(sql, context, error));
    return sql_run(sql, "ROLLBACK", SQL_NO_VALUES, NULL, error);
}

static void memory_follows_the_database_when_a_commit_is_lost(void **state)
{
    struct site site;
    open_site(*state, &site);
    struct creation ada = make(&site, TEXT("ada"), ROLE_USER, 0);
    struct creation ben = {.tokens = site.tokens,
                           .request = {.name = TEXT("ben"), .role = ROLE_USER}};
    struct revocation revocation = {site.tokens, ada.token.id};
    struct token token;
    assert_int_equal(store_write_wait(site.store, create_and_lose, &ben, NULL), INTERNAL);
    assert_int_equal(find(&site, &ben.secret, NOW_US, &token, NULL), DENIED);
    assert_int_equal(store_write_wait(site.store, revoke_and_lose, &revocation, NULL), INTERNAL);
    assert_int_equal(find(&site, &ada.secret, NOW_US, &token, NULL), OK);
    close_site(&site);
}

struct search {
    struct site *site;
    const struct token_secret *secret;
};

static void *find_until_refused(void *argument)
{
    struct search *search = argument;
    struct token token;
    while (find(search->site, search->secret, NOW_US, &token, NULL) == OK) {
        if (strcmp(token.name, "ada") != 0) {
            return argument;
        }
    }
    return NULL;
}

static void tokens_are_found_while_others_come_and_go(void **state)
{
    struct site site;
    open_site(*state, &site);
    struct creation ada = make(&site, TEXT("ada"), ROLE_USER, 0);
    struct search search = {&site, &ada.secret};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, find_until_refused, &search), 0);
    for (int i = 0; i < 50; i++) {
        struct creation ben = make(&site, TEXT("ben"), ROLE_USER, 0);
        struct revocation revocation = {site.tokens, ben.token.id};
        assert_int_equal(store_write_wait(site.store, run_revoke, &revocation, NULL), OK);
    }
    struct revocation revocation = {site.tokens, ada.token.id};
    assert_int_equal(store_write_wait(site.store, run_revoke, &revocation, NULL), OK);
    void *wrong = NULL;
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    close_site(&site);
}

static void a_bad_request_is_refused(void **state)
{
    struct site site;
    open_site(*state, &site);
    char name[TOKEN_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    char label[TOKEN_LABEL_MAX + 1];
    memset(label, 'l', sizeof label);
    struct token_request requests[] = {
        {TEXT(""), TEXT_NONE, ROLE_USER, 0, SITES},
        {TEXT("a b"), TEXT_NONE, ROLE_USER, 0, SITES},
        {TEXT("a\n"), TEXT_NONE, ROLE_USER, 0, SITES},
        {TEXT("a\xff"), TEXT_NONE, ROLE_USER, 0, SITES},
        {{name, sizeof name}, TEXT_NONE, ROLE_USER, 0, SITES},
        {TEXT("a"), {label, sizeof label}, ROLE_USER, 0, SITES},
        {TEXT("a"), TEXT("\x01"), ROLE_USER, 0, SITES},
        {TEXT("a"), TEXT_NONE, ROLE_TASK, 0, SITES},
        {TEXT("a"), TEXT_NONE, ROLE_NOBODY, 0, SITES},
        {TEXT("a"), TEXT_NONE, ROLE_USER, NOW_US, SITES},
        {TEXT("a"), TEXT_NONE, ROLE_USER, 0, {.kind = RUNNER_SPARE}},
        {TEXT("a"), TEXT_NONE, ROLE_ADMIN, 0, {.kind = RUNNER_USER, .user = "a"}},
        {TEXT("a"), TEXT_NONE, ROLE_WORKER, 0, {.kind = RUNNER_USER}},
        {TEXT("a"), TEXT_NONE, ROLE_WORKER, 0, {.kind = RUNNER_JOB, .user = "a"}},
        {TEXT("a"), TEXT_NONE, ROLE_WORKER, 0, {.groups = "physics"}},
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct creation creation = {.tokens = site.tokens, .request = requests[i]};
        assert_int_equal(store_write_wait(site.store, create, &creation, NULL), INVALID);
    }
    close_site(&site);
}

static struct creation make_runner(struct site *site, const struct runner *runner)
{
    struct creation creation = {
        .tokens = site->tokens,
        .request = {.name = TEXT("ada"), .role = ROLE_WORKER, .runner = *runner}};
    assert_int_equal(store_write_wait(site->store, create, &creation, NULL), OK);
    return creation;
}

static void a_token_keeps_its_class_and_each_runner_is_somebody_else(void **state)
{
    struct site site;
    static const struct runner RUNNERS[] = {
        {.kind = RUNNER_GROUP, .groups = "physics,chemistry"},
        {.kind = RUNNER_USER, .user = "ada"},
        {.kind = RUNNER_SESSION, .user = "ada"},
        {.kind = RUNNER_JOB, .user = "ada", .job = 7},
        {.kind = RUNNER_JOB_TOKEN, .user = "ada", .job = 7},
        {.kind = RUNNER_SPARE},
    };
    enum { COUNT = sizeof RUNNERS / sizeof RUNNERS[0] };
    struct creation made[COUNT];
    open_site(*state, &site);
    for (size_t i = 0; i < COUNT; i++) {
        made[i] = make_runner(&site, &RUNNERS[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            struct token found;
            AUTO_FREE char *name = memory_format("runner:%zu", i + 1);
            assert_int_equal(find(&site, &made[i].secret, NOW_US, &found, NULL), OK);
            struct runner expected = RUNNERS[i];
            expected.since_us = expected.kind == RUNNER_SESSION ? NOW_US : 0;
            assert_true(runner_equal(&found.runner, &expected));
            const struct principal principal = token_principal(&found);
            assert_int_equal(principal.role, ROLE_WORKER);
            assert_int_equal(principal.runner, RUNNERS[i].kind);
            assert_true(text_equal(principal.name, text_of(name)));
        }
        close_site(&site);
        open_site(*state, &site);
    }
    close_site(&site);
}

struct ending {
    struct tokens *tokens;
    int64_t job;
};

static enum status run_end(struct sql *sql, void *context, struct error *error)
{
    const struct ending *ending = context;
    return tokens_end_job(ending->tokens, sql, ending->job, NOW_US, error);
}

static void an_anonymous_runners_token_ends_soon_after_its_job_and_no_other_does(void **state)
{
    struct site site;
    struct token found;
    open_site(*state, &site);
    const struct runner anonymous = {.kind = RUNNER_JOB_TOKEN, .user = "ada", .job = 7};
    const struct runner other = {.kind = RUNNER_JOB_TOKEN, .user = "ada", .job = 8};
    const struct runner known = {.kind = RUNNER_JOB, .user = "ada", .job = 7};
    struct creation ending[] = {make_runner(&site, &anonymous), make_runner(&site, &anonymous)};
    struct creation lasting[] = {make_runner(&site, &other), make_runner(&site, &known)};
    struct ending end = {site.tokens, 7};
    assert_int_equal(store_write_wait(site.store, run_end, &end, NULL), OK);
    int64_t after_us = NOW_US + TOKEN_FAREWELL_US;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(find(&site, &ending[i].secret, after_us - 1, &found, NULL), OK);
            assert_int_equal(found.runner.until_us, after_us);
            assert_int_equal(find(&site, &ending[i].secret, after_us, &found, NULL), DENIED);
            assert_int_equal(find(&site, &lasting[i].secret, after_us, &found, NULL), OK);
        }
        close_site(&site);
        open_site(*state, &site);
    }
    // One that is gone is not looked at again.
    struct revocation revocation = {site.tokens, ending[0].token.id};
    assert_int_equal(store_write_wait(site.store, run_revoke, &revocation, NULL), OK);
    assert_int_equal(tokens_get(site.tokens, ending[0].token.id, &found, NULL), NOT_FOUND);
    assert_int_equal(tokens_get(site.tokens, ending[1].token.id, &found, NULL), OK);
    end.tokens = site.tokens;
    assert_int_equal(store_write_wait(site.store, run_end, &end, NULL), OK);
    close_site(&site);
}

static void count_token(void *context, const struct token *token)
{
    (void)token;
    ++*(int *)context;
}

static void tokens_are_listed_by_page_and_name(void **state)
{
    struct site site;
    open_site(*state, &site);
    (void)make(&site, TEXT("ada"), ROLE_USER, 0);
    (void)make(&site, TEXT("ben"), ROLE_WORKER, 0);
    (void)make(&site, TEXT("ada"), ROLE_USER, 0);
    static const struct {
        struct token_filter filter;
        int count;
    } cases[] = {
        {{{NULL, 0}, 0, 10}, 3},  {{{NULL, 0}, 1, 10}, 2},  {{{NULL, 0}, 0, 2}, 2},
        {{{"ada", 3}, 0, 10}, 2}, {{{"ada", 3}, 1, 10}, 1}, {{{"eve", 3}, 0, 10}, 0},
    };
    struct sql *sql = NULL;
    assert_int_equal(store_read_begin(site.store, &sql, NULL), OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int count = 0;
        assert_int_equal(tokens_list(sql, &cases[i].filter, count_token, &count, NULL), OK);
        assert_int_equal(count, cases[i].count);
    }
    store_read_end(site.store, sql);
    close_site(&site);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(who_holds_the_text_is_the_principal),
        TEST(the_text_itself_is_not_in_the_database),
        TEST(a_revoked_token_is_refused_at_once_and_after_a_restart),
        TEST(an_expired_token_is_refused_with_its_time),
        TEST(what_is_no_token_is_refused_without_repeating_it),
        TEST(memory_follows_the_database_when_a_commit_is_lost),
        TEST(tokens_are_found_while_others_come_and_go),
        TEST(a_bad_request_is_refused),
        TEST(a_token_keeps_its_class_and_each_runner_is_somebody_else),
        TEST(an_anonymous_runners_token_ends_soon_after_its_job_and_no_other_does),
        TEST(tokens_are_listed_by_page_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
