// Checkpoints: from what interrupted tasks go on. They are on disk before a worker hears that they were taken, and in memory for those
// who lease; they go when their task ends.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/crew.h"
#include "records/jobs_sql.h"

struct checkpoint {
    int64_t attempt; // That left it.
    int64_t taken_us;
    enum runner_class kind; // Of who left it, and what that went on from.
    char *files;            // As the worker said: [[path, digest, size, mode], ...]
};

static const struct checkpoint *find(const struct active_job *job, int64_t index)
{
    return job->checkpoints ? map_find_int64(job->checkpoints, index) : NULL;
}

static void forget(struct active_job *job, int64_t index)
{
    struct checkpoint *old = map_set_int64(job->checkpoints, index, NULL);
    if (old) {
        free(old->files);
        free(old);
    }
}

struct released {
    struct blobs *blobs;
    char *files;
};

static void claim_files(void *context)
{
    struct released *released = context;
    struct text rest = text_of(released->files);
    struct digest digest;
    while (digest_next(&rest, &digest)) {
        (void)blob_claim(released->blobs, &digest);
    }
    free(released->files);
    free(released);
}

// Its files stay for a while yet, as for a copy of the database that was made when they had a name. Nobody waits for that.
static void release(const struct queue *queue, const struct checkpoint *checkpoint)
{
    if (checkpoint) {
        struct released *released = NEW(struct released);
        released->blobs = queue->blobs;
        released->files = memory_copy_string(checkpoint->files);
        crew_add(queue->claimer, claim_files, released);
    }
}

static void remember(struct active_job *job, int64_t index, const struct checkpoint *checkpoint)
{
    if (!job->checkpoints) {
        job->checkpoints = map_new();
    }
    forget(job, index);
    struct checkpoint *own = NEW(struct checkpoint);
    *own = *checkpoint;
    (void)map_set_int64(job->checkpoints, index, own);
}

void job_forget_checkpoints(struct active_job *job)
{
    size_t at = 0;
    for (struct checkpoint *each; job->checkpoints && (each = map_next(job->checkpoints, &at));) {
        free(each->files);
        free(each);
    }
    map_free(job->checkpoints);
    job->checkpoints = NULL;
}

// Not when the task has ended, when another worker has it now, or when a later attempt left one.
static bool is_wanted(const struct queue *queue, const struct worker *worker,
                      const struct active_job *job, const struct poll_checkpoint *said)
{
    struct lease lease = {0};
    const struct checkpoint *known = find(job, said->index);
    enum task_place place =
        scheduler_find_task(queue->scheduler, (struct task_id){job->row.id, said->index}, &lease);
    bool is_free = place == TASK_WAITING || (place == TASK_LEASED && lease.worker == worker->id);
    return is_free && job->row.checkpoint_us > 0 && (!known || said->attempt >= known->attempt);
}

enum status checkpoints_commit(struct queue *queue, struct sql *sql, const struct worker *worker,
                               const struct poll_body *body, struct error *error)
{
    for (size_t i = 0; i < body->checkpoint_count; i++) {
        const struct poll_checkpoint *said = &body->checkpoints[i];
        struct active_job *job = queue_find_job(queue, said->job);
        if (!job || !is_wanted(queue, worker, job, said)) {
            continue;
        }
        struct checkpoint checkpoint = {
            .attempt = said->attempt,
            .taken_us = clock_real_us(),
            .kind = runner_of_both(worker->runner.kind, checkpoint_kind(job, said->index))};
        queue->is_touched = true;
        TRY(sql_run(sql, SQL_INSERT_CHECKPOINT,
                    SQL_VALUES(sql_int64(job->row.id), sql_int64(said->index),
                               sql_int64(said->attempt), sql_int64(worker->id),
                               sql_int64(checkpoint.taken_us), sql_text(said->files),
                               sql_int64(checkpoint.kind)),
                    NULL, error));
        const struct checkpoint *known = find(job, said->index);
        if (!known || !text_equal(text_of(known->files), said->files)) {
            scheduler_note_checkpoint(queue->scheduler, (struct task_id){job->row.id, said->index});
        }
        checkpoint.files = text_copy(said->files);
        release(queue, find(job, said->index));
        remember(job, said->index, &checkpoint);
        const struct upload_news news = {.what = UPLOAD_CHECKPOINT,
                                         .job = job->row.id,
                                         .task = said->index,
                                         .files = said->files};
        uploads_note(queue, worker, &news);
    }
    return OK;
}

enum status checkpoint_drop(struct queue *queue, struct sql *sql, struct active_job *job,
                            int64_t index, struct error *error)
{
    if (!find(job, index)) {
        return OK;
    }
    queue->is_touched = true;
    release(queue, find(job, index));
    forget(job, index);
    return sql_run(sql, SQL_DELETE_CHECKPOINT, SQL_VALUES(sql_int64(job->row.id), sql_int64(index)),
                   NULL, error);
}

enum status checkpoints_drop_job(const struct queue *queue, struct sql *sql, struct active_job *job,
                                 struct error *error)
{
    size_t at = 0;
    if (!job->checkpoints || map_count(job->checkpoints) == 0) {
        return OK;
    }
    for (const struct checkpoint *each; (each = map_next(job->checkpoints, &at)) != NULL;) {
        release(queue, each);
    }
    job_forget_checkpoints(job);
    return sql_run(sql, SQL_DELETE_CHECKPOINTS, SQL_VALUES(sql_int64(job->row.id)), NULL, error);
}

enum status checkpoints_load(struct sql *sql, struct active_job *job, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (job->row.checkpoint_us == 0) {
        return OK;
    }
    TRY(sql_query(sql, SQL_JOB_CHECKPOINTS, SQL_VALUES(sql_int64(job->row.id)), &rows, error));
    while (sql_next(rows, &status, error)) {
        const struct checkpoint checkpoint = {.attempt = sql_column_int64(rows, 1),
                                              .taken_us = sql_column_int64(rows, 2),
                                              .files = text_copy(sql_column_text(rows, 3)),
                                              .kind = (enum runner_class)sql_column_int64(rows, 4)};
        remember(job, sql_column_int64(rows, 0), &checkpoint);
    }
    return status;
}

void checkpoint_write_attempt(const struct queue *queue, const struct active_job *job,
                              const struct given_lease *lease, struct buffer *out)
{
    if (job->row.checkpoint_us == 0) {
        return;
    }
    const struct checkpoint *known = find(job, lease->from);
    int64_t before =
        scheduler_attempts(queue->scheduler, (struct task_id){job->row.id, lease->from});
    before = known && known->attempt > before ? known->attempt : before;
    buffer_printf(out, "%s[%lld,%lld,%s]", out->length ? "," : "", (long long)lease->number,
                  (long long)before + 1, known ? known->files : "[]");
}

enum runner_class checkpoint_kind(const struct active_job *job, int64_t index)
{
    const struct checkpoint *known = find(job, index);
    return known ? known->kind : RUNNER_SITE;
}

bool checkpoints_have_blob(const struct active_job *job, const struct given_lease *lease,
                           struct text digest)
{
    // The only one that its worker is told of: leases of such jobs are of one task each.
    const struct checkpoint *known = find(job, lease->from);
    return known && memmem(known->files, strlen(known->files), digest.bytes, digest.length) != NULL;
}

int64_t checkpoint_taken_us(const struct active_job *job, int64_t index)
{
    const struct checkpoint *known = job ? find(job, index) : NULL;
    return known ? known->taken_us : 0;
}
