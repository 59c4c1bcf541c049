#include "peers/watch.h"

#include "base/memory.h"

struct watcher {
    int64_t deadline_us;
    void (*wake)(void *context);
    void *context;
    struct watcher *next;
};

static void take_all(struct peers *peers)
{
    while (peers->watchers) {
        struct watcher *watcher = peers->watchers;
        peers->watchers = watcher->next;
        watcher->next = peers->woken;
        peers->woken = watcher;
    }
    peers->watcher_count = 0;
}

void watch_wake(struct peers *peers)
{
    if (peers->watchers) {
        take_all(peers);
        peers_wake(peers);
    }
}

void peers_watch(struct peers *peers, struct text cursor, int64_t deadline_us,
                 void (*wake)(void *context), void *context)
{
    struct watcher *watcher = NEW(struct watcher);
    *watcher = (struct watcher){.deadline_us = deadline_us, .wake = wake, .context = context};
    (void)pthread_rwlock_wrlock(&peers->lock);
    bool is_news = feed_after(&peers->feed, feed_read_cursor(&peers->feed, cursor)) != NULL;
    bool is_waiting =
        !is_news && !peers->is_waking_all && peers->watcher_count < PEERS_WATCHERS_MAX;
    if (is_waiting) {
        watcher->next = peers->watchers;
        peers->watchers = watcher;
        peers->watcher_count++;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    if (is_waiting) {
        peers_wake(peers);
        return;
    }
    free(watcher);
    wake(context);
}

int64_t watch_run(struct peers *peers, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (struct watcher **at = &peers->watchers; *at;) {
        struct watcher *watcher = *at;
        if (watcher->deadline_us > now_us) {
            next_us = watcher->deadline_us < next_us ? watcher->deadline_us : next_us;
            at = &watcher->next;
            continue;
        }
        *at = watcher->next;
        watcher->next = peers->woken;
        peers->woken = watcher;
        peers->watcher_count--;
    }
    struct watcher *woken = TAKE(peers->woken);
    (void)pthread_rwlock_unlock(&peers->lock);
    while (woken) {
        struct watcher *watcher = woken;
        woken = watcher->next;
        watcher->wake(watcher->context);
        free(watcher);
    }
    return next_us;
}

static void free_list(struct watcher *watchers)
{
    while (watchers) {
        struct watcher *next = watchers->next;
        free(watchers);
        watchers = next;
    }
}

void watch_free(struct peers *peers)
{
    free_list(TAKE(peers->watchers));
    free_list(TAKE(peers->woken));
}

// The thread may not run (yet, or any more), so those who wait are woken here.
void peers_wake_all(struct peers *peers)
{
    (void)pthread_rwlock_wrlock(&peers->lock);
    peers->is_waking_all = true;
    take_all(peers);
    (void)pthread_rwlock_unlock(&peers->lock);
    (void)watch_run(peers, INT64_MIN);
    overview_wake_all(peers);
}
