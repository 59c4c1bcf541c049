// The id of an event of a job's stream, as a client gives it back (Last-Event-ID): "seq.output.error_output.attempt". Pure.
#ifndef LODE_API_EVENT_POSITION_H
#define LODE_API_EVENT_POSITION_H

#include "queue/queue.h"

// Sets these members of *out and leaves the others; false, and *out unchanged, for a text that is no such id.
bool event_position_read(struct text text, struct event_position *out);

#endif
