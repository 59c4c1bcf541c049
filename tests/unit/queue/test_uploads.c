// What workers may send into the store, as they get leases and lose them.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "policy/uploads.h"
#include "queue/uploads.h"

// A task of it may send 21 MiB: what it prints, what it leaves, and a little.
static const char JOB[] =
    "{\"command\": [\"sleep\", \"1\"], \"cache\": \"off\", \"disk_bytes\": 10485760}";
static const int64_t TASK = INT64_C(21) << 20;

static const char OWNER[] = "workers";

enum { NAMED_SIZE = 1024 };

struct held {
    int64_t worker;
    int64_t job;
    long long lease;
};

static struct held take_job(struct site *site, const char *name, const char *job)
{
    struct held held = {.worker = site_worker(site, name, 1), .job = site_job(site, job)};
    struct reply reply = site_poll(site, held.worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    held.lease = json_integer_value(json_array_get(lease, 0));
    held.job = json_integer_value(json_array_get(lease, 1)); // Perhaps an earlier one's.
    assert_int_not_equal(held.lease, 0);
    reply_done(&reply);
    return held;
}

static struct held take(struct site *site, const char *name)
{
    return take_job(site, name, JOB);
}

static enum status send(struct site *site, int64_t bytes, const char *content)
{
    struct worker_upload upload;
    enum status status = worker_upload_begin(site->queue, &upload, text_of(OWNER), bytes, NULL);
    if (status == OK) {
        const struct digest digest = digest_of(content, strlen(content));
        worker_upload_end(site->queue, &upload, &digest, 0);
    }
    return status;
}

// `named`: what follows of the task.
static void report_naming(struct site *site, const struct held *held, const char *named)
{
    AUTO_FREE char *said =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0%s]]}]}",
                      held->lease, (long long)held->job, named);
    struct reply reply = site_poll(site, held->worker, said);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static void report(struct site *site, const struct held *held)
{
    report_naming(site, held, "");
}

static void a_worker_may_send_while_it_has_a_lease(void **state)
{
    struct site *site = *state;
    assert_int_equal(send(site, 0, "early"), CONFLICT);
    struct held held = take(site, "desk");
    assert_int_equal(send(site, TASK + 1, "much"), QUOTA);
    assert_int_equal(send(site, TASK, "all"), OK);
    assert_int_equal(send(site, 1, "more"), QUOTA);
    struct worker_upload upload;
    assert_int_equal(worker_upload_begin(site->queue, &upload, TEXT("others"), 0, NULL), CONFLICT);
    report(site, &held);
    assert_int_equal(send(site, 0, "late"), CONFLICT);
}

static void what_comes_twice_counts_once_and_what_breaks_off_not_at_all(void **state)
{
    struct site *site = *state;
    (void)take(site, "desk");
    struct worker_upload first;
    struct worker_upload second;
    const struct digest digest = digest_of("x", 1);
    assert_int_equal(worker_upload_begin(site->queue, &first, text_of(OWNER), 0, NULL), OK);
    assert_int_equal(worker_upload_grow(site->queue, &first, TASK + 1, NULL), QUOTA);
    assert_int_equal(worker_upload_grow(site->queue, &first, TASK / 2, NULL), OK);
    assert_int_equal(worker_upload_begin(site->queue, &second, text_of(OWNER), TASK / 2, NULL), OK);
    assert_int_equal(send(site, 1, "full"), QUOTA);
    worker_upload_end(site->queue, &first, &digest, 0);
    assert_int_equal(send(site, 1, "full"), QUOTA);
    worker_upload_end(site->queue, &second, &digest, 0);
    assert_true(worker_upload_was_sent(site->queue, text_of(OWNER), &digest, 0));
    assert_false(worker_upload_was_sent(site->queue, TEXT("others"), &digest, 0));
    assert_int_equal(worker_upload_begin(site->queue, &second, text_of(OWNER), TASK / 2, NULL), OK);
    worker_upload_end(site->queue, &second, NULL, 0);
    assert_int_equal(send(site, TASK / 2, "rest"), OK);
    assert_int_equal(send(site, 1, "full"), QUOTA);
}

// Being sent keeps it in the store for a day: else what strayed would be there for good, and count for one.
static void what_comes_once_more_after_a_while_counts_again(void **state)
{
    struct site *site = *state;
    const struct digest digest = digest_of("x", 1);
    (void)take(site, "desk");
    const int64_t at_us[] = {0, UPLOAD_AGAIN_US - 1, UPLOAD_AGAIN_US};
    for (size_t i = 0; i < sizeof at_us / sizeof at_us[0]; i++) {
        struct worker_upload upload;
        assert_int_equal(worker_upload_was_sent(site->queue, text_of(OWNER), &digest, at_us[i]),
                         i == 1);
        assert_int_equal(worker_upload_begin(site->queue, &upload, text_of(OWNER), TASK / 2, NULL),
                         OK);
        worker_upload_end(site->queue, &upload, &digest, at_us[i]);
    }
    assert_int_equal(send(site, 1, "full"), QUOTA);
    assert_true(
        worker_upload_was_sent(site->queue, text_of(OWNER), &digest, 2 * UPLOAD_AGAIN_US - 1));
}

// Each takes a block of the disk, a row of the database, and memory.
static void many_files_of_no_size_are_as_much_as_they_take(void **state)
{
    struct site *site = *state;
    char content[NAMED_SIZE];
    int64_t sent = 0;
    (void)take(site, "desk");
    do {
        (void)snprintf(content, sizeof content, "%d", (int)sent);
    } while (send(site, sent % 2, content) == OK && ++sent <= TASK);
    assert_int_equal(sent, TASK / UPLOAD_FILE_BYTES);
}

