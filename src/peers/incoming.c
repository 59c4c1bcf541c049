// What other sites say to this one, and ask of it.
#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "peers/change.h"
#include "peers/expected.h"

#include <stdio.h>

// Whoever our operator has shut out gets nothing.
static enum status check_caller(struct peers *peers, const char *caller, struct error *error)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find_text(peers, text_of(caller));
    bool is_denied = site && site->standing == STANDING_DENIED;
    (void)pthread_rwlock_unlock(&peers->lock);
    if (!is_denied) {
        return OK;
    }
    (void)error_set(error, DENIED, "the operator of %.64s has denied this site (%.23s)",
                    peers->name, caller);
    error_fix(error, "ask them to take it back: lode sites accept %.23s", caller);
    return DENIED;
}

// The member of this name that has another key; NULL: there is none. Locked.
static struct site *find_namesake(const struct peers *peers, const struct site_statement *read)
{
    for (size_t i = sites_find_name(peers, read->name); i < peers->count; i++) {
        struct site *site = peers->by_name[i];
        if (strcmp(site->name, read->name) != 0) {
            return NULL;
        }
        if (site->standing == STANDING_MEMBER &&
            strcmp(site->fingerprint.text, read->site.text) != 0) {
            return site;
        }
    }
    return NULL;
}

// Almost nobody has one, so that is seen without keeping answers waiting.
static bool has_namesake(struct peers *peers, const struct site_statement *read)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool has_one = find_namesake(peers, read) != NULL;
    (void)pthread_rwlock_unlock(&peers->lock);
    return has_one;
}

// Another key under the name of a member is refused, and both sides are told.
static enum status check_name(struct peers *peers, const struct site_statement *read,
                              struct error *error)
{
    enum status status = OK;
    if (strcmp(read->name, peers->name) == 0) {
        status = error_set(error, CONFLICT, "\"%.64s\" is the name of this hub itself", read->name);
        error_fix(error, "start the other site with another --name");
        return status;
    }
    if (!has_namesake(peers, read)) {
        return OK;
    }
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = find_namesake(peers, read);
    if (site) {
        char problem[PEERS_PROBLEM_MAX + 1];
        (void)snprintf(problem, sizeof problem,
                       "another key (%s) calls itself \"%.64s\": if the site was set up anew, "
                       "lode sites deny %.23s lets it in as new",
                       read->site.text, read->name, site->fingerprint.text);
        site_set_problem(&site->call_problem, problem);
        status = error_set(error, CONFLICT,
                           "the name \"%.64s\" is that of a site with another key (%.23s) here",
                           read->name, site->fingerprint.text);
        error_fix(error,
                  "if this site was set up anew, its hub's operator does: lode sites deny "
                  "%.23s; else give this one another --name",
                  site->fingerprint.text);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return status;
}

static enum status check_room(struct peers *peers, const char *caller, struct error *error)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool is_full = peers->count >= PEERS_SITES_MAX && !sites_find_text(peers, text_of(caller));
    (void)pthread_rwlock_unlock(&peers->lock);
    return is_full ? error_set(error, QUOTA, "this hub knows %d sites and takes no more",
                               PEERS_SITES_MAX)
                   : OK;
}

// Can this hub keep in step with the site in that way?
static enum status check_mode(struct peers *peers, enum peers_mode mode,
                              const struct site_statement *read, struct error *error)
{
    enum peers_mode common = mode & peers->wants;
    if (common == 0) {
        (void)error_set(error, CONFLICT, "this hub keeps in step by %s only, not by %s",
                        peers_mode_name(peers->wants), peers_mode_name(mode));
        error_fix(error, "lode hub add URL --mode %s", peers_mode_name(peers->wants));
        return CONFLICT;
    }
    if (common == PEERS_POLL && json_array_size(read->urls) == 0) {
        (void)error_set(error, CONFLICT, "this site says no URL under which it could be polled");
        error_fix(error, "start it with --url URL, or add the hub with --mode push");
        return CONFLICT;
    }
    return OK;
}

