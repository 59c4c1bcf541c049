#include "queue/runners.h"

#include "base/memory.h"
#include "os/clock.h"
#include "records/jobs_sql.h"
#include "records/made_for.h"

enum { WORKERS_SAID_MAX = 300 }; // Bytes of who is there, in an answer.
// What a worker is called that is to stay unknown.
#define ANONYMOUS "anonymous"
#define FORGET_UPLOADS_US INT64_C(3600000000)

bool worker_may_have_job(const struct worker *worker, const struct active_job *job)
{
    const struct runner_job seen = made_for_row(&job->row);
    return runner_may_lease(&worker->runner, &seen);
}

static const char *class_of(const struct worker *worker)
{
    return runner_class_name(worker->runner.kind);
}

static bool are_all_its_own(const struct runner *runner, const char *groups)
{
    struct text rest = text_of(groups);
    struct text name;
    while (rest.length > 0 && text_next_part(&rest, ',', &name)) {
        if (!runner_has_group(runner, name)) {
            return false;
        }
    }
    return true;
}

// Of a class that is for one user's jobs: for whatever groups these are.
static bool has_no_groups(const struct worker *worker)
{
    return runner_is_for_users(worker->runner.kind);
}

static enum status refuse_groups(const struct worker *worker, const char *groups,
                                 enum status status, struct error *error)
{
    if (has_no_groups(worker)) {
        (void)error_set(
            error, status, "a runner of class %s works for %s alone, whatever group that is for",
            class_of(worker), worker->runner.job != 0 ? "one job" : "the jobs of its user");
        error_fix(error, "leave out the groups");
        return status;
    }
    (void)error_set(error, status, "this runner works for %s, and cannot work for %.200s",
                    worker->runner.groups, groups);
    error_fix(error, "choose among those, or have an operator make a runner for other groups: "
                     "lode token create --class group --group NAME");
    return status;
}

enum status worker_check_groups(const struct worker *worker, const char *groups,
                                struct error *error)
{
    bool is_good = has_no_groups(worker) ? false : are_all_its_own(&worker->runner, groups);
    return is_good ? OK : refuse_groups(worker, groups, CONFLICT, error);
}

// What it says itself, or where it was moved to, as far as its class has it.
static enum status take_groups(struct worker *worker, struct error *error)
{
    if (has_no_groups(worker) ? *worker->groups_said != '\0'
                              : !are_all_its_own(&worker->runner, worker->groups_said)) {
        return refuse_groups(worker, worker->groups_said, DENIED, error);
    }
    if (has_no_groups(worker) || !are_all_its_own(&worker->runner, worker->groups)) {
        free(worker->groups); // It was moved when it had another class.
        worker->groups = memory_copy_string(worker->groups_said);
    }
    if (worker->groups[0] == '\0') {
        free(worker->groups);
        worker->groups = memory_copy_string(worker->runner.groups);
    }
    return OK;
}

static enum status check_job(const struct queue *queue, const struct worker *worker,
                             struct error *error)
{
    const struct active_job *job = queue_find_job(queue, worker->runner.job);
    if (job && worker_may_have_job(worker, job)) {
        return OK;
    }
    (void)error_set(error, DENIED, "job %lld, which this runner is for, has ended",
                    (long long)worker->runner.job);
    error_fix(error, "make a token for another one: lode token create --class %s --job JOB",
              class_of(worker));
    return DENIED;
}

static enum status check_count(const struct queue *queue, const struct worker *worker,
                               struct error *error)
{
    int listed = 0;
    int here = 0;
    size_t at = 0;
    for (const struct worker *other; (other = map_next(queue->workers, &at)) != NULL;) {
        bool is_its_own = strcmp(other->owner, worker->owner) == 0;
        listed += is_its_own;
        here += is_its_own && !other->is_over;
    }
    if (here < QUEUE_RUNNERS_MAX && listed < QUEUE_RUNNERS_LISTED_MAX) {
        return OK;
    }
    if (here < QUEUE_RUNNERS_MAX) {
        (void)error_set(error, QUOTA,
                        "%d workers are listed here that %s has or had, as many as may be", listed,
                        worker->owner);
        error_fix(error, "try again in ten minutes, when those that are gone are forgotten");
        return QUOTA;
    }
    (void)error_set(error, QUOTA, "%s has %d workers here already, as many as it may",
                    worker->owner, QUEUE_RUNNERS_MAX);
    error_fix(error, "end some of them, or use another token: lode token create --class %s",
              class_of(worker));
    return QUOTA;
}

