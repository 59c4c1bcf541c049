// What runners upload, and may name in polls.
#include "../cmocka_all.h"
#include "runner_jobs.h"

#include "base/memory.h"

static void expect_refused(struct reply reply, enum status status, const char *word)
{
    assert_int_equal(reply.status, status);
    assert_non_null(strstr(reply.error.detail, word));
    reply_done(&reply);
}

// A poll that names so many blobs, none of which is here.
static char *report_of(int64_t job, int blobs)
{
    enum { OF_A_TASK = POLL_OUTPUTS_MAX };
    struct buffer body = {0};
    buffer_printf(&body, "{\"results\":[{\"lease\":1,\"job\":%lld,\"tasks\":[", (long long)job);
    for (int i = 0; i < blobs; i++) {
        if (i % OF_A_TASK == 0) {
            buffer_printf(&body, "%s[%d,0,0,1,1,1,1,null,null,[", i > 0 ? "]]," : "",
                          i / OF_A_TASK);
        }
        buffer_printf(&body, "%s[\"a\",\"sha256:%064x\",1,420]", i % OF_A_TASK > 0 ? "," : "", i);
    }
    buffer_append_string(&body, "]]]}]}");
    return buffer_take_string(&body);
}

static void a_poll_of_a_runner_names_so_many_blobs_at_most(void **state)
{
    struct site *site = *state;
    int64_t job = submit_as(site, "alice", ONE);
    int64_t worker = come(site, "runner:1", &ALICES);
    AUTO_FREE char *most = report_of(job, POLL_RUNNER_BLOBS_MAX);
    AUTO_FREE char *more = report_of(job, POLL_RUNNER_BLOBS_MAX + 1);
    expect_refused(site_poll(site, worker, most), CONFLICT, "has not uploaded");
    expect_refused(site_poll(site, worker, more), INVALID, "at most 32768 blobs");
    int64_t sites = come(site, "workers", &NOBODYS);
    expect_refused(site_poll(site, sites, more), CONFLICT, "is not here");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_poll_of_a_runner_names_so_many_blobs_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
