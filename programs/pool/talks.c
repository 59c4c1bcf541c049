#include "pool/talks.h"

#include "cli/progress.h"

#include <poll.h>

enum { LOOK_EVERY_MS = 100 };

// The talks that go on.
struct under_way {
    struct talk *talks[POOL_PARALLEL_MAX];
    size_t count;
};

static void wait_for_news(const struct under_way *under_way)
{
    struct pollfd fds[2 * POOL_PARALLEL_MAX];
    for (size_t i = 0; i < under_way->count; i++) {
        const struct talk *talk = under_way->talks[i];
        fds[2 * i] = (struct pollfd){.fd = talk->out_fd, .events = POLLIN};
        fds[2 * i + 1] = (struct pollfd){.fd = talk->err_fd, .events = POLLIN};
    }
    (void)poll(fds, 2 * under_way->count, LOOK_EVERY_MS);
}

// Moves them on; returns how many have ended.
static size_t go_on(struct under_way *under_way, struct pool *pool)
{
    size_t left = 0;
    size_t count = under_way->count;
    for (size_t i = 0; i < count; i++) {
        struct talk *talk = under_way->talks[i];
        talk_go_on(talk, pool);
        if (!talk->has_ended) {
            under_way->talks[left++] = talk;
        }
    }
    under_way->count = left;
    return count - left;
}

void talks_hold(struct pool *pool, struct talk *talks)
{
    struct under_way under_way = {.count = 0};
    struct progress progress;
    size_t next = 0;
    size_t ended = 0;
    progress_init(&progress, helper_verb_name(pool->request.verb), PROGRESS_MACHINES, false);
    while (ended < pool->host_count) {
        while (next < pool->host_count && under_way.count < pool->parallel) {
            struct talk *talk = &talks[next];
            talk_begin(talk, pool, &pool->hosts[next++]);
            if (talk->has_ended) {
                ended++;
            } else {
                under_way.talks[under_way.count++] = talk;
            }
        }
        if (under_way.count > 0) {
            wait_for_news(&under_way);
        }
        ended += go_on(&under_way, pool);
        progress_update(&progress, (int64_t)ended, (int64_t)pool->host_count);
    }
    progress_hide(&progress);
}
