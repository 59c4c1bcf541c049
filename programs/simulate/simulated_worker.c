// A worker as the site sees it: it starts leases in order as they fit, runs their tasks one after another, reports, and asks again.
// It may crash (all is lost) or fall silent (it goes on, and reports later what others may have done meanwhile).
#include "random.h"
#include "world.h"

#include "base/map.h"
#include "base/memory.h"
#include "os/clock.h"

#include <math.h>

enum {
    LEASES_ASKED_MAX = 64,
    HEARTBEAT_US = 2000000,
    CHUNK_US = 100000,
    CRASH_SECONDS_MAX = 120,
    SILENCE_SECONDS_MAX = 90,
    SLOTS_ELSEWHERE = 1000, // Another place runs so many of a job's tasks at once.
};

static const struct job_plan *plan_of(const struct world *world, const struct lease *lease)
{
    return &world->jobs[lease->job - 1].plan;
}

static void add_event(struct world *world, uint32_t at, enum event_kind kind, int64_t delay_us,
                      int64_t run)
{
    struct event event = {.time_us = world->now_us + delay_us,
                          .kind = kind,
                          .subject = at,
                          .epoch = world->workers[at].epoch,
                          .run = run};
    event_queue_add(&world->events, event);
}

void worker_schedule_break(struct world *world, uint32_t at)
{
    double rate = world->settings.worker_failures_an_hour;
    if (rate > 0) {
        double part = 1 - random_part(random_next(&world->random));
        add_event(world, at, EVENT_BREAK, (int64_t)(-log(part) * 3.6e9 / rate), 0);
    }
}

// Everything about one attempt follows from the seed, the task and the lease.
static uint64_t attempt_hash(const struct world *world, int64_t job, int64_t run, int64_t index)
{
    uint64_t hash = random_mix(world->settings.seed ^ (uint64_t)run * 0x9e3779b97f4a7c15ULL);
    return random_mix(hash ^ ((uint64_t)job << 40) ^ (uint64_t)index);
}

static enum task_outcome attempt_outcome(const struct world *world, int64_t job, int64_t run,
                                         int64_t index)
{
    double part = random_part(attempt_hash(world, job, run, index));
    double failures = world->settings.failures;
    if (part >= failures) {
        return TASK_SUCCEEDED;
    }
    if (part < failures * 0.01) {
        return TASK_BLAME_INPUT;
    }
    if (part > failures * 0.9) {
        return TASK_LIMITED;
    }
    return part < failures * 0.05 ? TASK_BLAME_WORKER : TASK_FAILED;
}

// Half to one and a half times the job's mean; one in a thousand takes twenty times as long.
double worker_attempt_us(const struct world *world, int64_t job, int64_t run, int64_t index)
{
    uint64_t hash = random_mix(attempt_hash(world, job, run, index) + 1);
    double mean_us = world->jobs[job - 1].mean_us;
    return mean_us * (0.5 + random_part(hash)) * (hash % 1000 == 0 ? 20 : 1);
}

// Runs the next tasks of a started lease, up to about CHUNK_US.
static void start_chunk(struct world *world, uint32_t at, struct sim_lease *lease)
{
    double time_us = 0;
    double slots = world->workers[at].place != 0 ? SLOTS_ELSEWHERE : 1;
    lease->chunk_to = lease->next;
    while (lease->chunk_to < lease->lease.to && time_us < CHUNK_US) {
        bool is_poison = poison_is(world, lease->lease.job, lease->chunk_to);
        if (is_poison && lease->chunk_to > lease->next) {
            break; // What ran before it is reported first.
        }
        time_us +=
            worker_attempt_us(world, lease->lease.job, lease->run, lease->chunk_to++) / slots;
        if (is_poison) {
            break;
        }
    }
    lease->chunk_us = (int64_t)time_us + 1;
    add_event(world, at, EVENT_CHUNK, lease->chunk_us, lease->run);
}

static void start_leases(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct sim_lease *lease = &worker->leases[i];
        const struct resources *need = &plan_of(world, &lease->lease)->need;
        int64_t cpu_millis = worker->used.cpu_millis + need->cpu_millis;
        int64_t memory_bytes = worker->used.memory_bytes + need->memory_bytes;
        if (!lease->is_started && cpu_millis <= worker->capacity.cpu_millis &&
            memory_bytes <= worker->capacity.memory_bytes) {
            worker->used.cpu_millis = cpu_millis;
            worker->used.memory_bytes = memory_bytes;
            lease->is_started = true;
            start_chunk(world, at, lease);
        }
    }
}

