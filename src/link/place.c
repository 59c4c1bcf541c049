// A worker of home for a place: it registers, one poll waits for leases, another reports.
#include "link/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/random.h"
#include "protocol/poll_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define TROUBLE_TOLD_US INT64_C(1000000) // A blink is not worth words.
#define CPUS_OFFERED 65536
#define BYTES_OFFERED (INT64_C(1) << 50)

struct place *place_find(struct link *link, const char *site)
{
    struct place *place = link->places;
    while (place && strcmp(place->known.site, site) != 0) {
        place = place->next;
    }
    return place;
}

struct place *place_add(struct link *link, const struct wire_place *known)
{
    struct place *place = NEW(struct place);
    place->link = link;
    place->known = *known;
    place->jobs = map_new();
    place->is_problem_told = true;
    place->peer = (struct http_peer){
        .base_url = place->known.url,
        .pin = place->known.site,
    };
    place->next = link->places;
    link->places = place;
    return place;
}

static void cancel_call(struct link *link, struct http_call **call)
{
    if (*call) {
        http_client_cancel(link->client, TAKE(*call));
    }
}

void place_free(struct place *place)
{
    struct link *link = place->link;
    cancel_call(link, &place->registering);
    cancel_call(link, &place->waiting);
    cancel_call(link, &place->reporting);
    parcels_free(&place->copying);
    parcels_free(&place->ready);
    parcels_free(&place->sent);
    while (place->submissions) {
        struct submission *submission = place->submissions;
        place->submissions = submission->next;
        submission_free(submission);
    }
    leases_free(place);
    size_t at = 0;
    for (struct placed_job *job = map_next(place->jobs, &at); job;
         job = map_next(place->jobs, &at)) {
        placed_job_free(job);
    }
    map_free(place->jobs);
    buffer_done(&place->logs);
    free(place);
}

bool place_is_full(const struct place *place)
{
    return place->ready.count + place->sent.count + place->copying.count > PARCELS_MAX ||
           place->ready.bytes + place->sent.bytes > PARCEL_BYTES_MAX ||
           place->logs.length > LOG_BYTES_MAX;
}

static void say_problem(struct place *place, const char *verb, const struct error *error)
{
    char text[PROBLEM_MAX];
    (void)snprintf(text, sizeof text, "site %s %s: %s", place->known.name, verb, error->detail);
    if (strcmp(text, place->problem) != 0) {
        memcpy(place->problem, text, sizeof text);
        place->is_problem_told = false;
    }
}

void place_failed(struct place *place, const struct error *error)
{
    int64_t now_us = clock_steady_us();
    place->is_quiet = false;
    if (place->trouble_us == 0) {
        place->trouble_us = clock_real_us();
        place->trouble_steady_us = now_us;
        log_line(LOG_LEVEL_WARNING, "event=place-away place=\"%s\" detail=\"%s\"",
                 place->known.name, error->detail);
    }
    if (place->retry_us <= now_us) { // Several calls may fail of one cause.
        uint16_t dice = 0;
        random_fill(&dice, sizeof dice);
        int64_t pause_us = place->pause_us * 2 < PAUSE_MIN_US ? PAUSE_MIN_US : place->pause_us * 2;
        place->pause_us = pause_us < PAUSE_MAX_US ? pause_us : PAUSE_MAX_US;
        // From half of it up to all: sites that lost another one at the same time do not come back in one moment.
        place->retry_us =
            now_us + place->pause_us / 2 + place->pause_us / 2 * (int64_t)dice / UINT16_MAX;
    }
    link_wake(place->link, place->retry_us);
    switch (error->status) {
    case DENIED:
        say_problem(place, "refuses", error);
        break;
    case UNAVAILABLE:
    case TIMEOUT:
        say_problem(place, "does not answer", error);
        break;
    case OK:
    case INVALID:
    case NOT_FOUND:
    case CONFLICT:
    case QUOTA:
    case BUSY:
    case CORRUPT:
    case UNSUPPORTED:
    case INTERNAL:
        say_problem(place, "answers what is of no use", error);
        break;
    }
}

void place_is_quiet(struct place *place)
{
    struct error error = {0};
    int64_t silent_us = clock_steady_us() - place->heard_us;
    if (place->trouble_us != 0 || silent_us < QUIET_US) {
        return;
    }
    (void)error_set(&error, TIMEOUT, "nothing is heard of it");
    place->is_quiet = true;
    place->trouble_us = clock_real_us() - silent_us;
    place->trouble_steady_us = place->heard_us;
    log_line(LOG_LEVEL_WARNING, "event=place-away place=\"%s\" detail=\"%s\"", place->known.name,
             error.detail);
    say_problem(place, "does not answer", &error);
}

void place_answered(struct place *place)
{
    if (place->trouble_us != 0) {
        log_line(LOG_LEVEL_INFO, "event=place-back place=\"%s\"", place->known.name);
    }
    place->trouble_us = 0;
    place->is_quiet = false;
    place->retry_us = 0;
    place->pause_us = 0;
    place->is_problem_told = place->is_problem_told && place->problem[0] == '\0';
    place->problem[0] = '\0';
}

