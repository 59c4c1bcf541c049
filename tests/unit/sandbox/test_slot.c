// A real lode-runner in a real sandbox, without a site.
#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "sandbox/slot.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RESULTS_MAX = 64, WORDS_MAX = 8 };
#define PATIENCE_US INT64_C(30000000)

struct seen {
    struct slot *slot;
    int count;
    struct runner_result results[RESULTS_MAX]; // Without texts.
    struct buffer out;                         // All that was printed.
    struct buffer details;
    struct buffer answers;
    int64_t answered;
    int64_t running;
    int64_t cancelled;
    bool is_held;
};

static struct arena arena;
static struct slot_place place;
static char folder[] = "/tmp/lode-test-slot-XXXXXX";

static void on_result(void *context, const struct runner_result *result)
{
    struct seen *seen = context;
    assert_true(seen->count < RESULTS_MAX);
    seen->results[seen->count++] = *result;
    buffer_append_text(&seen->out, result->out.bytes);
    buffer_append_text(&seen->details, result->detail);
    seen->is_held = result->is_held;
}

static void on_running(void *context, int64_t lease, int64_t index, int64_t out_file,
                       int64_t err_file)
{
    struct seen *seen = context;
    (void)lease;
    (void)out_file;
    (void)err_file;
    seen->running = index + 1;
}

static void on_answers(void *context, const struct runner_answers *answers)
{
    struct seen *seen = context;
    seen->answered += answers->to - answers->from;
    buffer_append_text(&seen->answers, answers->lines);
}

static void on_cancelled(void *context, int64_t lease)
{
    struct seen *seen = context;
    seen->cancelled = lease;
}

static const struct slot_events events = {.on_result = on_result,
                                          .on_running = on_running,
                                          .on_answers = on_answers,
                                          .on_cancelled = on_cancelled};

