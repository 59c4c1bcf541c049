// Trees on their way off the disk.
#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "shelf/remover.h"

#include <dirent.h>
#include <sys/stat.h>

#define DEADLINE_US INT64_C(60000000)

// Who removes waits here until a test lets it.
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_open;
    bool is_reached;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void open_gate(bool is_open)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.is_open = is_open;
    gate.is_reached = false;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void await_reached(void)
{
    int64_t until_us = clock_steady_us() + DEADLINE_US;
    (void)pthread_mutex_lock(&gate.mutex);
    while (!gate.is_reached) {
        assert_true(condition_wait_until(&gate.changed, &gate.mutex, until_us));
    }
    (void)pthread_mutex_unlock(&gate.mutex);
}

static enum status remove_behind_gate(const char *path, struct error *error)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.is_reached = true;
    (void)pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open) {
        (void)condition_wait_until(&gate.changed, &gate.mutex, INT64_MAX);
    }
    (void)pthread_mutex_unlock(&gate.mutex);
    return file_remove_tree(path, error);
}

static void make_tree(const char *name, char **out)
{
    AUTO_FREE char *inner = memory_format("%s/%s/bin", folder, name);
    AUTO_FREE char *file = memory_format("%s/tool", inner);
    *out = memory_format("%s/%s", folder, name);
    assert_int_equal(file_make_folder(inner, NULL), OK);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(chmod(inner, 0500), 0); // As archives have them.
}

static int count_entries(void)
{
    int count = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(list);
    return count;
}

static void await_nothing_left(const struct remover *remover)
{
    int64_t until_us = clock_steady_us() + DEADLINE_US;
    while (remover_left(remover) > 0) {
        assert_true(clock_steady_us() < until_us);
        (void)usleep(1000);
    }
}

// The loop goes on meanwhile, and may put another tree where that one was.
static void its_place_is_free_before_it_is_removed(void **state)
{
    (void)state;
    struct remover *remover = NULL;
    AUTO_FREE char *tree = NULL;
    make_tree("tree", &tree);
    open_gate(false);
    assert_int_equal(remover_new(remove_behind_gate, &remover, NULL), OK);
    assert_int_equal(remover_take(remover, tree, NULL), OK);
    assert_int_equal(access(tree, F_OK), -1);
    await_reached();
    assert_int_equal(remover_left(remover), 1);
    assert_int_equal(count_entries(), 1);
    open_gate(true);
    await_nothing_left(remover);
    assert_int_equal(count_entries(), 0);
    remover_free(remover);
}

static void nothing_is_no_fault(void **state)
{
    (void)state;
    struct remover *remover = NULL;
    AUTO_FREE char *tree = memory_format("%s/none", folder);
    assert_int_equal(remover_new(file_remove_tree, &remover, NULL), OK);
    assert_int_equal(remover_take(remover, tree, NULL), OK);
    assert_int_equal(remover_left(remover), 0);
    remover_free(remover);
}

// A worker that ends waits for one tree at most; the next one finds the rest.
static void what_was_not_begun_stays_at_the_end(void **state)
{
    (void)state;
    struct remover *remover = NULL;
    AUTO_FREE char *first = NULL;
    AUTO_FREE char *second = NULL;
    make_tree("first", &first);
    make_tree("second", &second);
    open_gate(false);
    assert_int_equal(remover_new(remove_behind_gate, &remover, NULL), OK);
    assert_int_equal(remover_take(remover, first, NULL), OK);
    await_reached();
    assert_int_equal(remover_take(remover, second, NULL), OK);
    assert_int_equal(remover_left(remover), 2);
    remover_stop(remover);
    open_gate(true);
    remover_free(remover);
    assert_int_equal(count_entries(), 1);
}

static int make_folder(void **state)
{
    condition_init(&gate.changed);
    return folder_make(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_place_is_free_before_it_is_removed),
        cmocka_unit_test(nothing_is_no_fault),
        cmocka_unit_test(what_was_not_begun_stays_at_the_end),
    };
    return cmocka_run_group_tests(tests, make_folder, folder_remove);
}
