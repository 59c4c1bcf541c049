// A private key in a file, for this folder's own sources.
#ifndef LODE_CRYPTO_PRIVATE_KEY_H
#define LODE_CRYPTO_PRIVATE_KEY_H

#include "base/status.h"

#include <openssl/evp.h>

static inline void private_key_free_local(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
#define AUTO_KEY __attribute__((cleanup(private_key_free_local)))

// Reads a key in PEM. *out is NULL, and OK returned, when there is no such file; CORRUPT when it holds no key.
enum status private_key_read(const char *path, EVP_PKEY **out, struct error *error);

#endif
