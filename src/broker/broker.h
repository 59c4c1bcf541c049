// Where a job runs and how it gets there: offers to other sites, plans for users, and what follows from a plan.
//
// A job whose data is all here and that names no site goes straight to the queue. For any other the broker finds out who has the data, asks those sites for offers, plans (plan/plan.h),
// and submits: a job of another place, parts and their merge, or a job that is held until data was moved. All functions may block for the database and, for some seconds, for other sites: not on a
// loop, nor on the writer's thread.
#ifndef LODE_BROKER_BROKER_H
#define LODE_BROKER_BROKER_H

#include "base/json.h"
#include "crypto/key.h"
#include "queue/queue.h"
#include "store/store.h"

struct broker;
struct catalog;
struct resolver;
struct peers;
struct peer;
struct transfers;

enum {
    BROKER_OFFERS_MAX = 4096, // That are remembered; the oldest go first.
    BROKER_OFFER_SECONDS = 300,
    BROKER_ANSWER_SIZE_MAX = 1 << 20,
};
#define BROKER_WAIT_US INT64_C(3000000) // For the answers of other sites to one question.

struct broker_options {
    struct store *store; // Opened with BROKER_MIGRATIONS.
    struct queue *queue;
    struct catalog *catalog;
    struct resolver *resolver;
    struct peers *peers;
    struct transfers *transfers;
    const char *directory; // With the site's key and certificate.
    const char *fingerprint;
    const char *name;
    // A site that needs no hub to be known, by its name or fingerprint; asked first. May be NULL.
    bool (*find_known)(void *context, struct text name, struct peer *out);
    // A job was placed at another site: something must be there that carries it. May be NULL.
    void (*placed)(void *context);
    void *context;
};
enum status broker_open(const struct broker_options *options, struct broker **out,
                        struct error *error);
void broker_close(struct broker *broker); // NULL is allowed.

// --- for other sites

// Answers POST /v1/federation/offers of the site `caller` (a fingerprint). NOT_FOUND, naming the data that is not here; UNAVAILABLE while there are no workers; CONFLICT when none is
// large enough.
enum status broker_offer(struct broker *broker, const char *caller, const json_t *request,
                         struct buffer *out, struct error *error);

// Does this offer stand, and was it made to this site? CONFLICT with the way out when not.
enum status broker_check_offer(struct broker *broker, const char *caller, const char *offer,
                               struct error *error);

// --- for users

// Appends the plan of the job as a document (POST /v1/plans); nothing runs. NOT_FOUND and CONFLICT as plan_make.
enum status broker_plan(struct broker *broker, const struct job_spec *spec, struct text owner,
                        struct buffer *out, struct error *error);

// Submits, as queue_submit does, where it is best.
void broker_submit(struct broker *broker, const struct queue_submission *submission,
                   struct queue_answer answer);

// A call to another site for one of our users: order, show or end a transfer there. `method` and `path` as there; the body may be empty. *out gets the answer's.
enum status broker_call(struct broker *broker, const struct fingerprint *site, const char *user,
                        const char *method, const char *path, struct text body, struct buffer *out,
                        struct error *error);

extern const struct store_migration BROKER_MIGRATIONS[];
extern const size_t BROKER_MIGRATION_COUNT;

#endif
