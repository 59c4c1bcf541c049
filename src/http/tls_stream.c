#include "http/tls_stream.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK_SIZE = 16384 };

struct tls_stream {
    SSL *ssl;
    int fd; // Non-blocking.
};

// Waits until the descriptor is ready for `events`; false when `until_us` comes first.
static bool await(int fd, short events, int64_t until_us)
{
    for (;;) {
        int64_t left_us = until_us - clock_steady_us();
        if (left_us <= 0) {
            return false;
        }
        struct pollfd ready = {.fd = fd, .events = events};
        int64_t left_ms = (left_us + 999) / 1000;
        if (poll(&ready, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX) > 0) {
            return true;
        }
    }
}

// After a call of OpenSSL that came to `result`: OK when it is to be tried again.
static enum status await_again(const struct tls_stream *stream, int result, int64_t until_us,
                               struct error *error)
{
    int reason = SSL_get_error(stream->ssl, result);
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
        return error_set(error, UNAVAILABLE, "the connection broke");
    }
    short events = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    if (!await(stream->fd, events, until_us)) {
        return error_set(error, TIMEOUT, "the other side is silent for too long");
    }
    return OK;
}

static void free_stream(struct tls_stream *stream)
{
    SSL_free(stream->ssl);
    ERR_clear_error();
    (void)close(stream->fd);
    free(stream);
}

// Did the other side end without a word of TLS?
static bool has_ended(const struct tls_stream *stream, int result)
{
    int reason = SSL_get_error(stream->ssl, result);
    return (reason == SSL_ERROR_SYSCALL) ||
           (reason == SSL_ERROR_SSL &&
            ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

static enum status shake_hands(struct tls_stream *stream, int64_t until_us, struct error *error)
{
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(stream->ssl);
        if (result == 1) {
            return OK;
        }
        if (has_ended(stream, result)) {
            return error_set(error, UNAVAILABLE, "the other side has closed the connection");
        }
        if (SSL_get_error(stream->ssl, result) == SSL_ERROR_SSL) {
            return error_set(error, INVALID, "the other side does not speak TLS as it must");
        }
        TRY(await_again(stream, result, until_us, error));
    }
}

// Makes the stream of a socket, which it takes over; with `context` NULL of nobody.
static enum status make_stream(int fd, SSL_CTX *context, struct tls_stream **out,
                               struct error *error)
{
    const int on = 1;
    int flags = fcntl(fd, F_GETFL);
    SSL *ssl = SSL_new(context);
    if (!ssl || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        (void)close(fd);
        return error_set(error, INTERNAL, "cannot make a TLS connection");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *out = NEW(struct tls_stream);
    (*out)->ssl = ssl;
    (*out)->fd = fd;
    return OK;
}

static enum status finish_stream(struct tls_stream *stream, int64_t until_us,
                                 struct tls_stream **out, struct error *error)
{
    enum status status = shake_hands(stream, until_us, error);
    if (status != OK) {
        free_stream(stream);
        return status;
    }
    *out = stream;
    return OK;
}

enum status tls_stream_accept(int fd, SSL_CTX *context, int64_t until_us, struct tls_stream **out,
                              struct error *error)
{
    struct tls_stream *stream = NULL;
    TRY(make_stream(fd, context, &stream, error));
    SSL_set_accept_state(stream->ssl);
    return finish_stream(stream, until_us, out, error);
}

static enum status connect_to(const struct addrinfo *address, int64_t until_us, int *out)
{
    AUTO_CLOSE int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failure = 0;
    socklen_t size = sizeof failure;
    if (fd < 0) {
        return INTERNAL;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) {
        return UNAVAILABLE;
    }
    if (!await(fd, POLLOUT, until_us)) {
        errno = ETIMEDOUT;
        return TIMEOUT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0 || failure != 0) {
        errno = failure;
        return UNAVAILABLE;
    }
    *out = file_take_fd(&fd);
    return OK;
}

static enum status connect_to_any(const char *host, const char *port, int64_t until_us, int *out,
                                  struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0) {
        return error_set(error, UNAVAILABLE, "cannot find %.200s: %s", host, gai_strerror(failure));
    }
    enum status status = UNAVAILABLE;
    for (const struct addrinfo *each = found; each && status != OK; each = each->ai_next) {
        status = connect_to(each, until_us, out);
    }
    int reason = errno;
    freeaddrinfo(found);
    if (status != OK) {
        (void)error_set(error, status, "cannot reach %.200s:%.8s: %s", host, port,
                        strerrordesc_np(reason));
    }
    return status;
}

enum status tls_stream_connect(const char *host, const char *port, SSL_CTX *key, int64_t until_us,
                               struct tls_stream **out, struct error *error)
{
    int fd = -1;
    struct tls_stream *stream = NULL;
    TRY(connect_to_any(host, port, until_us, &fd, error));
    TRY(make_stream(fd, key, &stream, error));
    (void)SSL_set_min_proto_version(stream->ssl, TLS1_2_VERSION);
    SSL_set_connect_state(stream->ssl);
    return finish_stream(stream, until_us, out, error);
}

bool tls_stream_peer_key(const struct tls_stream *stream, struct fingerprint *out)
{
    return tls_peer_key(stream->ssl, out);
}

bool tls_stream_peer_name(const struct tls_stream *stream, char out[TLS_NAME_SIZE],
                          int64_t *until_us)
{
    return tls_peer_name(stream->ssl, out, until_us);
}

enum status tls_stream_read(struct tls_stream *stream, void *block, size_t size, size_t *got,
                            int64_t until_us, struct error *error)
{
    for (;;) {
        ERR_clear_error();
        int result = SSL_read_ex(stream->ssl, block, size, got);
        if (result == 1) {
            return OK;
        }
        *got = 0;
        if (SSL_get_error(stream->ssl, result) == SSL_ERROR_ZERO_RETURN) {
            return OK;
        }
        TRY(await_again(stream, result, until_us, error));
    }
}

enum status tls_stream_write(struct tls_stream *stream, struct text bytes, int64_t until_us,
                             struct error *error)
{
    while (bytes.length > 0) {
        size_t written = 0;
        ERR_clear_error();
        int result = SSL_write_ex(stream->ssl, bytes.bytes, bytes.length, &written);
        if (result == 1) {
            bytes = text_slice(bytes, written, bytes.length);
        } else {
            TRY(await_again(stream, result, until_us, error));
        }
    }
    return OK;
}

// What is on its way out.
struct outward {
    char block[BLOCK_SIZE];
    struct text left; // Of the block.
    bool is_open;     // More may come.
};

// Takes what `in_fd` has; its end is passed on at once.
static enum status take_in(struct tls_stream *stream, int in_fd, struct outward *outward,
                           struct error *error)
{
    ssize_t got = read(in_fd, outward->block, sizeof outward->block);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? OK
                                                 : error_set_errno(error, errno, "cannot read");
    }
    outward->left = (struct text){outward->block, (size_t)got};
    outward->is_open = got > 0;
    if (got == 0) {
        (void)SSL_shutdown(stream->ssl);
    }
    return OK;
}

