// A TLS connection that is read and written by hand, in a program that has time for it: each call waits, up to a deadline.
//
// All times are by the steady clock (clock_steady_us). The key of the other side is for the caller to judge, before anything is said to it.
#ifndef LODE_HTTP_TLS_STREAM_H
#define LODE_HTTP_TLS_STREAM_H

#include "http/tls.h"

#include <stdint.h>

struct tls_stream;

// The server's side, with a context of tls_context_new. Takes the socket over in every case. TIMEOUT; INVALID when the other side speaks no TLS, UNAVAILABLE when it has left.
enum status tls_stream_accept(int fd, SSL_CTX *context, int64_t until_us, struct tls_stream **out,
                              struct error *error);

// The client's side: connects to a host and port and shows the key of a context of tls_client_key_read. UNAVAILABLE when nobody answers, or what answers closes at once, TIMEOUT, INVALID.
enum status tls_stream_connect(const char *host, const char *port, SSL_CTX *key, int64_t until_us,
                               struct tls_stream **out, struct error *error);

// The other side's key, and the name that an authority has certified: as tls_peer_key and tls_peer_name.
bool tls_stream_peer_key(const struct tls_stream *stream, struct fingerprint *out);
bool tls_stream_peer_name(const struct tls_stream *stream, char out[TLS_NAME_SIZE],
                          int64_t *until_us);

// Reads what comes first, at most `size` bytes; *got 0: the other side has ended. TIMEOUT; UNAVAILABLE when the connection broke.
enum status tls_stream_read(struct tls_stream *stream, void *block, size_t size, size_t *got,
                            int64_t until_us, struct error *error);

// Writes everything.
enum status tls_stream_write(struct tls_stream *stream, struct text bytes, int64_t until_us,
                             struct error *error);

// Carries bytes from `in_fd` to the other side, and back to `out_fd`, until the other side ends. The end of `in_fd` is passed on.
enum status tls_stream_carry(struct tls_stream *stream, int in_fd, int out_fd, struct error *error);

// Says goodbye, waits until the other side has read that (or `until_us`), so that nothing written is lost, closes and frees. NULL is allowed.
void tls_stream_close(struct tls_stream *stream, int64_t until_us);

#endif
