// The results of a job as another site takes them over: in the words of the worker protocol, in order of commit.
#ifndef LODE_QUEUE_HANDOVER_H
#define LODE_QUEUE_HANDOVER_H

#include "queue/state.h"

// Appends the events (`setup`, `result`, `piece`) that come after at->seq, at most `count_max` and about `size_max` bytes, and moves *at.
// *is_more: there are more.
struct handover_limits {
    int64_t count_max;
    size_t size_max;
};
enum status handover_write(struct sql *sql, int64_t job, const struct handover_limits *limits,
                           struct queue_position *at, struct buffer *out, bool *is_more,
                           struct error *error);

#endif
