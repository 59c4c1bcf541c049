// Offers: what this site would do for another one, estimated and promised for some minutes. They reserve nothing, and live in memory: a site that restarts keeps no
// promise, and says so.
#include "broker/heard.h"
#include "broker/state.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "base/sum.h"
#include "catalog/catalog.h"
#include "catalog/identifier.h"

#include <math.h>
#include <stdio.h>

enum status broker_check_offer(struct broker *broker, const struct broker_caller *caller,
                               const struct job_spec *spec, struct prepare_offer *out,
                               struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct wish wish;
    struct prepare_offer price = {0};
    TRY(wish_of_job(spec, &arena, &wish, error));
    const struct offer_claim claim = {caller->site, spec->offer, &wish, caller->steady_us};
    TRY(offers_find(broker->offers, &claim, &price, error));
    *out = price;
    return OK;
}

// What would have to be brought here first.
struct missing {
    int64_t bytes;
    double seconds;
};

// From where it would come, and how fast that has been; the best location says.
static enum status add_missing(struct broker *broker, const char *id, struct arena *arena,
                               struct missing *out, struct error *error)
{
    struct identifier identifier;
    AUTO_BUFFER struct buffer document = {0};
    struct location *locations = NULL;
    size_t count = 0;
    struct peer peer = {0};
    struct error problem;
    TRY(identifier_parse(text_of(id), &identifier, error));
    struct text name = identifier_text(&identifier);
    TRY(resolver_ask(broker->resolver, name, RESOLVE_ASKS, &document, error));
    TRY(resolve_read_answer(buffer_text(&document), name, arena, &locations, &count, &problem,
                            error));
    if (count == 0) {
        return error_set(error, NOT_FOUND, "no site has %.200s", id);
    }
    bool is_measured =
        peers_find(broker->peers, &locations[0].site, &peer) && peer.bytes_per_second > 0;
    out->bytes = sum_saturated(out->bytes, locations[0].size_bytes);
    out->seconds += (double)locations[0].size_bytes /
                    (is_measured ? (double)peer.bytes_per_second : (double)PLAN_RATE_DEFAULT);
    return OK;
}

// CONFLICT: what is here under that name is other content.
static enum status check_content(const struct wish_data *wanted, const struct dataset *dataset,
                                 struct error *error)
{
    char here[DIGEST_TEXT_SIZE];
    char there[DIGEST_TEXT_SIZE];
    if (!wanted->has_content || digest_equal(&wanted->content, &dataset->digest)) {
        return OK;
    }
    return error_set(error, CONFLICT, "dataset %.200s is %s here; the job is for %s", wanted->id,
                     digest_to_text(&dataset->digest, here),
                     digest_to_text(&wanted->content, there));
}

// NOT_FOUND where data is not here and is not to be brought.
static enum status find_missing(struct broker *broker, const struct wish *wish, struct arena *arena,
                                struct missing *out, struct error *error)
{
    for (size_t i = 0; i < wish->data_count; i++) {
        struct dataset dataset;
        const struct wish_data *wanted = &wish->data[i];
        enum status status =
            catalog_resolve_for_job(broker->catalog, text_of(wanted->id), arena, &dataset, error);
        if (status == OK) {
            TRY(check_content(wanted, &dataset, error));
        } else if (wish->may_stage) {
            status = add_missing(broker, wanted->id, arena, out, error);
        }
        TRY(status);
    }
    return OK;
}

// How the whole job would go here: with that many slots, tasks of that length.
static double run_seconds(const struct queue_estimate *estimate, int64_t count, double task_seconds)
{
    double slots = estimate->slots > 0 ? (double)estimate->slots : 1;
    return ceil((double)(count > 0 ? count : 1) / slots) * task_seconds;
}

static double core_hours(const struct resources *need, int64_t count, double task_seconds)
{
    return (double)(count > 0 ? count : 1) * (double)need->cpu_millis / 1000 * task_seconds / 3600;
}

// UNAVAILABLE while there are no workers, which may change any moment; CONFLICT when those that there are are too small.
static enum status check_fits(const struct queue_estimate *estimate, struct error *error)
{
    if (estimate->slots > 0) {
        return OK;
    }
    if (estimate->worker_count == 0) {
        return error_set(error, UNAVAILABLE, "it has no workers now");
    }
    return error_set(error, CONFLICT, "no worker there is large enough for the job");
}

enum status broker_offer(struct broker *broker, const struct broker_caller *caller,
                         const json_t *request, struct buffer *out, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct wish wish;
    struct queue_estimate estimate;
    struct fingerprint to = {{0}};
    char id[OFFER_TEXT_SIZE];
    char expires[CALENDAR_TEXT_SIZE];
    struct missing missing = {0};
    TRY(heard_read_wish(request, &arena, &wish, error));
    TRY(find_missing(broker, &wish, &arena, &missing, error));
    TRY(queue_estimate(broker->queue, &wish.need, &estimate, error));
    TRY(check_fits(&estimate, error));
    const struct prepare_offer price = {
        .core_hours = core_hours(&wish.need, wish.count, wish.task_seconds),
        .bytes = missing.bytes,
    };
    (void)snprintf(to.text, sizeof to.text, "%s", caller->site);
    offers_add(broker->offers, &to, &wish, &price, caller->steady_us, id);
    (void)calendar_format(caller->real_us + INT64_C(1000000) * BROKER_OFFER_SECONDS, expires);
    buffer_printf(out,
                  "{\"offer\":\"%s\",\"site\":\"%s\",\"expires_at\":\"%s\",\"start_seconds\":%.3f,"
                  "\"run_seconds\":%.3f,\"slots\":%lld,\"stage_bytes\":%lld,\"stage_seconds\":%.3f,"
                  "\"price\":{\"core_hours\":%.6f,\"bytes\":%lld}}\n",
                  id, broker->self.text, expires, estimate.start_seconds,
                  run_seconds(&estimate, wish.count, wish.task_seconds), (long long)estimate.slots,
                  (long long)missing.bytes, missing.seconds, price.core_hours,
                  (long long)price.bytes);
    return OK;
}

enum status offer_home(struct broker *broker, const struct job_spec *spec, struct survey *survey,
                       struct error *error)
{
    struct plan_site *home = &survey->sites[0];
    struct queue_estimate estimate;
    struct error refusal = {0};
    TRY(queue_estimate(broker->queue, &spec->need, &estimate, error));
    home->has_offer = check_fits(&estimate, &refusal) == OK;
    home->refusal = home->has_offer ? NULL : arena_copy(&survey->arena, text_of(refusal.detail));
    home->start_seconds = estimate.start_seconds;
    home->run_seconds = run_seconds(&estimate, survey->task_count, survey->task_seconds);
    home->core_hours = core_hours(&spec->need, survey->task_count, survey->task_seconds);
    return OK;
}
