// What happens next in a simulation: events in the order of their time, then of their making.
#ifndef LODE_PROGRAMS_SIMULATE_EVENTS_H
#define LODE_PROGRAMS_SIMULATE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
    EVENT_SUBMIT,    // A job arrives; `subject` is its place.
    EVENT_HEARTBEAT, // A worker polls because nothing else happened.
    EVENT_AGAIN,     // A worker asks since one of its leases is nearly done.
    EVENT_CHUNK,     // A worker has run a part of a lease.
    EVENT_BREAK,     // A worker crashes or falls silent.
    EVENT_COME_BACK, // It is there again.
    EVENT_LEAVE,     // Its life ends, as the site knows.
    EVENT_YIELD,     // It gives up a lease, as the site has asked.
    EVENT_SWEEP,     // The site looks for workers whose time is up.
    EVENT_AUDIT,     // The books are checked.
    EVENT_RESTART,   // The site forgets what is not durable, and is told of leases again.
};

struct event {
    int64_t time_us;
    int64_t sequence;
    int64_t run;    // Of the lease that an EVENT_CHUNK or EVENT_YIELD is about.
    uint32_t epoch; // Of the worker, when the event was made: events of an earlier life are void.
    uint32_t subject;
    enum event_kind kind;
};

// Embedded: {0} is empty.
struct event_queue {
    struct event *items; // A heap.
    size_t count;
    size_t capacity;
    int64_t sequence;
};

void event_queue_done(struct event_queue *queue);
void event_queue_add(struct event_queue *queue, struct event event);
// Takes the next event off; false when there is none.
bool event_queue_take(struct event_queue *queue, struct event *out);

#endif
