// Workers and the leases that they hold.
#include "queue/runners.h"

#include "base/memory.h"
#include "os/clock.h"
#include "records/jobs_sql.h"

enum {
    FORGOTTEN_AT_ONCE = 1000, // The next tick goes on.
    SILENT_LEASE_PART = 12,   // The part of a lease in which one comes back whose poll fell silent.
    HELD_UP_US = 4 * QUEUE_TICK_US,
    LENIENT_US = 3000000, // What waits to be read has been read by then.
};

struct worker *queue_find_worker(const struct queue *queue, int64_t id)
{
    struct worker *worker = map_find_int64(queue->workers, id);
    return worker && !worker->is_over ? worker : NULL;
}

void worker_free(struct worker *worker)
{
    free(worker->name);
    free(worker->secret_name);
    free(worker->owner);
    free(worker->version);
    free(worker->sandbox);
    free(worker->sandbox_kind);
    free(worker->groups);
    free(worker->groups_said);
    free(worker->leases);
    ranges_done(&worker->drops);
    ranges_done(&worker->cancels);
    ranges_done(&worker->yields);
    notes_free(worker);
    worker_drop_labels(worker);
    free(worker->serve_url);
    free(worker->serve_fingerprint);
    free(worker->reach);
    free(worker);
}

void workers_free(struct queue *queue)
{
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        worker_free(worker);
    }
}

void workers_reload(struct queue *queue)
{
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        worker_forget_leases(queue, worker);
        worker->lease_first = queue->lease_last;
        if (!worker->is_over) {
            scheduler_add_worker(queue->scheduler, worker->id, place_number(worker->place),
                                 &worker->capacity, clock_steady_us());
            scheduler_drain_worker(queue->scheduler, worker->id,
                                   worker->is_draining || worker->is_full);
            worker_tell_end(queue, worker);
            worker_tell_groups(queue, worker);
            worker_tell_labels(queue, worker);
            worker_tell_limits(queue, worker);
        }
    }
}

struct given_lease *worker_find_lease(struct worker *worker, int64_t number)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (worker->leases[i].number == number) {
            return &worker->leases[i];
        }
    }
    return NULL;
}

static void close_lease(struct queue *queue, const struct worker *worker, int64_t number)
{
    const struct upload_news news = {.what = UPLOAD_ENDED, .lease = number};
    task_leases_remove(queue, number);
    uploads_note(queue, worker, &news);
}

static void remove_lease(struct queue *queue, struct worker *worker, struct given_lease *lease)
{
    close_lease(queue, worker, lease->number);
    *lease = worker->leases[--worker->lease_count];
}

void worker_forget_leases(struct queue *queue, struct worker *worker)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        close_lease(queue, worker, worker->leases[i].number);
    }
    worker->lease_count = 0;
    ranges_done(&worker->yields);
}

static void add_lease(struct queue *queue, struct worker *worker, const struct given_lease *lease)
{
    if (worker->lease_count == worker->lease_capacity) {
        worker->lease_capacity = worker->lease_capacity ? worker->lease_capacity * 2 : 8;
        worker->leases =
            memory_resize(worker->leases, worker->lease_capacity, sizeof *worker->leases);
    }
    worker->leases[worker->lease_count++] = *lease;
    worker->may_be_named = true;
    task_leases_add(queue, worker, lease);
    uploads_lease_given(queue, worker, lease);
}

void worker_lease_reported(struct queue *queue, struct worker *worker, struct given_lease *lease)
{
    struct lease left;
    if (!scheduler_find_lease(queue->scheduler, lease->scheduled, &left)) {
        remove_lease(queue, worker, lease);
    }
}

// What the worker has of a job whose tasks have all ended, it has reported itself.
static void drop_lease(struct queue *queue, struct worker *worker, struct given_lease *lease,
                       const struct active_job *job)
{
    if (lease->job != job->row.id) {
        return;
    }
    if (job->row.progress.state == JOB_CANCELLED) {
        (void)ranges_add(&worker->cancels, lease->number, lease->number + 1);
    }
    remove_lease(queue, worker, lease);
}