static enum status take_announcement(struct peers *peers, enum peers_mode mode, const json_t *body,
                                     const struct site_statement *read, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    TRY(statement_write_canonical(body, &text, error));
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find(peers, &read->site);
    bool is_settled = site && site->standing != STANDING_UNKNOWN && site->mode == mode;
    (void)pthread_rwlock_unlock(&peers->lock);
    bool is_news = change_is_news(peers, read, body, true);
    if (is_settled && !is_news) {
        return OK;
    }
    const struct change change = {
        .site = read->site,
        .statement = is_news ? read : NULL,
        .statement_text = buffer_text(&text),
        .has_standing = true,
        .is_standing_first = true,
        .standing = peers->joins_openly ? STANDING_MEMBER : STANDING_PENDING,
        .has_mode = true,
        .mode = mode,
    };
    return changes_commit(peers, &change, 1, NULL, error);
}

// That this hub has not all that it is to have is told too, where it is so.
static void say_lacking(const struct peers *peers, json_t *answer)
{
    int64_t lacking = peers->mirror ? mirror_lacking(peers->mirror) : 0;
    if (lacking > 0) {
        (void)json_object_set_new(answer, "catching_up", json_integer(lacking));
    }
}

static json_t *position_of(struct peers *peers, const struct fingerprint *site)
{
    struct ledger_position position = mirror_position(peers->mirror, site);
    json_t *answer = peers_position_json(&position);
    say_lacking(peers, answer);
    return answer;
}

// It may have much to push before its first heartbeat says how much.
static void expect_first(struct peers *peers, const struct fingerprint *fingerprint)
{
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, fingerprint);
    if (site && !site->heartbeat && site->unsaid_until_us == 0) {
        expected_unsaid(peers, site, clock_steady_us());
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}

static enum peer_standing standing_of(struct peers *peers, const char *caller)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find_text(peers, text_of(caller));
    enum peer_standing standing = site ? site->standing : STANDING_UNKNOWN;
    (void)pthread_rwlock_unlock(&peers->lock);
    return standing;
}

static enum status read_caller(struct peers *peers, const char *caller, const json_t *body,
                               struct site_statement *read, struct error *error)
{
    if (!peers->mirror) {
        (void)error_set(error, CONFLICT, "%.64s mirrors nothing: it is no hub", peers->name);
        error_fix(error, "its operator makes it one with: lode site --mirror");
        return CONFLICT;
    }
    TRY(check_caller(peers, caller, error));
    TRY(site_statement_read(body, read, error));
    if (strcmp(read->site.text, caller) != 0) {
        return error_set(error, DENIED, "%.23s announces %.23s, which only that site may do",
                         caller, read->site.text);
    }
    if (strcmp(caller, signing_key_fingerprint(peers->key)->text) == 0) {
        return error_set(error, CONFLICT, "this is the site itself");
    }
    return OK;
}

enum status peers_heard_announcement(struct peers *peers, const char *caller, enum peers_mode mode,
                                     const json_t *body, struct buffer *out, struct error *error)
{
    struct site_statement read;
    TRY(read_caller(peers, caller, body, &read, error));
    TRY(check_mode(peers, mode, &read, error));
    TRY(check_name(peers, &read, error));
    TRY(check_room(peers, caller, error));
    TRY(take_announcement(peers, mode, body, &read, error));
    expect_first(peers, &read.site);
    AUTO_JSON json_t *answer = position_of(peers, &read.site);
    AUTO_BUFFER struct buffer own = {0};
    json_t *statement = NULL;
    peers_own_statement(peers, &own);
    TRY(json_parse(buffer_text(&own), &statement, error));
    (void)json_object_set_new(answer, "site", statement);
    (void)json_object_set_new(answer, "standing",
                              json_string(peer_standing_name(standing_of(peers, caller))));
    (void)json_object_set_new(answer, "heartbeat_seconds",
                              json_integer((peers->heartbeat_us + 999999) / 1000000));
    (void)json_object_set_new(answer, "wants", json_string(peers_mode_name(peers->wants)));
    json_write(answer, false, out);
    return OK;
}

