// A pass: short-lived permission to fetch one blob, made by who shares a key with the one that serves it (crypto/seal.h).
#ifndef LODE_CRYPTO_PASS_H
#define LODE_CRYPTO_PASS_H

#include "crypto/digest.h"

enum { PASS_SIZE = 160 };

// "pass1.<until, seconds since 1970>.<64 digits>", good for this digest and no other.
void pass_make(const struct digest *key, const struct digest *digest, int64_t until_us,
               char out[PASS_SIZE]);
// Is it good for the digest at this time? Takes as long whatever is wrong with its code.
bool pass_is_good(const struct digest *key, const struct digest *digest, struct text pass,
                  int64_t now_us);

#endif
