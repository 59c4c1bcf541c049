// May jobs come from that site? By our own operator's word, or by that of the hubs that our operator chose.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/change.h"
#include "peers/outgoing.h"

#include <stdio.h>

enum { INQUIRY_US = 3000000, UNHEEDED_US = 10000000, PATH_SIZE = 160 };

struct inquiry {
    const struct fingerprint *site;
    size_t waiting;
    size_t answered;
    bool is_member;
};

static void on_answer(void *context, const struct http_answer *answer)
{
    struct inquiry *inquiry = context;
    AUTO_JSON json_t *object = NULL;
    struct site_statement read;
    inquiry->waiting--;
    inquiry->answered += answer->code == 200 || answer->code == 404;
    if (answer->code != 200 || json_parse(answer->body, &object, NULL) != OK ||
        site_statement_read(json_object_get(object, "statement"), &read, NULL) != OK ||
        strcmp(read.site.text, inquiry->site->text) != 0) {
        return;
    }
    inquiry->is_member = inquiry->is_member ||
                         text_equal(json_text(json_object_get(object, "standing")), TEXT("member"));
}

// Asks all our hubs at once; OK when at least one answered.
static enum status ask_hubs(struct peers *peers, struct inquiry *inquiry, struct error *error)
{
    AUTO_FREE struct peer_hub *hubs = memory_new(PEERS_HUBS_MAX, sizeof *hubs);
    struct http_client *client = NULL;
    char path[PATH_SIZE];
    const struct http_client_options options = {
        .key_path = peers->key_path,
        .certificate_path = peers->certificate_path,
        .connect_timeout_us = INQUIRY_US,
    };
    size_t count = peers_list_hubs(peers, hubs, PEERS_HUBS_MAX);
    TRY(http_client_new(&options, &client, error));
    (void)snprintf(path, sizeof path, "/v1/federation/sites/%s", inquiry->site->text);
    for (size_t i = 0; i < count; i++) {
        const struct http_peer hub = {.base_url = hubs[i].peer.url, .pin = hubs[i].peer.site.text};
        const struct http_ask ask = {.peer = &hub,
                                     .method = "GET",
                                     .path = path,
                                     .answer_size_max = PEERS_ANSWER_SIZE_MAX,
                                     .timeout_us = INQUIRY_US,
                                     .context = inquiry};
        inquiry->waiting++;
        (void)http_client_start(client, &ask, on_answer);
    }
    while (inquiry->waiting > 0 && !inquiry->is_member) {
        (void)http_client_wait(client, NULL, 0, INQUIRY_US);
    }
    http_client_free(client);
    return inquiry->answered > 0
               ? OK
               : error_set(error, UNAVAILABLE, "none of the %zu hubs of this site answers", count);
}

// What is known without asking.
struct standing {
    enum peer_standing standing;
    bool is_vouched;
    bool is_fresh; // Asked lately.
    char label[SITE_LABEL_SIZE];
};

static struct standing look_up(struct peers *peers, const struct fingerprint *fingerprint)
{
    struct standing out = {0};
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find(peers, fingerprint);
    if (site) {
        out.standing = site->standing;
        // Who says which sites are members is one: our hub.
        out.is_vouched = site->vouched_us > 0 || site_is_our_hub(site);
        out.is_fresh = site_is_our_hub(site) ? true
                       : out.is_vouched
                           ? now_us - site->vouched_us < PEERS_VOUCHED_US
                           : site->asked_us > 0 && now_us - site->asked_us < UNHEEDED_US;
    }
    bool is_named = site && site->name[0];
    (void)snprintf(out.label, sizeof out.label, is_named ? "%s (%.23s)" : "%s%.23s",
                   is_named ? site->name : "", fingerprint->text);
    (void)pthread_rwlock_unlock(&peers->lock);
    return out;
}

static void note(struct peers *peers, const struct inquiry *inquiry)
{
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find(peers, inquiry->site);
    if (!site && inquiry->is_member && peers->count < PEERS_SITES_MAX) {
        site = sites_add(peers, inquiry->site);
    }
    if (site) {
        site->vouched_us = inquiry->is_member ? now_us : 0;
        site->asked_us = now_us;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}

static enum status refuse(const struct standing *known, const struct fingerprint *site,
                          const char *reason, struct error *error)
{
    (void)error_set(error, DENIED, "this site takes no jobs from %s: %s", known->label, reason);
    error_fix(error, "its operator lets that site in with: lode sites accept %.23s", site->text);
    return DENIED;
}

enum status peers_check_guest(struct peers *peers, const struct fingerprint *site,
                              const char *policy, struct error *error)
{
    struct error absence = {0};
    struct inquiry inquiry = {.site = site};
    struct standing known = look_up(peers, site);
    if (strcmp(site->text, signing_key_fingerprint(peers->key)->text) == 0) {
        return OK;
    }
    if (known.standing == STANDING_DENIED) {
        return refuse(&known, site, "its operator has denied it", error);
    }
    if (strcmp(policy, "none") == 0) {
        (void)error_set(error, DENIED, "this site takes no jobs from other sites");
        error_fix(error, "its operator changes that with: lode site --guests members");
        return DENIED;
    }
    if (known.standing == STANDING_MEMBER) {
        return OK;
    }
    if (strcmp(policy, "members") != 0) {
        return refuse(&known, site, "its operator has not accepted it", error);
    }
    if (!known.is_fresh) {
        // When nobody can be asked, what was said before still holds.
        if (ask_hubs(peers, &inquiry, &absence) != OK) {
            return known.is_vouched ? OK : refuse(&known, site, absence.detail, error);
        }
        note(peers, &inquiry);
        known.is_vouched = inquiry.is_member;
    }
    return known.is_vouched
               ? OK
               : refuse(&known, site, "no hub of this site says that it is a member", error);
}
