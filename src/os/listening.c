#include "os/listening.h"

#include "base/text.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

// Splits "127.0.0.1:7733" or "[::1]:0".
static enum status split_address(const char *address, char *host, size_t host_size,
                                 const char **port, struct error *error)
{
    struct text whole = text_of(address);
    const char *colon = strrchr(address, ':');
    struct text name = text_slice(whole, 0, colon ? (size_t)(colon - address) : 0);
    if (text_starts_with(name, TEXT("[")) && text_ends_with(name, TEXT("]"))) {
        name = text_slice(name, 1, name.length - 1);
    }
    if (!colon || name.length == 0 || name.length >= host_size) {
        (void)error_set(error, INVALID, "\"%.100s\" is not an address with a port", address);
        error_fix(error, "give it as 127.0.0.1:7733 or [::1]:7733");
        return INVALID;
    }
    memcpy(host, name.bytes, name.length);
    host[name.length] = '\0';
    *port = colon + 1;
    return OK;
}

enum status listening_open(const char *address, int *out, struct error *error)
{
    char host[256];
    const char *port = NULL;
    TRY(split_address(address, host, sizeof host, &port, error));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0) {
        return error_set(error, INVALID, "cannot listen at %.100s: %s", address,
                         gai_strerror(failure));
    }
    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_listening = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                        bind(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                        listen(fd, BACKLOG) == 0;
    int reason = errno;
    freeaddrinfo(found);
    if (is_listening) {
        *out = fd;
        return OK;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (reason == EADDRINUSE) {
        (void)error_set(error, CONFLICT, "%s is in use already", address);
        error_fix(error, "stop the program that listens there, or choose another port");
        return CONFLICT;
    }
    return error_set_errno(error, reason, "cannot listen at %s", address);
}
