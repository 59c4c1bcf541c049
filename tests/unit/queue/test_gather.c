// Jobs that get what others have left: input_from.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <stdio.h>

enum { WAIT_US = 60000000 };

static void keep_blob(struct site *site, const char *content, char digest[DIGEST_TEXT_SIZE])
{
    struct blob_writer *writer = NULL;
    struct digest name;
    int64_t size = 0;
    assert_int_equal(blob_writer_new(site->blobs, &writer, NULL), OK);
    assert_int_equal(blob_writer_append(writer, text_of(content), NULL), OK);
    assert_int_equal(blob_writer_commit(writer, NULL, &name, &size, NULL), OK);
    (void)digest_to_text(&name, digest);
}

// A worker, with what came in the answer to its last report.
struct player {
    struct site *site;
    int64_t worker;
    json_t *next;
};

static struct player player_start(struct site *site)
{
    return (struct player){site, site_worker(site, "desk", 1), NULL};
}

static void player_stop(struct player *player)
{
    json_decref(player->next);
}

// The next leases, and what the worker is told of their jobs.
static json_t *take_lease(struct player *player)
{
    json_t *document = player->next;
    player->next = NULL;
    while (json_array_size(json_object_get(document, "leases")) == 0) {
        json_decref(document);
        struct reply reply = site_poll(player->site, player->worker, "{\"wait_seconds\": 20}");
        assert_int_equal(reply.status, OK);
        document = reply.document;
    }
    return document;
}

// Ends all tasks of the answer's leases with these outputs (the text of an array).
static void finish(struct player *player, const json_t *answer, const char *outputs)
{
    AUTO_BUFFER struct buffer body = {0};
    const json_t *leases = json_object_get(answer, "leases");
    buffer_append_string(&body, "{\"results\":[");
    for (size_t i = 0; i < json_array_size(leases); i++) {
        const json_t *lease = json_array_get(leases, i);
        int64_t from = json_integer_value(json_array_get(lease, 2));
        int64_t to = json_integer_value(json_array_get(lease, 3));
        buffer_printf(&body, "%s{\"lease\":%lld,\"job\":%lld,\"tasks\":[", i > 0 ? "," : "",
                      (long long)json_integer_value(json_array_get(lease, 0)),
                      (long long)json_integer_value(json_array_get(lease, 1)));
        for (int64_t index = from; index < to; index++) {
            buffer_printf(&body, "%s[%lld,0,0,1,1,1,1,null,null,%s]", index > from ? "," : "",
                          (long long)index, outputs);
        }
        buffer_append_string(&body, "]}");
    }
    buffer_append_string(&body, "]}");
    struct reply reply = site_poll(player->site, player->worker, body.bytes);
    assert_int_equal(reply.status, OK);
    player->next = reply.document;
}

static void run_job(struct player *player, int64_t job, const char *outputs)
{
    struct site *site = player->site;
    struct reply shown = site_show(site, job, 0);
    while (strcmp(json_string_value(json_object_get(shown.document, "state")), "succeeded") != 0) {
        AUTO_JSON json_t *answer = take_lease(player);
        finish(player, answer, outputs);
        reply_done(&shown);
        shown = site_show(site, job, 0);
    }
    reply_done(&shown);
}

static const char *file_digest(const json_t *description, const char *name, bool is_executable)
{
    size_t at = 0;
    const json_t *file = NULL;
    json_array_foreach(json_object_get(description, "files"), at, file)
    {
        if (strcmp(json_string_value(json_object_get(file, "name")), name) == 0) {
            assert_int_equal(json_is_true(json_object_get(file, "executable")), is_executable);
            return json_string_value(json_object_get(file, "blob"));
        }
    }
    fail_msg("there is no file %s", name);
    return NULL;
}

static void assert_state(struct site *site, int64_t job, const char *state, const char *message)
{
    struct reply reply = site_show(site, job, WAIT_US);
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), state);
    const char *said = json_string_value(json_object_get(reply.document, "message"));
    if (!strstr(said, message)) {
        fail_msg("%s", said);
    }
    reply_done(&reply);
}

