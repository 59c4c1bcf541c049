// What an operator sees and decides of other sites: hubs, sites, standing. Changes are in the audit log.
#include "api/answer.h"
#include "api/audit.h"
#include "api/documents.h"

#include "base/memory.h"
#include "peers/peers.h"

#include <stdio.h>

enum { OBJECT_SIZE = 256 };

static void set_text(json_t *object, const char *name, const char *text)
{
    (void)json_object_set_new(object, name, *text ? json_from_text(text_of(text)) : json_null());
}

static void set_number(json_t *object, const char *name, int64_t number)
{
    (void)json_object_set_new(object, name, number < 0 ? json_null() : json_integer(number));
}

static void describe_load(const struct peer *peer, json_t *out)
{
    bool is_known = peer->liveness != LIVENESS_NEVER && peer->cpus > 0;
    (void)json_object_set_new(out, "load",
                              is_known ? json_real((double)peer->cpus_busy / (double)peer->cpus)
                                       : json_null());
    set_number(out, "cpus", is_known ? peer->cpus : -1);
    set_number(out, "cpus_busy", is_known ? peer->cpus_busy : -1);
    set_number(out, "tasks_waiting", is_known ? peer->tasks_waiting : -1);
}

static json_t *describe_peer(const struct peer *peer)
{
    json_t *out = json_object();
    (void)json_object_set_new(out, "name", json_from_text(text_of(peer->name)));
    (void)json_object_set_new(out, "fingerprint", json_string(peer->site.text));
    set_text(out, "url", peer->url);
    set_text(out, "version", peer->version);
    (void)json_object_set_new(out, "state", json_string(peer_liveness_name(peer->liveness)));
    (void)json_object_set_new(out, "standing", json_string(peer_standing_name(peer->standing)));
    (void)json_object_set_new(out, "standing_by_hub",
                              json_string(peer_standing_name(peer->standing_by_hub)));
    set_text(out, "by_hub", peer->by_hub);
    (void)json_object_set_new(out, "is_vouched", json_boolean(peer->is_vouched));
    (void)json_object_set_new(out, "is_hub", json_boolean(peer->is_hub));
    (void)json_object_set_new(out, "is_our_hub", json_boolean(peer->is_our_hub));
    set_number(out, "heard_seconds", peer->heard_seconds);
    (void)json_object_set_new(
        out, "clock_offset_seconds",
        peer->has_clock_offset ? json_real((double)peer->clock_offset_us / 1e6) : json_null());
    (void)json_object_set_new(
        out, "rtt_ms", peer->rtt_us < 0 ? json_null() : json_real((double)peer->rtt_us / 1e3));
    set_number(out, "bytes_per_second", peer->bytes_per_second);
    describe_load(peer, out);
    (void)json_object_set_new(out, "epoch", json_integer(peer->position.epoch));
    (void)json_object_set_new(out, "serial", json_integer(peer->position.serial));
    (void)json_object_set_new(out, "is_lacking", json_boolean(peer->is_lacking));
    set_text(out, "problem", peer->problem);
    return out;
}

static json_t *describe_hub(const struct peer_hub *hub)
{
    json_t *out = describe_peer(&hub->peer);
    (void)json_object_set_new(out, "mode", json_string(peers_mode_name(hub->mode)));
    (void)json_object_set_new(out, "standing_there",
                              json_string(peer_standing_name(hub->standing)));
    (void)json_object_set_new(out, "epoch_there", json_integer(hub->position.epoch));
    (void)json_object_set_new(out, "serial_there", json_integer(hub->position.serial));
    (void)json_object_set_new(out, "is_current", json_boolean(hub->is_current));
    (void)json_object_set_new(out, "catching_up", json_integer(hub->catching_up));
    return out;
}

static json_t *describe_overview(struct peers *peers)
{
    struct peers_overview overview;
    peers_overview(peers, &overview);
    json_t *out = json_pack("{s:s, s:b}", "source", overview.source, "is_complete",
                            (int)overview.is_complete);
    set_text(out, "hub", overview.hub);
    set_number(out, "age_seconds", overview.age_seconds);
    (void)json_object_set_new(out, "catching_up", json_integer(overview.catching_up));
    json_t *problems = json_array();
    for (size_t i = 0; i < overview.problem_count; i++) {
        (void)json_array_append_new(problems, json_from_text(text_of(overview.problems[i])));
    }
    (void)json_object_set_new(out, "problems", problems);
    return out;
}

static void answer_sites(void *context)
{
    struct api_call *call = context;
    struct error error = {0};
    struct text cursor = TEXT_NONE;
    int64_t limit = 0;
    if (answer_failure(call, api_query_limit(call, &limit, &error), &error)) {
        return;
    }
    (void)http_query(call->request, "cursor", &cursor);
    AUTO_FREE struct peer *found = memory_new((size_t)limit + 1, sizeof *found);
    size_t count = peers_list(call->api->peers, arena_copy(call->request->arena, cursor),
                              (size_t)limit + 1, found);
    bool is_more = count > (size_t)limit;
    count = is_more ? (size_t)limit : count;
    json_t *sites = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(sites, describe_peer(&found[i]));
    }
    json_t *answer = json_object();
    (void)json_object_set_new(answer, "sites", sites);
    (void)json_object_set_new(answer, "next",
                              is_more ? json_string(found[count - 1].site.text) : json_null());
    (void)json_object_set_new(answer, "overview", describe_overview(call->api->peers));
    api_reply_value(call, 200, answer);
}

// The first page is what the hubs see now; those behind it go on with that.
static void list_sites(struct api_call *call)
{
    struct text cursor = TEXT_NONE;
    if (http_query(call->request, "cursor", &cursor)) {
        answer_sites(call);
    } else {
        peers_look_around(call->api->peers, answer_sites, call);
    }
}

