// Workers register and poll; polls that have nothing to hear wait.
#include "queue/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/alarm.h"
#include "os/clock.h"
#include "os/view.h"
#include "queue/runners.h"
#include "records/jobs_sql.h"

enum {
    SILENCE_SECONDS_MIN = 2,
    WAIT_SECONDS = 20, // A waiting worker must not be taken for a lost one.
    ASK_AGAIN_MIN_US = 2000,
    ASK_AGAIN_MAX_US = QUEUE_TICK_US, // What is later, the tick sees.
};

// Parts of the lease.
#define HEARTBEAT_PART 0.4 // One heartbeat may be lost.
#define SILENCE_PART 0.8   // What is left is for what comes back, and for the ticks that see it.

struct register_op {
    struct queue_op op;
    json_t *document;
    char *owner;
    struct runner runner;
    struct worker *worker;        // The queue's, once it is in.
    struct buffer unknown_groups; // JSON texts with commas between.
    struct queue_witness witness;
    struct queue_answer answer;
};

static enum status insert_worker(struct sql *sql, const struct worker *worker, struct error *error)
{
    return sql_run(sql, SQL_INSERT_WORKER,
                   SQL_VALUES(sql_int64(worker->id), sql_text(text_of(worker->name)),
                              sql_text(text_of(worker->owner)), sql_text(text_of(worker->version)),
                              sql_int64(worker->capacity.cpu_millis),
                              sql_int64(worker->capacity.memory_bytes),
                              sql_int64(worker->capacity.disk_bytes),
                              sql_text(text_of(worker->sandbox)), sql_int64(worker->heard_us)),
                   NULL, error);
}

static bool has_same_view(struct text view)
{
    char own[VIEW_SIZE];
    view_read(own);
    return view.length > 0 && text_equal(view, text_of(own));
}

static struct worker *make_worker(struct queue *queue, const struct worker_hello *hello,
                                  const char *owner)
{
    struct worker *worker = NEW(struct worker);
    AUTO_BUFFER struct buffer sandbox = {0};
    worker->id = ++queue->last_worker;
    worker->name = text_copy(hello->name);
    worker->owner = memory_copy_string(owner);
    worker->version = text_copy(hello->version);
    worker->capacity = (struct resources){
        .cpu_millis = hello->cpu_millis,
        .memory_bytes = hello->memory_bytes,
        .disk_bytes = hello->disk_bytes,
        // What carries jobs elsewhere carries all: the site there has to run them.
        .software = hello->place.length > 0 ? SPEC_SOFTWARE_OCI : hello->software};
    worker_take_labels(worker, hello);
    worker_take_serving(worker, hello);
    worker->process = hello->process;
    worker->place = place_get(queue, hello->place);
    worker->sees_files = has_same_view(hello->view);
    worker->heard_us = clock_real_us();
    worker->lease_first = queue->lease_last;
    worker_begin_end(worker, hello);
    worker->sandbox_kind = text_copy(json_text(json_object_get(hello->sandbox, "kind")));
    AUTO_JSON json_t *said = hello->sandbox ? json_copy(hello->sandbox) : json_object();
    (void)json_object_update_missing_new(
        said, json_pack("{s:s, s:[], s:[]}", "kind", "unknown", "enforced", "not_enforced"));
    json_write(said, false, &sandbox);
    worker->sandbox = buffer_take_string(&sandbox);
    return worker;
}

static enum status run_register(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct register_op *self = (struct register_op *)op;
    struct queue *queue = op->queue;
    struct worker_hello hello = {0};
    TRY(worker_hello_parse(self->document, &hello, error));
    buffer_clear(&self->unknown_groups);
    TRY(groups_find_unknown(queue, sql, hello.groups, hello.group_count, &self->unknown_groups,
                            error));
    struct worker *worker = make_worker(queue, &hello, self->owner);
    enum status status = worker_find_groups(sql, worker, hello.groups, hello.group_count, error);
    if (status == OK) {
        status = worker_take_class(queue, worker, &self->runner, &hello, error);
    }
    if (status == OK) {
        status = insert_worker(sql, worker, error);
    }
    if (status == OK) {
        status = queue_witness_change(&self->witness, sql, worker->id, error);
    }
    if (status != OK) {
        worker_free(worker);
        return status;
    }
    queue->is_touched = true;
    worker->former = worker_find_former(queue, worker);
    (void)map_set_int64(queue->workers, worker->id, worker);
    scheduler_add_worker(queue->scheduler, worker->id, place_number(worker->place),
                         &worker->capacity, clock_steady_us());
    worker_tell_end(queue, worker);
    worker_tell_groups(queue, worker);
    worker_tell_labels(queue, worker);
    worker_tell_limits(queue, worker);
    if (worker->runner.kind != RUNNER_SITE) {
        twins_note_worker(queue, worker);
    }
    self->worker = worker;
    return OK;
}

