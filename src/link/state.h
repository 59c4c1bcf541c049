// The inside of the link: what its parts share. One thread, one loop.
//
//     link.c        start, main loop, end            watch.c   which places there are, from home
//     place.c       a worker of home for a place     lease.c   what home has leased to it
//     submission.c  a job at a place, step by step   follow.c  its results as they come
//     intent.c      what is durable of it            parcel.c  results on their way home
//     courier.c     blobs on their way               wire.c    what is said, checked
//     words.c       what has begun there, why nothing has
#ifndef LODE_LINK_STATE_H
#define LODE_LINK_STATE_H

#include "base/map.h"
#include "base/ranges.h"
#include "http/client.h"
#include "http/event_stream.h"
#include "link/link.h"
#include "link/wire.h"

enum {
    SUBMISSIONS_ACTIVE_MAX = 64, // At one place, each with a connection that follows it.
    PARCELS_MAX = 1000,          // Results of one place that wait, before its streams are held up,
    PARCEL_BYTES_MAX = 4 << 20,  // and their bytes.
    REPORT_BYTES_MAX = 2 << 20,
    REPORT_ENTRIES_MAX = 1000,
    LOG_BYTES_MAX = 512 << 10,
    COPIES_ACTIVE_MAX = 8, // Blobs at once, to and from one place.
    ANSWER_BYTES_MAX = 8 << 20,
    EVENT_ID_MAX = 80,
    PROBLEM_MAX = 900,
};
#define CALL_TIMEOUT_US INT64_C(30000000)
#define SILENCE_US INT64_C(45000000) // The stream of events has a sign of life each 15 s.
#define QUIET_US                                                                                   \
    INT64_C(18000000) // One of these is missing: that is said, though the stream may go on.
#define ASK_WHY_FIRST_US                                                                           \
    INT64_C(2000000) // A job that has not begun so long after its submission is asked why; again
#define ASK_WHY_LAST_US INT64_C(20000000) // after twice the time, and then as often as this.
#define BEGUN_TOLD_US                                                                              \
    INT64_C(                                                                                       \
        200000) // That something has begun, or nothing yet, is told after so long: with the results of what is quick.
#define ORPHAN_US                                                                                  \
    INT64_C(                                                                                       \
        60000000) // A submission whose tasks home does not lease again is given up after so long.
#define PLACE_IDLE_US INT64_C(600000000)
#define PAUSE_MIN_US INT64_C(200000)
#define PAUSE_MAX_US INT64_C(30000000)
#define NEVER_US INT64_MAX

enum begun { BEGUN_UNKNOWN, BEGUN_NOTHING, BEGUN_SOMETHING };

// A job as home tells of it.
struct placed_job {
    int64_t id;
    char *owner;
    char *origin; // Digest of the key that it was submitted under at home; "": none.
    json_t *spec;
    bool is_stream;
    int64_t disk_bytes; // The most that one of its tasks may write.
    bool is_dropped;    // Home has no use for it any more.
    char *setup;        // JSON of the last one told by the place, for a poll; NULL: none yet.
    bool is_setup_told;
    bool is_setup_sent;
    char *why; // What the place says of why nothing of it has begun; NULL: nothing.
    char *change;
    enum begun begun; // What of it has begun, as the place says.
    bool
        has_news; // Home has not been told of these words, or that there are none any more, or of what has begun.
    bool is_news_sent;
    int64_t tell_us; // Steady time at which home is to be told at the latest.
};

// A lease of home's.
struct carried {
    struct carried *next;
    int64_t id;
    struct placed_job *job;
    int64_t from;
    int64_t to;
    bool
        is_unsettled; // Which submissions it needs is decided when the report under way has arrived or failed.
    struct ranges told;     // Indices with a result on its way, or reported.
    struct ranges reported; // Those that home has acknowledged.
};

enum submission_step {
    SUBMISSION_WAITS,   // For its turn. Nothing durable yet.
    SUBMISSION_BLOBS,   // What it needs is being brought there.
    SUBMISSION_SUBMITS, // The job there is made, or found by its key.
    SUBMISSION_REFUSED, // What home had planned does not hold there: home is told, and plans anew.
    SUBMISSION_FOLLOWS,
    SUBMISSION_ENDED,   // All is heard; some of it may be on its way home.
    SUBMISSION_CANCELS, // It is to end there.
    SUBMISSION_CLOSED,  // To be forgotten.
};

