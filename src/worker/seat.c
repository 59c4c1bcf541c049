// A slot at work for a job: what its runner says, and its end.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "sandbox/inputs.h"

#include <inttypes.h>
#include <stdio.h>

static struct task_lease *find_lease(const struct seat *seat, int64_t id)
{
    for (size_t i = 0; i < seat->lease_count; i++) {
        if (seat->leases[i]->id == id) {
            return seat->leases[i];
        }
    }
    return NULL;
}

#define MIB 1048576.0

enum { LOOK_PART = 20 };

// Says which limit it was, for a task that the kernel ended for one.
static void describe_limit(const struct seat *seat, struct runner_result *result,
                           char detail[RUNNER_DETAIL_MAX])
{
    const struct job *spec = seat->job->spec;
    if (result->outcome == OUTCOME_MEMORY && result->detail.length == 0) {
        int64_t peak = slot_memory_peak(seat->slot);
        result->peak_bytes = peak > result->peak_bytes ? peak : result->peak_bytes;
        (void)snprintf(detail, RUNNER_DETAIL_MAX,
                       "the limit is %.1f MiB of memory, the peak was %.1f MiB",
                       (double)spec->memory_bytes / MIB, (double)peak / MIB);
        result->detail = text_of(detail);
    } else if (result->outcome == OUTCOME_PIDS && result->detail.length == 0) {
        (void)snprintf(detail, RUNNER_DETAIL_MAX,
                       "the limit is %d processes and threads, and more were asked for",
                       SEAT_PIDS_MAX);
        result->detail = text_of(detail);
    }
}

static void collect(struct seat *seat, struct runner_result *result, struct arena *arena,
                    struct outputs *outputs, char detail[RUNNER_DETAIL_MAX])
{
    const struct job *spec = seat->job->spec;
    const char **ignored = arena_new(arena, (spec->top_count + 1) * sizeof *ignored);
    struct error error;
    for (size_t i = 0; i < spec->top_count; i++) {
        ignored[i] = spec->tops[i].name;
    }
    const struct outputs_wanted wanted = {spec->outputs, spec->output_count, ignored};
    if (outputs_collect(slot_work_fd(seat->slot), &wanted, arena, outputs, &error) != OK) {
        result->outcome = error.status == QUOTA ? OUTCOME_DISK : OUTCOME_WORKER;
        (void)snprintf(detail, RUNNER_DETAIL_MAX, "%.*s", RUNNER_DETAIL_MAX - 1, error.detail);
        result->detail = text_of(detail);
    }
}

// Data that changed while tasks read it: looked at again as tasks end, so often that it takes a LOOK_PART of the time at most. What is
// found counts for all tasks of the job that end from now on. (Whether results may answer later jobs is decided at the site, by
// more than is looked at here.)
static bool are_inputs_well(struct worker_job *job)
{
    int64_t begun_us = clock_steady_us();
    struct error error = {0};
    if (job->fault.status == OK && job->spec->data_count > 0 && begun_us >= job->look_us) {
        if (inputs_check(job->spec, &error) != OK) {
            job->fault = error;
            job->fault.status = INVALID;
            job->fault_outcome = OUTCOME_INPUT;
        }
        int64_t ended_us = clock_steady_us();
        job->look_us = ended_us + (ended_us - begun_us) * LOOK_PART;
    }
    return job->fault.status == OK || job->fault_outcome != OUTCOME_INPUT;
}

static void judge_inputs(const struct seat *seat, const struct task_lease *lease,
                         struct runner_result *result)
{
    const struct item_supply *failed = supply_failed_item(lease, result->index);
    if (failed) { // The runner has found that it is missing; here is known why.
        result->outcome = failed->outcome;
        result->detail = text_slice(text_of(failed->fault.detail), 0, RUNNER_DETAIL_MAX);
        return;
    }
    bool is_success = result->outcome == OUTCOME_EXITED && result->code == 0;
    if (is_success && !are_inputs_well(seat->job)) {
        result->outcome = OUTCOME_INPUT;
        result->detail = text_slice(text_of(seat->job->fault.detail), 0, RUNNER_DETAIL_MAX);
    }
}

