// Where other machines reach the site: under its --url, or at this machine's addresses on which it listens.
#ifndef LODE_PROGRAMS_SITE_REACH_H
#define LODE_PROGRAMS_SITE_REACH_H

#include "base/json.h"
#include "http/server.h"

#include <stdatomic.h>

enum { REACH_MAX = 8 }; // Addresses that are said; a machine with containers has many.

struct site_reach {
    const char *url;                      // What --url says; NULL: nothing.
    _Atomic(struct http_server *) server; // NULL: it does not listen yet.
};

// The URLs, as they are at this moment, as an array of at most REACH_MAX texts: a new reference. Loopback is none of them, nor are link-local addresses of IPv6.
// `reach` is a struct site_reach; any thread.
json_t *reach_describe(void *reach);

// For people: these URLs, and what a worker on another machine is started with. Nothing when there is none.
void reach_say(struct site_reach *reach, const char *fingerprint, struct buffer *out);

#endif
