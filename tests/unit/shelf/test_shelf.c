// What a shelf finds in its folder.
#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "shelf/remover.h"
#include "shelf/shelf.h"
#include "software/tree.h"

#include <fcntl.h>

#define DEADLINE_US INT64_C(60000000)
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// One that was unpacked to the end.
static void make_tree(const char *name)
{
    AUTO_FREE char *root = memory_format("%s/%s/" TREE_ROOT, folder, name);
    AUTO_FREE char *about = memory_format("%s/%s/" TREE_ABOUT, folder, name);
    assert_int_equal(file_make_folder(root, NULL), OK);
    AUTO_CLOSE int fd = open(about, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(file_write_all(fd, TEXT("{\"root\":false,\"environment\":[]}"), NULL), OK);
}

static bool is_there(const char *name)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void await_gone(const char *name)
{
    int64_t until_us = clock_steady_us() + DEADLINE_US;
    while (is_there(name)) {
        assert_true(clock_steady_us() < until_us);
        (void)usleep(1000);
    }
}

static void no_done(void *context, const struct error *fault)
{
    *(enum status *)context = fault->status;
}

// What an earlier worker had not removed to the end has all that a tree has, too.
static void what_is_whole_is_taken_over_and_the_rest_goes(void **state)
{
    (void)state;
    struct shelf *shelf = NULL;
    enum status status = INTERNAL;
    const struct shelf_options options = {.folder = folder};
    make_tree("bundle-" HEX);
    make_tree("oci-" HEX ".new");
    make_tree(REMOVER_PREFIX "0123456789abcdef");
    assert_int_equal(shelf_new(&options, &shelf, NULL), OK);
    await_gone(REMOVER_PREFIX "0123456789abcdef");
    await_gone("oci-" HEX ".new");
    assert_true(is_there("bundle-" HEX "/" TREE_ROOT));
    // It is there at once, without being fetched.
    struct shelf_item *item = shelf_take(shelf, "sha256:" HEX, false, no_done, &status);
    (void)shelf_work(shelf, clock_steady_us());
    assert_int_equal(status, OK);
    assert_false(shelf_tree(item)->is_root);
    shelf_give_back(item);
    shelf_free(shelf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_taken_over_and_the_rest_goes),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
