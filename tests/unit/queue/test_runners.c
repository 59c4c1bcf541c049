// Workers of all classes at a queue: what they get, what they may say and fetch, and when they leave.
#include "../cmocka_all.h"
#include "runner_jobs.h"

#include "base/memory.h"
#include "os/clock.h"

#include <fcntl.h>
#include <sys/stat.h>

#define WAIT_US INT64_C(60000000)

static struct reply come_with(struct site *site, const char *principal, const struct runner *runner,
                              const char *groups)
{
    AUTO_FREE char *text = memory_format(
        "{\"name\":\"%s\",\"cpus\":4,\"memory_bytes\":%lld,\"disk_bytes\":%lld,\"groups\":%s}",
        principal, 1LL << 36, 1LL << 40, groups);
    json_t *document = NULL;
    assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
    act_as(site, principal, runner);
    return site_register(site, document);
}

static void expect_refused(struct reply reply, enum status status, const char *word)
{
    assert_int_equal(reply.status, status);
    if (!strstr(reply.error.detail, word) && !strstr(reply.error.fix, word)) {
        fail_msg("%s / %s", reply.error.detail, reply.error.fix);
    }
    reply_done(&reply);
}

// --- what a worker gets

struct given {
    struct runner runner;
    int expected; // Of jobs 1 to 5, a bit each.
};

static void a_worker_of_each_class_gets_the_jobs_of_its_class_alone(void **state)
{
    struct site *site = *state;
    const int64_t jobs[] = {submit_as(site, "alice", ONE), submit_as(site, "alice", FOR_PHYSICS),
                            submit_as(site, "bob", FOR_PHYSICS), submit_as(site, "bob", SPARE),
                            submit_as(site, "alice", FRESH_SPARE)};
    struct given given[] = {
        {{.kind = RUNNER_GROUP, .groups = "chemistry,physics"}, 1 << 1 | 1 << 2},
        {ALICES, 1 << 0 | 1 << 1 | 1 << 4},
        {{.kind = RUNNER_SESSION, .user = "alice", .since_us = INT64_MAX}, 0},
        {{.kind = RUNNER_SESSION, .user = "alice", .since_us = 1}, 1 << 0 | 1 << 1 | 1 << 4},
        {{.kind = RUNNER_JOB, .user = "bob", .job = jobs[2]}, 1 << 2},
        {{.kind = RUNNER_JOB_TOKEN, .user = "alice", .job = jobs[0]}, 1 << 0},
        {{.kind = RUNNER_SPARE}, 1 << 3 | 1 << 4},
        {{.kind = RUNNER_SITE}, 0x1f},
    };
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        AUTO_FREE char *name = memory_format("runner:%zu", i);
        int64_t worker = come(site, name, &given[i].runner);
        int seen = 0;
        struct reply reply = site_poll(site, worker, "{\"leases\": []}");
        const json_t *leases = json_object_get(reply.document, "leases");
        for (size_t at = 0; at < json_array_size(leases); at++) {
            int64_t job = json_integer_value(json_array_get(json_array_get(leases, at), 1));
            seen |= 1 << (job - jobs[0]);
        }
        reply_done(&reply);
        assert_int_equal(seen, given[i].expected);
        queue_drop_workers(site->queue, text_of(name)); // What it had waits again.
    }
}

static void what_is_said_of_jobs_that_a_class_may_not_have_is_refused_whole(void **state)
{
    struct site *site = *state;
    long long job = (long long)submit_as(site, "bob", ONE);
    int64_t worker = come(site, "runner:1", &ALICES);
    store_state(site);
    static const char *const WORDS[] = {
        "{\"results\":[{\"lease\":1,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1]]}]}",
        "{\"setups\":[{\"job\":%lld,\"executable\":\"/x\",\"executable_digest\":\"sha256:"
        "0000000000000000000000000000000000000000000000000000000000000000\"}]}",
        "{\"logs\":[[%lld,0,\"stdout\",0,\"b2s=\"]]}",
        "{\"checkpoints\":[{\"job\":%lld,\"index\":0,\"attempt\":1,\"files\":" STATE "}]}",
        "{\"notes\":[[%lld,\"unable\",\"no\",\"\"]]}"};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        AUTO_BUFFER struct buffer body = {0};
        struct text rest = text_of(WORDS[i]);
        size_t at = text_find_byte(rest, 0, '%');
        buffer_append_text(&body, text_slice(rest, 0, at));
        buffer_append_int64(&body, job);
        buffer_append_text(&body, text_slice(rest, at + 4, SIZE_MAX));
        buffer_append_byte(&body, '\0');
        expect_refused(site_poll(site, worker, body.bytes), DENIED, "may not speak of job");
    }
    assert_job(site, job, "waiting", 0);
    // A lease that it says it holds is not taken into the books.
    AUTO_FREE char *body = memory_format("{\"leases\":[[1,%lld,0,1]]}", job);
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(reply.document, "cancel"), 0)), 1);
    reply_done(&reply);
    assert_job(site, job, "waiting", 0);
}