static void outputs_become_files_of_the_job_that_follows(void **state)
{
    struct site *site = *state;
    char first[DIGEST_TEXT_SIZE];
    char second[DIGEST_TEXT_SIZE];
    keep_blob(site, "first", first);
    keep_blob(site, "second", second);
    struct player player = player_start(site);
    int64_t one = site_job(site, "{\"command\": [\"a\"], \"outputs\": [\"*\"]}");
    int64_t two = site_job(site, "{\"command\": [\"b\"], \"outputs\": [\"*\"], \"count\": 2,"
                                 " \"first_index\": 5}");
    AUTO_FREE char *document =
        memory_format("{\"command\": [\"c\"], \"input_from\": [%lld, %lld], \"files\": [{\"name\":"
                      " \"own\", \"blob\": \"%s\"}]}",
                      (long long)two, (long long)one, first);
    int64_t job = site_job(site, document);
    AUTO_FREE char *why = site_why(site, job);
    assert_non_null(strstr(why, "it is to follow job"));
    AUTO_FREE char *run = memory_format("[[\"x/run\",\"%s\",5,493]]", first);
    AUTO_FREE char *plain = memory_format("[[\"out\",\"%s\",6,420]]", second);
    run_job(&player, one, run);
    run_job(&player, two, plain);
    AUTO_JSON json_t *answer = take_lease(&player);
    const json_t *description = json_array_get(json_object_get(answer, "jobs"), 0);
    assert_int_equal(number_of(description, "job"), job);
    assert_int_equal(json_array_size(json_object_get(description, "files")), 4);
    assert_string_equal(file_digest(description, "inputs/0/5/out", false), second);
    assert_string_equal(file_digest(description, "inputs/0/6/out", false), second);
    assert_string_equal(file_digest(description, "inputs/1/x/run", true), first);
    assert_string_equal(file_digest(description, "own", false), first);
    finish(&player, answer, "null");
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *record = NULL;
    assert_int_equal(queue_show_task(site->queue, job, 0, &text, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&text), &record, NULL), OK);
    assert_int_equal(json_array_size(json_object_get(record, "inputs")), 4);
    player_stop(&player);
}

// A job that follows `source` and has ended by itself with one task, or been answered from the cache.
static int64_t follower(struct site *site, int64_t source, const char *rest)
{
    AUTO_FREE char *document =
        memory_format("{\"command\": [\"c\"], \"input_from\": [%lld]%s}", (long long)source, rest);
    return site_job(site, document);
}

// A job that has left one file, of one byte.
static int64_t source_with(struct player *player, const char *name, const char *digest, int mode)
{
    AUTO_FREE char *outputs = memory_format("[[\"%s\",\"%s\",1,%d]]", name, digest, mode);
    int64_t job =
        site_job(player->site, "{\"command\": [\"s\"], \"outputs\": [\"*\"], \"cache\": \"off\"}");
    run_job(player, job, outputs);
    return job;
}

static void what_comes_from_others_is_part_of_the_identity(void **state)
{
    struct site *site = *state;
    char a[DIGEST_TEXT_SIZE];
    char b[DIGEST_TEXT_SIZE];
    keep_blob(site, "a", a);
    keep_blob(site, "b", b);
    struct player player = player_start(site);
    int64_t sources[] = {source_with(&player, "out", a, 0644), source_with(&player, "out", a, 0600),
                         source_with(&player, "out", b, 0644), source_with(&player, "out", a, 0755),
                         source_with(&player, "other", a, 0644)};
    int64_t first = follower(site, sources[0], "");
    AUTO_JSON json_t *answer = take_lease(&player);
    AUTO_FREE char *setup = memory_format(
        "{\"setups\":[{\"job\":%lld,\"executable\":\"/work/c\",\"executable_digest\":\"%s\"}]}",
        (long long)first, a);
    struct reply said = site_poll(site, player.worker, setup);
    reply_done(&said);
    finish(&player, answer, "null");
    assert_state(site, first, "succeeded", "");
    // The same bytes from another job, mode aside: the same computation.
    int64_t same = follower(site, sources[1], "");
    struct reply reply = site_show(site, same, WAIT_US);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cached"), 1);
    reply_done(&reply);
    for (size_t i = 2; i < sizeof sources / sizeof sources[0]; i++) {
        int64_t other = follower(site, sources[i], "");
        AUTO_JSON json_t *lease = take_lease(&player);
        assert_int_equal(number_of(json_array_get(json_object_get(lease, "jobs"), 0), "job"),
                         other);
        finish(&player, lease, "null");
    }
    player_stop(&player);
}

