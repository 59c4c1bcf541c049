// Where workers get a file from: from each other as soon as one of them has it, so that the site sends it twice at most.
//
// A file spreads as a tree: the site sends it to at most SENDS_MAX workers at a time, each of these to as many, and so on. Who asks while
// all are busy waits. Nothing of this is written: after a restart workers say anew what they have for what they run. Who serves only
// those near it gives the file to these; the others have it from the site, still by twos, or from others.
#include "queue/reach.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"

enum {
    SENDS_MAX = 2,       // Of one file, by the site or one worker, at a time.
    SPREADS_MAX = 10000, // Files that are known to be at workers; beyond that all is forgotten.
    HOLDERS_MAX = 10000, // Of one file.
};
#define SEND_TIME_MAX_US                                                                           \
    INT64_C(600000000) // A worker that says nothing for so long is taken to have given up.
#define PASS_TIME_US INT64_C(900000000) // Clocks of workers may differ by some minutes.

struct send {
    struct send *next;
    int64_t from; // A worker; 0: the site.
    int64_t to;
    int64_t begun_us;
};

struct spread {
    struct ranges holders; // Workers that have it and serve it.
    struct send *sends;
};

static void free_spread(struct spread *spread)
{
    while (spread->sends) {
        struct send *next = spread->sends->next;
        free(spread->sends);
        spread->sends = next;
    }
    ranges_done(&spread->holders);
    free(spread);
}

static void forget_all(struct queue *queue)
{
    size_t at = 0;
    for (struct spread *spread; (spread = map_next(queue->spreads, &at)) != NULL;) {
        free_spread(spread);
    }
    map_free(queue->spreads);
    queue->spreads = NULL;
}

void sources_free(struct queue *queue)
{
    if (queue->spreads) {
        forget_all(queue);
    }
}

void worker_take_serving(struct worker *worker, const struct worker_hello *hello)
{
    worker->serve_url = text_copy(hello->serve_url);
    worker->serve_fingerprint = text_copy(hello->serve_fingerprint);
    worker->serves_near = hello->serves_near;
    random_fill(worker->serve_key.bytes, sizeof worker->serve_key.bytes);
}

void worker_write_serving(const struct worker *worker, struct buffer *out)
{
    char hex[2 * DIGEST_SIZE + 1];
    if (worker->serve_url[0] != '\0') {
        hex_encode(worker->serve_key.bytes, DIGEST_SIZE, hex);
        buffer_printf(out, ",\"serve_key\":\"%s\"", hex);
    }
}

static struct spread *spread_get(struct queue *queue, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    struct text key = text_of(digest_to_text(digest, text));
    struct spread *spread = map_find_text(queue->spreads, key);
    if (!spread) {
        if (map_count(queue->spreads) >= SPREADS_MAX) {
            forget_all(queue);
            queue->spreads = map_new();
        }
        spread = NEW(struct spread);
        (void)map_set_text(queue->spreads, key, spread);
    }
    return spread;
}

// Sends that have ended: to this worker, which asks anew, to and from workers that are gone, and those of long ago.
static void end_sends(const struct queue *queue, struct spread *spread, int64_t worker)
{
    int64_t now_us = clock_steady_us();
    struct send **at = &spread->sends;
    while (*at) {
        struct send *send = *at;
        bool is_over = send->to == worker || !queue_find_worker(queue, send->to) ||
                       (send->from != 0 && !queue_find_worker(queue, send->from)) ||
                       now_us - send->begun_us > SEND_TIME_MAX_US;
        if (is_over) {
            *at = send->next;
            free(send);
        } else {
            at = &send->next;
        }
    }
}

static int64_t sends_from(const struct spread *spread, int64_t worker)
{
    int64_t count = 0;
    for (const struct send *send = spread->sends; send; send = send->next) {
        count += send->from == worker;
    }
    return count;
}

static bool is_among(const int64_t *workers, size_t count, int64_t worker)
{
    for (size_t i = 0; i < count; i++) {
        if (workers[i] == worker) {
            return true;
        }
    }
    return false;
}

static bool has_failed(const struct queue_source_request *request, int64_t worker)
{
    return is_among(request->failed, request->failed_count, worker) ||
           is_among(request->unreached, request->unreached_count, worker);
}

// What has become of sending the worker to another one, when it was sent to one.
static void note_end(const struct queue *queue, const struct spread *spread,
                     const struct queue_source_request *request, struct worker *taker)
{
    const struct send *send = spread->sends;
    while (send && send->to != taker->id) {
        send = send->next;
    }
    struct worker *holder = send && send->from != 0 ? queue_find_worker(queue, send->from) : NULL;
    bool is_missed = holder && is_among(request->unreached, request->unreached_count, holder->id);
    if (holder && (request->has_it || is_missed)) {
        reach_note_end(holder, taker, request->has_it);
    }
}

