// Interrupted seats: their task is warned, has its notice, is ended, and its last checkpoint is stored. All seats of a worker that leaves
// are (leaving.c says when), and those whose leases the site asks for, as others are to have their room.
//
// A runner that was told so starts nothing more, so the seat goes when its task has ended.
#include "worker/state.h"

#include "os/clock.h"
#include "os/log.h"

#include <inttypes.h>
#include <signal.h>

#define END_TIME_US                                                                                \
    INT64_C(1250000) // A task that was killed has ended within so long, or its sandbox goes.
#define STORE_TIME_MAX_US INT64_C(600000000) // For a last checkpoint on a slow way.
#define AWAY_TIME_US INT64_C(5000000)        // A site that is away for so long gets none.

void seat_interrupt(struct seat *seat, int64_t kill_us)
{
    if (seat->is_interrupted || seat->lease_count == 0) {
        return;
    }
    int asked = seat->job->spec->checkpoint_signal;
    seat->is_interrupted = true;
    seat->kill_us = kill_us;
    if (!seat->is_broken) {
        slot_send_signal(seat->slot, asked ? asked : SIGTERM, true);
    }
}

int64_t interrupt_store_until_us(int64_t kill_us)
{
    return kill_us + STORE_TIME_MAX_US;
}

bool interrupt_can_store(const struct worker *worker, int64_t until_us, int64_t now_us)
{
    bool is_site_there =
        worker->away_since_us == 0 || now_us - worker->away_since_us < AWAY_TIME_US;
    return is_site_there && now_us < until_us;
}

void lease_yield(struct worker *worker, int64_t id)
{
    struct task_lease *lease = NULL;
    for (size_t i = 0; i < worker->lease_count && !lease; i++) {
        lease = worker->leases[i]->id == id ? worker->leases[i] : NULL;
    }
    if (!lease || !lease_is_to_return(lease) || lease->is_yielding || worker->is_stopping) {
        return;
    }
    struct seat *seat = lease->seat;
    log_line(LOG_LEVEL_INFO, "event=gives-way job=%" PRId64 " task=%" PRId64, lease->job->spec->id,
             lease->done);
    if (!seat) {
        lease_return(lease);
        return;
    }
    seat_interrupt(seat, clock_steady_us() + worker->options->notice_us);
    for (size_t i = 0; i < seat->lease_count; i++) {
        seat->leases[i]->is_yielding = true;
        seat->leases[i]->store_until_us = interrupt_store_until_us(seat->kill_us);
    }
}

// When the seat is to be looked at again.
static int64_t end_seat(struct seat *seat, int64_t now_us)
{
    bool is_over = seat->lease_count == 0 || now_us >= seat->kill_us + END_TIME_US;
    if (seat->is_broken || is_over) {
        seat->is_broken = true;
        seat->worker->has_broken = true;
        return now_us;
    }
    if (now_us >= seat->kill_us && !seat->is_killed) {
        seat->is_killed = true;
        slot_send_signal(seat->slot, SIGKILL, true);
    }
    return seat->is_killed ? seat->kill_us + END_TIME_US : seat->kill_us;
}

int64_t interruptions_work(struct worker *worker, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < worker->seat_count; i++) {
        if (worker->seats[i]->is_interrupted) {
            int64_t at_us = end_seat(worker->seats[i], now_us);
            next_us = at_us < next_us ? at_us : next_us;
        }
    }
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        if (!lease->is_yielding || lease->seat || !lease_is_to_return(lease)) {
            continue;
        }
        if (!checkpoint_is_under_way(worker, lease) ||
            !interrupt_can_store(worker, lease->store_until_us, now_us)) {
            lease_return(lease);
        } else if (lease->store_until_us < next_us) {
            next_us = lease->store_until_us;
        }
    }
    return next_us == INT64_MAX ? -1 : next_us > now_us ? next_us - now_us : 0;
}
