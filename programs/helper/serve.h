// One caller's connection to a helper: who it is, and what it asks for.
#ifndef LODE_PROGRAMS_HELPER_SERVE_H
#define LODE_PROGRAMS_HELPER_SERVE_H

#include "http/tls.h"

#include <stdbool.h>

enum { SERVE_SECONDS_MAX = 180, PEER_ADDRESS_SIZE = 64 };

struct helper_settings {
    const char *folder;   // With the file of callers.
    SSL_CTX *tls;         // NULL: for connections over pipes alone.
    bool may_become_root; // --allow-root
};

// Serves who is at the other end of the socket, which it takes over, and speaks TLS. The process is this connection's own: it may become the caller's account, and is ended
// by SIGALRM when the time is over. Returns the exit status.
int serve_socket(const struct helper_settings *settings, int fd);

// Serves who has started this program, over standard input and output, as the account that it is. Returns the exit status.
int serve_pipe(void);

// The other end's address as text: "10.0.0.7".
void peer_address(int fd, char out[PEER_ADDRESS_SIZE]);

#endif