// --- who is who

static int64_t come_as_process_one(struct site *site, const char *name, const struct runner *runner)
{
    json_t *document =
        json_pack("{s:s, s:i, s:I, s:I, s:i}", "name", name, "cpus", 1, "memory_bytes",
                  (json_int_t)1 << 36, "disk_bytes", (json_int_t)1 << 40, "process", 1);
    act_as(site, "runner:1", runner);
    struct reply reply = site_register(site, document);
    assert_int_equal(reply.status, OK);
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    site_say(site, worker, "{\"leases\": []}");
    return worker;
}

static void expect_known(struct site *site, int64_t worker, enum status status)
{
    struct reply reply = site_poll(site, worker, "{}");
    assert_int_equal(reply.status, status);
    reply_done(&reply);
}

// In containers all may be process 1, and nobody is told the names of those that are anonymous.
static void anonymous_ones_of_one_token_are_not_taken_for_each_other(void **state)
{
    struct site *site = *state;
    const struct runner runner = {
        .kind = RUNNER_JOB_TOKEN, .user = "alice", .job = submit_as(site, "alice", ONE)};
    int64_t first = come_as_process_one(site, "here", &runner);
    int64_t second = come_as_process_one(site, "there", &runner);
    expect_known(site, first, OK);
    int64_t again = come_as_process_one(site, "here", &runner);
    expect_known(site, first, NOT_FOUND);
    expect_known(site, second, OK);
    expect_known(site, again, OK);
}

// Who has stolen such a token is not to fill the site's memory with workers.
static void a_credential_has_so_many_workers_at_most(void **state)
{
    struct site *site = *state;
    for (int i = 0; i < QUEUE_RUNNERS_MAX; i++) {
        (void)come(site, "runner:1", &SPARES);
    }
    expect_refused(come_with(site, "runner:1", &SPARES, "[]"), QUOTA, "1000 workers here already");
    (void)come(site, "runner:2", &SPARES);
    (void)come(site, "workers", &NOBODYS);
    queue_drop_workers(site->queue, TEXT("runner:1"));
    (void)come(site, "runner:1", &SPARES);
}

// As long as they are listed. Else one that comes and goes in a loop fills it all the same.
static void workers_that_are_gone_count_as_well(void **state)
{
    struct site *site = *state;
    for (int i = 0; i < QUEUE_RUNNERS_LISTED_MAX; i++) {
        struct reply reply =
            site_poll(site, come(site, "runner:1", &SPARES), "{\"leaving\":true,\"gone\":true}");
        assert_int_equal(reply.status, OK);
        reply_done(&reply);
    }
    expect_refused(come_with(site, "runner:1", &SPARES, "[]"), QUOTA,
                   "2000 workers are listed here");
    (void)come(site, "runner:2", &SPARES);
}

// --- groups

static void groups_are_those_of_the_class(void **state)
{
    struct site *site = *state;
    const struct runner runner = {.kind = RUNNER_GROUP, .groups = "physics,chemistry"};
    expect_refused(come_with(site, "runner:1", &runner, "[\"physics\", \"biology\"]"), DENIED,
                   "cannot work for physics,biology");
    expect_refused(come_with(site, "runner:2", &ALICES, "[\"physics\"]"), DENIED,
                   "leave out the groups");
    struct reply reply = come_with(site, "runner:1", &runner, "[]");
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    static const struct text BIOLOGY[] = {{"biology", 7}};
    static const struct text CHEMISTRY[] = {{"chemistry", 9}};
    expect_refused(site_move(site, worker, BIOLOGY, 1), CONFLICT, "cannot work for biology");
    reply = site_move(site, worker, CHEMISTRY, 1);
    assert_int_equal(json_array_size(json_object_get(reply.document, "groups")), 1);
    reply_done(&reply);
    reply = site_move(site, worker, NULL, 0); // For all that it has; never for all that there are.
    assert_int_equal(json_array_size(json_object_get(reply.document, "groups")), 2);
    reply_done(&reply);
    int64_t users = come(site, "runner:2", &ALICES);
    expect_refused(site_move(site, users, CHEMISTRY, 1), CONFLICT, "class user");
    expect_refused(site_move(site, users, NULL, 0), CONFLICT, "class user");
}

