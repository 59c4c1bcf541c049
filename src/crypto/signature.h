// Ed25519 signatures (RFC 8032) by a site's key, and their verification by the bare public key.
#ifndef LODE_CRYPTO_SIGNATURE_H
#define LODE_CRYPTO_SIGNATURE_H

#include "crypto/key.h"

enum { PUBLIC_KEY_SIZE = 32, SIGNATURE_SIZE = 64 };

struct public_key {
    unsigned char bytes[PUBLIC_KEY_SIZE];
};

struct signature {
    unsigned char bytes[SIGNATURE_SIZE];
};

// A private key in memory; may be used by several threads at once.
struct signing_key;

// The key of `folder` (key_ensure made it). NOT_FOUND, CORRUPT.
enum status signing_key_open(const char *folder, struct signing_key **out, struct error *error);
void signing_key_free(struct signing_key *key); // NULL is allowed.
// Borrowed.
const struct public_key *signing_key_public(const struct signing_key *key);
const struct fingerprint *signing_key_fingerprint(const struct signing_key *key);

void signing_key_sign(const struct signing_key *key, struct text message, struct signature *out);

// Is it the key's signature of exactly this message?
bool signature_is_good(const struct public_key *key, struct text message,
                       const struct signature *signature);

// The fingerprint of the key: that of its DER SubjectPublicKeyInfo.
struct fingerprint public_key_fingerprint(const struct public_key *key);

#endif
