#include "../cmocka_all.h"

#include "os/file.h"
#include "os/room.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char folder[] = "/tmp/lode-test-room-XXXXXX";

static int open_folder(void)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void a_disk_with_room_has_room_and_nothing_is_left_there(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = open_folder();
    assert_true(room_is_left(fd, false));
    assert_true(room_is_left(fd, true));
    assert_int_equal(unlinkat(fd, ".lode-room", 0), -1);
}

// Tasks without a sandbox may put anything there, at which a look must not wait for ever.
static void a_pipe_in_the_place_of_the_file_holds_nobody_up(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = open_folder();
    assert_int_equal(mkfifoat(fd, ".lode-room", 0600), 0);
    (void)alarm(30);
    assert_true(room_is_left(fd, true));
    (void)alarm(0);
    (void)unlinkat(fd, ".lode-room", 0);
}

static void a_process_that_may_make_small_files_only_is_not_ended_by_the_look(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = open_folder();
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {100, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool is_left = room_is_left(fd, true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(is_left);
}

// In a mount namespace of the test's own, where one can be had.
static void mount_small(const char *options)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", folder, "tmpfs", 0, options) < 0) {
        skip();
    }
}

static void fill(int folder_fd)
{
    static const char zeros[4096];
    AUTO_CLOSE int fd = openat(folder_fd, "fill", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, zeros, sizeof zeros) > 0) {
    }
}

static void a_full_disk_has_no_room_until_it_is_freed(void **state)
{
    (void)state;
    mount_small("size=4m");
    AUTO_CLOSE int fd = open_folder();
    assert_true(room_is_left(fd, false));
    fill(fd);
    assert_false(room_is_left(fd, false));
    assert_false(room_is_left(fd, true));
    assert_int_equal(unlinkat(fd, "fill", 0), 0);
    assert_true(room_is_left(fd, false));
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

static void a_disk_without_room_for_one_more_file_is_full(void **state)
{
    (void)state;
    mount_small("size=4m,nr_inodes=2");
    AUTO_CLOSE int fd = open_folder();
    assert_true(room_is_left(fd, false));
    AUTO_CLOSE int last = openat(fd, "last", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(last >= 0);
    assert_false(room_is_left(fd, false));
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_with_room_has_room_and_nothing_is_left_there),
        cmocka_unit_test(a_pipe_in_the_place_of_the_file_holds_nobody_up),
        cmocka_unit_test(a_process_that_may_make_small_files_only_is_not_ended_by_the_look),
        cmocka_unit_test(a_full_disk_has_no_room_until_it_is_freed),
        cmocka_unit_test(a_disk_without_room_for_one_more_file_is_full),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
