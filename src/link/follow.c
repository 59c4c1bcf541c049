// The results of a submission as they come: a stream of events, taken up again behind the last one when it breaks off.
#include "link/state.h"

#include "base/memory.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>

static enum status take_setup(struct submission *submission, struct text data, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_setup setup = {0};
    struct place *place = submission->place;
    TRY(wire_read_setup(data, &arena, &setup, error));
    struct placed_job *job = placed_job_find(place, submission->home_job);
    if (!job) {
        return OK;
    }
    AUTO_BUFFER struct buffer out = {0};
    const char *host = arena_format(&arena, "%.*s at %s", TEXT_ARGS(setup.host), place->known.name);
    buffer_printf(&out, "{\"job\":%" PRId64 ",\"executable\":", job->id);
    buffer_append_json_string(&out, setup.executable);
    buffer_append_string(&out, ",\"executable_digest\":");
    buffer_append_json_string(&out, setup.executable_digest);
    buffer_append_string(&out, ",\"host\":");
    buffer_append_json_string(&out, text_of(host));
    buffer_append_string(&out, ",\"sandbox\":");
    buffer_append_json_string(&out, setup.sandbox);
    buffer_append_byte(&out, '}');
    if (!job->setup || strcmp(job->setup, out.bytes) != 0) {
        free(job->setup);
        job->setup = buffer_take_string(&out);
        job->is_setup_told = false;
    }
    return OK;
}

static enum status take_result(struct submission *submission, struct text data, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_result result = {0};
    TRY(wire_read_result(data, submission->to - submission->from, &arena, &result, error));
    submission->has_seen = true;
    parcel_take_result(submission, &result);
    return OK;
}

static enum status take_piece(struct submission *submission, struct text data, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_piece piece = {0};
    TRY(wire_read_piece(data, submission->to - submission->from, &arena, &piece, error));
    submission->has_seen = true;
    parcel_take_piece(submission, &piece);
    return OK;
}

static enum status take_log(struct submission *submission, struct text data, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_log log = {0};
    struct place *place = submission->place;
    TRY(wire_read_log(data, &arena, &log, error));
    if (submission_of(place, submission->home_job, submission->from) != submission ||
        !lease_of(place, submission->home_job, submission->from)) {
        return OK;
    }
    buffer_printf(&place->logs, "%s[%" PRId64 ",%" PRId64 ",\"%s\",%" PRId64 ",",
                  place->logs.length > 0 ? "," : "", submission->home_job, submission->from,
                  log.is_error_output ? "stderr" : "stdout", log.offset);
    buffer_append_json_string(&place->logs, log.base64);
    buffer_printf(&place->logs, ",%" PRId64 "]", log.attempt);
    return OK;
}

static enum status take_end(struct submission *submission, struct text data, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_end end = {0};
    TRY(wire_read_end(data, &arena, &end, error));
    submission->has_ended = true;
    if (text_equal(end.state, TEXT("cancelled"))) {
        free(submission->end_words);
        submission->end_words =
            memory_format("site %s cancelled the job: %.*s", submission->place->known.name,
                          TEXT_ARGS(end.message));
        submission->end_outcome = WIRE_OUTCOME_WORKER;
    }
    return OK;
}

// Its state, before anything is heard of what runs.
static enum status take_job(struct submission *submission, struct text data, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_end job = {0};
    TRY(wire_read_end(data, &arena, &job, error));
    if (text_equal(job.state, TEXT("running"))) {
        words_end(submission);
    } else if (text_equal(job.state, TEXT("waiting"))) {
        words_wait(submission);
    }
    return OK;
}

static enum status take_event(struct submission *submission, const struct event *event,
                              struct error *error)
{
    static const struct {
        struct text name;
        enum status (*take)(struct submission *submission, struct text data, struct error *error);
    } KINDS[] = {
        {TEXT("setup"), take_setup}, {TEXT("result"), take_result}, {TEXT("piece"), take_piece},
        {TEXT("log"), take_log},     {TEXT("end"), take_end},       {TEXT("job"), take_job},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (text_equal(event->name, KINDS[i].name)) {
            if (KINDS[i].take != take_job) {
                words_end(submission);
            }
            return KINDS[i].take(submission, event->data, error);
        }
    }
    return OK; // Of other kinds are those that a later version may have.
}

