// Jobs that are held until data is where they run: one thread orders the transfers, here or at the other site, and follows them.
//
// What was ordered is asked after by its number, also after a restart. Ordering a dataset again gives the transfer that is under way, so when this site died before it
// heard the number nothing is brought twice; but then it is not cancelled with its job, as it counts as ordered by somebody else too.
#include "broker/heard.h"
#include "broker/state.h"

#include "base/memory.h"
#include "broker/broker_sql.h"
#include "catalog/catalog.h"
#include "os/clock.h"
#include "os/thread.h"
#include "transfer/transfer.h"

#include <stdio.h>

enum {
    LOOK_US = 300000,
    REASON_MAX = 1200,
    SHOWN_SITE_MAX = 60, // Bytes of what another site says, in a reason.
    SHOWN_PROBLEM_MAX = 400,
};

struct need {
    struct need *next;
    int64_t job;
    char *dataset;
    char *site; // A fingerprint; "": here.
    char *owner;
    char *content;    // The digest of what the job is for; "": whatever the dataset has.
    int64_t transfer; // Its number where the data is to be; 0: not ordered yet.
    bool is_done;
    bool has_failed;
    bool is_taken_back; // Once: the other orders of that transfer are of others.
    char reason[REASON_MAX];
};

struct staging {
    struct broker *broker;
    pthread_t thread;
    pthread_mutex_t
        mutex; // Guards what follows. The members of a need that change are the thread's own.
    pthread_cond_t changed;
    struct need *added; // Not yet taken over by the thread.
    bool is_stopping;
    struct need *needs; // The thread's own, from here on.
};

static void free_needs(struct need *need)
{
    while (need) {
        struct need *next = need->next;
        free(need->dataset);
        free(need->site);
        free(need->owner);
        free(need->content);
        free(need);
        need = next;
    }
}

// --- how far it is

static void write_reason(struct need *need, const struct heard_transfer *heard, const char *where)
{
    struct text source = text_slice(heard->source, 0, SHOWN_SITE_MAX);
    struct text problem = text_slice(heard->problem, 0, SHOWN_PROBLEM_MAX);
    const char *from = source.length > 0 ? " from " : "";
    if (heard->has_failed) {
        (void)snprintf(need->reason, sizeof need->reason,
                       "%.200s could not be brought to %s%s%.*s: %.*s", need->dataset, where, from,
                       TEXT_ARGS(source), TEXT_ARGS(problem.length > 0 ? problem : heard->state));
        return;
    }
    (void)snprintf(need->reason, sizeof need->reason,
                   "%.200s is being brought to %s%s%.*s: %.*s, %lld of %lld bytes%s%.*s",
                   need->dataset, where, from, TEXT_ARGS(source), TEXT_ARGS(heard->state),
                   (long long)heard->bytes_done, (long long)heard->bytes_total,
                   problem.length > 0 ? "; " : "", TEXT_ARGS(problem));
}

// {"id", "state", "bytes_done", "bytes_total", "problem", "source"} of a transfer, judged.
static enum status judge(struct need *need, struct text document, const char *where,
                         struct error *error)
{
    AUTO_JSON json_t *transfer = NULL;
    struct heard_transfer heard;
    TRY(json_parse(document, &transfer, error));
    TRY(heard_read_transfer(transfer, &heard, error));
    need->transfer = heard.number;
    need->is_done = heard.is_done;
    need->has_failed = heard.has_failed;
    write_reason(need, &heard, where);
    return OK;
}

static enum status run_note(struct sql *sql, void *context, struct error *error)
{
    const struct need *need = context;
    return sql_run(sql, SQL_STAGING_ORDERED,
                   SQL_VALUES(sql_int64(need->job), sql_blob(need->dataset, strlen(need->dataset)),
                              sql_int64(need->transfer)),
                   NULL, error);
}

static void note_problem(struct need *need, const struct error *error)
{
    (void)snprintf(need->reason, sizeof need->reason, "%.200s cannot be ordered: %s%s%s",
                   need->dataset, error->detail, error->fix[0] ? "; " : "", error->fix);
}

// What the site refuses, it refuses again, as it does what only the user can say: which of several contents is meant.
static bool is_refusal(enum status status)
{
    return status == DENIED || status == NOT_FOUND || status == INVALID || status == CONFLICT;
}

