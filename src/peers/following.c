// What a hub says of others: who is new there, how they are, and whose logs are further than our copies. A hub follows other hubs all the time, any other site when somebody looks (overview.c).
#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"
#include "peers/change.h"
#include "peers/outgoing.h"
#include "peers/pace.h"
#include "peers/said.h"

#include <stdio.h>

enum {
    WAIT_SECONDS = 30,
    FEED_SIZE_MAX = PEERS_CHANGES_SIZE_MAX + 3 * STATEMENT_SIZE_MAX,
    CHANGES_MAX = 4096, // That one answer may bring; more are taken with the next.
};

static void free_news(struct said_news *news, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        said_news_done(&news[i]);
    }
    free(news);
}

// Notes what the hub says of a site that is in the table; with the lock held.
static void note_news(struct turn *turn, struct said_news *news, const struct ledger_position *have)
{
    struct peers *peers = turn->peers;
    struct site *site = sites_find(peers, &news->read.site);
    if (!site) {
        return;
    }
    int64_t now_us = clock_steady_us();
    if (site == turn->site) {
        site_told_itself(peers, site, news);
    } else {
        site_told(peers, site, turn->site, news);
    }
    // Nobody vouches for itself.
    if (site_is_our_hub(turn->site) && site != turn->site) {
        site->vouched_us = news->standing == STANDING_MEMBER ? now_us : 0;
    }
    bool is_ahead = peers->mirror && (news->epoch > have->epoch ||
                                      (news->epoch == have->epoch && news->serial > have->serial));
    if (is_ahead && site->standing != STANDING_DENIED) {
        site->fetch_from = turn->site;
        site->fetch_epoch = news->epoch;
        site->fetch_serial = news->serial;
        site->fetch.failures = 0;
        schedule_want(&peers->fetches, &site->fetch, now_us);
    }
}

// `is_new`: which of their statements are to be kept.
static enum status keep_news(struct turn *turn, struct said_news *news, const bool *is_new,
                             size_t count, struct error *error)
{
    struct peers *peers = turn->peers;
    AUTO_FREE struct change *changes = memory_new(count + 1, sizeof *changes);
    size_t change_count = 0;
    size_t most = peers->mirror ? PEERS_SITES_MAX : PEERS_SITES_TOLD_MAX;
    size_t known = peers_count(peers);
    size_t room = known < most ? most - known : 0;
    const char *own = signing_key_fingerprint(peers->key)->text;
    for (size_t i = 0; i < count && change_count < room; i++) {
        if (is_new[i] && strcmp(news[i].read.site.text, own) != 0) {
            changes[change_count++] =
                (struct change){.site = news[i].read.site,
                                .statement = &news[i].read,
                                .statement_text = buffer_text(&news[i].statement)};
        }
    }
    if (change_count > 0) {
        TRY(changes_commit(peers, changes, change_count, NULL, error));
    }
    for (size_t i = 0; i < count; i++) {
        struct ledger_position have = {0};
        if (peers->mirror) {
            have = mirror_position(peers->mirror, &news[i].read.site);
        }
        (void)pthread_rwlock_wrlock(&peers->lock);
        note_news(turn, &news[i], &have);
        (void)pthread_rwlock_unlock(&peers->lock);
    }
    return OK;
}

static enum status read_cursor(struct text line, char **out, struct error *error)
{
    struct text cursor = TEXT_NONE;
    AUTO_JSON json_t *object = NULL;
    TRY(json_parse(line, &object, error));
    TRY(json_field_text(object, "cursor", JSON_REQUIRED, PEER_URL_MAX, &cursor, error));
    *out = text_copy(cursor);
    return OK;
}

static void keep_cursor(struct turn *turn, char *cursor)
{
    struct peers *peers = turn->peers;
    struct site *site = turn->site;
    (void)pthread_rwlock_wrlock(&peers->lock);
    free(site->hub->cursor);
    site->hub->cursor = cursor;
    site_answered(peers, site);
    (void)pthread_rwlock_unlock(&peers->lock);
}

// How many good lines that is: one or none; *lie gets the first error of all lines.
static size_t take_line(struct peers *peers, struct text line, struct said_news *out, bool *is_new,
                        struct error *lie)
{
    struct error error = {0};
    enum status status = said_news_read(line, out, &error);
    if (status == OK) {
        const json_t *statement = json_object_get(out->line, "statement");
        *is_new = change_is_news(peers, &out->read, statement, false);
        return 1;
    }
    said_news_done(out);
    *out = (struct said_news){0};
    if (lie->status == OK) {
        *lie = error;
        lie->status = status;
    }
    return 0;
}

// *is_read: the answer was read to its end, although something in it may not hold.
static enum status take_feed(struct turn *turn, bool *is_read, struct error *error)
{
    struct peers *peers = turn->peers;
    struct text rest = buffer_text(&turn->body);
    struct text line = TEXT_NONE;
    AUTO_FREE char *cursor = NULL;
    if (turn->error.status != OK) {
        *error = turn->error;
        return error->status;
    }
    if (!peers_next_line(&rest, &line)) {
        return error_set(error, CORRUPT, "its feed of changes is empty");
    }
    TRY(read_cursor(line, &cursor, error));
    struct said_news *news = memory_new(CHANGES_MAX, sizeof *news);
    AUTO_FREE bool *is_new = memory_new(CHANGES_MAX, sizeof *is_new);
    struct error lie = {0};
    size_t count = 0;
    while (count < CHANGES_MAX && peers_next_line(&rest, &line)) {
        count += take_line(peers, line, &news[count], &is_new[count], &lie);
    }
    enum status status = keep_news(turn, news, is_new, count, error);
    free_news(news, count);
    TRY(status);
    // What does not hold is said of the hub; the rest of what it tells is none the worse.
    if (lie.status != OK) {
        *error = lie;
    }
    keep_cursor(turn, TAKE(cursor));
    *is_read = true;
    return lie.status;
}

static void take_changes(struct turn *turn)
{
    struct error error = {0};
    bool is_read = false;
    enum status status = take_feed(turn, &is_read, &error);
    if (!turn->peers->mirror) {
        bool has_more = is_read && turn->body.length >= PEERS_CHANGES_SIZE_MAX;
        overview_take_turn(turn, status, has_more, &error);
        return;
    }
    if (status != OK) {
        turn_fail(turn, &error);
        return;
    }
    // At once: it is the hub that waits, until there is something. A hub that does not is not asked without a pause.
    int64_t pause_us = turn->peers->heartbeat_us / 60;
    turn_succeed(turn, turn->started_us + pause_us);
}

void feed_start(struct peers *peers, struct site *site)
{
    AUTO_BUFFER struct buffer path = {0};
    struct turn *turn = turn_new(peers, site, &peers->changes, &site->hub->changes);
    int wait_seconds = peers->mirror ? WAIT_SECONDS : 0;
    buffer_printf(&path, "/v1/federation/changes?wait=%d", wait_seconds);
    (void)pthread_rwlock_rdlock(&peers->lock);
    if (site->hub->cursor) {
        buffer_append_string(&path, "&cursor=");
        percent_append(&path, text_of(site->hub->cursor));
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    turn->take = take_changes;
    int64_t timeout_us = peers->mirror ? WAIT_SECONDS * INT64_C(1000000) + CALL_TIMEOUT_US
                                       : overview_timeout_us(peers);
    turn_start(turn, &(struct turn_request){.method = "GET",
                                            .path = path.bytes,
                                            .answer_size_max = FEED_SIZE_MAX,
                                            .timeout_us = timeout_us});
}