// Sends as much of it as goes now.
static enum status carry_out(struct tls_stream *stream, struct outward *outward,
                             struct error *error)
{
    size_t written = 0;
    ERR_clear_error();
    int result = SSL_write_ex(stream->ssl, outward->left.bytes, outward->left.length, &written);
    if (result == 1) {
        outward->left = text_slice(outward->left, written, outward->left.length);
        return OK;
    }
    int reason = SSL_get_error(stream->ssl, result);
    bool is_well = reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
    return is_well ? OK : error_set(error, UNAVAILABLE, "the connection broke");
}

// Passes on what has come; *is_open is false after the other side's end.
static enum status carry_in(struct tls_stream *stream, int out_fd, bool *is_open,
                            struct error *error)
{
    char block[BLOCK_SIZE];
    size_t got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(stream->ssl, block, sizeof block, &got);
    if (result == 1) {
        return file_write_all(out_fd, (struct text){block, got}, error);
    }
    int reason = SSL_get_error(stream->ssl, result);
    *is_open = reason != SSL_ERROR_ZERO_RETURN;
    bool is_well = !*is_open || reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
    return is_well ? OK : error_set(error, UNAVAILABLE, "the connection broke");
}

enum status tls_stream_carry(struct tls_stream *stream, int in_fd, int out_fd, struct error *error)
{
    struct outward outward = {.is_open = true};
    bool is_open = true;
    while (is_open) {
        bool has_more = outward.left.length > 0;
        short events = (short)(has_more ? POLLIN | POLLOUT : POLLIN);
        struct pollfd fds[] = {
            {.fd = stream->fd, .events = events},
            {.fd = outward.is_open && !has_more ? in_fd : -1, .events = POLLIN},
        };
        if (!SSL_has_pending(stream->ssl) && poll(fds, 2, -1) < 0 && errno != EINTR) {
            return error_set_errno(error, errno, "cannot wait for the connection");
        }
        // Reading comes first: who waits until we have read would not read either.
        if ((fds[0].revents & ~POLLOUT) != 0 || SSL_has_pending(stream->ssl)) {
            TRY(carry_in(stream, out_fd, &is_open, error));
        }
        if (is_open && fds[1].revents) {
            TRY(take_in(stream, in_fd, &outward, error));
        }
        if (is_open && outward.left.length > 0) {
            TRY(carry_out(stream, &outward, error));
        }
    }
    return OK;
}

void tls_stream_close(struct tls_stream *stream, int64_t until_us)
{
    char block[BLOCK_SIZE];
    if (!stream) {
        return;
    }
    if (SSL_is_init_finished(stream->ssl)) {
        (void)SSL_shutdown(stream->ssl);
    }
    // What is not read when a socket is closed makes the system take back what was sent.
    (void)shutdown(stream->fd, SHUT_WR);
    while (await(stream->fd, POLLIN, until_us) && recv(stream->fd, block, sizeof block, 0) > 0) {
    }
    free_stream(stream);
}
