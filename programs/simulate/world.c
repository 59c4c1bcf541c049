#include "world.h"

#include "base/map.h"
#include "base/memory.h"
#include "random.h"

#include <math.h>

enum {
    SWEEP_US = 1000000,
    AUDIT_US = 20000000,
    RESTART_US = 50000000,
    ARRIVALS_S = 60,         // Jobs arrive in the first minute.
    TIME_MAX_S = 30 * 86400, // A simulation that lasts longer hangs.
    MEAN_LEAST_US = 1000,
    CPUS_ELSEWHERE = 64,
    MEAN_MOST_US = 30000000,
};

static void add_event(struct world *world, enum event_kind kind, uint32_t subject, int64_t time_us)
{
    event_queue_add(&world->events,
                    (struct event){.time_us = time_us, .kind = kind, .subject = subject});
}

// The last workers are those of other places.
static int64_t place_of_worker(const struct world *world, uint32_t at)
{
    int64_t from_end = world->settings.workers - 1 - at;
    bool is_here = world->settings.elsewhere <= 0 ||
                   world->settings.workers < 2 * WORLD_PLACES * WORKERS_A_PLACE;
    return is_here || from_end >= WORLD_PLACES * WORKERS_A_PLACE ? 0 : 1 + from_end % WORLD_PLACES;
}

// Follows from the seed alone, so that the other jobs are the same with and without those of other places.
static int64_t place_of_job(const struct world *world, uint32_t at)
{
    uint64_t hash = random_mix(world->settings.seed ^ ((uint64_t)at << 20));
    bool has_places = place_of_worker(world, (uint32_t)world->settings.workers - 1) != 0;
    return has_places && random_part(hash) < world->settings.elsewhere
               ? 1 + (int64_t)(hash % WORLD_PLACES)
               : 0;
}

static void make_workers(struct world *world)
{
    world->workers = memory_new((size_t)world->settings.workers, sizeof *world->workers);
    for (uint32_t i = 0; i < world->settings.workers; i++) {
        struct sim_worker *worker = &world->workers[i];
        int64_t cpus = INT64_C(1) << (i == 0 ? 5 : random_below(&world->random, 6));
        int64_t gibibytes = cpus * (int64_t)(2 + random_below(&world->random, 3));
        worker->capacity =
            (struct resources){.cpu_millis = cpus * 1000, .memory_bytes = gibibytes * SIM_GIBIBYTE};
        worker->place = place_of_worker(world, i);
        if (worker->place != 0) { // What it carries runs elsewhere: it takes many jobs at once.
            worker->capacity =
                (struct resources){.cpu_millis = CPUS_ELSEWHERE * INT64_C(1000),
                                   .memory_bytes = CPUS_ELSEWHERE * 4 * SIM_GIBIBYTE};
        }
        groups_choose(world, i);
        limits_choose(world, i);
        worker_register(world, i);
        worker_schedule_break(world, i);
        struct event first = {.time_us = (int64_t)random_below(&world->random, 10000000),
                              .kind = EVENT_HEARTBEAT,
                              .subject = i};
        event_queue_add(&world->events, first);
    }
}

static void make_job(struct world *world, uint32_t at, int64_t count)
{
    static const int64_t cpus[] = {1, 1, 1, 1, 2, 2, 4};
    struct sim_job *job = &world->jobs[at];
    uint64_t *random = &world->random;
    double scale = log((double)MEAN_MOST_US / MEAN_LEAST_US);
    int64_t cpu = cpus[random_below(random, sizeof cpus / sizeof cpus[0])];
    job->mean_us = MEAN_LEAST_US * exp(scale * random_part(random_next(random)));
    job->plan = (struct job_plan){
        .id = (int64_t)at + 1,
        .group = 1 + (int64_t)(at % world->group_count),
        .place = place_of_job(world, at),
        .priority = (int64_t)random_below(random, 3) - 1,
        .count = count,
        .need = {.cpu_millis = cpu * 1000,
                 .memory_bytes = cpu * SIM_GIBIBYTE * (int64_t)(1 + random_below(random, 3))},
        .retries = {.times = {3, 1, 2, 0, 2}},
        .submitted_us = (int64_t)random_below(random, (uint64_t)ARRIVALS_S * 1000000),
        .is_stream = random_below(random, 10) == 0,
        .inputs = random_below(random, 50),
    };
    job->losses = map_new();
    job->committed = memory_new((size_t)(count / 64 + 1), sizeof *job->committed);
    limits_choose_job(&job->plan, world->settings.seed);
    yields_choose_job(world, job);
    add_event(world, EVENT_SUBMIT, at, job->plan.submitted_us);
}

static void make_jobs(struct world *world)
{
    int64_t left = world->settings.tasks;
    world->jobs = memory_new((size_t)world->settings.jobs, sizeof *world->jobs);
    for (uint32_t i = 0; i < world->settings.jobs; i++) {
        int64_t rest = world->settings.jobs - i;
        double part = random_between(&world->random, 0.1, 1.9) / (double)rest;
        int64_t count =
            rest == 1 ? left : (int64_t)fmin((double)left * part, (double)(left - rest));
        count = count < 1 ? 1 : count;
        left -= count;
        make_job(world, i, count);
    }
    world->open_jobs = world->settings.jobs;
}

