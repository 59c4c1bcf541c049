#include "crypto/key.h"

#include "base/hex.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "crypto/private_key.h"
#include "os/file.h"
#include "os/random.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { PEM_SIZE_MAX = 65536, VALID_SECONDS = 30 * 365 * 86400 };

static void free_certificate(X509 **certificate)
{
    X509_free(*certificate);
}

static void free_bio(BIO **bio)
{
    (void)BIO_free(*bio);
}

struct fingerprint fingerprint_of_public_key(const void *der, size_t length)
{
    _Static_assert((int)FINGERPRINT_SIZE >= (int)DIGEST_TEXT_SIZE,
                   "a fingerprint is a digest's text");
    struct digest digest = digest_of(der, length);
    struct fingerprint fingerprint = {{0}};
    (void)digest_to_text(&digest, fingerprint.text);
    return fingerprint;
}

static enum status fingerprint_of(X509 *certificate, struct fingerprint *out, struct error *error)
{
    unsigned char *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (length <= 0) {
        return error_set(error, INVALID, "the certificate has no readable public key");
    }
    *out = fingerprint_of_public_key(der, (size_t)length);
    OPENSSL_free(der);
    return OK;
}

enum status key_fingerprint(struct text certificate_pem, struct fingerprint *out,
                            struct error *error)
{
    if (certificate_pem.length > PEM_SIZE_MAX) {
        return error_set(error, INVALID, "the certificate has more than %d bytes", PEM_SIZE_MAX);
    }
    BIO *bio __attribute__((cleanup(free_bio))) =
        BIO_new_mem_buf(certificate_pem.bytes, (int)certificate_pem.length);
    X509 *certificate __attribute__((cleanup(free_certificate))) =
        PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (!certificate) {
        return error_set(error, INVALID, "this is not a certificate in PEM form");
    }
    return fingerprint_of(certificate, out, error);
}

static bool add_extension(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool is_added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool is_dns_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    return length > 0 && length < 64 && name[length] == '\0';
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *key, const char *name)
{
    unsigned char serial[8];
    random_fill(serial, sizeof serial);
    serial[0] &= 0x7F;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool is_numbered = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    X509_NAME *subject = X509_get_subject_name(certificate);
    char common[64];
    (void)snprintf(common, sizeof common, "%s", name);
    AUTO_FREE char *names =
        memory_format("DNS:localhost,IP:127.0.0.1,IP:::1%s%s", is_dns_name(name) ? ",DNS:" : "",
                      is_dns_name(name) ? name : "");
    return is_numbered && X509_set_version(certificate, 2) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) &&
           X509_set_pubkey(certificate, key) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_subject_alt_name, names) &&
           X509_sign(certificate, key, NULL) > 0;
}

static enum status write_pem(BIO *bio, const char *path, mode_t mode, struct error *error)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    return file_write_atomic(path, (struct text){bytes, (size_t)length}, mode, error);
}

static enum status make_key(const char *path, EVP_PKEY **out, struct error *error)
{
    AUTO_KEY EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    BIO *bio __attribute__((cleanup(free_bio))) = BIO_new(BIO_s_mem());
    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return error_set(error, INTERNAL, "cannot make an Ed25519 key");
    }
    TRY(write_pem(bio, path, 0600, error));
    *out = TAKE(key);
    return OK;
}

enum status private_key_read(const char *path, EVP_PKEY **out, struct error *error)
{
    AUTO_BUFFER struct buffer pem = {0};
    enum status status = file_read(path, PEM_SIZE_MAX, &pem, error);
    if (status == NOT_FOUND) {
        *out = NULL;
        return OK;
    }
    TRY(status);
    BIO *bio __attribute__((cleanup(free_bio))) = BIO_new_mem_buf(pem.bytes, (int)pem.length);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    if (!key) {
        (void)error_set(error, CORRUPT, "%s holds no private key", path);
        error_fix(error, "restore it from a backup, or remove it to get a new identity");
        return CORRUPT;
    }
    *out = key;
    return OK;
}

// Makes what is missing. The key is the identity, so one that is there stays, and only its certificate is made anew.
static enum status make_pair(const char *key_path, const char *certificate_path, const char *name,
                             struct error *error)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    TRY(private_key_read(key_path, &key, error));
    if (!key) {
        TRY(make_key(key_path, &key, error));
    }
    X509 *certificate __attribute__((cleanup(free_certificate))) = X509_new();
    BIO *bio __attribute__((cleanup(free_bio))) = BIO_new(BIO_s_mem());
    if (!certificate || !bio || !fill_certificate(certificate, key, name) ||
        PEM_write_bio_X509(bio, certificate) != 1) {
        return error_set(error, INTERNAL, "cannot make a certificate for %s", key_path);
    }
    return write_pem(bio, certificate_path, 0644, error);
}

// A certificate that is not the key's would make every later connection fail with a puzzle; here it has a name.
static enum status check_pair(const char *key_path, const char *certificate_path,
                              struct text certificate_pem, struct error *error)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    TRY(private_key_read(key_path, &key, error));
    if (!key) {
        return error_set(error, NOT_FOUND, "%s has lost its key %s", certificate_path, key_path);
    }
    BIO *bio __attribute__((cleanup(free_bio))) =
        BIO_new_mem_buf(certificate_pem.bytes, (int)certificate_pem.length);
    X509 *certificate __attribute__((cleanup(free_certificate))) =
        PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (!certificate || X509_check_private_key(certificate, key) != 1) {
        enum status status =
            error_set(error, CORRUPT, "%s is not the key of %s", key_path, certificate_path);
        error_fix(error, "restore both from a backup, or remove both to get a new identity");
        return status;
    }
    return OK;
}

enum status key_ensure_files(const char *key_path, const char *certificate_path, const char *name,
                             struct fingerprint *out, struct error *error)
{
    AUTO_BUFFER struct buffer pem = {0};
    enum status status = file_read(certificate_path, PEM_SIZE_MAX, &pem, error);
    if (status == NOT_FOUND) {
        TRY(make_pair(key_path, certificate_path, name, error));
        status = file_read(certificate_path, PEM_SIZE_MAX, &pem, error);
    }
    TRY(status);
    TRY(check_pair(key_path, certificate_path, buffer_text(&pem), error));
    return key_fingerprint(buffer_text(&pem), out, error);
}

enum status key_ensure(const char *folder, const char *name, struct fingerprint *out,
                       struct error *error)
{
    AUTO_FREE char *key_path = memory_format("%s/key.pem", folder);
    AUTO_FREE char *certificate_path = memory_format("%s/certificate.pem", folder);
    return key_ensure_files(key_path, certificate_path, name, out, error);
}

enum status fingerprint_to_pin(const char *fingerprint, char out[PIN_SIZE], struct error *error)
{
    struct digest digest;
    TRY(digest_from_text(text_of(fingerprint), &digest, error));
    AUTO_BUFFER struct buffer base64 = {0};
    base64_append(&base64, digest.bytes, DIGEST_SIZE);
    (void)snprintf(out, PIN_SIZE, "sha256//%s", base64.bytes);
    return OK;
}