static void drop_lease(struct world *world, struct sim_worker *worker, size_t at)
{
    struct sim_lease *lease = &worker->leases[at];
    if (lease->is_started) {
        const struct resources *need = &plan_of(world, &lease->lease)->need;
        worker->used.cpu_millis -= need->cpu_millis;
        worker->used.memory_bytes -= need->memory_bytes;
    }
    worker->lease_count--;
    memmove(lease, lease + 1, (worker->lease_count - at) * sizeof *lease);
}

static void append_lease(struct sim_worker *worker, const struct lease *lease)
{
    if (worker->lease_count == worker->lease_capacity) {
        worker->lease_capacity = worker->lease_capacity ? worker->lease_capacity * 2 : 4;
        worker->leases =
            memory_resize(worker->leases, worker->lease_capacity, sizeof *worker->leases);
    }
    worker->leases[worker->lease_count++] =
        (struct sim_lease){.lease = *lease, .run = lease->id, .next = lease->from};
}

static void ask_again_later(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    int64_t again_us = scheduler_lease_again_us(world->scheduler, worker->id, world->now_us);
    bool is_due = worker->again_us > world->now_us && worker->again_us <= again_us;
    if (again_us != INT64_MAX && !is_due) {
        worker->again_us = again_us;
        add_event(world, at, EVENT_AGAIN, again_us - world->now_us, 0);
    }
}

void worker_register(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    worker->id = ++world->worker_ids;
    worker->is_forgotten = false;
    (void)map_set_int64(world->workers_by_id, worker->id, worker);
    scheduler_add_worker(world->scheduler, worker->id, worker->place, &worker->capacity,
                         world->now_us);
    lifetime_begin(world, at);
    groups_register(world, worker);
    limits_register(world, worker);
}

// Puts the leases that run before those that wait, each in their order.
static void put_started_first(struct sim_worker *worker)
{
    size_t started = 0;
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct sim_lease lease = worker->leases[i];
        if (lease.is_started) {
            memmove(&worker->leases[started + 1], &worker->leases[started],
                    (i - started) * sizeof lease);
            worker->leases[started++] = lease;
        }
    }
}

// A worker that the site does not know registers again, and offers what it holds still.
static void rejoin(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    worker_register(world, at);
    put_started_first(worker);
    for (size_t i = 0; i < worker->lease_count;) {
        struct sim_lease *held = &worker->leases[i];
        struct lease again;
        if (scheduler_reattach(world->scheduler, worker->id, held->lease.job, held->next,
                               held->lease.to, world->now_us, &again, NULL) != OK) {
            drop_lease(world, worker, i);
            continue;
        }
        held->lease.id = again.id;
        held->lease.worker = again.worker;
        held->is_asked = false;
        held->given_us = world->now_us;
        world->figures.reattached++;
        i++;
    }
}

// Leases that are no longer in the site's books are cancelled.
static void cancel_leases(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    for (size_t i = worker->lease_count; i > 0; i--) {
        struct lease known;
        if (!scheduler_find_lease(world->scheduler, worker->leases[i - 1].lease.id, &known)) {
            drop_lease(world, worker, i - 1);
        }
    }
    start_leases(world, at);
}

// One poll's answer: new leases, and what is cancelled. Cancelled leases are looked for at heartbeats, and here only when there
// seem to be too many: running them does no harm but to the time that a simulation takes.
static enum status ask(struct world *world, uint32_t at, struct error *error)
{
    struct sim_worker *worker = &world->workers[at];
    struct lease leases[LEASES_ASKED_MAX];
    int64_t begin_us = clock_steady_us();
    size_t count =
        scheduler_lease(world->scheduler, worker->id, world->now_us, leases, LEASES_ASKED_MAX);
    meter_add(&world->leasing, (int64_t)count, clock_steady_us() - begin_us);
    for (size_t i = 0; i < count; i++) {
        TRY(audit_place(world, worker, &leases[i], error));
        TRY(poison_check_lease(world, &leases[i], error));
        TRY(groups_check_lease(world, worker, &leases[i], error));
        TRY(limits_check_lease(world, worker, &leases[i], error));
        append_lease(worker, &leases[i]);
        worker->leases[worker->lease_count - 1].given_us = world->now_us;
        worker->leases[worker->lease_count - 1].was_known = lifetime_is_known(world, leases[i].job);
        audit_note(world, leases[i].worker, leases[i].job, leases[i].from);
    }
    world->figures.leases += (int64_t)count;
    start_leases(world, at);
    ask_again_later(world, at);
    if (count == 0 || audit_capacity(world, worker, NULL) == OK) {
        return OK;
    }
    cancel_leases(world, at);
    return audit_capacity(world, worker, error);
}

