// What the operator of this site decides: its hubs, and who is a member.
#include "base/memory.h"
#include "os/clock.h"
#include "peers/change.h"
#include "peers/outgoing.h"

#include <stdio.h>

enum { MEETING_US = 15000000, PATH_SIZE = 64 };

static enum status make_client(const struct peers *peers, const struct peers_hub_request *request,
                               struct http_client **out, struct error *error)
{
    AUTO_FREE char *url = text_copy(request->url);
    AUTO_FREE char *pin = text_copy(request->fingerprint);
    const struct http_client_options options = {
        .base_url = url,
        .pin = pin,
        .key_path = peers->key_path,
        .certificate_path = peers->certificate_path,
        .connect_timeout_us = MEETING_US,
    };
    return http_client_new(&options, out, error);
}

// A key that is not the one that the operator has seen is no absence that waiting ends.
static enum status say_key(const struct peers_hub_request *request, enum status status,
                           struct error *error)
{
    if (status != DENIED) {
        return status;
    }
    (void)error_set(error, CONFLICT, "%.*s has another key than %.*s", TEXT_ARGS(request->url),
                    TEXT_ARGS(request->fingerprint));
    error_fix(error, "ask its operator for the fingerprint, and add it again with that");
    return CONFLICT;
}

static enum status meet(struct http_client *client, const struct peers_hub_request *request,
                        json_t **out, struct error *error)
{
    AUTO_BUFFER struct buffer keep = {0};
    struct http_answer answer;
    const struct http_ask ask = {.method = "GET",
                                 .path = "/v1/federation/site",
                                 .answer_size_max = PEERS_ANSWER_SIZE_MAX,
                                 .timeout_us = MEETING_US};
    TRY(say_key(request, http_client_ask(client, &ask, &keep, &answer, error), error));
    return json_parse(answer.body, out, error);
}

static enum status announce(struct peers *peers, struct http_client *client,
                            const struct peers_hub_request *request, struct error *error)
{
    AUTO_BUFFER struct buffer own = {0};
    AUTO_BUFFER struct buffer keep = {0};
    struct http_answer answer;
    char path[PATH_SIZE];
    peers_own_statement(peers, &own);
    (void)snprintf(path, sizeof path, "/v1/federation/announce?mode=%s",
                   peers_mode_name(request->mode));
    const struct http_ask ask = {.method = "POST",
                                 .path = path,
                                 .body = buffer_text(&own),
                                 .answer_size_max = PEERS_ANSWER_SIZE_MAX,
                                 .timeout_us = MEETING_US};
    enum status status = http_client_ask(client, &ask, &keep, &answer, error);
    // A refusal in words is not a key that has changed.
    return status == DENIED && answer.code > 0 ? CONFLICT : say_key(request, status, error);
}

static enum status check_hub(struct peers *peers, const struct peers_hub_request *request,
                             const struct site_statement *read, struct error *error)
{
    if (!text_equal(text_of(read->site.text), request->fingerprint)) {
        return error_set(error, CONFLICT, "%.*s calls itself %.23s, but has another key",
                         TEXT_ARGS(request->url), read->site.text);
    }
    if (strcmp(read->site.text, signing_key_fingerprint(peers->key)->text) == 0) {
        return error_set(error, CONFLICT, "%.*s is this site itself", TEXT_ARGS(request->url));
    }
    if (!read->is_hub) {
        (void)error_set(error, CONFLICT, "%.64s at %.*s mirrors nothing: it is no hub", read->name,
                        TEXT_ARGS(request->url));
        error_fix(error, "its operator makes it one with: lode site --mirror");
        return CONFLICT;
    }
    return OK;
}

