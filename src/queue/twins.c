// Jobs that compute the same do so one after another: the later ones wait, and take the results of the first.
#include "queue/state.h"

#include "base/memory.h"
#include "prepare/prepare.h"
#include "queue/runners.h"
#include "queue/second_look.h"
#include "records/jobs_sql.h"
#include "records/made_for.h"

enum {
    COLUMN_SPEC = JOB_COLUMN_COUNT, // Of SQL_SHOW_JOB.
    CANDIDATES_MAX =
        64, // Jobs of one family that are looked at; beyond those the same is computed twice.
};

static struct text family_key(const struct active_job *job)
{
    return (struct text){(const char *)job->row.family.bytes, DIGEST_SIZE};
}

static void list_add(struct queue *queue, struct active_job *job)
{
    struct active_job *last = map_set_text(queue->families, family_key(job), job);
    job->family_older = last;
    job->family_newer = NULL;
    if (last) {
        last->family_newer = job;
    }
}

static void list_remove(struct queue *queue, struct active_job *job)
{
    if (job->family_newer) {
        job->family_newer->family_older = job->family_older;
    } else {
        (void)map_set_text(queue->families, family_key(job), job->family_older);
    }
    if (job->family_older) {
        job->family_older->family_newer = job->family_newer;
    }
    job->family_older = NULL;
    job->family_newer = NULL;
}

void twins_add(struct queue *queue, struct active_job *job)
{
    list_add(queue, job);
}

// The job's twin is over: what came of it is looked for.
static void look_soon(struct queue *queue, struct active_job *job)
{
    job->is_twin_over = true;
    (void)ranges_add(&queue->to_look_up, job->row.id, job->row.id + 1);
}

static void release_followers(struct queue *queue, struct active_job *job)
{
    struct range follower;
    while (ranges_take(&job->followers, 1, &follower)) {
        struct active_job *each = queue_find_job(queue, follower.from);
        if (each) {
            look_soon(queue, each);
        }
    }
}

// May the job reuse what comes of the other one, as far as is known who runs that?
static bool may_reuse(const struct active_job *other, const struct active_job *job)
{
    const struct runner_job made = made_for_row(&other->row);
    const struct runner_job asks = made_for_row(&job->row);
    for (int kind = 0; kind < RUNNER_CLASS_COUNT; kind++) {
        if ((other->run_by >> kind & 1) != 0 &&
            !runner_may_reuse((enum runner_class)kind, &made, &asks)) {
            return false;
        }
    }
    return true;
}

void twins_note_class(struct queue *queue, struct active_job *job, enum runner_class kind)
{
    if ((job->run_by >> kind & 1) != 0) {
        return;
    }
    job->run_by |= 1U << kind;
    struct ranges leaving = {0};
    for (size_t i = 0; i < job->followers.count; i++) {
        for (int64_t id = job->followers.items[i].from; id < job->followers.items[i].to; id++) {
            const struct active_job *each = queue_find_job(queue, id);
            if (each && !may_reuse(job, each)) {
                (void)ranges_add(&leaving, id, id + 1);
            }
        }
    }
    struct range follower;
    while (ranges_take(&leaving, 1, &follower)) {
        (void)ranges_remove(&job->followers, follower.from, follower.to);
        look_soon(queue, queue_find_job(queue, follower.from));
    }
    ranges_done(&leaving);
}

void twins_note_worker(struct queue *queue, const struct worker *worker)
{
    size_t at = 0;
    for (struct active_job *job; (job = map_next(queue->jobs, &at)) != NULL;) {
        struct active_job *twin = job->twin != 0 ? queue_find_job(queue, job->twin) : NULL;
        if (twin && !job->is_twin_over && worker_may_have_job(worker, job) &&
            !worker_may_have_job(worker, twin)) {
            (void)ranges_remove(&twin->followers, job->row.id, job->row.id + 1);
            look_soon(queue, job);
        }
    }
}

void twins_remove(struct queue *queue, struct active_job *job)
{
    queue->is_touched = true;
    if (job->twin == 0) {
        list_remove(queue, job);
        release_followers(queue, job);
        return;
    }
    struct active_job *twin = queue_find_job(queue, job->twin);
    if (twin) {
        (void)ranges_remove(&twin->followers, job->row.id, job->row.id + 1);
    }
    job->twin = 0;
    job->is_twin_over = false;
}

static bool may_run(const struct active_job *job)
{
    return !job->has_ended && job->unmet_needs == 0 && !job->hold_reason && !job->row.gathers &&
           job->twin == 0;
}

