#include "peers/outgoing.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/crew.h"
#include "os/thread.h"
#include "peers/expected.h"
#include "peers/last_heard.h"
#include "peers/pace.h"
#include "peers/watch.h"

#include <assert.h>
#include <stdio.h>

enum {
    CONNECT_TIMEOUT_US = 10000000,
    IDLE_US = 60000000,
    CREW_SIZE = 4,
    CONNECTIONS_KEPT = 2 * PEERS_HUBS_MAX + PEERS_POLLS_MAX,
    FAILURE_BASE_US = 1000000, // Of the back-off; a quarter of a heartbeat where those are quick.
    FAILURE_HEARTBEATS = 5,    // At most so many heartbeats apart: 5 minutes.
};

struct turn *turn_new(struct peers *peers, struct site *site, struct schedule *schedule,
                      struct task *task)
{
    struct turn *turn = NEW(struct turn);
    turn->peers = peers;
    turn->site = site;
    turn->schedule = schedule;
    turn->task = task;
    return turn;
}

static void turn_free(struct turn *turn)
{
    buffer_done(&turn->body);
    free(turn);
}

static void unlink_turn(struct turn *turn)
{
    if (turn->previous) {
        turn->previous->next = turn->next;
    } else {
        turn->peers->turns = turn->next;
    }
    if (turn->next) {
        turn->next->previous = turn->previous;
    }
}

static void take(void *context)
{
    struct turn *turn = context;
    turn->take(turn);
}

// The ways out that the client names are those of a person who logs in to a site.
static void set_error(struct turn *turn, const struct http_answer *answer)
{
    turn->error = answer->error;
    turn->error.status = answer->status;
    if (answer->code > 0) {
        return;
    }
    turn->error.fix[0] = '\0';
    if (answer->status == DENIED) {
        (void)error_set(&turn->error, DENIED, "its key is not the one that was accepted for it");
        error_fix(&turn->error,
                  "if it was set up anew: lode hub remove %.23s, then lode hub add its URL",
                  turn->site->fingerprint.text);
    }
}

static void on_answer(void *context, const struct http_answer *answer)
{
    struct turn *turn = context;
    unlink_turn(turn);
    turn->duration_us = clock_steady_us() - turn->started_us;
    turn->code = answer->code;
    set_error(turn, answer);
    buffer_append_text(&turn->body, answer->body);
    crew_add(turn->peers->crew, take, turn);
}

void turn_start(struct turn *turn, const struct turn_request *request)
{
    struct peers *peers = turn->peers;
    char url[PEER_URL_MAX + 1];
    (void)pthread_rwlock_rdlock(&peers->lock);
    (void)snprintf(url, sizeof url, "%s", site_call_url(turn->site));
    (void)pthread_rwlock_unlock(&peers->lock);
    const struct http_peer peer = {.base_url = url, .pin = turn->site->fingerprint.text};
    const struct http_ask ask = {
        .peer = &peer,
        .method = request->method,
        .path = request->path,
        .body = request->body,
        .content_type = request->content_type,
        .answer_size_max =
            request->answer_size_max > 0 ? request->answer_size_max : PEERS_ANSWER_SIZE_MAX,
        .timeout_us = request->timeout_us > 0 ? request->timeout_us : CALL_TIMEOUT_US,
        .context = turn,
    };
    turn->next = peers->turns;
    if (turn->next) {
        turn->next->previous = turn;
    }
    peers->turns = turn;
    turn->started_us = clock_steady_us();
    struct http_call *started = http_client_start(peers->client, &ask, on_answer);
    assert(started); // The schedules let no more run than the client takes.
}

// Ends the task's turn; returns how often it had failed before.
static unsigned end_turn(struct turn *turn, unsigned failures, int64_t next_us)
{
    unsigned before = turn->task->failures;
    turn->task->failures = (uint16_t)(failures < UINT16_MAX ? failures : UINT16_MAX);
    schedule_end(turn->schedule, turn->task, clock_steady_us(), next_us);
    return before;
}

void turn_drop(struct turn *turn, int64_t next_us)
{
    struct peers *peers = turn->peers;
    (void)pthread_rwlock_wrlock(&peers->lock);
    (void)end_turn(turn, turn->task->failures, next_us);
    (void)pthread_rwlock_unlock(&peers->lock);
    turn_free(turn);
    peers_wake(peers);
}

void turn_succeed(struct turn *turn, int64_t next_us)
{
    struct peers *peers = turn->peers;
    (void)pthread_rwlock_wrlock(&peers->lock);
    unsigned before = end_turn(turn, 0, next_us);
    if (before > 0) {
        site_set_problem(&turn->site->call_problem, "");
    }
    // Who was shut out or removed while it was being asked is not asked again.
    site_arrange(peers, turn->about ? turn->about : turn->site, clock_steady_us());
    (void)pthread_rwlock_unlock(&peers->lock);
    turn_free(turn);
    peers_wake(peers);
}

