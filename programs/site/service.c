#include "site/service.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SERVICE_FIRST_FD = 3 };

static bool read_number(const char *variable, int64_t *out)
{
    const char *value = getenv(variable);
    return value && text_to_int64(text_of(value), out);
}

size_t service_take_sockets(int fds[SERVICE_FDS_MAX])
{
    int64_t process = 0;
    int64_t count = 0;
    bool is_ours = read_number("LISTEN_PID", &process) && process == getpid() &&
                   read_number("LISTEN_FDS", &count) && count > 0;
    // Workers that the site starts must not take them for theirs.
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (!is_ours) {
        return 0;
    }
    size_t taken = count < SERVICE_FDS_MAX ? (size_t)count : SERVICE_FDS_MAX;
    for (size_t i = 0; i < taken; i++) {
        fds[i] = SERVICE_FIRST_FD + (int)i;
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    return taken;
}

void service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    // A leading "@" stands for a name without a file (unix(7), abstract).
    address.sun_path[0] = path[0] == '@' ? '\0' : path[0];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    (void)close(fd);
}