static enum status check_request(struct peers *peers, const struct peers_hub_request *request,
                                 struct error *error)
{
    AUTO_FREE char *pin_text = text_copy(request->fingerprint);
    char pin[PIN_SIZE];
    size_t hubs = 0;
    TRY(fingerprint_to_pin(pin_text, pin, error));
    if (request->url.length > PEER_URL_MAX || !text_starts_with(request->url, TEXT("https://")) ||
        text_has_control(request->url)) {
        (void)error_set(
            error, INVALID, "\"%.*s\" is no address of a hub",
            (int)(request->url.length < PEER_URL_MAX ? request->url.length : PEER_URL_MAX),
            request->url.bytes);
        error_fix(error, "it begins with https:// and has at most %d bytes", PEER_URL_MAX);
        return INVALID;
    }
    (void)pthread_rwlock_rdlock(&peers->lock);
    bool has_url = peers->url != NULL;
    for (size_t i = 0; i < peers->count; i++) {
        hubs += site_is_our_hub(peers->by_name[i]);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    if (request->mode == PEERS_POLL && !has_url) {
        (void)error_set(error, INVALID, "this site cannot be polled, as it has no URL");
        error_fix(error, "start it with --url URL, or use the mode push");
        return INVALID;
    }
    return hubs < PEERS_HUBS_MAX
               ? OK
               : error_set(error, QUOTA, "this site has %d hubs already", PEERS_HUBS_MAX);
}

static bool is_absence(enum status status)
{
    return status == UNAVAILABLE || status == TIMEOUT || status == BUSY || status == INTERNAL;
}

enum status peers_add_hub(struct peers *peers, const struct peers_hub_request *request,
                          struct peer *out, struct error *error)
{
    struct http_client *client = NULL;
    AUTO_JSON json_t *object = NULL;
    AUTO_BUFFER struct buffer text = {0};
    struct site_statement read;
    struct change change = {.has_hub = true, .hub_mode = request->mode, .hub_url = request->url};
    struct error absence = {0};
    TRY(check_request(peers, request, error));
    TRY(make_client(peers, request, &client, error));
    memcpy(change.site.text, request->fingerprint.bytes, request->fingerprint.length);
    enum status status = meet(client, request, &object, error);
    if (status == OK) {
        status = site_statement_read(object, &read, error);
        status = status == OK ? check_hub(peers, request, &read, error) : status;
        status = status == OK ? statement_write_canonical(object, &text, error) : status;
        change.statement = &read;
        change.statement_text = buffer_text(&text);
        status = status == OK ? announce(peers, client, request, error) : status;
    }
    http_client_free(client);
    bool is_absent = is_absence(status);
    if (is_absent && error) {
        absence = *error;
    }
    if (status != OK && !is_absent) {
        return status;
    }
    TRY(changes_commit(peers, &change, 1, &request->witness, error));
    (void)peers_find(peers, &change.site, out);
    if (is_absent && error) {
        *error = absence;
        error_fix(error, "the hub is kept, and tried again by itself");
    }
    return is_absent ? UNAVAILABLE : OK;
}

enum status peers_remove_hub(struct peers *peers, const struct fingerprint *fingerprint,
                             const struct peers_witness *witness, struct error *error)
{
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find(peers, fingerprint);
    bool is_ours = site && site_is_our_hub(site);
    (void)pthread_rwlock_unlock(&peers->lock);
    if (!is_ours) {
        (void)error_set(error, NOT_FOUND, "%.23s is no hub of this site", fingerprint->text);
        error_fix(error, "lode hub list shows them");
        return NOT_FOUND;
    }
    const struct change change = {.site = *fingerprint, .has_hub = true};
    return changes_commit(peers, &change, 1, witness, error);
}

enum status peers_set_standing(struct peers *peers, const struct fingerprint *fingerprint,
                               enum peer_standing standing, const struct peers_witness *witness,
                               struct error *error)
{
    const struct change change = {.site = *fingerprint, .has_standing = true, .standing = standing};
    TRY(changes_commit(peers, &change, 1, witness, error));
    (void)pthread_rwlock_wrlock(&peers->lock);
    site_set_problem(&sites_find(peers, fingerprint)->call_problem, "");
    (void)pthread_rwlock_unlock(&peers->lock);
    return OK;
}
