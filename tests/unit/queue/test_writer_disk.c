// What the writer's thread leaves to others, as everybody waits for it: looking at blobs.
#include "../cmocka_all.h"
#include "runner_jobs.h"

#include "base/memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TWO_HOURS_S 7200

struct calls {
    _Atomic int by_writer;
    _Atomic int by_others;
};

static struct calls reads;
static struct calls claims;

static void count(struct calls *calls)
{
    char name[16] = "";
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    bool is_writer = strcmp(name, "store-writer") == 0;
    atomic_fetch_add(is_writer ? &calls->by_writer : &calls->by_others, 1);
}

static void expect_calls(struct calls *calls, int by_others)
{
    assert_int_equal(atomic_load(&calls->by_writer), 0);
    assert_int_equal(atomic_load(&calls->by_others), by_others);
}

// In place of the system's: by it blobs are read. SQLite has one of its own.
ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    count(&reads);
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

// By it they are claimed, when that was not lately.
int utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
    count(&claims);
    return (int)syscall(SYS_utimensat, folder, path, times, flags);
}

static int setup(void **state)
{
    reads = (struct calls){0};
    claims = (struct calls){0};
    return site_setup(state);
}

static struct stat look_at(struct site *site, const struct digest *digest)
{
    struct stat info;
    AUTO_FREE char *path = blob_path(site->blobs, digest);
    assert_int_equal(stat(path, &info), 0);
    return info;
}

// Its last claim was so long ago that the next one is written down.
static void age(struct site *site, const struct digest *digest)
{
    const struct stat info = look_at(site, digest);
    const struct timespec then = {info.st_mtim.tv_sec - TWO_HOURS_S, 0};
    const struct timespec times[] = {then, then};
    AUTO_FREE char *path = blob_path(site->blobs, digest);
    assert_int_equal(syscall(SYS_utimensat, AT_FDCWD, path, times, 0), 0);
}

static void poll(struct site *site, int64_t worker, const char *body)
{
    struct reply reply = site_poll(site, worker, body);
    if (reply.status != OK) {
        fail_msg("%s", reply.error.detail);
    }
    reply_done(&reply);
}

// The number of the lease that the worker is given.
static int64_t take_lease(struct site *site, int64_t worker)
{
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    int64_t number = json_integer_value(json_array_get(lease, 0));
    assert_true(number > 0);
    reply_done(&reply);
    return number;
}

static char *why_line(struct site *site, int64_t job, int64_t index)
{
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(queue_why(site->queue, job, index, true, &out, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&out), &document, NULL), OK);
    return memory_copy_string(text_in(document, "stderr_line"));
}

static void the_last_line_of_a_failed_task_is_read_on_the_thread_of_who_asks(void **state)
{
    struct site *site = *state;
    char digest[DIGEST_TEXT_SIZE];
    const struct digest printed = store_blob(site, TEXT("begins\nno such file\n"));
    int64_t worker = come(site, "workers", &NOBODYS);
    int64_t job = submit_as(site, "alice", ONE);
    AUTO_FREE char *failed = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,1,1,1,1,1,null,"
        "{\"blob\":\"%s\",\"size\":20}]]}]}",
        (long long)take_lease(site, worker), (long long)job, digest_to_text(&printed, digest));
    poll(site, worker, failed);
    assert_job(site, job, "failed", 0);
    AUTO_FREE char *of_job = why_line(site, job, -1);
    AUTO_FREE char *of_task = why_line(site, job, 0);
    assert_string_equal(of_job, "no such file");
    assert_string_equal(of_task, "no such file");
    expect_calls(&reads, 2);
}

// The worker says that it stored this as a checkpoint of the job's one task.
static void store_checkpoint(struct site *site, int64_t worker, int64_t job,
                             const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    AUTO_FREE char *body =
        memory_format("{\"checkpoints\":[{\"job\":%lld,\"index\":0,\"attempt\":1,\"files\":"
                      "[[\"state\",\"%s\",1,420]]}]}",
                      (long long)job, digest_to_text(digest, text));
    poll(site, worker, body);
}

