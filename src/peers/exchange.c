// One of our hubs: it is told who we are, how we are, and what is new in our log.
//
// Each turn makes the one call that is needed first; when nothing is, the task waits for the next heartbeat or announcement, or until the log changes.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/change.h"
#include "peers/outgoing.h"
#include "peers/pace.h"

#include <stdio.h>

enum step {
    STEP_NONE,
    STEP_MEET, // It was added while it could not be reached: who is it?
    STEP_ANNOUNCE,
    STEP_OWN_HEAD, // It may hold more of our log than we do.
    STEP_PUSH,
    STEP_HEARTBEAT,
};

enum { PATH_SIZE = 256, ANNOUNCE_HEARTBEATS = 10 };

static enum step choose(const struct site *site, const struct ledger_position *own, int64_t now_us)
{
    const struct hub *hub = site->hub;
    bool is_behind = hub->position.epoch != own->epoch || hub->position.serial != own->serial;
    if (!site->has_statement) {
        return STEP_MEET;
    }
    if (!hub->has_announced || now_us >= hub->next_announcement_us) {
        return STEP_ANNOUNCE;
    }
    if (hub->shows_own) {
        return STEP_OWN_HEAD;
    }
    if ((hub->mode & PEERS_PUSH) == 0) {
        return STEP_NONE;
    }
    if (is_behind && own->serial > 0) {
        return STEP_PUSH;
    }
    return now_us >= hub->next_heartbeat_us ? STEP_HEARTBEAT : STEP_NONE;
}

// When there is something to do next although nothing changes; with the lock held.
static int64_t next_turn_us(const struct site *site)
{
    const struct hub *hub = site->hub;
    return (hub->mode & PEERS_PUSH) != 0 && hub->next_heartbeat_us < hub->next_announcement_us
               ? hub->next_heartbeat_us
               : hub->next_announcement_us;
}

// After an answer: at once while there is more to do.
static void go_on(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct ledger_position own = ledger_position(peers->ledger);
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool is_ours = site_is_our_hub(turn->site);
    bool has_more = is_ours && choose(turn->site, &own, now_us) != STEP_NONE;
    int64_t next_us = has_more ? now_us : is_ours ? next_turn_us(turn->site) : INT64_MAX;
    (void)pthread_rwlock_unlock(&peers->lock);
    turn_succeed(turn, next_us);
}

// Does what a hub says of our log lie beyond it, or beside it?
static bool is_beyond(const struct ledger_position *said, const struct ledger_position *own)
{
    if (said->epoch != own->epoch) {
        return said->epoch > own->epoch;
    }
    return said->serial > own->serial || (said->serial == own->serial && own->serial > 0 &&
                                          !digest_equal(&said->head, &own->head));
}

// The hub has answered: it is alive, and has this much of our log.
static void note_answer(struct turn *turn, const struct ledger_position *position,
                        const json_t *answer)
{
    struct peers *peers = turn->peers;
    struct site *site = turn->site;
    struct ledger_position own = ledger_position(peers->ledger);
    struct text standing = json_text(json_object_get(answer, "standing"));
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct hub *hub = site->hub;
    hub->position = *position;
    hub->shows_own = is_beyond(position, &own);
    for (enum peer_standing each = STANDING_PENDING; each <= STANDING_DENIED; each++) {
        hub->standing =
            text_equal(standing, text_of(peer_standing_name(each))) ? each : hub->standing;
    }
    site_answered(peers, site);
    (void)pthread_rwlock_unlock(&peers->lock);
}

// Of how many sites' logs the hub lacks entries, as it says where it answers an announcement or a heartbeat; with the lock held.
static void note_lacking(struct hub *hub, const json_t *answer)
{
    int64_t said = json_integer_value(json_object_get(answer, "catching_up"));
    hub->catching_up = said < 0 ? 0 : said < MIRROR_SITES_MAX ? said : MIRROR_SITES_MAX;
}

