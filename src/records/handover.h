// The results of a job as another site takes them over: in the words of the worker protocol, in order of commit.
#ifndef LODE_RECORDS_HANDOVER_H
#define LODE_RECORDS_HANDOVER_H

#include "base/buffer.h"
#include "store/sql.h"

// Where a follower is: tasks committed, and bytes of live output seen.
struct event_position {
    int64_t seq;
    int64_t output;
    int64_t error_output;
    int64_t attempt;    // That the live output is of; 0: none was seen.
    int64_t version;    // Of the last `job` event.
    bool wants_results; // As `setup`, `result` and `piece` instead of `task`.
    bool has_setups;    // They were told.
};

// Appends the events (`setup`, `result`, `piece`) that come after at->seq, at most `count_max` and about `size_max` bytes, and moves *at.
// *is_more: there are more.
struct handover_limits {
    int64_t count_max;
    size_t size_max;
};
// The id that an event has behind which a follower is here: "seq.output.error_output.attempt".
void event_position_write(const struct event_position *at, struct buffer *out);
enum status handover_write(struct sql *sql, int64_t job, const struct handover_limits *limits,
                           struct event_position *at, struct buffer *out, bool *is_more,
                           struct error *error);

#endif
