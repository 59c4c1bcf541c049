// The loop of outgoing calls: what is due is asked of sites and hubs, and their answers are handed to the crew.
#ifndef LODE_PEERS_OUTGOING_H
#define LODE_PEERS_OUTGOING_H

#include "peers/state.h"

// One call under way, or its answer on the way through the crew.
struct turn {
    struct peers *peers;
    struct site *site;  // Who is asked.
    struct site *about; // A log that is fetched: whose.
    struct schedule *schedule;
    struct task *task;
    int step;                        // Of an exchange.
    struct ledger_position position; // From where is asked or pushed.
    int64_t started_us;
    int64_t duration_us;
    int code; // Of the answer; 0: none.
    struct error error;
    struct buffer body; // Of the answer.
    void (*take)(
        struct turn *
            turn); // On a thread of the crew, for every answer of whatever code; ends with turn_succeed or turn_fail.
    struct turn *previous;
    struct turn *next;
};

struct turn_request {
    const char *method;
    const char *path;
    struct text body;
    const char *content_type; // NULL: JSON.
    size_t answer_size_max;   // 0: PEERS_ANSWER_SIZE_MAX.
    int64_t timeout_us;       // 0: CALL_TIMEOUT_US.
};

enum { CALL_TIMEOUT_US = 20000000, CALL_LONG_TIMEOUT_US = 120000000 };

struct turn *turn_new(struct peers *peers, struct site *site, struct schedule *schedule,
                      struct task *task);
// On the thread of peers.
void turn_start(struct turn *turn, const struct turn_request *request);
// Both free the call. The task's next turn is at `next_us`; after a failure it is later each time.
void turn_succeed(struct turn *turn, int64_t next_us);
void turn_fail(struct turn *turn, const struct error *error);
// It is not to be asked now, and no failure: its next turn is at `next_us`, INT64_MAX: when something asks for it.
void turn_drop(struct turn *turn, int64_t next_us);

// Makes the client.
enum status outgoing_prepare(struct peers *peers, struct error *error);
// Starts the thread and its crew.
enum status outgoing_start(struct peers *peers, struct error *error);
void outgoing_stop(struct peers *peers);

// What is due, on the thread of peers: each starts a call with the task taken.
void exchange_start(struct peers *peers, struct site *site); // exchange.c
void poll_start(struct peers *peers, struct site *site);     // polling.c
void fetch_start(struct peers *peers, struct site *site);
void feed_start(struct peers *peers, struct site *site); // following.c

// Takes the next line off the front of *rest; false at the end. Its line end is not part of it.
bool peers_next_line(struct text *rest, struct text *line);

#endif