// Where it was moved as a worker of the site does not count for a runner of that name.
static void a_move_from_before_it_had_its_class_is_forgotten(void **state)
{
    struct site *site = *state;
    static const struct text BIOLOGY[] = {{"biology", 7}};
    int64_t worker = come(site, "worker:desk", &NOBODYS);
    struct reply reply = site_move(site, worker, BIOLOGY, 1);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    const struct runner runner = {.kind = RUNNER_GROUP, .groups = "physics"};
    (void)come(site, "worker:desk", &runner);
    reply = site_list_workers(site, worker, 10);
    const json_t *listed = json_array_get(json_object_get(reply.document, "workers"), 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(listed, "groups"), 0)),
                        "physics");
    assert_string_equal(text_in(listed, "class"), "group");
    reply_done(&reply);
}

// --- their end

static void a_runner_of_a_job_leaves_with_it_and_does_not_come_back(void **state)
{
    struct site *site = *state;
    int64_t job = submit_as(site, "alice", ONE);
    const struct runner runner = {.kind = RUNNER_JOB_TOKEN, .user = "alice", .job = job};
    int64_t worker = come(site, "runner:1", &runner);
    struct reply reply = site_list_workers(site, 0, 10);
    const json_t *listed = json_array_get(json_object_get(reply.document, "workers"), 0);
    assert_string_equal(text_in(listed, "name"), "anonymous");
    assert_int_equal(number_of(listed, "job"), job);
    reply_done(&reply);
    struct polling *waiting = site_poll_begin(site, worker, "{}");
    reply = site_poll_end(waiting);
    int64_t number = json_integer_value(
        json_array_get(json_array_get(json_object_get(reply.document, "leases"), 0), 0));
    reply_done(&reply);
    AUTO_FREE char *body =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1]]}]}",
                      (long long)number, (long long)job);
    reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, OK);
    assert_true(json_object_get(reply.document, "drain_in_seconds") != NULL);
    reply_done(&reply);
    assert_job(site, job, "succeeded", 1);
    expect_refused(come_with(site, "runner:1", &runner, "[]"), DENIED, "has ended");
}

static enum status note_end(void *context, struct sql *sql, int64_t job, struct error *error)
{
    (void)sql;
    (void)error;
    *(int64_t *)context = job;
    return OK;
}

static void the_end_of_a_job_is_told_within_its_write(void **state)
{
    struct site *site = *state;
    int64_t ended = 0;
    site->job_ended = note_end;
    site->job_ended_context = &ended;
    site_restart(site);
    int64_t job = submit_as(site, "alice", ONE);
    assert_int_equal(ended, 0);
    struct reply reply = site_cancel(site, job);
    reply_done(&reply);
    assert_int_equal(ended, job);
    site->job_ended = NULL;
}

static void a_worker_whose_credential_has_ended_is_lost_without_blame(void **state)
{
    struct site *site = *state;
    int64_t job = submit_as(site, "alice", ONE);
    const struct runner lasting = {.kind = RUNNER_SESSION, .user = "alice", .since_us = 1};
    struct runner ending = lasting;
    ending.until_us = clock_real_us() + 1;
    int64_t worker = come(site, "runner:1", &lasting);
    lease(site, worker, 1);
    site->runner = &ending; // Its token was given an end.
    struct reply reply = site_poll(site, worker, "{\"wait_seconds\": 60}");
    reply_done(&reply);
    int64_t deadline_us = clock_steady_us() + WAIT_US;
    for (bool is_lost = false; !is_lost;) {
        assert_true(clock_steady_us() < deadline_us);
        reply = site_list_workers(site, 0, 10);
        const json_t *listed = json_array_get(json_object_get(reply.document, "workers"), 0);
        is_lost = strcmp(text_in(listed, "state"), "lost") == 0;
        reply_done(&reply);
    }
    reply = site_show(site, job, 0);
    assert_int_equal(number_of(json_object_get(reply.document, "failures"), "lost"), 0);
    reply_done(&reply);
}

