// A folder is packed so that its digest says what is in it, and nothing else.
#include "../folder.h"
#include "tar.h"

#include "crypto/digest.h"
#include "software/pack.h"
#include "software/tree.h"
#include "software/unpack.h"

#include <sys/time.h>

static void put(const char *tree, const char *name, const char *content, unsigned mode)
{
    AUTO_FREE char *path = memory_format("%s/%s/%s", folder, tree, name);
    AUTO_FREE char *above = memory_copy_string(path);
    *strrchr(above, '/') = '\0';
    assert_int_equal(file_make_folder(above, NULL), OK);
    assert_int_equal(file_write_atomic(path, text_of(content), mode, NULL), OK);
}

static int pack(const char *tree, struct error *error, enum status *status)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, tree);
    int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    *status = pack_folder(path, fd, error);
    return fd;
}

static struct digest digest_of_tree(const char *tree)
{
    struct digest digest;
    int64_t size = 0;
    enum status status = OK;
    AUTO_CLOSE int fd = pack(tree, NULL, &status);
    assert_int_equal(status, OK);
    assert_int_equal(digest_file(fd, &digest, &size, NULL), OK);
    return digest;
}

static void make_tree(const char *tree, bool is_backwards)
{
    static const char *const names[] = {"bin/a", "bin/b", "lib/größe", "z"};
    for (size_t i = 0; i < 4; i++) {
        const char *name = names[is_backwards ? 3 - i : i];
        put(tree, name, name, strncmp(name, "bin", 3) == 0 ? 0755 : 0644);
    }
    AUTO_FREE char *link = memory_format("%s/%s/link", folder, tree);
    assert_int_equal(symlink("bin/a", link), 0);
}

static void the_same_tree_has_the_same_digest(void **state)
{
    (void)state;
    make_tree("one", false);
    make_tree("two", true);
    AUTO_FREE char *old = memory_format("%s/two/z", folder);
    const struct timeval times[2] = {{1000000, 0}, {1000000, 0}};
    assert_int_equal(utimes(old, times), 0);
    assert_int_equal(chmod(old, 0600), 0);
    const struct digest one = digest_of_tree("one");
    const struct digest two = digest_of_tree("two");
    assert_true(digest_equal(&one, &two));
}

static void another_content_name_or_mode_has_another_digest(void **state)
{
    (void)state;
    put("three", "f", "x", 0644);
    const struct digest first = digest_of_tree("three");
    put("three", "f", "y", 0644);
    const struct digest content = digest_of_tree("three");
    put("three", "f", "x", 0755);
    const struct digest mode = digest_of_tree("three");
    assert_false(digest_equal(&first, &content) || digest_equal(&first, &mode) ||
                 digest_equal(&content, &mode));
}

static void what_was_packed_is_unpacked_as_it_was(void **state)
{
    (void)state;
    make_tree("four", false);
    char target[32] = "";
    struct stat info;
    enum status status = OK;
    struct unpack_quota quota = {.bytes = 1 << 20, .entries = 100};
    AUTO_FREE char *out = memory_format("%s/out", folder);
    assert_int_equal(file_make_folder(out, NULL), OK);
    AUTO_CLOSE int out_fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int fd = pack("four", NULL, &status);
    assert_int_equal(unpack_archive(fd, out_fd, &quota, NULL), OK);
    tar_expect(out_fd, "bin/b", "bin/b");
    tar_expect(out_fd, "lib/größe", "lib/größe");
    assert_int_equal(fstatat(out_fd, "bin/a", &info, 0), 0);
    assert_int_equal(info.st_mode & 0777, 0755);
    assert_true(readlinkat(out_fd, "link", target, sizeof target) == 5);
}

static void what_is_no_folder_is_not_packed(void **state)
{
    (void)state;
    struct error error = {0};
    enum status status = OK;
    put("five", "f", "x", 0644);
    (void)close(pack("five/f", &error, &status));
    assert_int_equal(status, INVALID);
    (void)close(pack("nowhere", &error, &status));
    assert_int_not_equal(status, OK);
}

static void a_fifo_is_named(void **state)
{
    (void)state;
    struct error error = {0};
    enum status status = OK;
    put("six", "dev/f", "x", 0644); // Left out, whatever is in it.
    AUTO_FREE char *hidden = memory_format("%s/six/dev/fifo", folder);
    AUTO_FREE char *fifo = memory_format("%s/six/fifo", folder);
    assert_int_equal(mkfifo(hidden, 0600), 0);
    (void)close(pack("six", &error, &status));
    assert_int_equal(status, OK);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    (void)close(pack("six", &error, &status));
    assert_int_equal(status, INVALID);
    assert_non_null(strstr(error.detail, "six/fifo"));
}

static void a_tree_is_a_root_when_it_has_usr_or_a_shell(void **state)
{
    (void)state;
    static const char *const files[][2] = {{"usr/bin/x", "r"}, {"bin/sh", "r"}, {"bin/x", "p"}};
    for (size_t i = 0; i < 3; i++) {
        struct arena arena AUTO_ARENA = {0};
        struct tree tree = {0};
        enum status status = OK;
        AUTO_FREE char *name = memory_format("seven-%zu", i);
        AUTO_FREE char *out = memory_format("%s/tree-%zu", folder, i);
        put(name, files[i][0], "x", 0755);
        AUTO_CLOSE int fd = pack(name, NULL, &status);
        AUTO_FREE char *nameless = memory_format("/proc/self/fd/%d", fd);
        const struct tree_order order = {
            .archive = nameless, .folder = out, .quota = {1 << 20, 100}};
        assert_int_equal(tree_unpack(&order, NULL), OK);
        assert_int_equal(tree_read(out, &arena, &tree, NULL), OK);
        assert_int_equal(tree.is_root, files[i][1][0] == 'r');
        assert_int_equal(tree.environment_count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_tree_has_the_same_digest),
        cmocka_unit_test(another_content_name_or_mode_has_another_digest),
        cmocka_unit_test(what_was_packed_is_unpacked_as_it_was),
        cmocka_unit_test(what_is_no_folder_is_not_packed),
        cmocka_unit_test(a_fifo_is_named),
        cmocka_unit_test(a_tree_is_a_root_when_it_has_usr_or_a_shell),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
