// The conversation with the site: the poll that waits, and the poll that reports.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"
#include "protocol/poll_answer.h"

#include <inttypes.h>
#include <stdio.h>

// Of reports, one after another: then worker and site are taken to be of different versions.
enum { REFUSALS_MAX = 4 };
#define REPORT_AGAIN_US INT64_C(100000) // After a report that was refused.
#define WRONG_ANSWER_PAUSE_US INT64_C(2000000)

// What was in the poll that failed is sent again.
static void unsend(struct worker *worker)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        ready_unsend(&worker->leases[i]->ready);
    }
    size_t at = 0;
    for (struct worker_job *job = map_next(worker->jobs, &at); job;
         job = map_next(worker->jobs, &at)) {
        job->is_setup_sent = false;
    }
    entries_unsend(&worker->logs);
    entries_unsend(&worker->returned);
    entries_unsend(&worker->checkpoints);
    notes_unsend(worker);
}

static void handle_failure(struct worker *worker, const struct http_answer *answer)
{
    if (answer->code == 404 && worker->is_parting) {
        worker->is_ended = true; // To that site it is gone.
        return;
    }
    if (answer->code == 404 && worker->id != 0) {
        log_line(LOG_LEVEL_INFO, "event=registering-again worker=%" PRId64, worker->id);
        register_forget(worker);
        return;
    }
    if (!admission_take_refusal(worker, answer)) {
        site_note_absence(worker, answer);
    }
}

void poll_disconnect(struct worker *worker)
{
    transfers_set_client(worker->transfers, NULL);
    fetches_set_site(worker->fetches, NULL, 0);
    http_client_free(worker->client); // Ends the calls without their `done`.
    worker->client = NULL;
    worker->registering = NULL;
    worker->waiting = NULL;
    worker->reporting = NULL;
    unsend(worker);
}

static void take_lease(struct worker *worker, const struct leased *leased, struct worker_job *job)
{
    struct task_lease *lease = lease_add(worker, leased->lease, job, leased->from, leased->to);
    lease->attempt = leased->attempt;
    lease->token = leased->token ? memory_copy_string(leased->token) : NULL;
    if (json_array_size(leased->checkpoint) > 0) {
        lease->restore = restore_start(worker, job, lease->id, leased->checkpoint);
    }
}

static void take_leases(struct worker *worker, const struct poll_answer *answer)
{
    // What crosses its last word, the site gives to others when that has come.
    for (size_t i = 0; i < answer->lease_count && !worker->is_parting; i++) {
        const struct leased *leased = &answer->leases[i];
        struct worker_job *job = worker_job_find(worker, leased->job);
        if (!job) {
            // An answer that told of the job was lost: registering again makes the site tell everything again.
            register_forget(worker);
            return;
        }
        job->is_dropped = false;
        supply_renew(job);
        take_lease(worker, leased, job);
    }
}

static enum status take_answer(struct worker *worker, struct text body, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_POLL_ANSWER struct poll_answer answer = {0};
    TRY(poll_answer_read(body, &arena, &answer, error));
    worker->is_draining = answer.is_draining;
    worker->ordered_end_us =
        answer.drain_in_us < 0 ? INT64_MAX : clock_steady_us() + answer.drain_in_us;
    for (size_t i = 0; i < answer.dropped_count; i++) {
        struct worker_job *job = worker_job_find(worker, answer.dropped[i]);
        if (job) {
            worker_job_drop(job);
        }
    }
    for (size_t i = 0; i < json_array_size(answer.jobs); i++) {
        TRY(worker_job_add(worker, json_array_get(answer.jobs, i), error));
    }
    take_leases(worker, &answer);
    for (size_t i = 0; i < answer.cancelled_count; i++) {
        lease_cancel(worker, answer.cancelled[i]);
    }
    for (size_t i = 0; i < answer.yield_count; i++) {
        lease_yield(worker, answer.yields[i]);
    }
    return OK;
}

