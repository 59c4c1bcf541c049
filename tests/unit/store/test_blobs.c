#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"
#include "store/blobs.h"

#include <sys/stat.h>

static struct blobs *open_blobs(const char *folder)
{
    struct blobs *blobs = NULL;
    struct error error = {0};
    if (blobs_open(folder, &blobs, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return blobs;
}

static void a_blob_is_found_by_its_digest(void **state)
{
    struct blobs *blobs = open_blobs(*state);
    struct digest digest;
    assert_int_equal(blob_put(blobs, TEXT("abc"), &digest, NULL), OK);
    struct digest expected = digest_of("abc", 3);
    assert_true(digest_equal(&digest, &expected));
    AUTO_CLOSE int fd = -1;
    int64_t size = 0;
    assert_int_equal(blob_open(blobs, &expected, &fd, &size, NULL), OK);
    assert_int_equal(size, 3);
    char bytes[4] = "";
    assert_int_equal(read(fd, bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "abc", 3);
    blobs_close(blobs);
}

static void the_same_bytes_twice_are_one_blob(void **state)
{
    struct blobs *blobs = open_blobs(*state);
    struct digest first;
    struct digest second;
    assert_int_equal(blob_put(blobs, TEXT_NONE, &first, NULL), OK);
    assert_int_equal(blob_put(blobs, TEXT_NONE, &second, NULL), OK);
    assert_true(digest_equal(&first, &second));
    AUTO_FREE char *incoming = memory_format("%s/incoming", (char *)*state);
    assert_int_equal(rmdir(incoming), 0); // Empty: nothing was left over.
    blobs_close(blobs);
}

static void bytes_that_differ_from_the_announced_digest_get_no_name(void **state)
{
    struct blobs *blobs = open_blobs(*state);
    struct blob_writer *writer = NULL;
    struct digest announced = digest_of("abc", 3);
    assert_int_equal(blob_writer_new(blobs, &writer, NULL), OK);
    assert_int_equal(blob_writer_append(writer, TEXT("ab"), NULL), OK);
    assert_int_equal(blob_writer_append(writer, TEXT("d"), NULL), OK);
    struct error error = {0};
    assert_int_equal(blob_writer_commit(writer, &announced, NULL, NULL, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "sha256:ba7816bf"));
    struct digest found = digest_of("abd", 3);
    assert_false(blob_exists(blobs, &announced));
    assert_false(blob_exists(blobs, &found));
    assert_int_equal(blob_writer_new(blobs, &writer, NULL), OK);
    blob_writer_abort(writer);
    blobs_close(blobs);
}

static void a_missing_blob_is_named(void **state)
{
    struct blobs *blobs = open_blobs(*state);
    struct digest digest = digest_of("abc", 3);
    struct error error = {0};
    int fd = -1;
    int64_t size = 0;
    assert_int_equal(blob_open(blobs, &digest, &fd, &size, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "sha256:ba7816bf"));
    blobs_close(blobs);
}

static void what_was_half_written_is_gone_after_a_restart(void **state)
{
    struct blobs *blobs = open_blobs(*state);
    AUTO_FREE char *left = memory_format("%s/incoming/1-1", (char *)*state);
    assert_int_equal(file_write_atomic(left, TEXT("half"), 0600, NULL), OK);
    blobs_close(blobs);
    blobs = open_blobs(*state);
    assert_int_equal(access(left, F_OK), -1);
    blobs_close(blobs);
}

static void blobs_cannot_be_written_to(void **state)
{
    struct blobs *blobs = open_blobs(*state);
    struct digest digest;
    assert_int_equal(blob_put(blobs, TEXT("abc"), &digest, NULL), OK);
    AUTO_FREE char *path = blob_path(blobs, &digest);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0400);
    blobs_close(blobs);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        TEST(a_blob_is_found_by_its_digest),
        TEST(the_same_bytes_twice_are_one_blob),
        TEST(bytes_that_differ_from_the_announced_digest_get_no_name),
        TEST(a_missing_blob_is_named),
        TEST(what_was_half_written_is_gone_after_a_restart),
        TEST(blobs_cannot_be_written_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
