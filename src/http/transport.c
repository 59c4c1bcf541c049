#include "http/transport.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORD_SIZE = 16384, // Of TLS (RFC 8446 section 5.1).
    ASKED_COUNT = 2,     // One of the system's questions may be lost.
};

void transport_init(struct transport *transport, int fd, SSL_CTX *context)
{
    *transport = (struct transport){.fd = fd, .output = evbuffer_new()};
    assert(transport->output);
    if (context) {
        transport->ssl = SSL_new(context);
        int is_set = transport->ssl ? SSL_set_fd(transport->ssl, fd) : 0;
        assert(is_set == 1);
        SSL_set_accept_state(transport->ssl);
    }
}

// Half of the time passes before the first question; the other half is for the answers.
void transport_watch(struct transport *transport, int seconds)
{
    const int count = seconds > 2 ? ASKED_COUNT : 1; // The shortest interval is a second.
    const int idle = seconds >= 2 ? seconds / 2 : 1;
    const int interval = seconds >= 2 * (ASKED_COUNT) ? seconds / 2 / ASKED_COUNT : 1;
    const int on = 1;
    (void)setsockopt(transport->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(transport->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(transport->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(transport->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
}

// The system's words for a machine that does not answer; a router on the way may have said so.
static void note_failure(struct transport *transport)
{
    transport->is_silent = errno == ETIMEDOUT || errno == EHOSTUNREACH || errno == ENETUNREACH;
}

void transport_done(struct transport *transport)
{
    if (transport->ssl) {
        if (SSL_is_init_finished(transport->ssl) &&
            (SSL_get_shutdown(transport->ssl) & SSL_SENT_SHUTDOWN) == 0) {
            (void)SSL_shutdown(transport->ssl);
        }
        SSL_free(transport->ssl);
        ERR_clear_error();
    }
    evbuffer_free(transport->output);
    (void)close(transport->fd);
}

static enum transport_result after_tls(struct transport *transport, int result)
{
    int reason = SSL_get_error(transport->ssl, result);
    switch (reason) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TRANSPORT_BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
        return TRANSPORT_CLOSED;
    case SSL_ERROR_SYSCALL:
        note_failure(transport);
        return TRANSPORT_FAILED;
    default:
        return TRANSPORT_FAILED;
    }
}

static enum transport_result after_call(struct transport *transport, ssize_t result)
{
    if (result == 0) {
        return TRANSPORT_CLOSED;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return TRANSPORT_BLOCKED;
    }
    note_failure(transport);
    return TRANSPORT_FAILED;
}

enum transport_result transport_handshake(struct transport *transport)
{
    if (!transport->ssl) {
        return TRANSPORT_DONE;
    }
    ERR_clear_error();
    int result = SSL_do_handshake(transport->ssl);
    return result == 1 ? TRANSPORT_DONE : after_tls(transport, result);
}

enum transport_result transport_read(struct transport *transport, void *block, size_t size,
                                     size_t *got)
{
    if (!transport->ssl) {
        ssize_t result = recv(transport->fd, block, size, 0);
        *got = result > 0 ? (size_t)result : 0;
        return result > 0 ? TRANSPORT_DONE : after_call(transport, result);
    }
    // One call returns one record at most; more of them are gathered, so that a body goes on in large pieces.
    *got = 0;
    enum transport_result result = TRANSPORT_DONE;
    while (size - *got >= RECORD_SIZE || *got == 0) {
        size_t length = 0;
        ERR_clear_error();
        int outcome = SSL_read_ex(transport->ssl, (char *)block + *got, size - *got, &length);
        if (outcome != 1) {
            result = after_tls(transport, outcome);
            break;
        }
        *got += length;
        if (!SSL_has_pending(transport->ssl)) {
            break;
        }
    }
    return *got > 0 ? TRANSPORT_DONE : result;
}

bool transport_has_more(const struct transport *transport)
{
    return transport->ssl && SSL_has_pending(transport->ssl) == 1;
}

static enum transport_result flush_tls(struct transport *transport)
{
    size_t length;
    while ((length = evbuffer_get_length(transport->output)) > 0) {
        size_t piece = length < RECORD_SIZE ? length : RECORD_SIZE;
        const unsigned char *bytes = evbuffer_pullup(transport->output, (ssize_t)piece);
        size_t written = 0;
        ERR_clear_error();
        int outcome = SSL_write_ex(transport->ssl, bytes, piece, &written);
        if (outcome != 1) {
            return after_tls(transport, outcome);
        }
        (void)evbuffer_drain(transport->output, written);
        transport->sent_bytes += (int64_t)written;
    }
    return TRANSPORT_DONE;
}

enum transport_result transport_flush(struct transport *transport)
{
    if (transport->ssl) {
        return flush_tls(transport);
    }
    while (evbuffer_get_length(transport->output) > 0) {
        int written = evbuffer_write(transport->output, transport->fd);
        if (written <= 0) {
            return after_call(transport, written);
        }
        transport->sent_bytes += written;
    }
    return TRANSPORT_DONE;
}

// One block of the file as TLS records. Where the socket blocks, the same bytes are read again next time: so a slow
// client holds no memory.
static enum transport_result send_block(struct transport *transport, int file_fd, int64_t from,
                                        size_t size, void *block, size_t *sent)
{
    *sent = 0;
    ssize_t got = pread(file_fd, block, size, from);
    if (got <= 0) {
        return got < 0 && errno == EINTR ? TRANSPORT_BLOCKED : TRANSPORT_FAILED;
    }
    while (*sent < (size_t)got) {
        size_t written = 0;
        ERR_clear_error();
        int outcome = SSL_write_ex(transport->ssl, (const char *)block + *sent, (size_t)got - *sent,
                                   &written);
        if (outcome != 1) {
            return after_tls(transport, outcome);
        }
        *sent += written;
    }
    return TRANSPORT_DONE;
}

enum transport_result transport_send_file(struct transport *transport, int file_fd, int64_t *from,
                                          int64_t *length, int64_t budget, void *block, size_t size)
{
    while (*length > 0 && budget > 0) {
        int64_t most = transport->ssl ? (int64_t)size : budget;
        most = *length < most ? *length : most;
        size_t sent = 0;
        enum transport_result result = TRANSPORT_DONE;
        if (transport->ssl) {
            result = send_block(transport, file_fd, *from, (size_t)most, block, &sent);
        } else {
            off_t offset = *from;
            ssize_t outcome = sendfile(transport->fd, file_fd, &offset, (size_t)most);
            sent = outcome > 0 ? (size_t)outcome : 0;
            result = outcome > 0 ? TRANSPORT_DONE : after_call(transport, outcome);
        }
        *from += (int64_t)sent;
        *length -= (int64_t)sent;
        budget -= (int64_t)sent;
        transport->sent_bytes += (int64_t)sent;
        if (result != TRANSPORT_DONE) {
            return result;
        }
    }
    return *length > 0 ? TRANSPORT_BLOCKED : TRANSPORT_DONE;
}

void transport_end(struct transport *transport)
{
    if (transport->ssl) {
        (void)SSL_shutdown(transport->ssl);
        ERR_clear_error();
    }
    (void)shutdown(transport->fd, SHUT_WR);
}
