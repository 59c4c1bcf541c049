#include "site/resolve_adapter.h"

#include "base/memory.h"

#include <stdio.h>

typedef void visit_fn(void *visitor, const struct resolve_site *site);

struct visit {
    visit_fn *visit;
    void *visitor;
};

static int64_t load_permille(int64_t cpus, int64_t busy)
{
    return cpus > 0 ? busy * 1000 / cpus : -1;
}

static void visit_peer(void *context, const struct peer *peer)
{
    const struct visit *visit = context;
    const char *liveness = peer_liveness_name(peer->liveness);
    const struct resolve_site site = {
        .site = peer->site,
        .key = peer->key,
        .name = peer->name,
        .url = peer->url,
        .standing = peer_standing_name(peer->standing),
        .liveness = liveness,
        .liveness_rank = resolve_liveness_rank(text_of(liveness)),
        .heard_seconds = peer->heard_seconds,
        .load_permille = load_permille(peer->cpus, peer->cpus_busy),
        .rtt_us = peer->rtt_us,
        .is_heard = peer->liveness == LIVENESS_UP && !peer->by_hub[0],
    };
    visit->visit(visit->visitor, &site);
}

static void visit_self(const struct resolve_adapter *adapter, visit_fn *visit, void *visitor)
{
    struct peers_load load = {0};
    const char *url = atomic_load(&adapter->url);
    federation_tell_load(adapter->federation, &load);
    const struct resolve_site site = {
        .site = *signing_key_fingerprint(adapter->federation->key),
        .key = *signing_key_public(adapter->federation->key),
        .name = adapter->name,
        .url = url ? url : "",
        .standing = peer_standing_name(STANDING_MEMBER),
        .liveness = peer_liveness_name(LIVENESS_UP),
        .load_permille = load_permille(load.cpus, load.cpus_busy),
        .rtt_us = 0,
        .is_self = true,
    };
    visit(visitor, &site);
}

static bool visit_number(void *context, uint32_t number, visit_fn *visit, void *visitor)
{
    const struct resolve_adapter *adapter = context;
    struct visit visited = {visit, visitor};
    if (number == adapter->federation->own_number) {
        visit_self(adapter, visit, visitor);
        return true;
    }
    return peers_visit_number(adapter->federation->peers, number, visit_peer, &visited);
}

static bool visit_fingerprint(void *context, const struct fingerprint *fingerprint, visit_fn *visit,
                              void *visitor)
{
    const struct resolve_adapter *adapter = context;
    const struct federation *federation = adapter->federation;
    struct visit visited = {visit, visitor};
    struct peer peer;
    if (strcmp(signing_key_fingerprint(federation->key)->text, fingerprint->text) == 0) {
        visit_self(adapter, visit, visitor);
        return true;
    }
    if (!peers_find(federation->peers, fingerprint, &peer)) {
        return false;
    }
    // A site that has only called here is known by its fingerprint alone: it has shown no key that could verify anything.
    struct fingerprint said = public_key_fingerprint(&peer.key);
    if (strcmp(said.text, fingerprint->text) != 0) {
        return false;
    }
    visit_peer(&visited, &peer);
    return true;
}

// A hub that was heard lately is asked before others, then one that had all logs, then the nearer one.
static bool is_better(const struct peer_hub *a, const struct peer_hub *b)
{
    int rank_a = resolve_liveness_rank(text_of(peer_liveness_name(a->peer.liveness)));
    int rank_b = resolve_liveness_rank(text_of(peer_liveness_name(b->peer.liveness)));
    bool is_whole_a = a->catching_up == 0;
    bool is_whole_b = b->catching_up == 0;
    if (rank_a != rank_b || is_whole_a != is_whole_b) {
        return rank_a != rank_b ? rank_a < rank_b : is_whole_a;
    }
    return a->peer.rtt_us >= 0 && (b->peer.rtt_us < 0 || a->peer.rtt_us < b->peer.rtt_us);
}

static size_t list_hubs(void *context, struct resolve_hub *out, size_t max)
{
    const struct resolve_adapter *adapter = context;
    AUTO_FREE struct peer_hub *hubs = memory_new(PEERS_HUBS_MAX, sizeof *hubs);
    size_t count = peers_list_hubs(adapter->federation->peers, hubs, PEERS_HUBS_MAX);
    for (size_t i = 1; i < count; i++) {
        struct peer_hub hub = hubs[i];
        size_t at = i;
        for (; at > 0 && is_better(&hub, &hubs[at - 1]); at--) {
            hubs[at] = hubs[at - 1];
        }
        hubs[at] = hub;
    }
    size_t used = 0;
    for (size_t i = 0; i < count && used < max; i++) {
        if (hubs[i].peer.url[0]) {
            struct resolve_hub *hub = &out[used++];
            hub->site = hubs[i].peer.site;
            (void)snprintf(hub->url, sizeof hub->url, "%s", hubs[i].peer.url);
            (void)snprintf(hub->name, sizeof hub->name, "%s", hubs[i].peer.name);
        }
    }
    return used;
}

static bool has_own(void *context)
{
    const struct resolve_adapter *adapter = context;
    return ledger_position(adapter->federation->ledger).serial > 0;
}

static bool index_has_own(void *context)
{
    const struct resolve_adapter *adapter = context;
    const struct self_copy *copy = adapter->federation->self_copy;
    return copy && self_copy_is_current(copy);
}

static enum status own_entry(void *context, struct text name, struct buffer *out,
                             struct error *error)
{
    const struct resolve_adapter *adapter = context;
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    TRY(catalog_find(adapter->catalog, name, &arena, &dataset, error));
    return ledger_find_entry(adapter->federation->ledger, text_of(dataset.id), out, error);
}

static void note_distance(void *context, const struct fingerprint *site, int64_t rtt_us)
{
    const struct resolve_adapter *adapter = context;
    peers_measured_call(adapter->federation->peers, site, rtt_us);
}

const struct resolve_ops RESOLVE_ADAPTER = {
    .visit_site = visit_number,
    .visit_fingerprint = visit_fingerprint,
    .hubs = list_hubs,
    .has_own = has_own,
    .index_has_own = index_has_own,
    .note_distance = note_distance,
    .own_entry = own_entry,
};