static void on_result(void *context, const struct runner_result *came)
{
    struct seat *seat = context;
    struct runner_result result = *came;
    struct task_lease *lease = find_lease(seat, came->lease);
    bool is_wanted =
        lease && !lease->is_dead && came->index == lease->done && came->index < lease->to;
    seat->is_proven = true;
    if (seat->live_job >= 0) {
        live_stop(seat);
    }
    if (is_wanted && leaving_accepts(seat->job, &result)) {
        char detail[RUNNER_DETAIL_MAX];
        struct arena arena AUTO_ARENA = {0};
        struct outputs outputs = {0};
        judge_inputs(seat, lease, &result);
        if (result.is_held) {
            describe_limit(seat, &result, detail);
            if (seat->job->spec->output_count > 0) {
                collect(seat, &result, &arena, &outputs, detail);
            }
        }
        if (seat->job->spec->is_stream) {
            gather_flush(lease);
        }
        lease->done = result.index + 1;
        report_result(lease, &result, &outputs, seat);
        if (lease->done >= lease->to) {
            lease_leave_seat(lease);
        } else {
            lease_feed_items(lease);
        }
        if (result.outcome == OUTCOME_WORKER) {
            room_leave_seat(lease);
        }
    }
    if (is_wanted && !leaving_accepts(seat->job, &result)) {
        checkpoint_take_last(seat, lease);
    }
    if (came->is_held) {
        slot_send_continue(seat->slot);
    }
}

static void on_running(void *context, int64_t lease_id, int64_t index, int64_t out_file,
                       int64_t err_file)
{
    struct seat *seat = context;
    const struct task_lease *lease = find_lease(seat, lease_id);
    if (lease && !lease->is_dead) {
        live_start(seat, index, out_file, err_file);
    }
}

static void on_answers(void *context, const struct runner_answers *answers)
{
    struct seat *seat = context;
    struct task_lease *lease = find_lease(seat, answers->lease);
    seat->is_proven = true;
    if (!lease || lease->is_dead || answers->from != lease->done || answers->to > lease->to) {
        return;
    }
    if (!are_inputs_well(seat->job)) {
        slot_send_cancel(seat->slot, lease->id);
        lease->is_unfed = true;
        return;
    }
    lease->done = answers->to;
    gather_answers(lease, answers);
    if (lease->done >= lease->to) {
        lease_leave_seat(lease);
    } else {
        lease_feed_items(lease);
    }
}

static void on_cancelled(void *context, int64_t lease_id)
{
    struct seat *seat = context;
    struct task_lease *lease = find_lease(seat, lease_id);
    live_stop(seat);
    if (lease) {
        lease_leave_seat(lease);
        if (lease->is_unfed) {
            lease_end_rest(lease, lease->job->fault_outcome, lease->job->fault.detail);
        } else if (lease->job->is_distrusted && !lease->is_dead && lease->done < lease->to) {
            lease_return(lease); // What was put back for it, and what it has printed, is gone.
        }
    }
}

static const struct slot_events events = {.on_result = on_result,
                                          .on_running = on_running,
                                          .on_answers = on_answers,
                                          .on_cancelled = on_cancelled};

// Without a sandbox there are no binds: the job's files are links.
static enum status link_files(const struct seat *seat, struct error *error)
{
    const struct job *spec = seat->job->spec;
    for (size_t i = 0; i < spec->top_count; i++) {
        AUTO_FREE char *target =
            memory_format("%s/files/%s", seat->job->folder, spec->tops[i].name);
        if (symlinkat(target, slot_work_fd(seat->slot), spec->tops[i].name) < 0) {
            return error_set(error, INTERNAL, "cannot link %s into the working folder", target);
        }
    }
    return OK;
}

static enum status start_slot(struct seat *seat, struct error *error)
{
    const struct worker_job *job = seat->job;
    const struct job *spec = job->spec;
    const struct slot_place *place = &seat->worker->place;
    struct arena arena AUTO_ARENA = {0};
    struct runner_job description = worker_job_for_runner(job, seat, &arena);
    const char **touched = arena_new(&arena, (spec->top_count + 1) * sizeof *touched);
    for (size_t i = 0; i < spec->top_count && place->bubblewrap; i++) {
        touched[i] =
            arena_format(&arena, "%s%s", spec->tops[i].name, spec->tops[i].is_folder ? "/" : "");
    }
    struct slot_plan plan = {.number = seat->number,
                             .job = &description,
                             .touched = touched,
                             .has_network = spec->has_network,
                             .limits = {.memory_bytes = spec->memory_bytes,
                                        .pids = SEAT_PIDS_MAX,
                                        .cpu_millis = spec->cpu_millis}};
    if (place->bubblewrap) {
        plan.binds = inputs_binds(spec, job->folder, &arena, &plan.bind_count);
        plan.binds = gpus_binds(seat, plan.binds, &arena, &plan.bind_count);
        software_plan(job, &arena, &plan);
    }
    TRY(inputs_check(spec, error));
    bool is_plain =
        place->bubblewrap && plan.bind_count == 0 && !spec->has_network && !plan.root_folder;
    seat->slot = is_plain ? spare_take(seat->worker, &seat->number) : NULL;
    if (seat->slot) {
        return slot_take(seat->slot, &plan, &events, seat, error);
    }
    TRY(slot_start(place, &plan, &events, seat, &seat->slot, error));
    return place->bubblewrap ? OK : link_files(seat, error);
}