enum status worker_take_class(struct queue *queue, struct worker *worker,
                              const struct runner *runner, const struct worker_hello *hello,
                              struct error *error)
{
    if (!runner || runner->kind == RUNNER_SITE) {
        return OK;
    }
    worker->runner = *runner;
    queue->has_runners = true;
    if (hello->place.length > 0) {
        (void)error_set(error, DENIED, "a runner of class %s brings no jobs to other sites",
                        class_of(worker));
        error_fix(error, "leave out \"place\"");
        return DENIED;
    }
    TRY(check_count(queue, worker, error));
    TRY(take_groups(worker, error));
    if (runner_is_of_job(runner->kind)) {
        TRY(check_job(queue, worker, error));
        queue->has_job_runners = true;
    }
    if (runner->kind == RUNNER_JOB_TOKEN) {
        worker->secret_name = TAKE(worker->name);
        worker->name = memory_copy_string(ANONYMOUS);
    }
    if (!runner_shares_inputs(runner->kind)) {
        worker->serve_url[0] = '\0';
    }
    return OK;
}

void worker_tell_limits(struct queue *queue, const struct worker *worker)
{
    const struct runner *runner = &worker->runner;
    const struct worker_limits limits = {
        .owner = runner->user[0] ? group_number(text_of(runner->user)) : 0,
        .since_us = runner->since_us,
        .job = runner->job,
        .is_spare = runner->kind == RUNNER_SPARE,
    };
    scheduler_limit_worker(queue->scheduler, worker->id, &limits);
}

bool worker_is_as_said(const struct worker *worker, const struct runner *runner)
{
    const struct runner none = {.kind = RUNNER_SITE};
    return runner_equal(&worker->runner, runner ? runner : &none);
}

static enum status check_word(const struct queue *queue, const struct worker *worker, int64_t id,
                              struct error *error)
{
    const struct active_job *job = queue_find_job(queue, id);
    if (!job || worker_may_have_job(worker, job)) {
        return OK;
    }
    (void)error_set(error, DENIED, "a runner of class %s may not speak of job %lld",
                    class_of(worker), (long long)id);
    error_fix(error, "report on what was leased, and nothing else");
    return DENIED;
}

enum status worker_check_words(const struct queue *queue, const struct worker *worker,
                               const struct poll_body *body, struct error *error)
{
    if (worker->runner.kind == RUNNER_SITE) {
        return OK;
    }
    for (size_t i = 0; i < body->result_count; i++) {
        TRY(check_word(queue, worker, body->results[i].job, error));
    }
    for (size_t i = 0; i < body->setup_count; i++) {
        TRY(check_word(queue, worker, body->setups[i].job, error));
    }
    for (size_t i = 0; i < body->checkpoint_count; i++) {
        TRY(check_word(queue, worker, body->checkpoints[i].job, error));
    }
    for (size_t i = 0; i < body->log_count; i++) {
        TRY(check_word(queue, worker, body->logs[i].job, error));
    }
    for (size_t i = 0; i < body->note_count; i++) {
        TRY(check_word(queue, worker, body->notes[i].job, error));
    }
    return OK;
}

void runners_end_job(struct queue *queue, int64_t job)
{
    size_t at = 0;
    if (!queue->has_job_runners) {
        return;
    }
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (!worker->is_over && runner_is_of_job(worker->runner.kind) &&
            worker->runner.job == job) {
            worker->ordered_end_us = clock_steady_us();
            worker->has_order = true;
            worker_tell_end(queue, worker);
        }
    }
}

enum status runners_expire(struct queue *queue, struct sql *sql, struct error *error)
{
    int64_t now_us = clock_real_us();
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        int64_t until_us = worker->runner.until_us;
        if (!worker->is_over && until_us != 0 && until_us <= now_us) {
            TRY(worker_lose(queue, sql, worker, NULL, error));
            TRY(sql_run(sql, SQL_FORGET_UPLOADS, SQL_VALUES(sql_text(text_of(worker->owner))), NULL,
                        error));
        }
    }
    return OK;
}

