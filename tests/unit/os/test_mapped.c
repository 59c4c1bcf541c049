// The mark that a program leaves when a mapped file cannot be read.
#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/mapped.h"
#include "os/thread.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { FILE_SIZE = 1 << 16, READERS = 2, ROUNDS = 200 };

static int folder_new(void **state)
{
    char folder[] = "/tmp/lode-test-XXXXXX";
    *state = mkdtemp(folder) ? memory_copy_string(folder) : NULL;
    return *state ? 0 : -1;
}

static int folder_free(void **state)
{
    enum status status = file_remove_tree(*state, NULL);
    free(*state);
    return status == OK ? 0 : -1;
}

// Reads where a file of this length was mapped, which it no longer has.
static void *read_what_is_gone(void *context)
{
    const char *folder = context;
    AUTO_FREE char *path = memory_format("%s/file", folder);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, FILE_SIZE) == 0) {
        const volatile char *bytes = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes != MAP_FAILED && ftruncate(fd, 0) == 0) {
            (void)bytes[FILE_SIZE / 2];
        }
    }
    return NULL;
}

// The signal that ended a child which set the mark, and cleared it again or not, and whose thread then read.
static int die_reading(const char *folder, const char *mark, bool is_cleared)
{
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        (void)mapped_mark_set(mark);
        if (is_cleared) {
            mapped_mark_clear(mark);
        }
        if (thread_start(&thread, "reader", read_what_is_gone, (void *)(uintptr_t)folder, NULL) ==
            OK) {
            (void)pthread_join(thread, NULL);
        }
        _exit(0);
    }
    int ended = 0;
    assert_int_equal(waitpid(child, &ended, 0), child);
    return WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
}

static void a_page_that_cannot_be_read_leaves_the_mark(void **state)
{
    AUTO_FREE char *mark = memory_format("%s/mark", (char *)*state);
    assert_int_equal(die_reading(*state, mark, false), SIGBUS);
    assert_int_equal(access(mark, F_OK), 0);
}

struct readers {
    const volatile char *bytes;
    _Atomic int ready; // They wait for each other awake: sleepers wake one after another.
};

static void *read_together(void *context)
{
    struct readers *readers = context;
    readers->ready++;
    while (readers->ready < READERS) {
    }
    (void)readers->bytes[FILE_SIZE / 2];
    return NULL;
}

// In a child: sets the mark, and reads what is gone in several threads at the same moment.
static _Noreturn void die_together(const char *folder, const char *mark)
{
    struct readers readers = {0};
    pthread_t threads[READERS];
    AUTO_FREE char *path = memory_format("%s/file", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    (void)mapped_mark_set(mark);
    if (ftruncate(fd, FILE_SIZE) == 0) {
        readers.bytes = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    }
    if (!readers.bytes || readers.bytes == MAP_FAILED || ftruncate(fd, 0) != 0) {
        _exit(1);
    }
    for (int i = 0; i < READERS; i++) {
        (void)thread_start(&threads[i], "reader", read_together, &readers, NULL);
    }
    (void)pthread_join(threads[0], NULL);
    _exit(0);
}

static void threads_that_read_at_the_same_moment_leave_the_mark(void **state)
{
    for (int round = 0; round < ROUNDS; round++) {
        AUTO_FREE char *mark = memory_format("%s/mark-%d", (char *)*state, round);
        int ended = 0;
        pid_t child = fork();
        if (child == 0) {
            die_together(*state, mark);
        }
        assert_int_equal(waitpid(child, &ended, 0), child);
        assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGBUS);
        assert_int_equal(access(mark, F_OK), 0);
    }
}

static void a_mark_that_was_cleared_is_not_left(void **state)
{
    AUTO_FREE char *mark = memory_format("%s/mark", (char *)*state);
    assert_int_equal(die_reading(*state, mark, true), SIGBUS);
    assert_int_equal(access(mark, F_OK), -1);
}

static void there_is_one_mark(void **state)
{
    (void)state;
    AUTO_FREE char *long_path = memory_new(1, MAPPED_MARK_MAX + 1);
    memset(long_path, 'x', MAPPED_MARK_MAX);
    assert_false(mapped_mark_set(long_path));
    assert_true(mapped_mark_set("/tmp/one"));
    assert_false(mapped_mark_set("/tmp/other"));
    mapped_mark_clear("/tmp/other");
    assert_false(mapped_mark_set("/tmp/other"));
    mapped_mark_clear("/tmp/one");
    assert_true(mapped_mark_set("/tmp/other"));
    mapped_mark_clear("/tmp/other");
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_new, folder_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_page_that_cannot_be_read_leaves_the_mark),
        IN_A_FOLDER(threads_that_read_at_the_same_moment_leave_the_mark),
        IN_A_FOLDER(a_mark_that_was_cleared_is_not_left),
        cmocka_unit_test(there_is_one_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
