#include "site.h"

#include "catalog/inspect.h"

static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void a_file_that_never_rests_is_not_given_a_checksum(void **state)
{
    (void)state;
    // Of a file in /proc there is more to read than its size says: as if it grew each time that it is read.
    AUTO_CLOSE int folder = open_folder("/proc/self");
    struct meter meter = {0};
    struct inspection found;
    struct file_facts nothing = {0};
    assert_int_equal(inspect_file(folder, "status", &nothing, INSPECT_ACCEPT, &meter, &found, NULL),
                     OK);
    assert_int_equal(found.state, DATASET_FILE_UNREADABLE);
    assert_false(found.is_hashed);
    assert_string_equal(found.problem, "changes while it is being read");
    assert_int_equal(atomic_load(&meter.bytes_done), 0);
}

static void a_stopped_inspection_says_so(void **state)
{
    (void)state;
    AUTO_CLOSE int folder = open_folder("/proc/self");
    struct meter meter = {0};
    struct inspection found;
    struct file_facts nothing = {0};
    atomic_store(&meter.is_stopped, true);
    assert_int_equal(inspect_file(folder, "status", &nothing, INSPECT_ACCEPT, &meter, &found, NULL),
                     TIMEOUT);
}

static void a_read_that_fails_is_told(void **state)
{
    (void)state;
    // Reading /proc/self/mem at 0 fails.
    AUTO_CLOSE int folder = open_folder("/proc/self");
    struct meter meter = {0};
    struct inspection found;
    struct file_facts nothing = {0};
    assert_int_equal(inspect_file(folder, "mem", &nothing, INSPECT_ACCEPT, &meter, &found, NULL),
                     OK);
    assert_int_equal(found.state, DATASET_FILE_UNREADABLE);
    assert_non_null(strstr(found.problem, "cannot be read: "));
}

static void what_is_no_regular_file_any_more_is_changed_and_not_waited_for(void **state)
{
    (void)state;
    char path[] = "/tmp/lode-inspect-XXXXXX";
    assert_non_null(mkdtemp(path));
    AUTO_CLOSE int folder = open_folder(path);
    assert_int_equal(mkfifoat(folder, "pipe", 0600), 0);
    assert_int_equal(mkdirat(folder, "folder", 0700), 0);
    struct meter meter = {0};
    struct inspection found;
    struct file_facts facts = {.has_digest = true};
    static const char *const NAMES[] = {"pipe", "folder"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(inspect_file(folder, NAMES[i], &facts, INSPECT_FULL, &meter, &found, NULL),
                         OK);
        assert_int_equal(found.state, DATASET_FILE_CHANGED);
    }
    assert_int_equal(file_remove_tree(path, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_never_rests_is_not_given_a_checksum),
        cmocka_unit_test(a_stopped_inspection_says_so),
        cmocka_unit_test(a_read_that_fails_is_told),
        cmocka_unit_test(what_is_no_regular_file_any_more_is_changed_and_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
