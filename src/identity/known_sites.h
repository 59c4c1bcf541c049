// The sites that a client has met: a file like ssh's known_hosts, one line for each site.
//
//     127.0.0.1:7733 sha256:9f86d081... 2026-11-21T10:00:00Z
//
// Empty lines and lines that begin with "#" are kept and mean nothing. The folder is the caller's; it is made when missing.
#ifndef LODE_IDENTITY_KNOWN_SITES_H
#define LODE_IDENTITY_KNOWN_SITES_H

#include "crypto/key.h"

#include <stdint.h>

enum {
    SITE_ADDRESS_SIZE = 272, // A host name of 253 bytes, brackets, ":65535", NUL.
    SITE_PORT_DEFAULT = 7733,
};

// "host:port" in lower case, the name of a site for a client.
struct site_address {
    char text[SITE_ADDRESS_SIZE];
};

// Reads "https://host[:port][/...]" (without a port: 443) or "host[:port]" (without: SITE_PORT_DEFAULT). INVALID otherwise.
enum status site_address_from_url(struct text url, struct site_address *out, struct error *error);

struct known_site {
    struct fingerprint fingerprint;
    int64_t met_us;
    int64_t line; // From 1.
};

// Looks in the content of such a file. NOT_FOUND, or INVALID with the number of the site's line when that cannot be read;
// broken lines of other sites do no harm.
enum status known_sites_look(struct text content, const struct site_address *address,
                             struct known_site *out, struct error *error);

// The same in the folder's file known_sites; a missing file holds nothing.
enum status known_sites_find(const char *folder, const struct site_address *address,
                             struct known_site *out, struct error *error);

// Has a site with this key been met, at whatever address? A file that cannot be read holds none.
bool known_sites_has_key(const char *folder, const struct fingerprint *fingerprint);

// Is this the key that the site had? OK; NOT_FOUND for a first meeting; DENIED for another key, saying which line of which
// file holds the old one and how to remove it.
enum status known_sites_check(const char *folder, const struct site_address *address,
                              const struct fingerprint *shown, struct error *error);

// Adds the site, durably. CONFLICT when it is there.
enum status known_sites_add(const char *folder, const struct site_address *address,
                            const struct fingerprint *fingerprint, int64_t now_us,
                            struct error *error);

// Removes it. NOT_FOUND when it is not there.
enum status known_sites_forget(const char *folder, const struct site_address *address,
                               struct error *error);

#endif
