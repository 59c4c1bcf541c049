// A job of a place, step by step: what it needs is brought there, it is submitted, followed, and in the end forgotten.
#include "link/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/random.h"

#include <inttypes.h>
#include <stdio.h>

enum { USER_NAME_MAX = 40 };

// The owner's name as another site takes it (Lode-User): names here may have other characters, and more.
static char *name_elsewhere(const char *owner)
{
    char *name = memory_format("%.*s", USER_NAME_MAX, owner);
    for (char *at = name; *at; at++) {
        bool is_plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                        (*at >= '0' && *at <= '9') || *at == '.' || *at == '_' || *at == '-';
        *at = is_plain ? *at : '_';
    }
    return name;
}

struct submission *submission_new(struct place *place, const struct placed_job *job, int64_t from,
                                  int64_t to)
{
    struct submission *submission = NEW(struct submission);
    AUTO_BUFFER struct buffer body = {0};
    AUTO_JSON json_t *spec = wire_spec_for(job->spec, from, to);
    json_write(spec, false, &body);
    submission->place = place;
    submission->home_job = job->id;
    submission->from = from;
    submission->to = to;
    submission->number = intent_number(place->link);
    submission->owner = name_elsewhere(job->owner);
    // A home that was restored from an old backup gives numbers a second time; the place still has what was made of the first ones.
    uint64_t token = 0;
    random_fill(&token, sizeof token);
    submission->key =
        memory_format("link %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %016" PRIx64,
                      place->link->home_key, job->id, from, to, submission->number, token);
    submission->origin = text_copy(text_of(job->origin));
    submission->body = buffer_take_string(&body);
    event_stream_init(&submission->events);
    submission->next = place->submissions;
    place->submissions = submission;
    return submission;
}

void submission_free(struct submission *submission)
{
    if (submission->call) {
        http_client_cancel(submission->place->link->client, submission->call);
    }
    words_stop(submission);
    event_stream_done(&submission->events);
    ranges_done(&submission->reported);
    free(submission->owner);
    free(submission->key);
    free(submission->origin);
    free(submission->body);
    free(submission->end_words);
    free(submission);
}

struct submission *submission_of(struct place *place, int64_t job, int64_t index)
{
    struct submission *submission = place->submissions;
    while (submission &&
           (submission->home_job != job || index < submission->from || index >= submission->to ||
            submission->is_abandoned || submission->step == SUBMISSION_CLOSED ||
            ranges_contains(&submission->reported, index))) {
        submission = submission->next;
    }
    return submission;
}

static bool is_active(const struct submission *submission)
{
    return submission->step != SUBMISSION_WAITS && submission->step != SUBMISSION_CLOSED;
}

static void stop_call(struct submission *submission)
{
    if (submission->call) {
        http_client_cancel(submission->place->link->client, TAKE(submission->call));
    }
}

void submission_abandon(struct submission *submission)
{
    if (submission->is_abandoned || submission->step == SUBMISSION_CLOSED) {
        return;
    }
    struct link *link = submission->place->link;
    submission->is_abandoned = true;
    copies_forget(link, submission);
    submission->blobs_left = 0;
    parcels_forget(submission->place, submission, 0);
    if (submission->step == SUBMISSION_SUBMITS && submission->call) {
        return; // Its answer says what is to be cancelled.
    }
    stop_call(submission);
    words_stop(submission);
    bool has_begun = submission->step == SUBMISSION_SUBMITS || submission->there != 0 ||
                     submission->may_be_there;
    bool is_over = submission->step == SUBMISSION_ENDED || submission->is_lost;
    if (!has_begun || is_over) {
        submission->step = SUBMISSION_CLOSED;
    } else {
        submission->step = submission->there != 0 ? SUBMISSION_CANCELS : SUBMISSION_SUBMITS;
        // A link that is started anew is not to take it up again.
        (void)intent_write(submission, NULL);
    }
}

// What can pass by itself is tried again; what cannot is the tasks' end.
static bool is_passing(const struct http_answer *answer)
{
    return answer->code == 0 || answer->code >= 500 || answer->code == 401 || answer->code == 403 ||
           answer->code == 408 || answer->code == 429;
}

