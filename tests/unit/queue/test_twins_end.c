// Whatever happens to jobs that compute the same, all of them end: none waits for one that waits for it. Drawn from fixed seeds.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"

#include <sched.h>
#include <stdio.h>

enum { STEPS = 80, SEEDS = 6, JOBS_MAX = STEPS };

struct game {
    struct site *site;
    uint64_t dice;
    int64_t worker;
    int64_t jobs[JOBS_MAX];
    bool is_held[JOBS_MAX];
    size_t count;
};

static size_t draw(struct game *game, size_t below)
{
    game->dice = game->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)((game->dice >> 33) % below);
}

static void submit(struct game *game)
{
    static const char *const owners[] = {"alice", "bob", "alice@1", "alice@2"};
    static const char *const caches[] = {"use", "use", "use", "refresh", "off"};
    static const struct digest origin = {{1}};
    struct site *site = game->site;
    AUTO_FREE char *document = memory_format(
        "{\"command\": [\"p%zu\"], \"count\": 2, \"priority\": %zu, \"cache\": \"%s\"%s}",
        draw(game, 2), draw(game, 2), caches[draw(game, 5)],
        draw(game, 8) == 0 ? ", \"mode\": \"stream\"" : "");
    bool is_held = draw(game, 6) == 0;
    site->owner = owners[draw(game, 4)];
    site->origin = draw(game, 3) == 0 ? &origin : NULL;
    site->hold = (struct queue_hold){is_held ? TEXT("data moves") : TEXT_NONE, TEXT("wait")};
    game->jobs[game->count] = site_job(site, document);
    game->is_held[game->count++] = is_held;
}

// What cannot be done to a job in its state is refused, which is as good here.
static void disturb(struct game *game)
{
    size_t at = draw(game, game->count);
    int64_t job = game->jobs[at];
    struct reply reply = {0};
    switch (draw(game, 3)) {
    case 0:
        reply = site_cancel(game->site, job);
        break;
    case 1:
        reply = site_retry(game->site, job);
        break;
    default:
        reply = site_release(game->site, job, &(struct prepare_destination){0});
        game->is_held[at] = game->is_held[at] && reply.status != OK;
        break;
    }
    reply_done(&reply);
}

static void take_step(struct game *game)
{
    size_t kind = draw(game, 20);
    if (kind < 10 || game->count == 0) {
        submit(game);
    } else if (kind < 17) {
        disturb(game);
    } else if (kind < 19) {
        // Answers of streamed jobs are not played: those are cancelled in the end.
        game->site->exit_code = (int)draw(game, 2);
        struct reply reply = site_poll(game->site, game->worker, "{\"wait_seconds\": 0}");
        reply_done(&reply);
    } else {
        site_restart(game->site);
        game->worker = site_worker(game->site, "desk", 1);
    }
}

static bool has_ended(struct site *site, int64_t job)
{
    struct reply reply = site_show(site, job, 0);
    const char *state = json_string_value(json_object_get(reply.document, "state"));
    bool is_over = strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0;
    reply_done(&reply);
    return is_over;
}

static bool is_streamed(struct site *site, int64_t job)
{
    struct reply reply = site_show(site, job, 0);
    bool is_one = strcmp(json_string_value(json_object_get(reply.document, "mode")), "stream") == 0;
    reply_done(&reply);
    return is_one;
}

static void settle(struct game *game)
{
    struct site *site = game->site;
    for (size_t i = 0; i < game->count; i++) {
        struct reply reply = {0};
        if (game->is_held[i]) {
            reply = site_release(site, game->jobs[i], &(struct prepare_destination){0});
            reply_done(&reply);
        }
        if (is_streamed(site, game->jobs[i])) {
            reply = site_cancel(site, game->jobs[i]);
            reply_done(&reply);
        }
    }
    site_restart(site); // The leases that were drawn are nobody's.
    game->worker = site_worker(site, "desk", 4);
    int64_t deadline_us = clock_steady_us() + INT64_C(60000000);
    for (size_t i = 0; i < game->count;) {
        (void)site_run_all(site, game->worker);
        if (has_ended(site, game->jobs[i])) {
            i++;
            continue;
        }
        if (clock_steady_us() > deadline_us) {
            AUTO_FREE char *why = site_why(site, game->jobs[i]);
            fail_msg("job %lld does not end: %s", (long long)game->jobs[i], why);
        }
        (void)sched_yield();
    }
}

static void all_jobs_end_whatever_happens(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct game game = {.site = *state, .dice = seed};
        game.worker = site_worker(game.site, "desk", 1);
        for (int i = 0; i < STEPS; i++) {
            take_step(&game);
        }
        settle(&game);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_jobs_end_whatever_happens, site_setup, site_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
