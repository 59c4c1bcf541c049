// The whole: what is opened, started and closed, and what this site says of itself.
#include "base/calendar.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"
#include "peers/change.h"
#include "peers/last_heard.h"
#include "peers/outgoing.h"
#include "peers/pace.h"
#include "peers/watch.h"

enum { PROTOCOL = 1, HEARTBEAT_US = 60000000, TTL_HEARTBEATS = 3 };

uint32_t peers_random(void)
{
    uint32_t random = 0;
    random_fill(&random, sizeof random);
    return random;
}

void peers_wake(struct peers *peers)
{
    http_client_wake(peers->client);
}

void peers_say(struct peers *peers, const char *event, const struct error *error)
{
    if (peers->report) {
        peers->report(peers->context, event, error);
    }
}

static json_t *now_text(void)
{
    char time[CALENDAR_TEXT_SIZE];
    return json_string(calendar_format(clock_real_us(), time));
}

static enum status sign_own(const struct peers *peers, const char *url, struct buffer *out,
                            struct error *error)
{
    char key[PUBLIC_KEY_TEXT_SIZE];
    public_key_to_text(signing_key_public(peers->key), key);
    AUTO_JSON json_t *statement =
        json_pack("{s:s, s:o, s:o, s:s, s:o, s:s, s:i, s:b}", "kind", "site", "time", now_text(),
                  "name", json_from_text(text_of(peers->name)), "public_key", key, "urls",
                  url ? json_pack("[s]", url) : json_array(), "version", LODE_VERSION, "protocol",
                  PROTOCOL, "is_hub", peers->mirror != NULL);
    return statement_sign(statement, peers->key, out, error);
}

static struct peers *new_peers(const struct peers_options *options)
{
    struct peers *peers = NEW(struct peers);
    peers->store = options->store;
    peers->key = options->key;
    peers->ledger = options->ledger;
    peers->mirror = options->mirror;
    peers->name = memory_copy_string(options->name);
    peers->joins_openly = options->joins_openly;
    peers->wants = options->wants != 0 ? options->wants : PEERS_BOTH;
    peers->heartbeat_us = options->heartbeat_us > 0 ? options->heartbeat_us : HEARTBEAT_US;
    peers->load = options->load;
    peers->report = options->report;
    peers->context = options->context;
    peers->key_path = memory_format("%s/key.pem", options->directory);
    peers->certificate_path = memory_format("%s/certificate.pem", options->directory);
    (void)pthread_rwlock_init(&peers->lock, NULL);
    peers->by_fingerprint = map_new();
    random_fill(&peers->feed.instance, sizeof peers->feed.instance);
    peers->exchanges.running_max = PEERS_HUBS_MAX;
    peers->changes.running_max = PEERS_HUBS_MAX;
    peers->polls.running_max = PEERS_POLLS_MAX;
    peers->fetches.running_max = PEERS_FETCHES_MAX;
    return peers;
}

enum status peers_open(const struct peers_options *options, struct peers **out, struct error *error)
{
    AUTO_BUFFER struct buffer own = {0};
    struct peers *peers = new_peers(options);
    enum status status = outgoing_prepare(peers, error);
    status = status == OK ? sign_own(peers, NULL, &own, error) : status;
    if (status == OK) {
        peers->statement = text_copy(buffer_text(&own));
        status = changes_load(peers, error);
        status = status == OK ? last_heard_load(peers, error) : status;
    }
    if (status != OK) {
        peers_close(peers);
        return status;
    }
    store_on_recover(peers->store, changes_reload, peers);
    *out = peers;
    return OK;
}

enum status peers_start(struct peers *peers, const char *url, struct error *error)
{
    AUTO_BUFFER struct buffer own = {0};
    TRY(sign_own(peers, url, &own, error));
    (void)pthread_rwlock_wrlock(&peers->lock);
    peers->url = memory_copy_string(url);
    site_set_text(&peers->statement, buffer_text(&own));
    (void)pthread_rwlock_unlock(&peers->lock);
    return outgoing_start(peers, error);
}

void peers_stop(struct peers *peers)
{
    if (!peers) {
        return;
    }
    struct error error = {0};
    outgoing_stop(peers);
    if (last_heard_save(peers, &error) != OK) {
        peers_say(peers, "last_heard_lost", &error);
    }
}

void peers_close(struct peers *peers)
{
    if (!peers) {
        return;
    }
    outgoing_stop(peers);
    http_client_free(peers->client);
    watch_free(peers);
    overview_free(peers);
    sites_free(peers);
    (void)pthread_rwlock_destroy(&peers->lock);
    free(peers->name);
    free(peers->url);
    free(peers->statement);
    free(peers->key_path);
    free(peers->certificate_path);
    free(peers);
}

void peers_own_statement(struct peers *peers, struct buffer *out)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    buffer_append_string(out, peers->statement);
    (void)pthread_rwlock_unlock(&peers->lock);
}

void peers_own_heartbeat(struct peers *peers, struct buffer *out)
{
    char head[DIGEST_TEXT_SIZE];
    struct error error = {0};
    struct peers_load load = {0};
    struct ledger_position position = ledger_position(peers->ledger);
    int64_t ttl_seconds = (TTL_HEARTBEATS * peers->heartbeat_us + 999999) / 1000000;
    if (peers->load) {
        peers->load(peers->context, &load);
    }
    AUTO_JSON json_t *statement = json_pack(
        "{s:s, s:o, s:I, s:I, s:s, s:I, s:{s:I, s:I, s:I, s:I}}", "kind", "heartbeat", "time",
        now_text(), "epoch", (json_int_t)position.epoch, "serial", (json_int_t)position.serial,
        "head", digest_to_text(&position.head, head), "ttl_seconds", (json_int_t)ttl_seconds,
        "load", "cpus", (json_int_t)load.cpus, "cpus_busy", (json_int_t)load.cpus_busy,
        "tasks_waiting", (json_int_t)load.tasks_waiting, "workers", (json_int_t)load.workers);
    if (statement_sign(statement, peers->key, out, &error) != OK) {
        peers_say(peers, "heartbeat_unsigned", &error);
    }
}

void peers_log_changed(struct peers *peers)
{
    enum { SPREAD_US = 250000 };
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (size_t i = 0; i < peers->count; i++) {
        struct site *site = peers->by_name[i];
        if (site_is_our_hub(site) && site->hub->exchange.failures == 0) {
            schedule_want(&peers->exchanges, &site->hub->exchange,
                          now_us + pace_spread_us(SPREAD_US, peers_random()));
        }
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    peers_wake(peers);
}

void peers_mirror_advanced(struct peers *peers, const struct fingerprint *fingerprint)
{
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, fingerprint);
    if (site) {
        site_touch(peers, site);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}
