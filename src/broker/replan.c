// Jobs that a site has refused as they were planned: one thread plans each of them anew, with what is known now, and lets it go where that says.
//
// What home knew when it planned may be over when the job comes there: data was registered anew, an offer has lapsed. The job is held meanwhile, and says why.
#include "broker/state.h"

#include "base/memory.h"
#include "broker/broker_sql.h"
#include "os/clock.h"
#include "os/thread.h"

#include <stdio.h>

enum { REASON_MAX = 600 };
#define PAUSE_US INT64_C(1000000) // Between looks for a way.

struct replan {
    struct replan *next;
    int64_t job;
    int64_t tries;
    char *reason; // In the words of the site that refused it.
    int64_t until_us;
    bool is_for_one_content; // What it is for does not come by waiting.
};

struct replans {
    struct broker *broker;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    struct replan *added; // Not yet taken over by the thread.
    bool is_stopping;
    struct replan *list; // The thread's own, from here on.
};

static void free_list(struct replan *replan)
{
    while (replan) {
        struct replan *next = replan->next;
        free(replan->reason);
        free(replan);
        replan = next;
    }
}

static struct replan *new_replan(int64_t job, int64_t tries, struct text reason)
{
    struct replan *replan = NEW(struct replan);
    replan->job = job;
    replan->tries = tries;
    replan->reason = text_copy(reason);
    replan->until_us = clock_steady_us() + INT64_C(1000000) * BROKER_REPLAN_SECONDS;
    return replan;
}

// --- what becomes of one job

// It stays held, now for its data.
static enum status stage(struct broker *broker, const struct survey *survey, int64_t job,
                         const char *owner, struct error *error)
{
    int site = survey->plan.options[0].site;
    const struct staging_job staged = {job, owner, site == 0 ? NULL : &survey->peers[site].site};
    return staging_add(broker->staging, &staged, survey, error);
}

static enum status follow_plan(struct broker *broker, const struct survey *survey,
                               const struct replan *replan, const struct job_spec *spec,
                               const char *owner, struct error *error)
{
    struct known_list known = {.user = owner};
    struct prepare_destination to = {.place = TEXT_NONE};
    switch (survey->plan.options[0].kind) {
    case PLAN_MOVE:
        return stage(broker, survey, replan->job, owner, error);
    case PLAN_AT:
    case PLAN_SPLIT: // No job is refused that has parts: each of these is one.
        to = place_destination(broker, survey, spec, &known);
        break;
    case PLAN_LOCAL:
        break;
    }
    if (replan->tries > BROKER_REPLANS_WITH_OFFER) {
        to.offer.id = NULL;
    }
    return held_job_release(broker, replan->job, &to, error);
}

static bool names_content(const struct job_spec *spec)
{
    bool is_named = spec->over_digest != NULL;
    for (size_t i = 0; i < spec->data_count; i++) {
        is_named = is_named || spec->data[i].digest;
    }
    return is_named;
}

static enum status plan_anew(struct broker *broker, struct replan *replan, struct error *error)
{
    char owner[QUEUE_OWNER_MAX + 1];
    struct job_spec *spec = NULL;
    TRY(queue_job_owner(broker->queue, replan->job, owner, error));
    TRY(queue_job_spec(broker->queue, replan->job, &spec, error));
    replan->is_for_one_content = names_content(spec);
    struct survey *survey = NEW(struct survey);
    enum status status = survey_make(broker, spec, owner, survey, error);
    if (status == OK) {
        status = follow_plan(broker, survey, replan, spec, owner, error);
        // It would compute something else than what it has begun; or it is not held any more, as it was cancelled.
        if (status == CONFLICT) {
            status = held_job_fail(broker, replan->job, error->detail, error);
            status = status == CONFLICT ? OK : status;
        }
    }
    survey_done(survey);
    free(survey);
    spec_free(spec);
    return status;
}

// False when the job does not wait any more.
static bool tell_reason(const struct broker *broker, const struct replan *replan,
                        const struct error *problem)
{
    char reason[REASON_MAX];
    (void)snprintf(reason, sizeof reason, "%.250s; planned anew, there is no way yet: %.280s",
                   replan->reason, problem->detail);
    const struct queue_hold hold = {text_of(reason),
                                    TEXT("it is tried again for two minutes; lode plan shows what "
                                         "sites offer")};
    return held_job_tell(broker, replan->job, &hold);
}

static enum status run_done(struct sql *sql, void *context, struct error *error)
{
    const struct replan *replan = context;
    return sql_run(sql, SQL_REPLAN_DONE, SQL_VALUES(sql_int64(replan->job)), NULL, error);
}

// Whether that is over.
static bool look_at(struct replans *replans, struct replan *replan)
{
    struct broker *broker = replans->broker;
    struct error error = {0};
    enum status status = plan_anew(broker, replan, &error);
    bool is_over = status == OK;
    if (status != OK && (replan->is_for_one_content || clock_steady_us() >= replan->until_us)) {
        char message[REASON_MAX];
        (void)snprintf(message, sizeof message, "%.250s; planned anew, there was no way: %.280s",
                       replan->reason, error.detail);
        is_over = held_job_fail(broker, replan->job, message, &error) != INTERNAL;
    } else if (status != OK) {
        is_over = !tell_reason(broker, replan, &error);
    }
    return is_over && store_write_wait(broker->store, run_done, replan, &error) == OK;
}

