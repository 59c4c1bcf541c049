// A seal over a message (HMAC-SHA256, RFC 2104): who has the key knows that it was made with it.
#ifndef LODE_CRYPTO_SEAL_H
#define LODE_CRYPTO_SEAL_H

#include "crypto/digest.h"
#include "crypto/signature.h"

// A key for one purpose, always the same for this site's key and these words: its secret need not be kept anywhere else. The purpose must be
// no message that the site signs otherwise.
struct digest seal_key_derive(const struct signing_key *key, struct text purpose);

struct digest seal_make(const struct digest *key, struct text message);

// Is it the seal of exactly this message? Takes the same time wherever they differ.
bool seal_is_good(const struct digest *key, struct text message, const struct digest *seal);

#endif
