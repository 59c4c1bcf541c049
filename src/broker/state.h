// What the files of this folder share.
#ifndef LODE_BROKER_STATE_H
#define LODE_BROKER_STATE_H

#include "base/arena.h"
#include "broker/broker.h"
#include "catalog/file_page.h"
#include "crypto/key.h"
#include "http/client.h"
#include "peers/peers.h"
#include "plan/plan.h"
#include "resolve/resolve.h"

#include <pthread.h>
#include <stdatomic.h>

struct offers;
struct callers;
struct staging;

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
};
// Asks all at once, and waits for all of them, or for `wait_us`: who has not answered by then has status TIMEOUT.
enum status callers_ask(struct callers *callers, struct caller_question *questions, size_t count,
                        int64_t wait_us, struct error *error);

// --- survey.c: what is known of a job's data and of the sites that could run it
struct survey_data {
    const char *id;   // As the job names it.
    const char *name; // Where it is bound.
    struct digest digest;
    int64_t size_bytes;
    int64_t file_count;
    bool is_here;
};
struct survey {
    struct arena arena;
    struct plan_site sites[PLAN_SITES_MAX]; // The first one is home.
    struct peer peers[PLAN_SITES_MAX];      // Beside them; that of home is empty.
    const char *offers[PLAN_SITES_MAX];     // Their offers' names.
    size_t site_count;
    struct survey_data known[PLAN_DATA_MAX];
    struct plan_data data[PLAN_DATA_MAX]; // Beside `known`.
    size_t data_count;
    struct plan_request request;
    struct plan plan;
};
// Finds out what is known of the data survey->known[at], whose id is set, and who has it.
enum status survey_find(struct broker *broker, struct survey *survey, size_t at,
                        struct error *error);
// Finds the data, asks for offers and plans. `survey` is zeroed before and ended with survey_done in every case.
enum status survey_make(struct broker *broker, const struct job_spec *spec, const char *user,
                        struct survey *survey, struct error *error);
void survey_done(struct survey *survey);
void survey_write(const struct survey *survey, struct buffer *out);

// --- offers.c
struct offers *offers_new(void);
void offers_free(struct offers *offers);
// What this site itself would offer. Fills all but the fingerprint, name and is_home.
enum status offer_home(struct broker *broker, const struct job_spec *spec, double task_seconds,
                       struct plan_site *out, struct arena *arena, struct error *error);

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
    struct queue_known_data data[PLAN_DATA_MAX];
    struct known_files files[PLAN_DATA_MAX];
    size_t count;
};
// The texts of `known` and the user's name are borrowed; the list must stay where it is. `at`: a site that lists its files,
// which is needed only of what a job runs over; NULL: nobody.
void known_add(struct known_list *list, struct broker *broker, const struct survey_data *known,
               const struct peer *at);
struct queue_destination known_destination(const struct known_list *list, const char *place);

// --- staging.c: jobs that are held until data is where they run
enum status staging_new(struct broker *broker, struct staging **out, struct error *error);
void staging_free(struct staging *staging);
struct staging_job {
    int64_t job;
    const char *owner;
    const struct fingerprint *to; // NULL: here.
};
// Notes durably which datasets the held job needs there (all that it names), and sees to it.
enum status staging_add(struct staging *staging, const struct staging_job *job,
                        const char *const *datasets, size_t count, struct error *error);

#endif