static void end_tasks(struct submission *submission, int outcome, const char *words)
{
    submission->end_outcome = outcome;
    free(submission->end_words);
    submission->end_words = memory_format("site %s %s", submission->place->known.name, words);
    submission->step = SUBMISSION_ENDED;
}

static void take_refusal(struct submission *submission, const struct http_answer *answer)
{
    struct place *place = submission->place;
    place_answered(place);
    if (submission->is_abandoned) {
        submission->step = SUBMISSION_CLOSED;
    } else if (answer->code == 404 && !submission->has_looked_twice) {
        // A blob that was there has gone meanwhile.
        submission->has_looked_twice = true;
        submission->step = SUBMISSION_BLOBS;
    } else if (answer->code == 409 || answer->code == 404) {
        free(submission->end_words);
        submission->end_words = memory_copy_string(answer->error.detail);
        submission->step = SUBMISSION_REFUSED;
        submission_work(submission, clock_steady_us());
    } else {
        AUTO_FREE char *words = memory_format("refused the job: %s", answer->error.detail);
        end_tasks(submission, WIRE_OUTCOME_INPUT, words);
    }
}

static void on_submitted(void *context, const struct http_answer *answer)
{
    struct submission *submission = context;
    struct place *place = submission->place;
    AUTO_JSON json_t *document = NULL;
    struct error error = answer->error;
    int64_t there = 0;
    submission->call = NULL;
    if (answer->status != OK && !is_passing(answer)) {
        take_refusal(submission, answer);
        return;
    }
    enum status status = answer->status;
    if (status == OK) {
        status = json_parse(answer->body, &document, &error);
    }
    if (status == OK) {
        status = json_field_int64(document, "id", JSON_REQUIRED, 1, INT64_MAX, &there, &error);
    }
    if (status != OK) {
        error.status = status;
        place_failed(place, &error);
        return;
    }
    place_answered(place);
    submission->there = there;
    submission->step = submission->is_abandoned ? SUBMISSION_CANCELS : SUBMISSION_FOLLOWS;
    log_line(LOG_LEVEL_INFO, "event=submitted place=\"%s\" job=%" PRId64 " there=%" PRId64,
             place->known.name, submission->home_job, there);
    submission_work(submission, clock_steady_us());
}

static void start_submitting(struct submission *submission)
{
    const struct http_ask ask = {.peer = &submission->place->peer,
                                 .user = submission->owner,
                                 .method = "POST",
                                 .path = "/v1/jobs",
                                 .body = text_of(submission->body),
                                 .idempotency_key = submission->key,
                                 .origin_key = submission->origin[0] ? submission->origin : NULL,
                                 .timeout_us = CALL_TIMEOUT_US,
                                 .answer_size_max = ANSWER_BYTES_MAX,
                                 .context = submission};
    submission->call = http_client_start(submission->place->link->client, &ask, on_submitted);
}

// Home plans the job anew, and takes its leases back; or will not: then the refusal is the tasks' end.
static void on_told_refusal(void *context, const struct http_answer *answer)
{
    struct submission *submission = context;
    struct link *link = submission->place->link;
    submission->call = NULL;
    if (answer->status == OK) {
        link_home_answered(link);
        submission->step = SUBMISSION_CLOSED;
    } else if (answer->code == 404 || answer->code == 409) {
        AUTO_FREE char *words = memory_format("refused the job: %s", submission->end_words);
        link_home_answered(link);
        end_tasks(submission, WIRE_OUTCOME_INPUT, words);
    } else {
        link_home_failed(link, &answer->error);
    }
}

static void start_telling_refusal(struct submission *submission)
{
    struct link *link = submission->place->link;
    AUTO_BUFFER struct buffer body = {0};
    AUTO_JSON json_t *spec = NULL;
    char path[64];
    if (json_parse(text_of(submission->body), &spec, NULL) != OK) {
        end_tasks(submission, WIRE_OUTCOME_WORKER, "what was submitted is no job");
        return;
    }
    struct text offer = json_text(json_object_get(spec, "offer"));
    buffer_append_string(&body, "{\"reason\":");
    buffer_append_json_string(&body, text_of(submission->end_words));
    if (offer.length > 0) {
        buffer_append_string(&body, ",\"offer\":");
        buffer_append_json_string(&body, offer);
    }
    buffer_append_byte(&body, '}');
    (void)snprintf(path, sizeof path, "/v1/jobs/%" PRId64 "/replan", submission->home_job);
    const struct http_ask ask = {.peer = &link->home,
                                 .method = "POST",
                                 .path = path,
                                 .body = buffer_text(&body),
                                 .timeout_us = CALL_TIMEOUT_US,
                                 .answer_size_max = ANSWER_BYTES_MAX,
                                 .context = submission};
    submission->call = http_client_start(link->client, &ask, on_told_refusal);
}

