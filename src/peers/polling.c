// What a hub asks of sites: the turn of a poll, and logs that another hub is ahead with.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/outgoing.h"
#include "peers/pace.h"

#include <stdio.h>

enum { PATH_SIZE = 256, FETCH_FAILURES_MAX = 8 };

// Takes what the turn's site has shown of a site's log; *out is the position afterwards. OK also when there was nothing.
static enum status take_batches(const struct turn *turn, const struct site *site,
                                struct text batches, struct ledger_position *out,
                                struct error *error)
{
    struct peers *peers = turn->peers;
    *out = mirror_position(peers->mirror, &site->fingerprint);
    if (batches.length == 0) {
        return OK;
    }
    enum status status = mirror_take(peers->mirror, &site->key, batches, out, error);
    site_took_log(peers, &site->fingerprint, &turn->site->fingerprint, status, error);
    return status;
}

static enum status take_heartbeat(struct turn *turn, struct text line, struct said_heartbeat *out,
                                  struct error *error)
{
    struct peers *peers = turn->peers;
    AUTO_JSON json_t *statement = NULL;
    AUTO_BUFFER struct buffer text = {0};
    TRY(json_parse(line, &statement, error));
    TRY(statement_verify(statement, "heartbeat", &turn->site->key, error));
    TRY(said_heartbeat_read(statement, out, error));
    TRY(statement_write_canonical(statement, &text, error));
    (void)pthread_rwlock_wrlock(&peers->lock);
    site_heard(peers, turn->site, out, buffer_text(&text));
    site_measured(turn->site, turn->duration_us);
    (void)pthread_rwlock_unlock(&peers->lock);
    return OK;
}

static enum status take_turn(struct turn *turn, bool *has_more, struct error *error)
{
    struct text rest = buffer_text(&turn->body);
    struct text line = TEXT_NONE;
    struct said_heartbeat heartbeat;
    struct ledger_position position;
    if (turn->error.status != OK) {
        *error = turn->error;
        return error->status;
    }
    if (!peers_next_line(&rest, &line)) {
        return error_set(error, CORRUPT, "its answer to a poll is empty");
    }
    TRY(take_heartbeat(turn, line, &heartbeat, error));
    TRY(take_batches(turn, turn->site, rest, &position, error));
    enum status status =
        log_check_end(turn->peers, turn->site, &heartbeat.position, &position, error);
    site_took_log(turn->peers, &turn->site->fingerprint, &turn->site->fingerprint, status, error);
    *has_more = status == OK && rest.length > 0 &&
                (heartbeat.position.epoch != position.epoch ||
                 heartbeat.position.serial != position.serial);
    // What is wrong with a log is said of it, and is no failure of the call: the site is alive.
    return OK;
}

static void take_poll(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct error error = {0};
    bool has_more = false;
    if (take_turn(turn, &has_more, &error) != OK) {
        turn_fail(turn, &error);
        return;
    }
    int64_t now_us = clock_steady_us();
    turn_succeed(turn,
                 has_more ? now_us : now_us + pace_next_us(peers->heartbeat_us, peers_random()));
}

void poll_start(struct peers *peers, struct site *site)
{
    char path[PATH_SIZE];
    struct ledger_position position = mirror_position(peers->mirror, &site->fingerprint);
    struct turn *turn = turn_new(peers, site, &peers->polls, &site->poll);
    (void)snprintf(path, sizeof path, "/v1/federation/poll?epoch=%lld&after=%lld",
                   (long long)position.epoch, (long long)position.serial);
    turn->take = take_poll;
    turn_start(turn, &(struct turn_request){
                         .method = "GET", .path = path, .answer_size_max = PEERS_BATCHES_SIZE_MAX});
}

static void take_fetch(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct site *about = turn->about;
    struct error error = turn->error;
    struct ledger_position position = turn->position;
    enum status status = turn->error.status;
    if (status == OK) {
        status = take_batches(turn, about, buffer_text(&turn->body), &position, &error);
    }
    // A lie is its site's problem, a gap is one of the hub's copy; either way another hub may do better.
    if (status == CORRUPT || turn->task->failures >= FETCH_FAILURES_MAX) {
        turn_succeed(turn, INT64_MAX);
        return;
    }
    if (status != OK) {
        turn_fail(turn, &error);
        return;
    }
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool is_behind = position.epoch < about->fetch_epoch || (position.epoch == about->fetch_epoch &&
                                                             position.serial < about->fetch_serial);
    (void)pthread_rwlock_unlock(&peers->lock);
    bool has_moved =
        position.epoch != turn->position.epoch || position.serial != turn->position.serial;
    turn_succeed(turn, is_behind && has_moved ? clock_steady_us() : INT64_MAX);
}

void fetch_start(struct peers *peers, struct site *site)
{
    char path[PATH_SIZE];
    (void)pthread_rwlock_rdlock(&peers->lock);
    struct site *hub = site->fetch_from;
    (void)pthread_rwlock_unlock(&peers->lock);
    struct turn *turn = turn_new(peers, hub, &peers->fetches, &site->fetch);
    turn->about = site;
    turn->position = mirror_position(peers->mirror, &site->fingerprint);
    (void)snprintf(path, sizeof path, "/v1/federation/logs/%s?epoch=%lld&after=%lld",
                   site->fingerprint.text, (long long)turn->position.epoch,
                   (long long)turn->position.serial);
    turn->take = take_fetch;
    turn_start(turn, &(struct turn_request){.method = "GET",
                                            .path = path,
                                            .answer_size_max = PEERS_BATCHES_SIZE_MAX,
                                            .timeout_us = CALL_LONG_TIMEOUT_US});
}
