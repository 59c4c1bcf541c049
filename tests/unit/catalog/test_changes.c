// What happens to a registered dataset when its files change.
#include "site.h"

#include "catalog/inspect.h"

#include <sys/stat.h>

static void verifying_tells_changed_missing_and_new_files_apart(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put(&site, "changed", "one");
    put(&site, "missing", "two");
    put(&site, "touched", "three");
    put(&site, "kept", "four");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    struct digest before = dataset.digest;
    assert_int_equal(verified(&site, "s:n", false, false, &arena).state, DATASET_AVAILABLE);
    touch(&site, "touched", 1000);
    dataset = verified(&site, "s:n", false, false, &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(file_of(&site, &dataset, "touched", &arena).modified_us, 1000000000);
    put(&site, "changed", "ONE!");
    (void)unlink(data_path(&site, "missing"));
    put(&site, "new", "five");
    dataset = verified(&site, "s:n", false, false, &arena);
    assert_int_equal(dataset.state, DATASET_CHANGED);
    assert_non_null(
        strstr(dataset.problem, "changed has another size than was registered; and 2 more"));
    assert_int_equal(file_of(&site, &dataset, "changed", &arena).state, DATASET_FILE_CHANGED);
    assert_int_equal(file_of(&site, &dataset, "missing", &arena).state, DATASET_FILE_MISSING);
    assert_int_equal(file_of(&site, &dataset, "new", &arena).state, DATASET_FILE_NEW);
    assert_int_equal(file_of(&site, &dataset, "kept", &arena).state, DATASET_FILE_OK);
    assert_true(digest_equal(&dataset.digest, &before));
    dataset = verified(&site, "s:n", false, true, &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, 4);
    assert_false(digest_equal(&dataset.digest, &before));
    assert_int_equal(file_of(&site, &dataset, "new", &arena).state, DATASET_FILE_OK);
}

static void a_change_that_hides_its_time_is_seen(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put(&site, "a", "one");
    touch(&site, "a", 1000);
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    (void)settled(&site, "s:n", &arena);
    put(&site, "a", "two");
    touch(&site, "a", 1000);
    struct dataset dataset = verified(&site, "s:n", false, false, &arena);
    assert_int_equal(dataset.state, DATASET_CHANGED);
    assert_non_null(strstr(dataset.problem, "another content"));
    put(&site, "a", "one");
    touch(&site, "a", 1000);
    assert_int_equal(verified(&site, "s:n", false, false, &arena).state, DATASET_AVAILABLE);
    put(&site, "a", "two");
    touch(&site, "a", 1000);
    assert_int_equal(verified(&site, "s:n", true, true, &arena).state, DATASET_AVAILABLE);
}

static void a_vanished_root_is_a_change_and_comes_back(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put_folder(&site, "x");
    put(&site, "x/a", "one");
    assert_int_equal(add(&site, "s:n", data_path(&site, "x"), NULL), OK);
    (void)settled(&site, "s:n", &arena);
    assert_int_equal(rename(data_path(&site, "x"), data_path(&site, "z")), 0);
    struct dataset dataset = verified(&site, "s:n", false, false, &arena);
    assert_int_equal(dataset.state, DATASET_CHANGED);
    assert_non_null(strstr(dataset.problem, "cannot open the registered path"));
    assert_int_equal(rename(data_path(&site, "z"), data_path(&site, "x")), 0);
    dataset = verified(&site, "s:n", false, false, &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, 1);
}

static void jobs_see_the_first_changed_file_and_accept_a_touched_one(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    struct error error = {0};
    struct dataset_look look = {0};
    struct dataset dataset;
    put(&site, "a", "one");
    put(&site, "b", "two");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    (void)settled(&site, "s:n", &arena);
    assert_int_equal(catalog_resolve_for_job(site.catalog, TEXT("s:n"), &arena, &dataset, &error),
                     OK);
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), OK);
    touch(&site, "a", 1000);
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), OK);
    assert_int_equal(file_of(&site, &dataset, "a", &arena).modified_us, 1000000000);
    put(&site, "b", "TWO");
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), CONFLICT);
    assert_says(&error, CONFLICT, "b has another content than was registered");
    assert_int_equal(catalog_resolve_for_job(site.catalog, TEXT("s:n"), &arena, &dataset, &error),
                     CONFLICT);
    assert_says(&error, CONFLICT, "b has another content");
    (void)unlink(data_path(&site, "b"));
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), CONFLICT);
    assert_says(&error, CONFLICT, "b is missing");
}