static bool has_same_tasks(const struct job_row *one, const struct job_row *other)
{
    return one->count == other->count && one->mode == other->mode &&
           one->has_items == other->has_items && one->items_kind == other->items_kind &&
           (!one->has_items || digest_equal(&one->items, &other->items));
}

static bool needs_no_more(const struct resources *one, const struct resources *other)
{
    return one->cpu_millis <= other->cpu_millis && one->memory_bytes <= other->memory_bytes &&
           one->disk_bytes <= other->disk_bytes;
}

static bool is_before(const struct active_job *other, const struct active_job *job)
{
    return other->row.id < job->row.id && other->row.priority >= job->row.priority &&
           needs_no_more(&other->row.need, &job->row.need) && other->place == job->place;
}

// Of another owner, or another group, it is sure that it comes no later only once it has begun: that one's share may be used up.
static bool may_share(const struct active_job *other, const struct active_job *job)
{
    bool is_of_same = text_equal(other->row.owner, job->row.owner) &&
                      text_equal(other->row.group, job->row.group);
    return other->row.cache != SPEC_CACHE_OFF && job->row.cache == SPEC_CACHE_USE &&
           (other->row.progress.state == JOB_RUNNING || is_of_same);
}

// One submission that came by several ways.
static bool has_same_origin(const struct job_row *one, const struct job_row *other)
{
    return one->has_origin && other->has_origin && digest_equal(&one->origin, &other->origin);
}

static bool is_twin(const struct active_job *other, const struct active_job *job)
{
    return may_run(other) && may_reuse(other, job) && has_same_tasks(&other->row, &job->row) &&
           is_before(other, job) &&
           (may_share(other, job) || has_same_origin(&other->row, &job->row));
}

// Results of data that was touched between the two submissions would not be taken.
static enum status check_looks(struct sql *sql, int64_t job, int64_t twin, bool *is_same,
                               struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_TWIN_LOOKS, SQL_VALUES(sql_int64(job), sql_int64(twin)), &rows, error));
    *is_same = sql_column_int64(rows, 0) == 0 || sql_column_int64(rows, 1) > 0;
    return OK;
}

static bool is_met(const char *required, const struct job_plan *own)
{
    for (size_t i = 0; i < own->label_count; i++) {
        if (label_fits(own->labels[i], required)) {
            return true;
        }
    }
    return false;
}

// Would a worker that can run the job do for the other one, too? Else that may have to wait for one for ever.
static bool requires_no_more(const struct job_plan *other, const struct job_plan *own)
{
    bool is_no_more = other->need.gpus <= own->need.gpus;
    for (size_t i = 0; i < other->label_count && is_no_more; i++) {
        is_no_more = is_met(other->labels[i], own);
    }
    return is_no_more;
}

// Is there a worker whose class leaves it the job, and not the other one? Then that may wait for what the job need not wait for.
static bool has_runner_of_its_own(const struct queue *queue, const struct active_job *other,
                                  const struct active_job *job)
{
    size_t at = 0;
    if (!queue->has_runners) {
        return false;
    }
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (!worker->is_over && worker_may_have_job(worker, job) &&
            !worker_may_have_job(worker, other)) {
            return true;
        }
    }
    return false;
}

// *out is NULL when there is none.
static enum status find_twin(const struct queue *queue, struct sql *sql,
                             const struct active_job *job, struct active_job **out,
                             struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct job_plan own = {.label_count = 0};
    struct active_job *other = map_find_text(queue->families, family_key(job));
    bool is_read = false;
    *out = NULL;
    for (int i = 0; other && i < CANDIDATES_MAX; i++, other = other->family_older) {
        if (!is_twin(other, job) || has_runner_of_its_own(queue, other, job)) {
            continue;
        }
        struct job_plan others = {.label_count = 0};
        TRY(is_read ? OK : match_read(sql, job->row.id, &arena, &own, error));
        TRY(match_read(sql, other->row.id, &arena, &others, error));
        is_read = true;
        if (requires_no_more(&others, &own)) {
            *out = other;
            return OK;
        }
    }
    return OK;
}

static void follow_twin(struct queue *queue, struct active_job *job, struct active_job *twin)
{
    list_remove(queue, job);
    job->twin = twin->row.id;
    (void)ranges_add(&twin->followers, job->row.id, job->row.id + 1);
    scheduler_hold(queue->scheduler, job->row.id, true);
}

