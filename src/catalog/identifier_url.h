// The syntax of URIs as identifiers need it: normal percent-encoding, dot segments, http addresses (RFC 3986).
#ifndef LODE_CATALOG_IDENTIFIER_URL_H
#define LODE_CATALOG_IDENTIFIER_URL_H

#include "base/buffer.h"

// Appends with normal percent-encoding: what is unreserved is decoded, other escapes get upper-case digits, and bytes that are neither
// unreserved nor in `allowed` are encoded. INVALID for a "%" without two digits and for escaped control characters.
enum status uri_append_normal(struct buffer *out, struct text text, const char *allowed,
                              struct error *error);

// An http or https address, cut into its parts; all borrowed.
struct url_parts {
    bool is_https;
    struct text authority;
    struct text path;     // With its first "/", or empty.
    struct text query;    // With its "?", or empty.
    struct text fragment; // With its "#", or empty.
};

// False when the text does not start with http:// or https:// (in any case of letters).
bool url_split(struct text text, struct url_parts *out);

// The authority is exactly this host, with no port; without regard to case.
bool url_has_host(const struct url_parts *parts, struct text host);

// Appends the normal form of the whole address. INVALID names what is wrong.
enum status url_append_normal(struct buffer *out, const struct url_parts *parts,
                              struct error *error);

#endif
