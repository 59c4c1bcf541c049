// Trust in workers: their keys as an operator sees and decides of them, invitations, enrolment. Changes are in the audit log.
#include "api/answer.h"
#include "api/audit.h"
#include "api/documents.h"
#include "api/runner_making.h"
#include "api/worker_caller.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "identity/audit.h"
#include "identity/invitations.h"
#include "os/clock.h"
#include "os/log.h"
#include "queue/queue.h"
#include "store/store.h"

#include <stdio.h>

enum {
    OBJECT_SIZE = 256,
    ENROL_BODY_MAX = 4096,
    INVITATION_SECONDS = 3600,
    INVITATION_SECONDS_MAX = 366 * 86400,
};

static void set_text(json_t *object, const char *name, const char *text)
{
    (void)json_object_set_new(object, name, *text ? json_from_text(text_of(text)) : json_null());
}

static void set_time(json_t *object, const char *name, int64_t time_us)
{
    char text[CALENDAR_TEXT_SIZE];
    set_text(object, name, time_us > 0 ? calendar_format(time_us, text) : "");
}

static json_t *describe(const struct known_worker *worker)
{
    json_t *out = json_object();
    set_text(out, "name", worker->name);
    set_text(out, "fingerprint", worker->key.text);
    set_text(out, "state", known_worker_state_name(worker->state));
    set_text(out, "trust", known_worker_trust_name(worker->trust));
    set_text(out, "decided_by", worker->by);
    set_time(out, "decided_at", worker->decided_us);
    set_text(out, "address", worker->address);
    set_time(out, "first_seen_at", worker->first_us);
    set_time(out, "last_seen_at", worker->seen_us);
    json_t *rival = json_null();
    if (worker->rival_us > 0) {
        rival = json_object();
        set_text(rival, "fingerprint", worker->rival.text);
        set_text(rival, "address", worker->rival_address);
        set_time(rival, "seen_at", worker->rival_us);
    }
    (void)json_object_set_new(out, "rival", rival);
    runner_describe(&worker->runner, out);
    return out;
}

struct listing {
    json_t *workers;
    int64_t limit;
    int64_t seen;
    struct fingerprint last;
    bool is_more;
};

static void visit(void *context, const struct known_worker *worker)
{
    struct listing *listing = context;
    if (++listing->seen > listing->limit) {
        listing->is_more = true;
        return;
    }
    listing->last = worker->key;
    (void)json_array_append_new(listing->workers, describe(worker));
}

static void list_keys(struct api_call *call)
{
    struct error error = {0};
    struct listing listing = {0};
    struct text cursor = TEXT("");
    struct sql *sql = NULL;
    enum status status = api_query_limit(call, &listing.limit, &error);
    (void)http_query(call->request, "cursor", &cursor);
    if (status == OK) {
        status = store_read_begin(call->api->store, &sql, &error);
    }
    if (status == OK) {
        listing.workers = json_array();
        status = known_workers_list(call->api->known_workers, sql, cursor, listing.limit + 1, visit,
                                    &listing, &error);
        store_read_end(call->api->store, sql);
    }
    if (answer_failure(call, status, &error)) {
        json_decref(listing.workers);
        return;
    }
    json_t *answer = json_object();
    (void)json_object_set_new(answer, "worker_keys", listing.workers);
    (void)json_object_set_new(answer, "next",
                              listing.is_more ? json_string(listing.last.text) : json_null());
    api_reply_value(call, 200, answer);
}

struct decision {
    struct api_call *call;
    struct known_worker worker;
    struct known_worker_word word;
    bool has_class; // The word says one; else it keeps that which it has, also while it is refused.
    bool is_forgotten;
};

static enum status decide(struct sql *sql, void *context, struct error *error)
{
    struct decision *decision = context;
    struct api_call *call = decision->call;
    struct known_workers *workers = call->api->known_workers;
    const char *key = decision->worker.key.text;
    char object[OBJECT_SIZE];
    const struct known_worker_word *word = &decision->word;
    bool is_runner = word->state == KNOWN_WORKER_ACCEPTED && word->runner.kind != RUNNER_SITE;
    (void)snprintf(object, sizeof object, "worker %s %s %s%s%s", decision->worker.name, key,
                   decision->is_forgotten ? "forgotten" : known_worker_state_name(word->state),
                   is_runner ? ", class " : "",
                   is_runner ? runner_class_name(word->runner.kind) : "");
    TRY(audit_change(sql, call, ACTION_SITE_CHANGE, object, error));
    return decision->is_forgotten
               ? known_workers_forget(workers, sql, key, error)
               : known_workers_decide(workers, sql, key, word, clock_real_us(), error);
}

