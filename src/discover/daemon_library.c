#include "discover/daemon_library.h"

#include "os/library.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SONAME "libavahi-client.so.3"
#define BUS_SOCKET "/run/dbus/system_bus_socket"

enum { LINE_SIZE = 256, MULTICAST_DNS_PORT = 5353 };

// Written once, under pthread_once, before anyone reads it.
static struct daemon_library library;
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
#define COMMON_FUNCTION(name) {"avahi_" #name, &library.common.name},
#define DAEMON_FUNCTION(name) {"avahi_" #name, &library.name},
    const struct library_function functions[] = {AVAHI_COMMON_FUNCTIONS(COMMON_FUNCTION)
                                                     DAEMON_LIBRARY_FUNCTIONS(DAEMON_FUNCTION)};
#undef COMMON_FUNCTION
#undef DAEMON_FUNCTION
    is_loaded = library_load(SONAME, functions, sizeof functions / sizeof functions[0]);
}

enum status daemon_library_get(const struct daemon_library **out, struct error *error)
{
    (void)pthread_once(&once, load);
    if (!is_loaded) {
        return error_set(error, UNAVAILABLE,
                         "the library " SONAME ", which speaks to avahi-daemon, cannot be loaded");
    }
    *out = &library;
    return OK;
}

bool daemon_has_bus(void)
{
    const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
    return (address && address[0] != '\0') || access(BUS_SOCKET, F_OK) == 0;
}

// `path` is of /proc/net (proc(5)): a line of headings, then one for each socket, "0: <address>:<port> ...", in hexadecimal.
static bool has_socket_at_port(const char *path, bool *is_known)
{
    FILE *file = fopen(path, "re");
    char line[LINE_SIZE];
    bool is_found = false;
    if (!file) {
        return false;
    }
    *is_known = true;
    while (!is_found && fgets(line, sizeof line, file)) {
        const char *address = strchr(line, ':');
        const char *port = address ? strchr(address + 1, ':') : NULL;
        is_found = port && strtol(port + 1, NULL, 16) == MULTICAST_DNS_PORT;
    }
    (void)fclose(file);
    return is_found;
}

bool daemon_is_of_this_network(void)
{
    bool is_known = false;
    bool is_found = has_socket_at_port("/proc/thread-self/net/udp", &is_known) ||
                    has_socket_at_port("/proc/thread-self/net/udp6", &is_known);
    return is_found || !is_known;
}