static void done_register(struct queue_op *op, enum status status, const struct error *error)
{
    struct register_op *self = (struct register_op *)op;
    if (status == OK) {
        AUTO_BUFFER struct buffer body = {0};
        double lease_seconds = (double)op->queue->scheduler_options.lease_timeout_us / 1e6;
        buffer_printf(&body,
                      "{\"worker\":%lld,\"lease_seconds\":%g,\"heartbeat_seconds\":%g,"
                      "\"wait_seconds\":%d,\"sees_files\":%s",
                      (long long)self->worker->id, lease_seconds, lease_seconds * HEARTBEAT_PART,
                      WAIT_SECONDS, self->worker->sees_files ? "true" : "false");
        worker_write_serving(self->worker, &body);
        if (self->unknown_groups.length > 0) {
            buffer_printf(&body, ",\"unknown_groups\":[%.*s]",
                          TEXT_ARGS(buffer_text(&self->unknown_groups)));
        }
        buffer_append_string(&body, "}\n");
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&body));
    } else {
        queue_answer_error(self->answer, status, error);
    }
    json_decref(self->document);
    buffer_done(&self->unknown_groups);
    free(self->owner);
    free(self);
}

void queue_register_worker(struct queue *queue, json_t *document, struct text owner,
                           const struct runner *runner, struct queue_witness witness,
                           struct queue_answer answer)
{
    struct register_op *self = NEW(struct register_op);
    self->op.run = run_register;
    self->op.done = done_register;
    self->document = document;
    self->owner = text_copy(owner);
    self->runner = runner ? *runner : (struct runner){.kind = RUNNER_SITE};
    self->witness = witness;
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}

int queue_silence_seconds(const struct queue *queue)
{
    int seconds = (int)((double)queue->scheduler_options.lease_timeout_us * SILENCE_PART / 1e6);
    return seconds > SILENCE_SECONDS_MIN ? seconds : SILENCE_SECONDS_MIN;
}

struct poll_op {
    struct queue_op op;
    struct queue_poll *poll;
};

static void answer_poll(struct queue_poll *poll, struct text document)
{
    poll_free(TAKE(poll->body));
    poll->answer.done(poll->answer.context, OK, NULL, document);
}

static void answer_with_nothing(struct queue *queue, struct worker *worker, struct queue_poll *poll)
{
    AUTO_BUFFER struct buffer body = {0};
    (void)worker_answer(queue, worker, false, &body);
    answer_poll(poll, buffer_text(&body));
}

void poll_release(struct queue *queue, struct worker *worker)
{
    if (worker->waiting) {
        answer_with_nothing(queue, worker, TAKE(worker->waiting));
    }
}

static enum status find_poller(struct queue *queue, const struct queue_poll *poll,
                               struct worker **out, struct error *error)
{
    struct worker *worker = queue_find_worker(queue, poll->worker);
    bool is_own = worker && text_equal(text_of(worker->owner), poll->owner);
    if (is_own && !worker_is_as_said(worker, poll->runner)) {
        (void)error_set(error, NOT_FOUND, "worker %lld was of another class when it registered",
                        (long long)poll->worker);
        error_fix(error, "register again with POST /v1/workers");
        return NOT_FOUND;
    }
    if (!worker) {
        (void)error_set(error, NOT_FOUND, "there is no worker %lld", (long long)poll->worker);
        error_fix(error, "register again with POST /v1/workers");
        return NOT_FOUND;
    }
    if (!is_own) {
        return error_set(error, DENIED, "worker %lld belongs to another principal",
                         (long long)poll->worker);
    }
    *out = worker;
    return OK;
}

