// What must hold when things break: a kill in the middle, a full disk, a transaction that the database gives up.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"
#include "store/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { KILL_ROUNDS = 12, UNDER_WAY_MAX = 64 };

// The program that is killed: writes rows without end and says on standard output which are durable.
struct pending {
    int64_t id;
    sem_t *room;
};

static enum status add_pending(struct sql *sql, void *context, struct error *error)
{
    struct pending *pending = context;
    return fixture_add_note(sql, &pending->id, error);
}

static void acknowledge(void *context, enum status status, const struct error *error)
{
    (void)error;
    struct pending *pending = context;
    if (status != OK || write(STDOUT_FILENO, &pending->id, sizeof pending->id) < 0) {
        _exit(1);
    }
    (void)sem_post(pending->room);
    free(pending);
}

static _Noreturn void write_until_killed(const char *folder)
{
    struct store *store = fixture_store(folder);
    sem_t room;
    (void)sem_init(&room, 0, UNDER_WAY_MAX);
    for (int64_t id = fixture_count(store) + 1;; id++) {
        struct pending *pending = NEW(struct pending);
        *pending = (struct pending){id, &room};
        (void)sem_wait(&room);
        store_write(store, add_pending, acknowledge, pending);
    }
}

static pid_t start_writer(const char *folder, int *out)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    AUTO_FREE char *argument = memory_copy_string(folder);
    AUTO_FREE char *name = memory_copy_string("test_store_faults");
    AUTO_FREE char *option = memory_copy_string("--write");
    char *arguments[] = {name, option, argument, NULL};
    pid_t process = -1;
    assert_int_equal(posix_spawn(&process, "/proc/self/exe", &actions, NULL, arguments, environ),
                     0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    *out = ends[0];
    return process;
}

// Reads ids up to the end of the pipe; kills the process after `kill_after` of them. Returns the last.
static int64_t read_and_kill(pid_t process, int fd, int64_t kill_after)
{
    int64_t last = 0;
    int64_t id = 0;
    for (int64_t count = 1; read(fd, &id, sizeof id) == (ssize_t)sizeof id; count++) {
        assert_true(last == 0 || id == last + 1);
        last = id;
        if (count == kill_after) {
            assert_int_equal(kill(process, SIGKILL), 0);
        }
    }
    int status = 0;
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void what_was_acknowledged_survives_a_kill_at_any_point(void **state)
{
    uint64_t random = 20261121;
    for (int round = 0; round < KILL_ROUNDS; round++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        int fd = -1;
        pid_t process = start_writer(*state, &fd);
        int64_t last = read_and_kill(process, fd, 1 + (int64_t)(random >> 33) % 700);
        (void)close(fd);
        assert_true(last > 0);
        struct store *store = fixture_store(*state);
        // Rows were written in order, so their number says that none before the last is missing.
        assert_true(fixture_count(store) >= last);
        store_close(store);
    }
}

// What several writes of one batch report, in order.
struct report {
    int recovered;
    int told;
    enum status statuses[8];
    int recovered_before[8];
};

struct step {
    struct report *report;
    store_write_fn *run;
    int64_t id;
};

static enum status run_step(struct sql *sql, void *context, struct error *error)
{
    struct step *step = context;
    return step->run(sql, &step->id, error);
}

static void note(void *context, enum status status, const struct error *error)
{
    struct step *step = context;
    struct report *report = step->report;
    assert_true((status == OK) == (error == NULL));
    report->statuses[report->told] = status;
    report->recovered_before[report->told] = report->recovered;
    report->told++;
}

static enum status count_recovery(struct sql *sql, void *context, struct error *error)
{
    struct report *report = context;
    report->recovered++;
    return sql_run(sql, "DELETE FROM notes WHERE id < $1", SQL_VALUES(sql_int64(0)), NULL, error);
}

static enum status wait_for(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)error;
    return sem_wait(context) == 0 ? OK : INTERNAL;
}

static enum status give_up(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    return sql_run(sql, "ROLLBACK", SQL_NO_VALUES, NULL, error);
}

static enum status do_nothing(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)context;
    (void)error;
    return OK;
}

static void a_transaction_that_is_given_up_fails_those_within_it_only(void **state)
{
    struct store *store = fixture_store(*state);
    struct report report = {0};
    struct step steps[] = {
        {&report, fixture_add_note, 1}, {&report, give_up, 0}, {&report, fixture_add_note, 1}};
    sem_t gate;
    (void)sem_init(&gate, 0, 0);
    store_on_recover(store, count_recovery, &report);
    store_write(store, wait_for, NULL, &gate); // So that the others gather.
    for (size_t i = 0; i < 3; i++) {
        store_write(store, run_step, note, &steps[i]);
    }
    (void)sem_post(&gate);
    assert_int_equal(store_write_wait(store, do_nothing, NULL, NULL), OK);
    assert_int_equal(report.told, 3);
    assert_int_equal(report.statuses[0], INTERNAL);
    assert_int_equal(report.recovered_before[0], 1);
    assert_int_equal(report.statuses[1], INTERNAL);
    assert_int_equal(report.statuses[2], OK);
    assert_int_equal(fixture_count(store), 1);
    store_close(store);
}

