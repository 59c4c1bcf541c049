#include "discover/avahi_library.h"

#include "os/library.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define SONAME "libavahi-core.so.7"

// What others can make it keep and send: records of an interface, and packets in a second.
enum { CACHE_ENTRIES_MAX = 1024, RATE_INTERVAL_US = 1000000, RATE_PACKETS_MAX = 1000 };

// Written once, under pthread_once, before anyone reads it.
static struct avahi_library library;
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// What the library says while it works is about packets of others; what fails is returned.
static void drop_message(AvahiLogLevel level, const char *message)
{
    (void)level;
    (void)message;
}

static void load(void)
{
    // Its own libraries, libavahi-common among them, are looked through too (dlsym(3)).
#define COMMON_FUNCTION(name) {"avahi_" #name, &library.common.name},
#define CORE_FUNCTION(name) {"avahi_" #name, &library.name},
    const struct library_function functions[] = {AVAHI_COMMON_FUNCTIONS(COMMON_FUNCTION)
                                                     AVAHI_LIBRARY_FUNCTIONS(CORE_FUNCTION)};
#undef COMMON_FUNCTION
#undef CORE_FUNCTION
    if (library_load(SONAME, functions, sizeof functions / sizeof functions[0])) {
        library.set_log_function(drop_message);
        is_loaded = true;
    }
}

enum status avahi_library_get(const struct avahi_library **out, struct error *error)
{
    (void)pthread_once(&once, load);
    if (!is_loaded) {
        (void)error_set(error, UNAVAILABLE,
                        "the library " SONAME ", which finds sites, cannot be loaded");
        error_fix(error, "install Avahi's core (in Debian 12 the package libavahi-core7)");
        return UNAVAILABLE;
    }
    *out = &library;
    return OK;
}

enum status avahi_server_open(const struct avahi_library *avahi, AvahiSimplePoll *poll,
                              AvahiServerCallback callback, void *context, AvahiServer **out,
                              struct error *error)
{
    AvahiServerConfig config;
    int failure = AVAHI_OK;
    (void)avahi->server_config_init(&config);
    config.publish_addresses = 0;
    config.publish_hinfo = 0;
    config.publish_workstation = 0;
    config.publish_domain = 0;
    config.add_service_cookie = 0;
    config.enable_wide_area = 0;
    config.n_cache_entries_max = CACHE_ENTRIES_MAX;
    config.ratelimit_interval = RATE_INTERVAL_US;
    config.ratelimit_burst = RATE_PACKETS_MAX;
    AvahiServer *server = avahi->server_new(avahi->common.simple_poll_get(poll), &config, callback,
                                            context, &failure);
    avahi->server_config_free(&config);
    if (!server) {
        (void)error_set(error, UNAVAILABLE, "cannot take part in multicast DNS: %s",
                        avahi->common.strerror(failure));
        error_fix(error, "does another program keep UDP port 5353 for itself? (avahi-daemon "
                         "does with disallow-other-stacks=yes)");
        return UNAVAILABLE;
    }
    *out = server;
    return OK;
}
