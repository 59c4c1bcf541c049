// A queue over a store in a temporary folder, asked as the API asks it, with workers that a test plays.
#ifndef LODE_TESTS_QUEUE_FIXTURE_H
#define LODE_TESTS_QUEUE_FIXTURE_H

#include "fake_catalog.h"
#include "queue/queue.h"
#include "store/blobs.h"

struct site {
    char folder[64];
    struct store *store;
    struct blobs *blobs;
    struct queue *queue;
    struct fake_catalog catalog;
    char *setups;         // What the workers of site_run_all say in `setups`; NULL: nothing.
    int exit_code;        // Of their tasks.
    int64_t witnessed[8]; // The numbers of jobs and workers whose changes were witnessed, in order.
    size_t witnessed_count;
    bool refuses_to_witness;
    const char *owner;             // Of what is submitted; NULL: "alice".
    const char *principal;         // Who registers and polls; NULL: "workers".
    const struct runner *runner;   // Of that one's credential; NULL: of the site.
    struct prepare_destination to; // Of what is submitted.
    struct queue_hold hold;
    const struct digest *origin;
    bool keeps_no_request;                // Submits as an older version did.
    const struct queue_place_ops *places; // Taken by the next start, as the rest.
    enum status (*job_ended)(void *context, struct sql *sql, int64_t job, struct error *error);
    void *job_ended_context; // Both taken by the next start.
    enum status (*check_group)(struct sql *sql, struct text name, struct error *error);
    int64_t lease_timeout_us; // These are taken by the next start.
    int64_t gone_timeout_us;
    int64_t over_kept_us;
};

// For cmocka's setup and teardown: a site with nothing in it.
int site_setup(void **state);
int site_teardown(void **state);
// Ends it in order and starts it again on the same folder.
void site_restart(struct site *site);

// The answer to a request: its status and its document (or NULL), a new reference.
struct reply {
    enum status status;
    struct error error;
    json_t *document;
};
void reply_done(struct reply *reply);

// Submits the JSON document. `key`: idempotency, or NULL.
struct reply site_submit(struct site *site, const char *document, const char *key);
// The number of the job that the document makes.
int64_t site_job(struct site *site, const char *document);
struct reply site_show(struct site *site, int64_t job, int64_t wait_us);
struct reply site_cancel(struct site *site, int64_t job);
struct reply site_retry(struct site *site, int64_t job);
struct reply site_retry_task(struct site *site, int64_t job, int64_t index);
// The text of `why`; heap string.
char *site_why(struct site *site, int64_t job);

// Registers a worker of so many cores; returns its number.
int64_t site_worker(struct site *site, const char *name, int cpus);
// The same for one that says its process.
int64_t site_worker_process(struct site *site, const char *name, int cpus, int process);
// Registers one with this document, which is taken.
struct reply site_register(struct site *site, json_t *document);
struct reply site_find_source(struct site *site, const struct queue_source_request *request);
struct reply site_move(struct site *site, int64_t worker, const struct text *groups, size_t count);
// One that takes jobs to the place: named "link", with this process.
enum { LINK_PROCESS = 4711 };
int64_t site_place_worker(struct site *site, const char *place);
struct reply site_release(struct site *site, int64_t job, const struct prepare_destination *to);
struct reply site_fail_held(struct site *site, int64_t job, const char *message);
// The site of its place has refused it, under this offer (NULL: none).
struct reply site_refused(struct site *site, int64_t job, const char *offer);
struct reply site_set_reason(struct site *site, int64_t job, const char *reason,
                             const char *change);
// GET /v1/places in two steps.
struct listing *site_places_begin(struct site *site, int64_t version, int64_t wait_us);
struct reply site_places_end(struct listing *listing);
struct reply site_list_workers(struct site *site, int64_t after, int64_t limit);
struct reply site_poll(struct site *site, int64_t worker, const char *body);
// The same when nothing of the answer matters but that it is OK.
void site_say(struct site *site, int64_t worker, const char *body);
// The first in two steps; the second waits for the answer and frees.
struct polling *site_poll_begin(struct site *site, int64_t worker, const char *body);
struct reply site_poll_end(struct polling *polling);
// A waiting poll whose connection is closed; returns once the site has noticed.
void site_leave_poll(struct site *site, int64_t worker);
// Sets state and tasks.succeeded of a job against what is expected.
void assert_job(struct site *site, int64_t job, const char *state, int64_t succeeded);
// Polls and runs all leases until there are none; returns how many tasks ran.
int64_t site_run_all(struct site *site, int64_t worker);
// One member of a document, as a number.
int64_t number_of(const json_t *document, const char *name);

#endif