static void note_blame(struct world *world, int64_t id, enum task_outcome outcome)
{
    struct sim_worker *worker = map_find_int64(world->workers_by_id, id);
    if (worker && (outcome == TASK_BLAME_WORKER || outcome == TASK_BLAME_INPUT)) {
        worker->blamed_us = world->now_us;
    }
}

static enum status report_one(struct world *world, const struct sim_report *part, int64_t worker,
                              int64_t index, enum task_outcome outcome, struct error *error)
{
    const struct lease *lease = &part->lease;
    struct task_id task = {lease->job, index};
    int64_t wall_us = (int64_t)worker_attempt_us(world, lease->job, part->run, index);
    int64_t begin_us = clock_steady_us();
    enum task_verdict verdict = scheduler_finish(world->scheduler, lease->id, worker, task, outcome,
                                                 wall_us, world->now_us);
    meter_add(&world->finishing, 1, clock_steady_us() - begin_us);
    switch (verdict) {
    case TASK_COMMIT:
        world->figures.failed += outcome != TASK_SUCCEEDED;
        return audit_commit(world, lease->job, index, index + 1, error);
    case TASK_RETRY:
        note_blame(world, worker, outcome);
        world->figures.retries++;
        break;
    case TASK_DUPLICATE:
        world->figures.duplicates++;
        break;
    }
    return OK;
}

static enum status report_successes(struct world *world, const struct lease *lease, int64_t worker,
                                    int64_t wall_us, struct error *error)
{
    struct ranges fresh = {0};
    int64_t begin_us = clock_steady_us();
    scheduler_finish_range(world->scheduler, lease->id, worker, lease->job, lease->from, lease->to,
                           wall_us, world->now_us, &fresh);
    meter_add(&world->finishing, 1, clock_steady_us() - begin_us);
    enum status status = OK;
    world->figures.duplicates += lease->to - lease->from - ranges_total(&fresh);
    for (size_t i = 0; i < fresh.count && status == OK; i++) {
        status = audit_commit(world, lease->job, fresh.items[i].from, fresh.items[i].to, error);
    }
    ranges_done(&fresh);
    return status;
}

// Reports a part of a lease as `worker`: runs of successes together, the rest one by one.
static enum status report(struct world *world, const struct sim_report *part, int64_t worker,
                          struct error *error)
{
    int64_t end = part->lease.to;
    int64_t per_task_us = part->wall_us / (end - part->lease.from);
    world->figures.attempts += end - part->lease.from;
    struct lease good = part->lease;
    for (good.to = good.from; good.from < end; good.to = good.from) {
        enum task_outcome outcome = TASK_SUCCEEDED;
        while (good.to < end && outcome == TASK_SUCCEEDED) {
            outcome = attempt_outcome(world, good.job, part->run, good.to);
            good.to += outcome == TASK_SUCCEEDED;
        }
        if (good.from < good.to) {
            int64_t wall_us = per_task_us * (good.to - good.from);
            TRY(report_successes(world, &good, worker, wall_us, error));
        }
        if (good.to < end) {
            TRY(report_one(world, part, worker, good.to, outcome, error));
            good.to++;
        }
        good.from = good.to;
    }
    return OK;
}

static void keep_report(struct sim_worker *worker, const struct sim_report *part)
{
    if (worker->kept_count == worker->kept_capacity) {
        worker->kept_capacity = worker->kept_capacity ? worker->kept_capacity * 2 : 4;
        worker->kept = memory_resize(worker->kept, worker->kept_capacity, sizeof *worker->kept);
    }
    worker->kept[worker->kept_count++] = *part;
}

static void come_back_within(struct world *world, uint32_t at, double seconds_max)
{
    double delay_s = random_between(&world->random, 1, seconds_max);
    add_event(world, at, EVENT_COME_BACK, (int64_t)(delay_s * 1e6), 0);
}

// Everything that it holds is lost, and what it has not reported.
static void crash(struct world *world, uint32_t at)
{
    struct sim_worker *worker = &world->workers[at];
    world->figures.crashes++;
    worker->state = SIM_DOWN;
    worker->epoch++;
    worker->end_us = 0; // Its next life begins when it comes back.
    worker->lease_count = 0;
    worker->kept_count = 0;
    worker->used = (struct resources){0};
    come_back_within(world, at, CRASH_SECONDS_MAX);
}

