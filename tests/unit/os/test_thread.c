#include "../cmocka_all.h"

#include "os/clock.h"
#include "os/thread.h"

struct door {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    bool is_open;
};

static void *open_door(void *context)
{
    struct door *door = context;
    (void)pthread_mutex_lock(&door->mutex);
    door->is_open = true;
    (void)pthread_cond_signal(&door->changed);
    (void)pthread_mutex_unlock(&door->mutex);
    return NULL;
}

static void a_wait_ends_when_its_time_comes(void **state)
{
    (void)state;
    struct door door = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    condition_init(&door.changed);
    (void)pthread_mutex_lock(&door.mutex);
    assert_false(condition_wait_until(&door.changed, &door.mutex, 0));
    int64_t until_us = clock_steady_us() + 20000;
    while (condition_wait_until(&door.changed, &door.mutex, until_us)) {
    }
    assert_true(clock_steady_us() >= until_us);
    (void)pthread_mutex_unlock(&door.mutex);
    assert_int_equal(pthread_cond_destroy(&door.changed), 0);
}

static void a_wait_ends_with_a_signal(void **state)
{
    (void)state;
    static const int64_t ENDS[] = {INT64_MAX, INT64_MAX - 1};
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        struct door door = {.mutex = PTHREAD_MUTEX_INITIALIZER};
        pthread_t thread;
        condition_init(&door.changed);
        (void)pthread_mutex_lock(&door.mutex);
        assert_int_equal(thread_start(&thread, "door", open_door, &door, NULL), OK);
        while (!door.is_open) {
            assert_true(condition_wait_until(&door.changed, &door.mutex, ENDS[i]));
        }
        (void)pthread_mutex_unlock(&door.mutex);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(pthread_cond_destroy(&door.changed), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_when_its_time_comes),
        cmocka_unit_test(a_wait_ends_with_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
