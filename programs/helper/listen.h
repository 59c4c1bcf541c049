// A helper that listens: a process for each connection.
#ifndef LODE_PROGRAMS_HELPER_LISTEN_H
#define LODE_PROGRAMS_HELPER_LISTEN_H

#include "base/status.h"
#include "helper/serve.h"

enum { HELPER_SOCKETS_MAX = 16 };

struct helper_sockets {
    int fds[HELPER_SOCKETS_MAX]; // Listening and non-blocking.
    size_t count;
};

// Serves whoever connects until SIGTERM or SIGINT; connections under way, and the workers, stay. `ready` is called when it takes connections.
enum status helper_listen(const struct helper_settings *settings,
                          const struct helper_sockets *sockets, void (*ready)(void *context),
                          void *context, struct error *error);

#endif
