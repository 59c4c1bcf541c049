#include "broker/offer_table.h"

#include "base/hex.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "catalog/identifier.h"
#include "os/random.h"

#include <pthread.h>

struct offer {
    char id[OFFER_TEXT_SIZE];
    struct fingerprint to;
    int64_t expires_us;
    struct wish_data *data;
    size_t data_count;
    int64_t count;
    struct resources need;
    int64_t walltime_us;
    double core_hours;
    int64_t bytes;
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
    if (!offers) {
        return;
    }
    for (size_t i = 0; i < BROKER_OFFERS_MAX; i++) {
        free(offers->items[i].data);
    }
    (void)pthread_mutex_destroy(&offers->mutex);
    free(offers);
}

// --- wishes

enum status wish_add(struct wish *wish, struct arena *arena, struct text id, struct text content,
                     struct error *error)
{
    struct identifier identifier;
    struct wish_data data = {.id = arena_copy(arena, id), .has_content = content.length > 0};
    if (wish->data_count == OFFER_DATA_MAX) {
        return error_set(error, QUOTA, "a job can name at most %d datasets", OFFER_DATA_MAX);
    }
    TRY(identifier_parse(id, &identifier, error));
    if (data.has_content) {
        TRY(digest_from_text(content, &data.content, error));
    }
    data.name = digest_of(identifier.bytes, identifier.length);
    wish->data[wish->data_count++] = data;
    return OK;
}

enum status wish_of_job(const struct job_spec *spec, struct arena *arena, struct wish *out,
                        struct error *error)
{
    *out = (struct wish){.count = spec->index == SPEC_INDEX_COUNT ? spec->count : spec->part_count,
                         .need = spec->need,
                         .walltime_us = spec->walltime_us};
    for (size_t i = 0; i < spec->data_count; i++) {
        TRY(wish_add(out, arena, text_of(spec->data[i].id), text_of(spec->data[i].digest), error));
    }
    return spec->over ? wish_add(out, arena, text_of(spec->over), text_of(spec->over_digest), error)
                      : OK;
}

// --- the table

void offers_add(struct offers *offers, const struct fingerprint *to, const struct wish *wish,
                const struct prepare_offer *price, int64_t now_us, char out[OFFER_TEXT_SIZE])
{
    unsigned char random[OFFER_BYTES];
    random_fill(random, sizeof random);
    hex_encode(random, sizeof random, out);
    struct offer offer = {
        .to = *to,
        .expires_us = now_us + INT64_C(1000000) * BROKER_OFFER_SECONDS,
        .data = memory_new(wish->data_count + 1, sizeof *offer.data),
        .data_count = wish->data_count,
        .count = wish->count,
        .need = wish->need,
        .walltime_us = wish->walltime_us,
        .core_hours = price->core_hours,
        .bytes = price->bytes,
    };
    memcpy(offer.id, out, OFFER_TEXT_SIZE);
    for (size_t i = 0; i < wish->data_count; i++) {
        offer.data[i] = wish->data[i];
        offer.data[i].id = NULL; // The asker's.
    }
    (void)pthread_mutex_lock(&offers->mutex);
    free(offers->items[offers->next].data);
    offers->items[offers->next] = offer;
    offers->next = (offers->next + 1) % BROKER_OFFERS_MAX;
    (void)pthread_mutex_unlock(&offers->mutex);
}

static bool covers_data(const struct offer *offer, const struct wish_data *wanted)
{
    for (size_t i = 0; i < offer->data_count; i++) {
        const struct wish_data *each = &offer->data[i];
        if (digest_equal(&each->name, &wanted->name)) {
            return !each->has_content || !wanted->has_content ||
                   digest_equal(&each->content, &wanted->content);
        }
    }
    return false;
}

// What of the wish the offer was not made for, in words; NULL: nothing.
static const char *find_excess(const struct offer *offer, const struct wish *wish)
{
    for (size_t i = 0; i < wish->data_count; i++) {
        if (!covers_data(offer, &wish->data[i])) {
            return "other data";
        }
    }
    if (wish->count > offer->count) {
        return "fewer tasks";
    }
    if (wish->need.cpu_millis > offer->need.cpu_millis ||
        wish->need.memory_bytes > offer->need.memory_bytes ||
        wish->need.disk_bytes > offer->need.disk_bytes) {
        return "smaller tasks";
    }
    return wish->walltime_us > offer->walltime_us ? "shorter tasks" : NULL;
}

// NULL: it does not stand.
static const struct offer *find(const struct offers *offers, const struct offer_claim *claim)
{
    for (size_t i = 0; i < BROKER_OFFERS_MAX; i++) {
        const struct offer *each = &offers->items[i];
        if (each->expires_us > claim->now_us && strcmp(each->id, claim->id) == 0 &&
            strcmp(each->to.text, claim->caller) == 0) {
            return each;
        }
    }
    return NULL;
}

enum status offers_find(struct offers *offers, const struct offer_claim *claim,
                        struct prepare_offer *price, struct error *error)
{
    const char *excess = NULL;
    (void)pthread_mutex_lock(&offers->mutex);
    const struct offer *offer = claim->id[0] ? find(offers, claim) : NULL;
    if (offer) {
        excess = find_excess(offer, claim->wish);
        *price = (struct prepare_offer){claim->id, offer->core_hours, offer->bytes};
    }
    (void)pthread_mutex_unlock(&offers->mutex);
    if (offer && !excess) {
        return OK;
    }
    if (excess) {
        (void)error_set(error, CONFLICT, "the offer %.64s was made for %s", claim->id, excess);
    } else {
        (void)error_set(error, CONFLICT, "the offer %.64s does not stand (any more)", claim->id);
    }
    error_fix(error, "ask for a new one with POST /v1/federation/offers");
    return CONFLICT;
}
