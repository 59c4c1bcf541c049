#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/cgroup.h"
#include "os/file.h"
#include "os/process.h"
#include "os/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static bool has_words(char **words, const char *first, const char *second, const char *third)
{
    for (size_t i = 0; words[i] && words[i + 1] && words[i + 2]; i++) {
        if (strcmp(words[i], first) == 0 && strcmp(words[i + 1], second) == 0 &&
            strcmp(words[i + 2], third) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_word(char **words, const char *word)
{
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static void the_command_line_isolates_everything_and_binds_what_is_asked(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    const struct sandbox_bind binds[] = {{.source = "/srv/a b", .target = "/data/x"},
                                         {.source = "/w", .target = "/work", .is_writable = true}};
    const char *const command[] = {"/bin/true", NULL};
    struct sandbox_options options = {.etc_folder = "/e",
                                      .binds = binds,
                                      .bind_count = 2,
                                      .command = command,
                                      .work_folder = "/work"};
    char **words = sandbox_arguments(&arena, &options);
    assert_true(has_word(words, "--unshare-all"));
    assert_true(has_word(words, "--die-with-parent"));
    assert_true(has_words(words, "--cap-drop", "ALL", "--hostname"));
    assert_true(has_words(words, "--ro-bind", "/srv/a b", "/data/x"));
    assert_true(has_words(words, "--bind", "/w", "/work"));
    assert_true(has_words(words, "--ro-bind", "/e", "/etc"));
    assert_false(has_word(words, "--share-net"));
    options.has_network = true;
    assert_true(has_word(sandbox_arguments(&arena, &options), "--share-net"));
}

static void the_copy_of_etc_has_no_secrets(void **state)
{
    (void)state;
    AUTO_FREE char *etc = memory_format("%s/etc", folder);
    AUTO_FREE char *shadow = memory_format("%s/shadow", etc);
    AUTO_FREE char *keys = memory_format("%s/ssl/private", etc);
    AUTO_FREE char *users = memory_format("%s/passwd", etc);
    AUTO_BUFFER struct buffer content = {0};
    assert_int_equal(sandbox_prepare_etc(etc, NULL), OK);
    assert_int_not_equal(access(shadow, F_OK), 0);
    assert_int_not_equal(access(keys, F_OK), 0);
    assert_int_equal(file_read(users, 4096, &content, NULL), OK);
    assert_non_null(strstr(content.bytes, "lode:x:1000"));
}

// Starts `sleep` in the group.
static pid_t start_sleeper(const struct cgroup *group)
{
    char program[] = "sleep";
    char time[] = "1000";
    char *arguments[] = {program, time, NULL};
    char *environment[] = {NULL};
    AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int descriptors[] = {null_fd, null_fd, null_fd};
    struct process_options options = {.program = "/bin/sleep",
                                      .arguments = arguments,
                                      .environment = environment,
                                      .descriptors = descriptors,
                                      .descriptor_count = 3,
                                      .dies_with_parent = true};
    options.join_fds = cgroup_join_fds(group, &options.join_count);
    pid_t pid = 0;
    assert_int_equal(process_start(&options, &pid, NULL), OK);
    return pid;
}

static void a_group_is_made_joined_and_removed(void **state)
{
    (void)state;
    AUTO_FREE char *name = memory_format("lode-test-groups-%d", (int)getpid());
    struct cgroups *groups = cgroups_new(name);
    struct cgroup *group = NULL;
    const struct cgroup_limits limits = {.memory_bytes = 1 << 25, .pids = 10, .cpu_millis = 500};
    assert_int_equal(cgroup_new(groups, "one", &limits, &group, NULL), OK);
    pid_t pid = start_sleeper(group);
    assert_int_equal(cgroup_memory_kills(group), 0);
    int status = 0;
    assert_false(process_has_ended(pid, false, &status));
    (void)kill(pid, SIGKILL);
    assert_true(process_has_ended(pid, true, &status));
    assert_true(WIFSIGNALED(status));
    cgroup_free(group);
    cgroups_free(groups);
}

static void a_program_that_does_not_exist_is_said_at_once(void **state)
{
    (void)state;
    char *none[] = {NULL};
    const struct process_options options = {
        .program = "/no/such/program", .arguments = none, .environment = none};
    pid_t pid = 0;
    struct error error;
    assert_int_equal(process_start(&options, &pid, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "/no/such/program"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_isolates_everything_and_binds_what_is_asked),
        cmocka_unit_test(the_copy_of_etc_has_no_secrets),
        cmocka_unit_test(a_group_is_made_joined_and_removed),
        cmocka_unit_test(a_program_that_does_not_exist_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