void turn_fail(struct turn *turn, const struct error *error)
{
    struct peers *peers = turn->peers;
    int64_t base_us =
        peers->heartbeat_us / 4 < FAILURE_BASE_US ? peers->heartbeat_us / 4 : FAILURE_BASE_US;
    unsigned failures = turn->task->failures + 1U;
    char problem[PEERS_PROBLEM_MAX + 1];
    (void)snprintf(problem, sizeof problem, "%.400s%s%.100s", error->detail,
                   *error->fix ? "; " : "", error->fix);
    int64_t pause_us = pace_after_failure_us(base_us, FAILURE_HEARTBEATS * peers->heartbeat_us,
                                             failures, peers_random());
    (void)pthread_rwlock_wrlock(&peers->lock);
    unsigned before = end_turn(turn, failures, clock_steady_us() + pause_us);
    site_set_problem(&turn->site->call_problem, problem);
    site_arrange(peers, turn->about ? turn->about : turn->site, clock_steady_us());
    (void)pthread_rwlock_unlock(&peers->lock);
    if (before == 0) {
        struct error said = {.status = error->status};
        char label[SITE_LABEL_SIZE];
        (void)snprintf(said.detail, sizeof said.detail, "%s: %.400s",
                       site_label(peers, turn->site, label), error->detail);
        peers_say(peers, "call_failed", &said);
    }
    turn_free(turn);
    peers_wake(peers);
}

bool peers_next_line(struct text *rest, struct text *line)
{
    if (rest->length == 0) {
        return false;
    }
    size_t end = text_find_byte(*rest, 0, '\n');
    *line = text_slice(*rest, 0, end);
    *rest = text_slice(*rest, end + 1, rest->length);
    return true;
}

// Whose task it is: tasks stand in the site itself or in its hub.
static struct site *site_of_task(struct peers *peers, const struct schedule *schedule,
                                 struct task *task)
{
    if (schedule == &peers->polls) {
        return (struct site *)((char *)task - offsetof(struct site, poll));
    }
    if (schedule == &peers->fetches) {
        return (struct site *)((char *)task - offsetof(struct site, fetch));
    }
    size_t offset = schedule == &peers->exchanges ? offsetof(struct hub, exchange)
                                                  : offsetof(struct hub, changes);
    return ((struct hub *)((char *)task - offset))->site;
}

static int64_t start_due(struct peers *peers, struct schedule *schedule,
                         void (*start)(struct peers *peers, struct site *site))
{
    for (;;) {
        (void)pthread_rwlock_wrlock(&peers->lock);
        struct task *task = schedule_take(schedule, clock_steady_us());
        struct site *site = task ? site_of_task(peers, schedule, task) : NULL;
        int64_t next_us = schedule_next_us(schedule);
        (void)pthread_rwlock_unlock(&peers->lock);
        if (!site) {
            return next_us;
        }
        start(peers, site);
    }
}

static int64_t sooner(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static void *serve(void *context)
{
    struct peers *peers = context;
    while (!atomic_load(&peers->is_stopping)) {
        int64_t next_us = start_due(peers, &peers->exchanges, exchange_start);
        next_us = sooner(next_us, start_due(peers, &peers->changes, feed_start));
        next_us = sooner(next_us, start_due(peers, &peers->fetches, fetch_start));
        next_us = sooner(next_us, start_due(peers, &peers->polls, poll_start));
        int64_t now_us = clock_steady_us();
        next_us = sooner(next_us, watch_run(peers, now_us));
        next_us = sooner(next_us, last_heard_run(peers, now_us));
        next_us = sooner(next_us, expected_run(peers, now_us));
        int64_t wait_us = next_us > now_us ? sooner(next_us - now_us, IDLE_US) : 0;
        (void)http_client_wait(peers->client, NULL, 0, wait_us);
    }
    return NULL;
}

enum status outgoing_prepare(struct peers *peers, struct error *error)
{
    const struct http_client_options options = {
        .key_path = peers->key_path,
        .certificate_path = peers->certificate_path,
        .connect_timeout_us = CONNECT_TIMEOUT_US,
        .calls_max = 2 * PEERS_HUBS_MAX + PEERS_POLLS_MAX + PEERS_FETCHES_MAX,
        .connections_kept = CONNECTIONS_KEPT,
    };
    return http_client_new(&options, &peers->client, error);
}

enum status outgoing_start(struct peers *peers, struct error *error)
{
    TRY(crew_start("peers-crew", CREW_SIZE, &peers->crew, error));
    TRY(thread_start(&peers->thread, "peers", serve, peers, error));
    peers->is_started = true;
    return OK;
}

void outgoing_stop(struct peers *peers)
{
    atomic_store(&peers->is_stopping, true);
    if (peers->is_started) {
        peers_wake(peers);
        (void)pthread_join(peers->thread, NULL);
        peers->is_started = false;
    }
    crew_stop(TAKE(peers->crew));
    // Their requests end with the client.
    while (peers->turns) {
        struct turn *turn = peers->turns;
        unlink_turn(turn);
        turn_free(turn);
    }
}