static void set_weights(struct world *world)
{
    for (size_t i = 0; i < world->group_count; i++) {
        world->weights[i] = (double)(1 + i % 3);
        scheduler_set_group_weight(world->scheduler, (int64_t)i + 1, world->weights[i]);
    }
}

struct world *world_new(const struct world_settings *settings)
{
    struct world *world = NEW(struct world);
    world->settings = *settings;
    world->random = settings->seed;
    world->scheduler = scheduler_new(NULL);
    world->workers_by_id = map_new();
    world->group_count = settings->jobs < 2 * WORLD_GROUPS_MAX ? 2 : WORLD_GROUPS_MAX;
    set_weights(world);
    make_workers(world);
    make_jobs(world);
    add_event(world, EVENT_SWEEP, 0, SWEEP_US);
    add_event(world, EVENT_AUDIT, 0, AUDIT_US);
    for (int64_t i = 1; i <= settings->restarts; i++) {
        add_event(world, EVENT_RESTART, 0, i * RESTART_US);
    }
    return world;
}

void world_free(struct world *world)
{
    if (!world) {
        return;
    }
    for (int64_t i = 0; i < world->settings.workers; i++) {
        free(world->workers[i].leases);
        free(world->workers[i].kept);
    }
    for (int64_t i = 0; i < world->settings.jobs; i++) {
        free(world->jobs[i].committed);
        poison_free(&world->jobs[i]);
    }
    free(world->workers);
    free(world->jobs);
    map_free(world->workers_by_id);
    event_queue_done(&world->events);
    scheduler_free(world->scheduler);
    free(world);
}

enum status world_lose_worker(struct world *world, int64_t id, struct error *error)
{
    struct loss_list losses = {0};
    enum status status = OK;
    scheduler_remove_worker(world->scheduler, id, true, world->now_us, &losses);
    for (size_t i = 0; i < losses.count && status == OK; i++) {
        status = poison_take_loss(world, &losses.items[i], error);
    }
    loss_list_done(&losses);
    return status;
}

static enum status sweep(struct world *world, struct error *error)
{
    add_event(world, EVENT_SWEEP, 0, world->now_us + SWEEP_US);
    int64_t id;
    while ((id = scheduler_expired_worker(world->scheduler, world->now_us)) != 0) {
        struct sim_worker *worker = map_set_int64(world->workers_by_id, id, NULL);
        worker->is_forgotten = true;
        TRY(world_lose_worker(world, id, error));
    }
    TRY(yields_sweep(world, error));
    return poison_sweep(world, error);
}

static enum status add_again(struct world *world, const struct sim_job *job, struct error *error)
{
    struct ranges done = {0};
    for (int64_t i = 0; i < job->plan.count; i++) {
        if (job->committed[i / 64] >> (i % 64) & 1) {
            (void)ranges_add(&done, i, i + 1);
        }
    }
    enum status status = scheduler_add_job(world->scheduler, &job->plan, &done, error);
    ranges_done(&done);
    poison_recount(world, job);
    return status;
}

// What is committed is known again; workers and leases are not, until the workers say so.
static enum status restart(struct world *world, struct error *error)
{
    scheduler_free(world->scheduler);
    map_free(world->workers_by_id);
    world->scheduler = scheduler_new(NULL);
    world->workers_by_id = map_new();
    world->figures.restarts++;
    world->restarted_us = world->now_us;
    set_weights(world);
    for (size_t i = 0; i < world->group_count; i++) {
        world->competing_for[i] = 0; // Shares build up anew.
    }
    for (int64_t i = 0; i < world->settings.workers; i++) {
        world->workers[i].is_forgotten = true;
    }
    for (int64_t i = 0; i < world->settings.jobs; i++) {
        if (world->jobs[i].is_submitted && !world->jobs[i].is_complete) {
            TRY(add_again(world, &world->jobs[i], error));
        }
    }
    return OK;
}

static enum status take_step(struct world *world, const struct event *event, struct error *error)
{
    world->now_us = event->time_us;
    world->figures.events++;
    switch (event->kind) {
    case EVENT_SUBMIT:
        world->jobs[event->subject].is_submitted = true;
        return scheduler_add_job(world->scheduler, &world->jobs[event->subject].plan, NULL, error);
    case EVENT_SWEEP:
        return sweep(world, error);
    case EVENT_RESTART:
        return restart(world, error);
    case EVENT_AUDIT:
        add_event(world, EVENT_AUDIT, 0, world->now_us + AUDIT_US);
        groups_move_one(world);
        return audit_all(world, error);
    case EVENT_HEARTBEAT:
    case EVENT_AGAIN:
    case EVENT_CHUNK:
    case EVENT_BREAK:
    case EVENT_COME_BACK:
    case EVENT_LEAVE:
    case EVENT_YIELD:
        break;
    }
    return worker_on_event(world, event, error);
}

enum status world_run(struct world *world, struct error *error)
{
    struct event event;
    while (world->open_jobs > 0 && event_queue_take(&world->events, &event)) {
        if (event.time_us > (int64_t)TIME_MAX_S * 1000000) {
            return error_set(error, CORRUPT, "%lld jobs do not finish",
                             (long long)world->open_jobs);
        }
        TRY(take_step(world, &event, error));
    }
    return scheduler_check(world->scheduler, error);
}