struct seat *seat_start(struct worker *worker, struct worker_job *job, struct error *error)
{
    struct seat *seat = NEW(struct seat);
    seat->worker = worker;
    seat->job = job;
    seat->number = ++worker->seat_last;
    seat->live_out.fd = -1;
    seat->live_err.fd = -1;
    seat->live_job = -1;
    gpus_take(seat);
    if (start_slot(seat, error) != OK) {
        seat_free(seat);
        return NULL;
    }
    worker->seats = memory_resize(worker->seats, worker->seat_count + 1, sizeof(struct seat *));
    worker->seats[worker->seat_count++] = seat;
    if (!job->has_executable) { // While the sandbox comes up.
        const struct executable_view view = software_view(job);
        job->executable = executable_find(worker->executable_cache, job->spec, &view, &job->arena);
        job->has_executable = true;
    }
    return seat;
}

void seat_free(struct seat *seat)
{
    live_stop(seat);
    slot_free(seat->slot);
    free(seat->gpus);
    free(seat);
}

void seat_serve(struct seat *seat, short revents)
{
    if (seat->is_broken || (revents == 0 && (slot_poll_events(seat->slot) & ~1) == 0)) {
        return;
    }
    if (slot_serve(seat->slot, revents, &seat->fault) != OK) {
        seat->is_broken = true;
        seat->worker->has_broken = true;
    }
}

// The sandbox is gone. The task that it was at is to blame when memory ran out; else it is this machine's fault. What comes behind
// that task runs in another seat.
static void blame(struct seat *seat, struct task_lease *lease)
{
    struct runner_result result = {.lease = lease->id,
                                   .index = lease->done,
                                   .code = 9,
                                   .started_us = clock_real_us(),
                                   .out.file = -1,
                                   .err.file = -1};
    char detail[RUNNER_DETAIL_MAX];
    (void)snprintf(detail, sizeof detail, "%.*s", RUNNER_DETAIL_MAX - 1, seat->fault.detail);
    result.outcome = slot_had_memory_kill(seat->slot) ? OUTCOME_MEMORY : OUTCOME_WORKER;
    result.detail = text_of(detail);
    describe_limit(seat, &result, detail);
    gather_flush(lease);
    lease->done++;
    report_result(lease, &result, NULL, NULL);
}

static void settle_broken(struct seat *seat)
{
    bool is_blameless = seat->worker->is_stopping || seat->is_interrupted;
    if (!is_blameless) {
        log_line(LOG_LEVEL_WARNING, "event=sandbox-ended job=%" PRId64 " detail=\"%s\"",
                 seat->job->spec->id, seat->fault.detail);
    }
    for (bool is_first = true; seat->lease_count > 0; is_first = false) {
        struct task_lease *lease = seat->leases[0];
        lease_leave_seat(lease);
        if (is_blameless || lease->is_dead || !is_first) {
            continue;
        }
        if (seat->is_proven) {
            blame(seat, lease);
        } else {
            lease_end_rest(lease, OUTCOME_WORKER, seat->fault.detail);
        }
    }
}

// Takes the seat out of use; its slot ends by itself and is freed later, so that nobody waits for it.
static void retire(struct worker *worker, size_t at)
{
    struct seat *seat = worker->seats[at];
    worker->seats[at] = worker->seats[--worker->seat_count];
    live_stop(seat);
    slot_kill(seat->slot);
    worker->retired =
        memory_resize(worker->retired, worker->retired_count + 1, sizeof(struct seat *));
    worker->retired[worker->retired_count++] = seat;
}

void seats_remove_broken(struct worker *worker)
{
    if (!worker->has_broken) {
        return;
    }
    worker->has_broken = false;
    for (size_t i = worker->seat_count; i-- > 0;) {
        if (worker->seats[i]->is_broken) {
            settle_broken(worker->seats[i]);
            retire(worker, i);
        }
    }
}

void seats_remove_idle(struct worker *worker, const struct worker_job *of_job)
{
    size_t idle = 0;
    for (size_t i = worker->seat_count; i-- > 0;) {
        const struct seat *seat = worker->seats[i];
        if (seat->lease_count > 0) {
            continue;
        }
        idle++;
        if (of_job ? seat->job == of_job : idle > SEATS_IDLE_MAX) {
            retire(worker, i);
        }
    }
}

void seats_free_retired(struct worker *worker, bool is_waiting)
{
    for (size_t i = worker->retired_count; i-- > 0;) {
        struct seat *seat = worker->retired[i];
        if (is_waiting || slot_has_ended(seat->slot)) {
            worker->retired[i] = worker->retired[--worker->retired_count];
            seat_free(seat);
        }
    }
}
