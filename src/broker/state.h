// What the files of this folder share.
#ifndef LODE_BROKER_STATE_H
#define LODE_BROKER_STATE_H

#include "base/arena.h"
#include "broker/broker.h"
#include "broker/offer_table.h"
#include "catalog/file_page.h"
#include "crypto/key.h"
#include "http/client.h"
#include "peers/peers.h"
#include "plan/plan.h"
#include "resolve/resolve.h"

#include <pthread.h>
#include <stdatomic.h>

struct callers;
struct staging;
struct replans;
struct known_list;

struct broker {
    struct store *store;
    struct queue *queue;
    struct catalog *catalog;
    struct resolver *resolver;
    struct peers *peers;
    struct transfers *transfers;
    struct fingerprint self;
    char *name;
    bool (*find_known)(void *context, struct text name, struct peer *out);
    void (*placed)(void *context);
    void *context;
    struct offers *offers;
    struct callers *callers;
    struct staging *staging;
    struct replans *replans;
};

// A site by its name, fingerprint or URL; our hubs are asked when it is not known. Blocks for up to 3 s.
enum status broker_find_site(struct broker *broker, struct text name, struct peer *out,
                             struct error *error);

// --- callers.c: calls to other sites, over connections that stay warm
struct callers *callers_new(const char *directory);
void callers_free(struct callers *callers);
struct caller_question {
    const struct peer *site;
    const char *method;
    const char *path;
    const char *user;
    struct text body;
    // The answer:
    enum status status;
    struct error error;
    struct buffer answer; // The asker's: buffer_done.
    int64_t duration_us;  // From the call to the answer; 0: there was none.
};
// Asks all at once, and waits for all of them, or for `wait_us`: who has not answered by then has status TIMEOUT.
enum status callers_ask(struct callers *callers, struct caller_question *questions, size_t count,
                        int64_t wait_us, struct error *error);

// --- survey.c: what is known of a job's data and of the sites that could run it
struct survey_data {
    const char *id;             // As the job names it.
    const char *wanted;         // The digest of the content that it is for; NULL: whatever it has.
    const struct digest *meant; // Which it is, where sites say several; NULL: they do not.
    const char *name;           // Where it is bound.
    struct digest digest;
    int64_t size_bytes;
    int64_t file_count;
    bool is_here;
};
struct survey {
    struct arena arena;
    struct plan_site sites[PLAN_SITES_MAX]; // The first one is home.
    struct peer peers[PLAN_SITES_MAX];      // Beside them; that of home is empty.
    const char *offers[PLAN_SITES_MAX];     // Their offers' names,
    const char *expiries[PLAN_SITES_MAX];   // and until when they stand; NULL: not said.
    size_t site_count;
    struct survey_data known[PLAN_DATA_MAX];
    struct plan_data data[PLAN_DATA_MAX]; // Beside `known`.
    size_t data_count;
    const char *named_site; // Fingerprint of the one whose content is meant; NULL: none was named.
    int64_t task_count;
    double task_seconds; // What one is expected to take.
    struct plan_request request;
    struct plan plan;
};
// --- survey_data.c
// Finds out what is known of the data survey->known[at], whose id is set, and who has it.
enum status survey_find(struct broker *broker, struct survey *survey, size_t at,
                        struct error *error);
// The same of all data that the job names.
enum status survey_find_all(struct broker *broker, const struct job_spec *spec,
                            struct survey *survey, struct error *error);
// The index of the site in the survey, which is added when it is new; -1 when there are too many.
int survey_site(struct survey *survey, const struct peer *peer);

// --- survey.c
// Finds the data, asks for offers and plans. `survey` is zeroed before and ended with survey_done in every case.
enum status survey_make(struct broker *broker, const struct job_spec *spec, const char *user,
                        struct survey *survey, struct error *error);
void survey_done(struct survey *survey);
// The offer of one of its sites, for a job that goes there.
struct prepare_offer survey_offer(const struct survey *survey, int site);
// --- survey_document.c
void survey_write(const struct survey *survey, struct buffer *out);

// --- offers.c
// What this site itself would offer: into survey->sites[0], all but the fingerprint, name and is_home.
enum status offer_home(struct broker *broker, const struct job_spec *spec, struct survey *survey,
                       struct error *error);

// --- place.c
// Where the job goes as an option of the plan at one other site says; `known` must stay where it is. `user` is borrowed.
struct prepare_destination place_destination(struct broker *broker, const struct survey *survey,
                                             const struct job_spec *spec, struct known_list *known);

// --- awaited.c: the queue answers on its own thread; this waits for it
struct awaited {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    bool is_done;
    enum status status;
    struct error error;
    struct buffer document;
};
#define AWAITED_NEW                                                                                \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                    \
    }
struct queue_answer awaited_answer(struct awaited *awaited);
// Waits for the answer and ends the awaited. Not on the writer's thread.
enum status awaited_get(struct awaited *awaited, struct buffer *out, struct error *error);

// --- held.c: what becomes of a job that is held. Each waits until it is so; not on the writer's thread.
enum status held_job_fail(const struct broker *broker, int64_t job, const char *message,
                          struct error *error);
enum status held_job_release(const struct broker *broker, int64_t job,
                             const struct prepare_destination *to, struct error *error);
// Says why it waits. False when the job does not wait any more.
bool held_job_tell(const struct broker *broker, int64_t job, const struct queue_hold *hold);

// --- known.c: data of other sites, as the queue wants to be told of it
struct known_files { // What lists the files of one of them.
    struct broker *broker;
    struct peer at;
    const char *id;
    const char *user;
    struct file_allowance signed_for;
};
struct known_list {
    const char *user;
    struct prepare_known_data data[PLAN_DATA_MAX];
    struct known_files files[PLAN_DATA_MAX];
    size_t count;
};
// The texts of `known` and the user's name are borrowed; the list must stay where it is. `at`: a site that lists its files,
// which is needed only of what a job runs over; NULL: nobody.
void known_add(struct known_list *list, struct broker *broker, const struct survey_data *known,
               const struct peer *at);
struct prepare_destination known_destination(const struct known_list *list, const char *place);

// --- staging.c: jobs that are held until data is where they run
enum status staging_new(struct broker *broker, struct staging **out, struct error *error);
void staging_free(struct staging *staging);
struct staging_job {
    int64_t job;
    const char *owner;
    const struct fingerprint *to; // NULL: here.
};
// Notes durably that the held job needs its data there, all that it names, and sees to it.
enum status staging_add(struct staging *staging, const struct staging_job *job,
                        const struct survey *survey, struct error *error);

// --- replan.c: jobs that a site has refused as they were planned
enum status replans_new(struct broker *broker, struct replans **out, struct error *error);
void replans_free(struct replans *replans); // NULL is allowed.

#endif