static void look_at_all(struct replans *replans)
{
    for (struct replan **at = &replans->list; *at;) {
        struct replan *replan = *at;
        if (look_at(replans, replan)) {
            *at = TAKE(replan->next);
            free_list(replan);
        } else {
            at = &replan->next;
        }
    }
}

static void *run(void *context)
{
    struct replans *replans = context;
    (void)pthread_mutex_lock(&replans->mutex);
    while (!replans->is_stopping) {
        struct replan **end = &replans->list;
        while (*end) {
            end = &(*end)->next;
        }
        *end = TAKE(replans->added);
        (void)pthread_mutex_unlock(&replans->mutex);
        look_at_all(replans);
        (void)pthread_mutex_lock(&replans->mutex);
        if (!replans->is_stopping && !replans->added) {
            int64_t until_us = replans->list ? clock_steady_us() + PAUSE_US : INT64_MAX;
            (void)condition_wait_until(&replans->changed, &replans->mutex, until_us);
        }
    }
    (void)pthread_mutex_unlock(&replans->mutex);
    return NULL;
}

// --- from outside

struct counting {
    const char *reason;
    int64_t tries;
};

// Written together with the hold.
static enum status count_refusal(struct sql *sql, void *context, int64_t job, struct error *error)
{
    struct counting *counting = context;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_run(sql, SQL_REPLAN_COUNT,
                SQL_VALUES(sql_int64(job), sql_text(text_of(counting->reason))), NULL, error));
    TRY(sql_first(sql, SQL_REPLAN_TRIES, SQL_VALUES(sql_int64(job)), &rows, error));
    counting->tries = sql_column_int64(rows, 0);
    if (counting->tries > BROKER_REPLANS_MAX) {
        (void)error_set(error, CONFLICT, "job %lld was planned anew %d times, and refused again",
                        (long long)job, BROKER_REPLANS_MAX);
        error_fix(error, "submit it again once its data is at rest");
        return CONFLICT;
    }
    return OK;
}

enum status broker_refused(struct broker *broker, const struct broker_refusal *refusal,
                           struct error *error)
{
    struct replans *replans = broker->replans;
    struct awaited awaited = AWAITED_NEW;
    char reason[REASON_MAX];
    (void)snprintf(reason, sizeof reason, "the site that it was to run at refused it: %.500s",
                   refusal->reason);
    struct counting counting = {.reason = reason};
    const struct queue_refusal refused = {
        .offer = refusal->offer,
        .hold = {text_of(reason), TEXT("it is planned anew, with what is known of its data now")}};
    queue_hold_refused(broker->queue, refusal->job, &refused,
                       (struct queue_witness){count_refusal, &counting}, awaited_answer(&awaited));
    TRY(awaited_get(&awaited, NULL, error));
    if (counting.tries == 0) {
        return OK; // It is being planned anew already, or was.
    }
    struct replan *replan = new_replan(refusal->job, counting.tries, text_of(reason));
    (void)pthread_mutex_lock(&replans->mutex);
    replan->next = replans->added;
    replans->added = replan;
    (void)pthread_cond_signal(&replans->changed);
    (void)pthread_mutex_unlock(&replans->mutex);
    return OK;
}

static enum status load(struct replans *replans, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(replans->broker->store, &sql, error));
    enum status status = sql_query(sql, SQL_REPLANS_PENDING, SQL_NO_VALUES, &rows, error);
    while (status == OK && sql_next(rows, &status, error)) {
        struct replan *replan = new_replan(sql_column_int64(rows, 0), sql_column_int64(rows, 1),
                                           sql_column_text(rows, 2));
        replan->next = replans->added;
        replans->added = replan;
    }
    sql_end(rows);
    store_read_end(replans->broker->store, sql);
    return status;
}

static void done(struct replans *replans)
{
    free_list(replans->added);
    free_list(replans->list);
    (void)pthread_cond_destroy(&replans->changed);
    (void)pthread_mutex_destroy(&replans->mutex);
    free(replans);
}

enum status replans_new(struct broker *broker, struct replans **out, struct error *error)
{
    struct replans *replans = NEW(struct replans);
    replans->broker = broker;
    (void)pthread_mutex_init(&replans->mutex, NULL);
    condition_init(&replans->changed);
    enum status status = load(replans, error);
    if (status == OK) {
        status = thread_start(&replans->thread, "replan", run, replans, error);
    }
    if (status != OK) {
        done(replans);
        return status;
    }
    *out = replans;
    return OK;
}

void replans_free(struct replans *replans)
{
    if (!replans) {
        return;
    }
    (void)pthread_mutex_lock(&replans->mutex);
    replans->is_stopping = true;
    (void)pthread_cond_signal(&replans->changed);
    (void)pthread_mutex_unlock(&replans->mutex);
    (void)pthread_join(replans->thread, NULL);
    done(replans);
}