// Common to both polls; true when the answer was good.
static bool finish_poll(struct worker *worker, const struct http_answer *answer)
{
    struct error error = {0};
    if (answer->status != OK) {
        handle_failure(worker, answer);
        return false;
    }
    site_note_return(worker);
    if (take_answer(worker, answer->body, &error) != OK) {
        log_line(LOG_LEVEL_ERROR, "event=wrong-answer detail=\"%s\"", error.detail);
        worker->retry_us = clock_steady_us() + WRONG_ANSWER_PAUSE_US;
        worker->needs_reconnect = true;
        return false;
    }
    return true;
}

static void on_waited(void *context, const struct http_answer *answer)
{
    struct worker *worker = context;
    worker->waiting = NULL;
    (void)finish_poll(worker, answer);
}

// The site has what was in the poll: it is forgotten here.
static void settle_sent(struct worker *worker)
{
    entries_settle(&worker->logs);
    entries_settle(&worker->returned);
    entries_settle(&worker->checkpoints);
    notes_settle(worker);
    bool has_more = notes_are_due(worker) || worker->logs.text.length > 0 ||
                    worker->returned.text.length > 0 || worker->checkpoints.text.length > 0;
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        (void)ready_settle(&lease->ready, &lease->reported);
        has_more = has_more || lease->ready.text.length > 0;
    }
    size_t at = 0;
    for (struct worker_job *job = map_next(worker->jobs, &at); job;
         job = map_next(worker->jobs, &at)) {
        job->is_setup_told = job->is_setup_told || job->is_setup_sent;
        job->is_setup_sent = false;
    }
    worker->refusals = has_more && worker->refusals > 0 ? 1 : 0;
    worker->ready_since_us = has_more ? clock_steady_us() : 0;
}

// The site has read the report and does not take it: it would not the next time either.
static bool is_refusal(int code)
{
    return code == 400 || code == 409 || code == 413;
}

// At first only live output is given up, and the results are sent again, those of one lease at a time, so that what is refused is
// found. That is reported as this worker's fault: the site has the tasks run again, and says why when that was too often.
static void take_refusal(struct worker *worker, const struct http_answer *answer)
{
    const char *said = answer->error.detail;
    log_line(LOG_LEVEL_ERROR, "event=report-refused code=%d detail=\"%s\"", answer->code, said);
    worker->refusals++;
    entries_settle(&worker->logs);
    entries_settle(&worker->checkpoints);
    if (worker->refusals > REFUSALS_MAX) {
        (void)error_set(&worker->fault, UNSUPPORTED,
                        "the site refuses what this worker reports: %s", said);
        error_fix(&worker->fault, "use the same version of lode here as at the site");
        worker->is_ended = true;
    }
    for (size_t i = 0; i < worker->lease_count && worker->refusals > 1; i++) {
        if (worker->leases[i]->ready.sent_length > 0) {
            report_refused(worker->leases[i], said);
        }
    }
    if (worker->refusals == REFUSALS_MAX) {
        entries_settle(&worker->returned); // The site misses these leases after a while.
    }
    unsend(worker);
    worker->ready_since_us = clock_steady_us();
    worker->retry_us = worker->ready_since_us + REPORT_AGAIN_US;
}

static void on_reported(void *context, const struct http_answer *answer)
{
    struct worker *worker = context;
    worker->reporting = NULL;
    if (is_refusal(answer->code)) {
        site_note_return(worker);
        take_refusal(worker, answer);
    } else if (finish_poll(worker, answer)) {
        if (worker->is_new) {
            worker->is_new = false;
            supplies_tell_again(worker);
        }
        settle_sent(worker);
    } else {
        unsend(worker);
    }
}