// Tasks [from, to) of a job of home's as one job of a place.
struct submission {
    struct submission *next; // Of its place, newest first.
    struct place *place;
    int64_t number;
    int64_t home_job;
    int64_t from;
    int64_t to;
    char *owner;
    char *key;
    char *origin; // As the job's.
    char *body;   // JSON.
    enum submission_step step;
    bool is_durable;   // Its intent is written.
    bool is_abandoned; // Nobody waits for it any more.
    int64_t there;     // Its number there; 0: not known.
    struct http_call *call;
    struct http_call *asking; // Why nothing has begun.
    int64_t ask_us;           // Steady time from which on that is asked; 0: not known yet.
    int64_t ask_pause_us;
    bool has_begun; // Something of it ran there.
    struct event_stream events;
    bool is_refused; // An event could not be taken, for the reason in `refusal`.
    struct error refusal;
    char last_id[EVENT_ID_MAX + 1]; // "": from the beginning.
    bool has_seen;                  // Some results were told since the beginning.
    bool has_ended;                 // The end was.
    bool is_lost;                   // The place does not know it any more.
    bool has_followed_anew;         // From the beginning, as something was missing at the end.
    bool may_be_there;              // It is of an earlier life: it may have been submitted.
    char *end_words;                // Why tasks may be without result.
    int end_outcome;                // What becomes of these.
    int64_t heard_us;
    size_t blobs_left; // Being brought there.
    bool has_looked_twice;
    int64_t orphan_us; // Since when no lease needs it; 0: one does.
    struct ranges
        reported; // Indices (of home) whose result home has; a lease of these wants another run.
};

// A result on its way home.
struct parcel {
    struct parcel *next;
    struct place *place;
    struct placed_job *job;
    struct submission *submission; // NULL: gone.
    int64_t lease;
    int64_t from;
    int64_t to;
    bool is_piece;
    bool is_failure;
    bool is_dead;  // Its lease is gone: it goes nowhere.
    size_t copies; // Blobs not home yet.
    struct wire_result result;
    struct wire_piece piece;
    int64_t first; // Index at home of the first task there.
    struct arena arena;
    struct buffer text; // What the poll says.
};

struct parcels {
    struct parcel *first;
    struct parcel *last;
    size_t count;
    size_t bytes;
};

struct place {
    struct place *next;
    struct link *link;
    struct wire_place known;
    struct http_peer peer;
    bool is_listed; // Home says that jobs are to go there.
    // Its worker at home.
    int64_t worker;
    int64_t wait_seconds;
    struct http_call *registering;
    struct http_call *waiting;
    struct http_call *reporting;
    struct map *jobs; // By id.
    struct carried *leases;
    struct submission *submissions;
    size_t active; // Submissions that are past waiting and not closed.
    size_t copies_active;
    struct parcels copying;
    struct parcels ready;
    struct parcels sent;
    struct buffer logs; // JSON with commas between.
    size_t logs_sent;
    int64_t idle_us; // Since when there is nothing to do; 0: there is.
    // How the site does.
    int64_t heard_us;   // Steady clock, when its streams last showed life.
    bool is_quiet;      // That is its only trouble: no call has failed.
    int64_t trouble_us; // Wall clock, since when; 0: it does well.
    int64_t trouble_steady_us;
    int64_t retry_us; // Steady time before which it is left alone.
    int64_t pause_us;
    char problem[PROBLEM_MAX]; // Without the time; "" when there is none.
    bool is_problem_told;      // Home knows what is in `problem`.
    bool is_problem_sent;
};

struct link {
    const struct link_options *options;
    struct http_client *client;
    struct http_peer home;
    char *home_url;
    char *home_key; // Its fingerprint.
    char *home_token;
    char *intents; // Folders.
    char *blobs;
    struct place *places;
    struct http_call *watching;
    int64_t places_version;
    bool has_places; // They were heard of once.
    int64_t home_retry_us;
    int64_t home_pause_us;
    int64_t home_away_us; // Steady time since when it is away; 0: it is there.
    int64_t next_number;
    int64_t number_end; // The first one that is not reserved.
    struct copy *copies;
    int64_t copy_last; // Number of the newest one, for its file.
    int64_t wake_us;
    bool is_ended;
    struct error fault;
};

// link.c
void link_wake(struct link *link, int64_t at_us); // Be awake then.
enum status link_meet_home(struct link *link, struct error *error);
void link_home_failed(struct link *link, const struct error *error);
void link_home_answered(struct link *link);

// watch.c
void watch_work(struct link *link, int64_t now_us);

