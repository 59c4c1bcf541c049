#include "api/worker_meeting.h"

#include "api/answer.h"
#include "api/audit.h"
#include "api/worker_caller.h"
#include "os/clock.h"
#include "os/log.h"
#include "store/store.h"

struct meeting {
    struct api_call *call;
    json_t *document;
    struct text name;
    struct worker_met met;
};

void worker_meeting_register(struct api_call *call, json_t *document)
{
    queue_register_worker(call->api->queue, document, call->principal.name, call->runner,
                          audit_witness(call, "register worker"), answer_created(call));
}

static enum status meet(struct sql *sql, void *context, struct error *error)
{
    struct meeting *meeting = context;
    struct api_call *call = meeting->call;
    const struct worker_caller caller = worker_caller_of(call->request);
    return known_workers_meet(call->api->known_workers, sql, &caller, meeting->name,
                              clock_real_us(), &meeting->met, error);
}

static void refuse_pending(struct meeting *meeting)
{
    struct api_call *call = meeting->call;
    const struct known_worker *worker = &meeting->met.worker;
    struct error error = {0};
    if (meeting->met.is_worth_a_word) {
        log_line(LOG_LEVEL_INFO, "event=worker_pending name=\"%s\" fingerprint=%s address=%s",
                 worker->name, worker->key.text, worker->address);
    }
    (void)error_set(&error, DENIED,
                    "the worker %s with the key %s waits to be accepted by an operator of %s",
                    worker->name, worker->key.text, call->api->name);
    error_fix(&error, "compare the fingerprint; then, at the site: lode worker accept %s",
              worker->name);
    api_reply_key_problem(call, "worker_pending", worker->key.text, &error);
}

static void refuse_refused(struct meeting *meeting)
{
    const struct known_worker *worker = &meeting->met.worker;
    struct error error = {0};
    (void)error_set(&error, DENIED, "the worker %s with the key %s was refused by %s", worker->name,
                    worker->key.text, worker->by[0] ? worker->by : "the site");
    error_fix(&error, "an operator of the site can run: lode worker accept %s", worker->key.text);
    api_reply_key_problem(meeting->call, "worker_refused", worker->key.text, &error);
}

static void refuse_rival(struct meeting *meeting)
{
    struct api_call *call = meeting->call;
    const struct known_worker *owner = &meeting->met.worker;
    const char *key = call->request->peer_key;
    struct error error = {0};
    if (meeting->met.is_worth_a_word) {
        log_line(
            LOG_LEVEL_WARNING,
            "event=worker_key_changed name=\"%s\" known=%s shown=%s address=%s detail=\"refused; "
            "the known one keeps its place\"",
            owner->name, owner->key.text, key, owner->rival_address);
    }
    (void)error_set(&error, CONFLICT,
                    "the worker %s is known here with another key, %s; this one has %s",
                    owner->name, owner->key.text, key);
    error_fix(&error,
              "choose another --name, or, if its key was lost, run at the site: lode "
              "worker forget %s",
              owner->name);
    api_reply_key_problem(call, "worker_key_changed", key, &error);
}

static void go_on(struct meeting *meeting)
{
    struct api_call *call = meeting->call;
    const struct known_worker *worker = &meeting->met.worker;
    worker_caller_take(call, worker);
    call->reason = worker->trust == KNOWN_WORKER_BY_OPERATOR ? "an operator has accepted its key"
                   : worker->trust == KNOWN_WORKER_BY_INVITATION ? "its key was enrolled"
                   : worker->trust == KNOWN_WORKER_BY_AUTHORITY
                       ? "an authority of this site vouches for it"
                       : "this site is open";
    // It is listed by the name that it was accepted under, whatever it calls itself now.
    (void)json_object_set_new(meeting->document, "name", json_from_text(text_of(worker->name)));
    worker_meeting_register(call, meeting->document);
}

static void have_met(void *context, enum status status, const struct error *error)
{
    struct meeting *meeting = context;
    json_t *document = meeting->document;
    if (status != OK) {
        struct error failure = error ? *error : (struct error){0};
        (void)answer_failure(meeting->call, status, &failure);
    } else if (meeting->met.meeting == WORKER_MET_ACCEPTED) {
        document = NULL; // The queue's from here on.
        go_on(meeting);
    } else if (meeting->met.meeting == WORKER_MET_PENDING) {
        refuse_pending(meeting);
    } else if (meeting->met.meeting == WORKER_MET_REFUSED) {
        refuse_refused(meeting);
    } else {
        refuse_rival(meeting);
    }
    json_decref(document);
}

void worker_meeting_hold(struct api_call *call, const struct worker_hello *hello, json_t *document)
{
    struct error error = {0};
    if (hello->place.length > 0) {
        (void)error_set(&error, DENIED, "a worker of another site's place needs a token");
        error_fix(&error, "a site starts its link with one by itself");
        (void)answer_failure(call, DENIED, &error);
        json_decref(document);
        return;
    }
    struct meeting *meeting = arena_new(call->request->arena, sizeof *meeting);
    *meeting = (struct meeting){
        .call = call,
        .document = document,
        .name = text_of(arena_copy(call->request->arena, hello->name)),
    };
    store_write(call->api->store, meet, have_met, meeting);
}