enum status runners_forget_uploads(struct sql *sql, int64_t now_us, bool *is_more,
                                   struct error *error)
{
    int64_t count = 0;
    TRY(sql_run(sql, SQL_FORGET_OLD_UPLOADS,
                SQL_VALUES(sql_int64(now_us - RUNNERS_UPLOAD_KEPT_US),
                           sql_int64(RUNNERS_UPLOADS_FORGOTTEN_MAX)),
                &count, error));
    *is_more = count == RUNNERS_UPLOADS_FORGOTTEN_MAX;
    return OK;
}

enum status runners_tick(struct queue *queue, struct sql *sql, int64_t now_us, struct error *error)
{
    bool is_more = false;
    if (queue->forget_uploads_us == 0) {
        queue->forget_uploads_us = now_us + FORGET_UPLOADS_US;
    }
    if (now_us >= queue->forget_uploads_us) {
        TRY(runners_forget_uploads(sql, clock_real_us(), &is_more, error));
        queue->forget_uploads_us = is_more ? now_us : now_us + FORGET_UPLOADS_US;
    }
    return OK;
}

void worker_write_class(const struct worker *worker, struct buffer *out)
{
    const struct runner *runner = &worker->runner;
    buffer_printf(out, ",\"class\":\"%s\",\"user\":", class_of(worker));
    if (runner->user[0] != '\0') {
        buffer_append_json_string(out, text_of(runner->user));
    } else {
        buffer_append_string(out, "null");
    }
    if (runner->job != 0) {
        buffer_printf(out, ",\"job\":%lld", (long long)runner->job);
    } else {
        buffer_append_string(out, ",\"job\":null");
    }
}

// "laptop (user: ada)", "lab (group: physics)", "borrowed (spare)".
static void say_worker(const struct worker *worker, struct buffer *out)
{
    const struct runner *runner = &worker->runner;
    buffer_printf(out, "%s%s (%s", out->length > 0 ? ", " : "", worker->name, class_of(worker));
    if (runner->job != 0) {
        buffer_printf(out, ": job %lld", (long long)runner->job);
    } else if (runner->user[0] != '\0') {
        buffer_printf(out, ": %s", runner->user);
    } else if (runner->groups[0] != '\0') {
        buffer_printf(out, ": %s", runner->groups);
    }
    buffer_append_byte(out, ')');
}

bool runners_say_unserved(const struct queue *queue, const struct active_job *job,
                          struct buffer *why, struct buffer *change)
{
    AUTO_BUFFER struct buffer there = {0};
    bool is_spare_there = false;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (worker->is_over || worker->place) {
            continue;
        }
        if (worker_may_have_job(worker, job)) {
            return false;
        }
        is_spare_there = is_spare_there || worker->runner.kind == RUNNER_SPARE;
        if (there.length < WORKERS_SAID_MAX) {
            say_worker(worker, &there);
        }
    }
    if (there.length == 0) {
        return false; // There are no workers at all.
    }
    buffer_append_string(why, "no worker of a class that may run it is there; those that are: ");
    buffer_append_text(why, buffer_text(&there));
    buffer_append_string(change,
                         "start a worker of the site (lode worker), or one of your own with "
                         "a token from: lode token create --class user");
    if (is_spare_there) {
        buffer_append_string(change, "; a job that is submitted with --spare may run on those that "
                                     "are spare");
    }
    return true;
}

// --- what a runner may fetch beside data

struct blob_op {
    struct queue *queue;
    struct text owner;
    struct text digest;
    bool is_there;
};

// The description names what the job brings, and nothing that its owner has not put there.
static bool has_blob(const struct queue *queue, const struct worker *worker, struct text digest)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct given_lease *lease = &worker->leases[i];
        const struct active_job *job = queue_find_job(queue, lease->job);
        if (job && (memmem(job->description, strlen(job->description), digest.bytes,
                           digest.length) != NULL ||
                    checkpoints_have_blob(job, lease, digest))) {
            return true;
        }
    }
    return false;
}

