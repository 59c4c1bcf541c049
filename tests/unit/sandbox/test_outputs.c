#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/outputs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_LENGTH = 240 };

struct place {
    char folder[64];
    int fd;
};

static int setup(void **state)
{
    struct place *place = NEW(struct place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/lode-outputs-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    place->fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->fd >= 0);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    (void)close(place->fd);
    assert_int_equal(file_remove_tree(place->folder, NULL), OK);
    free(place);
    return 0;
}

static enum status collect(const struct place *place, size_t *count, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    static const char *const PATTERNS[] = {"**"};
    const struct outputs_wanted wanted = {.patterns = PATTERNS, .pattern_count = 1};
    struct outputs outputs = {0};
    enum status status = outputs_collect(place->fd, &wanted, &arena, &outputs, error);
    *count = outputs.count;
    outputs_close(&outputs);
    return status;
}

// A name of NAME_LENGTH bytes that starts with the number.
static void name_of(int number, char fill, char *name)
{
    int length = snprintf(name, NAME_LENGTH + 1, "%d", number);
    memset(name + length, fill, (size_t)(NAME_LENGTH - length));
    name[NAME_LENGTH] = '\0';
}

static void make_files(const struct place *place, int count)
{
    for (int i = 0; i < count; i++) {
        char name[NAME_LENGTH + 1];
        name_of(i, '\1', name);
        AUTO_CLOSE int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
    }
}

static void a_list_of_outputs_that_no_poll_could_hold_is_refused(void **state)
{
    const struct place *place = *state;
    struct error error = {0};
    size_t count = 0;
    make_files(place, 3);
    assert_int_equal(collect(place, &count, &error), OK);
    assert_int_equal(count, 3);
    teardown(state);
    assert_int_equal(setup(state), 0);
    place = *state;
    make_files(place, OUTPUTS_LIST_MAX / (6 * NAME_LENGTH)); // Each byte takes six as JSON.
    assert_int_equal(collect(place, &count, &error), QUOTA);
    assert_non_null(strstr(error.detail, "names of the task's output files"));
    assert_int_equal(count, 0);
}

static void more_folders_than_memory_is_for_are_refused(void **state)
{
    const struct place *place = *state;
    struct error error = {0};
    size_t count = 0;
    AUTO_CLOSE int fd = dup(place->fd);
    size_t length = 0;
    char name[NAME_LENGTH + 1];
    name_of(0, 'x', name);
    for (int depth = 0; depth < 15; depth++) {
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
        length += NAME_LENGTH + 1;
    }
    int folders = (int)(OUTPUTS_WAITING_MAX / (length + NAME_LENGTH)) + 1;
    for (int i = 1; i <= folders; i++) {
        name_of(i, 'x', name);
        assert_int_equal(mkdirat(fd, name, 0755), 0);
    }
    assert_int_equal(collect(place, &count, &error), QUOTA);
    assert_non_null(strstr(error.detail, "folders"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_list_of_outputs_that_no_poll_could_hold_is_refused),
        TEST(more_folders_than_memory_is_for_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