static void write_leases(const struct worker *worker, struct buffer *out)
{
    bool is_first = true;
    buffer_append_string(out, ",\"leases\":[");
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct task_lease *lease = worker->leases[i];
        if (!lease->is_dead && lease->reported < lease->to) {
            buffer_printf(out, "%s[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                          is_first ? "" : ",", lease->id, lease->job->spec->id, lease->reported,
                          lease->to);
            is_first = false;
        }
    }
    buffer_append_byte(out, ']');
}

// What is to stay here: the site says which of it is to go, also when an earlier answer that said so was lost.
static void write_jobs(const struct worker *worker, struct buffer *out)
{
    size_t at = 0;
    int count = 0;
    for (const struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        if (!job->is_dropped && count < POLL_ANSWER_JOBS_MAX) {
            buffer_printf(out, "%s%" PRId64, count == 0 ? ",\"jobs\":[" : ",", job->spec->id);
            count++;
        }
    }
    buffer_append_string(out, count > 0 ? "]" : "");
}

static void write_results(struct worker *worker, struct buffer *out)
{
    size_t entries = 0;
    buffer_append_string(out, ",\"results\":[");
    size_t entries_max = worker->refusals > 0 ? 1 : REPORT_ENTRIES_MAX - READY_PART_ENTRIES + 1;
    for (size_t i = 0; i < worker->lease_count && out->length < REPORT_MAX && entries < entries_max;
         i++) {
        struct task_lease *lease = worker->leases[i];
        if (lease->is_dead || lease->ready.text.length == 0) {
            continue;
        }
        buffer_append_string(out, entries > 0 ? "," : "");
        bool is_stream = lease->job->spec->is_stream;
        entries += is_stream ? READY_PART_ENTRIES : 1;
        if (!is_stream) {
            buffer_printf(out, "{\"lease\":%" PRId64 ",\"job\":%" PRId64 ",\"tasks\":[", lease->id,
                          lease->job->spec->id);
        }
        buffer_append_text(out, ready_send(&lease->ready));
        buffer_append_string(out, is_stream ? "" : "]}");
        lease->job->is_setup_sent = !lease->job->is_setup_told;
    }
    buffer_append_byte(out, ']');
}

static void write_setups(struct worker *worker, struct buffer *out)
{
    bool is_first = true;
    size_t at = 0;
    buffer_append_string(out, ",\"setups\":[");
    for (struct worker_job *job = map_next(worker->jobs, &at); job;
         job = map_next(worker->jobs, &at)) {
        if (!job->is_setup_sent) {
            continue;
        }
        buffer_printf(out, "%s{\"job\":%" PRId64 ",\"executable\":", is_first ? "" : ",",
                      job->spec->id);
        buffer_append_json_string(out, text_of(job->has_executable ? job->executable.path : ""));
        buffer_append_string(out, ",\"executable_digest\":");
        buffer_append_json_string(out, text_of(job->has_executable ? job->executable.digest : ""));
        buffer_append_string(out, ",\"host\":");
        buffer_append_json_string(out, text_of(worker->host));
        buffer_printf(out, ",\"sandbox\":\"%s\"}",
                      worker->place.bubblewrap ? "bubblewrap" : "none");
        is_first = false;
    }
    buffer_append_byte(out, ']');
}

static struct http_call *start_poll(struct worker *worker, const struct buffer *body,
                                    int64_t timeout_us,
                                    void (*done)(void *context, const struct http_answer *answer))
{
    char path[64];
    worker->spoke_us = clock_steady_us();
    (void)snprintf(path, sizeof path, "/v1/workers/%" PRId64 "/poll", worker->id);
    const struct http_ask ask = {.method = "POST",
                                 .path = path,
                                 .body = buffer_text(body),
                                 .timeout_us = timeout_us,
                                 .context = worker};
    return http_client_start(worker->client, &ask, done);
}

