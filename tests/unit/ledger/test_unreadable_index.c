// An index whose disk fails under it while it is read.
#include "hub.h"

#include "../cmocka_all.h"

#include "base/memory.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

// To the process that has them mapped, files without a page are as a disk that gives none.
static void empty_all_files(const char *folder)
{
    AUTO_FREE char *index = memory_format("%s/index", folder);
    DIR *directory = opendir(index);
    const struct dirent *entry;
    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        if (text_ends_with(text_of(entry->d_name), TEXT(".sst"))) {
            AUTO_FREE char *path = memory_format("%s/%s", index, entry->d_name);
            assert_int_equal(truncate(path, 0), 0);
        }
    }
    (void)closedir(directory);
}

// A hub that loses its disk; ends the process.
static _Noreturn void lose_the_disk(const char *folder)
{
    struct hub hub = {0};
    struct talker talker;
    hub_open(&hub, folder);
    talker_open(&talker, folder, "site");
    talker_say_many(&talker, 0, 100);
    hub_follow(&hub, &talker);
    hub_close(&hub);
    hub_open(&hub, folder);
    empty_all_files(folder);
    (void)hub_count(&hub, "s:99");
    _exit(0);
}

static void an_index_that_cannot_be_read_is_made_anew_at_the_next_start(void **state)
{
    struct hub hub = {0};
    int ended = 0;
    AUTO_FREE char *mark = memory_format("%s/index.damaged", (const char *)*state);
    // Before this process has threads.
    pid_t child = fork();
    if (child == 0) {
        lose_the_disk(*state);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGBUS);
    assert_int_equal(access(mark, F_OK), 0);
    hub_open(&hub, *state);
    assert_int_equal(atomic_load(&hub.reported), 1);
    assert_int_equal(access(mark, F_OK), -1);
    assert_int_equal(hub_count(&hub, "s:99"), 1);
    hub_close(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_index_that_cannot_be_read_is_made_anew_at_the_next_start,
                                        fixture_folder_new, fixture_folder_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
