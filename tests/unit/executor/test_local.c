#include "../cmocka_all.h"

#include "base/memory.h"
#include "executor/executor.h"
#include "os/file.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct heard {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    char problem[256];
    int count;
    int64_t process; // That ended last.
    char how[80];
};

struct fixture {
    char folder[64];
    struct heard heard;
    struct executor *executor;
};

static void hear(void *context, const char *problem, const char *change)
{
    struct heard *heard = context;
    (void)change;
    pthread_mutex_lock(&heard->mutex);
    (void)snprintf(heard->problem, sizeof heard->problem, "%s", problem);
    heard->count++;
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->mutex);
}

static void hear_of_end(void *context, int64_t process, const char *how)
{
    struct heard *heard = context;
    pthread_mutex_lock(&heard->mutex);
    heard->process = process;
    (void)snprintf(heard->how, sizeof heard->how, "%s", how);
    pthread_mutex_unlock(&heard->mutex);
}

// Waits for the report of this number; what it said.
static const char *await_report(struct fixture *fixture, int number)
{
    struct heard *heard = &fixture->heard;
    pthread_mutex_lock(&heard->mutex);
    while (heard->count < number) {
        pthread_cond_wait(&heard->changed, &heard->mutex);
    }
    pthread_mutex_unlock(&heard->mutex);
    return heard->problem;
}

static int set_up(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/lode-test-executor.XXXXXX");
    pthread_mutex_init(&fixture->heard.mutex, NULL);
    pthread_cond_init(&fixture->heard.changed, NULL);
    *state = fixture;
    return mkdtemp(fixture->folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    EXECUTOR_LOCAL.stop(fixture->executor, 1000000);
    enum status status = file_remove_tree(fixture->folder, NULL);
    pthread_cond_destroy(&fixture->heard.changed);
    pthread_mutex_destroy(&fixture->heard.mutex);
    free(fixture);
    return status == OK ? 0 : -1;
}

// Starts the executor with a shell script in the place of `lode`.
static enum status start(struct fixture *fixture, const char *script)
{
    AUTO_FREE char *program = memory_format("%s/lode", fixture->folder);
    AUTO_FREE char *text = memory_format("#!/bin/sh\ncd %s\n%s\n", fixture->folder, script);
    assert_int_equal(file_write_atomic(program, text_of(text), 0700, NULL), OK);
    const struct executor_options options = {
        .program = program,
        .directory = fixture->folder,
        .site_file = "site.json",
        .token_file = "worker.token",
        .name = "test",
        .cpus = 1,
        .sandbox = "none",
        .report = hear,
        .ended = hear_of_end,
        .context = &fixture->heard,
    };
    return EXECUTOR_LOCAL.start(&options, &fixture->executor, NULL);
}

static void a_problem_that_has_passed_is_taken_back(void **state)
{
    struct fixture *fixture = *state;
    // It fails once; then it finds that another worker serves the folder.
    assert_int_equal(start(fixture, "test -e tried && exit 0; touch tried; exit 1"), OK);
    assert_true(strlen(await_report(fixture, 1)) > 0);
    assert_string_equal(await_report(fixture, 2), "");
}

static void the_process_that_ended_is_named(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *path = memory_format("%s/process", fixture->folder);
    AUTO_BUFFER struct buffer text = {0};
    assert_int_equal(start(fixture, "echo $$ >process; kill -9 $$"), OK);
    (void)await_report(fixture, 1);
    EXECUTOR_LOCAL.stop(TAKE(fixture->executor), 1000000);
    assert_int_equal(file_read(path, 100, &text, NULL), OK);
    int64_t process = 0;
    assert_true(text_to_int64(text_trim(buffer_text(&text)), &process));
    assert_int_equal(fixture->heard.process, process);
    assert_string_equal(fixture->heard.how, "killed by signal 9");
}

static void the_link_is_given_the_sites_key(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *program = memory_format("%s/lode", fixture->folder);
    AUTO_FREE char *text =
        memory_format("#!/bin/sh\necho \"$@\" >%s/arguments\nexit 1\n", fixture->folder);
    AUTO_FREE char *path = memory_format("%s/arguments", fixture->folder);
    AUTO_BUFFER struct buffer arguments = {0};
    assert_int_equal(file_write_atomic(program, text_of(text), 0700, NULL), OK);
    const struct executor_options options = {
        .program = program,
        .directory = fixture->folder,
        .site_file = "site.json",
        .token_file = "worker.token",
        .key_path = "key.pem",
        .certificate_path = "certificate.pem",
        .report = hear,
        .ended = hear_of_end,
        .context = &fixture->heard,
    };
    assert_int_equal(EXECUTOR_LINK.start(&options, &fixture->executor, NULL), OK);
    assert_non_null(strstr(await_report(fixture, 1), "the link to other sites ended soon"));
    EXECUTOR_LINK.stop(TAKE(fixture->executor), 1000000);
    AUTO_FREE char *wanted = memory_format(
        "link --site-file site.json --token-file worker.token --directory %s --key key.pem "
        "--certificate certificate.pem\n",
        fixture->folder);
    assert_int_equal(file_read(path, 1000, &arguments, NULL), OK);
    assert_string_equal(arguments.bytes, wanted);
}

static void a_machine_that_makes_no_sandbox_is_said(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(start(fixture, "exit 3"), OK);
    assert_non_null(strstr(await_report(fixture, 1), "bubblewrap"));
}

static void a_runner_that_is_missing_is_said(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(start(fixture, "exit 4"), OK);
    assert_non_null(strstr(await_report(fixture, 1), "lode-runner"));
}

static void a_worker_that_does_not_end_is_killed(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *mark = memory_format("%s/started", fixture->folder);
    assert_int_equal(
        start(fixture, "trap '' TERM; touch started; for i in 1 2 3 4; do sleep 1; done"), OK);
    while (access(mark, F_OK) != 0) { // It will be: the test ends at its time-out if not.
        (void)sched_yield();
    }
    EXECUTOR_LOCAL.stop(TAKE(fixture->executor), 1000);
}

static void a_program_that_cannot_be_run_is_told_at_once(void **state)
{
    struct fixture *fixture = *state;
    const struct executor_options options = {.program = "/nowhere/lode"};
    assert_int_equal(EXECUTOR_LOCAL.start(&options, &fixture->executor, NULL), NOT_FOUND);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_problem_that_has_passed_is_taken_back),
        IN_A_FOLDER(the_process_that_ended_is_named),
        IN_A_FOLDER(the_link_is_given_the_sites_key),
        IN_A_FOLDER(a_machine_that_makes_no_sandbox_is_said),
        IN_A_FOLDER(a_runner_that_is_missing_is_said),
        IN_A_FOLDER(a_worker_that_does_not_end_is_killed),
        IN_A_FOLDER(a_program_that_cannot_be_run_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