// The answer as an object that says a position; sets the error that the call fails with otherwise.
static enum status read_answer(const struct turn *turn, json_t **out,
                               struct ledger_position *position, struct error *error)
{
    if (turn->error.status != OK) {
        *error = turn->error;
        return error->status;
    }
    AUTO_JSON json_t *answer = NULL;
    enum status status = json_parse(buffer_text(&turn->body), &answer, error);
    status = status == OK ? said_position_read(answer, position, error) : status;
    if (status != OK) {
        struct error cause = *error;
        return error_set(error, CORRUPT, "its answer cannot be read: %.300s", cause.detail);
    }
    *out = TAKE(answer);
    return OK;
}

// Whether a call failed because the hub does not know us (any more): then it is announced to again.
static void fail(struct turn *turn, const struct error *error)
{
    struct peers *peers = turn->peers;
    (void)pthread_rwlock_wrlock(&peers->lock);
    if (turn->code == 404 && turn->step != STEP_OWN_HEAD) {
        turn->site->hub->has_announced = false;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    turn_fail(turn, error);
}

// What a hub says of itself, kept when it is news.
static enum status learn_hub(struct peers *peers, const struct site *site, const json_t *object,
                             struct error *error)
{
    struct site_statement read;
    AUTO_BUFFER struct buffer text = {0};
    TRY(site_statement_read(object, &read, error));
    if (strcmp(read.site.text, site->fingerprint.text) != 0) {
        return error_set(error, CORRUPT, "it calls itself %.23s, but has the key %.23s",
                         read.site.text, site->fingerprint.text);
    }
    if (!change_is_news(peers, &read, object, true)) {
        return OK;
    }
    TRY(statement_write_canonical(object, &text, error));
    const struct change change = {
        .site = read.site, .statement = &read, .statement_text = buffer_text(&text)};
    return changes_commit(peers, &change, 1, NULL, error);
}

static void take_meeting(struct turn *turn)
{
    struct error error = turn->error;
    AUTO_JSON json_t *object = NULL;
    enum status status = turn->error.status;
    status = status == OK ? json_parse(buffer_text(&turn->body), &object, &error) : status;
    status = status == OK ? learn_hub(turn->peers, turn->site, object, &error) : status;
    if (status != OK) {
        fail(turn, &error);
        return;
    }
    go_on(turn);
}

static void take_announcement(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct error error = {0};
    struct ledger_position position;
    AUTO_JSON json_t *answer = NULL;
    int64_t heartbeat_seconds = 0;
    enum status status = read_answer(turn, &answer, &position, &error);
    if (status == OK) {
        status = json_field_int64(answer, "heartbeat_seconds", JSON_REQUIRED, 1,
                                  PEERS_TTL_SECONDS_MAX, &heartbeat_seconds, &error);
    }
    if (status == OK) {
        status = learn_hub(peers, turn->site, json_object_get(answer, "site"), &error);
    }
    if (status != OK) {
        fail(turn, &error);
        return;
    }
    note_answer(turn, &position, answer);
    struct ledger_position own = ledger_position(peers->ledger);
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct hub *hub = turn->site->hub;
    hub->has_announced = true;
    note_lacking(hub, answer);
    // Whoever only polls cannot tell us that our log does not fit its copy, so we look whether that is ours.
    bool is_polled_behind = (hub->mode & PEERS_PUSH) == 0 && position.serial > 0 &&
                            (position.epoch != own.epoch || position.serial < own.serial);
    hub->shows_own = hub->shows_own || is_polled_behind;
    hub->heartbeat_us = heartbeat_seconds * 1000000;
    hub->next_announcement_us =
        now_us + pace_next_us(ANNOUNCE_HEARTBEATS * hub->heartbeat_us, peers_random());
    (void)pthread_rwlock_unlock(&peers->lock);
    go_on(turn);
}

static void take_position(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct error error = {0};
    struct ledger_position position;
    AUTO_JSON json_t *answer = NULL;
    if (read_answer(turn, &answer, &position, &error) != OK) {
        fail(turn, &error);
        return;
    }
    note_answer(turn, &position, answer);
    (void)pthread_rwlock_wrlock(&peers->lock);
    site_measured(turn->site, turn->duration_us);
    struct hub *hub = turn->site->hub;
    note_lacking(hub, answer);
    hub->next_heartbeat_us = clock_steady_us() + pace_next_us(hub->heartbeat_us, peers_random());
    (void)pthread_rwlock_unlock(&peers->lock);
    go_on(turn);
}

// A push that does not follow: the problem says from where on the hub wants it. What does not fit at all may be because we were restored from an old backup; its signed
// head shows that.
static void take_push_refusal(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct ledger_position position;
    AUTO_JSON json_t *problem = NULL;
    bool is_read = json_parse(buffer_text(&turn->body), &problem, NULL) == OK &&
                   said_position_read(problem, &position, NULL) == OK;
    bool is_step =
        turn->code == 409 && is_read &&
        (position.epoch != turn->position.epoch || position.serial != turn->position.serial);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct hub *hub = turn->site->hub;
    if (is_read) {
        hub->position = position;
    }
    hub->is_refusing = !is_step;
    hub->shows_own = !is_step && is_read && position.serial > 0;
    (void)pthread_rwlock_unlock(&peers->lock);
    if (is_step) {
        go_on(turn);
        return;
    }
    fail(turn, &turn->error);
}

static void take_push(struct turn *turn)
{
    struct error error = {0};
    struct ledger_position position;
    AUTO_JSON json_t *answer = NULL;
    if (turn->code == 409 || turn->code == 422) {
        take_push_refusal(turn);
        return;
    }
    if (read_answer(turn, &answer, &position, &error) != OK) {
        fail(turn, &error);
        return;
    }
    note_answer(turn, &position, answer);
    if (position.epoch == turn->position.epoch && position.serial == turn->position.serial) {
        (void)error_set(&error, CORRUPT, "it took a push of our log and is as far as before");
        fail(turn, &error);
        return;
    }
    go_on(turn);
}

// What is wrong when a hub has shown no reason for a new epoch; OK when nothing is.
static enum status judge_own_head(struct turn *turn, struct error *error)
{
    struct peers *peers = turn->peers;
    struct ledger_position own = ledger_position(peers->ledger);
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool is_refusing = turn->site->hub->is_refusing;
    const char *known = turn->site->call_problem;
    enum status status = OK;
    if (is_beyond(&turn->position, &own)) {
        status = error_set(error, CORRUPT,
                           "it says that it has more of our log than there is, and shows no signed "
                           "head of that");
    } else if (is_refusing) {
        status = error_set(error, CORRUPT, "%s", known ? known : "it refuses our log");
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return status;
}

static enum status hear_own_head(struct turn *turn, bool *has_restarted, struct error *error)
{
    struct text rest = buffer_text(&turn->body);
    struct text line = TEXT_NONE;
    AUTO_JSON json_t *head = NULL;
    if (turn->error.status != OK) {
        *error = turn->error;
        return error->status;
    }
    if (!peers_next_line(&rest, &line)) {
        return OK;
    }
    TRY(json_parse(line, &head, error));
    return ledger_hear_own(turn->peers->ledger, head, has_restarted, error);
}

// The first line is a signed head of our own log, which we may have forgotten.
static void take_own_head(struct turn *turn)
{
    struct peers *peers = turn->peers;
    struct error error = {0};
    bool has_restarted = false;
    enum status status = hear_own_head(turn, &has_restarted, &error);
    if (status == OK && !has_restarted) {
        status = judge_own_head(turn, &error);
    }
    (void)pthread_rwlock_wrlock(&peers->lock);
    turn->site->hub->shows_own = false;
    (void)pthread_rwlock_unlock(&peers->lock);
    if (status != OK) {
        fail(turn, &error);
        return;
    }
    if (has_restarted) {
        struct error said = {0};
        char label[SITE_LABEL_SIZE];
        (void)error_set(&said, OK,
                        "this site was restored from an old backup, as %s shows: its log begins "
                        "again with epoch %lld",
                        site_label(peers, turn->site, label),
                        (long long)ledger_position(peers->ledger).epoch);
        peers_say(peers, "log_restarted", &said);
    }
    go_on(turn);
}

static void start_announcement(struct turn *turn)
{
    char path[PATH_SIZE];
    AUTO_BUFFER struct buffer body = {0};
    struct peers *peers = turn->peers;
    peers_own_statement(peers, &body);
    (void)pthread_rwlock_rdlock(&peers->lock);
    (void)snprintf(path, sizeof path, "/v1/federation/announce?mode=%s",
                   peers_mode_name(turn->site->hub->mode));
    (void)pthread_rwlock_unlock(&peers->lock);
    turn->take = take_announcement;
    turn_start(turn,
               &(struct turn_request){.method = "POST", .path = path, .body = buffer_text(&body)});
}

static void start_push(struct turn *turn)
{
    char path[PATH_SIZE];
    struct error error = {0};
    AUTO_BUFFER struct buffer body = {0};
    struct peers *peers = turn->peers;
    (void)snprintf(path, sizeof path, "/v1/federation/logs/%s",
                   signing_key_fingerprint(peers->key)->text);
    enum status status = ledger_read_batches(peers->ledger, turn->position.epoch,
                                             turn->position.serial, &body, &error);
    if (status != OK || body.length == 0) {
        if (status == OK) {
            (void)error_set(&error, INTERNAL, "our own log gave no batch behind serial %lld",
                            (long long)turn->position.serial);
        }
        turn_fail(turn, &error);
        return;
    }
    turn->take = take_push;
    turn_start(turn, &(struct turn_request){.method = "POST",
                                            .path = path,
                                            .body = buffer_text(&body),
                                            .content_type = "application/x-ndjson",
                                            .timeout_us = CALL_LONG_TIMEOUT_US});
}

static void start_own_head(struct turn *turn)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/v1/federation/logs/%s?epoch=%lld&after=%lld",
                   signing_key_fingerprint(turn->peers->key)->text, (long long)turn->position.epoch,
                   (long long)(turn->position.serial > 0 ? turn->position.serial - 1 : 0));
    turn->take = take_own_head;
    turn_start(turn, &(struct turn_request){.method = "GET",
                                            .path = path,
                                            .answer_size_max = PEERS_BATCHES_SIZE_MAX,
                                            .timeout_us = CALL_LONG_TIMEOUT_US});
}

