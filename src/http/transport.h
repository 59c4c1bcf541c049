// The bytes of one connection, plain or through TLS, on a non-blocking socket.
//
// It reads into the caller's block and keeps what waits to be sent. libevent's own TLS buffers are not used: they cannot
// stop and go on reading without losing what OpenSSL has decrypted already, and hold 8 KiB for a client that is silent.
#ifndef LODE_HTTP_TRANSPORT_H
#define LODE_HTTP_TRANSPORT_H

#include "base/text.h"

#include <event2/buffer.h>
#include <openssl/ssl.h>

struct transport {
    int fd;
    SSL *ssl; // NULL: plain.
    struct evbuffer *output;
    int64_t sent_bytes; // In all, to see whether a client takes what it gets.
    bool is_silent;     // It has failed, as nothing came of the client's machine any more.
};

enum transport_result {
    TRANSPORT_DONE,    // What was asked for was done.
    TRANSPORT_BLOCKED, // The rest has to wait for the socket.
    TRANSPORT_CLOSED,  // The client has ended its side.
    TRANSPORT_FAILED,
};

// Takes the socket over; `context` NULL means plain.
void transport_init(struct transport *transport, int fd, SSL_CTX *context);
// Has the system ask the other machine, when it is silent, so that the socket fails `seconds` (2 or more) after the last that came.
void transport_watch(struct transport *transport, int seconds);
// Says goodbye as far as that does not block, and closes.
void transport_done(struct transport *transport);

// The TLS handshake; done at once for a plain one.
enum transport_result transport_handshake(struct transport *transport);

// Reads what there is, at most `size` bytes; DONE with *got > 0.
enum transport_result transport_read(struct transport *transport, void *block, size_t size,
                                     size_t *got);

// Are there bytes that were taken off the socket already? The socket then does not say so.
bool transport_has_more(const struct transport *transport);

// Sends what `output` holds.
enum transport_result transport_flush(struct transport *transport);

// Sends up to `budget` bytes of a file after an empty `output`; *from and *length move on. A plain one goes from file to
// socket in the kernel, TLS by way of `block` (of `size` bytes). BLOCKED as well when the budget is spent.
enum transport_result transport_send_file(struct transport *transport, int file_fd, int64_t *from,
                                          int64_t *length, int64_t budget, void *block,
                                          size_t size);

// Ends our side; the client may still send.
void transport_end(struct transport *transport);

#endif