static void start_waiting(struct worker *worker)
{
    AUTO_BUFFER struct buffer body = {0};
    buffer_printf(&body, "{\"wait_seconds\":%" PRId64 "%s", worker->wait_seconds,
                  worker->is_out_of_room ? ",\"full\":true" : "");
    write_leases(worker, &body);
    write_jobs(worker, &body);
    buffer_append_byte(&body, '}');
    worker->waiting =
        start_poll(worker, &body, worker->wait_seconds * 1000000 + SITE_TIMEOUT_US, on_waited);
}

static void start_reporting(struct worker *worker)
{
    AUTO_BUFFER struct buffer body = {0};
    buffer_append_string(&body, worker->is_stopping ? "{\"wait_seconds\":0,\"leaving\":true"
                                                    : "{\"wait_seconds\":0");
    buffer_append_string(&body, worker->is_parting ? ",\"gone\":true" : "");
    buffer_append_string(&body, worker->is_out_of_room ? ",\"full\":true" : "");
    leaving_write_left(&body, "leaves_in_seconds", worker->own_end_us);
    write_leases(worker, &body);
    write_results(worker, &body);
    write_setups(worker, &body);
    notes_write(worker, &body);
    struct text logs = entries_send(&worker->logs);
    if (logs.length > 0 && worker->refusals == 0) { // Else they are dropped with its answer.
        buffer_append_string(&body, ",\"logs\":[");
        buffer_append_text(&body, logs);
        buffer_append_byte(&body, ']');
    }
    if (worker->returned.text.length > 0) {
        buffer_append_string(&body, ",\"returned\":[");
        buffer_append_text(&body, entries_send(&worker->returned));
        buffer_append_byte(&body, ']');
    }
    if (worker->checkpoints.text.length > 0) {
        buffer_append_string(&body, ",\"checkpoints\":[");
        buffer_append_text(&body, entries_send(&worker->checkpoints));
        buffer_append_byte(&body, ']');
    }
    buffer_append_byte(&body, '}');
    worker->is_urgent = false;
    worker->reporting = start_poll(worker, &body, SITE_TIMEOUT_US, on_reported);
}

bool poll_has_unreported(const struct worker *worker)
{
    return worker->ready_since_us != 0 || worker->reporting || worker->held_count > 0;
}

static int64_t report_due_us(const struct worker *worker)
{
    int64_t heartbeat_us =
        worker->lease_count > 0 ? worker->spoke_us + worker->heartbeat_us : INT64_MAX;
    if (worker->reporting) {
        return INT64_MAX;
    }
    if (worker->ready_since_us == 0) {
        return heartbeat_us;
    }
    int64_t report_us = worker->is_urgent ? 0 : worker->ready_since_us + REPORT_DELAY_US;
    return report_us < heartbeat_us ? report_us : heartbeat_us;
}

int64_t poll_delay_us(const struct worker *worker, int64_t now_us)
{
    if (!worker->client || worker->id == 0) {
        return worker->registering ? -1 : worker->retry_us > now_us ? worker->retry_us - now_us : 0;
    }
    int64_t due_us = report_due_us(worker);
    due_us = due_us < worker->retry_us && due_us != INT64_MAX ? worker->retry_us : due_us;
    return due_us == INT64_MAX ? -1 : due_us > now_us ? due_us - now_us : 0;
}

void poll_work(struct worker *worker, int64_t now_us)
{
    struct error error = {0};
    if (worker->needs_reconnect) {
        worker->needs_reconnect = false;
        poll_disconnect(worker);
    }
    if (now_us < worker->retry_us) {
        return;
    }
    if (!worker->client && site_connect(worker, &error) != OK) {
        const struct http_answer none = {.status = UNAVAILABLE, .error = error};
        site_note_absence(worker, &none);
        return;
    }
    if (worker->id == 0) {
        if (!worker->registering && !worker->reporting && !worker->waiting) {
            register_start(worker);
        }
        return;
    }
    if (report_due_us(worker) <= now_us) {
        start_reporting(worker);
    }
    if (!worker->waiting && !worker->is_stopping && !worker->is_new) {
        start_waiting(worker);
    }
}
