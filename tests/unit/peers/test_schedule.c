#include "../cmocka_all.h"

#include "base/memory.h"
#include "peers/schedule.h"

static void tasks_are_taken_in_the_order_of_their_times(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct schedule schedule = {0};
    struct task *tasks = memory_new(COUNT, sizeof *tasks);
    for (int i = 0; i < COUNT; i++) {
        schedule_set(&schedule, &tasks[i], (int64_t)i * 7919 % COUNT);
    }
    // Some are moved, some dropped, in every place of the heap.
    for (int i = 0; i < COUNT; i += 3) {
        schedule_set(&schedule, &tasks[i], (int64_t)i * 31 % COUNT);
    }
    for (int i = 1; i < COUNT; i += 5) {
        schedule_drop(&schedule, &tasks[i]);
    }
    int64_t last = 0;
    size_t count = 0;
    for (struct task *task; (task = schedule_take(&schedule, COUNT)) != NULL; count++) {
        assert_true(task->due_us >= last);
        last = task->due_us;
        schedule_end(&schedule, task, COUNT, INT64_MAX);
    }
    assert_int_equal(count, COUNT - COUNT / 5);
    assert_int_equal(schedule_next_us(&schedule), INT64_MAX);
    schedule_done(&schedule);
    free(tasks);
}

static void no_more_run_than_are_allowed(void **state)
{
    (void)state;
    struct schedule schedule = {.running_max = 2};
    struct task tasks[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        schedule_set(&schedule, &tasks[i], i);
    }
    struct task *first = schedule_take(&schedule, 10);
    assert_ptr_equal(first, &tasks[0]);
    assert_ptr_equal(schedule_take(&schedule, 10), &tasks[1]);
    assert_int_equal(schedule_next_us(&schedule), INT64_MAX);
    assert_null(schedule_take(&schedule, 10));
    schedule_end(&schedule, first, 10, 20);
    assert_ptr_equal(schedule_take(&schedule, 10), &tasks[2]);
    schedule_done(&schedule);
}

static void what_is_not_due_waits(void **state)
{
    (void)state;
    struct schedule schedule = {0};
    struct task task = {0};
    schedule_want(&schedule, &task, 100);
    schedule_want(&schedule, &task, 200); // Later than it was wanted.
    assert_int_equal(schedule_next_us(&schedule), 100);
    assert_null(schedule_take(&schedule, 99));
    schedule_want(&schedule, &task, 50);
    assert_ptr_equal(schedule_take(&schedule, 50), &task);
    schedule_end(&schedule, &task, 60, 160);
    schedule_set(&schedule, &task, 300);
    assert_int_equal(schedule_next_us(&schedule), 300);
    schedule_drop(&schedule, &task);
    schedule_drop(&schedule, &task);
    assert_int_equal(schedule_next_us(&schedule), INT64_MAX);
    schedule_done(&schedule);
}

static void a_task_that_is_wanted_while_it_runs_runs_again_at_once(void **state)
{
    (void)state;
    struct schedule schedule = {0};
    struct task task = {0};
    schedule_want(&schedule, &task, 1);
    assert_ptr_equal(schedule_take(&schedule, 1), &task);
    schedule_want(&schedule, &task, 5);
    assert_null(schedule_take(&schedule, 10));
    schedule_end(&schedule, &task, 10, 1000);
    assert_int_equal(schedule_next_us(&schedule), 10);
    // After a failure it keeps its pause: else whoever asks often would undo the back-off.
    assert_ptr_equal(schedule_take(&schedule, 10), &task);
    schedule_want(&schedule, &task, 11);
    task.failures = 1;
    schedule_end(&schedule, &task, 12, 1000);
    assert_int_equal(schedule_next_us(&schedule), 1000);
    schedule_done(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_are_taken_in_the_order_of_their_times),
        cmocka_unit_test(no_more_run_than_are_allowed),
        cmocka_unit_test(what_is_not_due_waits),
        cmocka_unit_test(a_task_that_is_wanted_while_it_runs_runs_again_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