void place_forget_worker(struct place *place)
{
    size_t at = 0;
    place->worker = 0;
    for (struct placed_job *job = map_next(place->jobs, &at); job;
         job = map_next(place->jobs, &at)) {
        job->is_setup_told = false;
    }
    words_tell_again(place);
}

static void on_registered(void *context, const struct http_answer *answer)
{
    struct place *place = context;
    struct registration registration;
    struct error error = answer->error;
    enum status status = answer->status;
    place->registering = NULL;
    if (status == OK) {
        status = registration_read(answer->body, &registration, &error);
    }
    if (status != OK) {
        link_home_failed(place->link, &error);
        return;
    }
    link_home_answered(place->link);
    place->worker = registration.worker;
    place->wait_seconds = registration.wait_seconds;
    place->is_problem_told = place->problem[0] == '\0';
    log_line(LOG_LEVEL_INFO, "event=registered place=\"%s\" worker=%" PRId64, place->known.name,
             place->worker);
}

static void start_registering(struct place *place)
{
    AUTO_BUFFER struct buffer body = {0};
    AUTO_FREE char *name = memory_format("link to %s", place->known.name);
    buffer_append_string(&body, "{\"name\":");
    buffer_append_json_string(&body, text_of(name));
    buffer_printf(&body,
                  ",\"cpus\":%d,\"memory_bytes\":%" PRId64 ",\"disk_bytes\":%" PRId64
                  ",\"version\":\"" LODE_VERSION "\",\"process\":%ld,\"place\":\"%s\","
                  "\"sandbox\":{\"kind\":\"site\",\"enforced\":[],\"not_enforced\":[]}}",
                  CPUS_OFFERED, BYTES_OFFERED, BYTES_OFFERED, (long)getpid(), place->known.site);
    const struct http_ask ask = {.peer = &place->link->home,
                                 .method = "POST",
                                 .path = "/v1/workers",
                                 .body = buffer_text(&body),
                                 .timeout_us = CALL_TIMEOUT_US,
                                 .context = place};
    place->registering = http_client_start(place->link->client, &ask, on_registered);
}

static void take_leases(struct place *place, const struct poll_answer *answer)
{
    for (size_t i = 0; i < answer->lease_count; i++) {
        const struct leased *leased = &answer->leases[i];
        struct placed_job *job = placed_job_find(place, leased->job);
        if (!job) {
            // An answer that told of the job was lost: registering again makes the site tell everything again.
            place_forget_worker(place);
            return;
        }
        lease_take(place, leased->lease, job, leased->from, leased->to);
    }
}

static enum status take_answer(struct place *place, struct text body, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_POLL_ANSWER struct poll_answer answer = {0};
    TRY(poll_answer_read(body, &arena, &answer, error));
    for (size_t i = 0; i < answer.dropped_count; i++) {
        placed_job_drop(place, answer.dropped[i]);
    }
    for (size_t i = 0; i < json_array_size(answer.jobs); i++) {
        TRY(placed_job_take(place, json_array_get(answer.jobs, i), error));
    }
    take_leases(place, &answer);
    for (size_t i = 0; i < answer.cancelled_count; i++) {
        lease_drop(place, answer.cancelled[i]);
    }
    return OK;
}

// Common to both polls; true when the answer was good.
static bool finish_poll(struct place *place, const struct http_answer *answer)
{
    struct error error = answer->error;
    if (answer->code == 404 && place->worker != 0) {
        log_line(LOG_LEVEL_INFO, "event=registering-again place=\"%s\"", place->known.name);
        place_forget_worker(place);
        return false;
    }
    if (answer->status != OK || take_answer(place, answer->body, &error) != OK) {
        link_home_failed(place->link, &error);
        return false;
    }
    link_home_answered(place->link);
    return true;
}

static void on_waited(void *context, const struct http_answer *answer)
{
    struct place *place = context;
    place->waiting = NULL;
    if (!finish_poll(place, answer)) {
        place->is_problem_told = false;
    }
}

static void settle_setups(struct place *place, bool has_arrived)
{
    size_t at = 0;
    for (struct placed_job *job = map_next(place->jobs, &at); job;
         job = map_next(place->jobs, &at)) {
        job->is_setup_told = job->is_setup_told || (has_arrived && job->is_setup_sent);
        job->is_setup_sent = false;
    }
}

static void on_reported(void *context, const struct http_answer *answer)
{
    struct place *place = context;
    place->reporting = NULL;
    // The own site understood it and will not have it: sent again it would be refused again, for ever.
    bool is_refused =
        answer->code == 400 || answer->code == 409 || answer->code == 413 || answer->code == 422;
    bool has_arrived = finish_poll(place, answer);
    settle_setups(place, has_arrived);
    words_settle(place, has_arrived || is_refused);
    if (has_arrived) {
        bool has_comma = place->logs_sent > 0 && place->logs.length > place->logs_sent;
        buffer_consume(&place->logs, place->logs_sent + (has_comma ? 1 : 0));
        parcels_settle(place);
        leases_remove_done(place);
    } else if (is_refused) {
        log_line(LOG_LEVEL_ERROR, "event=report-refused place=\"%s\" detail=\"%s\"",
                 place->known.name, answer->error.detail);
        buffer_clear(&place->logs);
        parcels_refuse(place, answer->error.detail);
    } else {
        parcels_unsend(place);
    }
    leases_settle(place);
    place->logs_sent = 0;
    place->is_problem_told = place->is_problem_told && (has_arrived || !place->is_problem_sent);
    place->is_problem_sent = false;
}