static enum status say_unknown(const struct peers *peers, const char *caller, struct error *error)
{
    (void)error_set(error, NOT_FOUND, "%.64s does not know %.23s", peers->name, caller);
    error_fix(error, "announce it first (POST /v1/federation/announce)");
    return NOT_FOUND;
}

// The key of a site that has said who it is.
static enum status find_key(struct peers *peers, const char *fingerprint, struct public_key *out,
                            struct error *error)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find_text(peers, text_of(fingerprint));
    bool is_known = site && site->has_statement;
    if (is_known) {
        *out = site->key;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return is_known ? OK : say_unknown(peers, fingerprint, error);
}

// What we have of its log. One that goes on elsewhere is its problem; that it is shorter may be because a push overtook the heartbeat.
static struct ledger_position compare_log(struct peers *peers, const struct site *site,
                                          const struct ledger_position *said)
{
    struct error error = {0};
    struct ledger_position have = {0};
    if (!peers->mirror) {
        return have;
    }
    have = mirror_position(peers->mirror, &site->fingerprint);
    bool is_shorter = said->epoch == have.epoch && said->serial < have.serial;
    if (!is_shorter && log_check_end(peers, site, said, &have, &error) != OK) {
        site_took_log(peers, &site->fingerprint, &site->fingerprint, CORRUPT, &error);
    }
    return have;
}

enum status peers_heard_heartbeat(struct peers *peers, const char *caller, const json_t *body,
                                  struct buffer *out, struct error *error)
{
    struct public_key key;
    struct said_heartbeat heartbeat;
    AUTO_BUFFER struct buffer text = {0};
    TRY(check_caller(peers, caller, error));
    TRY(find_key(peers, caller, &key, error));
    TRY(statement_verify(body, "heartbeat", &key, error));
    TRY(said_heartbeat_read(body, &heartbeat, error));
    TRY(statement_write_canonical(body, &text, error));
    struct fingerprint fingerprint = {0};
    (void)snprintf(fingerprint.text, sizeof fingerprint.text, "%s", caller);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, &fingerprint);
    site_heard(peers, site, &heartbeat, buffer_text(&text));
    enum peer_standing standing = site->standing;
    (void)pthread_rwlock_unlock(&peers->lock);
    struct ledger_position position = compare_log(peers, site, &heartbeat.position);
    AUTO_JSON json_t *answer = peers_position_json(&position);
    say_lacking(peers, answer);
    (void)json_object_set_new(answer, "standing", json_string(peer_standing_name(standing)));
    json_write(answer, false, out);
    return OK;
}

// What is wrong, and who showed it, when that was not the site itself.
static void say_by_way_of(const struct site *way, const struct error *error, struct error *out)
{
    *out = *error;
    if (way) {
        (void)error_set(out, error->status, "by way of %.40s (%.23s): %.400s", way->name,
                        way->fingerprint.text, error->detail);
    }
}

void site_took_log(struct peers *peers, const struct fingerprint *fingerprint,
                   const struct fingerprint *from, enum status status, const struct error *error)
{
    // A gap is no fault of the log, and what keeps this site from storing it says nothing about the other one.
    if (status != OK && status != CORRUPT) {
        return;
    }
    // Most logs are good and were before: no news, for which no answer need wait.
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *before = sites_find(peers, fingerprint);
    const struct site *teller = sites_find(peers, from);
    bool is_heeded = teller && (teller == before || site_is_followed_hub(teller));
    bool is_news = status == OK ? before && before->log_problem : is_heeded;
    (void)pthread_rwlock_unlock(&peers->lock);
    if (!is_news) {
        return;
    }
    struct error said = {0};
    bool is_own_word = strcmp(fingerprint->text, from->text) == 0;
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, fingerprint);
    if (status == CORRUPT) {
        say_by_way_of(is_own_word ? NULL : sites_find(peers, from), error, &said);
    }
    if (site) {
        site_set_problem(&site->log_problem, said.detail);
        expected_review(peers, site);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    if (status == CORRUPT) {
        peers_say(peers, "log_refused", &said);
    }
}

