// The machines that `lode pool` is for, as they are written on a command line or in a file.
#ifndef LODE_HELPER_HOSTS_H
#define LODE_HELPER_HOSTS_H

#include "crypto/key.h"

#include <stdbool.h>
#include <stdint.h>

enum { HOSTS_MAX = 10000, HOST_TEXT_MAX = 320 };

enum host_way {
    HOST_WAY_ANY, // With a port: a helper that listens; without: ssh.
    HOST_WAY_SSH,
    HOST_WAY_LISTEN,
};

struct host {
    char said[HOST_TEXT_MAX + 1]; // As it was written.
    char name[HOST_TEXT_MAX +
              1];           // "node7", "ada@node7", "::1": without brackets for HOST_WAY_LISTEN.
    int64_t port;           // 0: none was said.
    enum host_way way;      // HOST_WAY_SSH or HOST_WAY_LISTEN.
    struct fingerprint pin; // Of the helper's key; empty: none was said.
};

// Reads "[USER@]NAME[:PORT]", an IPv6 address in brackets. INVALID for what could be anything but a machine ("-oProxyCommand=..."), and for a user where a
// helper listens: there the caller's key says which account.
enum status host_read(struct text said, enum host_way way, struct host *out, struct error *error);

// Calls `on_host` for each line "HOST [FINGERPRINT]" of such a file; empty lines and what follows "#" mean nothing. INVALID with the number of the line.
enum status hosts_read(struct text content, enum host_way way,
                       enum status (*on_host)(void *context, const struct host *host,
                                              struct error *error),
                       void *context, struct error *error);

#endif