static enum status ask_here(struct staging *staging, const struct need *need,
                            struct buffer *document, struct error *error)
{
    struct transfers *transfers = staging->broker->transfers;
    struct digest content;
    bool has_content = digest_from_text(text_of(need->content), &content, NULL) == OK;
    const struct transfer_request request = {.id = text_of(need->dataset),
                                             .owner = text_of(need->owner),
                                             .content = has_content ? &content : NULL};
    return need->transfer > 0 ? transfers_show(transfers, need->transfer, document, error)
                              : transfers_order(transfers, &request, document, error);
}

static enum status ask_there(struct staging *staging, const struct need *need,
                             const struct fingerprint *site, struct buffer *document,
                             struct error *error)
{
    struct broker *broker = staging->broker;
    if (need->transfer > 0) {
        AUTO_FREE char *path = memory_format("/v1/transfers/%lld", (long long)need->transfer);
        return broker_call(broker, site, need->owner, "GET", path, TEXT_NONE, document, error);
    }
    AUTO_BUFFER struct buffer body = {0};
    buffer_append_string(&body, "{\"id\":");
    buffer_append_json_string(&body, text_of(need->dataset));
    if (need->content[0]) {
        buffer_printf(&body, ",\"digest\":\"%s\"", need->content);
    }
    buffer_append_byte(&body, '}');
    return broker_call(broker, site, need->owner, "POST", "/v1/transfers", buffer_text(&body),
                       document, error);
}

// Orders what the job needs, or looks how far it is.
static void look(struct staging *staging, struct need *need)
{
    struct fingerprint site = {{0}};
    struct peer peer = {0};
    AUTO_BUFFER struct buffer document = {0};
    struct error error = {0};
    bool is_here = need->site[0] == '\0';
    int64_t asked = need->transfer;
    (void)snprintf(site.text, sizeof site.text, "%s", need->site);
    (void)peers_find(staging->broker->peers, &site, &peer);
    enum status status = is_here ? ask_here(staging, need, &document, &error)
                                 : ask_there(staging, need, &site, &document, &error);
    if (status == OK) {
        status = judge(need, buffer_text(&document), is_here ? "this site" : peer.name, &error);
    }
    if (need->transfer != asked) {
        (void)store_write_wait(staging->broker->store, run_note, need, NULL);
    }
    if (status == NOT_FOUND && need->transfer > 0) {
        need->transfer = 0; // That site was restored from an old backup: it is ordered anew.
        return;
    }
    if (status != OK) {
        note_problem(need, &error);
        need->has_failed = is_refusal(status); // What it does not answer, it may answer later.
    }
}

// --- what becomes of the jobs

struct forgetting {
    int64_t job;
};

static enum status run_forget(struct sql *sql, void *context, struct error *error)
{
    const struct forgetting *forgetting = context;
    return sql_run(sql, SQL_STAGING_DELETE, SQL_VALUES(sql_int64(forgetting->job)), NULL, error);
}

// Takes the needs of the job off the list.
static void drop_job(struct staging *staging, int64_t job)
{
    struct need *dropped = NULL;
    for (struct need **at = &staging->needs; *at;) {
        struct need *need = *at;
        if (need->job == job) {
            *at = need->next;
            need->next = dropped;
            dropped = need;
        } else {
            at = &need->next;
        }
    }
    free_needs(dropped);
}

// Lets the job go to where its data is now.
static enum status release(struct staging *staging, int64_t job, struct error *error)
{
    struct broker *broker = staging->broker;
    struct survey *survey = NEW(struct survey);
    struct known_list *known = NEW(struct known_list);
    struct peer at = {0};
    const char *place = "";
    enum status status = OK;
    survey->site_count = 1;
    for (const struct need *need = staging->needs; need && status == OK; need = need->next) {
        if (need->job == job && need->site[0] && survey->data_count < PLAN_DATA_MAX) {
            size_t i = survey->data_count++;
            place = need->site;
            (void)snprintf(at.site.text, sizeof at.site.text, "%s", need->site);
            survey->named_site = need->site; // What came there is what it runs with.
            known->user = need->owner;
            survey->known[i].id = need->dataset;
            status = survey_find(broker, survey, i, error);
            known_add(known, broker, &survey->known[i], &at);
        }
    }
    if (status == OK) {
        struct prepare_destination to = known_destination(known, place);
        status = held_job_release(broker, job, &to, error);
    }
    survey_done(survey);
    free(survey);
    free(known);
    return status;
}

