// The table of sites in memory: found by key, name and number.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/pace.h"
#include "peers/state.h"
#include "peers/watch.h"

#include <stdio.h>

enum { CAPACITY_FIRST = 64 };

struct site *sites_find_text(const struct peers *peers, struct text fingerprint)
{
    return map_find_text(peers->by_fingerprint, fingerprint);
}

struct site *sites_find(const struct peers *peers, const struct fingerprint *fingerprint)
{
    return sites_find_text(peers, text_of(fingerprint->text));
}

static int compare(const struct site *a, const struct site *b)
{
    int order = text_compare(text_of(a->name), text_of(b->name));
    return order != 0 ? order : strcmp(a->fingerprint.text, b->fingerprint.text);
}

// Where the site stands by name, or is to be put.
static size_t find_place(const struct peers *peers, const struct site *site)
{
    size_t from = 0;
    size_t to = peers->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare(peers->by_name[middle], site) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

size_t sites_find_name(const struct peers *peers, const char *name)
{
    size_t from = 0;
    size_t to = peers->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(peers->by_name[middle]->name, name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static void insert_by_name(struct peers *peers, struct site *site)
{
    if (peers->count == peers->capacity) {
        peers->capacity = peers->capacity > 0 ? peers->capacity * 2 : CAPACITY_FIRST;
        peers->by_name = memory_resize(peers->by_name, peers->capacity, sizeof(struct site *));
    }
    size_t at = find_place(peers, site);
    memmove(peers->by_name + at + 1, peers->by_name + at,
            (peers->count - at) * sizeof(struct site *));
    peers->by_name[at] = site;
    peers->count++;
}

static void remove_by_name(struct peers *peers, const struct site *site)
{
    size_t at = find_place(peers, site);
    peers->count--;
    memmove(peers->by_name + at, peers->by_name + at + 1,
            (peers->count - at) * sizeof(struct site *));
}

struct site *sites_add(struct peers *peers, const struct fingerprint *fingerprint)
{
    struct site *site = NEW(struct site);
    site->fingerprint = *fingerprint;
    site->name = memory_copy_string("");
    site->url = memory_copy_string("");
    site->bytes_per_second = -1;
    (void)map_set_text(peers->by_fingerprint, text_of(fingerprint->text), site);
    insert_by_name(peers, site);
    return site;
}

void site_set_text(char **field, struct text text)
{
    free(*field);
    *field = text_copy(text);
}

void site_set_problem(char **field, const char *text)
{
    free(*field);
    *field = *text ? memory_format("%.*s", PEERS_PROBLEM_MAX, text) : NULL;
}

// The first URL that is not too long.
static struct text best_url(const struct site_statement *read)
{
    size_t at = 0;
    json_t *url = NULL;
    json_array_foreach(read->urls, at, url)
    {
        struct text text = json_text(url);
        if (text.length > 0 && text.length <= PEER_URL_MAX) {
            return text;
        }
    }
    return TEXT_NONE;
}

static void set_number(struct peers *peers, struct site *site, uint32_t number)
{
    if (number == 0) {
        return;
    }
    if (number >= peers->number_count) {
        size_t count = peers->number_count > 0 ? peers->number_count : CAPACITY_FIRST;
        while (count <= number) {
            count *= 2;
        }
        peers->by_number = memory_resize(peers->by_number, count, sizeof(struct site *));
        memset(peers->by_number + peers->number_count, 0,
               (count - peers->number_count) * sizeof(struct site *));
        peers->number_count = count;
    }
    site->number = number;
    peers->by_number[number] = site;
}

void sites_set_statement(struct peers *peers, struct site *site, const struct site_statement *read,
                         struct text statement, uint32_t number)
{
    remove_by_name(peers, site);
    site_set_text(&site->name, text_slice(text_of(read->name), 0, PEER_NAME_MAX));
    insert_by_name(peers, site);
    site_set_text(&site->url, best_url(read));
    site_set_text(&site->statement, statement);
    (void)snprintf(site->version, sizeof site->version, "%s", read->version);
    if (!site->has_statement) {
        // Never changed: it is what the fingerprint is of, and is read without the lock.
        site->key = read->key;
        site->has_statement = true;
    }
    site->statement_time_us = read->time_us;
    site->is_hub = read->is_hub;
    set_number(peers, site, number);
}

struct hub *sites_make_hub(struct site *site)
{
    if (!site->hub) {
        site->hub = NEW(struct hub);
        site->hub->site = site;
    }
    return site->hub;
}

static void free_site(struct site *site)
{
    if (site->hub) {
        free(site->hub->cursor);
        free(site->hub);
    }
    free(site->name);
    free(site->url);
    free(site->statement);
    free(site->heartbeat);
    free(site->log_problem);
    free(site->call_problem);
    free(site);
}

void sites_free(struct peers *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        free_site(peers->by_name[i]);
    }
    free(peers->by_name);
    free(peers->by_number);
    map_free(peers->by_fingerprint);
    schedule_done(&peers->exchanges);
    schedule_done(&peers->changes);
    schedule_done(&peers->polls);
    schedule_done(&peers->fetches);
}

const char *site_label(struct peers *peers, const struct site *site, char out[SITE_LABEL_SIZE])
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    (void)snprintf(out, SITE_LABEL_SIZE, "%s (%.23s)", site->name, site->fingerprint.text);
    (void)pthread_rwlock_unlock(&peers->lock);
    return out;
}

bool site_is_our_hub(const struct site *site)
{
    return site->hub && site->hub->added > 0;
}

const char *site_call_url(const struct site *site)
{
    return site_is_our_hub(site) ? site->hub->url : site->url;
}

static int64_t median_rtt(const struct site *site)
{
    unsigned count = site->rtt_count < PEERS_RTT_SAMPLES ? site->rtt_count : PEERS_RTT_SAMPLES;
    if (count == 0) {
        return -1;
    }
    int32_t sorted[PEERS_RTT_SAMPLES];
    for (unsigned i = 0; i < count; i++) {
        unsigned at = i;
        for (; at > 0 && sorted[at - 1] > site->rtt_us[i]; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = site->rtt_us[i];
    }
    return sorted[count / 2];
}

static void copy_text(const char *text, char *out, size_t size)
{
    size_t length = strnlen(text, size - 1);
    memcpy(out, text, length);
    out[length] = '\0';
}

enum peer_liveness site_liveness(const struct site *site, int64_t now_us)
{
    return site->heard_us == 0
               ? LIVENESS_NEVER
               : pace_liveness(now_us - site->heard_us - site->away_us, site->ttl_us);
}

void site_describe_briefly(const struct site *site, int64_t now_us, struct peer *out)
{
    int64_t silent_us = site->heard_us != 0 ? now_us - site->heard_us : -1;
    const char *problem = site->log_problem ? site->log_problem : site->call_problem;
    const char *url = site->url[0] ? site->url : site_call_url(site);
    *out = (struct peer){
        .site = site->fingerprint,
        .key = site->key,
        .number = site->number,
        .standing = site->standing,
        .standing_by_hub = site->standing_by_hub,
        .is_vouched = site->vouched_us > 0,
        .is_hub = site->is_hub,
        .is_our_hub = site_is_our_hub(site),
        .liveness = site_liveness(site, now_us),
        .heard_seconds = silent_us < 0 ? -1 : silent_us / 1000000,
        .has_clock_offset = site->clock != CLOCK_UNKNOWN,
        .clock_offset_us = site->clock_offset_us,
        .rtt_us = median_rtt(site),
        .bytes_per_second = site->bytes_per_second,
        .cpus = site->load.cpus,
        .cpus_busy = site->load.cpus_busy,
        .tasks_waiting = site->load.tasks_waiting,
    };
    copy_text(site->name, out->name, sizeof out->name);
    copy_text(url, out->url, sizeof out->url);
    if (site->told_by && (site->is_heard_by_hub || site->heard_us == 0)) {
        const char *hub = site->told_by->name;
        copy_text(hub[0] ? hub : site->told_by->fingerprint.text, out->by_hub, sizeof out->by_hub);
    }
    copy_text(site->version, out->version, sizeof out->version);
    copy_text(problem ? problem : "", out->problem, sizeof out->problem);
}

void site_describe(struct peers *peers, const struct site *site, int64_t now_us, struct peer *out)
{
    site_describe_briefly(site, now_us, out);
    if (peers->mirror) {
        out->position = mirror_position(peers->mirror, &site->fingerprint);
        out->is_lacking = mirror_lacks(peers->mirror, &site->fingerprint);
    }
}

void site_touch(struct peers *peers, struct site *site)
{
    if (peers->mirror && site->has_statement) {
        feed_touch(&peers->feed, &site->feed);
        watch_wake(peers);
    }
}

bool site_is_followed_hub(const struct site *site)
{
    return site->hub && site->is_hub && site->standing != STANDING_DENIED &&
           (site->hub->added > 0 || site->standing == STANDING_MEMBER);
}

static void arrange_hub(struct peers *peers, struct site *site, int64_t now_us)
{
    struct hub *hub = site->hub;
    if (!hub) {
        return;
    }
    if (hub->added == 0) {
        schedule_drop(&peers->exchanges, &hub->exchange);
    }
    bool is_read = peers->mirror && site_is_followed_hub(site) && site_call_url(site)[0];
    if (!is_read && peers->overview.asked != site) {
        schedule_drop(&peers->changes, &hub->changes);
    } else if (is_read && hub->changes.at == 0 && !hub->changes.is_running) {
        schedule_set(&peers->changes, &hub->changes,
                     now_us + pace_spread_us(peers->heartbeat_us / 4, peers_random()));
    }
}

void site_arrange(struct peers *peers, struct site *site, int64_t now_us)
{
    bool is_hub_member = peers->mirror && site->is_hub && site->standing == STANDING_MEMBER;
    if (is_hub_member) {
        (void)sites_make_hub(site);
    }
    arrange_hub(peers, site, now_us);
    bool is_polled = peers->mirror && site->has_statement && site->url[0] &&
                     (site->mode & peers->wants & PEERS_POLL) != 0 &&
                     site->standing != STANDING_DENIED;
    if (!is_polled) {
        schedule_drop(&peers->polls, &site->poll);
    } else if (site->poll.at == 0 && !site->poll.is_running) {
        schedule_set(&peers->polls, &site->poll,
                     now_us + pace_spread_us(peers->heartbeat_us / 4, peers_random()));
    }
}