static void give_back(struct queue *queue, struct worker *worker, const struct poll_body *body)
{
    for (size_t i = 0; i < body->returned_count; i++) {
        const struct poll_lease *part = &body->returned[i];
        struct given_lease *lease = worker_find_lease(worker, part->lease);
        if (lease) {
            queue->is_touched = true;
            queue->has_work = true;
            const struct upload_news news = {
                .what = UPLOAD_RETURNED, .lease = part->lease, .tasks = part->to - part->from};
            scheduler_return(queue->scheduler, lease->scheduled, part->from, part->to);
            uploads_note(queue, worker, &news);
            live_give_back(queue, worker, lease->job, part->from, part->to);
            worker_lease_reported(queue, worker, lease);
        }
    }
}

// Does it take tasks? Not when it leaves, nor while its disk is full.
static void note_readiness(struct queue *queue, struct worker *worker, const struct poll_body *body)
{
    worker->is_draining = worker->is_draining || body->is_leaving;
    queue->has_work = queue->has_work || (worker->is_full && !body->is_full);
    worker->is_full = body->is_full;
    scheduler_drain_worker(queue->scheduler, worker->id, worker->is_draining || worker->is_full);
}

static bool has_reports(const struct poll_body *body)
{
    return body->result_count + body->setup_count + body->checkpoint_count > 0;
}

static enum status run_poll(struct queue_op *op, struct sql *sql, struct error *error)
{
    struct queue *queue = op->queue;
    const struct queue_poll *poll = ((struct poll_op *)op)->poll;
    struct worker *worker = NULL;
    TRY(find_poller(queue, poll, &worker, error));
    TRY(worker_check_words(queue, worker, poll->body, error));
    TRY(worker_check_uploads(queue, worker, poll->body, error));
    worker->runner.until_us = poll->runner ? poll->runner->until_us : 0;
    worker->heard_us = clock_real_us();
    worker->gone_us = 0;
    place_set_problem(worker->place, poll->body->problem, poll->body->problem_change);
    place_take_words(queue, worker->place, poll->body);
    scheduler_touch_worker(queue->scheduler, worker->id, clock_steady_us());
    if (poll->body->has_leases) {
        worker_succeed_former(
            queue, worker); // First, so that results and leases are of tasks that nobody has.
    }
    worker->may_be_named = worker->may_be_named || has_reports(poll->body);
    TRY(results_commit(queue, sql, worker, poll->body, error));
    worker_note_end(queue, worker, poll->body->leaves_in_us);
    note_readiness(queue, worker, poll->body);
    TRY(checkpoints_commit(queue, sql, worker, poll->body, error));
    notes_take(queue, worker, poll->body);
    give_back(queue, worker, poll->body);
    worker_reconcile(queue, worker, poll->body);
    for (size_t i = 0; i < poll->body->log_count; i++) {
        live_append(queue, worker, &poll->body->logs[i]);
    }
    if (poll->body->is_last) {
        worker_leave(queue, worker);
        place_forget_words(queue, worker->place);
    }
    return OK;
}

// A waiting worker's next lease may be due before anything happens: when one that it holds is nearly done.
static void ask_again(struct queue *queue, const struct worker *worker)
{
    int64_t now_us = clock_steady_us();
    int64_t again_us = scheduler_lease_again_us(queue->scheduler, worker->id, now_us);
    if (again_us < now_us + ASK_AGAIN_MAX_US) {
        int64_t soonest_us = now_us + ASK_AGAIN_MIN_US;
        alarm_set(queue->alarm, again_us > soonest_us ? again_us : soonest_us);
    }
}

static bool wants_to_wait(const struct queue_poll *poll)
{
    return poll->body->wait_us > 0 && poll->body->result_count == 0;
}

