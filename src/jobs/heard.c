// Which workers have not been heard for too long. Those with leases are to speak often: what they do is lost with them; the others need not.
#include "jobs/state.h"

static struct heard_list *list_of(struct scheduler *scheduler, const struct worker_state *worker)
{
    return worker->is_watched ? &scheduler->heard_busy : &scheduler->heard_idle;
}

void heard_unlink(struct scheduler *scheduler, struct worker_state *worker)
{
    struct heard_list *list = list_of(scheduler, worker);
    *(worker->heard_before ? &worker->heard_before->heard_after : &list->first) =
        worker->heard_after;
    *(worker->heard_after ? &worker->heard_after->heard_before : &list->last) =
        worker->heard_before;
}

// Puts the worker where its heard_us belongs: at the end, unless clocks were told out of order or it was heard before it changed lists.
void heard_link(struct scheduler *scheduler, struct worker_state *worker)
{
    struct heard_list *list = list_of(scheduler, worker);
    struct worker_state *before = list->last;
    while (before && before->heard_us > worker->heard_us) {
        before = before->heard_before;
    }
    worker->heard_before = before;
    worker->heard_after = before ? before->heard_after : list->first;
    *(before ? &before->heard_after : &list->first) = worker;
    *(worker->heard_after ? &worker->heard_after->heard_before : &list->last) = worker;
}

void heard_follow_leases(struct scheduler *scheduler, struct worker_state *worker)
{
    // What a worker of another place carries runs there: nothing is lost with it.
    bool is_watched = worker->place->number == 0 && !worker_is_idle(worker);
    if (is_watched == worker->is_watched) {
        return;
    }
    heard_unlink(scheduler, worker);
    worker->is_watched = is_watched;
    if (is_watched && scheduler->now_us > worker->heard_us) {
        worker->heard_us = scheduler->now_us; // It had no reason to speak before.
    }
    heard_link(scheduler, worker);
}

void scheduler_touch_worker(struct scheduler *scheduler, int64_t id, int64_t now_us)
{
    scheduler_tell_time(scheduler, now_us);
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (worker && now_us > worker->heard_us) {
        heard_unlink(scheduler, worker);
        worker->heard_us = now_us;
        heard_link(scheduler, worker);
    }
}

static bool is_expired(const struct worker_state *worker, int64_t timeout_us, int64_t now_us)
{
    return worker && now_us - worker->heard_us >= timeout_us;
}

int64_t scheduler_expired_worker(const struct scheduler *scheduler, int64_t now_us)
{
    const struct worker_state *busy = scheduler->heard_busy.first;
    const struct worker_state *idle = scheduler->heard_idle.first;
    if (is_expired(busy, scheduler->options.lease_timeout_us, now_us)) {
        return busy->id;
    }
    return is_expired(idle, scheduler->options.idle_timeout_us, now_us) ? idle->id : 0;
}
