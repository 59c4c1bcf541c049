// Sockets that wait for connections of the network.
#ifndef LODE_OS_LISTENING_H
#define LODE_OS_LISTENING_H

#include "base/status.h"

// Listens at "127.0.0.1:7733" or "[::1]:0" (port 0: any); *out is non-blocking and the caller's. INVALID for what is no address, CONFLICT, with the way out, for
// one that is taken.
enum status listening_open(const char *address, int *out, struct error *error);

// Takes a port for later: who connects is refused until listening_begin. As above.
enum status listening_reserve(const char *address, int *out, struct error *error);
enum status listening_begin(int fd, struct error *error);
// The port of such a socket.
int listening_port(int fd);

#endif
