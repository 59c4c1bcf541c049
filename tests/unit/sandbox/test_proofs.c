#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/proofs.h"

static struct file_mark mark_of(int64_t inode)
{
    return (struct file_mark){
        .device = 1, .inode = inode, .size = 3, .modified_ns = -4, .changed_ns = 5};
}

static void what_was_proven_is_known_in_the_next_life(void **state)
{
    (void)state;
    AUTO_FREE char *path = memory_format("%s/proofs", folder);
    struct digest digest = digest_of("a", 1);
    struct digest found;
    struct file_mark mark = mark_of(7);
    struct proofs *proofs = proofs_open(path);
    assert_false(proofs_find(proofs, &mark, &found));
    proofs_add(proofs, &mark, &digest);
    proofs_free(proofs);
    proofs = proofs_open(path);
    assert_true(proofs_find(proofs, &mark, &found));
    assert_true(digest_equal(&found, &digest));
    proofs_free(proofs);
}

static void a_time_is_told_in_whole_microseconds(void **state)
{
    (void)state;
    static const int64_t CASES[][2] = {{0, 0},   {1999, 1},   {2000, 2},
                                       {-1, -1}, {-1000, -1}, {-1001, -2}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct file_mark mark = {.modified_ns = CASES[i][0]};
        assert_int_equal(file_mark_modified_us(&mark), CASES[i][1]);
    }
}

static void a_file_that_was_touched_is_not_proven(void **state)
{
    (void)state;
    AUTO_FREE char *path = memory_format("%s/touched", folder);
    struct digest digest = digest_of("a", 1);
    struct digest found;
    struct proofs *proofs = proofs_open(path);
    struct file_mark mark = mark_of(7);
    proofs_add(proofs, &mark, &digest);
    mark.changed_ns++;
    assert_false(proofs_find(proofs, &mark, &found));
    struct digest other = digest_of("b", 1);
    proofs_add(proofs, &mark, &other); // In place of the former.
    assert_true(proofs_find(proofs, &mark, &found));
    assert_true(digest_equal(&found, &other));
    mark.device++;
    assert_false(proofs_find(proofs, &mark, &found));
    proofs_free(proofs);
}

static void lines_that_cannot_be_read_are_left_out(void **state)
{
    (void)state;
    AUTO_FREE char *path = memory_format("%s/broken", folder);
    char text[DIGEST_TEXT_SIZE];
    struct digest digest = digest_of("a", 1);
    struct digest found;
    struct file_mark mark = mark_of(7);
    AUTO_FREE char *lines = memory_format(
        "nonsense\n1 2 3\n1 7 3 -4 5 %s\n1 8 3 -4 5 sha256:12\n1 9 3", // Cut off by a crash.
        digest_to_text(&digest, text));
    assert_int_equal(file_write_atomic(path, text_of(lines), 0600, NULL), OK);
    struct proofs *proofs = proofs_open(path);
    assert_true(proofs_find(proofs, &mark, &found));
    mark.inode = 8;
    assert_false(proofs_find(proofs, &mark, &found));
    proofs_free(proofs);
}

static void more_than_the_most_are_forgotten_together(void **state)
{
    (void)state;
    AUTO_FREE char *path = memory_format("%s/many", folder);
    struct digest digest = digest_of("a", 1);
    struct digest found;
    struct stat info;
    struct proofs *proofs = proofs_open(path);
    for (int64_t i = 0; i <= PROOFS_MAX; i++) {
        struct file_mark mark = mark_of(i);
        proofs_add(proofs, &mark, &digest);
    }
    struct file_mark first = mark_of(0);
    struct file_mark last = mark_of(PROOFS_MAX);
    assert_false(proofs_find(proofs, &first, &found));
    assert_true(proofs_find(proofs, &last, &found));
    proofs_free(proofs);
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size < 200); // The file has not grown beyond that either.
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_proven_is_known_in_the_next_life),
        cmocka_unit_test(a_time_is_told_in_whole_microseconds),
        cmocka_unit_test(a_file_that_was_touched_is_not_proven),
        cmocka_unit_test(lines_that_cannot_be_read_are_left_out),
        cmocka_unit_test(more_than_the_most_are_forgotten_together),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
