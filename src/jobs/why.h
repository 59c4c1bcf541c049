// The inside of why.c: an answer, sentence by sentence, and what all workers together say (why_workers.c).
#ifndef LODE_JOBS_WHY_H
#define LODE_JOBS_WHY_H

#include "jobs/state.h"

enum { AMOUNT_SIZE = 48 };

// What there is to say, sentence by sentence: why it is so, and what would change it.
struct answer {
    const struct scheduler *scheduler;
    const struct job_state *job;
    const struct place_words *words; // NULL: it runs here.
    struct buffer *why;
    struct buffer *change;
};

// What all workers together say about one job.
struct survey {
    int64_t workers;
    int64_t permitted;    // Not limited to other jobs.
    int64_t serving;      // Its group.
    int64_t draining;     // Of these.
    int64_t labelled;     // Has all labels that it requires, and is not draining.
    int64_t refused;      // Cannot run it, as they have said.
    int64_t large_enough; // None of these, not draining, and its whole capacity would do.
    int64_t with_room;    // And it has the room now.
    int64_t leaving;      // Large enough, but they leave before a task could end,
    const struct worker_state *last; // the last of them.
    struct resources largest;        // In each dimension.
    int64_t
        next_left_us; // Until the first lease on a large enough worker ends; -1 when nothing is known.
    int64_t slots;    // On the large enough workers.
};

static inline const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

// "in about 5 min".
void append_distance(struct buffer *out, int64_t duration_us);
// "1.5 GiB".
const char *format_bytes(int64_t bytes, char out[AMOUNT_SIZE]);

struct survey survey_workers(const struct answer *answer);
// Workers cannot take it whatever the others do: says so; true when that is so.
bool say_no_worker(const struct answer *answer, const struct survey *survey);

#endif
