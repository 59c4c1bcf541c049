// What a site says of itself on the local network: the TXT record of its service, written and read.
//
// The record (RFC 6763, section 6) holds strings "key=value" with a byte of length before each. docs/protocols/discovery.md
// names the keys. What is read came from anyone on the network: it is bounded, cleaned, and believed by nobody.
#ifndef LODE_DISCOVER_ANNOUNCEMENT_H
#define LODE_DISCOVER_ANNOUNCEMENT_H

#include "base/buffer.h"
#include "crypto/key.h"

enum {
    ANNOUNCED_NAME_MAX = 64, // As site names.
    ANNOUNCED_VERSION_MAX = 32,
    ANNOUNCED_TXT_MAX = 1300, // RFC 6763, section 6.2: what fits one packet.
    SERVICE_LABEL_SIZE = 64,  // A DNS label of 63 bytes, and NUL.
};

#define DISCOVER_SERVICE "_lode._tcp"

struct announcement {
    char name[ANNOUNCED_NAME_MAX +
              1]; // 1 byte or more, well-formed UTF-8 of characters that a terminal may be given.
    struct fingerprint fingerprint;          // "sha256:" and 64 lower-case hexadecimal digits.
    char version[ANNOUNCED_VERSION_MAX + 1]; // As the name; may be empty.
};

// Fills an announcement with what this site is; name and version are cut and cleaned as announcement_read does.
// INVALID when the fingerprint is none or the name is empty.
enum status announcement_make(struct text name, struct text fingerprint, struct text version,
                              struct announcement *out, struct error *error);

// Appends the TXT record.
void announcement_write(const struct announcement *announcement, struct buffer *txt);

// Reads a TXT record. Control characters, invisible ones and those that turn the direction of writing become "?", and so
// does each byte that is no UTF-8; what is too long is cut. Unknown keys mean nothing; of a key that is there twice the first
// counts. INVALID without a fingerprint or a name, QUOTA beyond ANNOUNCED_TXT_MAX, CORRUPT when the lengths do not fit.
enum status announcement_read(struct text txt, struct announcement *out, struct error *error);

// The service's name on the network: the site's name, cut, and the beginning of its fingerprint, so that two sites of one name
// do not collide. From `attempt` 1 on another one, for when somebody has taken it all the same.
void announcement_label(const struct announcement *announcement, unsigned attempt,
                        char out[SERVICE_LABEL_SIZE]);

// The host's name on the network (without ".local"), of letters, digits and "-". It is the site's own, so that nothing is
// claimed that another responder on this machine, such as avahi-daemon, claims too.
void announcement_host(const struct announcement *announcement, unsigned attempt,
                       char out[SERVICE_LABEL_SIZE]);

#endif
