// What a site says and signs: JSON objects in one canonical form (docs/protocols/federation.md, "What is signed").
#ifndef LODE_LEDGER_STATEMENT_H
#define LODE_LEDGER_STATEMENT_H

#include "base/json.h"
#include "crypto/signature.h"

enum {
    STATEMENT_SIZE_MAX = 256 << 10, // Bytes of one in canonical form.
    STATEMENT_PROTOCOL = 1,         // What this program speaks.
    SITE_NAME_TEXT_MAX = 64,        // What a site statement may bring.
    SITE_VERSION_TEXT_MAX = 31,
    SITE_URL_TEXT_MAX = 300,
    SITE_URLS_MAX = 16,
};

// Appends the canonical form: members sorted bytewise, compact, UTF-8. INVALID for numbers that are no integers, strings with NUL, more
// than JSON_DEPTH_MAX levels or STATEMENT_SIZE_MAX bytes.
enum status statement_write_canonical(const json_t *object, struct buffer *out,
                                      struct error *error);

// Sets `site` to the key's fingerprint, signs, adds `signature`, and appends the canonical form with it.
enum status statement_sign(json_t *object, const struct signing_key *key, struct buffer *out,
                           struct error *error);

// Is `object` signed by `key`, does its `site` name that key, and is it of this kind ("dataset"; NULL: any)? The error (CORRUPT) says
// who claims to have said what: the site, and epoch and serial where there are some.
enum status statement_verify(const json_t *object, const char *kind, const struct public_key *key,
                             struct error *error);

// A site's own statement, which brings its key along: verifies it against that key, and the key against `site`. INVALID for what is no
// site statement, CORRUPT when signature or key do not fit, UNSUPPORTED for another protocol. Members that this program does not know are
// allowed: they are signed too.
struct site_statement {
    struct fingerprint site;
    struct public_key key;
    const char *name;   // These live as long as the object.
    const json_t *urls; // An array of strings, checked to be https URLs.
    const char *version;
    bool is_hub;
    int64_t time_us;
};
enum status site_statement_read(const json_t *object, struct site_statement *out,
                                struct error *error);

// base64 of a public key, as in `public_key`. `out` holds 48 bytes.
enum { PUBLIC_KEY_TEXT_SIZE = 48 };
void public_key_to_text(const struct public_key *key, char out[PUBLIC_KEY_TEXT_SIZE]);
enum status public_key_from_text(struct text text, struct public_key *out, struct error *error);

#endif
