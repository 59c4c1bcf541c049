#include "helper/listen.h"

#include "os/file.h"
#include "os/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    CONNECTIONS_MAX = 64,         // At once.
    CONNECTIONS_PER_ADDRESS = 16, // Of these, from one address.
};

struct connection {
    pid_t process;
    char address[PEER_ADDRESS_SIZE];
};

struct daemon {
    const struct helper_settings *settings;
    const struct helper_sockets *sockets;
    struct connection connections[CONNECTIONS_MAX];
    size_t count;
    int signals;
    sigset_t blocked;
    bool is_ended;
};

// Workers are others' children once their connection is over; where this is the machine's first process, as in a container, they are ours.
static void reap(struct daemon *daemon)
{
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (size_t i = 0; i < daemon->count; i++) {
            if (daemon->connections[i].process == ended) {
                daemon->connections[i] = daemon->connections[--daemon->count];
                break;
            }
        }
    }
}

static void take_signal(struct daemon *daemon)
{
    struct signalfd_siginfo info;
    while (read(daemon->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        daemon->is_ended = daemon->is_ended || info.ssi_signo != SIGCHLD;
    }
    reap(daemon);
}

static bool has_room(const struct daemon *daemon, const char *address)
{
    size_t same = 0;
    for (size_t i = 0; i < daemon->count; i++) {
        same += strcmp(daemon->connections[i].address, address) == 0;
    }
    return daemon->count < CONNECTIONS_MAX && same < CONNECTIONS_PER_ADDRESS;
}

// In the process of a connection: keeps nothing of the daemon but its settings.
static _Noreturn void become_connection(struct daemon *daemon, int fd)
{
    (void)sigprocmask(SIG_UNBLOCK, &daemon->blocked, NULL);
    (void)close(daemon->signals);
    for (size_t i = 0; i < daemon->sockets->count; i++) {
        (void)close(daemon->sockets->fds[i]);
    }
    _exit(serve_socket(daemon->settings, fd));
}

static void take_connection(struct daemon *daemon, int fd)
{
    char address[PEER_ADDRESS_SIZE];
    peer_address(fd, address);
    reap(daemon); // Some may have ended since the last signal was read.
    if (!has_room(daemon, address)) {
        log_line(LOG_LEVEL_WARNING, "event=helper-full from=%s connections=%zu", address,
                 daemon->count);
        return;
    }
    pid_t process = fork();
    if (process == 0) {
        become_connection(daemon, fd);
    }
    if (process < 0) {
        log_line(LOG_LEVEL_ERROR, "event=helper-failed detail=\"cannot fork: %s\"",
                 strerrordesc_np(errno));
        return;
    }
    struct connection *connection = &daemon->connections[daemon->count++];
    connection->process = process;
    (void)snprintf(connection->address, sizeof connection->address, "%s", address);
}

static void accept_one(struct daemon *daemon, int listening)
{
    AUTO_CLOSE int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        take_connection(daemon, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        log_line(LOG_LEVEL_ERROR, "event=helper-failed detail=\"cannot accept: %s\"",
                 strerrordesc_np(errno));
        (void)poll(NULL, 0, 100); // It would be said over and over.
    }
}

static void serve(struct daemon *daemon)
{
    struct pollfd fds[HELPER_SOCKETS_MAX + 1];
    size_t count = daemon->sockets->count;
    for (size_t i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = daemon->sockets->fds[i], .events = POLLIN};
    }
    fds[count] = (struct pollfd){.fd = daemon->signals, .events = POLLIN};
    while (!daemon->is_ended) {
        if (poll(fds, count + 1, -1) < 0) {
            continue;
        }
        if (fds[count].revents) {
            take_signal(daemon);
        }
        for (size_t i = 0; i < count && !daemon->is_ended; i++) {
            if (fds[i].revents) {
                accept_one(daemon, daemon->sockets->fds[i]);
            }
        }
    }
}

enum status helper_listen(const struct helper_settings *settings,
                          const struct helper_sockets *sockets, void (*ready)(void *context),
                          void *context, struct error *error)
{
    struct daemon daemon = {.settings = settings, .sockets = sockets};
    (void)sigemptyset(&daemon.blocked);
    (void)sigaddset(&daemon.blocked, SIGTERM);
    (void)sigaddset(&daemon.blocked, SIGINT);
    (void)sigaddset(&daemon.blocked, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &daemon.blocked, NULL);
    daemon.signals = signalfd(-1, &daemon.blocked, SFD_CLOEXEC | SFD_NONBLOCK);
    if (daemon.signals < 0) {
        return error_set_errno(error, errno, "cannot open a signal descriptor");
    }
    ready(context);
    serve(&daemon);
    (void)close(daemon.signals);
    return OK;
}