static void who_has_another_class_by_now_registers_again(void **state)
{
    struct site *site = *state;
    int64_t worker = come(site, "worker:desk", &NOBODYS);
    act_as(site, "worker:desk", &ALICES);
    expect_refused(site_poll(site, worker, "{}"), NOT_FOUND, "register again");
    act_as(site, "worker:desk", &NOBODYS);
    site_say(site, worker, "{}");
}

static void a_runner_brings_no_jobs_to_other_sites(void **state)
{
    struct site *site = *state;
    act_as(site, "runner:1", &ALICES);
    json_t *document =
        json_pack("{s:s, s:i, s:I, s:I, s:s}", "name", "link", "cpus", 1, "memory_bytes",
                  (json_int_t)1 << 30, "disk_bytes", (json_int_t)1 << 30, "place",
                  "sha256:0000000000000000000000000000000000000000000000000000000000000000");
    expect_refused(site_register(site, document), DENIED, "no jobs to other sites");
}

static void why_names_the_workers_whose_class_is_for_others(void **state)
{
    struct site *site = *state;
    int64_t job = submit_as(site, "bob", ONE);
    (void)come(site, "runner:1", &ALICES);
    (void)come(site, "runner:2", &SPARES);
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, "runner:1 (user: alice)"));
    assert_non_null(strstr(why, "runner:2 (spare)"));
    (void)come(site, "workers", &NOBODYS);
    AUTO_FREE char *now = site_why(site, job);
    assert_null(strstr(now, "no worker of a class"));
}

// What others bring is not the site's to offer to who asks for an estimate.
static void the_site_offers_its_own_workers_alone(void **state)
{
    struct site *site = *state;
    struct queue_estimate estimate = {0};
    const struct resources need = {.cpu_millis = 1000};
    (void)come(site, "runner:1", &ALICES);
    assert_int_equal(queue_estimate(site->queue, &need, &estimate, NULL), OK);
    assert_int_equal(estimate.slots, 0);
    (void)come(site, "workers", &NOBODYS);
    assert_int_equal(queue_estimate(site->queue, &need, &estimate, NULL), OK);
    assert_int_equal(estimate.slots, 8);
}

// What spare computers of another site compute is for nobody here: so they are not asked.
static void a_job_that_goes_elsewhere_is_not_spare_there(void **state)
{
    struct site *site = *state;
    static const char PLACE[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    site->to.place = TEXT(PLACE);
    (void)submit_as(site, "alice", SPARE);
    act_as(site, "workers", &NOBODYS);
    int64_t worker = site_place_worker(site, PLACE);
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *told = json_array_get(json_object_get(reply.document, "jobs"), 0);
    const json_t *spec = json_object_get(told, "spec");
    assert_true(json_is_object(spec));
    assert_null(json_object_get(spec, "spare"));
    reply_done(&reply);
}

// --- what it may fetch

static void a_runner_may_fetch_what_its_leases_bring_and_only_so_long(void **state)
{
    struct site *site = *state;
    char text[DIGEST_TEXT_SIZE];
    const struct digest digest = store_blob(site, TEXT("print(1)\n"));
    AUTO_FREE char *document =
        memory_format("{\"command\":[\"p\"],\"files\":[{\"name\":\"a\",\"blob\":\"%s\"}]}",
                      digest_to_text(&digest, text));
    int64_t job = submit_as(site, "alice", document);
    int64_t worker = come(site, "runner:1", &ALICES);
    const struct digest other = digest_of("other", 5);
    bool has = true;
    assert_int_equal(queue_runner_has_blob(site->queue, TEXT("runner:1"), &digest, &has, NULL), OK);
    assert_false(has);
    lease(site, worker, 1);
    assert_int_equal(queue_runner_has_blob(site->queue, TEXT("runner:1"), &digest, &has, NULL), OK);
    assert_true(has);
    assert_int_equal(queue_runner_has_blob(site->queue, TEXT("runner:2"), &digest, &has, NULL), OK);
    assert_false(has);
    assert_int_equal(queue_runner_has_blob(site->queue, TEXT("runner:1"), &other, &has, NULL), OK);
    assert_false(has);
    struct reply reply = site_cancel(site, job);
    reply_done(&reply);
    assert_int_equal(queue_runner_has_blob(site->queue, TEXT("runner:1"), &digest, &has, NULL), OK);
    assert_false(has);
}

static char *checkpoint_of(int64_t job, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    return memory_format("{\"checkpoints\":[{\"job\":%lld,\"index\":0,\"attempt\":1,\"files\":"
                         "[[\"state\",\"%s\",1,420]]}]}",
                         (long long)job, digest_to_text(digest, text));
}

static void expect_report(struct site *site, int64_t worker, int64_t job,
                          const struct digest *digest, enum status status)
{
    AUTO_FREE char *body = checkpoint_of(job, digest);
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, status);
    if (status == CONFLICT) {
        assert_non_null(strstr(reply.error.detail, "which this runner has not uploaded"));
    }
    reply_done(&reply);
}