// The job is let go (`failure` NULL) or fails. The rows go after that: if this site dies in between, it is all looked at again.
static void settle(struct staging *staging, int64_t job, const char *failure)
{
    struct error error = {0};
    struct forgetting forgetting = {job};
    enum status status = failure ? held_job_fail(staging->broker, job, failure, &error)
                                 : release(staging, job, &error);
    if (status == CONFLICT && !failure) { // What came is not what it is for.
        status = held_job_fail(staging->broker, job, error.detail, &error);
    }
    // NOT_FOUND, CONFLICT: it was cancelled, or let go before.
    bool is_settled = status == OK || status == NOT_FOUND || status == CONFLICT;
    if (is_settled &&
        store_write_wait(staging->broker->store, run_forget, &forgetting, &error) == OK) {
        drop_job(staging, job);
    }
}

// What was ordered for a job that was cancelled is not brought any more, unless somebody else wants it. A site that does not answer now goes on: nothing depends on it.
static void take_back(struct staging *staging, struct need *need)
{
    struct broker *broker = staging->broker;
    if (need->transfer == 0 || need->is_done || need->has_failed || need->is_taken_back) {
        return;
    }
    need->is_taken_back = true;
    if (need->site[0] == '\0') {
        (void)transfers_take_back(broker->transfers, need->transfer, NULL);
        return;
    }
    struct fingerprint site = {{0}};
    struct error error = {0};
    AUTO_BUFFER struct buffer document = {0};
    AUTO_FREE char *path =
        memory_format("/v1/transfers/%lld?take_back=true", (long long)need->transfer);
    (void)snprintf(site.text, sizeof site.text, "%s", need->site);
    (void)broker_call(broker, &site, need->owner, "DELETE", path, TEXT_NONE, &document, &error);
}

static void take_back_all(struct staging *staging, int64_t job)
{
    for (struct need *need = staging->needs; need; need = need->next) {
        if (need->job == job) {
            take_back(staging, need);
        }
    }
}

// False when the job does not wait any more.
static bool tell_reason(struct staging *staging, int64_t job, const char *reason)
{
    const struct queue_hold hold = {
        text_of(reason), TEXT("it starts by itself once the data is there; lode transfers shows "
                              "how far that is")};
    return held_job_tell(staging->broker, job, &hold);
}

// Looks at all needs of one job.
static void look_at_job(struct staging *staging, int64_t job)
{
    bool is_ready = true;
    const char *reason = NULL;
    const char *failure = NULL;
    for (struct need *need = staging->needs; need; need = need->next) {
        if (need->job != job) {
            continue;
        }
        if (!need->is_done) {
            look(staging, need);
        }
        is_ready = is_ready && need->is_done;
        failure = need->has_failed && !failure ? need->reason : failure;
        reason = need->is_done ? reason : need->reason;
    }
    if (failure || is_ready) {
        AUTO_FREE char *message = memory_copy_string(failure);
        settle(staging, job, message);
    } else if (!tell_reason(staging, job, reason)) {
        take_back_all(staging, job); // It was cancelled.
        settle(staging, job, NULL);
    }
}

static void look_at_all(struct staging *staging)
{
    int64_t last = 0;
    for (;;) {
        int64_t job = INT64_MAX;
        for (const struct need *need = staging->needs; need; need = need->next) {
            job = need->job > last && need->job < job ? need->job : job;
        }
        if (job == INT64_MAX) {
            return;
        }
        look_at_job(staging, job);
        last = job;
    }
}

static void take_added(struct staging *staging)
{
    struct need **end = &staging->needs;
    while (*end) {
        end = &(*end)->next;
    }
    *end = TAKE(staging->added);
}