static void on_cancelled(void *context, const struct http_answer *answer)
{
    struct submission *submission = context;
    submission->call = NULL;
    if (answer->status != OK && is_passing(answer)) {
        place_failed(submission->place, &answer->error);
        return;
    }
    place_answered(submission->place);
    submission->step = SUBMISSION_CLOSED; // Cancelled, or over or unknown anyway.
}

static void start_cancelling(struct submission *submission)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/jobs/%" PRId64 "/cancel", submission->there);
    const struct http_ask ask = {.peer = &submission->place->peer,
                                 .user = submission->owner,
                                 .method = "POST",
                                 .path = path,
                                 .timeout_us = CALL_TIMEOUT_US,
                                 .answer_size_max = ANSWER_BYTES_MAX,
                                 .context = submission};
    submission->call = http_client_start(submission->place->link->client, &ask, on_cancelled);
}

static void on_blob(void *context, enum status status, const struct error *error,
                    const struct wire_blob *blob)
{
    struct submission *submission = context;
    (void)blob;
    submission->blobs_left--;
    if (status != OK && submission->step == SUBMISSION_BLOBS) {
        AUTO_FREE char *words =
            memory_format("cannot be given a file of the job: %s", error->detail);
        end_tasks(submission, WIRE_OUTCOME_INPUT, words);
        copies_forget(submission->place->link, submission);
        submission->blobs_left = 0;
    } else if (status == OK && submission->blobs_left == 0) {
        submission->step = SUBMISSION_SUBMITS;
        submission_work(submission, clock_steady_us());
    }
}

static void start_blobs(struct submission *submission)
{
    struct arena arena AUTO_ARENA = {0};
    AUTO_JSON json_t *spec = NULL;
    struct digest *digests = NULL;
    size_t count = 0;
    struct error error = {0};
    if (json_parse(text_of(submission->body), &spec, &error) != OK ||
        wire_spec_blobs(spec, &arena, &digests, &count, &error) != OK) {
        end_tasks(submission, WIRE_OUTCOME_WORKER, error.detail);
        return;
    }
    if (count == 0) {
        submission->step = SUBMISSION_SUBMITS;
        return;
    }
    submission->blobs_left = count;
    for (size_t i = 0; i < count; i++) {
        const struct copy_order order = {.place = submission->place,
                                         .owner = submission->owner,
                                         .digest = digests[i],
                                         .size = -1,
                                         .size_max = WIRE_BLOB_MAX,
                                         .done = on_blob,
                                         .context = submission};
        copy_start(submission->place->link, &order);
    }
}

static void begin(struct submission *submission)
{
    struct place *place = submission->place;
    struct error error = {0};
    if (place->active >= SUBMISSIONS_ACTIVE_MAX) {
        return;
    }
    if (intent_write(submission, &error) != OK) {
        place_failed(place, &error);
        return;
    }
    submission->is_durable = true;
    place->active++;
    submission->step = SUBMISSION_BLOBS;
}

// Tasks that are owed a result and will get none are faults; home decides whether they run again.
static void settle_end(struct submission *submission)
{
    struct place *place = submission->place;
    struct range owed;
    if (!lease_needs(place, submission)) {
        submission->step = SUBMISSION_CLOSED;
        return;
    }
    if (!submission->end_words && !submission->has_followed_anew &&
        lease_owed(place, submission, 0, &owed)) {
        // A site that was restored from a backup counts its results anew: what seemed seen was not.
        submission->has_followed_anew = true;
        submission_follow_anew(submission);
        return;
    }
    for (int64_t at = 0; lease_owed(place, submission, at, &owed); at = owed.to) {
        for (int64_t index = owed.from; index < owed.to; index++) {
            if (place_is_full(place)) {
                return;
            }
            parcel_take_fault(submission, index - submission->from,
                              submission->end_words ? submission->end_outcome : WIRE_OUTCOME_WORKER,
                              submission->end_words ? submission->end_words
                                                    : "the other site ended the job without it");
        }
    }
}

