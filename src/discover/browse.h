// The sites that announce themselves on the local network.
#ifndef LODE_DISCOVER_BROWSE_H
#define LODE_DISCOVER_BROWSE_H

#include "discover/announcement.h"
#include "discover/announcer.h"

enum {
    BROWSED_SITES_MAX = 64,
    BROWSED_URL_SIZE = 64, // "https://[<IPv6>]:65535"
};

// What is enough on a network at rest, two questions and their answers; and on one that loses much.
#define BROWSE_WAIT_US INT64_C(2000000)
#define BROWSE_PATIENCE_US INT64_C(12000000)

// What somebody announces: nothing of it is proven.
struct browsed_site {
    struct announcement said;
    char url[BROWSED_URL_SIZE]; // An address on a network that this machine is on.
};

struct browsed {
    struct browsed_site sites[BROWSED_SITES_MAX]; // By name, then fingerprint, then URL.
    size_t count;
    size_t ignored; // Announcements that are no site's, or too many.
    enum responder by;
};

// Listens for `wait_us`, and on until somebody is heard or `patience_us` are over, and fills *out with who is there then. One service is listed once, however many networks it is
// heard on; an address that is not this machine's own loopback is preferred, then IPv4. The avahi-daemon of this machine is asked; where none answers within a second and a
// half, Avahi's core listens within this program. UNAVAILABLE when this machine cannot take part in multicast DNS.
enum status browse_sites(int64_t wait_us, int64_t patience_us, struct browsed *out,
                         struct error *error);

#endif
