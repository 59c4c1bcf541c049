#include "peers/expected.h"

#include "ledger/mirror.h"

// Is anything expected of it?
static bool counts(const struct peers *peers, const struct site *site)
{
    bool is_in = site->standing == STANDING_MEMBER || site_is_our_hub(site) ||
                 (site->standing == STANDING_UNKNOWN && site->standing_by_hub == STANDING_MEMBER);
    return peers->mirror && is_in && site->standing != STANDING_DENIED && !site->log_problem;
}

void expected_said(struct peers *peers, struct site *site, const struct ledger_position *position)
{
    if (counts(peers, site)) {
        site->unsaid_until_us = 0;
        mirror_expect(peers->mirror, &site->fingerprint, position);
    }
}

void expected_unsaid(struct peers *peers, struct site *site, int64_t now_us)
{
    if (counts(peers, site)) {
        site->unsaid_until_us = now_us + EXPECTED_HEARTBEATS * peers->heartbeat_us;
        mirror_expect(peers->mirror, &site->fingerprint, NULL);
        if (peers->next_unsaid_us == 0 || site->unsaid_until_us < peers->next_unsaid_us) {
            peers->next_unsaid_us = site->unsaid_until_us;
        }
    }
}

void expected_review(struct peers *peers, struct site *site)
{
    if (peers->mirror && !counts(peers, site)) {
        site->unsaid_until_us = 0;
        mirror_expect_nothing(peers->mirror, &site->fingerprint);
    }
}

int64_t expected_run(struct peers *peers, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    (void)pthread_rwlock_wrlock(&peers->lock);
    if (peers->next_unsaid_us == 0 || now_us < peers->next_unsaid_us) {
        next_us = peers->next_unsaid_us == 0 ? INT64_MAX : peers->next_unsaid_us;
        (void)pthread_rwlock_unlock(&peers->lock);
        return next_us;
    }
    for (size_t i = 0; i < peers->count; i++) {
        struct site *site = peers->by_name[i];
        if (site->unsaid_until_us == 0) {
            continue;
        }
        if (site->unsaid_until_us <= now_us) {
            site->unsaid_until_us = 0;
            mirror_expect_nothing(peers->mirror, &site->fingerprint);
        } else if (site->unsaid_until_us < next_us) {
            next_us = site->unsaid_until_us;
        }
    }
    peers->next_unsaid_us = next_us == INT64_MAX ? 0 : next_us;
    (void)pthread_rwlock_unlock(&peers->lock);
    return next_us;
}