static void done_poll(struct queue_op *op, enum status status, const struct error *error)
{
    struct queue *queue = op->queue;
    struct queue_poll *poll = ((struct poll_op *)op)->poll;
    struct worker *worker = map_find_int64(queue->workers, poll->worker);
    free(op);
    // One that has said its last word, with this poll or just behind it, is answered all the same.
    if (status != OK || !worker || (worker->is_over && !worker->has_left)) {
        struct error lost = {0};
        if (status == OK) {
            status = find_poller(queue, poll, &worker, &lost);
            error = &lost;
        }
        poll_free(TAKE(poll->body));
        queue_answer_error(poll->answer, status, error);
        return;
    }
    bool is_waiting = wants_to_wait(poll) && !worker->is_over;
    if (is_waiting) {
        poll_release(queue, worker);
    }
    AUTO_BUFFER struct buffer body = {0};
    bool gets_leases = !poll->is_gone && !worker->is_over;
    if (worker_answer(queue, worker, gets_leases, &body) || !is_waiting || queue->is_stopping) {
        answer_poll(poll, buffer_text(&body));
        return;
    }
    int64_t wait_max_us = INT64_C(1000000) * WAIT_SECONDS;
    int64_t wait_us = poll->body->wait_us < wait_max_us ? poll->body->wait_us : wait_max_us;
    worker->waiting = poll;
    worker->waiting_until_us = clock_steady_us() + wait_us;
    ask_again(queue, worker);
}

// Somebody has to have uploaded what a result names: a record must never lead to nothing.
static enum status claim_blobs(struct queue *queue, const struct poll_body *body,
                               struct error *error)
{
    for (size_t i = 0; i < body->blob_count; i++) {
        if (!blob_claim(queue->blobs, &body->blobs[i])) {
            char text[DIGEST_TEXT_SIZE];
            (void)error_set(error, CONFLICT, "a result names the blob %s, which is not here",
                            digest_to_text(&body->blobs[i], text));
            error_fix(error, "upload it with PUT /v1/blobs/{digest} before the poll");
            return CONFLICT;
        }
    }
    return OK;
}

void queue_poll(struct queue *queue, struct queue_poll *poll)
{
    struct error error = {0};
    bool is_runner = poll->runner && poll->runner->kind != RUNNER_SITE;
    enum status status = is_runner ? runner_claim_uploads(queue, poll->owner, poll->body, &error)
                                   : claim_blobs(queue, poll->body, &error);
    if (status != OK) {
        poll_free(TAKE(poll->body));
        queue_answer_error(poll->answer, status, &error);
        return;
    }
    struct poll_op *op = NEW(struct poll_op);
    op->op.run = run_poll;
    op->op.done = done_poll;
    op->poll = poll;
    queue_enqueue(queue, &op->op);
}

static enum status run_nothing(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)op;
    (void)sql;
    (void)error;
    return OK;
}

static void done_release(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(op->queue->workers, &at)) != NULL;) {
        poll_release(op->queue, worker);
    }
    free(op);
}

void queue_release_polls(struct queue *queue)
{
    struct queue_op *op = NEW(struct queue_op);
    op->run = run_nothing;
    op->done = done_release;
    queue_enqueue(queue, op);
}

static void dispatch_worker(struct queue *queue, struct worker *worker, int64_t now_us)
{
    if (worker->waiting->is_gone) {
        worker->gone_us = now_us;
        worker->is_silent = worker->waiting->is_silent;
    }
    if (worker->waiting->is_gone || worker->waiting_until_us <= now_us || queue->is_stopping) {
        poll_release(queue, worker);
        return;
    }
    AUTO_BUFFER struct buffer body = {0};
    if (worker_answer(queue, worker, true, &body)) {
        answer_poll(TAKE(worker->waiting), buffer_text(&body));
    }
}

void polls_dispatch(struct queue *queue)
{
    if (!queue->has_work) {
        return;
    }
    queue->has_work = false;
    int64_t now_us = clock_steady_us();
    size_t at = 0;
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        if (worker->waiting) {
            dispatch_worker(queue, worker, now_us);
        }
        if (worker->waiting) {
            ask_again(queue, worker);
        }
    }
}

static void done_nothing(struct queue_op *op, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    op->queue->has_work = true;
    free(op);
}

void polls_ring(void *context)
{
    struct queue_op *op = NEW(struct queue_op);
    op->run = run_nothing;
    op->done = done_nothing;
    queue_enqueue(context, op);
}