static void add_drop(struct worker *worker, int64_t job)
{
    worker->drops_since_us = worker->drops.count ? worker->drops_since_us : clock_steady_us();
    (void)ranges_add(&worker->drops, job, job + 1);
}

void workers_drop_job(struct queue *queue, const struct active_job *job)
{
    for (size_t r = 0; r < job->told.count; r++) {
        for (int64_t id = job->told.items[r].from; id < job->told.items[r].to; id++) {
            struct worker *worker = queue_find_worker(queue, id);
            if (!worker) {
                continue;
            }
            add_drop(worker, job->row.id);
            notes_drop_job(worker, job->row.id);
            for (size_t i = worker->lease_count; i-- > 0;) {
                drop_lease(queue, worker, &worker->leases[i], job);
            }
        }
    }
}

static void take_leases_back(struct queue *queue, struct worker *worker, int64_t job)
{
    for (size_t i = worker->lease_count; i-- > 0;) {
        struct given_lease *lease = &worker->leases[i];
        if (lease->job == job) {
            scheduler_return(queue->scheduler, lease->scheduled, lease->from, lease->to);
            remove_lease(queue, worker, lease);
        }
    }
}

void workers_take_back(struct queue *queue, struct active_job *job)
{
    size_t at = 0;
    int64_t id = job->row.id;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        take_leases_back(queue, worker, id);
        if (!worker->is_over && ranges_contains(&job->told, worker->id)) {
            add_drop(worker, id);
        }
    }
    (void)ranges_remove(&job->told, 0, INT64_MAX);
}

// A lease from before the site's restart, or from before the worker was given up: back into the books, or cancelled.
static void reattach(struct queue *queue, struct worker *worker, const struct poll_lease *said)
{
    struct active_job *job = queue_find_job(queue, said->job);
    struct lease taken = {0};
    enum task_place place = TASK_UNKNOWN;
    if (job && said->from < said->to) {
        place =
            scheduler_find_task(queue->scheduler, (struct task_id){said->job, said->from}, &taken);
    }
    if (place == TASK_FINISHED) {
        return; // A statement that was overtaken by the report itself.
    }
    int64_t now_us = clock_steady_us();
    // What is held goes on as something else; and what it may not have, it never got here.
    if (place != TASK_WAITING || job->hold_reason || !worker_may_have_job(worker, job) ||
        scheduler_reattach(queue->scheduler, worker->id, said->job, said->from, said->to, now_us,
                           &taken, NULL) != OK) {
        (void)ranges_add(&worker->cancels, said->lease, said->lease + 1);
        return;
    }
    job_start(queue, job, job->row.progress.started_us);
    twins_note_class(queue, job, worker->runner.kind);
    add_lease(queue, worker,
              &(struct given_lease){.number = said->lease,
                                    .scheduled = taken.id,
                                    .job = taken.job,
                                    .from = taken.from,
                                    .to = taken.to,
                                    .seen_us = now_us});
}

// What it holds of jobs that it has nothing to do with any more: an answer that told it so was lost. What there is no room for it says again.
static void drop_again(const struct queue *queue, struct worker *worker,
                       const struct poll_body *body)
{
    int64_t room = POLL_JOBS_MAX - ranges_total(&worker->drops);
    for (size_t i = 0; i < body->job_count && room > 0; i++) {
        const struct active_job *job = queue_find_job(queue, body->jobs[i]);
        if (!job || job->has_ended || !ranges_contains(&job->told, worker->id)) {
            add_drop(worker, body->jobs[i]);
            room--;
        }
    }
}

