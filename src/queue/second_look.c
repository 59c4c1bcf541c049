#include "queue/second_look.h"

#include "base/memory.h"
#include "os/thread.h"
#include "queue/state.h"
#include "records/jobs_sql.h"

enum { LOOKS_MAX = 10000 };

struct ended_job {
    int64_t job;
    int64_t finished_us;
};

struct second_looks {
    struct queue *queue;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    struct ended_job waiting[LOOKS_MAX]; // A ring.
    size_t first;
    size_t count;
    bool is_ending;
};

struct keep_op {
    struct queue_op op;
    struct ended_job ended;
};

static enum status run_keep(struct queue_op *op, struct sql *sql, struct error *error)
{
    const struct keep_op *self = (const struct keep_op *)op;
    return sql_run(sql, SQL_KEEP_LOOK,
                   SQL_VALUES(sql_int64(self->ended.job), sql_int64(self->ended.finished_us)), NULL,
                   error);
}

// When this failed, the results answer while the data is untouched.
static void done_keep(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    free(op);
}

static enum status read_uses(struct sql *sql, int64_t job, struct arena *arena,
                             const char *ids[SPEC_DATA_MAX + 1], size_t *count, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_JOB_USES, SQL_VALUES(sql_int64(job)), &rows, error));
    while (*count <= SPEC_DATA_MAX && sql_next(rows, &status, error)) {
        ids[(*count)++] = arena_copy(arena, sql_column_text(rows, 0));
    }
    return status;
}

// What the first look found, and at which datasets. NOT_FOUND: there is nothing that a second could prove.
static enum status read_first(struct sql *sql, int64_t job, struct arena *arena, uint64_t *state,
                              const char *ids[SPEC_DATA_MAX + 1], size_t *count,
                              struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_FIRST_LOOK, SQL_VALUES(sql_int64(job)), &rows, error));
    *state = (uint64_t)sql_column_int64(rows, 0);
    sql_end(TAKE(rows));
    return read_uses(sql, job, arena, ids, count, error);
}

static enum status look_at(const struct queue *queue, const char *const *ids, size_t count,
                           struct prepare_look *out)
{
    enum status status = OK;
    *out = (struct prepare_look){.is_settled = true};
    for (size_t i = 0; status == OK && i < count; i++) {
        struct prepare_look look = {0};
        status = queue->site.catalog->look(queue->site.catalog_context, ids[i], &look, NULL);
        out->state += look.state;
        out->is_settled = out->is_settled && look.is_settled;
    }
    return status;
}

enum status second_look_now(struct queue *queue, int64_t job, struct prepare_look *out)
{
    AUTO_ARENA struct arena arena = {0};
    const char *ids[SPEC_DATA_MAX + 1];
    size_t count = 0;
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, NULL));
    enum status status = read_uses(sql, job, &arena, ids, &count, NULL);
    store_read_end(queue->store, sql);
    return status == OK ? look_at(queue, ids, count, out) : status;
}

static bool is_untouched(struct queue *queue, int64_t job)
{
    AUTO_ARENA struct arena arena = {0};
    const char *ids[SPEC_DATA_MAX + 1];
    size_t count = 0;
    uint64_t first = 0;
    struct prepare_look second = {0};
    struct sql *sql = NULL;
    if (store_read_begin(queue->store, &sql, NULL) != OK) {
        return false;
    }
    enum status status = read_first(sql, job, &arena, &first, ids, &count, NULL);
    store_read_end(queue->store, sql);
    return status == OK && look_at(queue, ids, count, &second) == OK && first == second.state;
}

static bool take(struct second_looks *looks, struct ended_job *out)
{
    (void)pthread_mutex_lock(&looks->mutex);
    while (looks->count == 0 && !looks->is_ending) {
        (void)pthread_cond_wait(&looks->changed, &looks->mutex);
    }
    bool is_one = !looks->is_ending;
    if (is_one) {
        *out = looks->waiting[looks->first];
        looks->first = (looks->first + 1) % LOOKS_MAX;
        looks->count--;
    }
    (void)pthread_mutex_unlock(&looks->mutex);
    return is_one;
}

static void *run(void *context)
{
    struct second_looks *looks = context;
    struct ended_job ended;
    while (take(looks, &ended)) {
        if (is_untouched(looks->queue, ended.job)) {
            struct keep_op *op = NEW(struct keep_op);
            op->op.run = run_keep;
            op->op.done = done_keep;
            op->ended = ended;
            queue_enqueue(looks->queue, &op->op);
        }
    }
    return NULL;
}

static void destroy(struct second_looks *looks)
{
    (void)pthread_cond_destroy(&looks->changed);
    (void)pthread_mutex_destroy(&looks->mutex);
    free(looks);
}

enum status second_looks_new(struct queue *queue, struct second_looks **out, struct error *error)
{
    struct second_looks *looks = NEW(struct second_looks);
    looks->queue = queue;
    (void)pthread_mutex_init(&looks->mutex, NULL);
    (void)pthread_cond_init(&looks->changed, NULL);
    enum status status = thread_start(&looks->thread, "second-look", run, looks, error);
    if (status != OK) {
        destroy(looks);
        return status;
    }
    *out = looks;
    return OK;
}

void second_looks_stop(struct second_looks *looks)
{
    if (!looks) {
        return;
    }
    (void)pthread_mutex_lock(&looks->mutex);
    bool is_first = !looks->is_ending;
    looks->is_ending = true;
    (void)pthread_cond_signal(&looks->changed);
    (void)pthread_mutex_unlock(&looks->mutex);
    if (is_first) {
        (void)pthread_join(looks->thread, NULL);
    }
}

void second_looks_free(struct second_looks *looks)
{
    if (looks) {
        second_looks_stop(looks);
        destroy(looks);
    }
}

void second_looks_add(struct second_looks *looks, int64_t job, int64_t finished_us)
{
    (void)pthread_mutex_lock(&looks->mutex);
    if (looks->count < LOOKS_MAX) {
        looks->waiting[(looks->first + looks->count++) % LOOKS_MAX] =
            (struct ended_job){job, finished_us};
        (void)pthread_cond_signal(&looks->changed);
    }
    (void)pthread_mutex_unlock(&looks->mutex);
}
