#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <time.h>

// Lets everybody in; with authorities (`context`), what their check came to stays behind as the connection's result.
static int accept_any(X509_STORE_CTX *store, void *context)
{
    if (!context) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    } else if (X509_verify_cert(store) != 1 && X509_STORE_CTX_get_error(store) == X509_V_OK) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
    }
    ERR_clear_error();
    return 1;
}

static enum status use_authorities(SSL_CTX *context, const char *path, struct error *error)
{
    // An authority may itself be certified by one that is not trusted here.
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    if (SSL_CTX_load_verify_file(context, path) != 1) {
        (void)error_set(error, INVALID, "cannot read certificates of authorities from %s", path);
        error_fix(error, "give a file that can be read and holds certificates in PEM form");
        return INVALID;
    }
    return OK;
}

static enum status use_files(SSL_CTX *context, const char *key_path, const char *certificate_path,
                             struct error *error)
{
    if (SSL_CTX_use_certificate_chain_file(context, certificate_path) != 1) {
        return error_set(error, INVALID, "cannot use the certificate in %s", certificate_path);
    }
    if (SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) != 1) {
        return error_set(error, INVALID, "cannot use the key in %s", key_path);
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        return error_set(error, INVALID, "the key in %s does not belong to the certificate in %s",
                         key_path, certificate_path);
    }
    return OK;
}

enum status tls_context_new(const char *key_path, const char *certificate_path,
                            const char *authority_path, SSL_CTX **out, struct error *error)
{
    static const unsigned char SESSION_CONTEXT[] = "lode";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(context);
        return error_set(error, INTERNAL, "cannot make a TLS context");
    }
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    // Tickets hold the sessions, with the client's certificate in them, so the server remembers none.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_session_id_context(context, SESSION_CONTEXT, sizeof SESSION_CONTEXT - 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, accept_any, authority_path ? context : NULL);
    enum status status = use_files(context, key_path, certificate_path, error);
    if (status == OK && authority_path) {
        status = use_authorities(context, authority_path, error);
    }
    ERR_clear_error();
    if (status != OK) {
        SSL_CTX_free(context);
        return status;
    }
    *out = context;
    return OK;
}

enum status tls_client_key_read(const char *key_path, const char *certificate_path, SSL_CTX **out,
                                struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) {
        return error_set(error, INTERNAL, "cannot make a TLS context");
    }
    enum status status = use_files(context, key_path, certificate_path, error);
    ERR_clear_error();
    if (status != OK) {
        SSL_CTX_free(context);
        return status;
    }
    *out = context;
    return OK;
}

bool tls_client_key_use(SSL_CTX *from, SSL_CTX *context)
{
    STACK_OF(X509) *chain = NULL;
    return SSL_CTX_get0_chain_certs(from, &chain) == 1 &&
           SSL_CTX_use_cert_and_key(context, SSL_CTX_get0_certificate(from),
                                    SSL_CTX_get0_privatekey(from), chain, 1) == 1;
}

bool tls_peer_key(const SSL *ssl, struct fingerprint *out)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate) {
        return false;
    }
    unsigned char *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (length <= 0) {
        return false;
    }
    *out = fingerprint_of_public_key(der, (size_t)length);
    OPENSSL_free(der);
    return true;
}

// The one common name of a subject as UTF-8.
static bool common_name(const X509_NAME *subject, char out[TLS_NAME_SIZE])
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return false;
    }
    unsigned char *bytes = NULL;
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    int length = ASN1_STRING_to_UTF8(&bytes, value);
    struct text name = {(const char *)bytes, length > 0 ? (size_t)length : 0};
    bool is_good = name.length > 0 && name.length < TLS_NAME_SIZE && text_is_utf8(name) &&
                   !text_has_control(name);
    if (is_good) {
        memcpy(out, name.bytes, name.length);
        out[name.length] = '\0';
    }
    OPENSSL_free(bytes);
    return is_good;
}

bool tls_peer_name(const SSL *ssl, char out[TLS_NAME_SIZE], int64_t *until_us)
{
    struct tm end;
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK ||
        ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) {
        return false;
    }
    *until_us = (int64_t)timegm(&end) * 1000000;
    return common_name(X509_get_subject_name(certificate), out);
}
