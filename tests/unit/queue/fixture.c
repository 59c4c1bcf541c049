#include "fixture.h"
#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"
#include "records/migrations.h"
#include "store/store.h"

#include <pthread.h>
#include <stdio.h>

static void open_site(struct site *site)
{
    AUTO_FREE char *path = memory_format("%s/lode.db", site->folder);
    AUTO_FREE char *blobs = memory_format("%s/blobs", site->folder);
    struct store_options store = {
        .url = path, .migrations = QUEUE_MIGRATIONS, .migration_count = QUEUE_MIGRATION_COUNT};
    assert_int_equal(store_open(&store, &site->store, NULL), OK);
    assert_int_equal(blobs_open(blobs, &site->blobs, NULL), OK);
    struct queue_options queue = {.store = site->store,
                                  .blobs = site->blobs,
                                  .catalog = &FAKE_CATALOG,
                                  .catalog_context = &site->catalog,
                                  .places = site->places,
                                  .job_ended = site->job_ended,
                                  .job_ended_context = site->job_ended_context,
                                  .check_group = site->check_group,
                                  .lease_timeout_us = site->lease_timeout_us,
                                  .gone_timeout_us = site->gone_timeout_us,
                                  .over_kept_us = site->over_kept_us};
    assert_int_equal(queue_open(&queue, &site->queue, NULL), OK);
}

static void close_site(struct site *site)
{
    queue_stop(site->queue);
    store_close(site->store);
    queue_free(site->queue);
    blobs_close(site->blobs);
}

// In memory, where there is room for it: what a test commits is to outlive the queue, not the machine, and a sync of a busy disk takes as long as all the rest of a test.
static void make_folder(struct site *site)
{
    static const char *const PLACES[] = {"/dev/shm", "/tmp"};
    char *made = NULL;
    for (size_t i = 0; i < 2 && !made; i++) {
        (void)snprintf(site->folder, sizeof site->folder, "%s/lode-queue-XXXXXX", PLACES[i]);
        made = mkdtemp(site->folder);
    }
    assert_non_null(made);
}

int site_setup(void **state)
{
    struct site *site = NEW(struct site);
    make_folder(site);
    site->lease_timeout_us = INT64_C(60000000); // A busy machine must not lose a worker.
    open_site(site);
    *state = site;
    return 0;
}

int site_teardown(void **state)
{
    struct site *site = *state;
    close_site(site);
    assert_int_equal(file_remove_tree(site->folder, NULL), OK);
    free(site->setups);
    free(site);
    return 0;
}

void site_restart(struct site *site)
{
    close_site(site);
    open_site(site);
}

void reply_done(struct reply *reply)
{
    json_decref(reply->document);
}

// An answer that the test waits for.
struct waiting {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t came;
    bool is_there;
    struct reply reply;
};

static void answer(void *context, enum status status, const struct error *error,
                   struct text document)
{
    struct waiting *waiting = context;
    (void)pthread_mutex_lock(&waiting->mutex);
    waiting->reply.status = status;
    if (error) {
        waiting->reply.error = *error;
    }
    if (status == OK) {
        assert_int_equal(json_parse(document, &waiting->reply.document, NULL), OK);
    }
    waiting->is_there = true;
    (void)pthread_cond_signal(&waiting->came);
    (void)pthread_mutex_unlock(&waiting->mutex);
}

static struct queue_answer expect(struct waiting *waiting)
{
    *waiting = (struct waiting){.is_there = false};
    (void)pthread_mutex_init(&waiting->mutex, NULL);
    (void)pthread_cond_init(&waiting->came, NULL);
    return (struct queue_answer){answer, waiting};
}

static struct reply await(struct waiting *waiting)
{
    (void)pthread_mutex_lock(&waiting->mutex);
    while (!waiting->is_there) {
        (void)pthread_cond_wait(&waiting->came, &waiting->mutex);
    }
    (void)pthread_mutex_unlock(&waiting->mutex);
    (void)pthread_cond_destroy(&waiting->came);
    (void)pthread_mutex_destroy(&waiting->mutex);
    return waiting->reply;
}

static enum status witness(struct sql *sql, void *context, int64_t number, struct error *error)
{
    struct site *site = context;
    (void)sql;
    if (site->refuses_to_witness) {
        return error_set(error, UNAVAILABLE, "nobody is here to see it");
    }
    size_t at = site->witnessed_count++ % (sizeof site->witnessed / sizeof site->witnessed[0]);
    site->witnessed[at] = number;
    return OK;
}

static struct queue_witness witness_of(struct site *site)
{
    return (struct queue_witness){witness, site};
}