static void start_heartbeat(struct turn *turn)
{
    AUTO_BUFFER struct buffer body = {0};
    peers_own_heartbeat(turn->peers, &body);
    turn->take = take_position;
    turn_start(turn, &(struct turn_request){.method = "POST",
                                            .path = "/v1/federation/heartbeat",
                                            .body = buffer_text(&body)});
}

void exchange_start(struct peers *peers, struct site *site)
{
    struct ledger_position own = ledger_position(peers->ledger);
    struct turn *turn = turn_new(peers, site, &peers->exchanges, &site->hub->exchange);
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool is_ours = site_is_our_hub(site);
    enum step step = is_ours ? choose(site, &own, clock_steady_us()) : STEP_NONE;
    int64_t next_us = is_ours ? next_turn_us(site) : INT64_MAX;
    turn->position = site->hub->position;
    (void)pthread_rwlock_unlock(&peers->lock);
    turn->step = (int)step;
    switch (step) {
    case STEP_NONE:
        turn_drop(turn, next_us);
        break;
    case STEP_MEET:
        turn->take = take_meeting;
        turn_start(turn, &(struct turn_request){.method = "GET", .path = "/v1/federation/site"});
        break;
    case STEP_ANNOUNCE:
        start_announcement(turn);
        break;
    case STEP_OWN_HEAD:
        start_own_head(turn);
        break;
    case STEP_PUSH:
        start_push(turn);
        break;
    case STEP_HEARTBEAT:
        start_heartbeat(turn);
        break;
    }
}