static bool on_event(void *context, const struct event *event)
{
    struct submission *submission = context;
    if (place_is_full(submission->place)) {
        return false; // The stream is taken up again from here when there is room.
    }
    enum status status = take_event(submission, event, &submission->refusal);
    if (status != OK) {
        submission->refusal.status = INVALID;
        submission->is_refused = true;
        return false;
    }
    if (submission->place->trouble_us != 0) {
        place_answered(submission->place); // It is well again only when it says something sensible.
    }
    if (event->id.length <= EVENT_ID_MAX && !text_has_control(event->id)) {
        memcpy(submission->last_id, event->id.bytes ? event->id.bytes : "", event->id.length);
        submission->last_id[event->id.length] = '\0';
    }
    return true;
}

static bool on_data(void *context, struct text bytes)
{
    struct submission *submission = context;
    struct error error = {0};
    submission->heard_us = clock_steady_us();
    submission->place->heard_us = submission->heard_us;
    if (submission->place->is_quiet) {
        place_answered(submission->place);
    }
    enum status status =
        event_stream_feed(&submission->events, bytes, on_event, submission, &error);
    if (status != OK && status != CONFLICT) {
        error.status = INVALID;
        submission->refusal = error;
        submission->is_refused = true;
    }
    return status == OK;
}

static void on_broken(struct submission *submission, const struct http_answer *answer)
{
    struct error error = answer->error;
    error.status = answer->status;
    if (submission->is_refused) {
        submission->is_refused = false;
        error = submission->refusal;
    } else if (answer->status == CONFLICT && answer->code < 400) {
        return; // Held up by ourselves, until there is room again.
    } else if (answer->status == OK) {
        (void)error_set(&error, UNAVAILABLE, "its stream of events broke off");
        error.status = UNAVAILABLE;
    } else if (answer->code == 400) {
        submission->last_id[0] = '\0'; // It does not know where we were.
    }
    place_failed(submission->place, &error);
}

static void on_followed(void *context, const struct http_answer *answer)
{
    struct submission *submission = context;
    submission->call = NULL;
    if (submission->has_ended) {
        submission->step = SUBMISSION_ENDED;
        place_answered(submission->place);
    } else if (answer->code == 404) {
        place_answered(submission->place);
        submission->is_lost = true;
    } else {
        on_broken(submission, answer);
    }
}

static void check_silence(struct submission *submission)
{
    struct link *link = submission->place->link;
    int64_t now_us = clock_steady_us();
    int64_t quiet_us = submission->heard_us + QUIET_US;
    int64_t until_us = submission->heard_us + SILENCE_US;
    if (now_us < quiet_us) {
        link_wake(link, quiet_us);
        return;
    }
    if (now_us < until_us) {
        place_is_quiet(submission->place);
        link_wake(link, until_us);
        return;
    }
    struct error error = {.status = TIMEOUT, .detail = "its stream of events fell silent"};
    http_client_cancel(link->client, TAKE(submission->call));
    place_failed(submission->place, &error);
}

void submission_follow(struct submission *submission)
{
    struct place *place = submission->place;
    char path[80];
    if (submission->call) {
        check_silence(submission);
        return;
    }
    if (place_is_full(place)) {
        return;
    }
    event_stream_restart(&submission->events);
    (void)snprintf(path, sizeof path, "/v1/jobs/%" PRId64 "/events?results=true",
                   submission->there);
    const struct http_ask ask = {
        .peer = &place->peer,
        .user = submission->owner,
        .method = "GET",
        .path = path,
        .last_event_id = submission->last_id[0] != '\0' ? submission->last_id : NULL,
        .on_data = on_data,
        .answer_size_max = ANSWER_BYTES_MAX,
        .context = submission,
    };
    submission->heard_us = clock_steady_us();
    place->heard_us = submission->heard_us;
    link_wake(place->link, submission->heard_us + QUIET_US);
    submission->call = http_client_start(place->link->client, &ask, on_followed);
}

void submission_follow_anew(struct submission *submission)
{
    bool has_followed =
        submission->step == SUBMISSION_FOLLOWS || submission->step == SUBMISSION_ENDED;
    if (!has_followed || submission->there == 0) {
        return;
    }
    if (submission->call) {
        http_client_cancel(submission->place->link->client, TAKE(submission->call));
    }
    submission->last_id[0] = '\0';
    submission->has_seen = false;
    submission->has_ended = false;
    submission->step = SUBMISSION_FOLLOWS;
}