static void *run(void *context)
{
    struct staging *staging = context;
    (void)pthread_mutex_lock(&staging->mutex);
    while (!staging->is_stopping) {
        take_added(staging);
        (void)pthread_mutex_unlock(&staging->mutex);
        look_at_all(staging);
        (void)pthread_mutex_lock(&staging->mutex);
        if (!staging->is_stopping && !staging->added) {
            int64_t until_us = staging->needs ? clock_steady_us() + LOOK_US : INT64_MAX;
            (void)condition_wait_until(&staging->changed, &staging->mutex, until_us);
        }
    }
    (void)pthread_mutex_unlock(&staging->mutex);
    return NULL;
}

// --- from outside

static struct need *read_need(const struct sql_rows *rows)
{
    struct need *need = NEW(struct need);
    need->job = sql_column_int64(rows, 0);
    need->dataset = text_copy(sql_column_text(rows, 1));
    need->site = text_copy(sql_column_text(rows, 2));
    need->owner = text_copy(sql_column_text(rows, 3));
    need->content = text_copy(sql_column_text(rows, 4));
    need->transfer = sql_column_int64(rows, 5);
    return need;
}

static struct need *new_need(const struct staging_job *job, const struct survey_data *known)
{
    struct need *need = NEW(struct need);
    need->job = job->job;
    need->dataset = memory_copy_string(known->id);
    need->site = memory_copy_string(job->to ? job->to->text : "");
    need->owner = memory_copy_string(job->owner);
    need->content = memory_copy_string(known->wanted ? known->wanted : "");
    return need;
}

static enum status load(struct staging *staging, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(staging->broker->store, &sql, error));
    enum status status = sql_query(sql, SQL_STAGING_ALL, SQL_NO_VALUES, &rows, error);
    while (status == OK && sql_next(rows, &status, error)) {
        struct need *need = read_need(rows);
        need->next = staging->added;
        staging->added = need;
    }
    sql_end(rows);
    store_read_end(staging->broker->store, sql);
    return status;
}

enum status staging_new(struct broker *broker, struct staging **out, struct error *error)
{
    struct staging *staging = NEW(struct staging);
    staging->broker = broker;
    (void)pthread_mutex_init(&staging->mutex, NULL);
    condition_init(&staging->changed);
    enum status status = load(staging, error);
    if (status == OK) {
        status = thread_start(&staging->thread, "staging", run, staging, error);
    }
    if (status != OK) {
        free_needs(staging->added);
        (void)pthread_cond_destroy(&staging->changed);
        (void)pthread_mutex_destroy(&staging->mutex);
        free(staging);
        return status;
    }
    *out = staging;
    return OK;
}

void staging_free(struct staging *staging)
{
    if (!staging) {
        return;
    }
    (void)pthread_mutex_lock(&staging->mutex);
    staging->is_stopping = true;
    (void)pthread_cond_signal(&staging->changed);
    (void)pthread_mutex_unlock(&staging->mutex);
    (void)pthread_join(staging->thread, NULL);
    free_needs(staging->added);
    free_needs(staging->needs);
    (void)pthread_cond_destroy(&staging->changed);
    (void)pthread_mutex_destroy(&staging->mutex);
    free(staging);
}

static enum status run_add(struct sql *sql, void *context, struct error *error)
{
    for (const struct need *need = context; need; need = need->next) {
        TRY(sql_run(sql, SQL_STAGING_INSERT,
                    SQL_VALUES(sql_int64(need->job), sql_blob(need->dataset, strlen(need->dataset)),
                               sql_text(text_of(need->site)), sql_text(text_of(need->owner)),
                               sql_text(text_of(need->content))),
                    NULL, error));
    }
    return OK;
}

enum status staging_add(struct staging *staging, const struct staging_job *job,
                        const struct survey *survey, struct error *error)
{
    struct need *needs = NULL;
    for (size_t i = 0; i < survey->data_count; i++) {
        struct need *need = new_need(job, &survey->known[i]);
        need->next = needs;
        needs = need;
    }
    enum status status = store_write_wait(staging->broker->store, run_add, needs, error);
    if (status != OK) {
        free_needs(needs);
        return status;
    }
    (void)pthread_mutex_lock(&staging->mutex);
    while (needs) {
        struct need *need = needs;
        needs = need->next;
        need->next = staging->added;
        staging->added = need;
    }
    (void)pthread_cond_signal(&staging->changed);
    (void)pthread_mutex_unlock(&staging->mutex);
    return OK;
}
