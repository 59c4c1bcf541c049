// A hub that answers as a test tells it to, over HTTPS.
#ifndef LODE_TESTS_RESOLVE_FAKE_HUB_H
#define LODE_TESTS_RESOLVE_FAKE_HUB_H

#include "fixture.h"

#include <pthread.h>

enum fake_hub_manner {
    HUB_ANSWERS,
    HUB_SILENT,  // Takes the question and says nothing.
    HUB_ENDLESS, // Sends more than any answer may have, and no end.
};

struct fake_hub {
    struct signer signer;
    struct http_server *server;
    struct resolve_hub hub;
    pthread_mutex_t mutex; // Guards what follows.
    enum fake_hub_manner manner;
    int code;
    struct buffer document;
    int asked;
    int called;     // As a site, for how far it is.
    char query[64]; // Of the last question.
    struct http_exchange *waiting[64];
    size_t waiting_count;
};

// Starts it; it knows nothing at first.
void fake_hub_start(struct fake_hub *hub, const char *name);
void fake_hub_stop(struct fake_hub *hub);
// From now on it answers with this.
void fake_hub_says(struct fake_hub *hub, enum fake_hub_manner manner, int code,
                   struct text document);
int fake_hub_asked(struct fake_hub *hub);
int fake_hub_called(struct fake_hub *hub);

#endif
