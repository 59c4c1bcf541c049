#include "os/listening.h"

#include "base/text.h"
#include "os/file.h"

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

static enum status fail(const char *address, int reason, struct error *error)
{
    if (reason == EADDRINUSE) {
        (void)error_set(error, CONFLICT, "%s is in use already", address);
        error_fix(error, "stop the program that listens there, or choose another port");
        return CONFLICT;
    }
    return error_set_errno(error, reason, "cannot listen at %s", address);
}

static bool allow_reuse(int fd)
{
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
}

// A bound socket, whose port the next one can have as soon as it is closed. Two that allow this may get the same port of the system's choice
// as long as neither listens: so that is allowed only when the port is chosen.
static int bind_to(const struct addrinfo *to, bool is_any_port)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_bound = fd >= 0 && (is_any_port || allow_reuse(fd)) &&
                    bind(fd, to->ai_addr, to->ai_addrlen) == 0 && allow_reuse(fd);
    if (fd >= 0 && !is_bound) {
        int reason = errno;
        (void)close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

enum status listening_reserve(const char *address, int *out, struct error *error)
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
    int fd = bind_to(found, strcmp(port, "0") == 0);
    int reason = errno;
    freeaddrinfo(found);
    if (fd >= 0) {
        *out = fd;
        return OK;
    }
    return fail(address, reason, error);
}

enum status listening_begin(int fd, struct error *error)
{
    return listen(fd, BACKLOG) == 0 ? OK : error_set_errno(error, errno, "cannot listen");
}

enum status listening_open(const char *address, int *out, struct error *error)
{
    AUTO_CLOSE int fd = -1;
    TRY(listening_reserve(address, &fd, error));
    if (listening_begin(fd, NULL) != OK) {
        return fail(address, errno, error);
    }
    *out = file_take_fd(&fd);
    return OK;
}

int listening_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char port[16];
    int64_t number = 0;
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof port,
                    NI_NUMERICSERV) != 0) {
        return 0;
    }
    return text_to_int64(text_of(port), &number) ? (int)number : 0;
}
