#include "../cmocka_all.h"

#include "base/memory.h"
#include "discover/errand.h"
#include "os/clock.h"

#include <stdatomic.h>
#include <unistd.h>

enum { DEADLINE_US = 60000000, PAUSE_US = 1000, SHORT_US = 1000, ROUNDS = 50 };

// Outlives the errand, whose context points at it.
struct seen {
    atomic_int woken;
    atomic_int discarded;
    atomic_bool is_gate_open; // Of what hangs.
};

struct context {
    struct seen *seen;
    struct errand *errand;
    int answer; // Guarded by the errand's lock.
};

static void await(atomic_int *value)
{
    int64_t deadline_us = clock_steady_us() + DEADLINE_US;
    while (atomic_load(value) == 0 && clock_steady_us() < deadline_us) {
        (void)usleep(PAUSE_US);
    }
    assert_int_equal(atomic_load(value), 1);
}

static void answer_and_wait(void *context)
{
    struct context *own = context;
    errand_lock(own->errand);
    own->answer = 7;
    errand_notify(own->errand);
    while (!errand_is_left(own->errand)) {
        (void)errand_wait(own->errand, INT64_MAX);
    }
    errand_unlock(own->errand);
}

static void hang(void *context)
{
    struct context *own = context;
    while (!atomic_load(&own->seen->is_gate_open)) {
        (void)usleep(PAUSE_US);
    }
}

static void end_at_once(void *context)
{
    (void)context;
}

static void wake(void *context)
{
    struct context *own = context;
    (void)atomic_fetch_add(&own->seen->woken, 1);
}

static void discard(void *context)
{
    struct context *own = context;
    (void)atomic_fetch_add(&own->seen->discarded, 1);
    free(own);
}

static struct context *start(const struct errand_work *work, struct seen *seen)
{
    struct context *context = NEW(struct context);
    context->seen = seen;
    assert_int_equal(errand_start(work, context, &context->errand, NULL), OK);
    return context;
}

static void who_waits_is_answered_and_ends_it(void **state)
{
    (void)state;
    static const struct errand_work WORK = {"errand", answer_and_wait, wake, discard};
    struct seen seen = {0};
    struct context *context = start(&WORK, &seen);
    int64_t until_us = clock_steady_us() + DEADLINE_US;
    errand_lock(context->errand);
    while (context->answer == 0 && errand_wait(context->errand, until_us)) {
    }
    assert_int_equal(context->answer, 7);
    errand_unlock(context->errand);
    errand_leave(context->errand, DEADLINE_US);
    assert_int_equal(atomic_load(&seen.woken), 1);
    assert_int_equal(atomic_load(&seen.discarded), 1);
}

static void what_hangs_is_left_behind_and_frees_what_it_holds(void **state)
{
    (void)state;
    static const struct errand_work WORK = {"errand", hang, wake, discard};
    struct seen seen = {0};
    struct context *context = start(&WORK, &seen);
    errand_leave(context->errand, SHORT_US);
    assert_int_equal(atomic_load(&seen.discarded), 0);
    atomic_store(&seen.is_gate_open, true);
    await(&seen.discarded);
}

static void it_is_left_whatever_it_is_at(void **state)
{
    (void)state;
    static const struct errand_work WORK = {"errand", end_at_once, wake, discard};
    for (int i = 0; i < ROUNDS; i++) {
        struct seen seen = {0};
        struct context *context = start(&WORK, &seen);
        errand_leave(context->errand, i % 2 == 0 ? 0 : SHORT_US);
        await(&seen.discarded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_is_answered_and_ends_it),
        cmocka_unit_test(what_hangs_is_left_behind_and_frees_what_it_holds),
        cmocka_unit_test(it_is_left_whatever_it_is_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
