#include "../cmocka_all.h"

#include "sandbox/job.h"

#define BLOB "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static enum status parse(const char *text, struct job **out, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
    return job_parse(document, out, error);
}

static void the_job_of_the_protocol_is_understood(void **state)
{
    (void)state;
    struct job *job = NULL;
    struct error error = {0};
    enum status status =
        parse("{\"job\":17,\"mode\":\"stream\",\"command\":[\"nco\",\"{file}\"],\"environment\":{"
              "\"K\":\"V\"},\"network\":true,"
              "\"cpus\":1.5,\"memory_bytes\":1073741824,\"disk_bytes\":5,\"walltime_seconds\":2,"
              "\"outputs\":[\"*.txt\"],"
              "\"files\":[{\"name\":\"x.py\",\"blob\":\"" BLOB "\",\"executable\":true}],"
              "\"items\":{\"kind\":\"files\",\"blob\":\"" BLOB "\",\"size\":9,\"count\":3,"
              "\"name\":\"coads\"},"
              "\"data\":[{\"name\":\"coads\",\"roots\":[{\"path\":\"/"
              "srv\",\"mount\":\"\",\"kind\":\"folder\"}],"
              "\"files\":[{\"path\":\"a\",\"source\":\"/srv/"
              "a\",\"size\":1,\"modified_us\":2,\"inode\":3,\"digest\":\"" BLOB "\"}],"
              "\"file_count\":9}]}",
              &job, &error);
    assert_int_equal(status, OK);
    assert_int_equal(job->id, 17);
    assert_true(job->is_stream && job->has_network);
    assert_int_equal(job->cpu_millis, 1500);
    assert_int_equal(job->walltime_us, 2000000);
    assert_true(text_equal(job->environment[0], TEXT("K=V")));
    assert_string_equal(job->outputs[0], "*.txt");
    assert_true(job->files[0].is_executable);
    assert_int_equal(job->items, ITEMS_FILES);
    assert_string_equal(job->data[0].roots[0].path, "/srv");
    assert_int_equal(job->data[0].files[0].inode, 3);
    assert_true(job->data[0].files[0].has_digest);
    assert_int_equal(job->data[0].file_total, 9);
    assert_false(job->data[0].is_index_set); // Its files are listed.
    job_free(job);
}

static void what_would_leave_its_folder_is_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "{\"job\":1}",
        "{\"job\":1,\"command\":[]}",
        "{\"job\":1,\"command\":[1]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"../x\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"..\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"/x\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"x/../../y\",\"blob\":\"" BLOB
        "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"x/./y\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"x//y\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"x/\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"x/y\",\"blob\":\"" BLOB "\"},"
        "{\"name\":\"x\",\"blob\":\"" BLOB "\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"first_index\":-1}",
        "{\"job\":1,\"command\":[\"a\"],\"data\":[{\"name\":\"a/b\",\"roots\":[]}]}",
        "{\"job\":1,\"command\":[\"a\"],\"data\":[{\"name\":\"a\",\"roots\":[{\"path\":\"/"
        "x\",\"mount\":\"a/../../b\"}]}]}",
        "{\"job\":1,\"command\":[\"a\"],\"data\":[{\"name\":\"a\",\"roots\":[{\"path\":\"/"
        "x\",\"mount\":\"/b\"}]}]}",
        "{\"job\":1,\"command\":[\"a\"],\"environment\":{\"A=B\":\"x\"}}",
        "{\"job\":1,\"command\":[\"a\"],\"files\":[{\"name\":\"x\",\"blob\":\"../../x\"}]}",
        "{\"job\":1,\"command\":[\"a\"],\"items\":{\"kind\":\"lines\",\"blob\":\"sha256:\"}}",
        "{\"job\":1,\"command\":[\"a\"],\"items\":{\"kind\":\"words\",\"blob\":\"" BLOB "\"}}",
        "{\"job\":1,\"command\":[\"a\"],\"data\":[{\"name\":\"a\",\"roots\":[{\"path\":\"x\"}]}]}",
        "{\"job\":1,\"command\":[\"a\"],\"data\":[{\"name\":\"a\",\"roots\":[],\"files\":"
        "[{\"source\":\"a\",\"size\":1,\"modified_us\":1}]}]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct job *job = NULL;
        struct error error = {0};
        assert_int_equal(parse(wrong[i], &job, &error), INVALID);
        assert_null(job);
    }
}

static void files_in_folders_have_one_top_each(void **state)
{
    (void)state;
    struct job *job = NULL;
    struct error error = {0};
    assert_int_equal(parse("{\"job\":1,\"command\":[\"a\"],\"first_index\":7,\"files\":["
                           "{\"name\":\"in/1/x\",\"blob\":\"" BLOB
                           "\"},{\"name\":\"a.py\",\"blob\":\"" BLOB "\"},"
                           "{\"name\":\"in-2\",\"blob\":\"" BLOB
                           "\"},{\"name\":\"in/0/x\",\"blob\":\"" BLOB "\"}]}",
                           &job, &error),
                     OK);
    assert_int_equal(job->first_index, 7);
    assert_int_equal(job->file_count, 4);
    assert_int_equal(job->top_count, 3);
    assert_string_equal(job->tops[0].name, "a.py");
    assert_false(job->tops[0].is_folder);
    assert_string_equal(job->tops[1].name, "in");
    assert_true(job->tops[1].is_folder);
    assert_string_equal(job->tops[2].name, "in-2");
    job_free(job);
}

static void software_is_an_archive_of_a_known_kind(void **state)
{
    (void)state;
    struct job *job = NULL;
    struct error error = {0};
    const char *image =
        "{\"job\":1,\"command\":[\"x\"],\"software\":{\"kind\":\"oci\",\"blob\":\"" BLOB
        "\",\"name\":\"small\"}}";
    assert_int_equal(parse(image, &job, &error), OK);
    assert_true(job->is_image);
    assert_string_equal(job->software_digest, BLOB);
    job_free(job);
    static const char *const wrong[] = {
        "{\"job\":1,\"command\":[\"x\"],\"software\":{\"kind\":\"vm\",\"blob\":\"" BLOB "\"}}",
        "{\"job\":1,\"command\":[\"x\"],\"software\":{\"kind\":\"bundle\",\"blob\":\"../x\"}}",
        "{\"job\":1,\"command\":[\"x\"],\"software\":{\"kind\":\"bundle\"}}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(parse(wrong[i], &job, &error), INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(software_is_an_archive_of_a_known_kind),
        cmocka_unit_test(the_job_of_the_protocol_is_understood),
        cmocka_unit_test(what_would_leave_its_folder_is_refused),
        cmocka_unit_test(files_in_folders_have_one_top_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
