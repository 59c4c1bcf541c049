// A pass: short-lived permission to fetch one blob, made by who shares a key with the one that serves it (HMAC-SHA256, RFC 2104).
#ifndef LODE_CRYPTO_PASS_H
#define LODE_CRYPTO_PASS_H

#include "crypto/digest.h"

enum { PASS_KEY_SIZE = 32, PASS_SIZE = 160 };

struct pass_key {
    unsigned char bytes[PASS_KEY_SIZE];
};

// "pass1.<until, seconds since 1970>.<64 digits>", good for this digest and no other.
void pass_make(const struct pass_key *key, const struct digest *digest, int64_t until_us,
               char out[PASS_SIZE]);
// Is it good for the digest at this time? Takes as long whatever is wrong with its code.
bool pass_is_good(const struct pass_key *key, const struct digest *digest, struct text pass,
                  int64_t now_us);

#endif
