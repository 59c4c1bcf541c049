// What the writer's thread leaves to others, as everybody waits for it: looking at blobs.
#include "../cmocka_all.h"
#include "runner_jobs.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    _Atomic int by_writer;
    _Atomic int by_others;
} reads;

static bool is_writer(void)
{
    char name[16] = "";
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    return strcmp(name, "store-writer") == 0;
}

// In place of the system's: by it blobs are read. SQLite has one of its own.
ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    atomic_fetch_add(is_writer() ? &reads.by_writer : &reads.by_others, 1);
    return syscall(SYS_pread64, fd, bytes, size, offset);
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
    atomic_store(&reads.by_writer, 0);
    atomic_store(&reads.by_others, 0);
    AUTO_FREE char *of_job = why_line(site, job, -1);
    AUTO_FREE char *of_task = why_line(site, job, 0);
    assert_string_equal(of_job, "no such file");
    assert_string_equal(of_task, "no such file");
    assert_int_equal(atomic_load(&reads.by_writer), 0);
    assert_int_equal(atomic_load(&reads.by_others), 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_line_of_a_failed_task_is_read_on_the_thread_of_who_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
