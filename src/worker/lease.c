// Leases: which one runs in which seat, and the items that go with it.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"

#include <inttypes.h>

struct task_lease *lease_add(struct worker *worker, int64_t id, struct worker_job *job,
                             int64_t from, int64_t to)
{
    struct task_lease *lease = NEW(struct task_lease);
    *lease = (struct task_lease){
        .id = id, .from = from, .to = to, .job = job, .done = from, .reported = from};
    if (worker->lease_count == worker->lease_capacity) {
        worker->lease_capacity = worker->lease_capacity ? worker->lease_capacity * 2 : 16;
        worker->leases =
            memory_resize(worker->leases, worker->lease_capacity, sizeof(struct task_lease *));
    }
    worker->leases[worker->lease_count++] = lease;
    job->lease_count++;
    return lease;
}

void lease_free(struct task_lease *lease)
{
    while (lease->held_first) {
        struct held_result *held = lease->held_first;
        lease->held_first = held->next;
        lease->job->worker->held_count--;
        held_free(held);
    }
    supply_drop_items(lease, INT64_MAX);
    lease->job->lease_count--;
    restore_free(lease->restore);
    ready_done(&lease->ready);
    buffer_done(&lease->gather.lines);
    buffer_done(&lease->gather.errors);
    if (lease->token) {
        explicit_bzero(lease->token, strlen(lease->token));
    }
    free(lease->token);
    free(lease);
}

void leases_free_done(struct worker *worker)
{
    size_t kept = 0;
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        bool is_reported = lease->reported >= lease->to || lease->is_dead;
        if (is_reported && !lease->seat && !lease->held_first && lease->ready.sent_length == 0) {
            lease_free(lease);
        } else {
            worker->leases[kept++] = lease;
        }
    }
    worker->lease_count = kept;
}

void lease_leave_seat(struct task_lease *lease)
{
    struct seat *seat = lease->seat;
    if (!seat) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < seat->lease_count; i++) {
        if (seat->leases[i] != lease) {
            seat->leases[kept++] = seat->leases[i];
        }
    }
    seat->lease_count = kept;
    lease->seat = NULL;
    supply_drop_items(lease, INT64_MAX);
}

void lease_cancel(struct worker *worker, int64_t id)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        if (lease->id == id) {
            lease->is_dead = true;
            if (lease->seat && !lease->seat->is_broken) {
                slot_send_cancel(lease->seat->slot, lease->id);
            }
        }
    }
}

void lease_end_rest(struct task_lease *lease, enum runner_outcome outcome, const char *detail)
{
    struct runner_result result = {.lease = lease->id,
                                   .outcome = outcome,
                                   .started_us = clock_real_us(),
                                   .out.file = -1,
                                   .err.file = -1,
                                   .detail = text_slice(text_of(detail), 0, RUNNER_DETAIL_MAX)};
    gather_flush(lease);
    while (lease->done < lease->to) {
        result.index = lease->done++;
        report_result(lease, &result, NULL, NULL);
    }
}

void lease_feed_items(struct task_lease *lease)
{
    struct item_list *items = lease->job->items;
    if (lease->job->item_data) {
        supply_feed_items(lease);
        return;
    }
    while (lease->chunk_count > 0 && lease->chunks[lease->chunk_first] <= lease->done) {
        lease->chunk_first = (lease->chunk_first + 1) % ITEM_CHUNKS_MAX;
        lease->chunk_count--;
    }
    while (items && lease->seat && !lease->is_dead && lease->items_next < lease->to &&
           lease->chunk_count < ITEM_CHUNKS_MAX) {
        AUTO_BUFFER struct buffer lines = {0};
        struct error error;
        int64_t next = 0;
        int64_t first = lease->job->spec->first_index; // The line of task 0.
        if (item_list_read(items, &lease->cursor, first + lease->items_next, first + lease->to,
                           ITEM_CHUNK, &lines, &next, &error) != OK) {
            struct seat *seat = lease->seat;
            slot_send_cancel(seat->slot, lease->id);
            lease->is_unfed = true;
            lease->job->fault = error;
            lease->job->fault_outcome = OUTCOME_WORKER;
            return;
        }
        slot_send_items(lease->seat->slot, lease->id, buffer_text(&lines));
        lease->items_next = next - first;
        lease->chunks[(lease->chunk_first + lease->chunk_count++) % ITEM_CHUNKS_MAX] = next - first;
    }
}

