#include "../cmocka_all.h"
#include "../store/fixture.h"

#include "base/memory.h"
#include "identity/invitations.h"
#include "identity/migrations.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define SECOND_US INT64_C(1000000)

struct site {
    struct store *store;
    struct known_workers *workers;
    int64_t now_us;
};

static void open_site(const char *folder, bool is_open, struct site *out)
{
    AUTO_FREE char *path = memory_format("%s/site.db", folder);
    struct store_options options = {.url = path,
                                    .migrations = IDENTITY_MIGRATIONS,
                                    .migration_count = IDENTITY_MIGRATION_COUNT};
    struct error error = {0};
    out->now_us = out->now_us ? out->now_us : 1000 * SECOND_US;
    if (store_open(&options, &out->store, &error) != OK ||
        known_workers_open(out->store, is_open, &out->workers, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static void close_site(struct site *site)
{
    store_close(site->store);
    known_workers_close(site->workers);
}

static void open_again(const char *folder, bool is_open, struct site *site)
{
    close_site(site);
    open_site(folder, is_open, site);
}

// The key of number n.
static struct fingerprint key_of(int n)
{
    return fingerprint_of_public_key(&n, sizeof n);
}

struct step {
    struct site *site;
    struct worker_caller caller;
    struct text name;
    struct worker_met met;
    enum known_worker_state state;
    struct runner runner;
};

static enum status run_meet(struct sql *sql, void *context, struct error *error)
{
    struct step *step = context;
    return known_workers_meet(step->site->workers, sql, &step->caller, step->name,
                              step->site->now_us, &step->met, error);
}

static struct worker_met meet_as(struct site *site, const struct worker_caller *caller,
                                 struct text name)
{
    struct step step = {.site = site, .caller = *caller, .name = name};
    struct error error = {0};
    if (store_write_wait(site->store, run_meet, &step, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return step.met;
}

static struct worker_met meet(struct site *site, int n, struct text name)
{
    struct fingerprint key = key_of(n);
    const struct worker_caller caller = {
        .key = key.text, .address = TEXT("10.0.0.7"), .is_near = true};
    return meet_as(site, &caller, name);
}

static enum status run_decide(struct sql *sql, void *context, struct error *error)
{
    struct step *step = context;
    const struct known_worker_word word = {step->state, TEXT("ada"), step->runner};
    return known_workers_decide(step->site->workers, sql, step->caller.key, &word,
                                step->site->now_us, error);
}

static enum status decide(struct site *site, int n, enum known_worker_state state)
{
    struct fingerprint key = key_of(n);
    struct step step = {.site = site, .caller = {.key = key.text}, .state = state};
    return store_write_wait(site->store, run_decide, &step, NULL);
}

static enum status run_forget(struct sql *sql, void *context, struct error *error)
{
    struct step *step = context;
    return known_workers_forget(step->site->workers, sql, step->caller.key, error);
}

static enum status forget(struct site *site, int n)
{
    struct fingerprint key = key_of(n);
    struct step step = {.site = site, .caller = {.key = key.text}};
    return store_write_wait(site->store, run_forget, &step, NULL);
}

static enum status run_enrol(struct sql *sql, void *context, struct error *error)
{
    struct step *step = context;
    const struct known_worker_word word = {.by = TEXT("ada")};
    return known_workers_enrol(step->site->workers, sql, &step->caller, step->name, &word,
                               step->site->now_us, error);
}

static enum status enrol(struct site *site, int n, struct text name)
{
    struct fingerprint key = key_of(n);
    struct step step = {.site = site, .caller = {.key = key.text}, .name = name};
    return store_write_wait(site->store, run_enrol, &step, NULL);
}

static enum status admit(struct site *site, int n, const char *certified, char *name)
{
    struct fingerprint key = key_of(n);
    const struct worker_caller caller = {.key = key.text, .certified = certified};
    struct known_worker worker;
    enum status status = known_workers_admit(site->workers, &caller, site->now_us, &worker, NULL);
    if (status == OK) {
        memcpy(name, worker.name, sizeof worker.name);
    }
    return status;
}

static void only_an_accepted_key_is_admitted_and_a_restart_changes_nothing(void **state)
{
    struct site site = {0};
    char name[KNOWN_WORKER_NAME_MAX + 1] = "";
    open_site(*state, false, &site);
    assert_int_equal(admit(&site, 1, NULL, name), NOT_FOUND);
    assert_int_equal(meet(&site, 1, TEXT("desk")).meeting, WORKER_MET_PENDING);
    assert_false(meet(&site, 1, TEXT("desk")).is_new);
    assert_int_equal(admit(&site, 1, NULL, name), NOT_FOUND);
    assert_int_equal(decide(&site, 1, KNOWN_WORKER_ACCEPTED), OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(admit(&site, 1, NULL, name), OK);
        assert_string_equal(name, "desk");
        assert_int_equal(meet(&site, 1, TEXT("another name")).meeting, WORKER_MET_ACCEPTED);
        open_again(*state, false, &site);
    }
    assert_int_equal(decide(&site, 1, KNOWN_WORKER_REFUSED), OK);
    assert_int_equal(admit(&site, 1, NULL, name), DENIED);
    assert_int_equal(meet(&site, 1, TEXT("desk")).meeting, WORKER_MET_REFUSED);
    assert_int_equal(forget(&site, 1), OK);
    assert_int_equal(forget(&site, 1), NOT_FOUND);
    assert_int_equal(meet(&site, 1, TEXT("desk")).meeting, WORKER_MET_PENDING);
    close_site(&site);
}

static enum status decide_class(struct site *site, int n, const struct runner *runner)
{
    struct fingerprint key = key_of(n);
    struct step step = {.site = site,
                        .caller = {.key = key.text},
                        .state = KNOWN_WORKER_ACCEPTED,
                        .runner = *runner};
    return store_write_wait(site->store, run_decide, &step, NULL);
}

static void a_key_keeps_its_class_and_has_none_that_is_a_tokens(void **state)
{
    struct site site = {0};
    struct fingerprint key = key_of(1);
    const struct worker_caller caller = {.key = key.text};
    struct known_worker found;
    open_site(*state, false, &site);
    (void)meet(&site, 1, TEXT("desk"));
    static const struct runner WRONG[] = {{.kind = RUNNER_SESSION, .user = "ada"},
                                          {.kind = RUNNER_JOB_TOKEN, .user = "ada", .job = 7},
                                          {.kind = RUNNER_USER}};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_equal(decide_class(&site, 1, &WRONG[i]), INVALID);
    }
    static const struct runner RIGHT[] = {{.kind = RUNNER_GROUP, .groups = "physics,chemistry"},
                                          {.kind = RUNNER_USER, .user = "ada"},
                                          {.kind = RUNNER_JOB, .user = "ada", .job = 7},
                                          {.kind = RUNNER_SPARE},
                                          {.kind = RUNNER_SITE}};
    for (size_t i = 0; i < sizeof RIGHT / sizeof RIGHT[0]; i++) {
        assert_int_equal(decide_class(&site, 1, &RIGHT[i]), OK);
        for (int round = 0; round < 2; round++) {
            assert_int_equal(known_workers_admit(site.workers, &caller, site.now_us, &found, NULL),
                             OK);
            assert_true(runner_equal(&found.runner, &RIGHT[i]));
            (void)meet(&site, 1, TEXT("desk"));
            open_again(*state, false, &site);
        }
    }
    close_site(&site);
}

static void a_name_stays_with_its_key(void **state)
{
    struct site site = {0};
    struct known_worker found;
    open_site(*state, false, &site);
    (void)meet(&site, 1, TEXT("desk"));
    (void)meet(&site, 2, TEXT("desk")); // Both wait: nobody has the name yet.
    assert_int_equal(known_workers_match(site.workers, TEXT("desk"), &found, NULL), CONFLICT);
    assert_int_equal(decide(&site, 1, KNOWN_WORKER_ACCEPTED), OK);
    assert_int_equal(decide(&site, 2, KNOWN_WORKER_ACCEPTED), CONFLICT);
    struct worker_met met = meet(&site, 2, TEXT("desk"));
    assert_int_equal(met.meeting, WORKER_MET_RIVAL);
    assert_true(met.is_worth_a_word);
    assert_string_equal(met.worker.key.text, key_of(1).text);
    assert_string_equal(met.worker.rival.text, key_of(2).text);
    assert_false(known_workers_find(site.workers, key_of(2).text, &found));
    struct error error = {0};
    assert_int_equal(known_workers_match(site.workers, text_of(key_of(2).text), &found, &error),
                     CONFLICT);
    assert_non_null(strstr(error.detail, key_of(1).text));
    assert_non_null(strstr(error.fix, "lode worker forget"));
    assert_int_equal(known_workers_match(site.workers, text_of(key_of(5).text), &found, NULL),
                     NOT_FOUND);
    // Many others do not fill the log.
    for (int n = 3; n < 100; n++) {
        assert_false(meet(&site, n, TEXT("desk")).is_worth_a_word);
    }
    site.now_us += KNOWN_WORKERS_SAID_US;
    assert_true(meet(&site, 3, TEXT("desk")).is_worth_a_word);
    assert_int_equal(enrol(&site, 4, TEXT("desk")), CONFLICT);
    assert_int_equal(known_workers_count(site.workers).rivals, 1);
    assert_int_equal(known_workers_count(site.workers).accepted, 1);
    // Once it is forgotten the name is free.
    assert_int_equal(forget(&site, 1), OK);
    assert_int_equal(enrol(&site, 4, TEXT("desk")), OK);
    assert_int_equal(meet(&site, 1, TEXT("desk")).meeting, WORKER_MET_RIVAL);
    close_site(&site);
}

enum { FLOOD_STEP = 100 };
struct flood {
    struct site *site;
    int from;
    int words; // How many were worth one.
};

// Many keys at once, as the writer's thread gathers them.
static enum status run_flood(struct sql *sql, void *context, struct error *error)
{
    struct flood *flood = context;
    struct site *site = flood->site;
    for (int n = flood->from; n < flood->from + FLOOD_STEP; n++) {
        char name[32];
        struct worker_met met;
        struct fingerprint key = key_of(n);
        const struct worker_caller caller = {.key = key.text};
        (void)snprintf(name, sizeof name, "w%d", n);
        site->now_us += 1000;
        TRY(known_workers_meet(site->workers, sql, &caller, text_of(name), site->now_us, &met,
                               error));
        assert_int_equal(met.meeting, WORKER_MET_PENDING);
        flood->words += met.is_worth_a_word;
    }
    return OK;
}

static void ten_thousand_unknown_keys_do_not_grow_the_table(void **state)
{
    struct site site = {0};
    struct known_worker found;
    open_site(*state, false, &site);
    (void)meet(&site, 1, TEXT("mine"));
    assert_int_equal(decide(&site, 1, KNOWN_WORKER_ACCEPTED), OK);
    (void)meet(&site, 2, TEXT("patient"));
    struct flood flood = {.site = &site};
    for (int n = 100; n < 10100; n += FLOOD_STEP) {
        flood.from = n;
        assert_int_equal(store_write_wait(site.store, run_flood, &flood, NULL), OK);
        (void)meet(&site, 2, TEXT("patient"));
    }
    // Ten seconds long: while there was room each, then one.
    assert_in_range(flood.words, KNOWN_WORKERS_PENDING_MAX - 2, KNOWN_WORKERS_PENDING_MAX + 1);
    for (int round = 0; round < 2; round++) {
        struct known_workers_figures figures = known_workers_count(site.workers);
        assert_int_equal(figures.pending, KNOWN_WORKERS_PENDING_MAX);
        assert_int_equal(figures.accepted, 1);
        // Who goes on asking is not pushed out; who has asked once is.
        assert_true(known_workers_find(site.workers, key_of(2).text, &found));
        assert_false(known_workers_find(site.workers, key_of(100).text, &found));
        assert_true(known_workers_find(site.workers, key_of(10099).text, &found));
        open_again(*state, false, &site);
    }
    close_site(&site);
}

static void an_authority_counts_only_while_its_certificate_is_shown(void **state)
{
    struct site site = {0};
    char name[KNOWN_WORKER_NAME_MAX + 1] = "";
    struct fingerprint one = key_of(1);
    struct fingerprint two = key_of(2);
    const struct worker_caller first = {.key = one.text, .certified = "node"};
    const struct worker_caller second = {.key = two.text, .certified = "node"};
    open_site(*state, false, &site);
    assert_int_equal(meet_as(&site, &first, TEXT("whatever")).meeting, WORKER_MET_ACCEPTED);
    assert_int_equal(meet_as(&site, &second, TEXT("whatever")).meeting, WORKER_MET_ACCEPTED);
    assert_int_equal(admit(&site, 1, "node", name), OK);
    assert_string_equal(name, "node");
    assert_int_equal(admit(&site, 1, NULL, name), NOT_FOUND);
    assert_int_equal(meet(&site, 3, TEXT("node")).meeting, WORKER_MET_RIVAL);
    // One of two goes: the name is still taken.
    assert_int_equal(forget(&site, 2), OK);
    assert_int_equal(meet(&site, 3, TEXT("node")).meeting, WORKER_MET_RIVAL);
    assert_int_equal(decide(&site, 1, KNOWN_WORKER_REFUSED), OK);
    assert_int_equal(admit(&site, 1, "node", name), DENIED);
    assert_int_equal(meet_as(&site, &first, TEXT("node")).meeting, WORKER_MET_REFUSED);
    // Without its certificate a key is one that waits.
    assert_int_equal(forget(&site, 1), OK);
    assert_int_equal(meet_as(&site, &first, TEXT("x")).meeting, WORKER_MET_ACCEPTED);
    assert_int_equal(meet(&site, 1, TEXT("node")).meeting, WORKER_MET_PENDING);
    close_site(&site);
}

static void what_an_open_site_took_in_is_gone_when_it_is_not_open(void **state)
{
    struct site site = {0};
    char name[KNOWN_WORKER_NAME_MAX + 1] = "";
    struct fingerprint far = key_of(2);
    const struct worker_caller caller = {.key = far.text, .address = TEXT("8.8.8.8")};
    open_site(*state, true, &site);
    assert_int_equal(meet(&site, 1, TEXT("near")).meeting, WORKER_MET_ACCEPTED);
    assert_int_equal(meet_as(&site, &caller, TEXT("far")).meeting, WORKER_MET_PENDING);
    assert_int_equal(enrol(&site, 3, TEXT("invited")), OK);
    open_again(*state, true, &site);
    assert_int_equal(admit(&site, 1, NULL, name), OK);
    open_again(*state, false, &site);
    assert_int_equal(admit(&site, 1, NULL, name), NOT_FOUND);
    assert_int_equal(admit(&site, 3, NULL, name), OK);
    close_site(&site);
}

static void names_that_would_mislead_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", " a", "a ", "a\nb", "sha256:00", "\xff"};
    char many[KNOWN_WORKER_NAME_MAX + 2];
    memset(many, 'x', sizeof many);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(known_worker_check_name(text_of(BAD[i]), NULL), INVALID);
    }
    assert_int_equal(known_worker_check_name((struct text){many, KNOWN_WORKER_NAME_MAX + 1}, NULL),
                     INVALID);
    assert_int_equal(known_worker_check_name((struct text){many, KNOWN_WORKER_NAME_MAX}, NULL), OK);
    assert_int_equal(known_worker_check_name(TEXT("Robot 7"), NULL), OK);
}

static void a_worker_is_found_by_name_key_and_first_digits(void **state)
{
    struct site site = {0};
    struct known_worker found = {0};
    open_site(*state, false, &site);
    (void)meet(&site, 1, TEXT("desk"));
    (void)meet(&site, 2, TEXT("lab"));
    struct fingerprint lab = key_of(2);
    struct text whole = text_of(lab.text);
    const struct text said[] = {TEXT("lab"), whole, text_slice(whole, 0, 15),
                                text_slice(whole, 7, 15)};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        assert_int_equal(known_workers_match(site.workers, said[i], &found, NULL), OK);
        assert_string_equal(found.name, "lab");
    }
    struct text short_one = text_slice(whole, 7, 14);
    assert_int_equal(known_workers_match(site.workers, short_one, &found, NULL), NOT_FOUND);
    assert_int_equal(known_workers_match(site.workers, TEXT("nobody"), &found, NULL), NOT_FOUND);
    assert_int_equal(known_workers_match(site.workers, TEXT(""), &found, NULL), NOT_FOUND);
    close_site(&site);
}

struct use {
    struct site *site;
    struct invitation invitation;
    struct invitation_secret secret;
};

static enum status run_invite(struct sql *sql, void *context, struct error *error)
{
    struct use *use = context;
    return invitations_create(sql, &use->invitation, use->site->now_us, &use->secret, error);
}

static enum status run_use(struct sql *sql, void *context, struct error *error)
{
    struct use *use = context;
    return invitations_use(sql, text_of(use->secret.text), use->site->now_us, &use->invitation,
                           error);
}

static enum status run_use_and_fail(struct sql *sql, void *context, struct error *error)
{
    TRY(run_use(sql, context, error));
    return CONFLICT;
}

static struct use invite(struct site *site, int64_t seconds)
{
    struct use use = {.site = site, .invitation = {.name = "desk", .by = "ada"}};
    use.invitation.expires_us = site->now_us + seconds * SECOND_US;
    assert_int_equal(store_write_wait(site->store, run_invite, &use, NULL), OK);
    return use;
}

static void an_invitation_is_good_once_and_for_a_while(void **state)
{
    struct site site = {0};
    struct error error = {0};
    open_site(*state, false, &site);
    struct use use = invite(&site, 60);
    use.invitation = (struct invitation){0};
    assert_int_equal(store_write_wait(site.store, run_use_and_fail, &use, NULL), CONFLICT);
    open_again(*state, false, &site);
    assert_int_equal(store_write_wait(site.store, run_use, &use, NULL), OK);
    assert_string_equal(use.invitation.name, "desk");
    assert_string_equal(use.invitation.by, "ada");
    assert_int_equal(store_write_wait(site.store, run_use, &use, &error), DENIED);
    assert_non_null(strstr(error.detail, "used before"));
    struct use late = invite(&site, 60);
    site.now_us += 60 * SECOND_US;
    assert_int_equal(store_write_wait(site.store, run_use, &late, &error), DENIED);
    assert_non_null(strstr(error.detail, "expired"));
    late.secret.text[20] = late.secret.text[20] == 'a' ? 'b' : 'a';
    assert_int_equal(store_write_wait(site.store, run_use, &late, &error), DENIED);
    assert_null(strstr(error.detail, late.secret.text));
    late.secret.text[20] = '!';
    assert_int_equal(store_write_wait(site.store, run_use, &late, NULL), DENIED);
    late.invitation.expires_us = site.now_us;
    assert_int_equal(store_write_wait(site.store, run_invite, &late, NULL), INVALID);
    close_site(&site);
}

static void invitations_have_a_limit(void **state)
{
    struct site site = {0};
    open_site(*state, false, &site);
    for (int i = 0; i < INVITATIONS_MAX; i++) {
        (void)invite(&site, 60);
    }
    struct use more = {.site = &site, .invitation = {.expires_us = site.now_us + SECOND_US}};
    assert_int_equal(store_write_wait(site.store, run_invite, &more, NULL), QUOTA);
    site.now_us += 8 * 86400 * SECOND_US;
    more.invitation.expires_us = site.now_us + SECOND_US;
    assert_int_equal(store_write_wait(site.store, run_invite, &more, NULL), OK);
    close_site(&site);
}

static enum status run_decide_and_lose(struct sql *sql, void *context, struct error *error)
{
    TRY(run_decide(sql, context, error));
    return sql_run(sql, "ROLLBACK", SQL_NO_VALUES, NULL, error);
}

static void memory_follows_the_database_when_a_commit_is_lost(void **state)
{
    struct site site = {0};
    char name[KNOWN_WORKER_NAME_MAX + 1];
    struct fingerprint key = key_of(1);
    struct step step = {.site = &site, .caller = {.key = key.text}, .state = KNOWN_WORKER_ACCEPTED};
    open_site(*state, false, &site);
    (void)meet(&site, 1, TEXT("desk"));
    assert_int_equal(store_write_wait(site.store, run_decide_and_lose, &step, NULL), INTERNAL);
    assert_int_equal(admit(&site, 1, NULL, name), NOT_FOUND);
    assert_int_equal(known_workers_count(site.workers).pending, 1);
    close_site(&site);
}

struct reader {
    struct site *site;
    atomic_bool is_over;
    int64_t admitted;
};

static void *read_on(void *context)
{
    struct reader *reader = context;
    char name[KNOWN_WORKER_NAME_MAX + 1];
    struct known_worker found;
    while (!atomic_load(&reader->is_over)) {
        reader->admitted += admit(reader->site, 1, NULL, name) == OK;
        (void)known_workers_find(reader->site->workers, key_of(2).text, &found);
        (void)known_workers_match(reader->site->workers, TEXT("desk"), &found, NULL);
        (void)known_workers_count(reader->site->workers);
    }
    return NULL;
}

static void workers_are_found_while_others_come_and_go(void **state)
{
    struct site site = {0};
    pthread_t thread;
    struct reader reader = {.site = &site};
    open_site(*state, false, &site);
    (void)meet(&site, 1, TEXT("desk"));
    assert_int_equal(decide(&site, 1, KNOWN_WORKER_ACCEPTED), OK);
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
    for (int n = 2; n < 100; n++) {
        (void)meet(&site, n, TEXT("other"));
        (void)meet(&site, 1, TEXT("desk"));
        assert_int_equal(forget(&site, n), OK);
    }
    atomic_store(&reader.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reader.admitted > 0);
    close_site(&site);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(only_an_accepted_key_is_admitted_and_a_restart_changes_nothing),
        TEST(a_key_keeps_its_class_and_has_none_that_is_a_tokens),
        TEST(a_name_stays_with_its_key),
        TEST(ten_thousand_unknown_keys_do_not_grow_the_table),
        TEST(an_authority_counts_only_while_its_certificate_is_shown),
        TEST(what_an_open_site_took_in_is_gone_when_it_is_not_open),
        cmocka_unit_test(names_that_would_mislead_are_refused),
        TEST(a_worker_is_found_by_name_key_and_first_digits),
        TEST(an_invitation_is_good_once_and_for_a_while),
        TEST(invitations_have_a_limit),
        TEST(memory_follows_the_database_when_a_commit_is_lost),
        TEST(workers_are_found_while_others_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
