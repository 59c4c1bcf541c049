// Getting to know a site that was only named: from our hubs by its name or fingerprint, or from itself where its address is known.
#include "base/hex.h"
#include "base/memory.h"
#include "peers/change.h"
#include "peers/outgoing.h"

enum { INTRODUCTION_US = 3000000 };

struct introduction {
    struct peers *peers;
    bool is_whole;                    // The answer is the statement itself, not an object with it.
    const struct fingerprint *wanted; // NULL: whoever is meant by the name.
    size_t waiting;
    bool is_known;
    struct fingerprint site;
    enum status status; // Of the last one that did not help.
    struct error error;
};

// Keeps the statement; OK when the site is in the table then.
static enum status take(struct introduction *introduction, const json_t *object,
                        struct error *error)
{
    struct site_statement read;
    AUTO_BUFFER struct buffer text = {0};
    TRY(site_statement_read(object, &read, error));
    if (introduction->wanted && strcmp(read.site.text, introduction->wanted->text) != 0) {
        return error_set(error, CORRUPT, "the answer is about another site, %s", read.site.text);
    }
    introduction->site = read.site;
    if (!change_is_news(introduction->peers, &read, object, introduction->is_whole)) {
        return OK;
    }
    TRY(statement_write_canonical(object, &text, error));
    const struct change change = {
        .site = read.site, .statement = &read, .statement_text = buffer_text(&text)};
    return changes_commit(introduction->peers, &change, 1, NULL, error);
}

static void on_answer(void *context, const struct http_answer *answer)
{
    struct introduction *introduction = context;
    AUTO_JSON json_t *object = NULL;
    introduction->waiting--;
    enum status status = answer->status;
    struct error error = answer->error;
    if (introduction->is_known) {
        return;
    }
    if (status == OK) {
        status = json_parse(answer->body, &object, &error);
    }
    if (status == OK) {
        status =
            take(introduction,
                 introduction->is_whole ? object : json_object_get(object, "statement"), &error);
    }
    introduction->is_known = status == OK;
    introduction->status = status;
    introduction->error = error;
}

static void ask(struct introduction *introduction, struct http_client *client, const char *url,
                const char *pin, const char *path)
{
    const struct http_peer peer = {.base_url = url, .pin = pin};
    const struct http_ask ask = {.peer = &peer,
                                 .method = "GET",
                                 .path = path,
                                 .answer_size_max = PEERS_ANSWER_SIZE_MAX,
                                 .timeout_us = INTRODUCTION_US,
                                 .context = introduction};
    introduction->waiting++;
    (void)http_client_start(client, &ask, on_answer);
}

static enum status open_client(const struct peers *peers, struct http_client **out,
                               struct error *error)
{
    const struct http_client_options options = {.key_path = peers->key_path,
                                                .certificate_path = peers->certificate_path,
                                                .connect_timeout_us = INTRODUCTION_US};
    return http_client_new(&options, out, error);
}

// Waits for the answers, and frees the client.
static enum status finish(struct introduction *introduction, struct http_client *client,
                          struct peer *out, struct error *error)
{
    while (introduction->waiting > 0 && !introduction->is_known) {
        (void)http_client_wait(client, NULL, 0, INTRODUCTION_US);
    }
    http_client_free(client);
    if (!introduction->is_known) {
        *error = introduction->error;
        return introduction->status;
    }
    return peers_find(introduction->peers, &introduction->site, out)
               ? OK
               : error_set(error, QUOTA, "no more than %d sites can be known", PEERS_SITES_MAX);
}

enum status peers_introduce(struct peers *peers, struct text name, struct peer *out,
                            struct error *error)
{
    enum status known = peers_find_named(peers, name, out, error);
    if (known == CONFLICT || (known == OK && out->url[0] != '\0')) {
        return known;
    }
    AUTO_FREE struct peer_hub *hubs = memory_new(PEERS_HUBS_MAX, sizeof *hubs);
    AUTO_BUFFER struct buffer path = {0};
    struct http_client *client = NULL;
    struct introduction introduction = {.peers = peers};
    struct fingerprint wanted;
    struct digest digest;
    if (digest_from_text(name, &digest, NULL) == OK) { // Nobody else is meant.
        (void)digest_to_text(&digest, wanted.text);
        introduction.wanted = &wanted;
    }
    size_t count = peers_list_hubs(peers, hubs, PEERS_HUBS_MAX);
    if (count == 0) {
        return known == OK ? OK : NOT_FOUND;
    }
    TRY(open_client(peers, &client, error));
    buffer_append_string(&path, "/v1/federation/sites/");
    percent_append(&path, name);
    for (size_t i = 0; i < count; i++) {
        ask(&introduction, client, hubs[i].peer.url, hubs[i].peer.site.text, path.bytes);
    }
    return finish(&introduction, client, out, error);
}

enum status peers_meet(struct peers *peers, const struct fingerprint *site, const char *url,
                       struct peer *out, struct error *error)
{
    struct http_client *client = NULL;
    struct introduction introduction = {.peers = peers, .is_whole = true, .wanted = site};
    if (peers_find(peers, site, out) && out->url[0] != '\0') {
        return OK;
    }
    TRY(open_client(peers, &client, error));
    ask(&introduction, client, url, site->text, "/v1/federation/site");
    return finish(&introduction, client, out, error);
}
