// Jobs that are a part of an index set: their first task has another index than 0.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"

#include <stdio.h>

// A blob of these lines; its name.
static void keep_items(struct site *site, const char *lines, char digest[DIGEST_TEXT_SIZE])
{
    struct blob_writer *writer = NULL;
    struct digest name;
    int64_t size = 0;
    assert_int_equal(blob_writer_new(site->blobs, &writer, NULL), OK);
    assert_int_equal(blob_writer_append(writer, text_of(lines), NULL), OK);
    assert_int_equal(blob_writer_commit(writer, NULL, &name, &size, NULL), OK);
    (void)digest_to_text(&name, digest);
}

static int64_t part_job(struct site *site, const char *items, const char *rest)
{
    AUTO_FREE char *document = memory_format(
        "{\"command\": [\"p\", \"{index}\", \"{}\"], \"items\": \"%s\"%s}", items, rest);
    return site_job(site, document);
}

static json_t *record_of(struct site *site, int64_t job, int64_t index)
{
    AUTO_BUFFER struct buffer text = {0};
    json_t *record = NULL;
    assert_int_equal(queue_show_task(site->queue, job, index, &text, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&text), &record, NULL), OK);
    return record;
}

static void assert_argument(const json_t *record, size_t at, const char *expected)
{
    const json_t *command = json_object_get(record, "command");
    assert_string_equal(json_string_value(json_array_get(command, at)), expected);
}

static void tasks_of_a_part_have_the_indices_of_the_whole(void **state)
{
    struct site *site = *state;
    char items[DIGEST_TEXT_SIZE];
    keep_items(site, "a\nb\nc\nd\ne\n", items);
    int64_t job = part_job(site, items, ", \"first_index\": 2, \"count\": 2");
    int64_t rest = part_job(site, items, ", \"first_index\": 3");
    site_restart(site);
    struct reply reply = site_show(site, job, 0);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "total"), 2);
    assert_int_equal(number_of(json_object_get(reply.document, "spec"), "first_index"), 2);
    reply_done(&reply);
    AUTO_JSON json_t *record = record_of(site, job, 1);
    assert_int_equal(number_of(record, "index"), 1);
    assert_argument(record, 1, "3");
    assert_argument(record, 2, "d");
    AUTO_JSON json_t *last = record_of(site, rest, 1);
    assert_argument(last, 1, "4");
    assert_argument(last, 2, "e");
    int64_t counted = site_job(site, "{\"command\": [\"p\", \"{index}\", \"{}\"], \"count\": 2,"
                                     " \"first_index\": 100}");
    AUTO_JSON json_t *of_count = record_of(site, counted, 1);
    assert_argument(of_count, 1, "101");
    assert_argument(of_count, 2, "101");
}

static void a_part_that_is_not_there_is_refused(void **state)
{
    struct site *site = *state;
    char items[DIGEST_TEXT_SIZE];
    keep_items(site, "a\nb\nc\n", items);
    static const char *const parts[] = {"\"first_index\": 3", "\"first_index\": 2, \"count\": 2",
                                        "\"first_index\": 0, \"count\": 4"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        AUTO_FREE char *document =
            memory_format("{\"command\": [\"p\"], \"items\": \"%s\", %s}", items, parts[i]);
        struct reply reply = site_submit(site, document, NULL);
        assert_int_equal(reply.status, INVALID);
        assert_non_null(strstr(reply.error.detail, "has 3 in all"));
        assert_true(reply.error.fix[0] != '\0');
    }
}

static void workers_are_told_of_the_first_index(void **state)
{
    struct site *site = *state;
    (void)site_job(site, "{\"command\": [\"p\"], \"count\": 2, \"first_index\": 9}");
    (void)site_job(site, "{\"command\": [\"p\"], \"count\": 1}");
    int64_t worker = site_worker(site, "desk", 4);
    struct reply reply = site_poll(site, worker, "{}");
    const json_t *jobs = json_object_get(reply.document, "jobs");
    assert_int_equal(json_array_size(jobs), 2);
    assert_int_equal(number_of(json_array_get(jobs, 0), "first_index"), 9);
    assert_null(json_object_get(json_array_get(jobs, 1), "first_index"));
    reply_done(&reply);
}

// Says that the job ran with a program that is there; what the cache asks for.
static void use_program(struct site *site, int64_t job)
{
    free(site->setups);
    site->setups = memory_format("{\"job\":%lld,\"executable\":\"/work/p\",\"executable_digest\":"
                                 "\"sha256:%064d\"}",
                                 (long long)job, 0);
}

static void the_same_part_comes_from_the_cache_item_by_item(void **state)
{
    struct site *site = *state;
    char first[DIGEST_TEXT_SIZE];
    char second[DIGEST_TEXT_SIZE];
    keep_items(site, "x\na\nb\nc\n", first);
    keep_items(site, "b\ny\nb\nc\nd\n", second);
    static const char PART[] = "{\"command\": [\"p\", \"{}\"], \"items\": \"%s\","
                               " \"first_index\": 1, \"count\": %d}";
    AUTO_FREE char *known = memory_format(PART, first, 2);
    AUTO_FREE char *wanted = memory_format(PART, second, 4);
    int64_t job = site_job(site, known);
    use_program(site, job);
    assert_int_equal(site_run_all(site, site_worker(site, "desk", 1)), 2);
    // Of a and b, b is there: at line 2, not at line 0 in front of the part. c is no task of the first.
    int64_t again = site_job(site, wanted);
    struct reply reply = site_show(site, again, 0);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "cached"), 1);
    reply_done(&reply);
    AUTO_JSON json_t *record = record_of(site, again, 1);
    assert_int_equal(number_of(json_object_get(record, "cache"), "first_index"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(tasks_of_a_part_have_the_indices_of_the_whole),
        TEST(a_part_that_is_not_there_is_refused),
        TEST(workers_are_told_of_the_first_index),
        TEST(the_same_part_comes_from_the_cache_item_by_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
