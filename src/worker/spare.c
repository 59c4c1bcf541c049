// Sandboxes that are started before their job is known, so that a small job does not wait for one.
//
// Most jobs want the same of a sandbox: no data, no files of the job, no network. An idle worker keeps some of those ready.
// Each serves one job, as any other seat's; a fresh one takes its place when the worker is idle again.
#include "worker/state.h"

#include "os/log.h"

#define SPARE_PAUSE_US INT64_C(60000000) // After one that could not be started.

// Those that ended by themselves are of no use: somebody else killed them.
static void drop_ended(struct worker *worker)
{
    size_t kept = 0;
    for (size_t i = 0; i < worker->spare_count; i++) {
        if (slot_has_ended(worker->spares[i].slot)) {
            slot_free(worker->spares[i].slot);
        } else {
            worker->spares[kept++] = worker->spares[i];
        }
    }
    worker->spare_count = kept;
}

// One for each core: so many jobs can come at once. And one that comes up while another is used.
static size_t wanted_count(const struct worker *worker)
{
    double cpus = worker->options->cpus;
    return cpus < SPARES_MIN ? SPARES_MIN : cpus > SPARES_MAX ? SPARES_MAX : (size_t)cpus;
}

void spares_refill(struct worker *worker, int64_t now_us)
{
    bool is_idle = worker->lease_count == 0 && !worker->is_stopping && !worker->is_draining;
    if (!worker->place.bubblewrap || !is_idle || worker->id == 0 || now_us < worker->spare_us) {
        return;
    }
    drop_ended(worker);
    while (worker->spare_count < wanted_count(worker)) {
        struct error error;
        struct spare spare = {.number = ++worker->seat_last};
        const struct slot_plan plan = {.number = spare.number};
        if (slot_start(&worker->place, &plan, NULL, NULL, &spare.slot, &error) != OK) {
            log_line(LOG_LEVEL_WARNING, "event=no-spare-sandbox detail=\"%s\"", error.detail);
            worker->spare_us = now_us + SPARE_PAUSE_US;
            return;
        }
        worker->spares[worker->spare_count++] = spare;
    }
}

struct slot *spare_take(struct worker *worker, int64_t *number)
{
    drop_ended(worker);
    if (worker->spare_count == 0) {
        return NULL;
    }
    struct spare spare = worker->spares[0]; // The oldest: it is up.
    worker->spare_count--;
    memmove(worker->spares, worker->spares + 1, worker->spare_count * sizeof spare);
    *number = spare.number;
    return spare.slot;
}

void spares_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->spare_count; i++) {
        slot_kill(worker->spares[i].slot);
    }
    for (size_t i = 0; i < worker->spare_count; i++) {
        slot_free(worker->spares[i].slot);
    }
    worker->spare_count = 0;
}
