// The talk with one machine's helper, through the program that leads there: ssh, or `lode pool connect`.
#ifndef LODE_PROGRAMS_POOL_TALK_H
#define LODE_PROGRAMS_POOL_TALK_H

#include "pool/pool.h"

struct talk {
    const struct host *host;
    pid_t process; // 0: none.
    int in_fd;     // What it reads; -1: none.
    int out_fd;
    int err_fd;
    struct buffer said;
    struct buffer complaints; // The beginning of what it writes to standard error.
    int64_t until_us;
    bool
        has_looked; // The answer to "status" has come, and what is awaited is that to the request itself.
    bool has_ended;
    json_t *document;            // Of the answer; NULL: there is none.
    struct helper_answer answer; // With the problem, if there is one.
};

// Begins. One that cannot begin has ended at once.
void talk_begin(struct talk *talk, struct pool *pool, const struct host *host);

// Reads what has come, and says what is to be said then; to be called when out_fd or err_fd is readable, and now and then.
void talk_go_on(struct talk *talk, struct pool *pool);

void talk_done(struct talk *talk);

#endif