static void a_failure_within_a_batch_leaves_the_others_alone(void **state)
{
    struct store *store = fixture_store(*state);
    struct report report = {0};
    struct step steps[] = {{&report, fixture_add_note, 1},
                           {&report, fixture_add_note, 1},
                           {&report, fixture_add_note, 2}};
    sem_t gate;
    (void)sem_init(&gate, 0, 0);
    store_write(store, wait_for, NULL, &gate);
    for (size_t i = 0; i < 3; i++) {
        store_write(store, run_step, note, &steps[i]);
    }
    (void)sem_post(&gate);
    assert_int_equal(store_write_wait(store, do_nothing, NULL, NULL), OK);
    assert_int_equal(report.statuses[0], OK);
    assert_int_equal(report.statuses[1], CONFLICT);
    assert_int_equal(report.statuses[2], OK);
    assert_int_equal(fixture_count(store), 2);
    assert_true(store_figures(store).commits <= 2);
    store_close(store);
}

static bool mount_small_disk(const char *folder)
{
    // In a mount namespace of its own, so that it goes with the process.
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, "size=4m") == 0;
}

static int unmount_and_free(void **state)
{
    (void)umount2(*state, MNT_DETACH);
    return fixture_folder_free(state);
}

static void require_small_disk(const char *folder)
{
    if (!mount_small_disk(folder)) {
        print_message("skipped: mounting a tmpfs is not permitted here (%s)\n", strerror(errno));
        skip();
    }
}

static enum status add_large_note(struct sql *sql, void *context, struct error *error)
{
    static char body[30000];
    memset(body, 'b', sizeof body);
    const int64_t *id = context;
    return sql_run(sql, "INSERT INTO notes (id, body) VALUES ($1, $2)",
                   SQL_VALUES(sql_int64(*id), sql_text((struct text){body, sizeof body})), NULL,
                   error);
}

static void fill(const char *path, int64_t size)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, size), 0);
}

static void a_full_disk_refuses_writes_until_there_is_space(void **state)
{
    require_small_disk(*state);
    struct store *store = fixture_store(*state);
    struct report report = {0};
    store_on_recover(store, count_recovery, &report);
    AUTO_FREE char *filler = memory_format("%s/filler", (char *)*state);
    fill(filler, 2 << 20);
    struct error error = {0};
    int64_t added = 0;
    enum status status = OK;
    while (status == OK) {
        int64_t id = added + 1;
        status = store_write_wait(store, add_large_note, &id, &error);
        added += status == OK;
        assert_true(added < 1000);
    }
    assert_int_equal(status, QUOTA);
    assert_non_null(strstr(error.detail, "full"));
    assert_non_null(strstr(error.fix, "free space"));
    assert_int_equal(report.recovered, 1);
    assert_int_equal(fixture_count(store), added);
    assert_int_equal(store_write_wait(store, do_nothing, NULL, NULL), OK);
    assert_int_equal(unlink(filler), 0);
    int64_t id = added + 1;
    assert_int_equal(store_write_wait(store, add_large_note, &id, NULL), OK);
    store_close(store);
    store = fixture_store(*state);
    assert_int_equal(fixture_count(store), added + 1);
    store_close(store);
}

static void a_blob_that_does_not_fit_leaves_nothing(void **state)
{
    require_small_disk(*state);
    struct blobs *blobs = NULL;
    assert_int_equal(blobs_open(*state, &blobs, NULL), OK);
    AUTO_FREE char *bytes = memory_new(1, 8 << 20);
    struct digest digest;
    struct error error = {0};
    assert_int_equal(blob_put(blobs, (struct text){bytes, 8 << 20}, &digest, &error), QUOTA);
    assert_int_equal(blob_put(blobs, (struct text){bytes, 2 << 20}, &digest, &error), OK);
    blobs_close(blobs);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--write") == 0) {
        write_until_killed(arguments[2]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, unmount_and_free)
    const struct CMUnitTest tests[] = {
        TEST(what_was_acknowledged_survives_a_kill_at_any_point),
        TEST(a_transaction_that_is_given_up_fails_those_within_it_only),
        TEST(a_failure_within_a_batch_leaves_the_others_alone),
        DISK_TEST(a_full_disk_refuses_writes_until_there_is_space),
        DISK_TEST(a_blob_that_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
