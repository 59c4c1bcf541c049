#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "fetch/input_cache.h"
#include "os/file.h"

#include <fcntl.h>

enum { SIZE = 1000 };

// The content of file `number`: SIZE bytes.
static struct text content_of(int number)
{
    static char bytes[SIZE];
    memset(bytes, 'a' + number, SIZE);
    return (struct text){bytes, SIZE};
}

static struct digest digest_of_file(int number)
{
    struct text content = content_of(number);
    return digest_of(content.bytes, content.length);
}

static struct input_cache *open_cache(const char *name, int64_t size_max)
{
    struct input_cache *cache = NULL;
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    assert_int_equal(input_cache_open(path, size_max, &cache, NULL), OK);
    return cache;
}

static enum status put(struct input_cache *cache, int number)
{
    struct digest digest = digest_of_file(number);
    AUTO_CLOSE int fd = -1;
    int64_t have = -1;
    enum status status = input_cache_reserve(cache, SIZE, NULL);
    if (status != OK) {
        return status;
    }
    assert_int_equal(input_cache_open_part(cache, &digest, &fd, &have, NULL), OK);
    assert_int_equal(have, 0);
    assert_int_equal(file_write_all(fd, content_of(number), NULL), OK);
    return input_cache_keep(cache, &digest, SIZE, 1234567890123456, NULL);
}

static enum cached state_of(struct input_cache *cache, int number)
{
    struct digest digest = digest_of_file(number);
    return input_cache_find(cache, &digest);
}

static char *link_name(int number)
{
    return memory_format("%s/link-%d", folder, number);
}

static enum status link_file(struct input_cache *cache, int number)
{
    struct digest digest = digest_of_file(number);
    AUTO_FREE char *path = link_name(number);
    int64_t modified_us = 0;
    enum status status = input_cache_link(cache, &digest, path, &modified_us, NULL);
    if (status == OK) {
        assert_int_equal(modified_us, 1234567890123456);
    }
    return status;
}

static void unlink_file(int number)
{
    AUTO_FREE char *path = link_name(number);
    assert_int_equal(unlink(path), 0);
}

static void what_is_kept_is_there_and_doubtful_in_the_next_life(void **state)
{
    (void)state;
    struct input_cache *cache = open_cache("lives", 10 * SIZE);
    assert_int_equal(state_of(cache, 0), CACHED_NOT);
    assert_int_equal(put(cache, 0), OK);
    assert_int_equal(state_of(cache, 0), CACHED);
    assert_int_equal(input_cache_used(cache), SIZE);
    assert_int_equal(link_file(cache, 0), OK);
    unlink_file(0);
    input_cache_free(cache);
    cache = open_cache("lives", 10 * SIZE);
    assert_int_equal(input_cache_used(cache), SIZE);
    assert_int_equal(state_of(cache, 0), CACHED_DOUBTFUL);
    assert_int_equal(link_file(cache, 0), CORRUPT);
    struct digest digest = digest_of_file(0);
    input_cache_judge(cache, &digest, true);
    assert_int_equal(state_of(cache, 0), CACHED);
    input_cache_judge(cache, &digest, false);
    assert_int_equal(state_of(cache, 0), CACHED_NOT);
    assert_int_equal(input_cache_used(cache), 0);
    input_cache_free(cache);
}

static void those_used_longest_ago_make_room_down_to_the_low_mark(void **state)
{
    (void)state;
    struct input_cache *cache = open_cache("room", 5 * SIZE);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put(cache, i), OK);
    }
    assert_int_equal(link_file(cache, 0), OK); // Used last now.
    unlink_file(0);
    assert_int_equal(put(cache, 5), OK);
    // Down to four fifths, with the new one.
    assert_int_equal(input_cache_used(cache), 4 * SIZE);
    assert_int_equal(state_of(cache, 0), CACHED);
    assert_int_equal(state_of(cache, 1), CACHED_NOT);
    assert_int_equal(state_of(cache, 2), CACHED_NOT);
    assert_int_equal(state_of(cache, 3), CACHED);
    assert_int_equal(state_of(cache, 5), CACHED);
    input_cache_free(cache);
}

static void what_is_in_use_stays(void **state)
{
    (void)state;
    struct error error = {0};
    struct input_cache *cache = open_cache("use", 2 * SIZE);
    assert_int_equal(put(cache, 0), OK);
    assert_int_equal(put(cache, 1), OK);
    assert_int_equal(link_file(cache, 0), OK);
    assert_int_equal(link_file(cache, 1), OK);
    assert_int_equal(input_cache_reserve(cache, SIZE, &error), QUOTA);
    assert_non_null(strstr(error.detail, "2000 of 2000"));
    assert_non_null(strstr(error.fix, "--cache-size"));
    unlink_file(0);
    assert_int_equal(put(cache, 2), OK);
    assert_int_equal(state_of(cache, 0), CACHED_NOT);
    assert_int_equal(state_of(cache, 1), CACHED);
    unlink_file(1);
    input_cache_free(cache);
}

static void parts_stay_until_the_room_is_needed(void **state)
{
    (void)state;
    struct digest digest = digest_of_file(7);
    int64_t have = 0;
    struct input_cache *cache = open_cache("parts", 2 * SIZE);
    AUTO_CLOSE int fd = -1;
    assert_int_equal(input_cache_open_part(cache, &digest, &fd, &have, NULL), OK);
    assert_int_equal(file_write_all(fd, text_slice(content_of(7), 0, 300), NULL), OK);
    file_close_local(&fd);
    input_cache_leave_part(cache, &digest);
    assert_int_equal(input_cache_used(cache), 300);
    input_cache_free(cache);
    cache = open_cache("parts", 2 * SIZE);
    assert_int_equal(input_cache_used(cache), 300);
    assert_int_equal(put(cache, 0), OK);
    assert_int_equal(input_cache_open_part(cache, &digest, &fd, &have, NULL), OK);
    assert_int_equal(have, 300);
    file_close_local(&fd);
    input_cache_leave_part(cache, &digest);
    assert_int_equal(put(cache, 1), OK);
    assert_int_equal(input_cache_open_part(cache, &digest, &fd, &have, NULL), OK);
    assert_int_equal(have, 0);
    file_close_local(&fd);
    fd = -1;
    input_cache_leave_part(cache, &digest);
    input_cache_free(cache);
}

static void what_was_touched_is_doubtful(void **state)
{
    (void)state;
    char digits[DIGEST_TEXT_SIZE];
    struct digest digest = digest_of_file(0);
    struct input_cache *cache = open_cache("touched", 2 * SIZE);
    assert_int_equal(put(cache, 0), OK);
    AUTO_FREE char *path = memory_format("%s/touched/%s", folder,
                                         digest_to_text(&digest, digits) + sizeof "sha256:" - 1);
    assert_int_equal(chmod(path, 0600), 0);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    assert_int_equal(state_of(cache, 0), CACHED_DOUBTFUL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(state_of(cache, 0), CACHED_NOT);
    input_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_there_and_doubtful_in_the_next_life),
        cmocka_unit_test(those_used_longest_ago_make_room_down_to_the_low_mark),
        cmocka_unit_test(what_is_in_use_stays),
        cmocka_unit_test(parts_stay_until_the_room_is_needed),
        cmocka_unit_test(what_was_touched_is_doubtful),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
