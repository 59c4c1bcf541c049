// What must hold when things break around an ordered map: a kill in the middle, damaged and missing files, a full disk.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"
#include "store/ordered.h"
#include "store/records.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { KILL_ROUNDS = 6, ENTRIES = 20, SYNC_EVERY = 40, VALUE_BYTES = 16384 };

static struct ordered *open_map(const char *folder)
{
    struct ordered *ordered = NULL;
    struct error error = {0};
    if (ordered_open(folder, records_combine, &ordered, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return ordered;
}

// Adds a record, its key the number, to what all batches share.
static enum status combine_number(struct ordered_batch *batch, int64_t number, struct error *error)
{
    AUTO_BUFFER struct buffer set = {0};
    AUTO_FREE char *key = memory_format("%08lld", (long long)number);
    const struct record record = {.key = text_of(key)};
    records_append(&set, &record);
    return ordered_batch_combine(batch, TEXT("numbers"), buffer_text(&set), error);
}

// Batch `number`: ENTRIES keys spread over the map, each "KEY NUMBER", the number itself as the position, and as one of the numbers.
static enum status write_number(struct ordered *ordered, struct ordered_batch *batch,
                                int64_t number, struct error *error)
{
    static char value[VALUE_BYTES];
    uint64_t random = (uint64_t)number;
    for (int i = 0; i < ENTRIES; i++) {
        for (size_t at = 0; at < sizeof value; at += sizeof random) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            memcpy(value + at, &random, sizeof random); // Not to be compressed.
        }
        AUTO_FREE char *key = memory_format("%02d %08lld", i, (long long)number);
        TRY(ordered_batch_put(batch, text_of(key), (struct text){value, sizeof value}, error));
    }
    AUTO_FREE char *position = memory_format("%lld", (long long)number);
    TRY(combine_number(batch, number, error));
    TRY(ordered_batch_put(batch, TEXT("position"), text_of(position), error));
    return ordered_write(ordered, batch, error);
}

static int64_t position_of(struct ordered *ordered)
{
    struct buffer value = {0};
    int64_t position = 0;
    enum status status = ordered_get(ordered, TEXT("position"), &value, NULL);
    assert_true(status == OK || status == NOT_FOUND);
    assert_true(status != OK || text_to_int64(buffer_text(&value), &position));
    buffer_done(&value);
    return position;
}

// The numbers are 1, 2 and so on; counts them.
static bool count_numbers(void *context, struct text key, struct text value)
{
    int64_t *count = context;
    struct record record;
    (void)key;
    while (records_next(&value, &record) == OK) {
        AUTO_FREE char *expected = memory_format("%08lld", (long long)(*count + 1));
        *count += text_equal(record.key, text_of(expected)) && !record.is_removed;
    }
    return true;
}

static bool count_entry(void *context, struct text key, struct text value)
{
    int64_t *count = context;
    (void)key;
    (void)value;
    (*count)++;
    return true;
}

static int64_t count_entries(struct ordered *ordered)
{
    int64_t count = 0;
    assert_int_equal(ordered_scan(ordered, TEXT_NONE, TEXT_NONE, count_entry, &count, NULL), OK);
    return count;
}

// All batches up to the position are there, and nothing of a later one.
static void assert_whole(struct ordered *ordered)
{
    int64_t position = position_of(ordered);
    assert_int_equal(count_entries(ordered), position > 0 ? position * ENTRIES + 2 : 0);
    int64_t numbers = 0;
    enum status status = ordered_visit(ordered, TEXT("numbers"), count_numbers, &numbers, NULL);
    assert_int_equal(status, position > 0 ? OK : NOT_FOUND);
    assert_int_equal(numbers, position);
}

// The program that is killed: writes batches without end and says on standard output which it has synced.
static _Noreturn void write_until_killed(const char *folder)
{
    struct ordered *ordered = open_map(folder);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    for (int64_t number = position_of(ordered) + 1;; number++) {
        if (write_number(ordered, batch, number, NULL) != OK) {
            _exit(1);
        }
        bool is_synced = number % SYNC_EVERY == 0;
        int64_t told = is_synced ? number : 0;
        if ((is_synced && ordered_sync(ordered, NULL) != OK) ||
            write(STDOUT_FILENO, &told, sizeof told) != (ssize_t)sizeof told) {
            _exit(1);
        }
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
    AUTO_FREE char *name = memory_copy_string("test_store_ordered_faults");
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

// Kills the process after `kill_after` batches; returns the last one that was synced.
static int64_t read_and_kill(pid_t process, int fd, int kill_after)
{
    int64_t synced = 0;
    int64_t told = 0;
    for (int count = 1; read(fd, &told, sizeof told) == (ssize_t)sizeof told; count++) {
        synced = told > synced ? told : synced;
        if (count == kill_after) {
            assert_int_equal(kill(process, SIGKILL), 0);
        }
    }
    int status = 0;
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFSIGNALED(status));
    return synced;
}

static void a_kill_leaves_whole_batches_and_all_that_were_synced(void **state)
{
    uint64_t random = 20261130;
    for (int round = 0; round < KILL_ROUNDS; round++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        int fd = -1;
        pid_t process = start_writer(*state, &fd);
        int64_t synced = read_and_kill(process, fd, 1 + (int)((random >> 33) % 150));
        (void)close(fd);
        struct ordered *ordered = open_map(*state);
        assert_true(position_of(ordered) >= synced);
        assert_whole(ordered);
        ordered_close(ordered);
    }
    struct ordered *ordered = open_map(*state);
    assert_true(position_of(ordered) > 0);
    ordered_close(ordered);
}

static void an_orderly_close_loses_nothing(void **state)
{
    struct ordered *ordered = open_map(*state);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    assert_int_equal(write_number(ordered, batch, 1, NULL), OK);
    ordered_batch_free(batch);
    ordered_close(ordered);
    ordered = open_map(*state);
    assert_int_equal(position_of(ordered), 1);
    assert_whole(ordered);
    ordered_close(ordered);
}

// The path of the first file of the folder with this ending, or NULL; a heap string.
static char *find_file(const char *folder, struct text ending)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    char *found = NULL;
    const struct dirent *entry;
    while (!found && (entry = readdir(directory))) {
        if (text_ends_with(text_of(entry->d_name), ending)) {
            found = memory_format("%s/%s", folder, entry->d_name);
        }
    }
    (void)closedir(directory);
    return found;
}

// A map with one file of entries, closed; the path of that file.
static char *make_file(const char *folder)
{
    struct ordered *ordered = open_map(folder);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    assert_int_equal(write_number(ordered, batch, 1, NULL), OK);
    ordered_batch_free(batch);
    ordered_close(ordered);
    char *path = find_file(folder, TEXT(".sst"));
    assert_non_null(path);
    return path;
}

static void assert_says_the_way_out(const struct error *error, const char *folder)
{
    assert_int_equal(error->status, CORRUPT);
    assert_non_null(strstr(error->detail, folder));
    assert_non_null(strstr(error->fix, "remove the folder"));
}

static void damage_within_a_file_is_reported_when_it_is_read(void **state)
{
    AUTO_FREE char *path = make_file(*state);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, VALUE_BYTES / 2), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, VALUE_BYTES / 2), 1);
    struct ordered *ordered = open_map(*state);
    int64_t count = 0;
    struct error error = {0};
    assert_int_equal(ordered_scan(ordered, TEXT_NONE, TEXT_NONE, count_entry, &count, &error),
                     CORRUPT);
    assert_says_the_way_out(&error, *state);
    struct buffer value = {0};
    error = (struct error){0};
    assert_int_equal(ordered_get(ordered, TEXT("00 00000001"), &value, &error), CORRUPT);
    assert_says_the_way_out(&error, *state);
    assert_null(value.bytes);
    ordered_close(ordered);
}

