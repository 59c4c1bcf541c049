#include "peers/overview.h"

#include "base/memory.h"
#include "os/clock.h"
#include "peers/outgoing.h"

#include <stdio.h>

enum { LOOKERS_MAX = 1000, TIMEOUT_MIN_US = 1000 };

struct looker {
    void (*wake)(void *context);
    void *context;
    struct looker *next;
};

static void call_lookers(struct looker *lookers)
{
    while (lookers) {
        struct looker *looker = lookers;
        lookers = looker->next;
        looker->wake(looker->context);
        free(looker);
    }
}

// Those who wait, to be called without the lock.
static struct looker *take_lookers(struct overview *overview)
{
    overview->looker_count = 0;
    return TAKE(overview->lookers);
}

// Our hubs in the order in which they were added, but those that were heard lately first.
static void choose_hubs(struct peers *peers, struct overview *overview, int64_t now_us)
{
    size_t up_count = 0;
    overview->hub_count = 0;
    for (size_t i = 0; i < peers->count && overview->hub_count < PEERS_HUBS_MAX; i++) {
        struct site *site = peers->by_name[i];
        if (!site_is_our_hub(site)) {
            continue;
        }
        struct peer peer;
        site_describe_briefly(site, now_us, &peer);
        bool is_up = peer.liveness == LIVENESS_UP;
        size_t first = is_up ? 0 : up_count;
        size_t at = is_up ? up_count++ : overview->hub_count;
        for (size_t to = overview->hub_count++; to > at; to--) {
            overview->hubs[to] = overview->hubs[to - 1];
        }
        for (; at > first && overview->hubs[at - 1]->hub->added > site->hub->added; at--) {
            overview->hubs[at] = overview->hubs[at - 1];
        }
        overview->hubs[at] = site;
    }
}

// Has the hub that is next asked; what it has been asked for and not answered is waited for no longer.
static void ask(struct peers *peers, struct site *site, int64_t now_us)
{
    peers->overview.asked = site;
    schedule_want(&peers->changes, &site->hub->changes, now_us);
}

static struct looker *end_round(struct overview *overview, int64_t now_us)
{
    overview->is_asking = false;
    overview->ended_us = now_us;
    return take_lookers(overview);
}

// Asks the next hub, or ends the round: then those who are to be called.
static struct looker *go_on(struct peers *peers, int64_t now_us)
{
    struct overview *overview = &peers->overview;
    if (overview->next == overview->hub_count || now_us >= overview->deadline_us) {
        return end_round(overview, now_us);
    }
    overview->is_going_on = false;
    overview->failure = OK;
    ask(peers, overview->hubs[overview->next++], now_us);
    return NULL;
}

// Its answer is a few seconds old at most, or as old as the failure of all hubs to give one.
static bool is_fresh(const struct peers *peers, int64_t now_us)
{
    const struct overview *overview = &peers->overview;
    return overview->ended_us != 0 &&
           now_us - overview->ended_us < peers->heartbeat_us / PEERS_OVERVIEWS_A_HEARTBEAT &&
           (overview->is_complete || !overview->is_told);
}

static void begin_round(struct peers *peers, int64_t now_us)
{
    struct overview *overview = &peers->overview;
    choose_hubs(peers, overview, now_us);
    overview->is_asking = true;
    overview->next = 0;
    overview->is_told = false;
    overview->is_complete = false;
    overview->problem_count = 0;
    overview->deadline_us = now_us + PEERS_OVERVIEW_US;
}

static bool has_hubs(const struct peers *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (site_is_our_hub(peers->by_name[i])) {
            return true;
        }
    }
    return false;
}

