// Checkpoints: what the next attempt is told, and when they are gone.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "store/blobs.h"

#define JOB "{\"command\": [\"sleep\", \"9\"], \"checkpoint\": {\"files\": [\"state\"]}}"

// A blob of the site with this content; its name.
static char *blob(struct site *site, const char *content)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    assert_int_equal(blob_put(site->blobs, text_of(content), &digest, NULL), OK);
    return memory_copy_string(digest_to_text(&digest, text));
}

struct attempt {
    long long lease;
    int64_t number; // 0: nothing is said.
    char *files;
};

static void attempt_done(struct attempt *attempt)
{
    free(attempt->files);
}

static struct attempt take(struct site *site, int64_t worker)
{
    struct attempt out = {0};
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *said = json_array_get(json_object_get(reply.document, "attempts"), 0);
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    out.lease = json_integer_value(json_array_get(lease, 0));
    AUTO_BUFFER struct buffer files = {0};
    if (said) {
        assert_int_equal(json_integer_value(json_array_get(said, 0)), out.lease);
        out.number = json_integer_value(json_array_get(said, 1));
        json_write(json_array_get(said, 2), false, &files);
        out.files = buffer_take_string(&files);
    }
    reply_done(&reply);
    return out;
}

static enum status say(struct site *site, int64_t worker, int64_t job, int attempt,
                       const char *digest, const char *more)
{
    AUTO_FREE char *body = memory_format(
        "{\"checkpoints\": [{\"job\": %lld, \"index\": 0, \"attempt\": %d, \"files\": "
        "[[\"state\", \"%s\", 1, 420]]}]%s}",
        (long long)job, attempt, digest, more);
    struct reply reply = site_poll(site, worker, body);
    enum status status = reply.status;
    reply_done(&reply);
    return status;
}

static void the_next_attempt_begins_with_what_was_stored_last(void **state)
{
    struct site *site = *state;
    AUTO_FREE char *first = blob(site, "1");
    AUTO_FREE char *second = blob(site, "2");
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, JOB);
    struct attempt attempt = take(site, worker);
    assert_int_equal(attempt.number, 1);
    assert_string_equal(attempt.files, "[]");
    attempt_done(&attempt);
    assert_int_equal(say(site, worker, job, 1, first, ""), OK);
    AUTO_FREE char *returned =
        memory_format(", \"leaving\": true, \"returned\": [[%lld, 0, 1]]", attempt.lease);
    assert_int_equal(say(site, worker, job, 1, second, returned), OK);
    int64_t other = site_worker(site, "rack", 1);
    attempt = take(site, other);
    assert_int_equal(attempt.number, 2);
    assert_non_null(strstr(attempt.files, second));
    attempt_done(&attempt);
    // The first one is late with a word: the other one has the task now.
    assert_int_equal(say(site, worker, job, 1, first, ""), OK);
    site_restart(site);
    other = site_worker(site, "rack", 1);
    attempt = take(site, other);
    assert_int_equal(attempt.number, 2);
    assert_non_null(strstr(attempt.files, second));
    attempt_done(&attempt);
}

static void a_checkpoint_goes_when_its_task_has_ended(void **state)
{
    struct site *site = *state;
    AUTO_FREE char *digest = blob(site, "1");
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, JOB);
    struct attempt attempt = take(site, worker);
    assert_int_equal(say(site, worker, job, 1, digest, ""), OK);
    AUTO_FREE char *failed =
        memory_format("{\"results\": [{\"lease\": %lld, \"job\": %lld, \"tasks\": [[0, 0, 3]]}]}",
                      attempt.lease, (long long)job);
    attempt_done(&attempt);
    site_say(site, worker, failed);
    assert_job(site, job, "failed", 0);
    struct reply reply = site_retry(site, job); // By hand it begins anew.
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    attempt = take(site, worker);
    assert_int_equal(attempt.number, 1);
    assert_string_equal(attempt.files, "[]");
    attempt_done(&attempt);
}

static void a_checkpoint_of_what_is_not_here_is_refused(void **state)
{
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, JOB);
    struct attempt attempt = take(site, worker);
    attempt_done(&attempt);
    assert_int_equal(say(site, worker, job, 1,
                         "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                         ""),
                     CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_attempt_begins_with_what_was_stored_last,
                                        site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_goes_when_its_task_has_ended, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_of_what_is_not_here_is_refused, site_setup,
                                        site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
