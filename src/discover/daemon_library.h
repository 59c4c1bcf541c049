// The way to the avahi-daemon of this machine: Avahi's client library, which speaks to it over D-Bus. Loaded when there is a system bus and something is announced or looked for.
//
// Its calls wait for answers, up to 25 s each on a bus that hangs, and for ever on one that takes no connection: make them on a thread that can be
// left (errand.h).
#ifndef LODE_DISCOVER_DAEMON_LIBRARY_H
#define LODE_DISCOVER_DAEMON_LIBRARY_H

#include "base/status.h"
#include "discover/avahi_common.h"

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <stdbool.h>

// The functions in use, under their names without "avahi_".
#define DAEMON_LIBRARY_FUNCTIONS(X)                                                                \
    X(client_errno)                                                                                \
    X(client_free)                                                                                 \
    X(client_get_state)                                                                            \
    X(client_new)                                                                                  \
    X(entry_group_add_address)                                                                     \
    X(entry_group_add_service_strlst)                                                              \
    X(entry_group_commit)                                                                          \
    X(entry_group_new)                                                                             \
    X(entry_group_reset)                                                                           \
    X(service_browser_new)                                                                         \
    X(service_resolver_new)

struct daemon_library {
    struct avahi_common common;
    DAEMON_LIBRARY_FUNCTIONS(AVAHI_MEMBER)
};

// The library, loaded once for the program; from any thread. UNAVAILABLE when it is not installed.
enum status daemon_library_get(const struct daemon_library **out, struct error *error);

// Is there a system bus, by which a daemon could be asked? Looks whether its socket exists, and speaks to nobody.
bool daemon_has_bus(void);

// Does another program answer multicast DNS in this network namespace (does a socket have UDP port 5353)? In a namespace of its own, such as a container, the bus may lead to the daemon of
// another network: what that one says is heard elsewhere. To be asked while this program has no responder open.
bool daemon_is_of_this_network(void);

#endif
