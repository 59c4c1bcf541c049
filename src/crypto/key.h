// An Ed25519 key (RFC 8032) of a site, worker or user, and its self-signed certificate.
#ifndef LODE_CRYPTO_KEY_H
#define LODE_CRYPTO_KEY_H

#include "base/status.h"
#include "base/text.h"

enum { FINGERPRINT_SIZE = 72 };

// "sha256:" and 64 hexadecimal digits: SHA-256 of the DER SubjectPublicKeyInfo, the identity of a key. The same number
// in base64 is what RFC 7469 and curl's pinned public key use.
struct fingerprint {
    char text[FINGERPRINT_SIZE];
};

// The key pair in the folder: `key.pem` (0600, PKCS #8) and `certificate.pem` (self-signed, CN = `name`, subject
// alternative names localhost, 127.0.0.1, ::1 and `name`, valid for 30 years). Made when they are missing; a key
// is never replaced, and a lost certificate is made again for it. `folder` must exist. CORRUPT when the two do not belong together, NOT_FOUND when only the key is missing.
enum status key_ensure(const char *folder, const char *name, struct fingerprint *out,
                       struct error *error);

// The same with the two files named: those of a worker, say.
enum status key_ensure_files(const char *key_path, const char *certificate_path, const char *name,
                             struct fingerprint *out, struct error *error);

// The fingerprint of a key whose DER SubjectPublicKeyInfo this is.
struct fingerprint fingerprint_of_public_key(const void *der, size_t length);

// The fingerprint of a certificate in PEM.
enum status key_fingerprint(struct text certificate_pem, struct fingerprint *out,
                            struct error *error);

// Converts between "sha256:<hex>" and curl's "sha256//<base64>" form of a pin. `out` holds 64 bytes.
enum { PIN_SIZE = 64 };
enum status fingerprint_to_pin(const char *fingerprint, char out[PIN_SIZE], struct error *error);

#endif