static void assign(struct task_lease *lease, struct seat *seat)
{
    seat->leases[seat->lease_count++] = lease;
    lease->seat = seat;
    lease->items_next = lease->done;
    lease->chunk_count = 0;
    if (lease->token) {
        slot_send_token(seat->slot, text_of(lease->token));
    }
    if (lease->attempt > 0) {
        checkpoint_begin(seat);
        slot_send_attempt(seat->slot, lease->id, lease->done, lease->attempt, lease->is_restored);
    } else {
        slot_send_range(seat->slot, lease->id, lease->done, lease->to);
    }
    lease_feed_items(lease);
}

// Is there room for one more task of the job beside those that run? A lone task always has room: the site has chosen it.
static bool has_room(const struct worker *worker, const struct job *spec)
{
    double cpus = (double)spec->cpu_millis / 1000;
    int64_t memory = spec->memory_bytes;
    int64_t gpus = spec->gpus;
    bool is_alone = true;
    for (size_t i = 0; i < worker->seat_count; i++) {
        const struct seat *seat = worker->seats[i];
        if (seat->lease_count > 0) {
            cpus += (double)seat->job->spec->cpu_millis / 1000;
            memory += seat->job->spec->memory_bytes;
            gpus += seat->job->spec->gpus;
            is_alone = false;
        }
    }
    return is_alone ||
           (cpus <= worker->options->cpus + 1e-6 && memory <= worker->options->memory_bytes &&
            gpus <= (int64_t)worker->options->gpus.count);
}

static struct seat *find_seat(const struct worker *worker, const struct worker_job *job,
                              size_t lease_count)
{
    for (size_t i = 0; i < worker->seat_count; i++) {
        struct seat *seat = worker->seats[i];
        bool is_fit = !seat->is_broken && !seat->is_interrupted;
        if (seat->job == job && seat->lease_count == lease_count && is_fit) {
            return seat;
        }
    }
    return NULL;
}

static enum status put_back(struct task_lease *lease, const struct seat *seat, struct error *error)
{
    TRY(restore_put(lease->restore, slot_work_fd(seat->slot), error));
    restore_free(TAKE(lease->restore));
    lease->is_restored = true;
    return OK;
}

static void start_lease(struct worker *worker, struct task_lease *lease)
{
    struct worker_job *job = lease->job;
    struct error error = {0};
    if (job->note.kind == NOTE_UNABLE) {
        job->note.is_due = true; // The site does not know it (any more).
        lease_return(lease);
        return;
    }
    if (job->fault.status != OK) {
        lease_end_rest(lease, job->fault_outcome, job->fault.detail);
        return;
    }
    if (has_room(worker, job->spec)) {
        // A used seat's runner may still be emptying its folder.
        struct seat *seat = lease->restore ? NULL : find_seat(worker, job, 0);
        if (!seat && worker->seat_count < SEATS_MAX) {
            seat = seat_start(worker, job, &error);
        }
        if (seat && lease->restore) {
            seat = put_back(lease, seat, &error) == OK ? seat : NULL;
        }
        if (seat) {
            assign(lease, seat);
        } else {
            bool is_input = error.status == INVALID;
            lease_end_rest(lease, is_input ? OUTCOME_INPUT : OUTCOME_WORKER, error.detail);
        }
        return;
    }
    struct seat *busy = job->spec->is_stream ? find_seat(worker, job, 1) : NULL;
    if (busy) {
        assign(lease, busy);
    }
}

void leases_start(struct worker *worker)
{
    int64_t now_us = clock_steady_us();
    for (size_t i = 0; i < worker->lease_count && !worker->is_stopping; i++) {
        struct task_lease *lease = worker->leases[i];
        if (lease->seat || lease->is_yielding || !lease_is_to_return(lease)) {
            continue;
        }
        if (room_has_run_out(worker, now_us)) {
            room_return(lease);
            continue;
        }
        if (lease->job->is_prepared && (!lease->restore || restore_is_ready(lease->restore))) {
            start_lease(worker, lease);
        }
    }
}

void lease_return(struct task_lease *lease)
{
    struct worker *worker = lease->job->worker;
    gather_flush(lease);
    buffer_printf(entries_add(&worker->returned), "[%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                  lease->id, lease->done, lease->to);
    lease->to = lease->done;
    lease->is_returned = true;
    report_mark(worker, true);
}

bool lease_is_to_return(const struct task_lease *lease)
{
    return !lease->is_dead && !lease->is_returned && lease->done < lease->to;
}

void leases_return_all(struct worker *worker)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (lease_is_to_return(worker->leases[i])) {
            lease_return(worker->leases[i]);
        }
    }
}

bool leases_return_stored(struct worker *worker)
{
    bool is_storing = false;
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        if (lease_is_to_return(lease) && checkpoint_is_under_way(worker, lease)) {
            is_storing = true;
        } else if (lease_is_to_return(lease)) {
            lease_return(lease);
        }
    }
    return is_storing;
}
