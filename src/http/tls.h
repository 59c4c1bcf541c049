// TLS: the server's context, who the client is, and the client's own key.
#ifndef LODE_HTTP_TLS_H
#define LODE_HTTP_TLS_H

#include "base/status.h"
#include "crypto/key.h"

#include <openssl/ssl.h>
#include <stdbool.h>

enum { TLS_NAME_SIZE = 65 }; // A common name has at most 64 characters (RFC 5280).

// A context for TLS 1.2 and later with the key and certificate. Client certificates are asked for and any is accepted:
// what counts is the key's fingerprint, which the handler judges. `authority_path` (PEM; NULL: none) holds the certificates of
// authorities: whether the client's chains to one of them is noted, for tls_peer_name. *out is the caller's.
enum status tls_context_new(const char *key_path, const char *certificate_path,
                            const char *authority_path, SSL_CTX **out, struct error *error);

// The fingerprint of the client's key; false when it showed no certificate.
bool tls_peer_key(const SSL *ssl, struct fingerprint *out);

// The common name in the client's certificate, when that chains to an authority of the context, and until when the certificate is valid
// (wall clock); false else, or when it has none, several, or one that is longer than 64 bytes, no UTF-8 or has control characters.
bool tls_peer_name(const SSL *ssl, char out[TLS_NAME_SIZE], int64_t *until_us);

// A context that only holds a client's key and certificate, read once for all of its connections: reading them takes about as long as
// a handshake. *out is the caller's. INVALID when they cannot be used.
enum status tls_client_key_read(const char *key_path, const char *certificate_path, SSL_CTX **out,
                                struct error *error);

// Gives the key and certificate of `from` to the context of a connection; false when it does not take them.
bool tls_client_key_use(SSL_CTX *from, SSL_CTX *context);

#endif
