#include "discover/browse_core.h"

#include "base/memory.h"
#include "discover/avahi_library.h"

struct core_browser {
    const struct avahi_library *avahi;
    AvahiServer *server;
    struct hearing hearing;
};

static void on_resolved(AvahiSServiceResolver *resolver, AvahiIfIndex interface,
                        AvahiProtocol protocol, AvahiResolverEvent event, const char *label,
                        const char *type, const char *domain, const char *host,
                        const AvahiAddress *address, uint16_t port, AvahiStringList *txt,
                        AvahiLookupResultFlags flags, void *context)
{
    struct core_browser *browser = context;
    (void)resolver;
    (void)type;
    (void)domain;
    (void)host;
    (void)flags;
    if (event == AVAHI_RESOLVER_FOUND) {
        const struct hearing_answer answer = {interface, protocol, label, address, port, txt};
        hearing_resolved(&browser->hearing, &answer);
    }
}

static bool resolve(void *listener, const struct hearing_event *event)
{
    struct core_browser *browser = listener;
    return browser->avahi->s_service_resolver_new(
               browser->server, event->interface, event->protocol, event->label, event->type,
               event->domain, AVAHI_PROTO_UNSPEC, 0, on_resolved, browser) != NULL;
}

static void on_browsed(AvahiSServiceBrowser *services, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiBrowserEvent event, const char *label,
                       const char *type, const char *domain, AvahiLookupResultFlags flags,
                       void *context)
{
    struct core_browser *browser = context;
    const struct hearing_event heard = {event, interface, protocol, label, type, domain};
    (void)services;
    (void)flags;
    hearing_take(&browser->hearing, &heard);
}

static void on_server_state(AvahiServer *server, AvahiServerState state, void *context)
{
    struct core_browser *browser = context;
    (void)server; // During server_new it is not known to the browser yet.
    if (state == AVAHI_SERVER_FAILURE) {
        hearing_break(&browser->hearing,
                      browser->server ? browser->avahi->server_errno(browser->server) : AVAHI_OK);
    }
}

static enum status browse(struct core_browser *browser, AvahiSimplePoll *poll,
                          const struct browse_times *times, struct error *error)
{
    const struct avahi_library *avahi = browser->avahi;
    TRY(avahi_server_open(avahi, poll, on_server_state, browser, &browser->server, error));
    enum status status = OK;
    if (avahi->s_service_browser_new(browser->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                     DISCOVER_SERVICE, NULL, 0, on_browsed, browser)) {
        status = hearing_listen(&browser->hearing, poll, times, error);
    } else {
        status = error_set(error, UNAVAILABLE, "cannot ask the network for sites: %s",
                           avahi->common.strerror(avahi->server_errno(browser->server)));
    }
    avahi->server_free(browser->server); // With it all browsers and resolvers end.
    return status;
}

enum status browse_by_core(const struct browse_times *times, struct browsed *out,
                           struct error *error)
{
    AUTO_FREE struct core_browser *browser = NEW(struct core_browser);
    TRY(avahi_library_get(&browser->avahi, error));
    const struct avahi_common *common = &browser->avahi->common;
    browser->hearing.avahi = common;
    browser->hearing.resolve = resolve;
    browser->hearing.listener = browser;
    AvahiSimplePoll *poll = common->simple_poll_new();
    if (!poll) {
        return error_set(error, INTERNAL, "no loop for multicast DNS can be made");
    }
    enum status status = browse(browser, poll, times, error);
    common->simple_poll_free(poll);
    if (status == OK) {
        hearing_gather(&browser->hearing, out);
        out->by = RESPONDER_CORE;
    }
    return status;
}
