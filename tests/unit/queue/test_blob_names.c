// All blobs that the database names are kept by a sweep, and no other.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "records/blob_names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

enum { BLOBS_MAX = 16, LONG_AGO_SECONDS = 1000, CLAIMED_US_MAX = 30000000 };

// A site with blobs that are old enough to go.
struct old_blobs {
    struct site *site;
    char *digests[BLOBS_MAX];
    size_t count;
    struct blob_names names;
    int reads;
};

static const char *add(struct old_blobs *blobs, const char *content)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    assert_int_equal(blob_put(blobs->site->blobs, text_of(content), &digest, NULL), OK);
    blobs->digests[blobs->count] = memory_copy_string(digest_to_text(&digest, text));
    return blobs->digests[blobs->count++];
}

static struct digest digest_at(const struct old_blobs *blobs, size_t at)
{
    struct digest digest;
    assert_int_equal(digest_from_text(text_of(blobs->digests[at]), &digest, NULL), OK);
    return digest;
}

static void done(struct old_blobs *blobs)
{
    for (size_t i = 0; i < blobs->count; i++) {
        free(blobs->digests[i]);
    }
}

static enum status read_names(void *context, struct sweep *sweep, bool is_first, bool *is_over,
                              struct error *error)
{
    struct old_blobs *blobs = context;
    blobs->reads++;
    if (is_first) {
        blobs->names = (struct blob_names){0};
    }
    return blob_names_read(blobs->site->store, &blobs->names, sweep, is_over, error);
}

// Makes them old and sweeps.
static void sweep_all(struct old_blobs *blobs)
{
    const struct sweep_ops ops = {.read_names = read_names, .context = blobs};
    struct sweep *sweep = sweep_new(blobs->site->blobs, &ops);
    for (size_t i = 0; i < blobs->count; i++) {
        const struct digest digest = digest_at(blobs, i);
        AUTO_FREE char *path = blob_path(blobs->site->blobs, &digest);
        const struct timespec long_ago[] = {{LONG_AGO_SECONDS, 0}, {LONG_AGO_SECONDS, 0}};
        (void)utimensat(AT_FDCWD, path, long_ago, 0);
    }
    for (bool is_over = false; !is_over;) {
        assert_int_equal(sweep_turn(sweep, &is_over, NULL), OK);
    }
    sweep_free(sweep);
}

static bool is_here(const struct old_blobs *blobs, size_t at)
{
    const struct digest digest = digest_at(blobs, at);
    return blob_exists(blobs->site->blobs, &digest);
}

// What sweep_all has made old loses its name, and another thread claims it then.
static void await_claim(const struct old_blobs *blobs, size_t at)
{
    const struct digest digest = digest_at(blobs, at);
    AUTO_FREE char *path = blob_path(blobs->site->blobs, &digest);
    int64_t until_us = clock_steady_us() + CLAIMED_US_MAX;
    struct stat info = {0};
    do {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        assert_int_equal(stat(path, &info), 0);
        assert_true(clock_steady_us() < until_us);
    } while (info.st_mtim.tv_sec == LONG_AGO_SECONDS);
}

static long long lease_of(struct site *site, int64_t worker, int64_t job)
{
    long long lease = 0;
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *leases = json_object_get(reply.document, "leases");
    for (size_t i = 0; i < json_array_size(leases); i++) {
        const json_t *each = json_array_get(leases, i);
        lease = json_integer_value(json_array_get(each, 1)) == job
                    ? json_integer_value(json_array_get(each, 0))
                    : lease;
    }
    assert_int_not_equal(lease, 0);
    reply_done(&reply);
    return lease;
}

static void what_jobs_and_results_name_stays(void **state)
{
    struct old_blobs blobs = {.site = *state};
    struct site *site = *state;
    const char *file = add(&blobs, "file");
    const char *items = add(&blobs, "a\nb\n");
    const char *printed = add(&blobs, "printed");
    const char *complaints = add(&blobs, "complaints");
    const char *output = add(&blobs, "output");
    const char *answers = add(&blobs, "x\ny\n");
    size_t named = blobs.count;
    (void)add(&blobs, "nobody's");
    int64_t worker = site_worker(site, "desk", 4);
    AUTO_FREE char *with_items = memory_format(
        "{\"command\":[\"cat\"],\"mode\":\"stream\",\"items\":\"%s\",\"files\":[{\"name\":\"f\","
        "\"blob\":\"%s\"}]}",
        items, file);
    int64_t streamed = site_job(site, with_items);
    long long lease = lease_of(site, worker, streamed);
    AUTO_FREE char *streams =
        memory_format("{\"results\":[{\"lease\":%lld,\"job\":%lld,\"stream\":{\"from\":0,"
                      "\"to\":2,\"answers\":\"%s\",\"answers_size\":4}}]}",
                      lease, (long long)streamed, answers);
    site_say(site, worker, streams);
    int64_t job = site_job(site, "{\"command\":[\"true\"],\"cache\":\"off\"}");
    lease = lease_of(site, worker, job);
    // A digest may be said without what it begins with, too.
    AUTO_FREE char *result = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1,"
        "{\"blob\":\"%s\",\"size\":7},{\"blob\":\"%s\",\"size\":10},[[\"o\",\"%s\",6,420]]]]}]}",
        lease, (long long)job, printed, complaints, output + strlen("sha256:"));
    site_say(site, worker, result);
    sweep_all(&blobs);
    for (size_t i = 0; i < blobs.count; i++) {
        assert_int_equal(is_here(&blobs, i), i < named);
    }
    done(&blobs);
}