void worker_reconcile(struct queue *queue, struct worker *worker, const struct poll_body *body)
{
    int64_t now_us = clock_steady_us();
    drop_again(queue, worker, body);
    for (size_t i = 0; i < body->lease_count; i++) {
        struct given_lease *lease = worker_find_lease(worker, body->leases[i].lease);
        if (lease && !queue_find_job(queue, lease->job)) {
            remove_lease(queue, worker, lease); // Reattached, so it was not told of the job's end.
            lease = NULL;
        }
        if (lease) {
            lease->seen_us = now_us;
        } else if (body->leases[i].lease <= worker->lease_first) {
            reattach(queue, worker, &body->leases[i]);
        } else if (!queue_find_job(queue, body->leases[i].job)) {
            // The answer that told of the job's end was lost.
            int64_t number = body->leases[i].lease;
            (void)ranges_add(&worker->cancels, number, number + 1);
        }
    }
    for (size_t i = worker->lease_count; body->has_leases && i-- > 0;) {
        struct given_lease *lease = &worker->leases[i];
        if (now_us - lease->seen_us > LEASE_UNSEEN_US) {
            scheduler_return(queue->scheduler, lease->scheduled, lease->from, lease->to);
            remove_lease(queue, worker, lease);
            queue->has_work = true;
        }
    }
}

// What an answer says of the leases that it gives: elements of its lists.
struct given {
    struct buffer leases;
    struct buffer jobs;
    struct buffer attempts;
};

static void given_done(struct given *given)
{
    buffer_done(&given->leases);
    buffer_done(&given->jobs);
    buffer_done(&given->attempts);
}

static void write_lease(struct queue *queue, struct worker *worker, const struct lease *lease,
                        struct given *out)
{
    struct active_job *job = queue_find_job(queue, lease->job);
    struct given_lease given = {
        .number = queue->lease_base + lease->id,
        .scheduled = lease->id,
        .job = lease->job,
        .from = lease->from,
        .to = lease->to,
        .seen_us = clock_steady_us(),
    };
    queue->lease_last = given.number > queue->lease_last ? given.number : queue->lease_last;
    add_lease(queue, worker, &given);
    buffer_printf(&out->leases, "%s[%lld,%lld,%lld,%lld", out->leases.length ? "," : "",
                  (long long)given.number, (long long)given.job, (long long)given.from,
                  (long long)given.to);
    if (job_has_api(job) && !worker->place) {
        buffer_append_string(&out->leases, ",\"");
        task_token_write(queue, worker, &given, &out->leases);
        buffer_append_byte(&out->leases, '"');
    }
    buffer_append_byte(&out->leases, ']');
    if (ranges_add(&job->told, worker->id, worker->id + 1) > 0) {
        buffer_printf(&out->jobs, "%s{\"job\":%lld,%s", out->jobs.length ? "," : "",
                      (long long)given.job, job->description);
    }
    checkpoint_write_attempt(queue, job, &given, &out->attempts);
    job_start(queue, job, clock_real_us());
    twins_note_class(queue, job, worker->runner.kind);
}

static void write_numbers(struct ranges *numbers, struct buffer *out)
{
    struct range range;
    for (bool is_first = true; ranges_take(numbers, 1, &range); is_first = false) {
        buffer_printf(out, "%s%lld", is_first ? "" : ",", (long long)range.from);
    }
}

// The scheduler knows names by their hashes. Two that have the same are told apart here.
static void take_away(struct queue *queue, const struct worker *worker, const struct lease *lease)
{
    scheduler_refuse(queue->scheduler, worker->id, lease->job);
    scheduler_return(queue->scheduler, lease->id, lease->from, lease->to);
}

