// Measuring how far sites are: who waits for it, and who does not.
#include "fake_hub.h"

#include "../cmocka_all.h"

#include "os/clock.h"
#include "os/thread.h"
#include "resolve/distances.h"

#include <stdatomic.h>

enum { WAITING = DISTANCES_WAITING_MAX, SITES = WAITING + 1, ROUNDS = 5 };
#define LONG_US INT64_C(60000000)

// Who asks how far one site is, and waits for it.
struct asker {
    struct distances *distances;
    struct fake_hub *site;
    pthread_t thread;
    _Atomic bool is_answered;
};

static void ignore(void *context, const struct fingerprint *site, int64_t rtt_us)
{
    (void)context;
    (void)site;
    (void)rtt_us;
}

static void *ask(void *context)
{
    struct asker *asker = context;
    struct distance_target target = {.site = asker->site->hub.site};
    memcpy(target.url, asker->site->hub.url, sizeof target.url);
    distances_want(asker->distances, &target, 1, clock_steady_us() + LONG_US);
    atomic_store(&asker->is_answered, true);
    return NULL;
}

static void await_call(struct fake_hub *site, int count)
{
    while (fake_hub_called(site) < count) {
        (void)sched_yield();
    }
}

// As many wait as may, each for a site that takes the call and says nothing: is one more answered before them? On a machine that is too busy the time of their calls is over before it asks.
static bool is_answered_first(struct fake_hub *sites, int round)
{
    struct asker askers[SITES] = {0};
    struct distances *distances = distances_new(sites[0].signer.folder, ignore, NULL);
    bool is_first = true;
    for (size_t i = 0; i < WAITING; i++) {
        askers[i].distances = distances;
        askers[i].site = &sites[i];
        assert_int_equal(thread_start(&askers[i].thread, "asker", ask, &askers[i], NULL), OK);
        await_call(&sites[i], round + 1);
    }
    askers[WAITING].distances = distances;
    askers[WAITING].site = &sites[WAITING];
    (void)ask(&askers[WAITING]);
    for (size_t i = 0; i < WAITING; i++) {
        is_first = is_first && !atomic_load(&askers[i].is_answered);
    }
    await_call(&sites[WAITING], round + 1); // What it asked for is measured all the same.
    for (size_t i = 0; i < WAITING; i++) {
        (void)pthread_join(askers[i].thread, NULL);
    }
    distances_free(distances);
    return is_first;
}

static void while_as_many_wait_as_may_others_are_answered_at_once(void **state)
{
    struct fake_hub sites[SITES];
    bool is_first = false;
    (void)state;
    for (size_t i = 0; i < SITES; i++) {
        fake_hub_start(&sites[i], "far");
        fake_hub_says(&sites[i], HUB_SILENT, 0, TEXT_NONE);
    }
    for (int round = 0; round < ROUNDS && !is_first; round++) {
        is_first = is_answered_first(sites, round);
    }
    for (size_t i = 0; i < SITES; i++) {
        fake_hub_stop(&sites[i]);
    }
    assert_true(is_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_as_many_wait_as_may_others_are_answered_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