static void make_old(struct site *site, const struct digest *digest)
{
    AUTO_FREE char *path = blob_path(site->blobs, digest);
    const struct timespec long_ago[] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
}

static void what_is_here_a_runner_does_not_learn_by_naming_it(void **state)
{
    struct site *site = *state;
    static const char LONG[] = "{\"command\": [\"p\"], \"checkpoint\": {\"files\": [\"state\"]}}";
    const struct digest here = store_blob(site, TEXT("somebody else's"));
    const struct digest nowhere = digest_of("nowhere", 7);
    int64_t others = submit_as(site, "bob", LONG);
    int64_t own = submit_as(site, "alice", LONG);
    int64_t worker = come(site, "runner:1", &ALICES);
    lease(site, worker, 1);
    // Of a job that it may not have, it is told that, whatever it names; of its own, the same of both.
    expect_report(site, worker, others, &here, DENIED);
    expect_report(site, worker, others, &nowhere, DENIED);
    expect_report(site, worker, own, &here, CONFLICT);
    expect_report(site, worker, own, &nowhere, CONFLICT);
    // What another one has uploaded counts for that one.
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:2"), &here, NULL), OK);
    expect_report(site, worker, own, &here, CONFLICT);
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:1"), &here, NULL), OK);
    make_old(site, &here);
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:1"), &here, NULL), OK);
    expect_report(site, worker, own, &here, OK);
    // What it names is claimed, and what went in the meantime it is to send again.
    int64_t size = 0;
    assert_false(blob_remove_unclaimed(site->blobs, &here,
                                       blobs_now_us(site->blobs) - BLOB_UNCLAIMED_US, &size));
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:1"), &nowhere, NULL), OK);
    expect_report(site, worker, own, &nowhere, CONFLICT);
    // It outlives the site, and ends with the credential.
    site_restart(site);
    worker = come(site, "runner:1", &ALICES);
    expect_report(site, worker, own, &here, OK);
    queue_drop_workers(site->queue, TEXT("runner:1"));
    worker = come(site, "runner:1", &ALICES);
    expect_report(site, worker, own, &here, CONFLICT);
    // A worker of the site is told what is missing, and no more is asked of it.
    int64_t sites = come(site, "workers", &NOBODYS);
    expect_report(site, sites, own, &here, OK);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_of_each_class_gets_the_jobs_of_its_class_alone),
        TEST(what_is_said_of_jobs_that_a_class_may_not_have_is_refused_whole),
        TEST(anonymous_ones_of_one_token_are_not_taken_for_each_other),
        TEST(a_credential_has_so_many_workers_at_most),
        TEST(workers_that_are_gone_count_as_well),
        TEST(groups_are_those_of_the_class),
        TEST(a_move_from_before_it_had_its_class_is_forgotten),
        TEST(a_runner_of_a_job_leaves_with_it_and_does_not_come_back),
        TEST(the_end_of_a_job_is_told_within_its_write),
        TEST(a_worker_whose_credential_has_ended_is_lost_without_blame),
        TEST(who_has_another_class_by_now_registers_again),
        TEST(a_runner_brings_no_jobs_to_other_sites),
        TEST(why_names_the_workers_whose_class_is_for_others),
        TEST(a_job_that_goes_elsewhere_is_not_spare_there),
        TEST(the_site_offers_its_own_workers_alone),
        TEST(a_runner_may_fetch_what_its_leases_bring_and_only_so_long),
        TEST(what_is_here_a_runner_does_not_learn_by_naming_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
