#include "crypto/signature.h"

#include "base/memory.h"
#include "crypto/private_key.h"

// What stands before the 32 bytes in the DER SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4).
static const unsigned char DER_PREFIX[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                           0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct signing_key {
    EVP_PKEY *key;
    struct public_key public_key;
    struct fingerprint fingerprint;
};

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}
#define AUTO_CONTEXT __attribute__((cleanup(free_context)))

enum status signing_key_open(const char *folder, struct signing_key **out, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/key.pem", folder);
    AUTO_KEY EVP_PKEY *key = NULL;
    TRY(private_key_read(path, &key, error));
    if (!key) {
        return error_set(error, NOT_FOUND, "there is no key %s", path);
    }
    struct public_key public_key;
    size_t length = sizeof public_key.bytes;
    if (!EVP_PKEY_is_a(key, "ED25519") ||
        EVP_PKEY_get_raw_public_key(key, public_key.bytes, &length) != 1 ||
        length != sizeof public_key.bytes) {
        return error_set(error, CORRUPT, "%s is no Ed25519 key", path);
    }
    struct signing_key *opened = NEW(struct signing_key);
    opened->key = TAKE(key);
    opened->public_key = public_key;
    opened->fingerprint = public_key_fingerprint(&public_key);
    *out = opened;
    return OK;
}

void signing_key_free(struct signing_key *key)
{
    if (key) {
        EVP_PKEY_free(key->key);
        free(key);
    }
}

const struct public_key *signing_key_public(const struct signing_key *key)
{
    return &key->public_key;
}

const struct fingerprint *signing_key_fingerprint(const struct signing_key *key)
{
    return &key->fingerprint;
}

static const unsigned char *bytes_of(struct text message)
{
    return (const unsigned char *)(message.bytes ? message.bytes : "");
}

void signing_key_sign(const struct signing_key *key, struct text message, struct signature *out)
{
    AUTO_CONTEXT EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = sizeof out->bytes;
    // A key in memory cannot fail to sign, other than for want of memory, which ends the program everywhere.
    if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key->key) != 1 ||
        EVP_DigestSign(context, out->bytes, &length, bytes_of(message), message.length) != 1) {
        abort();
    }
}

bool signature_is_good(const struct public_key *key, struct text message,
                       const struct signature *signature)
{
    AUTO_CONTEXT EVP_MD_CTX *context = EVP_MD_CTX_new();
    AUTO_KEY EVP_PKEY *opened =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, sizeof key->bytes);
    return context && opened && EVP_DigestVerifyInit(context, NULL, NULL, NULL, opened) == 1 &&
           EVP_DigestVerify(context, signature->bytes, sizeof signature->bytes, bytes_of(message),
                            message.length) == 1;
}

struct fingerprint public_key_fingerprint(const struct public_key *key)
{
    unsigned char der[sizeof DER_PREFIX + PUBLIC_KEY_SIZE];
    memcpy(der, DER_PREFIX, sizeof DER_PREFIX);
    memcpy(der + sizeof DER_PREFIX, key->bytes, PUBLIC_KEY_SIZE);
    return fingerprint_of_public_key(der, sizeof der);
}
