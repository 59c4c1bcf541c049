// Looking at what is known of sites: memory only, plain values out.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/state.h"

enum { PREFIX_MIN = 8, CANDIDATES_NAMED = 4 };

bool peers_find(struct peers *peers, const struct fingerprint *fingerprint, struct peer *out)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find(peers, fingerprint);
    if (site) {
        site_describe(peers, site, clock_steady_us(), out);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return site != NULL;
}

static bool fits_fingerprint(const struct site *site, struct text wanted)
{
    static const struct text KIND = {"sha256:", 7};
    struct text whole = text_of(site->fingerprint.text);
    struct text digits = text_slice(whole, KIND.length, whole.length);
    struct text prefix =
        text_starts_with(wanted, KIND) ? text_slice(wanted, KIND.length, wanted.length) : wanted;
    return prefix.length >= PREFIX_MIN && text_starts_with(digits, prefix);
}

static bool fits_url(const struct site *site, struct text wanted)
{
    return wanted.length > 0 && (text_equal(text_of(site->url), wanted) ||
                                 text_equal(text_of(site_call_url(site)), wanted));
}

// Who fits: a name goes before the rest, and among those of one name who was denied, here or by the hub that told of it, counts only when there is no other.
struct search {
    struct text wanted;
    const struct site *found[CANDIDATES_NAMED];
    size_t count;
    unsigned rank; // Of those found; greater is better.
};

static void consider(struct search *search, const struct site *site)
{
    bool is_named = site->name[0] && text_equal(text_of(site->name), search->wanted);
    if (!is_named && !fits_fingerprint(site, search->wanted) && !fits_url(site, search->wanted)) {
        return;
    }
    unsigned rank = is_named ? 2 : 1;
    bool is_denied =
        site->standing == STANDING_DENIED ||
        (site->standing == STANDING_UNKNOWN && site->standing_by_hub == STANDING_DENIED);
    rank = is_named && !is_denied ? 3 : rank;
    if (rank > search->rank) {
        search->rank = rank;
        search->count = 0;
    }
    if (rank == search->rank) {
        if (search->count < CANDIDATES_NAMED) {
            search->found[search->count] = site;
        }
        search->count++;
    }
}

static enum status say_ambiguous(const struct search *search, struct error *error)
{
    AUTO_BUFFER struct buffer names = {0};
    for (size_t i = 0; i < search->count && i < CANDIDATES_NAMED; i++) {
        buffer_printf(&names, "%s%s %.23s", i > 0 ? ", " : "", search->found[i]->name,
                      search->found[i]->fingerprint.text);
    }
    buffer_append_string(&names, search->count > CANDIDATES_NAMED ? ", ..." : "");
    enum status status = error_set(error, CONFLICT, "\"%.80s\" is the name of %zu sites: %s",
                                   search->wanted.bytes, search->count, names.bytes);
    error_fix(error, "give the fingerprint, or at least %d digits of it", PREFIX_MIN);
    return status;
}

enum status peers_find_named(struct peers *peers, struct text name, struct peer *out,
                             struct error *error)
{
    AUTO_FREE char *wanted = text_copy(name);
    struct search search = {.wanted = text_of(wanted)};
    (void)pthread_rwlock_rdlock(&peers->lock);
    for (size_t i = 0; i < peers->count; i++) {
        consider(&search, peers->by_name[i]);
    }
    enum status status = OK;
    if (search.count == 1) {
        site_describe(peers, search.found[0], clock_steady_us(), out);
    } else if (search.count > 1) {
        status = say_ambiguous(&search, error);
    } else {
        status = error_set(error, NOT_FOUND, "no site \"%.80s\" is known here", wanted);
        error_fix(error, "lode sites lists those that are");
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return status;
}

bool peers_visit_number(struct peers *peers, uint32_t number,
                        void (*visit)(void *context, const struct peer *peer), void *context)
{
    struct peer peer;
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = number < peers->number_count ? peers->by_number[number] : NULL;
    if (site) {
        site_describe_briefly(site, clock_steady_us(), &peer);
        visit(context, &peer);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return site != NULL;
}

size_t peers_count(struct peers *peers)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    size_t count = peers->count;
    (void)pthread_rwlock_unlock(&peers->lock);
    return count;
}

size_t peers_list(struct peers *peers, const char *after, size_t limit, struct peer *out)
{
    int64_t now_us = clock_steady_us();
    size_t count = 0;
    size_t at = 0;
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *last = sites_find_text(peers, text_of(after));
    while (last && at < peers->count && peers->by_name[at++] != last) {
    }
    for (; at < peers->count && count < limit; at++) {
        site_describe(peers, peers->by_name[at], now_us, &out[count++]);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return count;
}

static bool is_current(const struct peers *peers, const struct hub *hub)
{
    struct ledger_position own = ledger_position(peers->ledger);
    return hub->has_announced && hub->position.epoch == own.epoch &&
           hub->position.serial == own.serial;
}

size_t peers_list_hubs(struct peers *peers, struct peer_hub *out, size_t max)
{
    int64_t now_us = clock_steady_us();
    int64_t added[PEERS_HUBS_MAX + 1];
    size_t count = 0;
    (void)pthread_rwlock_rdlock(&peers->lock);
    for (size_t i = 0; i < peers->count && count < max && count < PEERS_HUBS_MAX; i++) {
        const struct site *site = peers->by_name[i];
        if (!site_is_our_hub(site)) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && added[at - 1] > site->hub->added; at--) {
            added[at] = added[at - 1];
            out[at] = out[at - 1];
        }
        added[at] = site->hub->added;
        out[at] = (struct peer_hub){.mode = site->hub->mode,
                                    .standing = site->hub->standing,
                                    .position = site->hub->position,
                                    .is_current = is_current(peers, site->hub),
                                    .catching_up = site->hub->catching_up};
        site_describe(peers, site, now_us, &out[at].peer);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return count;
}

const char *peer_standing_name(enum peer_standing standing)
{
    static const char *const NAMES[] = {"unknown", "pending", "member", "denied"};
    return NAMES[standing];
}

const char *peer_liveness_name(enum peer_liveness liveness)
{
    static const char *const NAMES[] = {"never", "up", "stale", "down"};
    return NAMES[liveness];
}

const char *peers_mode_name(enum peers_mode mode)
{
    static const char *const NAMES[] = {"none", "push", "poll", "both"};
    return NAMES[mode];
}

enum status peers_mode_from_text(struct text text, enum peers_mode *out, struct error *error)
{
    for (enum peers_mode mode = PEERS_PUSH; mode <= PEERS_BOTH; mode++) {
        if (text_equal(text, text_of(peers_mode_name(mode)))) {
            *out = mode;
            return OK;
        }
    }
    (void)error_set(error, INVALID, "\"%.20s\" is no way of keeping a log in step",
                    text.length > 0 ? text.bytes : "");
    error_fix(error, "push, poll or both");
    return INVALID;
}
