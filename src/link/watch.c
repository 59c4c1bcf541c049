// Which places there are: one call to home that waits until that changes.
#include "link/state.h"

#include "base/arena.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"

#include <inttypes.h>
#include <stdio.h>

enum { WATCH_SECONDS = 30 };

static void take_places(struct link *link, const struct wire_place *places, size_t count)
{
    for (struct place *place = link->places; place; place = place->next) {
        place->is_listed = false;
    }
    for (size_t i = 0; i < count; i++) {
        struct place *place = place_find(link, places[i].site);
        place = place ? place : place_add(link, &places[i]);
        place->is_listed = true;
        if (strcmp(place->known.url, places[i].url) != 0) {
            place->known = places[i];
            place->retry_us = 0; // What failed was the old address.
        }
    }
}

static void on_places(void *context, const struct http_answer *answer)
{
    struct link *link = context;
    struct arena arena AUTO_ARENA = {0};
    struct wire_place *places = NULL;
    struct error error = answer->error;
    size_t count = 0;
    int64_t version = 0;
    link->watching = NULL;
    enum status status = answer->status;
    if (status == OK) {
        status = wire_read_places(answer->body, &arena, &places, &count, &version, &error);
    }
    if (status != OK) {
        link_home_failed(link, &error);
        return;
    }
    link_home_answered(link);
    link->has_places = true;
    link->places_version = version;
    take_places(link, places, count);
}

void watch_work(struct link *link, int64_t now_us)
{
    if (link->watching) {
        return;
    }
    if (now_us < link->home_retry_us) {
        link_wake(link, link->home_retry_us);
        return;
    }
    char path[96];
    if (link->has_places) {
        (void)snprintf(path, sizeof path, "/v1/places?wait=%d&version=%" PRId64, WATCH_SECONDS,
                       link->places_version);
    } else {
        (void)snprintf(path, sizeof path, "/v1/places");
    }
    const struct http_ask ask = {.peer = &link->home,
                                 .method = "GET",
                                 .path = path,
                                 .timeout_us = CALL_TIMEOUT_US + WATCH_SECONDS * INT64_C(1000000),
                                 .answer_size_max = ANSWER_BYTES_MAX,
                                 .context = link};
    link->watching = http_client_start(link->client, &ask, on_places);
}
