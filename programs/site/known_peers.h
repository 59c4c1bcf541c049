// Other sites that the operator names when the site starts (--peer NAME=FINGERPRINT@URL): no hub is needed for these.
#ifndef LODE_PROGRAMS_SITE_KNOWN_PEERS_H
#define LODE_PROGRAMS_SITE_KNOWN_PEERS_H

#include "base/status.h"
#include "cli/options.h"
#include "crypto/key.h"

enum { KNOWN_PEERS_MAX = 1000, KNOWN_PEER_NAME_MAX = 64, KNOWN_PEER_URL_MAX = 300 };

struct known_peer {
    char name[KNOWN_PEER_NAME_MAX + 1];
    struct fingerprint site;
    char url[KNOWN_PEER_URL_MAX + 1];
};

// NAME=FINGERPRINT@URL, an https URL. INVALID says what is wrong with it.
enum status known_peer_parse(struct text text, struct known_peer *out, struct error *error);

// All that were given; *out is the caller's (free).
enum status known_peers_read(const struct options *options, struct known_peer **out, size_t *count,
                             struct error *error);

// By name or fingerprint; NULL when there is none.
const struct known_peer *known_peers_find(const struct known_peer *peers, size_t count,
                                          struct text name);

#endif