static void jobs_see_a_file_that_was_added_to_the_folder(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    struct error error = {0};
    struct dataset_look look = {0};
    put_folder(&site, "x");
    put(&site, "x/a", "one");
    put(&site, "single", "two");
    struct text paths[] = {text_of(data_path(&site, "x")), text_of(data_path(&site, "single"))};
    struct dataset_request request = {.id = TEXT("s:n"), .paths = paths, .path_count = 2};
    bool is_new = false;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), OK);
    put(&site, "x/b", "three");
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), CONFLICT);
    assert_says(&error, CONFLICT, "x/b is not registered");
    assert_int_equal(settled(&site, "s:n", &arena).state, DATASET_CHANGED);
    (void)unlink(data_path(&site, "x/b"));
    dataset = verified(&site, "s:n", false, false, &arena);
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), OK);
    put_link(&site, "x/out", "/etc/passwd");
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), CONFLICT);
    assert_says(&error, CONFLICT, "x/out is a link that leaves the registered folder");
}

// The look that a job would have now; waits until it is a settled one, where it is to be.
static struct dataset_look look_at(struct site *site, const struct dataset *dataset)
{
    struct error error = {0};
    struct dataset_look look = {0};
    int64_t deadline_us = clock_steady_us() + INT64_C(60000000);
    do {
        if (catalog_look(site->catalog, dataset, &look, &error) != OK) {
            fail_msg("%s", error.detail);
        }
        assert_true(clock_steady_us() < deadline_us);
    } while (!look.is_settled);
    return look;
}

static void a_look_shows_what_was_touched_and_put_back(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    struct error error = {0};
    struct dataset_look look = {0};
    put_folder(&site, "x");
    put_folder(&site, "x/deep");
    put(&site, "x/deep/a", "one");
    put(&site, "single", "two");
    struct text paths[] = {text_of(data_path(&site, "x")), text_of(data_path(&site, "single"))};
    struct dataset_request request = {.id = TEXT("s:n"), .paths = paths, .path_count = 2};
    bool is_new = false;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    uint64_t before = look_at(&site, &dataset).state;
    assert_true(look_at(&site, &dataset).state == before);
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), OK);
    assert_true(look.state == before);
    // A file that comes and goes leaves the files as they were, but not the folder.
    put(&site, "x/deep/b", "three");
    (void)unlink(data_path(&site, "x/deep/b"));
    uint64_t after = look_at(&site, &dataset).state;
    assert_true(after != before);
    before = after;
    put(&site, "x/deep/a", "ONE");
    put(&site, "x/deep/a", "one");
    after = look_at(&site, &dataset).state;
    assert_true(after != before);
    before = after;
    touch(&site, "single", 1000);
    after = look_at(&site, &dataset).state;
    assert_true(after != before);
    // The content is what it was: jobs run, and looking changes nothing.
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, &error), OK);
    assert_true(look.state == after);
    (void)unlink(data_path(&site, "single"));
    assert_int_equal(catalog_look(site.catalog, &dataset, &look, &error), NOT_FOUND);
    assert_says(&error, NOT_FOUND, "single");
}

static void a_look_at_what_was_touched_just_now_is_not_settled(void **state)
{
    (void)state;
    struct stat info = {.st_ctim = {.tv_sec = 1000, .tv_nsec = 5000}};
    assert_false(is_settled(&info, 1000 * INT64_C(1000000)));
    assert_false(is_settled(&info, 1000 * INT64_C(1000000) + 10000));
    assert_true(is_settled(&info, 1000 * INT64_C(1000000) + 30000));
    info.st_ctim.tv_nsec = 0; // A file system that keeps seconds.
    assert_false(is_settled(&info, 1001 * INT64_C(1000000)));
    assert_true(is_settled(&info, 1003 * INT64_C(1000000)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifying_tells_changed_missing_and_new_files_apart),
        cmocka_unit_test(a_change_that_hides_its_time_is_seen),
        cmocka_unit_test(a_vanished_root_is_a_change_and_comes_back),
        cmocka_unit_test(jobs_see_the_first_changed_file_and_accept_a_touched_one),
        cmocka_unit_test(jobs_see_a_file_that_was_added_to_the_folder),
        cmocka_unit_test(a_look_shows_what_was_touched_and_put_back),
        cmocka_unit_test(a_look_at_what_was_touched_just_now_is_not_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
