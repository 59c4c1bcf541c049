// What is durable when it is acknowledged: which calls reach the disk, and in which order. The functions of the C library that sync and name files are
// replaced by ones that note their call, for SQLite too.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "store/blobs.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STEPS_MAX = 64, WRITES = 100, COMMITS_MAX = 3, COMMIT_SYNCS_MAX = 4 };

#define SEEN_BY_ALL __attribute__((visibility("default")))

// What was done to files since the last `forget`: 'f' a file was synced, 'd' a folder, 'n' a file got its name.
static _Atomic int steps_done;
static char steps[STEPS_MAX + 1];

static void note(char step)
{
    int at = atomic_fetch_add(&steps_done, 1);
    if (at < STEPS_MAX) {
        steps[at] = step;
    }
}

static void forget(void)
{
    atomic_store(&steps_done, 0);
    memset(steps, 0, sizeof steps);
}

static char kind_of(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) ? 'd' : 'f';
}

SEEN_BY_ALL int fsync(int fd)
{
    int result = (int)syscall(SYS_fsync, fd);
    note(kind_of(fd));
    return result;
}

SEEN_BY_ALL int fdatasync(int fd)
{
    int result = (int)syscall(SYS_fdatasync, fd);
    note(kind_of(fd));
    return result;
}

SEEN_BY_ALL int rename(const char *from, const char *to)
{
    note('n');
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int open_folder(void **state)
{
    void *folder = NULL;
    assert_int_equal(fixture_folder_new(&folder), 0);
    *state = folder;
    return 0;
}

struct answered {
    int64_t id;
    int syncs; // When the answer came.
    sem_t *came;
};

static enum status add(struct sql *sql, void *context, struct error *error)
{
    struct answered *answered = context;
    return fixture_add_note(sql, &answered->id, error);
}

static void answer(void *context, enum status status, const struct error *error)
{
    struct answered *answered = context;
    (void)error;
    assert_int_equal(status, OK);
    answered->syncs = atomic_load(&steps_done);
    (void)sem_post(answered->came);
}

static void a_write_is_on_the_disk_before_its_answer(void **state)
{
    struct store *store = fixture_store(*state);
    sem_t came;
    (void)sem_init(&came, 0, 0);
    struct answered answered = {.id = 1, .came = &came};
    forget();
    store_write(store, add, answer, &answered);
    (void)sem_wait(&came);
    assert_true(answered.syncs > 0);
    assert_int_equal(steps[0], 'f');
    store_close(store);
    (void)sem_destroy(&came);
}

static enum status look(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)context;
    (void)error;
    return OK;
}

static void a_write_that_changes_nothing_costs_no_sync(void **state)
{
    struct store *store = fixture_store(*state);
    forget();
    assert_int_equal(store_write_wait(store, look, NULL, NULL), OK);
    assert_int_equal(atomic_load(&steps_done), 0);
    store_close(store);
}

static enum status hold(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)error;
    (void)sem_wait(context);
    return OK;
}

static void writes_that_wait_share_a_sync(void **state)
{
    struct store *store = fixture_store(*state);
    static struct answered answered[WRITES];
    sem_t gate;
    sem_t came;
    (void)sem_init(&gate, 0, 0);
    (void)sem_init(&came, 0, 0);
    forget();
    store_write(store, hold, NULL, &gate);
    for (int64_t i = 0; i < WRITES; i++) {
        answered[i] = (struct answered){.id = i + 1, .came = &came};
        store_write(store, add, answer, &answered[i]);
    }
    (void)sem_post(&gate);
    for (int i = 0; i < WRITES; i++) {
        (void)sem_wait(&came);
    }
    assert_in_range(atomic_load(&steps_done), 1, COMMITS_MAX * COMMIT_SYNCS_MAX);
    store_close(store);
    (void)sem_destroy(&gate);
    (void)sem_destroy(&came);
}

static void a_blob_is_on_the_disk_before_it_has_its_name_and_then_the_name(void **state)
{
    struct blobs *blobs = NULL;
    struct digest digest;
    assert_int_equal(blobs_open(*state, &blobs, NULL), OK);
    forget();
    assert_int_equal(blob_put(blobs, TEXT("abc"), &digest, NULL), OK);
    assert_string_equal(steps, "fnd");
    // Who named one that is there already may not have come so far as to sync its folder.
    forget();
    assert_int_equal(blob_put(blobs, TEXT("abc"), &digest, NULL), OK);
    assert_string_equal(steps, "d");
    blobs_close(blobs);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, open_folder, fixture_folder_free)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_write_is_on_the_disk_before_its_answer),
        IN_A_FOLDER(a_write_that_changes_nothing_costs_no_sync),
        IN_A_FOLDER(writes_that_wait_share_a_sync),
        IN_A_FOLDER(a_blob_is_on_the_disk_before_it_has_its_name_and_then_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