struct reply site_submit(struct site *site, const char *text, const char *key)
{
    AUTO_JSON json_t *document = NULL;
    const struct digest request = digest_of(text, strlen(text));
    struct queue_submission submission = {.to = site->to,
                                          .hold = site->hold,
                                          .owner = text_of(site->owner ? site->owner : "alice"),
                                          .idempotency_key = text_of(key),
                                          .request = site->keeps_no_request ? NULL : &request,
                                          .origin = site->origin,
                                          .witness = witness_of(site)};
    struct waiting waiting;
    struct queue_answer to = expect(&waiting);
    assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
    struct error error = {0};
    if (spec_parse(document, &submission.spec, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    queue_submit(site->queue, &submission, to);
    return await(&waiting);
}

int64_t number_of(const json_t *document, const char *name)
{
    const json_t *value = json_object_get(document, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

int64_t site_job(struct site *site, const char *document)
{
    struct reply reply = site_submit(site, document, NULL);
    if (reply.status != OK) {
        fail_msg("%s", reply.error.detail);
    }
    int64_t job = number_of(reply.document, "id");
    reply_done(&reply);
    return job;
}

struct reply site_show(struct site *site, int64_t job, int64_t wait_us)
{
    struct waiting waiting;
    const struct queue_view view = {.wait_us = wait_us, .after_version = -1};
    queue_show_job(site->queue, job, &view, expect(&waiting));
    return await(&waiting);
}

struct reply site_cancel(struct site *site, int64_t job)
{
    struct waiting waiting;
    queue_cancel_job(site->queue, job, TEXT("alice"), witness_of(site), expect(&waiting));
    return await(&waiting);
}

struct reply site_retry(struct site *site, int64_t job)
{
    struct waiting waiting;
    queue_retry_job(site->queue, job, witness_of(site), expect(&waiting));
    return await(&waiting);
}

struct reply site_retry_task(struct site *site, int64_t job, int64_t index)
{
    struct waiting waiting;
    queue_retry_task(site->queue, job, index, witness_of(site), expect(&waiting));
    return await(&waiting);
}

char *site_why(struct site *site, int64_t job)
{
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(queue_why(site->queue, job, -1, true, &out, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&out), &document, NULL), OK);
    return text_copy(json_text(json_object_get(document, "why")));
}

static struct text principal_of(const struct site *site)
{
    return text_of(site->principal ? site->principal : "workers");
}

struct reply site_register(struct site *site, json_t *document)
{
    struct waiting waiting;
    queue_register_worker(site->queue, document, principal_of(site), site->runner, witness_of(site),
                          expect(&waiting));
    return await(&waiting);
}

int64_t site_place_worker(struct site *site, const char *place)
{
    json_t *document = json_pack("{s:s, s:i, s:I, s:I, s:s, s:i}", "name", "link", "cpus", 64,
                                 "memory_bytes", (json_int_t)1 << 40, "disk_bytes",
                                 (json_int_t)1 << 50, "place", place, "process", LINK_PROCESS);
    struct reply reply = site_register(site, document);
    assert_int_equal(reply.status, OK);
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    return worker;
}

struct reply site_release(struct site *site, int64_t job, const struct prepare_destination *to)
{
    struct waiting waiting;
    queue_release(site->queue, job, to, expect(&waiting));
    return await(&waiting);
}

struct reply site_fail_held(struct site *site, int64_t job, const char *message)
{
    struct waiting waiting;
    queue_fail_held(site->queue, job, text_of(message), expect(&waiting));
    return await(&waiting);
}

struct reply site_refused(struct site *site, int64_t job, const char *offer)
{
    struct waiting waiting;
    const struct queue_refusal refusal = {offer, {TEXT("the sea is rough"), TEXT("wait")}};
    queue_hold_refused(site->queue, job, &refusal, witness_of(site), expect(&waiting));
    return await(&waiting);
}

struct reply site_set_reason(struct site *site, int64_t job, const char *reason, const char *change)
{
    struct waiting waiting;
    const struct queue_hold hold = {text_of(reason), text_of(change)};
    queue_set_hold_reason(site->queue, job, &hold, expect(&waiting));
    return await(&waiting);
}

struct listing {
    struct waiting waiting;
};

struct listing *site_places_begin(struct site *site, int64_t version, int64_t wait_us)
{
    struct listing *listing = NEW(struct listing);
    queue_list_places(site->queue, version, wait_us, expect(&listing->waiting));
    return listing;
}

struct reply site_places_end(struct listing *listing)
{
    struct reply reply = await(&listing->waiting);
    free(listing);
    return reply;
}

int64_t site_worker(struct site *site, const char *name, int cpus)
{
    return site_worker_process(site, name, cpus, 1);
}

struct reply site_find_source(struct site *site, const struct queue_source_request *request)
{
    struct waiting waiting;
    queue_find_source(site->queue, request, expect(&waiting));
    return await(&waiting);
}

struct reply site_move(struct site *site, int64_t worker, const struct text *groups, size_t count)
{
    struct waiting waiting;
    queue_move_worker(site->queue, worker, groups, count, witness_of(site), expect(&waiting));
    return await(&waiting);
}

int64_t site_worker_process(struct site *site, const char *name, int cpus, int process)
{
    json_t *document =
        json_pack("{s:s, s:i, s:I, s:I, s:{s:s}, s:i}", "name", name, "cpus", cpus, "memory_bytes",
                  (json_int_t)1 << 36, "disk_bytes", (json_int_t)1 << 40, "sandbox", "kind", "none",
                  "process", process);
    struct reply reply = site_register(site, document);
    assert_int_equal(reply.status, OK);
    int64_t worker = number_of(reply.document, "worker");
    reply_done(&reply);
    return worker;
}

struct reply site_list_workers(struct site *site, int64_t after, int64_t limit)
{
    struct waiting waiting;
    queue_list_workers(site->queue, after, limit, expect(&waiting));
    return await(&waiting);
}

struct polling {
    struct waiting waiting;
    struct queue_poll poll;
};

struct polling *site_poll_begin(struct site *site, int64_t worker, const char *body)
{
    struct polling *polling = NEW(struct polling);
    struct error error = {0};
    polling->poll =
        (struct queue_poll){.worker = worker, .owner = principal_of(site), .runner = site->runner};
    if (poll_parse(text_of(body), &polling->poll.body, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    polling->poll.answer = expect(&polling->waiting);
    queue_poll(site->queue, &polling->poll);
    return polling;
}

struct reply site_poll_end(struct polling *polling)
{
    struct reply reply = await(&polling->waiting);
    free(polling);
    return reply;
}

struct reply site_poll(struct site *site, int64_t worker, const char *body)
{
    return site_poll_end(site_poll_begin(site, worker, body));
}

void site_say(struct site *site, int64_t worker, const char *body)
{
    struct reply reply = site_poll(site, worker, body);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

void site_leave_poll(struct site *site, int64_t worker)
{
    struct waiting waiting;
    struct queue_poll poll = {
        .worker = worker, .owner = principal_of(site), .runner = site->runner, .is_gone = true};
    assert_int_equal(poll_parse(TEXT("{\"wait_seconds\": 60}"), &poll.body, NULL), OK);
    poll.answer = expect(&waiting);
    queue_poll(site->queue, &poll);
    struct reply reply = await(&waiting);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

void assert_job(struct site *site, int64_t job, const char *state, int64_t succeeded)
{
    struct reply reply = site_show(site, job, 0);
    assert_int_equal(reply.status, OK);
    assert_string_equal(json_string_value(json_object_get(reply.document, "state")), state);
    assert_int_equal(number_of(json_object_get(reply.document, "tasks"), "succeeded"), succeeded);
    reply_done(&reply);
}

// Appends the results of one lease: every task wrote "ok" and ended with the code.
static int64_t run_lease(const json_t *lease, int exit_code, struct buffer *body)
{
    int64_t number = json_integer_value(json_array_get(lease, 0));
    int64_t job = json_integer_value(json_array_get(lease, 1));
    int64_t from = json_integer_value(json_array_get(lease, 2));
    int64_t to = json_integer_value(json_array_get(lease, 3));
    buffer_printf(body, "%s{\"lease\":%lld,\"job\":%lld,\"tasks\":[", body->length ? "," : "",
                  (long long)number, (long long)job);
    for (int64_t index = from; index < to; index++) {
        buffer_printf(body, "%s[%lld,0,%d,1700000000000000,1000,500,4096,\"b2s=\"]",
                      index > from ? "," : "", (long long)index, exit_code);
    }
    buffer_append_string(body, "]}");
    return to - from;
}

int64_t site_run_all(struct site *site, int64_t worker)
{
    int64_t ran = 0;
    AUTO_FREE char *body = memory_copy_string("{}");
    for (bool is_more = true; is_more;) {
        struct reply reply = site_poll(site, worker, body);
        assert_int_equal(reply.status, OK);
        const json_t *leases = json_object_get(reply.document, "leases");
        AUTO_BUFFER struct buffer results = {0};
        is_more = json_array_size(leases) > 0;
        for (size_t i = 0; i < json_array_size(leases); i++) {
            ran += run_lease(json_array_get(leases, i), site->exit_code, &results);
        }
        free(body);
        body = memory_format("{\"setups\":[%s],\"results\":[%s]}", site->setups ? site->setups : "",
                             results.bytes ? results.bytes : "");
        reply_done(&reply);
    }
    return ran;
}
