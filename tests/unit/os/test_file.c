#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path_in(void **state, const char *name)
{
    return memory_format("%s/%s", (const char *)*state, name);
}

static void what_was_written_atomically_is_read_back(void **state)
{
    AUTO_FREE char *path = path_in(state, "a");
    AUTO_BUFFER struct buffer content = {0};
    struct stat info;
    assert_int_equal(file_write_atomic(path, TEXT("old"), 0600, NULL), OK);
    assert_int_equal(file_write_atomic(path, TEXT("new and longer"), 0640, NULL), OK);
    assert_int_equal(file_read(path, 100, &content, NULL), OK);
    assert_true(text_equal(buffer_text(&content), TEXT("new and longer")));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void an_atomic_write_replaces_a_link_and_not_what_it_points_to(void **state)
{
    AUTO_FREE char *target = path_in(state, "target");
    AUTO_FREE char *path = path_in(state, "link");
    AUTO_BUFFER struct buffer content = {0};
    assert_int_equal(file_write_atomic(target, TEXT("kept"), 0600, NULL), OK);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(file_write_atomic(path, TEXT("new"), 0600, NULL), OK);
    assert_int_equal(file_read(target, 100, &content, NULL), OK);
    assert_true(text_equal(buffer_text(&content), TEXT("kept")));
}

static void a_failed_atomic_write_leaves_the_folder_as_it_was(void **state)
{
    AUTO_FREE char *place = path_in(state, "taken");
    AUTO_FREE char *inside = path_in(state, "taken/file");
    struct error error = {0};
    assert_int_equal(file_make_folder(place, NULL), OK);
    assert_int_equal(file_write_atomic(inside, TEXT("x"), 0600, NULL), OK);
    // A file cannot take the name of a folder: the rename fails after the temporary file was written.
    assert_int_not_equal(file_write_atomic(place, TEXT("y"), 0600, &error), OK);
    assert_true(error.detail[0] != '\0');
    assert_int_equal(unlink(inside), 0);
    assert_int_equal(rmdir(place), 0);
    assert_int_equal(rmdir(*state), 0); // Nothing was left beside it.
    assert_int_equal(mkdir(*state, 0700), 0);
}

static void a_write_that_finds_no_room_names_the_file(void **state)
{
    AUTO_FREE char *path = path_in(state, "a");
    struct error error = {0};
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {2, before.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status status = file_write_atomic(path, TEXT("long"), 0600, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, QUOTA);
    assert_non_null(strstr(error.detail, path));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void reading_stops_at_the_limit_and_keeps_what_the_buffer_had(void **state)
{
    AUTO_FREE char *path = path_in(state, "a");
    AUTO_FREE char *missing = path_in(state, "missing");
    AUTO_BUFFER struct buffer content = {0};
    buffer_append_string(&content, "before");
    assert_int_equal(file_write_atomic(path, TEXT("12345"), 0600, NULL), OK);
    assert_int_equal(file_read(path, 4, &content, NULL), QUOTA);
    assert_int_equal(file_read(missing, 4, &content, NULL), NOT_FOUND);
    assert_true(text_equal(buffer_text(&content), TEXT("before")));
    assert_int_equal(file_read(path, 5, &content, NULL), OK);
    assert_true(text_equal(buffer_text(&content), TEXT("before12345")));
}

static void folders_are_made_with_those_above_them(void **state)
{
    AUTO_FREE char *deep = path_in(state, "x/y/z");
    AUTO_FREE char *file = path_in(state, "file");
    AUTO_FREE char *below_file = path_in(state, "file/x");
    assert_int_equal(file_make_folder(deep, NULL), OK);
    assert_int_equal(file_make_folder(deep, NULL), OK);
    assert_int_equal(file_write_atomic(file, TEXT("x"), 0600, NULL), OK);
    assert_int_equal(file_make_folder(file, NULL), CONFLICT);
    assert_int_not_equal(file_make_folder(below_file, NULL), OK);
}

// The status of opening `path` below `folder`.
static enum status open_below(const char *place, const char *path)
{
    struct error error = {0};
    AUTO_CLOSE int fd = -1;
    AUTO_CLOSE int folder_fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder_fd >= 0);
    enum status status = file_open_beneath(folder_fd, path, O_RDONLY, 0, &fd, &error);
    assert_true((status == OK) == (fd >= 0));
    assert_true((status == OK) == (error.detail[0] == '\0'));
    return status;
}

static void nothing_outside_a_folder_is_opened_beneath_it(void **state)
{
    AUTO_FREE char *place = path_in(state, "inside");
    AUTO_FREE char *secret = path_in(state, "secret");
    AUTO_FREE char *file = path_in(state, "inside/file");
    AUTO_FREE char *absolute = path_in(state, "inside/absolute");
    AUTO_FREE char *upward = path_in(state, "inside/upward");
    AUTO_FREE char *up = path_in(state, "inside/up");
    AUTO_FREE char *fine = path_in(state, "inside/fine");
    AUTO_FREE char *loop = path_in(state, "inside/loop");
    assert_int_equal(file_make_folder(place, NULL), OK);
    assert_int_equal(file_write_atomic(secret, TEXT("s"), 0600, NULL), OK);
    assert_int_equal(file_write_atomic(file, TEXT("f"), 0600, NULL), OK);
    assert_int_equal(symlink(secret, absolute), 0);
    assert_int_equal(symlink("../secret", upward), 0);
    assert_int_equal(symlink("..", up), 0);
    assert_int_equal(symlink("file", fine), 0);
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(open_below(place, "loop"), INVALID);
    assert_int_equal(open_below(place, "file"), OK);
    assert_int_equal(open_below(place, "fine"), OK);
    assert_int_equal(open_below(place, "./file"), OK);
    assert_int_equal(open_below(place, "missing"), NOT_FOUND);
    assert_int_equal(open_below(place, "../secret"), DENIED);
    assert_int_equal(open_below(place, secret), DENIED);
    assert_int_equal(open_below(place, "absolute"), DENIED);
    assert_int_equal(open_below(place, "upward"), DENIED);
    assert_int_equal(open_below(place, "up/secret"), DENIED);
}

static void removing_a_tree_does_not_follow_links(void **state)
{
    AUTO_FREE char *kept = path_in(state, "kept");
    AUTO_FREE char *kept_file = path_in(state, "kept/file");
    AUTO_FREE char *tree = path_in(state, "tree/deep");
    AUTO_FREE char *link = path_in(state, "tree/deep/link");
    AUTO_FREE char *top = path_in(state, "tree");
    assert_int_equal(file_make_folder(kept, NULL), OK);
    assert_int_equal(file_write_atomic(kept_file, TEXT("x"), 0600, NULL), OK);
    assert_int_equal(file_make_folder(tree, NULL), OK);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(file_remove_tree(top, NULL), OK);
    assert_int_equal(file_remove_tree(top, NULL), OK);
    assert_int_not_equal(access(top, F_OK), 0);
    assert_int_equal(access(kept_file, F_OK), 0);
}

// Makes a tree so deep that no path reaches its end; every name in it is `name`.
static void make_abyss(const char *top, const char *name, int depth)
{
    int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int file = openat(inner, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        (void)close(file);
        (void)close(fd);
        fd = inner;
    }
    (void)close(fd);
}

static void a_tree_deeper_than_any_path_is_removed(void **state)
{
    AUTO_FREE char *top = path_in(state, "abyss");
    assert_int_equal(file_make_folder(top, NULL), OK);
    make_abyss(top, "a-name-of-some-length-for-a-folder", 300);
    make_abyss(top, ".removed-0", 3);
    assert_int_equal(file_remove_tree(top, NULL), OK);
    assert_int_not_equal(access(top, F_OK), 0);
}

static void a_tree_with_locked_folders_is_removed(void **state)
{
    AUTO_FREE char *inner = path_in(state, "tree/locked/inner");
    AUTO_FREE char *locked = path_in(state, "tree/locked");
    AUTO_FREE char *tree = path_in(state, "tree");
    assert_int_equal(file_make_folder(inner, NULL), OK);
    assert_int_equal(chmod(inner, 0), 0);
    assert_int_equal(chmod(locked, 0), 0);
    assert_int_equal(file_remove_tree(tree, NULL), OK);
    assert_int_not_equal(access(tree, F_OK), 0);
}

static void a_folder_needs_a_name(void **state)
{
    (void)state;
    assert_int_equal(file_make_folder("", NULL), INVALID);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(what_was_written_atomically_is_read_back),
        IN_A_FOLDER(an_atomic_write_replaces_a_link_and_not_what_it_points_to),
        IN_A_FOLDER(a_failed_atomic_write_leaves_the_folder_as_it_was),
        IN_A_FOLDER(a_write_that_finds_no_room_names_the_file),
        IN_A_FOLDER(reading_stops_at_the_limit_and_keeps_what_the_buffer_had),
        IN_A_FOLDER(folders_are_made_with_those_above_them),
        IN_A_FOLDER(nothing_outside_a_folder_is_opened_beneath_it),
        IN_A_FOLDER(removing_a_tree_does_not_follow_links),
        IN_A_FOLDER(a_tree_deeper_than_any_path_is_removed),
        IN_A_FOLDER(a_tree_with_locked_folders_is_removed),
        cmocka_unit_test(a_folder_needs_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