struct list_op {
    struct queue_op op;
    int64_t after;
    int64_t limit;
    struct queue_answer answer;
};

static void write_software(int64_t last, struct buffer *out)
{
    for (int64_t i = 0; i <= last; i++) {
        buffer_printf(out, "%s\"%s\"", i > 0 ? "," : "", spec_software_name((enum spec_software)i));
    }
}

void worker_write(const struct queue *queue, const struct worker *worker, struct buffer *out)
{
    char heard[CALENDAR_TEXT_SIZE];
    bool is_draining = worker->is_draining || worker->ordered_end_us != INT64_MAX;
    const char *state = worker->has_left      ? "gone"
                        : worker->is_over     ? "lost"
                        : is_draining         ? "draining"
                        : worker->lease_count ? "busy"
                                              : "idle";
    buffer_printf(out, "{\"id\":%lld,\"name\":", (long long)worker->id);
    buffer_append_json_string(out, text_of(worker->name));
    buffer_printf(out,
                  ",\"state\":\"%s\",\"cpus\":%g,\"memory_bytes\":%lld,\"disk_bytes\":%lld,"
                  "\"running\":%lld,\"tasks_done\":%lld,\"last_heard_at\":\"%s\",\"version\":",
                  state, (double)worker->capacity.cpu_millis / 1000,
                  (long long)worker->capacity.memory_bytes, (long long)worker->capacity.disk_bytes,
                  (long long)scheduler_worker_running(queue->scheduler, worker->id),
                  (long long)worker->tasks_done, calendar_format(worker->heard_us, heard));
    buffer_append_json_string(out, text_of(worker->version));
    worker_write_leaving(worker, out);
    worker_write_labels(worker, out);
    worker_write_class(worker, out);
    buffer_append_string(out, ",\"place\":");
    if (worker->place) {
        buffer_append_json_string(out, text_of(worker->place->fingerprint));
    } else {
        buffer_append_string(out, "null");
    }
    buffer_append_string(out, ",\"groups\":");
    worker_write_groups(worker, out);
    buffer_printf(out, ",\"sandbox\":%s,\"software\":[", worker->sandbox);
    write_software(worker->capacity.software, out);
    buffer_append_string(out, "]}");
}

static int compare_ids(const void *a, const void *b)
{
    const struct worker *first = *(struct worker *const *)a;
    const struct worker *second = *(struct worker *const *)b;
    return first->id < second->id ? -1 : first->id > second->id;
}

static void write_workers(const struct queue *queue, const struct list_op *list, struct buffer *out)
{
    size_t count = 0;
    size_t at = 0;
    AUTO_FREE struct worker **workers =
        memory_new(map_count(queue->workers) + 1, sizeof(struct worker *));
    for (struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        workers[count] = worker;
        count += worker->id > list->after;
    }
    qsort(workers, count, sizeof(struct worker *), compare_ids);
    size_t shown = count < (size_t)list->limit ? count : (size_t)list->limit;
    buffer_append_string(out, "{\"workers\":[");
    for (size_t i = 0; i < shown; i++) {
        buffer_append_string(out, i > 0 ? "," : "");
        worker_write(queue, workers[i], out);
    }
    if (shown < count) {
        buffer_printf(out, "],\"next\":\"%lld\"}\n", (long long)workers[shown - 1]->id);
    } else {
        buffer_append_string(out, "],\"next\":null}\n");
    }
}

static void done_list(struct queue_op *op, enum status status, const struct error *error)
{
    struct list_op *self = (struct list_op *)op;
    if (status != OK) {
        queue_answer_error(self->answer, status, error);
    } else {
        AUTO_BUFFER struct buffer body = {0};
        write_workers(op->queue, self, &body);
        self->answer.done(self->answer.context, OK, NULL, buffer_text(&body));
    }
    free(self);
}

void queue_list_workers(struct queue *queue, int64_t after, int64_t limit,
                        struct queue_answer answer)
{
    struct list_op *self = NEW(struct list_op);
    self->after = after;
    self->limit = limit;
    self->op.run = run_nothing;
    self->op.done = done_list;
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}