static void it_goes_on_after_a_restart(void **state)
{
    struct site *site = *state;
    char a[DIGEST_TEXT_SIZE];
    keep_blob(site, "a", a);
    struct player player = player_start(site);
    int64_t source = site_job(site, "{\"command\": [\"s\"], \"outputs\": [\"*\"]}");
    int64_t waiting = follower(site, source, "");
    int64_t behind = follower(site, waiting, ", \"outputs\": [\"*\"]");
    site_restart(site);
    player_stop(&player);
    player = player_start(site);
    AUTO_FREE char *outputs = memory_format("[[\"out\",\"%s\",1,420]]", a);
    run_job(&player, source, outputs);
    site_restart(site);
    player_stop(&player);
    player = player_start(site);
    AUTO_JSON json_t *answer = take_lease(&player);
    const json_t *description = json_array_get(json_object_get(answer, "jobs"), 0);
    assert_int_equal(number_of(description, "job"), waiting);
    assert_string_equal(file_digest(description, "inputs/0/out", false), a);
    (void)behind;
    player_stop(&player);
}

static void a_job_without_what_it_needs_says_what_to_do(void **state)
{
    struct site *site = *state;
    struct player player = player_start(site);
    int64_t source = site_job(site, "{\"command\": [\"s\"]}");
    run_job(&player, source, "null");
    int64_t job = follower(site, source, "");
    int64_t behind = follower(site, job, "");
    assert_state(site, job, "failed", "has left no output files: run that one with --output");
    struct reply reply = site_show(site, job, 0);
    assert_int_equal(number_of(reply.document, "exit_code"), 125);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cancelled"), 1);
    reply_done(&reply);
    assert_state(site, behind, "cancelled", "which it was to follow, failed");
    reply = site_retry(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    assert_state(site, job, "failed", "has left no output files");
    player_stop(&player);
}

static void more_files_than_a_job_can_get_are_refused(void **state)
{
    struct site *site = *state;
    char a[DIGEST_TEXT_SIZE];
    keep_blob(site, "a", a);
    struct player player = player_start(site);
    AUTO_BUFFER struct buffer outputs = {0};
    for (int i = 0; i < SPEC_FILES_MAX / 2 + 1; i++) {
        buffer_printf(&outputs, "%s[\"f%d\",\"%s\",1,420]", i > 0 ? "," : "[", i, a);
    }
    buffer_append_string(&outputs, "]");
    int64_t source = site_job(site, "{\"command\": [\"s\"], \"outputs\": [\"*\"], \"count\": 2}");
    run_job(&player, source, outputs.bytes);
    assert_state(site, follower(site, source, ""), "failed", "at most 4096 files");
    AUTO_FREE char *name = memory_new(1100, 1);
    memset(name, 'n', 255);
    name[255] = '/';
    memset(name + 256, 'm', 255);
    name[511] = '/';
    memset(name + 512, 'o', 255);
    name[767] = '/';
    memset(name + 768, 'p', 255);
    int64_t longest = source_with(&player, name, a, 0644);
    assert_state(site, follower(site, longest, ""), "failed", "at most 1024 are allowed");
    player_stop(&player);
}

static void a_failed_job_cancels_those_that_need_it(void **state)
{
    struct site *site = *state;
    int64_t source = site_job(site, "{\"command\": [\"s\"]}");
    int64_t job = follower(site, source, "");
    struct reply reply = site_cancel(site, source);
    reply_done(&reply);
    assert_state(site, job, "cancelled", "was cancelled");
}

static void outputs_of_others_and_of_nobody_are_refused(void **state)
{
    struct site *site = *state;
    int64_t source = site_job(site, "{\"command\": [\"s\"]}");
    struct reply reply = site_submit(site, "{\"command\": [\"c\"], \"input_from\": [99]}", NULL);
    assert_int_equal(reply.status, INVALID);
    assert_non_null(strstr(reply.error.detail, "\"input_from\" names job 99"));
    site->owner = "bob";
    AUTO_FREE char *document =
        memory_format("{\"command\": [\"c\"], \"input_from\": [%lld]}", (long long)source);
    reply = site_submit(site, document, NULL);
    assert_int_equal(reply.status, DENIED);
    assert_non_null(strstr(reply.error.detail, "belong to another user"));
}

// Workers of these tests wait in their polls for longer than the fixture lets them be silent.
static int patient_setup(void **state)
{
    int result = site_setup(state);
    struct site *site = *state;
    site->lease_timeout_us = WAIT_US;
    site_restart(site);
    return result;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, patient_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(outputs_become_files_of_the_job_that_follows),
        TEST(what_comes_from_others_is_part_of_the_identity),
        TEST(it_goes_on_after_a_restart),
        TEST(a_job_without_what_it_needs_says_what_to_do),
        TEST(more_files_than_a_job_can_get_are_refused),
        TEST(a_failed_job_cancels_those_that_need_it),
        TEST(outputs_of_others_and_of_nobody_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
