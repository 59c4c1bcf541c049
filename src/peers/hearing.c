// What hearing a site means.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/expected.h"

json_t *peers_position_json(const struct ledger_position *position)
{
    char head[DIGEST_TEXT_SIZE];
    return json_pack("{s:I, s:I, s:s}", "epoch", (json_int_t)position->epoch, "serial",
                     (json_int_t)position->serial, "head", digest_to_text(&position->head, head));
}

enum status log_check_end(struct peers *peers, const struct site *site,
                          const struct ledger_position *said, const struct ledger_position *have,
                          struct error *error)
{
    bool is_older =
        said->epoch < have->epoch || (said->epoch == have->epoch && said->serial < have->serial);
    bool is_other = said->epoch == have->epoch && said->serial == have->serial &&
                    have->serial > 0 && !digest_equal(&said->head, &have->head);
    if (!is_older && !is_other) {
        return OK;
    }
    char label[SITE_LABEL_SIZE];
    return error_set(error, CORRUPT,
                     "%s says that its log ends at epoch %lld serial %lld, but epoch "
                     "%lld serial %lld was taken%s: an old log was replayed, or the log rewritten",
                     site_label(peers, site, label), (long long)said->epoch,
                     (long long)said->serial, (long long)have->epoch, (long long)have->serial,
                     is_other ? " with another head" : "");
}

static void take_heartbeat(struct peers *peers, struct site *site,
                           const struct said_heartbeat *heartbeat, struct text statement)
{
    site->ttl_us = heartbeat->ttl_us;
    site->heartbeat_time_us = heartbeat->time_us;
    site->load = heartbeat->load;
    expected_said(peers, site, &heartbeat->position);
    site_set_text(&site->heartbeat, statement);
    site_touch(peers, site);
}

void site_answered(struct peers *peers, struct site *site)
{
    site->heard_us = clock_steady_us();
    site->away_us = 0;
    site->is_heard_by_hub = false;
    site->ttl_us = site->ttl_us > 0 ? site->ttl_us : 3 * peers->heartbeat_us;
}

void site_heard(struct peers *peers, struct site *site, const struct said_heartbeat *heartbeat,
                struct text statement)
{
    site->clock = CLOCK_MEASURED;
    site->clock_offset_us = heartbeat->time_us - clock_real_us();
    take_heartbeat(peers, site, heartbeat, statement);
    site_answered(peers, site);
}

// A hub has heard the site when this one has not: only then is its word on how the site is worth more than our own.
static void take_hub_word(struct site *site, int64_t heard_us, int64_t now_us)
{
    bool is_up = !site->is_heard_by_hub && site_liveness(site, now_us) == LIVENESS_UP;
    if (!is_up && (site->heard_us == 0 || heard_us > site->heard_us)) {
        site->heard_us = heard_us != 0 ? heard_us : -1;
        site->away_us = 0;
        site->is_heard_by_hub = true;
    }
}

void site_told(struct peers *peers, struct site *site, struct site *hub,
               const struct said_news *news)
{
    int64_t now_us = clock_steady_us();
    site->told_by = hub;
    site->standing_by_hub = news->standing;
    // What comes by way of a hub was on the way for longer than clocks differ, so the hub says what it measured.
    if (news->has_clock_offset && site->clock != CLOCK_MEASURED) {
        site->clock = CLOCK_TOLD;
        site->clock_offset_us = news->clock_offset_us;
    }
    if (news->has_heartbeat &&
        (!site->heartbeat || news->heartbeat.time_us > site->heartbeat_time_us)) {
        take_hub_word(site, now_us - news->heard_us, now_us);
        take_heartbeat(peers, site, &news->heartbeat, buffer_text(&news->heartbeat_text));
    }
}

void site_told_itself(struct peers *peers, struct site *site, const struct said_news *news)
{
    // Two hubs that read each other's feeds would else tell each other of nothing but their telling.
    int64_t newer_us = news->heartbeat.time_us - site->heartbeat_time_us;
    bool is_news = !peers->mirror || newer_us < 0 || newer_us > peers->heartbeat_us / 2;
    if (news->has_heartbeat && is_news) {
        site_heard(peers, site, &news->heartbeat, buffer_text(&news->heartbeat_text));
    }
}

void site_measured(struct site *site, int64_t duration_us)
{
    int64_t bounded = duration_us < INT32_MAX ? duration_us : INT32_MAX;
    site->rtt_us[site->rtt_count % PEERS_RTT_SAMPLES] = (int32_t)bounded;
    site->rtt_count++;
}

void peers_measured(struct peers *peers, const struct fingerprint *fingerprint, int64_t bytes,
                    int64_t duration_us)
{
    if (bytes <= 0 || duration_us <= 0) {
        return;
    }
    int64_t rate = (int64_t)((double)bytes * 1e6 / (double)duration_us);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, fingerprint);
    if (site) {
        // The newest counts half: links change, and single transfers mislead.
        site->bytes_per_second =
            site->bytes_per_second < 0 ? rate : (site->bytes_per_second + rate) / 2;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}

void peers_measured_call(struct peers *peers, const struct fingerprint *fingerprint,
                         int64_t duration_us)
{
    if (duration_us <= 0) {
        return;
    }
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, fingerprint);
    if (site) {
        site_measured(site, duration_us);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}
