// What runners upload, and may name in polls: how much of it, and how long.
#include "../cmocka_all.h"
#include "runner_jobs.h"

#include "base/memory.h"
#include "os/clock.h"
#include "queue/runners.h"
#include "records/jobs_sql.h"

#define WAIT_US INT64_C(60000000)

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

// --- uploads of long ago

enum { NOTED = RUNNERS_UPLOADS_FORGOTTEN_MAX + 1 };

struct upload_times {
    struct site *site;
    int64_t now_us;
    int64_t count;
    bool is_more;
};

static enum status count_uploads(struct sql *sql, void *context, struct error *error)
{
    struct upload_times *times = context;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, "SELECT COUNT(*) FROM runner_uploads", SQL_NO_VALUES, &rows, error));
    times->count = sql_column_int64(rows, 0);
    return OK;
}

static enum status note_many(struct sql *sql, void *context, struct error *error)
{
    const struct upload_times *times = context;
    for (int i = 0; i < NOTED; i++) {
        const struct digest digest = digest_of(&i, sizeof i);
        TRY(sql_run(sql, SQL_NOTE_UPLOAD,
                    SQL_VALUES(sql_text(TEXT("runner:1")), sql_blob(digest.bytes, DIGEST_SIZE),
                               sql_int64(times->now_us)),
                    NULL, error));
    }
    return OK;
}

static enum status forget_old(struct sql *sql, void *context, struct error *error)
{
    struct upload_times *times = context;
    return runners_forget_uploads(sql, times->now_us, &times->is_more, error);
}

static void expect_uploads(struct upload_times *times, int64_t count)
{
    assert_int_equal(store_write_wait(times->site->store, count_uploads, times, NULL), OK);
    assert_int_equal(times->count, count);
}

static void expect_forgotten(struct upload_times *times, bool is_more, int64_t left)
{
    assert_int_equal(store_write_wait(times->site->store, forget_old, times, NULL), OK);
    assert_int_equal(times->is_more, is_more);
    expect_uploads(times, left);
}

static void what_was_uploaded_counts_for_a_day(void **state)
{
    enum { FIRST_US = 1000000 };
    struct site *site = *state;
    struct upload_times times = {.site = site, .now_us = FIRST_US};
    assert_int_equal(store_write_wait(site->store, note_many, &times, NULL), OK);
    expect_uploads(&times, NOTED);
    // One of them comes again, now.
    const int number = 7;
    const struct digest again = digest_of(&number, sizeof number);
    assert_int_equal(queue_runner_uploaded(site->queue, TEXT("runner:1"), &again, NULL), OK);
    expect_uploads(&times, NOTED);
    times.now_us = FIRST_US + RUNNERS_UPLOAD_KEPT_US;
    expect_forgotten(&times, false, NOTED);
    times.now_us++;
    expect_forgotten(&times, true, 1);
    expect_forgotten(&times, false, 1);
    times.now_us = clock_real_us() + RUNNERS_UPLOAD_KEPT_US - WAIT_US;
    expect_forgotten(&times, false, 1);
    times.now_us += 2 * WAIT_US;
    expect_forgotten(&times, false, 0);
}

static enum status tick(struct sql *sql, void *context, struct error *error)
{
    const struct upload_times *times = context;
    return runners_tick(times->site->queue, sql, times->now_us, error);
}

static void old_uploads_are_forgotten_an_hour_after_the_start(void **state)
{
    static const int64_t HOUR_US = INT64_C(3600000000);
    struct site *site = *state;
    struct upload_times times = {.site = site, .now_us = 1};
    assert_int_equal(store_write_wait(site->store, note_many, &times, NULL), OK);
    const int64_t left[] = {NOTED, NOTED, 1, 0};
    const int64_t now_us = clock_steady_us();
    const int64_t at_us[] = {now_us, now_us + HOUR_US - WAIT_US, now_us + HOUR_US + WAIT_US,
                             now_us + HOUR_US + WAIT_US};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        times.now_us = at_us[i];
        assert_int_equal(store_write_wait(site->store, tick, &times, NULL), OK);
        expect_uploads(&times, left[i]);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_poll_of_a_runner_names_so_many_blobs_at_most),
        TEST(what_was_uploaded_counts_for_a_day),
        TEST(old_uploads_are_forgotten_an_hour_after_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