static void what_checkpoints_that_are_over_named_is_claimed_behind_the_writers_back(void **state)
{
    static const char JOB[] = "{\"command\": [\"p\"], \"cache\": \"off\", "
                              "\"checkpoint\": {\"files\": [\"state\"]}}";
    struct site *site = *state;
    const struct digest blobs[] = {store_blob(site, TEXT("1")), store_blob(site, TEXT("2")),
                                   store_blob(site, TEXT("3"))};
    const int64_t began_s = look_at(site, &blobs[0]).st_mtim.tv_sec;
    int64_t worker = come(site, "workers", &NOBODYS);
    int64_t job = submit_as(site, "alice", JOB);
    int64_t lease = take_lease(site, worker);
    store_checkpoint(site, worker, job, &blobs[0]);
    age(site, &blobs[0]);
    store_checkpoint(site, worker, job, &blobs[1]); // Instead of the first.
    age(site, &blobs[1]);
    AUTO_FREE char *done =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1]]}]}",
                      (long long)lease, (long long)job);
    poll(site, worker, done);
    assert_job(site, job, "succeeded", 1);
    job = submit_as(site, "bob", JOB);
    (void)take_lease(site, worker);
    store_checkpoint(site, worker, job, &blobs[2]);
    age(site, &blobs[2]);
    struct reply reply = site_cancel(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    site_restart(site); // What was begun is done then.
    for (size_t i = 0; i < sizeof blobs / sizeof blobs[0]; i++) {
        assert_true(look_at(site, &blobs[i]).st_mtim.tv_sec >= began_s);
    }
    expect_calls(&claims, 3);
}

static void what_a_runner_names_is_claimed_on_the_thread_of_its_poll(void **state)
{
    struct site *site = *state;
    char text[DIGEST_TEXT_SIZE];
    const struct digest printed = store_blob(site, TEXT("a\nb\n"));
    int64_t worker = come(site, "runner:1", &ALICES);
    int64_t job = submit_as(site, "alice", ONE);
    AUTO_FREE char *done = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1,"
        "{\"blob\":\"%s\",\"size\":4}]]}]}",
        (long long)take_lease(site, worker), (long long)job, digest_to_text(&printed, text));
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:1"), &printed, NULL), OK);
    const int64_t began_s = look_at(site, &printed).st_mtim.tv_sec;
    age(site, &printed);
    poll(site, worker, done);
    assert_job(site, job, "succeeded", 1);
    assert_true(look_at(site, &printed).st_mtim.tv_sec >= began_s);
    expect_calls(&claims, 1);
}

// Else one that names it every day would keep it for ever.
static void what_a_runner_may_not_name_is_not_claimed(void **state)
{
    struct site *site = *state;
    char text[2][DIGEST_TEXT_SIZE];
    const struct digest others = store_blob(site, TEXT("others"));
    const struct digest own = store_blob(site, TEXT("own"));
    int64_t worker = come(site, "runner:1", &ALICES);
    int64_t job = submit_as(site, "alice", ONE);
    AUTO_FREE char *named = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1,null,null,"
        "[[\"a\",\"%s\",1,420],[\"b\",\"%s\",1,420]]]]}]}",
        (long long)take_lease(site, worker), (long long)job, digest_to_text(&others, text[0]),
        digest_to_text(&own, text[1]));
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:1"), &own, NULL), OK);
    age(site, &others);
    age(site, &own);
    struct reply reply = site_poll(site, worker, named);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.detail, text[0]));
    reply_done(&reply);
    expect_calls(&claims, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_line_of_a_failed_task_is_read_on_the_thread_of_who_asks),
        TEST(what_checkpoints_that_are_over_named_is_claimed_behind_the_writers_back),
        TEST(what_a_runner_names_is_claimed_on_the_thread_of_its_poll),
        TEST(what_a_runner_may_not_name_is_not_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
