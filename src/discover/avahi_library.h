// The core of Avahi, a responder of multicast DNS within this program: it needs no daemon, no D-Bus and no privileges. Loaded
// when something is first announced or looked for; most sites and workers never do either.
#ifndef LODE_DISCOVER_AVAHI_LIBRARY_H
#define LODE_DISCOVER_AVAHI_LIBRARY_H

#include "base/status.h"
#include "discover/avahi_common.h"

#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>

// The functions in use, under their names without "avahi_".
#define AVAHI_LIBRARY_FUNCTIONS(X)                                                                 \
    X(s_entry_group_commit)                                                                        \
    X(s_entry_group_free)                                                                          \
    X(s_entry_group_new)                                                                           \
    X(s_entry_group_reset)                                                                         \
    X(s_service_browser_new)                                                                       \
    X(s_service_resolver_new)                                                                      \
    X(server_add_address)                                                                          \
    X(server_add_service_strlst)                                                                   \
    X(server_config_free)                                                                          \
    X(server_config_init)                                                                          \
    X(server_errno)                                                                                \
    X(server_free)                                                                                 \
    X(server_get_state)                                                                            \
    X(server_new)                                                                                  \
    X(set_log_function)

struct avahi_library {
    struct avahi_common common;
    AVAHI_LIBRARY_FUNCTIONS(AVAHI_MEMBER)
};

// The library, loaded once for the program; from any thread. UNAVAILABLE when it is not installed.
enum status avahi_library_get(const struct avahi_library **out, struct error *error);

// A responder that claims nothing by itself: no host name, no addresses, no domain. So it gets along with others on this machine,
// such as avahi-daemon or a second site. *out is freed with server_free. UNAVAILABLE when it cannot listen.
enum status avahi_server_open(const struct avahi_library *avahi, AvahiSimplePoll *poll,
                              AvahiServerCallback callback, void *context, AvahiServer **out,
                              struct error *error);

#endif
