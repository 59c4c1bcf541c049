// A file on its way into the input cache.
#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "fetch/part.h"
#include "os/file.h"

static const struct text CONTENT = TEXT("the bytes of a file");

static struct input_cache *open_cache(const char *name)
{
    struct input_cache *cache = NULL;
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    assert_int_equal(input_cache_open(path, 1000, &cache, NULL), OK);
    return cache;
}

static void begin(struct part *part, struct input_cache *cache)
{
    struct digest digest = digest_of(CONTENT.bytes, CONTENT.length);
    part_init(part, cache, &digest, (int64_t)CONTENT.length);
    assert_int_equal(part_open(part, NULL), OK);
    assert_int_equal(part_read_on(part, part->there), PART_READ_ALL);
}

static void a_file_that_came_in_pieces_is_kept(void **state)
{
    (void)state;
    struct part part;
    struct input_cache *cache = open_cache("pieces");
    begin(&part, cache);
    assert_int_equal(part_append(&part, (struct text){CONTENT.bytes, 4}, NULL), OK);
    assert_int_equal(part_append(&part, (struct text){CONTENT.bytes + 4, CONTENT.length - 4}, NULL),
                     OK);
    assert_int_equal(part.have, CONTENT.length);
    assert_true(part_is_right(&part));
    assert_int_equal(part_keep(&part, 1000000, NULL), OK);
    part_close(&part);
    assert_int_equal(input_cache_find(cache, &part.digest), CACHED);
    assert_int_equal(input_cache_used(cache), CONTENT.length);
    input_cache_free(cache);
}

static void what_has_come_is_taken_up_again(void **state)
{
    (void)state;
    struct part part;
    struct input_cache *cache = open_cache("again");
    begin(&part, cache);
    assert_int_equal(part_append(&part, (struct text){CONTENT.bytes, 7}, NULL), OK);
    part_close(&part);
    begin(&part, cache);
    assert_int_equal(part.have, 7);
    assert_int_equal(lseek(part.fd, part.have, SEEK_SET), 7);
    assert_int_equal(part_append(&part, (struct text){CONTENT.bytes + 7, CONTENT.length - 7}, NULL),
                     OK);
    assert_true(part_is_right(&part));
    part_close(&part);
    input_cache_free(cache);
}

static void other_bytes_are_not_right_and_can_be_dropped(void **state)
{
    (void)state;
    struct part part;
    struct input_cache *cache = open_cache("wrong");
    begin(&part, cache);
    assert_int_equal(part_append(&part, TEXT("something else"), NULL), OK);
    assert_false(part_is_right(&part));
    assert_int_equal(part_empty(&part, NULL), OK);
    part_close(&part);
    assert_int_equal(input_cache_used(cache), 0);
    begin(&part, cache);
    assert_int_equal(part.have, 0);
    part_close(&part);
    input_cache_free(cache);
}

// What was reserved for it is free again, whatever became of it.
static void a_part_that_is_left_leaves_its_room(void **state)
{
    (void)state;
    struct part part;
    struct digest digest = digest_of("x", 1);
    struct input_cache *cache = open_cache("room");
    part_init(&part, cache, &digest, 5000);
    assert_int_equal(part_open(&part, NULL), QUOTA);
    part_close(&part);
    begin(&part, cache);
    assert_int_equal(input_cache_used(cache), CONTENT.length);
    part_close(&part);
    assert_int_equal(input_cache_used(cache), 0);
    input_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_came_in_pieces_is_kept),
        cmocka_unit_test(what_has_come_is_taken_up_again),
        cmocka_unit_test(other_bytes_are_not_right_and_can_be_dropped),
        cmocka_unit_test(a_part_that_is_left_leaves_its_room),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
