// The worker's end, announced or sudden: running tasks are interrupted (interrupt.c); what has not run to its end goes back to the site,
// which has it run elsewhere.
#include "worker/state.h"

#include "os/clock.h"
#include "os/log.h"

#include <signal.h>

#define REPORT_TIME_US INT64_C(2500000) // For the last reports, behind the tasks' notice.
#define LOOK_US INT64_C(20000)

int64_t leaving_notice_us(const struct worker *worker)
{
    return worker->options->notice_us + REPORT_TIME_US;
}

void leaving_write_left(struct buffer *out, const char *name, int64_t at_us)
{
    if (at_us != INT64_MAX) {
        int64_t left_us = at_us - clock_steady_us();
        buffer_printf(out, ",\"%s\":%.3f", name, left_us > 0 ? (double)left_us / 1e6 : 0.0);
    }
}

static int64_t end_us(const struct worker *worker)
{
    return worker->own_end_us < worker->ordered_end_us ? worker->own_end_us
                                                       : worker->ordered_end_us;
}

void leaving_take_signal(struct worker *worker, int number, int64_t now_us)
{
    const struct worker_options *options = worker->options;
    bool is_end = (number == SIGTERM || number == SIGINT) && number != options->warning_signal;
    int64_t left_us = is_end ? leaving_notice_us(worker) : options->warning_us;
    log_line(LOG_LEVEL_INFO, "event=leaving signal=%d in_seconds=%.1f", number,
             (double)left_us / 1e6);
    if (is_end && worker->is_stopping) {
        worker->is_ended = true; // Asked twice: at once.
        return;
    }
    if (!is_end && now_us + left_us < worker->hard_end_us) {
        worker->hard_end_us = now_us + left_us;
    }
    if (now_us + left_us < worker->own_end_us) {
        worker->own_end_us = now_us + left_us;
        report_mark(worker, true); // The site hears of it at once.
    }
}

// Neither an order for now nor SIGTERM says when the worker is ended if it has not gone by itself.
static int64_t store_until_us(const struct worker *worker, int64_t now_us)
{
    int64_t end_us = worker->hard_end_us;
    if (worker->ordered_end_us > now_us && worker->ordered_end_us < end_us) {
        end_us = worker->ordered_end_us;
    }
    int64_t least_us = worker->kill_us + REPORT_TIME_US / 2;
    int64_t until_us = interrupt_store_until_us(worker->kill_us);
    until_us = end_us - REPORT_TIME_US / 2 < until_us ? end_us - REPORT_TIME_US / 2 : until_us;
    return until_us > least_us ? until_us : least_us;
}

static void begin(struct worker *worker, int64_t now_us)
{
    int64_t kill_us = end_us(worker) - REPORT_TIME_US;
    int64_t least_us = now_us + worker->options->notice_us;
    worker->is_stopping = true;
    worker->kill_us = kill_us > least_us ? kill_us : least_us;
    worker->store_until_us = store_until_us(worker, now_us);
    report_mark(worker, true);
    for (size_t i = 0; i < worker->seat_count; i++) {
        seat_interrupt(worker->seats[i], worker->kill_us);
    }
    log_line(LOG_LEVEL_INFO, "event=stopping");
}

static bool has_running(const struct worker *worker, int64_t now_us)
{
    bool is_any = false;
    for (size_t i = 0; i < worker->seat_count; i++) {
        is_any = is_any || worker->seats[i]->lease_count > 0;
    }
    return is_any && now_us < worker->kill_us + REPORT_TIME_US / 2;
}

// One step of the end: tasks end, what did not run goes back, the last results are reported.
static void go_on(struct worker *worker, int64_t now_us)
{
    if (has_running(worker, now_us)) {
        return;
    }
    if (interrupt_can_store(worker, worker->store_until_us, now_us) &&
        leases_return_stored(worker)) {
        return; // The rest goes back meanwhile.
    }
    leases_return_all(worker);
    if (worker->last_us == 0) {
        int64_t least_us = now_us + REPORT_TIME_US / 2;
        worker->last_us = worker->kill_us + REPORT_TIME_US;
        worker->last_us = worker->last_us > least_us ? worker->last_us : least_us;
    }
    if (worker->away_since_us != 0 || now_us >= worker->last_us) {
        worker->is_ended = true; // The site does not hear it, and notices by itself.
    } else if (!poll_has_unreported(worker)) {
        worker->is_ended = worker->is_parting;
        worker->is_parting = true;
        report_mark(worker, true);
    }
}

void leaving_work(struct worker *worker, int64_t now_us)
{
    bool is_time = now_us >= end_us(worker) - leaving_notice_us(worker) ||
                   (worker->is_draining && worker->lease_count == 0);
    if (!worker->is_stopping && is_time) {
        begin(worker, now_us);
    }
    if (worker->is_stopping) {
        go_on(worker, now_us);
    }
}

int64_t leaving_delay_us(const struct worker *worker, int64_t now_us)
{
    if (worker->is_stopping) {
        return LOOK_US;
    }
    int64_t at_us = end_us(worker);
    if (at_us == INT64_MAX) {
        return -1;
    }
    int64_t left_us = at_us - leaving_notice_us(worker) - now_us;
    return left_us > 0 ? left_us : 0;
}

bool leaving_accepts(const struct worker_job *job, const struct runner_result *result)
{
    bool is_success = result->outcome == OUTCOME_EXITED && result->code == 0;
    return !result->is_warned || (is_success && job->spec->checkpoint_signal != 0);
}