// place.c
struct place *place_find(struct link *link, const char *site);
struct place *place_add(struct link *link, const struct wire_place *known);
void place_free(struct place *place);
void place_work(struct place *place, int64_t now_us);
// It was tried and did not work; for the words of `why`, and to leave it alone for a while.
void place_failed(struct place *place, const struct error *error);
// Its streams have shown no life for QUIET_US: that is its trouble, until they do or a call fails.
void place_is_quiet(struct place *place);
void place_answered(struct place *place);
bool place_is_full(const struct place *place);
// Home does not know its worker any more.
void place_forget_worker(struct place *place);

// lease.c
void lease_take(struct place *place, int64_t id, struct placed_job *job, int64_t from, int64_t to);
void leases_settle(struct place *place); // No report is under way any more.
void lease_drop(struct place *place, int64_t id);
struct carried *lease_find(struct place *place, int64_t id);
struct carried *lease_of(struct place *place, int64_t job, int64_t index);
bool lease_needs(struct place *place, const struct submission *submission);
// The first part from `from` on that is leased and for which this submission (or, once it is closed, no other one) is to give
// results that are not there yet; NULL when there is none.
struct carried *lease_owed(struct place *place, const struct submission *submission, int64_t from,
                           struct range *out);
void leases_write(const struct place *place, struct buffer *out);
void leases_remove_done(struct place *place);
void leases_free(struct place *place);
struct placed_job *placed_job_find(const struct place *place, int64_t id);
enum status placed_job_take(struct place *place, const json_t *document, struct error *error);
void placed_job_drop(struct place *place, int64_t id);
void placed_jobs_remove_unused(struct place *place);
void placed_job_free(struct placed_job *job);

// submission.c
struct submission *submission_new(struct place *place, const struct placed_job *job, int64_t from,
                                  int64_t to);
// Of those that are to give the result of this task, the newest; NULL when there is none.
struct submission *submission_of(struct place *place, int64_t job, int64_t index);
void submission_abandon(struct submission *submission);
void submission_work(struct submission *submission, int64_t now_us);
void submissions_remove_closed(struct place *place);
void submission_free(struct submission *submission);

// follow.c
void submission_follow(struct submission *submission);
void submission_follow_anew(struct submission *submission); // From the beginning.

// words.c
// Asks the place why nothing of the submission has begun, when it is time to.
void words_ask(struct submission *submission, int64_t now_us);
// Something has begun: there is nothing to say any more.
void words_end(struct submission *submission);
void words_wait(struct submission *submission);        // Nothing of it has begun, says the place.
void words_are_unknown(struct submission *submission); // It is submitted anew.
void words_stop(struct submission *submission);        // Of a submission that goes.
void words_write(struct place *place, struct buffer *out);
void words_settle(struct place *place, bool has_arrived);
bool words_are_new(const struct place *place, int64_t now_us);
void words_tell_again(struct place *place);

// intent.c
enum status intents_open(struct link *link, struct error *error);
int64_t intent_number(struct link *link); // One that was never used.
enum status intent_write(const struct submission *submission, struct error *error);
void intent_remove(const struct submission *submission);
// Home has this task's failure.
void intent_note_failure(const struct submission *submission, int64_t index);

// parcel.c
void parcel_take_result(struct submission *submission, const struct wire_result *result);
void parcel_take_piece(struct submission *submission, const struct wire_piece *piece);
void parcel_take_fault(struct submission *submission, int64_t index, int outcome,
                       const char *detail);
void parcels_write(struct place *place, struct buffer *out); // Moves them to `sent`.
void parcels_settle(struct place *place);                    // Home has what was sent.
void parcels_unsend(struct place *place);
// Home refuses what was sent: its tasks are reported as faults instead, with the reason.
void parcels_refuse(struct place *place, const char *detail);
void parcels_forget(struct place *place, const struct submission *submission, int64_t lease);
void parcels_free(struct parcels *parcels);

// courier.c
struct copy_order {
    struct place *place;
    bool is_homeward;
    const char *owner;
    struct digest digest;
    int64_t size; // -1: not known.
    int64_t size_max;
    bool is_cut; // Only the lines [cut_skip, cut_skip + cut_count) of it.
    int64_t cut_skip;
    int64_t cut_count;
    // `blob` is what is there now; called once, unless the copy is forgotten before.
    void (*done)(void *context, enum status status, const struct error *error,
                 const struct wire_blob *blob);
    void *context;
};
void copy_start(struct link *link, const struct copy_order *order);
void copies_work(struct link *link, int64_t now_us);
void copies_forget(struct link *link,
                   const void *context); // Those with this context end without their `done`.
void copies_free(struct link *link);

#endif