void peers_look_around(struct peers *peers, void (*wake)(void *context), void *context)
{
    struct looker *looker = NEW(struct looker);
    *looker = (struct looker){.wake = wake, .context = context};
    struct looker *called = looker;
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct overview *overview = &peers->overview;
    bool is_waiting = !peers->mirror && !peers->is_waking_all &&
                      overview->looker_count < LOOKERS_MAX && has_hubs(peers) &&
                      (overview->is_asking || !is_fresh(peers, now_us));
    if (is_waiting) {
        looker->next = overview->lookers;
        overview->lookers = looker;
        overview->looker_count++;
        called = NULL;
        if (!overview->is_asking) {
            begin_round(peers, now_us);
            called = go_on(peers, now_us);
        }
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    peers_wake(peers);
    call_lookers(called);
}

int64_t overview_timeout_us(struct peers *peers)
{
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct overview *overview = &peers->overview;
    int64_t left_us = overview->deadline_us - now_us;
    size_t shares = overview->is_going_on ? 1 : overview->hub_count - overview->next + 1;
    (void)pthread_rwlock_unlock(&peers->lock);
    left_us /= (int64_t)shares;
    return left_us > TIMEOUT_MIN_US ? left_us : TIMEOUT_MIN_US;
}

static bool is_lie(enum status status)
{
    return status == CORRUPT || status == INVALID;
}

static void note_problem(struct overview *overview, const struct site *hub, enum status status,
                         const struct error *error)
{
    if (overview->problem_count == PEERS_OVERVIEW_PROBLEMS_MAX) {
        return;
    }
    (void)snprintf(overview->problems[overview->problem_count++], PEERS_OVERVIEW_PROBLEM_SIZE,
                   "hub %s (%s) %s: %.400s", hub->name, hub->fingerprint.text,
                   is_lie(status) ? "is not to be believed" : "does not tell", error->detail);
}

static struct looker *take_answer(struct peers *peers, struct site *hub, enum status status,
                                  bool has_more, const struct error *error)
{
    struct overview *overview = &peers->overview;
    int64_t now_us = clock_steady_us();
    overview->asked = NULL;
    if (status == OK) {
        overview->teller = hub;
        overview->told_us = now_us;
        overview->is_told = true;
    } else if (overview->failure == OK) {
        overview->failure = status;
        note_problem(overview, hub, status, error);
    }
    if (has_more && now_us < overview->deadline_us) {
        overview->is_going_on = true;
        ask(peers, hub, now_us);
        return NULL;
    }
    // Whoever looks next is to hear of the lie once more, if it still stands: the feed is read from its beginning then.
    if (is_lie(overview->failure)) {
        free(TAKE(hub->hub->cursor));
    }
    if (overview->failure != OK) {
        return go_on(peers, now_us);
    }
    overview->is_complete = !has_more;
    return end_round(overview, now_us);
}

void overview_take_turn(struct turn *turn, enum status status, bool has_more,
                        const struct error *error)
{
    struct peers *peers = turn->peers;
    struct site *hub = turn->site;
    // A hub that does not answer now is a problem of this look alone: how it is otherwise, exchange.c finds out.
    turn_drop(turn, INT64_MAX);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct looker *lookers = take_answer(peers, hub, status, has_more, error);
    (void)pthread_rwlock_unlock(&peers->lock);
    peers_wake(peers);
    call_lookers(lookers);
}

void peers_overview(struct peers *peers, struct peers_overview *out)
{
    int64_t now_us = clock_steady_us();
    *out = (struct peers_overview){.source = "own", .age_seconds = 0, .is_complete = true};
    out->catching_up = peers->mirror ? mirror_lacking(peers->mirror) : 0;
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct overview *overview = &peers->overview;
    if (!peers->mirror && has_hubs(peers)) {
        out->source = overview->is_told ? "hub" : "memory";
        out->is_complete = overview->is_told && overview->is_complete;
        out->age_seconds = overview->teller ? (now_us - overview->told_us) / 1000000 : -1;
        (void)snprintf(out->hub, sizeof out->hub, "%s",
                       overview->teller ? overview->teller->name : "");
        out->problem_count = overview->problem_count;
        memcpy(out->problems, overview->problems, sizeof out->problems);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}

void overview_wake_all(struct peers *peers)
{
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct looker *lookers = take_lookers(&peers->overview);
    (void)pthread_rwlock_unlock(&peers->lock);
    call_lookers(lookers);
}

void overview_free(struct peers *peers)
{
    struct looker *lookers = take_lookers(&peers->overview);
    while (lookers) {
        struct looker *next = lookers->next;
        free(lookers);
        lookers = next;
    }
}
