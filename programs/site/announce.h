// A site's announcement on the local network: whether there is one, its log, and what the status says of it.
#ifndef LODE_PROGRAMS_SITE_ANNOUNCE_H
#define LODE_PROGRAMS_SITE_ANNOUNCE_H

#include "base/json.h"
#include "discover/announcer.h"
#include "http/server.h"
#include "site/settings.h"

#include <stdatomic.h>

struct site_announcement {
    _Atomic(struct announcer *)
        announcer; // NULL: none. Whoever asks for the status reads it from other threads.
};

// Announces the site where it listens on an address that others can reach, or was told to. A failure is logged, and never the end of
// the site.
void announce_start(struct site_announcement *announcement, const struct site_settings *settings,
                    const char *fingerprint, const struct http_server *server);

// For struct api: {"state": "off" | "starting" | "announced" | "failing", "by", "problem", "change"}, a new reference. `announcement` is a
// struct site_announcement.
json_t *announce_describe(void *announcement);

// Says goodbye; announce_done frees what is left, when nobody asks any more. One that was never started is allowed.
void announce_stop(struct site_announcement *announcement);
void announce_done(struct site_announcement *announcement);

#endif