static enum status on_chunk(struct world *world, const struct event *event, struct error *error)
{
    struct sim_worker *worker = &world->workers[event->subject];
    size_t at = 0;
    while (at < worker->lease_count && worker->leases[at].run != event->run) {
        at++;
    }
    if (at == worker->lease_count) {
        return OK; // It was cancelled.
    }
    struct sim_lease *lease = &worker->leases[at];
    if (poison_is(world, lease->lease.job, lease->next)) {
        crash(world, event->subject);
        return OK;
    }
    struct sim_report part = {lease->lease, lease->run, lease->chunk_us};
    part.lease.from = lease->next;
    part.lease.to = lease->chunk_to;
    lease->next = lease->chunk_to;
    if (lease->next == lease->lease.to) {
        drop_lease(world, worker, at);
    } else {
        start_chunk(world, event->subject, lease);
    }
    start_leases(world, event->subject);
    if (worker->state == SIM_SILENT) {
        keep_report(worker, &part);
        return OK;
    }
    scheduler_touch_worker(world->scheduler, worker->id, world->now_us);
    TRY(report(world, &part, worker->id, error));
    return ask(world, event->subject, error);
}

// What it has not ended of the lease goes back; one that cannot reach the site keeps it.
static enum status on_yield(struct world *world, const struct event *event, struct error *error)
{
    struct sim_worker *worker = &world->workers[event->subject];
    for (size_t i = 0; i < worker->lease_count && worker->state == SIM_UP; i++) {
        const struct sim_lease lease = worker->leases[i];
        if (lease.run == event->run) {
            drop_lease(world, worker, i);
            scheduler_return(world->scheduler, lease.lease.id, lease.next, lease.lease.to);
            start_leases(world, event->subject);
            return ask(world, event->subject, error);
        }
    }
    return OK;
}

static enum status on_heartbeat(struct world *world, const struct event *event, struct error *error)
{
    struct sim_worker *worker = &world->workers[event->subject];
    add_event(world, event->subject, EVENT_HEARTBEAT, HEARTBEAT_US, 0);
    if (worker->state != SIM_UP) {
        return OK;
    }
    scheduler_touch_worker(world->scheduler, worker->id, world->now_us);
    cancel_leases(world, event->subject);
    yields_store(world, worker);
    return ask(world, event->subject, error);
}

static void on_break(struct world *world, const struct event *event)
{
    struct sim_worker *worker = &world->workers[event->subject];
    if (random_below(&world->random, 2) == 0) {
        crash(world, event->subject);
        return;
    }
    world->figures.silences++;
    worker->state = SIM_SILENT;
    come_back_within(world, event->subject, SILENCE_SECONDS_MAX);
}

static enum status on_come_back(struct world *world, const struct event *event, struct error *error)
{
    struct sim_worker *worker = &world->workers[event->subject];
    bool was_silent = worker->state == SIM_SILENT;
    worker->state = SIM_UP;
    worker_schedule_break(world, event->subject);
    if (was_silent && !worker->is_forgotten) {
        scheduler_touch_worker(world->scheduler, worker->id, world->now_us);
    } else {
        if (!worker
                 ->is_forgotten) { // Back before it was missed: it says itself that it has lost everything.
            (void)map_set_int64(world->workers_by_id, worker->id, NULL);
            TRY(world_lose_worker(world, worker->id, error));
        }
        rejoin(world, event->subject);
        if (!was_silent) {
            add_event(world, event->subject, EVENT_HEARTBEAT, HEARTBEAT_US, 0);
        }
    }
    for (size_t i = 0; i < worker->kept_count; i++) {
        TRY(report(world, &worker->kept[i], worker->id, error));
    }
    worker->kept_count = 0;
    return ask(world, event->subject, error);
}

enum status worker_on_event(struct world *world, const struct event *event, struct error *error)
{
    struct sim_worker *worker = &world->workers[event->subject];
    if (event->epoch != worker->epoch) {
        return OK;
    }
    if (worker->state == SIM_UP && worker->is_forgotten) {
        rejoin(world, event->subject);
    }
    switch (event->kind) {
    case EVENT_HEARTBEAT:
        return on_heartbeat(world, event, error);
    case EVENT_AGAIN:
        return worker->state == SIM_UP ? ask(world, event->subject, error) : OK;
    case EVENT_CHUNK:
        return on_chunk(world, event, error);
    case EVENT_BREAK:
        on_break(world, event);
        return OK;
    case EVENT_COME_BACK:
        return on_come_back(world, event, error);
    case EVENT_LEAVE:
        return lifetime_end(world, event->subject, error);
    case EVENT_YIELD:
        return on_yield(world, event, error);
    case EVENT_SUBMIT:
    case EVENT_SWEEP:
    case EVENT_AUDIT:
    case EVENT_RESTART:
        break;
    }
    return error_set(error, INTERNAL, "no event of a worker");
}
