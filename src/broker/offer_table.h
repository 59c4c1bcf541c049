// The offers that this site has made and stands by: for whom, for what, at what price, and until when. In memory; time is an argument.
#ifndef LODE_BROKER_OFFER_TABLE_H
#define LODE_BROKER_OFFER_TABLE_H

#include "base/arena.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "jobs/spec.h"
#include "queue/queue.h"

struct offers;

enum {
    OFFER_BYTES = 16,
    OFFER_TEXT_SIZE = 2 * OFFER_BYTES + 1,
    OFFER_DATA_MAX = SPEC_DATA_MAX + 1
};

// A dataset of a wish.
struct wish_data {
    const char *id;     // As it was given.
    struct digest name; // Of its identifier's normal form.
    bool has_content;   // It is for this content alone.
    struct digest content;
};
// What a site asks for, or what a job of it takes.
struct wish {
    struct wish_data data[OFFER_DATA_MAX];
    size_t data_count;
    int64_t count; // Tasks.
    struct resources need;
    int64_t walltime_us;
    double task_seconds; // What one task is expected to take; of a question.
    bool may_stage;      // Of a question.
};
// INVALID when `id` is no identifier. The texts are copied into the arena; `content` may be empty.
enum status wish_add(struct wish *wish, struct arena *arena, struct text id, struct text content,
                     struct error *error);
// The wish of a job that comes under an offer.
enum status wish_of_job(const struct job_spec *spec, struct arena *arena, struct wish *out,
                        struct error *error);

struct offers *offers_new(void);
void offers_free(struct offers *offers); // NULL is allowed.

// Remembers an offer to that site until BROKER_OFFER_SECONDS after `now_us`, or until BROKER_OFFERS_MAX others have been made. Its name comes into `out`.
void offers_add(struct offers *offers, const struct fingerprint *to, const struct wish *wish,
                const struct prepare_offer *price, int64_t now_us, char out[OFFER_TEXT_SIZE]);

// Does the offer stand, was it made to this site, and for as much as the job takes: its data, tasks and needs? CONFLICT with the way out when not.
// *price has what was offered; its `id` is borrowed from `id`. An offer serves several jobs: one whose tasks are divided comes as several.
struct offer_claim {
    const char *caller; // A fingerprint.
    const char *id;
    const struct wish *wish;
    int64_t now_us;
};
enum status offers_find(struct offers *offers, const struct offer_claim *claim,
                        struct prepare_offer *price, struct error *error);

#endif
