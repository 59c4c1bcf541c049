// The invariants of a simulation: each task is committed once, no capacity is exceeded, shares stay within bounds.
#include "random.h"
#include "world.h"

#include <math.h>

enum {
    COMPETING_AUDITS =
        3, // A group is held to its share after it has had waiting tasks for so many audits.
    CHECK_EVERY = 4,        // Audits for one check of all books.
    BRIEF_MEAN_US = 500000, // Tasks that fit into the rest of almost every life.
};
#define SHARE_RATIO_MAX 1.5

void audit_note(struct world *world, int64_t a, int64_t b, int64_t c)
{
    uint64_t digest = random_mix(world->digest ^ (uint64_t)a);
    digest = random_mix(digest + (uint64_t)b * 0x9e3779b97f4a7c15ULL);
    world->digest = random_mix(digest + (uint64_t)c);
}

void meter_add(struct meter *meter, int64_t count, int64_t time_us)
{
    meter->calls++;
    meter->count += count;
    meter->total_us += time_us;
    meter->max_us = time_us > meter->max_us ? time_us : meter->max_us;
    meter->buckets[time_us < METER_BUCKETS ? time_us : METER_BUCKETS - 1]++;
}

int64_t meter_quantile(const struct meter *meter, double part)
{
    double within = 0;
    for (int64_t i = 0; i < METER_BUCKETS - 1; i++) {
        within += (double)meter->buckets[i];
        if (within >= part * (double)meter->calls) {
            return i;
        }
    }
    return meter->max_us;
}

enum status audit_commit(struct world *world, int64_t job_id, int64_t from, int64_t to,
                         struct error *error)
{
    struct sim_job *job = &world->jobs[job_id - 1];
    for (int64_t i = from; i < to; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if (job->committed[i / 64] & bit) {
            return error_set(error, CORRUPT, "task %lld of job %lld was committed twice",
                             (long long)i, (long long)job_id);
        }
        if (poison_is(world, job_id, i)) {
            return error_set(error, CORRUPT, "task %lld of job %lld ended, which kills workers",
                             (long long)i, (long long)job_id);
        }
        job->committed[i / 64] |= bit;
    }
    (void)ranges_remove(&job->held, from, to); // Late results are used.
    job->committed_count += to - from;
    audit_note(world, job_id, from, to);
    if (job->committed_count == job->plan.count) {
        if (!scheduler_is_complete(world->scheduler, job_id)) {
            return error_set(error, CORRUPT, "job %lld is committed whole and not complete",
                             (long long)job_id);
        }
        scheduler_remove_job(world->scheduler, job_id);
        job->is_complete = true;
        world->open_jobs--;
    }
    return OK;
}

enum status audit_place(struct world *world, const struct sim_worker *worker,
                        const struct lease *lease, struct error *error)
{
    const struct job_plan *plan = &world->jobs[lease->job - 1].plan;
    if (plan->place != worker->place) {
        return error_set(error, CORRUPT, "job %lld of place %lld was leased to place %lld",
                         (long long)plan->id, (long long)plan->place, (long long)worker->place);
    }
    world->figures.elsewhere += plan->place != 0;
    return OK;
}

static const struct resources *need_of(const struct world *world, const struct sim_lease *lease)
{
    return &world->jobs[lease->lease.job - 1].plan.need;
}

enum status audit_capacity(const struct world *world, const struct sim_worker *worker,
                           struct error *error)
{
    const struct resources *capacity = &worker->capacity;
    const struct resources *used = &worker->used;
    struct resources held = {0};
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct resources *need = need_of(world, &worker->leases[i]);
        held.cpu_millis += need->cpu_millis;
        held.memory_bytes += need->memory_bytes;
    }
    if (used->cpu_millis > capacity->cpu_millis || used->memory_bytes > capacity->memory_bytes ||
        held.cpu_millis > 2 * capacity->cpu_millis ||
        held.memory_bytes > 2 * capacity->memory_bytes) {
        return error_set(
            error, CORRUPT,
            "worker %lld was given more than it can hold: of %lld cpu_millis it runs %lld and "
            "holds %lld, of %lld bytes of memory %lld and %lld",
            (long long)worker->id, (long long)capacity->cpu_millis, (long long)used->cpu_millis,
            (long long)held.cpu_millis, (long long)capacity->memory_bytes,
            (long long)used->memory_bytes, (long long)held.memory_bytes);
    }
    return OK;
}