// A job that the place has lost, as it was restored from a backup: what is owed of it is submitted anew.
static void submit_anew(struct submission *submission)
{
    struct place *place = submission->place;
    struct range owed;
    submission->step = SUBMISSION_CLOSED;
    words_are_unknown(submission);
    const struct carried *lease = NULL;
    for (int64_t at = 0; (lease = lease_owed(place, submission, at, &owed)); at = owed.to) {
        (void)submission_new(place, lease->job, owed.from, owed.to);
    }
}

static void watch_orphan(struct submission *submission, int64_t now_us)
{
    struct place *place = submission->place;
    if (submission->is_abandoned || lease_needs(place, submission)) {
        submission->orphan_us = 0;
        return;
    }
    // Only home can say that it does not need it: it must have had the time to.
    bool could_say = place->link->has_places && place->link->home_away_us == 0 &&
                     (place->worker != 0 || !place->is_listed);
    if (submission->orphan_us == 0 || !could_say) {
        submission->orphan_us = now_us;
    }
    if (now_us - submission->orphan_us >= ORPHAN_US) {
        submission_abandon(submission);
    } else {
        link_wake(place->link, submission->orphan_us + ORPHAN_US);
    }
}

// Whether it is done with for now.
static bool tell_refusal(struct submission *submission, int64_t now_us)
{
    const struct link *link = submission->place->link;
    if (submission->step != SUBMISSION_REFUSED || submission->call) {
        return submission->step == SUBMISSION_REFUSED;
    }
    if (now_us < link->home_retry_us) {
        link_wake(submission->place->link, link->home_retry_us);
    } else {
        start_telling_refusal(submission);
    }
    return true;
}

void submission_work(struct submission *submission, int64_t now_us)
{
    struct place *place = submission->place;
    watch_orphan(submission, now_us);
    if (submission->is_lost && submission->step != SUBMISSION_CLOSED) {
        submit_anew(submission);
    }
    if (submission->step == SUBMISSION_FOLLOWS) {
        words_ask(submission, now_us);
    }
    if (submission->step == SUBMISSION_ENDED) {
        settle_end(submission);
        return;
    }
    if (submission->step == SUBMISSION_CLOSED || tell_refusal(submission, now_us)) {
        return;
    }
    if (submission->call) {
        if (submission->step == SUBMISSION_FOLLOWS) {
            submission_follow(submission);
        }
        return;
    }
    if (now_us < place->retry_us) {
        link_wake(place->link, place->retry_us);
        return;
    }
    if (place->known.url[0] == '\0') {
        struct error error = {.status = UNAVAILABLE, .detail = "it is not known where it is"};
        place_failed(place, &error);
        return;
    }
    // Submissions of an earlier life that nobody needs are not taken further until somebody does.
    bool is_wanted = submission->is_abandoned || lease_needs(place, submission);
    if (!is_wanted) {
        return;
    }
    if (submission->step == SUBMISSION_WAITS) {
        begin(submission);
    }
    if (submission->step == SUBMISSION_BLOBS && submission->blobs_left == 0) {
        start_blobs(submission);
    }
    if (submission->step == SUBMISSION_SUBMITS) {
        start_submitting(submission);
    } else if (submission->step == SUBMISSION_CANCELS) {
        start_cancelling(submission);
    } else if (submission->step == SUBMISSION_FOLLOWS) {
        submission_follow(submission);
    }
}

void submissions_remove_closed(struct place *place)
{
    size_t active = 0;
    for (struct submission **at = &place->submissions; *at;) {
        struct submission *submission = *at;
        if (submission->step != SUBMISSION_CLOSED) {
            active += is_active(submission);
            at = &submission->next;
            continue;
        }
        parcels_forget(place, submission, 0);
        copies_forget(place->link, submission);
        if (submission->is_durable) {
            intent_remove(submission);
        }
        *at = submission->next;
        submission_free(submission);
    }
    place->active = active;
}
