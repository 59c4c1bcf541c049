#include "../cmocka_all.h"

#include "os/alarm.h"
#include "os/clock.h"

#include <semaphore.h>

static void ring(void *context)
{
    (void)sem_post(context);
}

static void it_rings_at_the_earliest_time_and_once(void **state)
{
    (void)state;
    sem_t rung;
    struct alarm *alarm = NULL;
    assert_int_equal(sem_init(&rung, 0, 0), 0);
    assert_int_equal(alarm_new(ring, &rung, &alarm, NULL), OK);
    int64_t begin_us = clock_steady_us();
    alarm_set(alarm, begin_us + INT64_C(3600000000));
    alarm_set(alarm, begin_us + 20000);
    assert_int_equal(sem_wait(&rung), 0);
    assert_true(clock_steady_us() >= begin_us + 20000);
    alarm_set(alarm, 0);
    assert_int_equal(sem_wait(&rung), 0);
    alarm_free(alarm);
    int value = -1;
    assert_int_equal(sem_getvalue(&rung, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(sem_destroy(&rung), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rings_at_the_earliest_time_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