// A site as people name it, in the path; one that is not known yet by its whole fingerprint.
static enum status find_site(const struct api_call *call, struct peer *out, struct error *error)
{
    struct digest digest;
    struct text said = call->request->parameters[0];
    enum status status = peers_find_named(call->api->peers, said, out, error);
    if (status == NOT_FOUND && text_starts_with(said, TEXT("sha256:")) &&
        digest_from_text(said, &digest, NULL) == OK) {
        *out = (struct peer){0};
        (void)digest_to_text(&digest, out->site.text);
        return OK;
    }
    return status;
}

struct witness {
    const struct api_call *call;
    const char *what; // "standing member of", "hub added"
};

static enum status write_audit(struct sql *sql, void *context, const struct peer *peer,
                               struct error *error)
{
    const struct witness *witness = context;
    char object[OBJECT_SIZE];
    (void)snprintf(object, sizeof object, "%s %s%s%s", witness->what, peer->name,
                   peer->name[0] ? " " : "", peer->site.text);
    return audit_change(sql, witness->call, ACTION_SITE_CHANGE, object, error);
}

static void post_standing(struct api_call *call)
{
    struct error error = {0};
    struct peer peer;
    char what[OBJECT_SIZE] = "";
    AUTO_JSON json_t *document = NULL;
    enum peer_standing standing = STANDING_UNKNOWN;
    struct witness witness = {.call = call, .what = what};
    const struct peers_witness hook = {.write = write_audit, .context = &witness};
    enum status status = api_body(call, &document, &error);
    status = status == OK ? standing_document_read(document, &standing, &error) : status;
    status = status == OK ? find_site(call, &peer, &error) : status;
    if (status == OK) {
        (void)snprintf(what, sizeof what, "standing %s of site", peer_standing_name(standing));
        status = peers_set_standing(call->api->peers, &peer.site, standing, &hook, &error);
    }
    if (!answer_failure(call, status, &error)) {
        (void)peers_find(call->api->peers, &peer.site, &peer);
        api_reply_value(call, 200, describe_peer(&peer));
    }
}

static void list_hubs(struct api_call *call)
{
    AUTO_FREE struct peer_hub *hubs = memory_new(PEERS_HUBS_MAX, sizeof *hubs);
    size_t count = peers_list_hubs(call->api->peers, hubs, PEERS_HUBS_MAX);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, describe_hub(&hubs[i]));
    }
    json_t *answer = json_object();
    (void)json_object_set_new(answer, "hubs", list);
    (void)json_object_set_new(answer, "next", json_null());
    api_reply_value(call, 200, answer);
}

static void reply_hub(struct api_call *call, int code, const struct fingerprint *site,
                      const char *problem)
{
    AUTO_FREE struct peer_hub *hubs = memory_new(PEERS_HUBS_MAX, sizeof *hubs);
    size_t count = peers_list_hubs(call->api->peers, hubs, PEERS_HUBS_MAX);
    json_t *answer = json_object();
    for (size_t i = 0; i < count; i++) {
        if (strcmp(hubs[i].peer.site.text, site->text) == 0) {
            json_decref(answer);
            answer = describe_hub(&hubs[i]);
        }
    }
    if (problem) {
        set_text(answer, "problem", problem);
    }
    api_reply_value(call, code, answer);
}

static void post_hub(struct api_call *call)
{
    struct error error = {0};
    struct peer peer = {0};
    AUTO_JSON json_t *document = NULL;
    struct witness witness = {.call = call, .what = "hub added"};
    struct peers_hub_request request = {.witness = {.write = write_audit, .context = &witness}};
    enum status status = api_body(call, &document, &error);
    status = status == OK ? hub_document_read(document, &request, &error) : status;
    status = status == OK ? peers_add_hub(call->api->peers, &request, &peer, &error) : status;
    // A hub that is away is kept all the same: that is an answer, with what is the matter.
    bool is_kept = status == OK || (status == UNAVAILABLE && peer.site.text[0]);
    if (is_kept || !answer_failure(call, status, &error)) {
        reply_hub(call, status == OK ? 201 : 202, &peer.site, status == OK ? NULL : error.detail);
    }
}

static void delete_hub(struct api_call *call)
{
    struct error error = {0};
    struct peer peer;
    struct witness witness = {.call = call, .what = "hub removed"};
    const struct peers_witness hook = {.write = write_audit, .context = &witness};
    enum status status = find_site(call, &peer, &error);
    if (status == OK) {
        status = peers_remove_hub(call->api->peers, &peer.site, &hook, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_nothing(call);
    }
}

static const char *const PAGE[] = {"limit", "cursor", NULL};

const struct api_route API_HUB_ROUTES[] = {
    {.method = "GET",
     .pattern = "/v1/hubs",
     .action = ACTION_SITE_READ,
     .handle = list_hubs,
     .query = PAGE},
    {.method = "POST",
     .pattern = "/v1/hubs",
     .action = ACTION_SITE_CHANGE,
     .place = API_ON_POOL,
     .handle = post_hub,
     .body_max = API_JSON_MAX},
    {.method = "DELETE",
     .pattern = "/v1/hubs/{site}",
     .action = ACTION_SITE_CHANGE,
     .place = API_ON_POOL,
     .handle = delete_hub},
    {.method = "GET",
     .pattern = "/v1/sites",
     .action = ACTION_SITE_READ,
     .handle = list_sites,
     .query = PAGE},
    {.method = "POST",
     .pattern = "/v1/sites/{site}/standing",
     .action = ACTION_SITE_CHANGE,
     .place = API_ON_POOL,
     .handle = post_standing,
     .body_max = API_JSON_MAX},
    {.method = NULL},
};
