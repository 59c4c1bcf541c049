#include "../cmocka_all.h"

#include "os/crew.h"

#include <stdatomic.h>

struct count {
    struct crew *crew;
    _Atomic int done;
    _Atomic int more; // What is left to add.
};

static void count_one(void *context)
{
    struct count *count = context;
    (void)atomic_fetch_add(&count->done, 1);
    if (atomic_fetch_sub(&count->more, 1) > 0) {
        crew_add(count->crew, count_one, count);
    }
}

static void everything_is_done_before_the_crew_ends(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct count count = {0};
    struct error error;
    assert_int_equal(crew_start("test-crew", 4, &count.crew, &error), OK);
    for (int i = 0; i < COUNT; i++) {
        crew_add(count.crew, count_one, &count);
    }
    crew_stop(count.crew);
    assert_int_equal(atomic_load(&count.done), COUNT);
    crew_stop(NULL);
}

static void work_may_bring_more_work(void **state)
{
    (void)state;
    struct count count = {.more = 999};
    assert_int_equal(crew_start("test-crew", 2, &count.crew, NULL), OK);
    crew_add(count.crew, count_one, &count);
    crew_stop(count.crew);
    assert_int_equal(atomic_load(&count.done), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_done_before_the_crew_ends),
        cmocka_unit_test(work_may_bring_more_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
