// Where each index is: moves indices between waiting, leased and finished, and keeps the order of ready jobs and groups.
#include "jobs/state.h"

#include "base/memory.h"

#include <assert.h>

int64_t job_waiting(const struct job_state *job)
{
    return job->plan.count - job->done_count - job->leased_count - job->held_count;
}

static int64_t piece_from(const struct piece *piece)
{
    return piece->node.key.second;
}

// Appends [from, to) to the lease's pieces, behind `after` (NULL: in front).
static struct piece *add_piece(struct lease_state *lease, struct piece *after, int64_t from,
                               int64_t to)
{
    struct piece *piece = NEW(struct piece);
    piece->node.key.second = from;
    piece->to = to;
    piece->lease = lease;
    struct piece **place = after ? &after->next : &lease->pieces;
    piece->next = *place;
    *place = piece;
    fit_tree_insert(&lease->job->pieces, &piece->node);
    return piece;
}

static void remove_piece(struct piece *piece)
{
    struct piece **place = &piece->lease->pieces;
    while (*place != piece) {
        place = &(*place)->next;
    }
    *place = piece->next;
    fit_tree_remove(&piece->lease->job->pieces, &piece->node);
    free(piece);
}

static void count_in(struct lease_state *lease, int64_t count)
{
    lease->left += count;
    lease->job->leased_count += count;
}

bool job_take(struct lease_state *lease, int64_t count_max)
{
    struct job_state *job = lease->job;
    struct range taken;
    if (lease->worker->alone_count == 0 && ranges_take(&job->alone, 1, &taken)) {
        job->alone_count--;
        lease->is_alone = true;
        lease->worker->alone_count++;
    } else if (!ranges_take(&job->again, count_max, &taken)) {
        if (!ranges_first_gap(&job->done, job->cursor, job->plan.count, &taken)) {
            return false;
        }
        if (taken.to - taken.from > count_max) {
            taken.to = taken.from + count_max;
        }
        job->cursor = taken.to;
    }
    (void)add_piece(lease, NULL, taken.from, taken.to);
    count_in(lease, taken.to - taken.from);
    lease->has_yielded =
        job->yielded.count > 0 && ranges_remove(&job->yielded, taken.from, taken.to) > 0;
    lease->lease.from = taken.from;
    lease->lease.to = taken.to;
    return true;
}

// What is untouched before `to` is to run again, as if it had been in a lease.
static void touch(struct job_state *job, int64_t to)
{
    struct range part;
    while (job->cursor < to && ranges_first_gap(&job->done, job->cursor, to, &part)) {
        (void)ranges_add(&job->again, part.from, part.to);
        job->cursor = part.to;
    }
}

// What is on its last chance in [from, to) is to run again as if it were not.
static void mingle(struct job_state *job, int64_t from, int64_t to)
{
    struct range part;
    for (int64_t at = from; ranges_first_overlap(&job->alone, at, to, &part); at = part.to) {
        job->alone_count -= ranges_remove(&job->alone, part.from, part.to);
        (void)ranges_add(&job->again, part.from, part.to);
    }
}

void job_leave_alone(struct job_state *job, int64_t index)
{
    touch(job, index + 1);
    if (ranges_remove(&job->again, index, index + 1) > 0) {
        job->alone_count += ranges_add(&job->alone, index, index + 1);
    }
}

int64_t job_take_part(struct lease_state *lease, int64_t from, int64_t to)
{
    struct job_state *job = lease->job;
    struct range part;
    touch(job, to);
    mingle(job, from, to); // It runs already, beside whatever it runs.
    struct piece *last = NULL;
    int64_t taken = 0;
    for (int64_t at = from; ranges_first_overlap(&job->again, at, to, &part); at = part.to) {
        (void)ranges_remove(&job->again, part.from, part.to);
        last = add_piece(lease, last, part.from, part.to);
        count_in(lease, part.to - part.from);
        taken += part.to - part.from;
    }
    return taken;
}

struct piece *job_find_piece(const struct job_state *job, int64_t index)
{
    struct fit_key key = {.second = index};
    struct fit_node *node = fit_tree_floor(&job->pieces, &key);
    struct piece *piece = (struct piece *)node;
    return piece && piece->to > index ? piece : NULL;
}

struct piece *job_piece_next(const struct piece *piece)
{
    return (struct piece *)fit_node_next(&piece->node);
}

struct piece *job_piece_from(const struct job_state *job, int64_t from)
{
    struct fit_key key = {.second = from};
    struct fit_node *node = fit_tree_floor(&job->pieces, &key);
    if (!node) {
        return (struct piece *)fit_tree_first(&job->pieces);
    }
    struct piece *piece = (struct piece *)node;
    return piece_from(piece) < from ? job_piece_next(piece) : piece;
}

