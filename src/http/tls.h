// TLS: the server's context, who the client is, and the client's own key.
#ifndef LODE_HTTP_TLS_H
#define LODE_HTTP_TLS_H

#include "base/status.h"
#include "crypto/key.h"

#include <openssl/ssl.h>
#include <stdbool.h>

// A context for TLS 1.2 and later with the key and certificate. Client certificates are asked for and any is accepted:
// what counts is the key's fingerprint, which the handler judges. *out is the caller's.
enum status tls_context_new(const char *key_path, const char *certificate_path, SSL_CTX **out,
                            struct error *error);

// The fingerprint of the client's key; false when it showed no certificate.
bool tls_peer_key(const SSL *ssl, struct fingerprint *out);

// A context that only holds a client's key and certificate, read once for all of its connections: reading them takes about as long as
// a handshake. *out is the caller's. INVALID when they cannot be used.
enum status tls_client_key_read(const char *key_path, const char *certificate_path, SSL_CTX **out,
                                struct error *error);

// Gives the key and certificate of `from` to the context of a connection; false when it does not take them.
bool tls_client_key_use(SSL_CTX *from, SSL_CTX *context);

#endif
