// When a job of a certain need would start on this site's own workers, estimated on the writer's thread from what it holds in memory.
#include "queue/state.h"
#include "records/items.h"

#include "store/store.h"

#define TASK_SECONDS_UNKNOWN 1.0 // What a task is taken to last of whose job none has ended yet.

struct estimating {
    struct queue *queue;
    const struct resources *need;
    struct queue_estimate *out;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// How many such tasks fit into so much.
static int64_t fits(const struct resources *room, const struct resources *need)
{
    int64_t count = INT32_MAX;
    if (need->cpu_millis > 0) {
        count = least(count, room->cpu_millis / need->cpu_millis);
    }
    if (need->memory_bytes > 0) {
        count = least(count, room->memory_bytes / need->memory_bytes);
    }
    if (need->disk_bytes > 0) {
        count = least(count, room->disk_bytes / need->disk_bytes);
    }
    return count > 0 ? count : 0;
}

// What the worker's leases take together; more than it has where some of them wait there.
static struct resources taken_of(const struct queue *queue, const struct worker *worker)
{
    struct resources taken = {0};
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct active_job *job = map_find_int64(queue->jobs, worker->leases[i].job);
        if (job) {
            taken.cpu_millis += job->row.need.cpu_millis;
            taken.memory_bytes += job->row.need.memory_bytes;
            taken.disk_bytes += job->row.need.disk_bytes;
        }
    }
    return taken;
}

static void add_worker(const struct queue *queue, const struct worker *worker,
                       const struct resources *need, struct queue_estimate *out, double *millis)
{
    struct resources taken = taken_of(queue, worker);
    const struct resources room = {
        .cpu_millis = worker->capacity.cpu_millis - taken.cpu_millis,
        .memory_bytes = worker->capacity.memory_bytes - taken.memory_bytes,
        .disk_bytes = worker->capacity.disk_bytes - taken.disk_bytes,
    };
    out->worker_count++;
    out->slots += fits(&worker->capacity, need);
    out->free_slots += fits(&room, need);
    *millis += (double)worker->capacity.cpu_millis;
}

// Seconds of a core that a job's waiting tasks will take.
static double waiting_millis(const struct queue *queue, const struct active_job *job)
{
    struct job_figures figures = {0};
    if (!scheduler_figures(queue->scheduler, job->row.id, &figures)) {
        return 0;
    }
    double seconds =
        figures.mean_wall_us > 0 ? (double)figures.mean_wall_us / 1e6 : TASK_SECONDS_UNKNOWN;
    return (double)figures.waiting * seconds * (double)job->row.need.cpu_millis;
}

static enum status run_estimate(struct sql *sql, void *context, struct error *error)
{
    const struct estimating *estimating = context;
    struct queue *queue = estimating->queue;
    struct queue_estimate *out = estimating->out;
    double capacity_millis = 0;
    double backlog_millis = 0;
    size_t at = 0;
    TRY(queue_settle(queue, sql, error));
    *out = (struct queue_estimate){0};
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        // What others bring for certain jobs is not the site's to offer.
        if (!worker->is_over && !worker->is_draining && !worker->place &&
            worker->runner.kind == RUNNER_SITE) {
            add_worker(queue, worker, estimating->need, out, &capacity_millis);
        }
    }
    at = 0;
    for (const struct active_job *job; (job = map_next(queue->jobs, &at)) != NULL;) {
        backlog_millis += !job->place ? waiting_millis(queue, job) : 0;
    }
    out->start_seconds = capacity_millis > 0 ? backlog_millis / capacity_millis : 0;
    return OK;
}

enum status queue_estimate(struct queue *queue, const struct resources *need,
                           struct queue_estimate *out, struct error *error)
{
    struct estimating estimating = {queue, need, out};
    return store_write_wait(queue->store, run_estimate, &estimating, error);
}

enum status queue_count_items(struct queue *queue, const char *items, int64_t *count,
                              struct error *error)
{
    struct digest digest;
    int64_t size = 0;
    TRY(digest_from_text(text_of(items), &digest, error));
    return items_count(queue->blobs, &digest, count, &size, error);
}