// What each group has running, as a part of all, over its weight.
static void measure_shares(const struct world *world, double shares[WORLD_GROUPS_MAX])
{
    double cpu[WORLD_GROUPS_MAX] = {0};
    double memory[WORLD_GROUPS_MAX] = {0};
    double all_cpu = 0;
    double all_memory = 0;
    for (int64_t i = 0; i < world->settings.workers; i++) {
        const struct sim_worker *worker = &world->workers[i];
        if (worker->id == 0 || worker->is_forgotten || worker->place != 0) {
            continue;
        }
        all_cpu += (double)worker->capacity.cpu_millis;
        all_memory += (double)worker->capacity.memory_bytes;
        for (size_t j = 0; j < worker->lease_count; j++) {
            const struct sim_job *job = &world->jobs[worker->leases[j].lease.job - 1];
            cpu[job->plan.group - 1] += (double)job->plan.need.cpu_millis;
            memory[job->plan.group - 1] += (double)job->plan.need.memory_bytes;
        }
    }
    for (size_t i = 0; i < world->group_count; i++) {
        shares[i] = fmax(cpu[i] / all_cpu, memory[i] / all_memory) / world->weights[i];
    }
}

// Does the job fit on the smallest worker, and on one that leaves soon? A large one may have to wait for room although its group's share is low.
static bool fits_everywhere(const struct world *world, const struct sim_job *job)
{
    bool is_brief = world->settings.lifetimes <= 0 || job->mean_us <= BRIEF_MEAN_US;
    return is_brief && job->plan.need.cpu_millis <= SIM_CPU_MILLIS_MIN &&
           job->plan.need.memory_bytes <= SIM_MEMORY_BYTES_MIN;
}

// Which groups have had waiting tasks that fit anywhere for a while.
static void follow_competition(struct world *world)
{
    bool has_waiting[WORLD_GROUPS_MAX] = {false};
    for (int64_t i = 0; i < world->settings.jobs; i++) {
        struct job_figures figures;
        const struct sim_job *job = &world->jobs[i];
        if (job->is_submitted && job->plan.place == 0 && fits_everywhere(world, job) &&
            scheduler_figures(world->scheduler, job->plan.id, &figures) && figures.waiting > 0) {
            has_waiting[job->plan.group - 1] = true;
        }
    }
    for (size_t i = 0; i < world->group_count; i++) {
        world->competing_for[i] = has_waiting[i] ? world->competing_for[i] + 1 : 0;
    }
}

// A group that has workers of its own gets at least what the others get.
static enum status check_listed(const struct world *world, const double shares[WORLD_GROUPS_MAX],
                                double most, struct error *error)
{
    for (size_t i = 0; i < world->group_count; i++) {
        bool is_competing = world->competing_for[i] >= COMPETING_AUDITS;
        if (is_competing && groups_is_listed(world, (int64_t)i + 1) &&
            shares[i] * SHARE_RATIO_MAX < most) {
            return error_set(error, CORRUPT,
                             "group %zu has workers of its own and %.2f of the others' share at "
                             "%.0f s",
                             i + 1, shares[i] / most, (double)world->now_us / 1e6);
        }
    }
    return OK;
}

static enum status compare_shares(struct world *world, struct error *error)
{
    double shares[WORLD_GROUPS_MAX];
    measure_shares(world, shares);
    double least = INFINITY;
    double most = 0;
    size_t competing = 0;
    for (size_t i = 0; i < world->group_count; i++) {
        if (world->competing_for[i] >= COMPETING_AUDITS &&
            !groups_is_listed(world, (int64_t)i + 1)) {
            least = fmin(least, shares[i]);
            most = fmax(most, shares[i]);
            competing++;
        }
    }
    if (competing < 2) {
        return OK;
    }
    double ratio = most / least;
    world->figures.shares_compared++;
    world->figures.worst_share = fmax(world->figures.worst_share, ratio);
    if (ratio > SHARE_RATIO_MAX) {
        return error_set(error, CORRUPT,
                         "shares of competing groups differ by a factor of %.2f at %.0f s", ratio,
                         (double)world->now_us / 1e6);
    }
    return check_listed(world, shares, most, error);
}

enum status audit_all(struct world *world, struct error *error)
{
    follow_competition(world);
    TRY(compare_shares(world, error));
    if (world->figures.checks++ % CHECK_EVERY == 0) {
        return scheduler_check(world->scheduler, error);
    }
    return OK;
}
