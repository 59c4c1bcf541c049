#include "fake_hub.h"

#include "../serve.h"

#include "base/memory.h"

#include <stdio.h>

enum { PIECE_SIZE = 64 << 10, PIECES = 2 * RESOLVE_ANSWER_SIZE_MAX / PIECE_SIZE };

static void wait_forever(struct fake_hub *hub, struct http_exchange *exchange)
{
    assert_true(hub->waiting_count < sizeof hub->waiting / sizeof hub->waiting[0]);
    hub->waiting[hub->waiting_count++] = exchange;
}

static void flood(struct http_exchange *exchange)
{
    static const char PIECE[PIECE_SIZE];
    const struct http_response head = {.code = 200, .content_type = "application/json"};
    http_stream_begin(exchange, &head);
    for (size_t i = 0; i < PIECES; i++) {
        (void)http_stream_write(exchange, (struct text){PIECE, sizeof PIECE});
    }
}

static void handle(struct http_request *request, void *context)
{
    struct fake_hub *hub = context;
    pthread_mutex_lock(&hub->mutex);
    hub->asked++;
    (void)snprintf(hub->query, sizeof hub->query, "%.*s", TEXT_ARGS(request->query));
    if (hub->manner == HUB_ANSWERS) {
        const struct http_response response = {.code = hub->code,
                                               .content_type = "application/json",
                                               .body = buffer_text(&hub->document)};
        http_reply(request->exchange, &response);
    } else {
        wait_forever(hub, request->exchange);
        if (hub->manner == HUB_ENDLESS) {
            flood(request->exchange);
        }
    }
    pthread_mutex_unlock(&hub->mutex);
}

static void handle_call(struct http_request *request, void *context)
{
    struct fake_hub *hub = context;
    pthread_mutex_lock(&hub->mutex);
    hub->called++;
    if (hub->manner == HUB_ANSWERS) {
        const struct http_response response = {
            .code = 200, .content_type = "application/json", .body = TEXT("{}")};
        http_reply(request->exchange, &response);
    } else {
        wait_forever(hub, request->exchange);
    }
    pthread_mutex_unlock(&hub->mutex);
}

static const struct http_route ROUTES[] = {
    {.method = "GET", .pattern = "/v1/federation/site", .handle = handle_call},
    {.method = "GET", .pattern = "/v1/resolve/{id}", .handle = handle},
};

void fake_hub_start(struct fake_hub *hub, const char *name)
{
    *hub = (struct fake_hub){.code = 404};
    (void)pthread_mutex_init(&hub->mutex, NULL);
    signer_open(&hub->signer);
    hub->server = serve(hub->signer.folder, ROUTES, sizeof ROUTES / sizeof ROUTES[0], hub,
                        hub->hub.url, sizeof hub->hub.url);
    hub->hub.site = hub->signer.site;
    (void)snprintf(hub->hub.name, sizeof hub->hub.name, "%s", name);
}

void fake_hub_stop(struct fake_hub *hub)
{
    if (!hub->server) {
        return;
    }
    http_server_stop(hub->server, 0);
    for (size_t i = 0; i < hub->waiting_count; i++) {
        http_stream_end(hub->waiting[i]);
    }
    http_server_free(TAKE(hub->server));
    signer_close(&hub->signer);
    buffer_done(&hub->document);
    (void)pthread_mutex_destroy(&hub->mutex);
}

void fake_hub_says(struct fake_hub *hub, enum fake_hub_manner manner, int code,
                   struct text document)
{
    pthread_mutex_lock(&hub->mutex);
    hub->manner = manner;
    hub->code = code;
    buffer_clear(&hub->document);
    buffer_append_text(&hub->document, document);
    pthread_mutex_unlock(&hub->mutex);
}

int fake_hub_asked(struct fake_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    int asked = hub->asked;
    pthread_mutex_unlock(&hub->mutex);
    return asked;
}

int fake_hub_called(struct fake_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    int called = hub->called;
    pthread_mutex_unlock(&hub->mutex);
    return called;
}