static void a_missing_or_short_file_is_reported_when_opening(void **state)
{
    AUTO_FREE char *path = make_file(*state);
    assert_int_equal(truncate(path, VALUE_BYTES), 0);
    struct ordered *ordered = NULL;
    struct error error = {0};
    assert_int_equal(ordered_open(*state, records_combine, &ordered, &error), CORRUPT);
    assert_says_the_way_out(&error, *state);
    assert_int_equal(unlink(path), 0);
    error = (struct error){0};
    assert_int_equal(ordered_open(*state, records_combine, &ordered, &error), CORRUPT);
    assert_says_the_way_out(&error, *state);
    assert_null(ordered);
    assert_int_equal(ordered_open(*state, records_combine, &ordered, NULL), CORRUPT);
}

static void a_damaged_list_of_files_is_reported_when_opening(void **state)
{
    free(make_file(*state));
    AUTO_FREE char *current = memory_format("%s/CURRENT", (char *)*state);
    assert_int_equal(file_write_atomic(current, TEXT("MANIFEST-999999\n"), 0600, NULL), OK);
    struct ordered *ordered = NULL;
    struct error error = {0};
    assert_int_equal(ordered_open(*state, records_combine, &ordered, &error), CORRUPT);
    assert_says_the_way_out(&error, *state);
    // The way out.
    assert_int_equal(ordered_remove(*state, NULL), OK);
    ordered = open_map(*state);
    assert_whole(ordered);
    assert_int_equal(position_of(ordered), 0);
    ordered_close(ordered);
}