static void a_lost_worker_may_send_what_it_did_and_report_it(void **state)
{
    struct site *site = *state;
    struct held held = take(site, "desk");
    queue_drop_workers(site->queue, text_of(OWNER));
    int64_t again = site_worker(site, "desk", 1);
    assert_int_equal(send(site, TASK, "all"), OK);
    held.worker = again;
    report(site, &held);
    assert_job(site, held.job, "succeeded", 1);
}

static void after_a_restart_a_worker_says_its_leases_before_it_sends(void **state)
{
    struct site *site = *state;
    struct held held = take(site, "desk");
    site_restart(site);
    assert_int_equal(send(site, 0, "early"), CONFLICT);
    held.worker = site_worker(site, "desk", 1);
    AUTO_FREE char *said =
        memory_format("{\"leases\":[[%lld,%lld,0,1]]}", held.lease, (long long)held.job);
    struct reply reply = site_poll(site, held.worker, said);
    reply_done(&reply);
    assert_int_equal(send(site, TASK, "all"), OK);
    assert_int_equal(send(site, 1, "more"), QUOTA);
}

static void a_lease_that_is_given_back_lets_nothing_be_sent(void **state)
{
    struct site *site = *state;
    struct held held = take(site, "desk");
    AUTO_FREE char *said =
        memory_format("{\"returned\":[[%lld,0,1]],\"leaving\":true}", held.lease);
    struct reply reply = site_poll(site, held.worker, said);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_int_equal(send(site, 0, "late"), CONFLICT);
}

static void a_result_that_was_taken_before_gives_nothing_back(void **state)
{
    struct site *site = *state;
    struct held first = take(site, "desk");
    report(site, &first);
    (void)take(site, "rack");
    assert_int_equal(send(site, TASK, "all"), OK);
    report(site, &first);
    assert_int_equal(send(site, 1, "more"), QUOTA);
}

// A task of it may send 8 GiB and a little: eight of them are more than may stray.
static const char WIDE[] =
    "{\"command\": [\"sleep\", \"1\"], \"cache\": \"off\", \"disk_bytes\": 4294967296}";
enum { WIDE_TASKS = 20 };
static const int64_t WIDE_TASK = INT64_C(8) << 30;

// Sends a file for each of many tasks, whose results name what `name` says; returns how many were taken.
static int send_many(struct site *site, const char *(*name)(const char *digest, char *out))
{
    int taken = 0;
    for (int i = 0; i < WIDE_TASKS; i++) {
        char digest_text[DIGEST_TEXT_SIZE];
        char named[NAMED_SIZE];
        struct digest digest;
        AUTO_FREE char *content = memory_format("file %d", i);
        struct held held = take_job(site, "desk", WIDE);
        assert_int_equal(blob_put(site->blobs, text_of(content), &digest, NULL), OK);
        taken += send(site, WIDE_TASK, content) == OK;
        report_naming(site, &held, name(digest_to_text(&digest, digest_text), named));
    }
    return taken;
}

static const char *name_nothing(const char *digest, char *out)
{
    (void)digest;
    out[0] = '\0';
    return out;
}

static const char *name_output(const char *digest, char *out)
{
    (void)snprintf(out, NAMED_SIZE,
                   ",0,0,0,0,null,null,[[\"a\",\"%s\",1,420],[\"b\",\"%s\",1,420]]", digest,
                   digest);
    return out;
}

static const char *name_stream(const char *digest, char *out)
{
    (void)snprintf(out, NAMED_SIZE, ",0,0,0,0,{\"blob\":\"%s\",\"size\":1}", digest);
    return out;
}

// The first that was sent, again and again, as if it were large.
static const char *name_first(const char *digest, char *out)
{
    const struct digest first = digest_of("file 0", 6);
    char text[DIGEST_TEXT_SIZE];
    (void)digest;
    (void)snprintf(out, NAMED_SIZE, ",0,0,0,0,{\"blob\":\"%s\",\"size\":8589934592}",
                   digest_to_text(&first, text));
    return out;
}

static void what_results_name_does_not_stray(void **state)
{
    assert_int_equal(send_many(*state, name_output), WIDE_TASKS);
}

static void what_a_result_prints_does_not_stray(void **state)
{
    assert_int_equal(send_many(*state, name_stream), WIDE_TASKS);
}

static void what_no_result_names_strays(void **state)
{
    assert_int_equal(send_many(*state, name_nothing), UPLOAD_STRAY_BYTES / WIDE_TASK + 1);
}

static void a_file_has_a_name_once(void **state)
{
    assert_int_equal(send_many(*state, name_first), UPLOAD_STRAY_BYTES / WIDE_TASK + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_may_send_while_it_has_a_lease, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(what_comes_twice_counts_once_and_what_breaks_off_not_at_all,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(what_comes_once_more_after_a_while_counts_again, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(many_files_of_no_size_are_as_much_as_they_take, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(a_lost_worker_may_send_what_it_did_and_report_it,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(after_a_restart_a_worker_says_its_leases_before_it_sends,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_lease_that_is_given_back_lets_nothing_be_sent, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(a_result_that_was_taken_before_gives_nothing_back,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(what_results_name_does_not_stray, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(what_a_result_prints_does_not_stray, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(what_no_result_names_strays, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_file_has_a_name_once, site_setup, site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