static struct http_call *start_poll(struct place *place, const struct buffer *body,
                                    int64_t timeout_us,
                                    void (*done)(void *context, const struct http_answer *answer))
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/workers/%" PRId64 "/poll", place->worker);
    const struct http_ask ask = {.peer = &place->link->home,
                                 .method = "POST",
                                 .path = path,
                                 .body = buffer_text(body),
                                 .timeout_us = timeout_us,
                                 .answer_size_max = 64 << 20,
                                 .context = place};
    return http_client_start(place->link->client, &ask, done);
}

static bool is_trouble_told(const struct place *place, int64_t now_us)
{
    return place->problem[0] != '\0' && now_us - place->trouble_steady_us >= TROUBLE_TOLD_US;
}

// Words for `why` at home, with the time since when; a poll without them says that all is well.
static void write_problem(struct place *place, struct buffer *out)
{
    char since[CALENDAR_TEXT_SIZE];
    AUTO_BUFFER struct buffer words = {0};
    place->is_problem_sent = true;
    place->is_problem_told = true; // Unless it changes, or the poll fails.
    if (!is_trouble_told(place, clock_steady_us())) {
        return;
    }
    buffer_printf(&words, "%s (since %s)", place->problem,
                  calendar_format(place->trouble_us / 1000000 * 1000000, since));
    buffer_append_string(out, ",\"problem\":{\"text\":");
    buffer_append_json_string(out, buffer_text(&words));
    buffer_printf(out,
                  ",\"change\":\"nothing needs to be done when this passes: it is tried again each "
                  "%d s at the latest, and what is done is kept\"}",
                  (int)(PAUSE_MAX_US / 1000000));
}

static void start_waiting(struct place *place)
{
    AUTO_BUFFER struct buffer body = {0};
    buffer_printf(&body, "{\"wait_seconds\":%" PRId64, place->wait_seconds);
    leases_write(place, &body);
    write_problem(place, &body);
    buffer_append_byte(&body, '}');
    place->waiting =
        start_poll(place, &body, place->wait_seconds * 1000000 + CALL_TIMEOUT_US, on_waited);
}

static void write_setups(struct place *place, struct buffer *out)
{
    bool is_first = true;
    size_t at = 0;
    buffer_append_string(out, ",\"setups\":[");
    for (struct placed_job *job = map_next(place->jobs, &at); job;
         job = map_next(place->jobs, &at)) {
        if (job->setup && !job->is_setup_told) {
            buffer_printf(out, "%s%s", is_first ? "" : ",", job->setup);
            job->is_setup_sent = true;
            is_first = false;
        }
    }
    buffer_append_byte(out, ']');
}

static bool has_problem_to_tell(const struct place *place, int64_t now_us)
{
    if (place->is_problem_told) {
        return false;
    }
    if (place->problem[0] != '\0' && !is_trouble_told(place, now_us)) {
        link_wake(place->link, place->trouble_steady_us + TROUBLE_TOLD_US);
        return false;
    }
    return true;
}

static void start_reporting(struct place *place)
{
    AUTO_BUFFER struct buffer body = {0};
    buffer_append_string(&body, "{\"wait_seconds\":0");
    leases_write(place, &body);
    parcels_write(place, &body);
    write_setups(place, &body);
    words_write(place, &body);
    if (place->logs.length > 0) {
        buffer_append_string(&body, ",\"logs\":[");
        buffer_append_text(&body, buffer_text(&place->logs));
        buffer_append_byte(&body, ']');
    }
    write_problem(place, &body);
    buffer_append_byte(&body, '}');
    place->logs_sent = place->logs.length;
    place->reporting = start_poll(place, &body, CALL_TIMEOUT_US, on_reported);
}

static void talk_to_home(struct place *place, int64_t now_us)
{
    if (now_us < place->link->home_retry_us) {
        link_wake(place->link, place->link->home_retry_us);
        return;
    }
    if (place->worker == 0) {
        bool is_wanted = place->is_listed || place->leases;
        if (is_wanted && !place->registering && !place->reporting && !place->waiting) {
            start_registering(place);
        }
        return;
    }
    bool has_news = has_problem_to_tell(place, now_us) || words_are_new(place, now_us);
    if (!place->reporting && (place->ready.first || place->logs.length > 0 || has_news)) {
        start_reporting(place);
    }
    if (!place->waiting) {
        start_waiting(place);
    }
}

void place_work(struct place *place, int64_t now_us)
{
    for (struct submission *each = place->submissions; each; each = each->next) {
        submission_work(each, now_us);
    }
    submissions_remove_closed(place);
    placed_jobs_remove_unused(place);
    talk_to_home(place, now_us);
}
