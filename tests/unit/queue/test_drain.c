// Workers that leave, by their own word or by order.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "store/store.h"

// Keeps what a drain was answered.
struct drained {
    enum status status;
    struct error error;
    char *document;
};

static void take_answer(void *context, enum status status, const struct error *error,
                        struct text document)
{
    struct drained *drained = context;
    drained->status = status;
    drained->error = error ? *error : (struct error){0};
    drained->document = text_copy(document);
}

// Calls are answered in order, so a poll's answer comes after that of the drain before it.
static struct drained drain(struct site *site, int64_t worker, int64_t in_us)
{
    struct drained drained = {0};
    const struct queue_answer answer = {take_answer, &drained};
    queue_drain_worker(site->queue, worker, in_us, (struct queue_witness){0}, answer);
    struct reply reply = site_list_workers(site, 0, 10);
    reply_done(&reply);
    return drained;
}

static void expect_drain(struct site *site, int64_t worker, int64_t in_us, enum status status,
                         const char *part)
{
    struct drained drained = drain(site, worker, in_us);
    assert_int_equal(drained.status, status);
    const char *said = status == OK ? drained.document : drained.error.detail;
    if (!strstr(said, part)) {
        fail_msg("%s", said);
    }
    free(drained.document);
}

// How many leases a poll gives, and what it says of an order: seconds, or -1.
static size_t leases_of(struct site *site, int64_t worker, const char *body, double *order)
{
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, OK);
    const json_t *said = json_object_get(reply.document, "drain_in_seconds");
    *order = said ? json_number_value(said) : -1;
    size_t count = json_array_size(json_object_get(reply.document, "leases"));
    reply_done(&reply);
    return count;
}

static void a_drained_worker_gets_what_can_end_in_time_and_hears_of_it(void **state)
{
    struct site *site = *state;
    double order = 0;
    int64_t worker = site_worker(site, "desk", 1);
    (void)site_job(site, "{\"command\": [\"true\"], \"walltime_seconds\": 3600}");
    expect_drain(site, worker, INT64_C(1800000000), OK, "\"state\":\"draining\"");
    assert_int_equal(leases_of(site, worker, "{}", &order), 0);
    assert_true(order > 1700 && order <= 1800);
    (void)site_job(site, "{\"command\": [\"false\"], \"walltime_seconds\": 60}");
    assert_int_equal(leases_of(site, worker, "{}", &order), 1);
}

static void an_order_may_be_called_off_until_the_worker_has_begun_to_leave(void **state)
{
    struct site *site = *state;
    double order = 0;
    int64_t worker = site_worker(site, "desk", 1);
    (void)site_job(site, "{\"command\": [\"true\"]}");
    expect_drain(site, worker, -1, CONFLICT, "is not being drained");
    expect_drain(site, 77, 0, NOT_FOUND, "there is no worker 77");
    expect_drain(site, worker, 0, OK, "\"leaves_at\":\"20");
    assert_int_equal(leases_of(site, worker, "{}", &order), 0);
    assert_true(order >= 0);
    expect_drain(site, worker, -1, OK, "\"leaves_at\":null");
    assert_int_equal(leases_of(site, worker, "{}", &order), 1);
    assert_true(order < 0);
    expect_drain(site, worker, 0, OK, "draining");
    (void)leases_of(site, worker, "{\"leaving\": true}", &order);
    expect_drain(site, worker, -1, CONFLICT, "has begun to leave");
}

static void a_waiting_worker_hears_of_an_order_at_once(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    struct polling *polling = site_poll_begin(site, worker, "{\"wait_seconds\": 20}");
    expect_drain(site, worker, 0, OK, "draining");
    struct reply reply = site_poll_end(polling);
    assert_int_equal(json_number_value(json_object_get(reply.document, "drain_in_seconds")), 0);
    reply_done(&reply);
}

// What the list says of the worker.
static void expect_state(struct site *site, int64_t worker, const char *state)
{
    struct reply reply = site_list_workers(site, worker - 1, 1);
    const json_t *first = json_array_get(json_object_get(reply.document, "workers"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "state")), state);
    reply_done(&reply);
}

static void a_worker_that_says_its_last_word_is_gone_and_blames_nobody(void **state)
{
    struct site *site = *state;
    double order = 0;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"retries\": 0}");
    assert_int_equal(leases_of(site, worker, "{}", &order), 1);
    struct polling *polling = site_poll_begin(site, worker, "{\"wait_seconds\": 20}");
    // The lease has crossed that word.
    const char *last = "{\"leaving\": true, \"gone\": true, \"leases\": []}";
    assert_int_equal(leases_of(site, worker, last, &order), 0);
    struct reply released = site_poll_end(polling);
    assert_int_equal(released.status, OK);
    reply_done(&released);
    expect_state(site, worker, "gone");
    struct reply again = site_poll(site, worker, last);
    assert_int_equal(again.status, NOT_FOUND);
    expect_drain(site, worker, 0, OK, "\"state\":\"gone\"");
    expect_drain(site, worker, -1, NOT_FOUND, "(desk) is gone");
    // Its task goes to another one, and nothing counts against it.
    int64_t other = site_worker(site, "other", 1);
    assert_int_equal(leases_of(site, other, "{}", &order), 1);
    struct reply shown = site_show(site, job, 0);
    assert_int_equal(number_of(json_object_get(shown.document, "failures"), "lost"), 0);
    reply_done(&shown);
}