static enum status read_state(const json_t *document, struct decision *out, struct error *error)
{
    static const char *const FIELDS[] = {"state", RUNNER_FIELDS, NULL};
    struct known_worker_word *word = &out->word;
    struct text said = TEXT_NONE;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "state", JSON_REQUIRED, KNOWN_WORKER_NAME_MAX, &said, error));
    TRY(runner_document_read(document, &word->runner, &out->has_class, error));
    if (!known_worker_state_from_text(said, &word->state) || word->state == KNOWN_WORKER_PENDING) {
        (void)error_set(error, INVALID, "field \"state\" is no state that can be given");
        error_fix(error, "accepted or refused");
        return INVALID;
    }
    if (out->has_class && word->state != KNOWN_WORKER_ACCEPTED) {
        return error_set(error, INVALID, "a worker that is refused has no class");
    }
    word->by = out->call->principal.name;
    TRY(known_worker_check_kind(word->runner.kind, error));
    return runner_making_complete(out->call, &word->runner, error);
}

static enum status carry_out(struct decision *decision, struct error *error)
{
    struct api_call *call = decision->call;
    struct api *api = call->api;
    TRY(known_workers_match(api->known_workers, call->request->parameters[0], &decision->worker,
                            error));
    struct known_worker_word *word = &decision->word;
    bool is_accepted = !decision->is_forgotten && word->state == KNOWN_WORKER_ACCEPTED;
    bool was_accepted = decision->worker.state == KNOWN_WORKER_ACCEPTED;
    if (!decision->has_class) {
        word->runner = decision->worker.runner;
    }
    TRY(store_write_wait(api->store, decide, decision, error));
    log_line(LOG_LEVEL_INFO, "event=worker_key name=\"%s\" fingerprint=%s state=%s by=\"%s\"",
             decision->worker.name, decision->worker.key.text,
             decision->is_forgotten ? "forgotten" : known_worker_state_name(word->state),
             arena_copy(call->request->arena, call->principal.name));
    bool is_same = is_accepted && runner_equal(&word->runner, &decision->worker.runner);
    if (was_accepted && !is_same) {
        // What it runs goes to others, and its poll ends: the next one is refused, or registers anew with its class.
        char *owner = worker_principal_name(call->request->arena, decision->worker.name);
        queue_drop_workers(api->queue, text_of(owner));
    }
    return OK;
}

static void post_state(struct api_call *call)
{
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    struct decision decision = {.call = call};
    enum status status = api_body(call, &document, &error);
    status = status == OK ? read_state(document, &decision, &error) : status;
    status = status == OK ? carry_out(&decision, &error) : status;
    if (!answer_failure(call, status, &error)) {
        (void)known_workers_find(call->api->known_workers, decision.worker.key.text,
                                 &decision.worker);
        api_reply_value(call, 200, describe(&decision.worker));
    }
}

static void delete_key(struct api_call *call)
{
    struct error error = {0};
    struct decision decision = {.call = call, .is_forgotten = true};
    if (!answer_failure(call, carry_out(&decision, &error), &error)) {
        api_reply_nothing(call);
    }
}

struct inviting {
    struct api_call *call;
    struct invitation invitation;
    struct invitation_secret secret;
};

static enum status invite(struct sql *sql, void *context, struct error *error)
{
    struct inviting *inviting = context;
    const char *name = inviting->invitation.name;
    char object[OBJECT_SIZE];
    (void)snprintf(object, sizeof object, "invitation of %s", *name ? name : "a worker");
    TRY(audit_change(sql, inviting->call, ACTION_SITE_CHANGE, object, error));
    return invitations_create(sql, &inviting->invitation, clock_real_us(), &inviting->secret,
                              error);
}

static enum status read_invitation(const struct api_call *call, const json_t *document,
                                   struct invitation *out, struct error *error)
{
    static const char *const FIELDS[] = {"name", "expires_seconds", RUNNER_FIELDS, NULL};
    struct text name = TEXT_NONE;
    bool has_class = false;
    int64_t seconds = INVITATION_SECONDS;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "name", JSON_OPTIONAL, KNOWN_WORKER_NAME_MAX, &name, error));
    TRY(json_field_int64(document, "expires_seconds", JSON_OPTIONAL, 1, INVITATION_SECONDS_MAX,
                         &seconds, error));
    TRY(runner_document_read(document, &out->runner, &has_class, error));
    TRY(known_worker_check_kind(out->runner.kind, error));
    TRY(runner_making_complete(call, &out->runner, error));
    (void)snprintf(out->name, sizeof out->name, "%.*s", TEXT_ARGS(name));
    out->expires_us = clock_real_us() + seconds * 1000000;
    return OK;
}