enum status twins_join(struct queue *queue, struct sql *sql, struct active_job *job,
                       struct error *error)
{
    bool is_for_itself = job->row.cache != SPEC_CACHE_USE && !job->row.has_origin;
    if (is_for_itself || !may_run(job) || job->is_looking_up) {
        return OK;
    }
    struct active_job *twin = NULL;
    bool is_same = false;
    TRY(find_twin(queue, sql, job, &twin, error));
    if (!twin) {
        return OK;
    }
    TRY(check_looks(sql, job->row.id, twin->row.id, &is_same, error));
    if (!is_same) {
        return OK;
    }
    job_touch(queue, job);
    follow_twin(queue, job, twin);
    return sql_run(sql, SQL_INSERT_TWIN,
                   SQL_VALUES(sql_int64(job->row.id), sql_int64(twin->row.id)), NULL, error);
}

enum status twins_load(struct queue *queue, struct sql *sql, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_ACTIVE_TWINS, SQL_NO_VALUES, &rows, error));
    while (sql_next(rows, &status, error)) {
        struct active_job *job = queue_find_job(queue, sql_column_int64(rows, 0));
        struct active_job *twin = queue_find_job(queue, sql_column_int64(rows, 1));
        if (job && twin) {
            follow_twin(queue, job, twin);
        } else if (job) {
            list_remove(queue, job);
            job->twin = sql_column_int64(rows, 1);
            scheduler_hold(queue->scheduler, job->row.id, true);
            look_soon(queue, job);
        }
    }
    return status;
}

// --- after the twin's end

struct twin_op {
    struct queue_op op;
    int64_t job;
    struct cache_plan plan;
    bool is_looking_up;
};

// The rest is this job's own, unless another one that waited too is to compute it: all of them at once would do the same.
static enum status run_take(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct twin_op *self = (struct twin_op *)op;
    struct queue *queue = op->queue;
    struct active_job *job = queue_find_job(queue, self->job);
    if (!job || !job->is_twin_over) {
        return OK; // It has ended, or this was done already.
    }
    job_touch(queue, job);
    job->twin = 0;
    job->is_twin_over = false;
    list_add(queue, job);
    TRY(sql_run(sql, SQL_DELETE_TWIN, SQL_VALUES(sql_int64(self->job)), NULL, error));
    TRY(cache_apply_piece(queue, sql, job, &self->plan, error));
    self->is_looking_up = !job->has_ended && self->plan.run_count > 0;
    job->is_looking_up = self->is_looking_up;
    TRY(twins_join(queue, sql, job, error));
    return job->has_ended ? OK : job_look_at_needs(queue, sql, job, error);
}

static void done_take(struct queue_op *op, enum status status, const struct error *error)
{
    (void)error;
    struct twin_op *self = (struct twin_op *)op;
    if (status != OK) {
        op->queue->needs_reload = true; // Then it is asked for again.
    } else if (self->is_looking_up) {
        cache_apply(op->queue, self->job, &self->plan);
    }
    cache_plan_done(&self->plan);
    free(self);
}

// The job's row, of whose texts only owner and group may be used afterwards, which are in the arena; and whether its command says {index}.
static enum status read_row(struct queue *queue, int64_t job, struct arena *arena,
                            struct job_row *row, bool *needs_index)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    AUTO_JSON json_t *document = NULL;
    struct job_spec *spec = NULL;
    TRY(store_read_begin(queue->store, &sql, NULL));
    enum status status = sql_first(sql, SQL_SHOW_JOB, SQL_VALUES(sql_int64(job)), &rows, NULL);
    if (status == OK) {
        job_row_read(rows, row);
        row->owner = text_of(arena_copy(arena, row->owner));
        row->group = text_of(arena_copy(arena, row->group));
        status = json_parse(sql_column_text(rows, COLUMN_SPEC), &document, NULL);
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    TRY(status);
    TRY(spec_parse(document, &spec, NULL));
    *needs_index = prepare_says_index(spec);
    spec_free(spec);
    return OK;
}

void twins_look_up(struct queue *queue, int64_t job)
{
    struct twin_op *self = NEW(struct twin_op);
    AUTO_ARENA struct arena arena = {0};
    struct job_row row;
    struct prepare_look look = {0};
    bool needs_index = false;
    self->op.run = run_take;
    self->op.done = done_take;
    self->job = job;
    // As it is now: the twin ran until a moment ago. What cannot be looked up is computed.
    if (read_row(queue, job, &arena, &row, &needs_index) == OK &&
        second_look_now(queue, job, &look) == OK) {
        (void)cache_look_up(&queue->site, &row, needs_index, &look, &self->plan, NULL);
    }
    queue_enqueue(queue, &self->op);
}
