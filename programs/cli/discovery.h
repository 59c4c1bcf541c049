// The sites on the local network, each with what is known of its key.
#ifndef LODE_PROGRAMS_CLI_DISCOVERY_H
#define LODE_PROGRAMS_CLI_DISCOVERY_H

#include "cli/site_choice.h"
#include "discover/browse.h"

// What came out when the site was asked for its key, and its key compared with those in known_sites.
enum discovered_key {
    KEY_KNOWN, // It has the key that it announces, and was met before, here or at another address.
    KEY_NEW,   // It has the key that it announces; nobody here has met it.
    KEY_CHANGED, // It has the key that it announces, but at this address a site with another key was met.
    KEY_FALSE,  // It does not have the key that it announces.
    KEY_UNSEEN, // Nobody answers there.
};

struct discovered_site {
    struct browsed_site site;
    struct site_address address;
    enum discovered_key key;
    struct error problem; // Of KEY_CHANGED, KEY_FALSE and KEY_UNSEEN.
};

struct discovery {
    struct discovered_site sites[BROWSED_SITES_MAX]; // In the order of `struct browsed`.
    size_t count;
    size_t ignored;
    enum responder by;
};

// Listens (browse_sites) and asks each site for its key. `folder` is the client's. UNAVAILABLE when this machine cannot listen; to
// find nobody is OK.
enum status discovery_make(const char *folder, int64_t wait_us, int64_t patience_us,
                           struct discovery *out, struct error *error);

// "known", "new", "changed", "false", "unreachable".
const char *discovered_key_word(enum discovered_key key);

// May it be talked to as what it says it is?
bool discovered_is_usable(const struct discovered_site *site);

// What is to be done when nobody announces himself.
enum status discovery_nobody(const struct discovery *discovery, struct error *error);

#endif