// The worker that the file is best taken from: one that is near, then the least busy. NULL: none is free; *is_there: though some have it.
static const struct worker *choose_holder(const struct queue *queue, struct spread *spread,
                                          const struct queue_source_request *request,
                                          const struct worker *taker, bool *is_there)
{
    const struct worker *best = NULL;
    int64_t best_cost = INT64_MAX;
    for (size_t r = 0; r < spread->holders.count; r++) {
        for (int64_t id = spread->holders.items[r].from; id < spread->holders.items[r].to; id++) {
            const struct worker *worker = queue_find_worker(queue, id);
            if (!worker || worker == taker || has_failed(request, id) ||
                !reach_may_give(worker, taker)) {
                continue;
            }
            int64_t sends = sends_from(spread, id);
            int64_t cost = sends + (reach_is_near(worker, taker) ? 0 : SENDS_MAX);
            *is_there = true;
            if (sends < SENDS_MAX && cost < best_cost) {
                best = worker;
                best_cost = cost;
            }
            if (best_cost == 0) {
                return best; // There is no better one, and there may be thousands.
            }
        }
    }
    return best;
}

struct source_op {
    struct queue_op op;
    struct queue_source_request request;
    char *owner;
    struct buffer document;
    struct queue_answer answer;
};

static void begin_send(struct spread *spread, int64_t from, int64_t to)
{
    struct send *send = NEW(struct send);
    *send = (struct send){spread->sends, from, to, clock_steady_us()};
    spread->sends = send;
}

static void answer_with_worker(struct source_op *self, struct spread *spread,
                               const struct worker *holder)
{
    char pass[PASS_SIZE];
    pass_make(&holder->serve_key, &self->request.digest, clock_real_us() + PASS_TIME_US, pass);
    begin_send(spread, holder->id, self->request.worker);
    buffer_printf(&self->document,
                  "{\"from\":\"worker\",\"worker\":%lld,\"url\":", (long long)holder->id);
    buffer_append_json_string(&self->document, text_of(holder->serve_url));
    buffer_printf(&self->document, ",\"fingerprint\":\"%s\",\"pass\":\"%s\"}\n",
                  holder->serve_fingerprint, pass);
}

// Else it reaches none.
static bool asks_others(const struct queue_source_request *request, const struct worker *taker)
{
    return request->failed_count < QUEUE_FAILED_MAX &&
           request->unreached_count < QUEUE_FAILED_MAX && !reach_is_alone(taker);
}

static void find_source(struct source_op *self, struct worker *taker)
{
    struct queue *queue = self->op.queue;
    struct spread *spread = spread_get(queue, &self->request.digest);
    bool is_there = false;
    reach_note(taker, self->request.address);
    note_end(queue, spread, &self->request, taker);
    end_sends(queue, spread, taker->id);
    if (self->request.has_it) {
        bool serves = taker->serve_url[0] != '\0' && ranges_total(&spread->holders) < HOLDERS_MAX;
        (void)(serves ? ranges_add(&spread->holders, taker->id, taker->id + 1) : 0);
        buffer_append_string(&self->document, "{\"from\":\"wait\"}\n");
        return;
    }
    (void)ranges_remove(&spread->holders, taker->id, taker->id + 1);
    const struct worker *holder =
        asks_others(&self->request, taker)
            ? choose_holder(queue, spread, &self->request, taker, &is_there)
            : NULL;
    if (holder) {
        answer_with_worker(self, spread, holder);
    } else if (is_there || sends_from(spread, 0) >= SENDS_MAX) {
        buffer_append_string(&self->document, "{\"from\":\"wait\"}\n");
    } else {
        begin_send(spread, 0, taker->id);
        buffer_append_string(&self->document, "{\"from\":\"site\"}\n");
    }
}

static enum status run_source(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)sql;
    struct source_op *self = (struct source_op *)op;
    const struct queue_source_request *request = &self->request;
    TRY(told_check(op->queue, request->worker, text_of(self->owner), request->job, error));
    struct worker *taker = queue_find_worker(op->queue, request->worker);
    if (runner_shares_inputs(taker->runner.kind)) {
        find_source(self, taker);
    } else {
        // Who lends a computer for some jobs learns nothing of other workers, and they need not trust it.
        buffer_append_string(&self->document, "{\"from\":\"site\"}\n");
    }
    return OK;
}

static void done_source(struct queue_op *op, enum status status, const struct error *error)
{
    struct source_op *self = (struct source_op *)op;
    self->answer.done(self->answer.context, status, error, buffer_text(&self->document));
    buffer_done(&self->document);
    free(self->owner);
    free(self);
}

void queue_find_source(struct queue *queue, const struct queue_source_request *request,
                       struct queue_answer answer)
{
    struct source_op *self = NEW(struct source_op);
    self->op.run = run_source;
    self->op.done = done_source;
    self->request = *request;
    self->owner = text_copy(request->owner);
    self->answer = answer;
    queue_enqueue(queue, &self->op);
}
