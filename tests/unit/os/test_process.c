#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { MANY = PROCESS_DESCRIPTORS_MAX };

static enum status start(const char *program, const char *argument, int fd, pid_t *pid)
{
    char *arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)argument, NULL};
    char *environment[] = {NULL};
    int descriptors[MANY];
    for (size_t i = 0; i < MANY; i++) {
        descriptors[i] = fd;
    }
    struct error error;
    const struct process_options options = {.program = program,
                                            .arguments = arguments,
                                            .environment = environment,
                                            .descriptors = descriptors,
                                            .descriptor_count = MANY};
    return process_start(&options, pid, &error);
}

static void a_failed_start_is_told_however_many_descriptors_are_handed_over(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = 0;
    assert_int_equal(start("/nowhere/program", NULL, fd, &pid), NOT_FOUND);
    assert_int_equal(pid, 0);
}

static void a_child_has_the_descriptors_that_it_was_given_and_no_others(void **state)
{
    (void)state;
    AUTO_CLOSE int out = memfd_create("listing", MFD_CLOEXEC);
    AUTO_CLOSE int left = dup(out); // As libraries leave theirs: without O_CLOEXEC.
    AUTO_CLOSE int far = fcntl(out, F_DUPFD, 200);
    assert_true(left >= 0 && far >= 200);
    pid_t pid = 0;
    int status = -1;
    char listing[512] = "";
    assert_int_equal(start("/bin/ls", "/proc/self/fd", out, &pid), OK);
    assert_true(process_has_ended(pid, true, &status));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(pread(out, listing, sizeof listing - 1, 0) > 0);
    assert_non_null(strstr(listing, "15\n16\n")); // 16 is the folder itself.
    assert_null(strstr(listing, "17\n"));
    assert_null(strstr(listing, "200\n"));
    assert_int_equal(fcntl(far, F_GETFD), 0); // Of this program it stays.
}

static void a_start_that_nobody_waits_for_says_on_standard_error_why_it_failed(void **state)
{
    (void)state;
    AUTO_CLOSE int out = memfd_create("complaint", MFD_CLOEXEC);
    char program[] = "/nowhere/program";
    char *arguments[] = {program, NULL};
    char *environment[] = {NULL};
    const int descriptors[] = {out, out, out};
    const struct process_options options = {.program = program,
                                            .arguments = arguments,
                                            .environment = environment,
                                            .descriptors = descriptors,
                                            .descriptor_count = 3,
                                            .is_left_alone = true};
    struct error error;
    pid_t pid = 0;
    int status = -1;
    char said[200] = "";
    assert_int_equal(process_start(&options, &pid, &error), OK);
    assert_true(process_has_ended(pid, true, &status));
    assert_true(pread(out, said, sizeof said - 1, 0) > 0);
    assert_string_equal(said, "cannot start /nowhere/program: No such file or directory");
}

static void a_child_has_a_session_of_its_own_where_it_is_to_have_one(void **state)
{
    (void)state;
    AUTO_CLOSE int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_CLOSE int end = -1;
    int fds[2];
    char program[] = "/bin/cat"; // It lives until its input ends.
    char *arguments[] = {program, NULL};
    char *environment[] = {NULL};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    AUTO_CLOSE int in = fds[0];
    end = fds[1];
    const int descriptors[] = {in, nothing, nothing};
    const struct process_options options = {.program = program,
                                            .arguments = arguments,
                                            .environment = environment,
                                            .descriptors = descriptors,
                                            .descriptor_count = 3,
                                            .has_own_session = true};
    pid_t pid = 0;
    int status = -1;
    assert_int_equal(process_start(&options, &pid, NULL), OK);
    assert_int_equal(getsid(pid), pid);
    assert_int_equal(getpgid(pid), pid);
    assert_int_equal(close(file_take_fd(&end)), 0);
    assert_true(process_has_ended(pid, true, &status));
}

static void a_program_knows_its_own_file(void **state)
{
    (void)state;
    AUTO_FREE char *path = process_program();
    assert_non_null(path);
    assert_non_null(strstr(path, "test_os_process"));
    assert_int_equal(access(path, X_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_start_is_told_however_many_descriptors_are_handed_over),
        cmocka_unit_test(a_child_has_the_descriptors_that_it_was_given_and_no_others),
        cmocka_unit_test(a_start_that_nobody_waits_for_says_on_standard_error_why_it_failed),
        cmocka_unit_test(a_child_has_a_session_of_its_own_where_it_is_to_have_one),
        cmocka_unit_test(a_program_knows_its_own_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
