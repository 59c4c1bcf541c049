#include "resolve/hubs.h"

#include "base/hex.h"
#include "base/memory.h"
#include "http/client.h"
#include "os/clock.h"

#include <pthread.h>

enum {
    CLIENTS_KEPT = 16,
    PAUSES_MAX = 16,
    PAUSE_US = 5000000,
};

struct hub_client {
    struct fingerprint site;
    char url[RESOLVE_URL_SIZE];
    struct http_client *client;
    struct hub_client *next;
};

struct hub_pause {
    struct fingerprint site;
    int64_t until_us;
};

struct hubs {
    char *key_path;
    char *certificate_path;
    pthread_mutex_t mutex; // Guards all that follows.
    struct hub_client *idle;
    size_t idle_count;
    struct hub_pause pauses[PAUSES_MAX];
    size_t next_pause;
};

struct hubs *hubs_new(const char *directory)
{
    struct hubs *hubs = NEW(struct hubs);
    (void)pthread_mutex_init(&hubs->mutex, NULL);
    if (directory) {
        hubs->key_path = memory_format("%s/key.pem", directory);
        hubs->certificate_path = memory_format("%s/certificate.pem", directory);
    }
    return hubs;
}

static void client_free(struct hub_client *client)
{
    http_client_free(client->client);
    free(client);
}

void hubs_free(struct hubs *hubs)
{
    if (!hubs) {
        return;
    }
    while (hubs->idle) {
        struct hub_client *client = hubs->idle;
        hubs->idle = client->next;
        client_free(client);
    }
    (void)pthread_mutex_destroy(&hubs->mutex);
    free(hubs->key_path);
    free(hubs->certificate_path);
    free(hubs);
}

static bool is_for(const struct hub_client *client, const struct resolve_hub *hub)
{
    return strcmp(client->site.text, hub->site.text) == 0 && strcmp(client->url, hub->url) == 0;
}

// An idle client for the hub, whose connection may still be up; NULL when there is none.
static struct hub_client *take_idle(struct hubs *hubs, const struct resolve_hub *hub)
{
    struct hub_client *found = NULL;
    pthread_mutex_lock(&hubs->mutex);
    for (struct hub_client **each = &hubs->idle; *each; each = &(*each)->next) {
        if (is_for(*each, hub)) {
            found = *each;
            *each = found->next;
            hubs->idle_count--;
            break;
        }
    }
    pthread_mutex_unlock(&hubs->mutex);
    return found;
}

static void give_back(struct hubs *hubs, struct hub_client *client)
{
    pthread_mutex_lock(&hubs->mutex);
    bool is_kept = hubs->idle_count < CLIENTS_KEPT;
    if (is_kept) {
        client->next = hubs->idle;
        hubs->idle = client;
        hubs->idle_count++;
    }
    pthread_mutex_unlock(&hubs->mutex);
    if (!is_kept) {
        client_free(client);
    }
}

static enum status make_client(const struct hubs *hubs, const struct resolve_hub *hub,
                               struct hub_client **out, struct error *error)
{
    const struct http_client_options options = {
        .base_url = hub->url,
        .pin = hub->site.text,
        .key_path = hubs->key_path,
        .certificate_path = hubs->certificate_path,
        .connect_timeout_us = RESOLVE_WAIT_US,
    };
    struct http_client *client = NULL;
    TRY(http_client_new(&options, &client, error));
    *out = NEW(struct hub_client);
    (*out)->client = client;
    (*out)->site = hub->site;
    memcpy((*out)->url, hub->url, sizeof(*out)->url);
    return OK;
}

static bool is_paused(struct hubs *hubs, const struct fingerprint *site)
{
    int64_t now_us = clock_steady_us();
    bool is_found = false;
    pthread_mutex_lock(&hubs->mutex);
    for (size_t i = 0; i < PAUSES_MAX; i++) {
        is_found |=
            hubs->pauses[i].until_us > now_us && strcmp(hubs->pauses[i].site.text, site->text) == 0;
    }
    pthread_mutex_unlock(&hubs->mutex);
    return is_found;
}

static void pause_hub(struct hubs *hubs, const struct fingerprint *site)
{
    pthread_mutex_lock(&hubs->mutex);
    hubs->pauses[hubs->next_pause] = (struct hub_pause){*site, clock_steady_us() + PAUSE_US};
    hubs->next_pause = (hubs->next_pause + 1) % PAUSES_MAX;
    pthread_mutex_unlock(&hubs->mutex);
}

enum status hubs_ask(struct hubs *hubs, const struct resolve_hub *hub, struct text name,
                     int64_t timeout_us, struct buffer *document, struct error *error)
{
    if (is_paused(hubs, &hub->site)) {
        return error_set(error, BUSY, "it did not answer in time a moment ago");
    }
    struct hub_client *client = take_idle(hubs, hub);
    if (!client) {
        TRY(make_client(hubs, hub, &client, error));
    }
    AUTO_BUFFER struct buffer path = {0};
    buffer_append_string(&path, "/v1/resolve/");
    percent_append(&path, name);
    buffer_append_string(&path, "?forward=false");
    const struct http_ask ask = {
        .method = "GET",
        .path = path.bytes,
        .timeout_us = timeout_us,
        .answer_size_max = RESOLVE_ANSWER_SIZE_MAX,
    };
    AUTO_BUFFER struct buffer keep = {0};
    struct http_answer answer = {0};
    enum status status = http_client_ask(client->client, &ask, &keep, &answer, error);
    if (status == OK || status == NOT_FOUND) {
        buffer_append_text(document, answer.body);
    }
    if (status == TIMEOUT) {
        pause_hub(hubs, &hub->site);
    }
    give_back(hubs, client);
    // Only an HTTP answer can say that there is none.
    if (status == NOT_FOUND && answer.code == 0) {
        status = UNAVAILABLE;
    }
    if (error) {
        error->status = status;
    }
    return status;
}