static void serve(struct seen *seen)
{
    struct error error = {0};
    struct pollfd one = {.fd = slot_fd(seen->slot), .events = slot_poll_events(seen->slot)};
    (void)poll(&one, 1, 1000);
    if (slot_serve(seen->slot, one.revents, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

// Serves the slot until the condition holds.
#define AWAIT(seen, condition)                                                                     \
    do {                                                                                           \
        int64_t end_us_ = clock_steady_us() + PATIENCE_US;                                         \
        while (!(condition)) {                                                                     \
            assert_true(clock_steady_us() < end_us_);                                              \
            serve(seen);                                                                           \
        }                                                                                          \
    } while (0)

static void start(struct seen *seen, struct runner_job *job, const char *const *words,
                  struct slot_plan *plan)
{
    static int64_t number;
    static struct text arguments[WORDS_MAX];
    static struct text environment[] = {TEXT("PATH=/usr/bin:/bin"), TEXT("HOME=/work")};
    struct error error = {0};
    *seen = (struct seen){0};
    job->arguments = arguments;
    job->argument_count = 0;
    for (size_t i = 0; words[i]; i++) {
        arguments[job->argument_count++] = text_of(words[i]);
    }
    job->environment = environment;
    job->environment_count = 2;
    job->walltime_us = job->walltime_us ? job->walltime_us : 60000000;
    plan->job = job;
    plan->number = ++number;
    if (slot_start(&place, plan, &events, seen, &seen->slot, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static void stop(struct seen *seen)
{
    slot_free(seen->slot);
    buffer_done(&seen->out);
    buffer_done(&seen->details);
    buffer_done(&seen->answers);
}

// Runs tasks [0, count) of a shell script to their end.
static void run_script(struct seen *seen, const char *script, int64_t count, int64_t walltime_us)
{
    const char *const words[] = {"sh", "-c", script, NULL};
    struct runner_job job = {.walltime_us = walltime_us, .disk_bytes = 8 << 20};
    struct slot_plan plan = {.limits = {.memory_bytes = 64 << 20, .pids = 32}};
    start(seen, &job, words, &plan);
    slot_send_range(seen->slot, 1, 0, count);
    AWAIT(seen, seen->count == count);
}

static void tasks_run_one_after_another_and_say_what_they_printed(void **state)
{
    (void)state;
    struct seen seen;
    run_script(&seen, "echo $LODE_INDEX; exit $LODE_INDEX", 3, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen.results[i].index, i);
        assert_int_equal(seen.results[i].outcome, OUTCOME_EXITED);
        assert_int_equal(seen.results[i].code, i);
        assert_true(seen.results[i].peak_bytes > 0);
    }
    assert_string_equal(seen.out.bytes, "0\n1\n2\n");
    stop(&seen);
}

static void nothing_of_one_task_is_left_for_the_next(void **state)
{
    (void)state;
    struct seen seen;
    run_script(&seen,
               "test -z \"$(ls -A /work /tmp /dev/shm | grep -v :)\" || exit 1; test $(ls -d "
               "/proc/[0-9]* | wc -l) -le 6 || exit 2; "
               "touch /work/a /tmp/b /dev/shm/c; mkdir -p /work/d/e/f/g; chmod 0 /work/d/e; sleep "
               "1000 & exit 0",
               3, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen.results[i].code, 0);
    }
    stop(&seen);
}

static void the_machine_is_out_of_reach(void **state)
{
    (void)state;
    if (!place.bubblewrap) {
        skip();
    }
    struct seen seen;
    run_script(
        &seen,
        "test ! -e /root && test ! -e /home && test ! -e /etc/shadow && ! touch /x 2>/dev/null && "
        "! touch /usr/x 2>/dev/null && ! touch /dev/x 2>/dev/null && ! cat /proc/1/environ "
        "2>/dev/null && "
        "! ls /proc/1/fd/ 2>/dev/null && ! kill -9 1 2>/dev/null; test $(ls /sys/class/net "
        "2>/dev/null | wc -l) -le 1",
        1, 0);
    assert_int_equal(seen.results[0].code, 0);
    stop(&seen);
}

static void walltime_ends_a_task_and_names_the_limit(void **state)
{
    (void)state;
    struct seen seen;
    run_script(&seen, "sleep 1000", 1, 200000);
    assert_int_equal(seen.results[0].outcome, OUTCOME_WALLTIME);
    assert_non_null(strstr(seen.details.bytes, "the limit is 0.2 s of walltime"));
    assert_int_equal(seen.running, 1);
    stop(&seen);
}

static void a_spare_runs_the_job_that_it_is_given_within_its_limits(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct error error = {0};
    struct text arguments[] = {TEXT("sh"), TEXT("-c"), TEXT("tail /dev/zero")};
    struct text environment[] = {TEXT("PATH=/usr/bin:/bin")};
    const struct runner_job job = {.walltime_us = 60000000,
                                   .arguments = arguments,
                                   .argument_count = 3,
                                   .environment = environment,
                                   .environment_count = 1};
    struct slot_plan plan = {.number = 1000};
    assert_int_equal(slot_start(&place, &plan, NULL, NULL, &seen.slot, &error), OK);
    plan.job = &job;
    plan.limits = (struct cgroup_limits){.memory_bytes = 64 << 20, .pids = 32};
    assert_int_equal(slot_take(seen.slot, &plan, &events, &seen, &error), OK);
    slot_send_range(seen.slot, 1, 7, 8);
    AWAIT(&seen, seen.count == 1);
    assert_int_equal(seen.results[0].index, 7);
    if (place.cgroups && cgroups_has(place.cgroups, CGROUP_MEMORY)) {
        assert_true(slot_had_memory_kill(seen.slot));
    }
    stop(&seen);
}

static void a_file_above_the_disk_limit_ends_the_task(void **state)
{
    (void)state;
    struct seen seen;
    run_script(&seen, "exec head -c 20000000 /dev/zero > x", 1, 0);
    assert_int_equal(seen.results[0].outcome, OUTCOME_DISK);
    stop(&seen);
    run_script(&seen, "for i in 1 2 3; do head -c 4000000 /dev/urandom > x$i; done", 1, 0);
    assert_int_equal(seen.results[0].outcome, OUTCOME_DISK);
    assert_non_null(strstr(seen.details.bytes, "8.0 MiB"));
    stop(&seen);
}

static void a_task_that_takes_too_much_memory_is_noticed(void **state)
{
    (void)state;
    if (!place.cgroups || !cgroups_has(place.cgroups, CGROUP_MEMORY)) {
        skip();
    }
    struct seen seen;
    run_script(&seen, "tail /dev/zero", 1, 0);
    assert_int_equal(seen.results[0].outcome, OUTCOME_MEMORY);
    assert_true(slot_had_memory_kill(seen.slot));
    assert_false(slot_had_memory_kill(seen.slot));
    assert_true(slot_memory_peak(seen.slot) > 32 << 20);
    stop(&seen);
}

static void a_killed_child_is_not_blamed_on_a_later_task(void **state)
{
    (void)state;
    if (!place.cgroups || !cgroups_has(place.cgroups, CGROUP_MEMORY)) {
        skip();
    }
    struct seen seen;
    run_script(&seen, "if [ $LODE_INDEX = 0 ]; then tail /dev/zero; exit 0; fi; exit 3", 2, 0);
    assert_int_equal(seen.results[0].outcome, OUTCOME_EXITED);
    assert_int_equal(seen.results[1].outcome, OUTCOME_EXITED);
    assert_int_equal(seen.results[1].code, 3);
    stop(&seen);
}

static void a_fork_bomb_is_refused(void **state)
{
    (void)state;
    if (!place.cgroups || !cgroups_has(place.cgroups, CGROUP_PIDS)) {
        skip();
    }
    struct seen seen;
    run_script(&seen, "f() { f | f & }; f; sleep 0.3; exit 3", 1, 5000000);
    assert_int_equal(seen.results[0].outcome, OUTCOME_PIDS);
    stop(&seen);
}

static void a_command_that_does_not_exist_fails_with_127(void **state)
{
    (void)state;
    struct seen seen;
    const char *const words[] = {"no-such-command", NULL};
    struct runner_job job = {0};
    struct slot_plan plan = {0};
    start(&seen, &job, words, &plan);
    slot_send_range(seen.slot, 1, 0, 1);
    AWAIT(&seen, seen.count == 1);
    assert_int_equal(seen.results[0].code, 127);
    assert_non_null(strstr(seen.details.bytes, "no-such-command"));
    stop(&seen);
}

static void a_cancelled_lease_ends_and_the_next_one_runs(void **state)
{
    (void)state;
    struct seen seen;
    const char *const words[] = {"sh", "-c", "test {index} -ge 100 || sleep 1000", NULL};
    struct runner_job job = {0};
    struct slot_plan plan = {0};
    start(&seen, &job, words, &plan);
    slot_send_range(seen.slot, 1, 0, 50);
    slot_send_range(seen.slot, 2, 100, 102);
    AWAIT(&seen, seen.running == 1);
    slot_send_cancel(seen.slot, 1);
    AWAIT(&seen, seen.count == 2);
    assert_int_equal(seen.cancelled, 1);
    assert_int_equal(seen.results[0].lease, 2);
    assert_int_equal(seen.results[1].index, 101);
    stop(&seen);
}

static void a_held_task_waits_for_the_worker(void **state)
{
    (void)state;
    struct seen seen;
    const char *const words[] = {"sh", "-c", "echo {index} > out", NULL};
    struct runner_job job = {.holds = HOLD_SUCCESS};
    struct slot_plan plan = {0};
    start(&seen, &job, words, &plan);
    slot_send_range(seen.slot, 1, 0, 2);
    AWAIT(&seen, seen.count == 1);
    assert_true(seen.is_held);
    struct stat info;
    assert_int_equal(fstatat(slot_work_fd(seen.slot), "out", &info, 0), 0);
    slot_send_continue(seen.slot);
    AWAIT(&seen, seen.count == 2);
    stop(&seen);
}

static void large_output_comes_as_a_file(void **state)
{
    (void)state;
    struct seen seen;
    run_script(&seen, "head -c 100000 /dev/zero", 2, 0);
    assert_int_equal(seen.results[0].out.size, 100000);
    assert_true(seen.results[0].out.file >= 0);
    char name[32];
    struct stat info;
    (void)snprintf(name, sizeof name, "out-%lld", (long long)seen.results[0].out.file);
    assert_int_equal(fstatat(slot_logs_fd(seen.slot), name, &info, 0), 0);
    assert_int_equal(info.st_size, 100000);
    assert_int_not_equal(seen.results[0].out.file, seen.results[1].out.file);
    stop(&seen);
}

static void start_stream(struct seen *seen, const char *script, int64_t walltime_us)
{
    const char *const words[] = {"sh", "-c", script, NULL};
    struct runner_job job = {.is_stream = 1, .items = ITEMS_LINES, .walltime_us = walltime_us};
    struct slot_plan plan = {0};
    start(seen, &job, words, &plan);
}

static void a_streamed_program_answers_across_ranges(void **state)
{
    (void)state;
    struct seen seen;
    start_stream(&seen, "exec cat", 0);
    slot_send_range(seen.slot, 1, 0, 2);
    slot_send_range(seen.slot, 2, 2, 3);
    slot_send_items(seen.slot, 1, TEXT("a\nb\n"));
    slot_send_items(seen.slot, 2, TEXT("c\n"));
    AWAIT(&seen, seen.answered == 3);
    assert_string_equal(seen.answers.bytes, "a\nb\nc\n");
    stop(&seen);
}

static void a_program_that_buffers_its_answers_gives_them_in_the_end(void **state)
{
    (void)state;
    struct seen seen;
    start_stream(&seen, "exec sed s/a/x/", 0); // Buffers: its output is a pipe.
    slot_send_range(seen.slot, 1, 0, 2);
    slot_send_items(seen.slot, 1, TEXT("a\nb\n"));
    AWAIT(&seen, seen.answered == 2);
    slot_send_range(seen.slot, 2, 2, 3);
    slot_send_items(seen.slot, 2, TEXT("ca\n"));
    AWAIT(&seen, seen.answered == 3);
    assert_string_equal(seen.answers.bytes, "x\nb\ncx\n");
    assert_int_equal(seen.count, 0);
    stop(&seen);
}

static void a_crash_fails_the_item_it_was_at_and_no_other(void **state)
{
    (void)state;
    struct seen seen;
    start_stream(&seen, "while read l; do test $l = bad && kill -11 $$; echo $l; done", 0);
    slot_send_range(seen.slot, 1, 0, 4);
    slot_send_items(seen.slot, 1, TEXT("a\nb\nbad\nc\n"));
    AWAIT(&seen, seen.answered == 3 && seen.count == 1);
    assert_int_equal(seen.results[0].index, 2);
    assert_int_equal(seen.results[0].outcome, OUTCOME_SIGNAL);
    assert_int_equal(seen.results[0].code, 11);
    assert_string_equal(seen.answers.bytes, "a\nb\nc\n");
    stop(&seen);
}

static void more_answers_than_items_are_an_error(void **state)
{
    (void)state;
    struct seen seen;
    start_stream(&seen, "while read l; do printf '1\\n2\\n3\\n4\\n5\\n6\\n'; done", 0);
    slot_send_range(seen.slot, 1, 0, 2);
    slot_send_items(seen.slot, 1, TEXT("a\n"));
    AWAIT(&seen, seen.answered == 1);
    slot_send_items(seen.slot, 1, TEXT("b\n"));
    AWAIT(&seen, seen.answered + seen.count == 2);
    stop(&seen);
}

static void a_streamed_item_has_the_walltime(void **state)
{
    (void)state;
    struct seen seen;
    start_stream(&seen, "while read l; do test $l = slow && sleep 1000; echo $l; done", 300000);
    slot_send_range(seen.slot, 1, 0, 3);
    slot_send_items(seen.slot, 1, TEXT("a\nslow\nc\n"));
    AWAIT(&seen, seen.answered == 2 && seen.count == 1);
    assert_int_equal(seen.results[0].outcome, OUTCOME_WALLTIME);
    assert_int_equal(seen.results[0].index, 1);
    stop(&seen);
}

static int set_up(void **state)
{
    (void)state;
    struct error error = {0};
    const char *runner = getenv("LODE_RUNNER");
    if (!runner || !mkdtemp(folder)) {
        return -1;
    }
    place = (struct slot_place){
        .runner = runner,
        .folder = folder,
        .etc_folder = arena_format(&arena, "%s/etc", folder),
        .cgroups = cgroups_new(arena_format(&arena, "lode-test-slot-%d", (int)getpid()))};
    if (sandbox_find(&arena, &place.bubblewrap, &error) != OK) {
        (void)fprintf(stderr, "without sandbox: %s\n", error.detail);
        place.bubblewrap = NULL;
    }
    return sandbox_prepare_etc(place.etc_folder, &error) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    cgroups_free(place.cgroups);
    arena_done(&arena);
    return file_remove_tree(folder, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_one_after_another_and_say_what_they_printed),
        cmocka_unit_test(nothing_of_one_task_is_left_for_the_next),
        cmocka_unit_test(the_machine_is_out_of_reach),
        cmocka_unit_test(walltime_ends_a_task_and_names_the_limit),
        cmocka_unit_test(a_spare_runs_the_job_that_it_is_given_within_its_limits),
        cmocka_unit_test(a_file_above_the_disk_limit_ends_the_task),
        cmocka_unit_test(a_task_that_takes_too_much_memory_is_noticed),
        cmocka_unit_test(a_killed_child_is_not_blamed_on_a_later_task),
        cmocka_unit_test(a_fork_bomb_is_refused),
        cmocka_unit_test(a_command_that_does_not_exist_fails_with_127),
        cmocka_unit_test(a_cancelled_lease_ends_and_the_next_one_runs),
        cmocka_unit_test(a_held_task_waits_for_the_worker),
        cmocka_unit_test(large_output_comes_as_a_file),
        cmocka_unit_test(a_streamed_program_answers_across_ranges),
        cmocka_unit_test(a_program_that_buffers_its_answers_gives_them_in_the_end),
        cmocka_unit_test(a_crash_fails_the_item_it_was_at_and_no_other),
        cmocka_unit_test(more_answers_than_items_are_an_error),
        cmocka_unit_test(a_streamed_item_has_the_walltime),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
