// The server's side of TLS: its context, and who the client is.
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

#endif