// A site that had room left in a push had no more to send.
static void hear_end(struct peers *peers, const struct fingerprint *fingerprint,
                     const struct ledger_position *position)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *before = sites_find(peers, fingerprint);
    bool is_news = before && before->unsaid_until_us != 0;
    (void)pthread_rwlock_unlock(&peers->lock);
    if (is_news) {
        (void)pthread_rwlock_wrlock(&peers->lock);
        expected_said(peers, sites_find(peers, fingerprint), position);
        (void)pthread_rwlock_unlock(&peers->lock);
    }
}

enum status peers_heard_batches(struct peers *peers, const char *caller,
                                const struct fingerprint *fingerprint, struct text batches,
                                struct ledger_position *position, struct error *error)
{
    struct public_key key;
    struct public_key caller_key;
    struct error refusal = {0};
    *position = (struct ledger_position){0};
    if (!peers->mirror) {
        return error_set(error, CONFLICT, "%.64s mirrors nothing: it is no hub", peers->name);
    }
    TRY(check_caller(peers, caller, error));
    TRY(find_key(peers, caller, &caller_key, error));
    TRY(find_key(peers, fingerprint->text, &key, error));
    struct fingerprint from = public_key_fingerprint(&caller_key);
    *position = mirror_position(peers->mirror, fingerprint);
    enum status status = mirror_take(peers->mirror, &key, batches, position, &refusal);
    site_took_log(peers, fingerprint, &from, status, &refusal);
    if (status == OK && strcmp(from.text, fingerprint->text) == 0 &&
        batches.length < LEDGER_READ_SIZE_MAX / 2) {
        hear_end(peers, fingerprint, position);
    }
    if (status != OK && error) {
        *error = refusal;
    }
    return status;
}

void peers_heard_poll(struct peers *peers, int64_t epoch, int64_t after)
{
    struct ledger_position own = ledger_position(peers->ledger);
    if (epoch < own.epoch || (epoch == own.epoch && after <= own.serial)) {
        return;
    }
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    // Whoever asks may be lying, so this is heeded once a heartbeat at most.
    bool is_heeded =
        peers->last_poll_heard_us == 0 || now_us - peers->last_poll_heard_us >= peers->heartbeat_us;
    for (size_t i = 0; i < peers->count && is_heeded; i++) {
        struct site *site = peers->by_name[i];
        if (site_is_our_hub(site)) {
            site->hub->next_announcement_us = 0;
            schedule_want(&peers->exchanges, &site->hub->exchange, now_us);
        }
    }
    peers->last_poll_heard_us = is_heeded ? now_us : peers->last_poll_heard_us;
    (void)pthread_rwlock_unlock(&peers->lock);
    peers_wake(peers);
}

enum status peers_read_log(struct peers *peers, const struct fingerprint *site, int64_t epoch,
                           int64_t after, struct buffer *out, struct error *error)
{
    if (strcmp(site->text, signing_key_fingerprint(peers->key)->text) == 0) {
        return ledger_read_batches(peers->ledger, epoch, after, out, error);
    }
    if (peers->mirror && mirror_position(peers->mirror, site).epoch > 0) {
        return mirror_read_batches(peers->mirror, site, epoch, after, out, error);
    }
    return error_set(error, NOT_FOUND, "%.64s has no copy of the log of %.23s", peers->name,
                     site->text);
}

