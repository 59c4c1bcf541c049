// The parts of a running site, put together in order and taken apart in the opposite one.
#ifndef LODE_PROGRAMS_SITE_PARTS_H
#define LODE_PROGRAMS_SITE_PARTS_H

#include "api/api.h"
#include "catalog/catalog.h"
#include "crypto/key.h"
#include "executor/executor.h"
#include "site/announce.h"
#include "site/federation.h"
#include "site/reach.h"
#include "site/resolve_adapter.h"
#include "site/settings.h"
#include "site/transfer_adapter.h"

#include <pthread.h>

enum { SITE_URL_SIZE = 300 };

struct site_parts {
    const struct site_settings *settings;
    struct fingerprint fingerprint;
    char url[SITE_URL_SIZE];
    char *site_file; // DIRECTORY/site.json
    struct store *store;
    struct blobs *blobs;
    struct tokens *tokens;
    struct known_workers *known_workers;
    struct federation federation;
    struct resolve_adapter resolve_adapter;
    struct resolver *resolver;
    struct catalog *catalog;
    struct transfer_adapter transfer_adapter;
    struct transfers *transfers;
    struct broker *broker;
    struct queue *queue;
    struct guests *guests;
    struct senders *senders;
    struct sweeper *sweeper;
    struct api api;
    struct http_server *server;
    struct site_announcement announcement;
    struct site_reach reach;
    struct executor *executor;
    pthread_mutex_t link_mutex; // Guards the two that follow.
    struct executor *link;      // NULL until jobs may be to run elsewhere.
    bool is_stopping;
};

// Starts everything: key, database, log, peers, tokens, catalogue, queue, server, site.json, calls to hubs, worker. On failure what had been started is left to
// parts_stop, which takes a half-started site too. `parts` is zeroed before and must stay where it is.
enum status parts_start(struct site_parts *parts, const struct site_settings *settings,
                        struct error *error);

// There is another site to run jobs at: starts the link, unless it runs. Any thread.
enum status parts_need_link(struct site_parts *parts, struct error *error);

// What site.json says: {"url", "fingerprint", "name", "pid"} and a line end.
void parts_describe(const struct site_parts *parts, struct buffer *out);

// Ends it in order: workers give back what they hold, waiters are answered, the state is closed.
void parts_stop(struct site_parts *parts);

#endif
