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
    BROKER_REPLANS_MAX = 5, // Of one job.
    // Later ones go without an offer, which says less and cannot lapse while the job waits for its turn.
    BROKER_REPLANS_WITH_OFFER = 2,
    BROKER_REPLAN_SECONDS =
        120, // So long, as a hub that polls hears of a change after a heartbeat.
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

// The site that asks, and when.
struct broker_caller {
    const char *site; // A fingerprint.
    int64_t steady_us;
    int64_t real_us;
};

// Answers POST /v1/federation/offers. NOT_FOUND, naming the data that is not here; UNAVAILABLE while there are no workers; CONFLICT when none is
// large enough, or data is other content than was asked for. An offer is an estimate and reserves nothing.
enum status broker_offer(struct broker *broker, const struct broker_caller *caller,
                         const json_t *request, struct buffer *out, struct error *error);

// Does the offer that the job names stand, was it made to this site, and for as much? *out is what was offered, its name borrowed from the spec. CONFLICT with the way out when not.
enum status broker_check_offer(struct broker *broker, const struct broker_caller *caller,
                               const struct job_spec *spec, struct prepare_offer *out,
                               struct error *error);

// --- for users

// Appends the plan of the job as a document (POST /v1/plans); nothing runs. NOT_FOUND and CONFLICT as plan_make.
enum status broker_plan(struct broker *broker, const struct job_spec *spec, struct text owner,
                        struct buffer *out, struct error *error);

// Submits, as queue_submit does, where it is best.
void broker_submit(struct broker *broker, const struct queue_submission *submission,
                   struct queue_answer answer);

// A site refused a job of ours as it was planned (what home knew of its data does not hold, or the offer does not stand): the job is held, and planned anew with what is known then; it goes where that
// says, or fails when nothing is found for BROKER_REPLAN_SECONDS, or at once when it names the content that its data is to have. CONFLICT when it was refused BROKER_REPLANS_MAX times already, or is at no other site.
struct broker_refusal {
    int64_t job;
    const char *offer; // That it came under; NULL: none.
    const char *reason;
};
enum status broker_refused(struct broker *broker, const struct broker_refusal *refusal,
                           struct error *error);

// A call to another site for one of our users: order, show or end a transfer there. `method` and `path` as there; the body may be empty. *out gets the answer's.
enum status broker_call(struct broker *broker, const struct fingerprint *site, const char *user,
                        const char *method, const char *path, struct text body, struct buffer *out,
                        struct error *error);

extern const struct store_migration BROKER_MIGRATIONS[];
extern const size_t BROKER_MIGRATION_COUNT;

#endif