// The first piece that ends after `index`.
static struct piece *first_piece_after(const struct job_state *job, int64_t index)
{
    struct fit_key key = {.second = index};
    struct fit_node *node = fit_tree_floor(&job->pieces, &key);
    if (node && ((struct piece *)node)->to <= index) {
        node = fit_node_next(node);
    } else if (!node) {
        node = fit_tree_first(&job->pieces);
    }
    return (struct piece *)node;
}

// Takes [from, to) out of one piece that overlaps it.
static int64_t cut_piece(struct piece *piece, int64_t from, int64_t to)
{
    struct lease_state *lease = piece->lease;
    from = from > piece_from(piece) ? from : piece_from(piece);
    to = to < piece->to ? to : piece->to;
    int64_t count = to - from;
    if (from == piece_from(piece) && to == piece->to) {
        remove_piece(piece);
    } else if (from == piece_from(piece)) {
        piece->node.key.second = to; // Pieces are disjoint, so their order stays.
    } else {
        int64_t end = piece->to;
        piece->to = from;
        if (to < end) {
            (void)add_piece(lease, piece, to, end);
        }
    }
    count_in(lease, -count);
    return count;
}

int64_t job_cut(struct scheduler *scheduler, struct job_state *job, int64_t from, int64_t to,
                bool is_again)
{
    int64_t cut = 0;
    struct piece *piece = first_piece_after(job, from);
    while (piece && piece_from(piece) < to) {
        struct lease_state *lease = piece->lease;
        struct range part = {piece_from(piece) > from ? piece_from(piece) : from,
                             piece->to < to ? piece->to : to};
        struct piece *next = (struct piece *)fit_node_next(&piece->node);
        cut += cut_piece(piece, part.from, part.to);
        if (is_again && lease->is_alone) {
            job->alone_count += ranges_add(&job->alone, part.from, part.to);
        } else if (is_again) {
            (void)ranges_add(&job->again, part.from, part.to);
        }
        if (lease->left == 0) {
            struct worker_state *worker = lease->worker;
            lease_close(scheduler, lease);
            worker_start_waiting(scheduler, worker);
        }
        piece = next;
    }
    return cut;
}

void lease_give_back(struct scheduler *scheduler, struct lease_state *lease, int64_t from,
                     int64_t to)
{
    struct job_state *job = lease->job;
    struct piece *piece = lease->pieces;
    int64_t left = lease->left; // The lease is gone once nothing is left.
    while (left > 0 && piece) {
        struct piece *next = piece->next;
        int64_t low = from > piece_from(piece) ? from : piece_from(piece);
        int64_t high = to < piece->to ? to : piece->to;
        if (low < high) {
            left -= high - low;
            (void)job_cut(scheduler, job, low, high, true);
        }
        piece = next;
    }
    job_refresh(job);
}

void job_forget_attempts(struct job_state *job, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to && job->attempts && map_count(job->attempts) > 0; i++) {
        free(map_set_int64(job->attempts, i, NULL));
    }
}

int64_t job_hold_tasks(struct job_state *job, int64_t from, int64_t to)
{
    struct range part;
    int64_t held = 0;
    touch(job, to);
    mingle(job, from, to);
    for (int64_t at = from; ranges_first_overlap(&job->again, at, to, &part); at = part.to) {
        (void)ranges_remove(&job->again, part.from, part.to);
        held += ranges_add(&job->held, part.from, part.to);
    }
    job->held_count += held;
    job_refresh(job);
    return held;
}

int64_t job_commit(struct scheduler *scheduler, struct job_state *job, int64_t from, int64_t to,
                   struct ranges *fresh)
{
    int64_t count = 0;
    struct range gap;
    while (ranges_first_gap(&job->done, from, to, &gap)) {
        int64_t new_count = ranges_add(&job->done, gap.from, gap.to);
        assert(new_count == gap.to - gap.from);
        if (job_cut(scheduler, job, gap.from, gap.to, false) < new_count) {
            (void)ranges_remove(&job->again, gap.from, gap.to);
            job->held_count -= ranges_remove(&job->held, gap.from, gap.to);
            job->alone_count -= ranges_remove(&job->alone, gap.from, gap.to);
        }
        job_forget_attempts(job, gap.from, gap.to);
        if (fresh) {
            (void)ranges_add(fresh, gap.from, gap.to);
        }
        count += new_count;
        from = gap.to;
    }
    job->done_count += count;
    job_refresh(job);
    return count;
}

void job_refresh(struct job_state *job)
{
    bool is_ready = !job->is_held && job_waiting(job) > 0;
    if (is_ready == job->node.is_in) {
        return;
    }
    if (is_ready) {
        fit_tree_insert(&job->group->ready, &job->node);
    } else {
        fit_tree_remove(&job->group->ready, &job->node);
        job->passed_over_us = 0;
    }
    job_refresh_pools(job);
    group_refresh(job->group);
}