static bool mount_small_disk(const char *folder)
{
    // In a mount namespace of its own, so that it goes with the process.
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, "size=12m") == 0;
}

static int unmount_and_free(void **state)
{
    (void)umount2(*state, MNT_DETACH);
    return fixture_folder_free(state);
}

static void a_full_disk_refuses_batches_and_leaves_what_was_synced(void **state)
{
    if (!mount_small_disk(*state)) {
        print_message("skipped: mounting a tmpfs is not permitted here (%s)\n", strerror(errno));
        skip();
    }
    AUTO_FREE char *folder = memory_format("%s/index", (char *)*state);
    AUTO_FREE char *filler = memory_format("%s/filler", (char *)*state);
    AUTO_CLOSE int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, 6 << 20), 0);
    struct ordered *ordered = open_map(folder);
    struct ordered_batch *batch = ordered_batch_new(ordered);
    struct error error = {0};
    enum status status = OK;
    int64_t synced = 0;
    for (int64_t number = 1; status == OK; number++) {
        assert_true(number < 1000);
        status = write_number(ordered, batch, number, &error);
        if (status == OK && (status = ordered_sync(ordered, &error)) == OK) {
            synced = number;
        }
    }
    assert_int_equal(status, QUOTA);
    assert_non_null(strstr(error.fix, "free space"));
    assert_true(synced > 0 && position_of(ordered) >= synced);
    ordered_batch_free(batch);
    ordered_close(ordered);
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    ordered = open_map(folder);
    assert_true(position_of(ordered) >= synced);
    assert_whole(ordered);
    batch = ordered_batch_new(ordered);
    assert_int_equal(write_number(ordered, batch, position_of(ordered) + 1, NULL), OK);
    assert_int_equal(ordered_sync(ordered, NULL), OK);
    ordered_batch_free(batch);
    ordered_close(ordered);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--write") == 0) {
        write_until_killed(arguments[2]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, fixture_folder_free)
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_folder_new, unmount_and_free)
    const struct CMUnitTest tests[] = {
        // First, so that the library's threads start in its mount namespace.
        DISK_TEST(a_full_disk_refuses_batches_and_leaves_what_was_synced),
        TEST(a_kill_leaves_whole_batches_and_all_that_were_synced),
        TEST(an_orderly_close_loses_nothing),
        TEST(damage_within_a_file_is_reported_when_it_is_read),
        TEST(a_missing_or_short_file_is_reported_when_opening),
        TEST(a_damaged_list_of_files_is_reported_when_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