// Statements are sent as they came, so that they verify.
static void write_site(struct peers *peers, const struct site *site, const struct peer *peer,
                       struct buffer *out)
{
    struct ledger_position position = {0};
    if (peers->mirror) {
        position = mirror_position(peers->mirror, &site->fingerprint);
    }
    buffer_printf(out, "{\"statement\":%s,\"heartbeat\":%s,\"standing\":\"%s\"", site->statement,
                  site->heartbeat ? site->heartbeat : "null", peer_standing_name(site->standing));
    buffer_printf(out, ",\"epoch\":%lld,\"serial\":%lld", (long long)position.epoch,
                  (long long)position.serial);
    if (peer->heard_seconds >= 0) {
        buffer_printf(out, ",\"heard_seconds\":%lld", (long long)peer->heard_seconds);
    } else {
        buffer_append_string(out, ",\"heard_seconds\":null");
    }
    if (peer->has_clock_offset) {
        buffer_printf(out, ",\"clock_offset_seconds\":%.3f", (double)peer->clock_offset_us / 1e6);
    } else {
        buffer_append_string(out, ",\"clock_offset_seconds\":null");
    }
}

enum status peers_describe(struct peers *peers, const struct fingerprint *fingerprint,
                           struct buffer *out, struct error *error)
{
    struct peer peer = {0};
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find(peers, fingerprint);
    bool is_known = site && site->has_statement;
    if (is_known) {
        site_describe_briefly(site, clock_steady_us(), &peer);
        write_site(peers, site, &peer, out);
        buffer_printf(out, ",\"state\":\"%s\"}", peer_liveness_name(peer.liveness));
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return is_known ? OK : say_unknown(peers, fingerprint->text, error);
}

// The hub itself, as it tells of others.
static void write_self(struct peers *peers, struct buffer *out)
{
    struct ledger_position position = ledger_position(peers->ledger);
    AUTO_BUFFER struct buffer heartbeat = {0};
    peers_own_heartbeat(peers, &heartbeat);
    buffer_append_string(out, "{\"statement\":");
    peers_own_statement(peers, out);
    buffer_printf(out,
                  ",\"heartbeat\":%s,\"standing\":\"unknown\",\"epoch\":%lld,\"serial\":%lld,"
                  "\"heard_seconds\":0,\"clock_offset_seconds\":null}\n",
                  heartbeat.length > 0 ? heartbeat.bytes : "null", (long long)position.epoch,
                  (long long)position.serial);
}

enum status peers_read_changes(struct peers *peers, struct text cursor, struct buffer *out,
                               bool *is_something, struct error *error)
{
    AUTO_BUFFER struct buffer lines = {0};
    char next[FEED_CURSOR_SIZE];
    struct peer peer;
    int64_t now_us = clock_steady_us();
    if (!peers->mirror) {
        return error_set(error, UNSUPPORTED, "%.64s mirrors nothing: it is no hub", peers->name);
    }
    (void)pthread_rwlock_rdlock(&peers->lock);
    uint64_t change = feed_read_cursor(&peers->feed, cursor);
    struct feed_entry *each = feed_after(&peers->feed, change);
    *is_something = each != NULL;
    for (; each && lines.length < PEERS_CHANGES_SIZE_MAX; each = each->newer) {
        const struct site *site =
            (const struct site *)((const char *)each - offsetof(struct site, feed));
        site_describe_briefly(site, now_us, &peer);
        write_site(peers, site, &peer, &lines);
        buffer_append_string(&lines, "}\n");
        change = each->change;
    }
    (void)feed_write_cursor(&peers->feed, change, next);
    (void)pthread_rwlock_unlock(&peers->lock);
    buffer_printf(out, "{\"cursor\":\"%s\"}\n", next);
    write_self(peers, out);
    buffer_append_text(out, buffer_text(&lines));
    return OK;
}