static void post_invitation(struct api_call *call)
{
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    struct inviting inviting = {.call = call};
    struct invitation *invitation = &inviting.invitation;
    enum status status = api_body(call, &document, &error);
    status = status == OK ? read_invitation(call, document, invitation, &error) : status;
    (void)snprintf(invitation->by, sizeof invitation->by, "%.*s", TEXT_ARGS(call->principal.name));
    if (status == OK) {
        status = store_write_wait(call->api->store, invite, &inviting, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    json_t *answer = json_object();
    set_text(answer, "token", inviting.secret.text);
    set_text(answer, "name", invitation->name);
    set_time(answer, "expires_at", invitation->expires_us);
    runner_describe(&invitation->runner, answer);
    api_reply_value(call, 201, answer);
}

struct enrolment {
    struct api_call *call;
    struct text token;
    struct text name; // As the worker calls itself.
    struct invitation invitation;
};

static enum status enrol(struct sql *sql, void *context, struct error *error)
{
    struct enrolment *enrolment = context;
    struct api_call *call = enrolment->call;
    struct invitation *invitation = &enrolment->invitation;
    const struct worker_caller caller = worker_caller_of(call->request);
    char object[OBJECT_SIZE];
    char reason[OBJECT_SIZE];
    TRY(invitations_use(sql, enrolment->token, clock_real_us(), invitation, error));
    if (!invitation->name[0]) {
        (void)snprintf(invitation->name, sizeof invitation->name, "%.*s",
                       TEXT_ARGS(enrolment->name));
    }
    (void)snprintf(object, sizeof object, "worker %s %s enrolled", invitation->name, caller.key);
    (void)snprintf(reason, sizeof reason, "an invitation of %s", invitation->by);
    const struct audit_entry entry = {
        .principal = text_of(caller.key),
        .action = text_of(action_name(ACTION_WORKER_POLL)),
        .object = text_of(object),
        .reason = text_of(reason),
    };
    TRY(audit_append(sql, &entry, clock_real_us(), error));
    const struct known_worker_word word = {.by = text_of(invitation->by),
                                           .runner = invitation->runner};
    return known_workers_enrol(call->api->known_workers, sql, &caller, text_of(invitation->name),
                               &word, clock_real_us(), error);
}

static enum status read_enrolment(const struct api_call *call, const json_t *document,
                                  struct enrolment *out, struct error *error)
{
    static const char *const FIELDS[] = {"token", "name", NULL};
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "token", JSON_REQUIRED, INVITATION_TEXT_SIZE, &out->token,
                        error));
    TRY(json_field_text(document, "name", JSON_REQUIRED, KNOWN_WORKER_NAME_MAX, &out->name, error));
    if (!call->request->peer_key) {
        (void)error_set(error, INVALID, "the worker to be enrolled shows no key");
        error_fix(error, "show its certificate: curl --key worker.key --cert worker.pem, both "
                         "from its directory");
        return INVALID;
    }
    return OK;
}

static void post_key(struct api_call *call)
{
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    struct known_worker worker = {0};
    struct enrolment enrolment = {.call = call};
    enum status status = api_body(call, &document, &error);
    status = status == OK ? read_enrolment(call, document, &enrolment, &error) : status;
    if (status == OK) {
        status = store_write_wait(call->api->store, enrol, &enrolment, &error);
    }
    if (answer_failure(call, status, &error)) {
        return;
    }
    (void)known_workers_find(call->api->known_workers, call->request->peer_key, &worker);
    log_line(LOG_LEVEL_INFO, "event=worker_enrolled name=\"%s\" fingerprint=%s by=\"%s\"",
             worker.name, worker.key.text, worker.by);
    api_reply_value(call, 201, describe(&worker));
}

static const char *const PAGE[] = {"limit", "cursor", NULL};

const struct api_route API_WORKER_KEY_ROUTES[] = {
    {.method = "GET",
     .pattern = "/v1/worker-keys",
     .action = ACTION_SITE_READ,
     .place = API_ON_POOL,
     .handle = list_keys,
     .query = PAGE},
    {.method = "POST",
     .pattern = "/v1/worker-keys",
     .is_public = true, // The token in the body is what counts.
     .place = API_ON_POOL,
     .handle = post_key,
     .body_max = ENROL_BODY_MAX},
    {.method = "POST",
     .pattern = "/v1/worker-keys/{worker}/state",
     .action = ACTION_SITE_CHANGE,
     .place = API_ON_POOL,
     .handle = post_state,
     .body_max = API_JSON_MAX},
    {.method = "DELETE",
     .pattern = "/v1/worker-keys/{worker}",
     .action = ACTION_SITE_CHANGE,
     .place = API_ON_POOL,
     .handle = delete_key},
    {.method = "POST",
     .pattern = "/v1/worker-invitations",
     .action = ACTION_SITE_CHANGE,
     .place = API_ON_POOL,
     .handle = post_invitation,
     .body_max = API_JSON_MAX},
    {.method = NULL},
};
