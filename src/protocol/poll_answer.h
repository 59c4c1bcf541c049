// What a site tells those who lease from it, its workers and its link to other sites: read with limits. Pure.
#ifndef LODE_PROTOCOL_POLL_ANSWER_H
#define LODE_PROTOCOL_POLL_ANSWER_H

#include "base/arena.h"
#include "base/json.h"
#include "jobs/scheduler.h"

enum {
    POLL_ANSWER_JOBS_MAX = 10000, // And as many leases.
    POLL_ANSWER_ENDS_MAX = 1 << 20,
    POLL_ANSWER_TOKEN_MAX = 512,
    POLL_ANSWER_WAIT_SECONDS_MAX = 60,
    POLL_ANSWER_WAIT_SECONDS = 20, // What holds when the site does not say.
    POLL_ANSWER_DRAIN_SECONDS_MAX = 3660 * 24 * 3600,
    POLL_ANSWER_GROUPS_MAX = 1200, // Bytes of the names of WORKER_GROUPS_MAX groups.
};

// The answer to a registration.
struct registration {
    int64_t worker;
    int64_t wait_seconds; // How long a poll shall wait for news.
    int64_t heartbeat_us; // How often who holds leases is to be heard.
    char serve_key[80];   // For passes to what it serves, in hexadecimal; empty: none.
    bool sees_files;      // The worker has the site's view of files.
    char unknown_groups
        [POLL_ANSWER_GROUPS_MAX]; // Of those that it works for: what the site knows nothing of; "a, b", perhaps cut.
};
// INVALID, naming the field.
enum status registration_read(struct text body, struct registration *out, struct error *error);

// Tasks [from, to) of a job.
struct leased {
    int64_t lease;
    int64_t job;
    int64_t from;
    int64_t to;
    int64_t attempt; // Of a job with checkpoints, from 1; else 0.
    const json_t *
        checkpoint; // That it goes on from: [[path, digest, size, mode], ...], unchecked; NULL: none is said.
    const char *token; // For its tasks; NULL: they get none. In the arena.
};

// The answer to a poll. What is empty here was empty or left out.
struct poll_answer {
    json_t *document; // Owns what `jobs` and checkpoints borrow.
    const json_t
        *jobs; // An array of descriptions, whose readers are those that lease; may be NULL.
    struct leased *leases;
    size_t lease_count;
    int64_t *cancelled; // Leases.
    size_t cancelled_count;
    int64_t *yields; // Leases that are to be given up for others.
    size_t yield_count;
    int64_t *dropped; // Jobs.
    size_t dropped_count;
    bool is_draining;
    int64_t drain_in_us; // The worker is to be gone then; < 0: there is no such order.
};
// The arrays are in the arena. INVALID, naming what is wrong, when any part of it is: nothing of an answer is taken then.
enum status poll_answer_read(struct text body, struct arena *arena, struct poll_answer *out,
                             struct error *error);
void poll_answer_done(struct poll_answer *answer);
#define AUTO_POLL_ANSWER __attribute__((cleanup(poll_answer_done)))

#endif
