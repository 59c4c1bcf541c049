#include "crypto/seal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

struct digest seal_key_derive(const struct signing_key *key, struct text purpose)
{
    // An Ed25519 signature is a function of key and message, and nobody without the key can make it.
    struct signature signature;
    signing_key_sign(key, purpose, &signature);
    struct digest derived = digest_of(signature.bytes, sizeof signature.bytes);
    OPENSSL_cleanse(&signature, sizeof signature);
    return derived;
}

struct digest seal_make(const struct digest *key, struct text message)
{
    struct digest seal;
    unsigned int length = 0;
    const unsigned char *made =
        HMAC(EVP_sha256(), key->bytes, DIGEST_SIZE, (const unsigned char *)message.bytes,
             message.length, seal.bytes, &length);
    assert(made && length == DIGEST_SIZE);
    (void)made;
    return seal;
}

bool seal_is_good(const struct digest *key, struct text message, const struct digest *seal)
{
    const struct digest good = seal_make(key, message);
    return CRYPTO_memcmp(good.bytes, seal->bytes, DIGEST_SIZE) == 0;
}