bool worker_answer(struct queue *queue, struct worker *worker, bool with_leases, struct buffer *out)
{
    struct lease leases[LEASES_A_POLL_MAX];
    struct given given = {0};
    size_t count = 0;
    if (with_leases && !queue->is_stopping && !queue->needs_reload) {
        count = scheduler_lease(queue->scheduler, worker->id, clock_steady_us(), leases,
                                LEASES_A_POLL_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (worker_may_have_job(worker, queue_find_job(queue, leases[i].job))) {
            write_lease(queue, worker, &leases[i], &given);
        } else {
            take_away(queue, worker, &leases[i]);
        }
    }
    bool has_drops =
        worker->drops.count > 0 && clock_steady_us() - worker->drops_since_us > DROP_DELAY_US;
    bool is_something = count > 0 || worker->cancels.count > 0 || worker->yields.count > 0 ||
                        has_drops || worker->has_order;
    buffer_printf(out, "{\"leases\":[%s],\"jobs\":[", given.leases.bytes ? given.leases.bytes : "");
    buffer_append_text(out, buffer_text(&given.jobs));
    if (given.attempts.length > 0) {
        buffer_append_string(out, "],\"attempts\":[");
        buffer_append_text(out, buffer_text(&given.attempts));
    }
    given_done(&given);
    buffer_append_string(out, "],\"cancel\":[");
    write_numbers(&worker->cancels, out);
    if (worker->yields.count > 0) {
        buffer_append_string(out, "],\"yield\":[");
        write_numbers(&worker->yields, out);
    }
    buffer_append_string(out, "],\"drop_jobs\":[");
    if (is_something) {
        write_numbers(&worker->drops, out);
    }
    buffer_printf(out, "],\"drain\":%s", worker->is_draining ? "true" : "false");
    worker_write_order(worker, out);
    buffer_append_string(out, "}\n");
    return is_something;
}

void workers_ask_to_yield(struct queue *queue)
{
    struct lease leases[LEASES_A_POLL_MAX];
    size_t count = 0;
    if (!queue->is_stopping && !queue->needs_reload) {
        count = scheduler_yields(queue->scheduler, clock_steady_us(), leases, LEASES_A_POLL_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = queue_find_worker(queue, leases[i].worker);
        for (size_t k = 0; worker && k < worker->lease_count; k++) {
            if (worker->leases[k].scheduled == leases[i].id) {
                int64_t number = worker->leases[k].number;
                (void)ranges_add(&worker->yields, number, number + 1);
            }
        }
    }
}

static const char *own_name(const struct worker *worker)
{
    return worker->secret_name ? worker->secret_name : worker->name;
}

int64_t worker_find_former(const struct queue *queue, const struct worker *worker)
{
    size_t at = 0;
    for (const struct worker *other; (other = map_next(queue->workers, &at)) != NULL;) {
        if (!other->is_over && worker->process != 0 && other->process == worker->process &&
            strcmp(own_name(other), own_name(worker)) == 0 &&
            strcmp(other->owner, worker->owner) == 0) {
            return other->id;
        }
    }
    return 0;
}

void worker_succeed_former(struct queue *queue, struct worker *worker)
{
    struct worker *former = queue_find_worker(queue, worker->former);
    worker->former = 0;
    if (former) {
        live_pass_on(queue, former, worker);
        worker_leave(queue, former); // None of its tasks is to blame: it has not died.
    }
}

// Its connection was closed under its waiting poll, most likely as it has died, and no other poll came since. One that leaves in order
// does not wait any more. One whose machine fell silent has been waited for already, and comes back at once if it comes back at all; what it holds keeps the
// time of its lease, as that poll has nothing to do with it.
static bool has_gone(const struct queue *queue, const struct worker *worker, int64_t now_us)
{
    if (worker->is_over || worker->is_draining || worker->gone_us == 0 ||
        (worker->is_silent && worker->lease_count > 0)) {
        return false;
    }
    int64_t silent_us = queue->scheduler_options.lease_timeout_us / SILENT_LEASE_PART;
    int64_t grace_us = worker->is_silent && silent_us < queue->gone_timeout_us
                           ? silent_us
                           : queue->gone_timeout_us;
    return now_us - worker->gone_us >= grace_us;
}

static enum status lose_gone_workers(struct queue *queue, struct sql *sql, int64_t now_us,
                                     struct error *error)
{
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (has_gone(queue, worker, now_us)) {
            TRY(worker_lose(queue, sql, worker,
                            "it left its waiting poll and did not come back, as when its process "
                            "or machine dies",
                            error));
        }
    }
    return OK;
}

// A site that was held up, by its disk or as its machine slept, has not read what workers said meanwhile.
static bool is_lenient(struct queue *queue, int64_t now_us)
{
    if (queue->tick_us != 0 && now_us - queue->tick_us > HELD_UP_US) {
        queue->lenient_until_us = now_us + LENIENT_US;
    }
    queue->tick_us = now_us;
    return now_us < queue->lenient_until_us;
}

// Those that have been listed long enough as lost or gone; of who did nothing no row stays either.
static enum status forget_over(struct queue *queue, struct sql *sql, int64_t now_us,
                               struct error *error)
{
    struct worker *over[FORGOTTEN_AT_ONCE];
    size_t count = 0;
    size_t at = 0;
    for (struct worker *worker;
         count < FORGOTTEN_AT_ONCE && (worker = map_next(queue->workers, &at)) != NULL;) {
        if (worker->is_over && now_us - worker->over_us >= queue->over_kept_us) {
            over[count++] = worker;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!over[i]->may_be_named) {
            TRY(sql_run(sql, SQL_FORGET_WORKER, SQL_VALUES(sql_int64(over[i]->id)), NULL, error));
        }
        (void)map_set_int64(queue->workers, over[i]->id, NULL);
        worker_free(over[i]);
    }
    return OK;
}

enum status workers_expire(struct queue *queue, struct sql *sql, struct error *error)
{
    int64_t now_us = clock_steady_us();
    if (is_lenient(queue, now_us)) {
        return OK;
    }
    TRY(lose_gone_workers(queue, sql, now_us, error));
    TRY(runners_expire(queue, sql, error));
    TRY(runners_tick(queue, sql, now_us, error));
    uploads_tick(queue, now_us);
    for (int64_t id; (id = scheduler_expired_worker(queue->scheduler, now_us)) != 0;) {
        struct worker *worker = queue_find_worker(queue, id);
        if (!worker) {
            return error_set(error, INTERNAL, "worker %lld is in the scheduler only",
                             (long long)id);
        }
        TRY(worker_lose(queue, sql, worker, "nothing was heard of it for the time of a lease",
                        error));
    }
    return forget_over(queue, sql, now_us, error);
}

struct ended_op {
    struct queue_op op;
    char *name;
    char *reason;
    int64_t process;
    char *owner; // Instead of name and process.
};

// The link is many workers, each named after its place.
static bool is_named(const struct worker *worker, const char *name)
{
    return name ? strcmp(worker->name, name) == 0
                : text_equal(text_of(worker->sandbox_kind), TEXT("site"));
}

static bool is_meant(const struct worker *worker, const struct ended_op *op)
{
    return op->owner ? strcmp(worker->owner, op->owner) == 0
                     : worker->process == op->process && is_named(worker, op->name);
}

static enum status run_ended(struct queue_op *op, struct sql *sql, struct error *error)
{
    const struct ended_op *self = (const struct ended_op *)op;
    size_t at = 0;
    if (self->owner) {
        TRY(sql_run(sql, SQL_FORGET_UPLOADS, SQL_VALUES(sql_text(text_of(self->owner))), NULL,
                    error));
    }
    for (struct worker *worker; (worker = map_next(op->queue->workers, &at)) != NULL;) {
        if (!worker->is_over && is_meant(worker, self)) {
            // Without a reason: whose trust has ended has not died.
            TRY(worker_lose(op->queue, sql, worker, self->reason, error));
        }
    }
    return OK;
}

// When this failed, the worker is lost once its lease has run out.
static void done_ended(struct queue_op *op, enum status status, const struct error *error)
{
    struct ended_op *self = (struct ended_op *)op;
    (void)status;
    (void)error;
    free(self->name);
    free(self->reason);
    free(self->owner);
    free(self);
}

void queue_drop_workers(struct queue *queue, struct text owner)
{
    struct ended_op *self = NEW(struct ended_op);
    self->op.run = run_ended;
    self->op.done = done_ended;
    self->owner = text_copy(owner);
    queue_enqueue(queue, &self->op);
}

void queue_worker_ended(struct queue *queue, const char *name, int64_t process, const char *how)
{
    struct ended_op *self = NEW(struct ended_op);
    self->op.run = run_ended;
    self->op.done = done_ended;
    self->name = memory_copy_string(name);
    self->reason = memory_format("its process %lld ended: %s", (long long)process, how);
    self->process = process;
    queue_enqueue(queue, &self->op);
}
