// Offers: what this site would do for another one, promised for some minutes. They live in memory: a site that restarts keeps no promise, and says so.
#include "broker/heard.h"
#include "broker/state.h"

#include "base/calendar.h"
#include "base/hex.h"
#include "base/memory.h"
#include "base/sum.h"
#include "catalog/catalog.h"
#include "catalog/identifier.h"
#include "os/clock.h"
#include "os/random.h"

#include <math.h>
#include <stdio.h>

enum {
    OFFER_BYTES = 16,
    OFFER_TEXT_SIZE = 2 * OFFER_BYTES + 1,
};

struct offer {
    char id[OFFER_TEXT_SIZE];
    struct fingerprint to;
    int64_t expires_us; // Steady.
};

struct offers {
    pthread_mutex_t mutex; // Guards what follows.
    struct offer items[BROKER_OFFERS_MAX];
    size_t next; // The one that is overwritten next.
};

struct offers *offers_new(void)
{
    struct offers *offers = NEW(struct offers);
    (void)pthread_mutex_init(&offers->mutex, NULL);
    return offers;
}

void offers_free(struct offers *offers)
{
    if (offers) {
        (void)pthread_mutex_destroy(&offers->mutex);
        free(offers);
    }
}

static void remember(struct offers *offers, const struct fingerprint *to, char out[OFFER_TEXT_SIZE])
{
    unsigned char random[OFFER_BYTES];
    random_fill(random, sizeof random);
    hex_encode(random, sizeof random, out);
    struct offer offer = {
        .to = *to, .expires_us = clock_steady_us() + INT64_C(1000000) * BROKER_OFFER_SECONDS};
    memcpy(offer.id, out, OFFER_TEXT_SIZE);
    (void)pthread_mutex_lock(&offers->mutex);
    offers->items[offers->next] = offer;
    offers->next = (offers->next + 1) % BROKER_OFFERS_MAX;
    (void)pthread_mutex_unlock(&offers->mutex);
}

enum status broker_check_offer(struct broker *broker, const char *caller, const char *offer,
                               struct error *error)
{
    struct offers *offers = broker->offers;
    bool is_good = false;
    (void)pthread_mutex_lock(&offers->mutex);
    for (size_t i = 0; i < BROKER_OFFERS_MAX && !is_good; i++) {
        const struct offer *each = &offers->items[i];
        is_good = strcmp(each->id, offer) == 0 && strcmp(each->to.text, caller) == 0 &&
                  each->expires_us > clock_steady_us();
    }
    (void)pthread_mutex_unlock(&offers->mutex);
    if (is_good) {
        return OK;
    }
    (void)error_set(error, CONFLICT, "the offer %.64s does not stand (any more)", offer);
    (void)error_fix(error, "ask for a new one with POST /v1/federation/offers");
    return CONFLICT;
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

// NOT_FOUND where data is not here and is not to be brought.
static enum status find_missing(struct broker *broker, const struct heard_wish *wish,
                                struct arena *arena, struct missing *out, struct error *error)
{
    for (size_t i = 0; i < wish->data_count; i++) {
        struct dataset dataset;
        enum status status = catalog_resolve_for_job(broker->catalog, text_of(wish->data[i]), arena,
                                                     &dataset, error);
        if (status != OK && wish->may_stage) {
            status = add_missing(broker, wish->data[i], arena, out, error);
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

enum status broker_offer(struct broker *broker, const char *caller, const json_t *request,
                         struct buffer *out, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct heard_wish wish;
    struct queue_estimate estimate;
    struct fingerprint to = {{0}};
    char id[OFFER_TEXT_SIZE];
    char expires[CALENDAR_TEXT_SIZE];
    struct missing missing = {0};
    TRY(heard_read_wish(request, &arena, &wish, error));
    TRY(find_missing(broker, &wish, &arena, &missing, error));
    TRY(queue_estimate(broker->queue, &wish.need, &estimate, error));
    TRY(check_fits(&estimate, error));
    (void)snprintf(to.text, sizeof to.text, "%s", caller);
    remember(broker->offers, &to, id);
    (void)calendar_format(clock_real_us() + INT64_C(1000000) * BROKER_OFFER_SECONDS, expires);
    buffer_printf(out,
                  "{\"offer\":\"%s\",\"site\":\"%s\",\"expires_at\":\"%s\",\"start_seconds\":%.3f,"
                  "\"run_seconds\":%.3f,\"slots\":%lld,\"stage_bytes\":%lld,\"stage_seconds\":%.3f,"
                  "\"price\":{\"core_hours\":%.6f,\"bytes\":%lld}}\n",
                  id, broker->self.text, expires, estimate.start_seconds,
                  run_seconds(&estimate, wish.count, wish.task_seconds), (long long)estimate.slots,
                  (long long)missing.bytes, missing.seconds,
                  core_hours(&wish.need, wish.count, wish.task_seconds), (long long)missing.bytes);
    return OK;
}

enum status offer_home(struct broker *broker, const struct job_spec *spec, double task_seconds,
                       struct plan_site *out, struct arena *arena, struct error *error)
{
    struct queue_estimate estimate;
    struct error refusal = {0};
    TRY(queue_estimate(broker->queue, &spec->need, &estimate, error));
    out->has_offer = check_fits(&estimate, &refusal) == OK;
    out->refusal = out->has_offer ? NULL : arena_copy(arena, text_of(refusal.detail));
    out->start_seconds = estimate.start_seconds;
    out->run_seconds = run_seconds(&estimate, spec->count, task_seconds);
    out->core_hours = core_hours(&spec->need, spec->count, task_seconds);
    return OK;
}
