// Jobs that wait for data, between a queue and transfers that answer as a test tells them to.
#include "../cmocka_all.h"

#include "broker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "transfer/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { AWAIT_US = 30000000, NAP_NS = 2000000, JOB = 7, BUSY_TIMES = 2 };

static const char COPYING[] =
    "{\"id\":3,\"state\":\"copying\",\"bytes_done\":1,\"bytes_total\":2,\"files_done\":0,"
    "\"files_total\":1,\"source\":null,\"problem\":null}";

struct transfers {
    _Atomic int orders;
    _Atomic int taken_back;
};

struct world {
    char folder[64];
    struct transfers here;
    struct transfers there;
    _Atomic bool is_cancelled; // The job.
    _Atomic int asked;         // How often, what becomes of the job.
    _Atomic int told;          // How often, what it waits for.
    struct broker broker;
};

// --- what staging.c asks of others

enum status transfers_order(struct transfers *transfers, const struct transfer_request *request,
                            struct buffer *out, struct error *error)
{
    (void)error;
    assert_true(text_equal(request->id, TEXT("t:data")));
    (void)atomic_fetch_add(&transfers->orders, 1);
    buffer_append_string(out, COPYING);
    return OK;
}

enum status transfers_show(struct transfers *transfers, int64_t number, struct buffer *out,
                           struct error *error)
{
    (void)transfers;
    (void)error;
    assert_int_equal(number, 3);
    buffer_append_string(out, COPYING);
    return OK;
}

enum status transfers_take_back(struct transfers *transfers, int64_t number, struct error *error)
{
    (void)error;
    assert_int_equal(number, 3);
    (void)atomic_fetch_add(&transfers->taken_back, 1);
    return OK;
}

enum status broker_call(struct broker *broker, const struct fingerprint *site, const char *user,
                        const char *method, const char *path, struct text body,
                        struct buffer *answer, struct error *error)
{
    struct world *world = broker->context;
    assert_string_equal(site->text, "sha256:there");
    assert_string_equal(user, "alice");
    if (strcmp(method, "DELETE") == 0) {
        assert_string_equal(path, "/v1/transfers/3?take_back=true");
        return transfers_take_back(&world->there, 3, error);
    }
    if (strcmp(method, "POST") == 0) {
        assert_string_equal(path, "/v1/transfers");
        assert_true(text_equal(body, TEXT("{\"id\":\"t:data\"}")));
        (void)atomic_fetch_add(&world->there.orders, 1);
    } else {
        assert_string_equal(path, "/v1/transfers/3");
    }
    buffer_append_string(answer, COPYING);
    return OK;
}

bool held_job_tell(const struct broker *broker, int64_t job, const struct queue_hold *hold)
{
    struct world *world = broker->context;
    (void)hold;
    assert_int_equal(job, JOB);
    (void)atomic_fetch_add(&world->told, 1);
    return !atomic_load(&world->is_cancelled);
}

enum status held_job_release(const struct broker *broker, int64_t job,
                             const struct prepare_destination *to, struct error *error)
{
    struct world *world = broker->context;
    (void)to;
    assert_int_equal(job, JOB);
    return atomic_fetch_add(&world->asked, 1) < BUSY_TIMES
               ? error_set(error, BUSY, "in a moment")
               : error_set(error, NOT_FOUND, "it was cancelled");
}

enum status held_job_fail(const struct broker *broker, int64_t job, const char *message,
                          struct error *error)
{
    (void)broker;
    (void)job;
    (void)error;
    fail_msg("%s", message);
    return OK;
}

bool peers_find(struct peers *peers, const struct fingerprint *fingerprint, struct peer *out)
{
    (void)peers;
    (void)fingerprint;
    (void)out;
    return false;
}

enum status survey_find(struct broker *broker, struct survey *survey, size_t at,
                        struct error *error)
{
    (void)broker;
    (void)survey;
    (void)at;
    (void)error;
    return OK;
}

void survey_done(struct survey *survey)
{
    (void)survey;
}

void known_add(struct known_list *list, struct broker *broker, const struct survey_data *known,
               const struct peer *at)
{
    (void)list;
    (void)broker;
    (void)known;
    (void)at;
}

struct prepare_destination known_destination(const struct known_list *list, const char *place)
{
    (void)list;
    (void)place;
    return (struct prepare_destination){0};
}

// --- the tests

static int start(void **state)
{
    struct world *world = NEW(struct world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/lode-test-staging.XXXXXX");
    *state = world;
    if (!mkdtemp(world->folder)) {
        return -1;
    }
    AUTO_FREE char *path = memory_format("%s/site.db", world->folder);
    const struct store_options store = {
        .url = path, .migrations = BROKER_MIGRATIONS, .migration_count = BROKER_MIGRATION_COUNT};
    world->broker.context = world;
    world->broker.transfers = &world->here;
    return store_open(&store, &world->broker.store, NULL) == OK &&
                   staging_new(&world->broker, &world->broker.staging, NULL) == OK
               ? 0
               : -1;
}

static int end(void **state)
{
    struct world *world = *state;
    staging_free(world->broker.staging);
    store_close(world->broker.store);
    enum status status = file_remove_tree(world->folder, NULL);
    free(world);
    return status == OK ? 0 : -1;
}

static void add_job(struct world *world, const struct fingerprint *to)
{
    struct survey *survey = NEW(struct survey);
    const struct staging_job job = {.job = JOB, .owner = "alice", .to = to};
    survey->known[survey->data_count++].id = "t:data";
    assert_int_equal(staging_add(world->broker.staging, &job, survey, NULL), OK);
    free(survey);
}

static void await_at_least(const _Atomic int *count, int least)
{
    int64_t until_us = clock_steady_us() + AWAIT_US;
    while (atomic_load(count) < least) {
        assert_true(clock_steady_us() < until_us);
        (void)nanosleep(&(const struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
}

// Others may have ordered the same: each order is taken back by who made it.
static void check_taken_back_once(struct world *world, struct transfers *at,
                                  const struct fingerprint *to)
{
    add_job(world, to);
    await_at_least(&at->orders, 1);
    assert_int_equal(at->taken_back, 0);
    atomic_store(&world->is_cancelled, true);
    await_at_least(&world->asked, BUSY_TIMES + 1);
    assert_int_equal(at->orders, 1);
    assert_int_equal(at->taken_back, 1);
}

static void what_a_cancelled_job_ordered_here_is_taken_back_once(void **state)
{
    struct world *world = *state;
    check_taken_back_once(world, &world->here, NULL);
    assert_int_equal(world->there.orders, 0);
}

static void what_a_cancelled_job_ordered_elsewhere_is_taken_back_there_once(void **state)
{
    struct world *world = *state;
    const struct fingerprint there = {"sha256:there"};
    check_taken_back_once(world, &world->there, &there);
    assert_int_equal(world->here.orders, 0);
}

// Else its own order would look like somebody else's, and be brought though nobody wants it any more.
static void what_was_ordered_is_not_ordered_again_after_a_restart(void **state)
{
    struct world *world = *state;
    const struct fingerprint there = {"sha256:there"};
    add_job(world, &there);
    await_at_least(&world->told, 1);
    staging_free(world->broker.staging);
    atomic_store(&world->told, 0);
    assert_int_equal(staging_new(&world->broker, &world->broker.staging, NULL), OK);
    await_at_least(&world->told, 1);
    assert_int_equal(world->there.orders, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_cancelled_job_ordered_here_is_taken_back_once),
        TEST(what_a_cancelled_job_ordered_elsewhere_is_taken_back_there_once),
        TEST(what_was_ordered_is_not_ordered_again_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