static enum status check_blob_count(const struct poll_body *body, struct error *error)
{
    if (body->blob_count <= POLL_RUNNER_BLOBS_MAX) {
        return OK;
    }
    (void)error_set(error, INVALID, "a poll of a runner names at most %d blobs, this one %zu",
                    POLL_RUNNER_BLOBS_MAX, body->blob_count);
    error_fix(error, "report the results of one lease at a time");
    return INVALID;
}

static enum status find_upload(struct sql *sql, struct text owner, const struct digest *digest,
                               bool *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status =
        sql_first(sql, SQL_FIND_UPLOAD,
                  SQL_VALUES(sql_text(owner), sql_blob(digest->bytes, DIGEST_SIZE)), &rows, error);
    *out = status == OK;
    return status == NOT_FOUND ? OK : status;
}

static enum status find_uploads(struct queue *queue, struct text owner,
                                const struct poll_body *body, bool *are_uploads,
                                struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status = OK;
    for (size_t i = 0; status == OK && i < body->blob_count; i++) {
        status = find_upload(sql, owner, &body->blobs[i], &are_uploads[i], error);
    }
    store_read_end(queue->store, sql);
    return status;
}

enum status runner_claim_uploads(struct queue *queue, struct text owner, struct poll_body *body,
                                 struct error *error)
{
    if (body->blob_count == 0) {
        return OK;
    }
    TRY(check_blob_count(body, error));
    AUTO_FREE bool *are_uploads = memory_new(body->blob_count, sizeof *are_uploads);
    TRY(find_uploads(queue, owner, body, are_uploads, error));
    size_t left = 0;
    for (size_t i = 0; i < body->blob_count; i++) {
        // What it uploaded long ago may have gone.
        if (!are_uploads[i] || !blob_claim(queue->blobs, &body->blobs[i])) {
            body->blobs[left++] = body->blobs[i];
        }
    }
    body->blob_count = left;
    return OK;
}

enum status worker_check_uploads(const struct queue *queue, const struct worker *worker,
                                 const struct poll_body *body, struct error *error)
{
    for (size_t i = 0; i < body->blob_count && worker->runner.kind != RUNNER_SITE; i++) {
        char text[DIGEST_TEXT_SIZE];
        (void)digest_to_text(&body->blobs[i], text);
        if (!has_blob(queue, worker, text_of(text)) || !blob_claim(queue->blobs, &body->blobs[i])) {
            (void)error_set(error, CONFLICT,
                            "a report names the blob %s, which this runner has not uploaded", text);
            error_fix(error, "upload it with PUT /v1/blobs/{digest} before the poll");
            return CONFLICT;
        }
    }
    return OK;
}

struct upload_op {
    struct text owner;
    const struct digest *digest;
};

static enum status run_uploaded(struct sql *sql, void *context, struct error *error)
{
    const struct upload_op *self = context;
    return sql_run(sql, SQL_NOTE_UPLOAD,
                   SQL_VALUES(sql_text(self->owner), sql_blob(self->digest->bytes, DIGEST_SIZE),
                              sql_int64(clock_real_us())),
                   NULL, error);
}

enum status queue_runner_uploaded(struct queue *queue, struct text owner,
                                  const struct digest *digest, struct error *error)
{
    struct upload_op self = {owner, digest};
    return store_write_wait(queue->store, run_uploaded, &self, error);
}

static enum status run_blob(struct sql *sql, void *context, struct error *error)
{
    struct blob_op *self = context;
    size_t at = 0;
    TRY(queue_settle(self->queue, sql, error));
    self->is_there = false;
    for (const struct worker *worker; (worker = map_next(self->queue->workers, &at)) != NULL;) {
        if (!worker->is_over && text_equal(text_of(worker->owner), self->owner) &&
            has_blob(self->queue, worker, self->digest)) {
            self->is_there = true;
            return OK;
        }
    }
    return OK;
}

enum status queue_runner_has_blob(struct queue *queue, struct text owner,
                                  const struct digest *digest, bool *out, struct error *error)
{
    char text[DIGEST_TEXT_SIZE];
    struct blob_op self = {queue, owner, text_of(digest_to_text(digest, text)), false};
    TRY(store_write_wait(queue->store, run_blob, &self, error));
    *out = self.is_there;
    return OK;
}
