// A queue opens what an older version of it has left.
#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "queue/queue.h"
#include "records/migrations.h"
#include "store/blobs.h"
#include "store/store.h"

#include <stdio.h>

enum { OLD_MIGRATIONS = 3 }; // Before jobs had a place.

static enum status insert_old(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    static const char JOB[] =
        "INSERT INTO jobs (id, owner, name, mode, cache, spec, description, family, task_count,"
        " items_kind, cpu_millis, memory_bytes, disk_bytes, retries, priority, inputs, locality,"
        " submitted_us, command) VALUES (1, 'alice', 'old', 0, 0, '{}', '\"files\":[]}', $1, 3, 0,"
        " 1000, 1, 1, 0, 0, '[]', 0, 1, 'x')";
    static const char PROGRESS[] =
        "INSERT INTO progress (job, state, started_us, finished_us, succeeded, failed, cancelled,"
        " cached, first_failed, exit_code, message, seq, version)"
        " VALUES (1, 0, 0, 0, 0, 0, 0, 0, -1, 0, '', 0, 1)";
    struct digest family = digest_of("x", 1);
    TRY(sql_run(sql, JOB, SQL_VALUES(sql_blob(family.bytes, DIGEST_SIZE)), NULL, error));
    return sql_run(sql, PROGRESS, SQL_NO_VALUES, NULL, error);
}

static struct store *open_store(const char *path, size_t migrations)
{
    struct store *store = NULL;
    struct error error = {0};
    const struct store_options options = {
        .url = path, .migrations = QUEUE_MIGRATIONS, .migration_count = migrations};
    if (store_open(&options, &store, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return store;
}

static void a_job_from_before_places_is_one_of_this_site(void **state)
{
    (void)state;
    char folder[] = "/tmp/lode-migrations-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_FREE char *path = memory_format("%s/lode.db", folder);
    AUTO_FREE char *blobs_folder = memory_format("%s/blobs", folder);
    struct store *store = open_store(path, OLD_MIGRATIONS);
    assert_int_equal(store_write_wait(store, insert_old, NULL, NULL), OK);
    store_close(store);
    store = open_store(path, QUEUE_MIGRATION_COUNT);
    struct blobs *blobs = NULL;
    struct queue *queue = NULL;
    assert_int_equal(blobs_open(blobs_folder, &blobs, NULL), OK);
    const struct queue_options options = {.store = store, .blobs = blobs};
    assert_int_equal(queue_open(&options, &queue, NULL), OK);
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *list = NULL;
    const struct queue_job_filter all = {.limit = 10};
    assert_int_equal(queue_list_jobs(queue, &all, &text, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&text), &list, NULL), OK);
    const json_t *job = json_array_get(json_object_get(list, "jobs"), 0);
    assert_string_equal(json_string_value(json_object_get(job, "state")), "waiting");
    assert_true(json_is_null(json_object_get(job, "place")));
    assert_true(json_is_null(json_object_get(job, "at")));
    queue_stop(queue);
    store_close(store);
    queue_free(queue);
    blobs_close(blobs);
    assert_int_equal(file_remove_tree(folder, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_from_before_places_is_one_of_this_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
