// Answers that follow a job: tried now, and again whenever the job may have changed, until there is an answer.
#ifndef LODE_API_FOLLOW_H
#define LODE_API_FOLLOW_H

#include "api/answer.h"

// One follower. Lives in its request's arena; its owner embeds it.
struct follow {
    struct api_call *call;
    int64_t job;
    int64_t
        until_us; // Steady clock: look again then, even when nothing has changed; 0: no such time.
    // Looks once, on a thread of the pool. True: the follow is to end; false: look again after the next change. Must answer true
    // when queue_is_stopping.
    bool (*look)(struct follow *follow);
    // Called once after the last look, when no more can come; must bring the answer to its end.
    void (*end)(struct follow *follow);
    struct queue_watch *watch;
    _Atomic unsigned pending; // Changes since the look under way began, that one included.
};

// Starts to look; on a thread of the pool.
void follow_start(struct follow *follow);

#endif