static int64_t checkpointed_job(struct site *site)
{
    return site_job(
        site, "{\"command\":[\"true\"],\"cache\":\"off\",\"checkpoint\":{\"files\":[\"s\"]}}");
}

static void say_checkpoint(struct site *site, int64_t worker, int64_t job, const char *digest)
{
    AUTO_FREE char *body = memory_format("{\"checkpoints\":[{\"job\":%lld,\"index\":0,"
                                         "\"attempt\":1,\"files\":[[\"s\",\"%s\",2,420]]}]}",
                                         (long long)job, digest);
    site_say(site, worker, body);
}

static void say_end(struct site *site, int64_t worker, int64_t job, long long lease)
{
    AUTO_FREE char *body = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0]]}]}", lease, (long long)job);
    site_say(site, worker, body);
}

static void a_checkpoint_stays_until_its_task_has_another_one_or_has_ended(void **state)
{
    struct old_blobs blobs = {.site = *state};
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = checkpointed_job(site);
    long long lease = lease_of(site, worker, job);
    for (int i = 0; i < 2; i++) {
        char content[] = {'c', (char)('0' + i), '\0'};
        say_checkpoint(site, worker, job, add(&blobs, content));
        if (i > 0) {
            await_claim(&blobs, 0);
        }
        sweep_all(&blobs);
        assert_true(is_here(&blobs, (size_t)i));
        assert_int_equal(is_here(&blobs, 0), i == 0);
    }
    say_end(site, worker, job, lease);
    await_claim(&blobs, 1);
    sweep_all(&blobs);
    assert_false(is_here(&blobs, 1));
    done(&blobs);
}

static void what_lost_its_last_name_stays_for_a_day(void **state)
{
    struct old_blobs blobs = {.site = *state};
    struct site *site = *state;
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = checkpointed_job(site);
    long long lease = lease_of(site, worker, job);
    say_checkpoint(site, worker, job, add(&blobs, "state"));
    sweep_all(&blobs); // Makes it old.
    say_end(site, worker, job, lease);
    await_claim(&blobs, 0);
    const struct digest digest = digest_at(&blobs, 0);
    int64_t size = 0;
    assert_false(blob_remove_unclaimed(site->blobs, &digest,
                                       blobs_now_us(site->blobs) - BLOB_UNCLAIMED_US, &size));
    done(&blobs);
}

static void names_are_read_in_pieces_to_the_last_row(void **state)
{
    struct old_blobs blobs = {.site = *state};
    struct site *site = *state;
    enum { COUNT = 2 * BLOB_NAMES_ROWS };
    const char *output = add(&blobs, "output");
    int64_t worker = site_worker(site, "desk", 1);
    int64_t job = site_job(site, "{\"command\":[\"true\"],\"cache\":\"off\",\"count\":2000}");
    AUTO_BUFFER struct buffer body = {0};
    buffer_printf(&body, "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[",
                  lease_of(site, worker, job), (long long)job);
    for (int i = 0; i < COUNT; i++) {
        buffer_printf(&body, i < COUNT - 1 ? "[%d,0,0]," : "[%d,0,0,1,1,1,1,null,null,", i);
    }
    buffer_printf(&body, "[[\"o\",\"%s\",6,420]]]]}]}", output);
    site_say(site, worker, body.bytes);
    assert_job(site, job, "succeeded", COUNT);
    sweep_all(&blobs);
    assert_true(blobs.reads > 2);
    assert_true(is_here(&blobs, 0));
    done(&blobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_jobs_and_results_name_stays, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(
            a_checkpoint_stays_until_its_task_has_another_one_or_has_ended, site_setup,
            site_teardown),
        cmocka_unit_test_setup_teardown(what_lost_its_last_name_stays_for_a_day, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(names_are_read_in_pieces_to_the_last_row, site_setup,
                                        site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