static void an_end_of_its_own_counts_and_says_why_jobs_wait(void **state)
{
    struct site *site = *state;
    double order = 0;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\": [\"true\"], \"walltime_seconds\": 3600}");
    assert_int_equal(leases_of(site, worker, "{\"leaves_in_seconds\": 1800}", &order), 0);
    assert_true(order < 0);
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, "leaves in about 30 min; a task needs about 60 min"));
    expect_drain(site, worker, -1, CONFLICT, "is not being drained");
}

// However many there are, as after an hour of workers that start and end.
static void those_that_are_gone_are_listed_as_long_as_they_are_to_be(void **state)
{
    enum { LIVES = 200, LISTED_MAX = 1000 };
    struct site *site = *state;
    double order = 0;
    for (int i = 0; i < LIVES; i++) {
        int64_t worker = site_worker(site, "desk", 1);
        assert_int_equal(leases_of(site, worker, "{\"leaving\": true, \"gone\": true}", &order), 0);
    }
    struct reply listed = site_list_workers(site, 0, LISTED_MAX);
    assert_int_equal(json_array_size(json_object_get(listed.document, "workers")), LIVES);
    reply_done(&listed);
    // The same, with less time: they go in masses, not one at a time.
    site->over_kept_us = 1;
    site_restart(site);
    int64_t stays = site_worker(site, "other", 1);
    for (int i = 0; i < LIVES; i++) {
        int64_t worker = site_worker(site, "desk", 1);
        assert_int_equal(leases_of(site, worker, "{\"leaving\": true, \"gone\": true}", &order), 0);
    }
    int64_t deadline_us = clock_steady_us() + INT64_C(20000000);
    size_t left = LIVES;
    while (left > 1 && clock_steady_us() < deadline_us) {
        struct reply reply = site_poll(site, stays, "{\"wait_seconds\": 0.05}");
        reply_done(&reply);
        listed = site_list_workers(site, 0, LISTED_MAX);
        left = json_array_size(json_object_get(listed.document, "workers"));
        reply_done(&listed);
    }
    assert_int_equal(left, 1);
}

static enum status list_rows(struct sql *sql, void *context, struct error *error)
{
    struct buffer *out = context;
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, "SELECT name FROM workers ORDER BY id", SQL_NO_VALUES, &rows, error));
    while (sql_next(rows, &status, error)) {
        buffer_append_string(out, " ");
        buffer_append_text(out, sql_column_text(rows, 0));
    }
    return status;
}

static void come_and_go(struct site *site, const char *name, const char *said)
{
    struct reply reply = site_poll(site, site_worker(site, name, 1), said);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

// Records of tasks lead to workers, and numbers are never given twice: what is left of others goes with them.
static void nothing_stays_of_workers_that_did_nothing(void **state)
{
    struct site *site = *state;
    double order = 0;
    site->over_kept_us = 1;
    site_restart(site);
    (void)site_job(site, "{\"command\": [\"true\"]}");
    int64_t leased = site_worker(site, "leased", 1);
    assert_int_equal(leases_of(site, leased, "{}", &order), 1);
    assert_int_equal(leases_of(site, leased, "{\"gone\": true}", &order), 0);
    come_and_go(site, "said", "{\"setups\":[{\"job\":1,\"executable\":\"p\"}],\"gone\":true}");
    come_and_go(site, "idle", "{\"gone\":true}");
    come_and_go(site, "idle", "{\"gone\":true}");
    int64_t stays = site_worker(site, "stays", 1);
    come_and_go(site, "last", "{\"gone\":true}");
    AUTO_FREE char *rows = NULL;
    int64_t deadline_us = clock_steady_us() + INT64_C(20000000);
    do {
        AUTO_BUFFER struct buffer out = {0};
        struct reply reply = site_poll(site, stays, "{\"wait_seconds\": 0.05}");
        reply_done(&reply);
        assert_int_equal(store_write_wait(site->store, list_rows, &out, NULL), OK);
        free(rows);
        rows = buffer_take_string(&out);
    } while (strstr(rows, "idle") && clock_steady_us() < deadline_us);
    assert_string_equal(rows, " leased said stays last");
    int64_t next = site_worker(site, "next", 1);
    site_restart(site);
    assert_true(site_worker(site, "again", 1) > next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_drained_worker_gets_what_can_end_in_time_and_hears_of_it,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(
            an_order_may_be_called_off_until_the_worker_has_begun_to_leave, site_setup,
            site_teardown),
        cmocka_unit_test_setup_teardown(a_waiting_worker_hears_of_an_order_at_once, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_says_its_last_word_is_gone_and_blames_nobody,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(those_that_are_gone_are_listed_as_long_as_they_are_to_be,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(nothing_stays_of_workers_that_did_nothing, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(an_end_of_its_own_counts_and_says_why_jobs_wait, site_setup,
                                        site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
