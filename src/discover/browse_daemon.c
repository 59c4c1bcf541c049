#include "discover/browse_daemon.h"

#include "base/memory.h"
#include "discover/daemon_library.h"
#include "discover/errand.h"
#include "os/clock.h"

#define ANSWER_US                                                                                  \
    INT64_C(1500000) // Within which a daemon is to answer, and the end to come when it is due.
#define LEAVE_US INT64_C(100000)

enum progress { PROGRESS_ASKING, PROGRESS_LISTENING, PROGRESS_DONE, PROGRESS_FAILED };

struct daemon_browser {
    struct browse_times times;
    struct errand *errand;
    // Guarded by the errand's lock.
    enum progress progress;
    struct browsed browsed; // Of PROGRESS_DONE.
    // The thread's own.
    const struct daemon_library *avahi;
    AvahiClient *client;
    struct hearing hearing;
};

// False when nobody waits for it any more.
static bool advance(struct daemon_browser *browser, enum progress progress)
{
    errand_lock(browser->errand);
    bool is_wanted = !errand_is_left(browser->errand);
    browser->progress = progress;
    errand_notify(browser->errand);
    errand_unlock(browser->errand);
    return is_wanted;
}

static void on_resolved(AvahiServiceResolver *resolver, AvahiIfIndex interface,
                        AvahiProtocol protocol, AvahiResolverEvent event, const char *label,
                        const char *type, const char *domain, const char *host,
                        const AvahiAddress *address, uint16_t port, AvahiStringList *txt,
                        AvahiLookupResultFlags flags, void *context)
{
    struct daemon_browser *browser = context;
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
    struct daemon_browser *browser = listener;
    return browser->avahi->service_resolver_new(
               browser->client, event->interface, event->protocol, event->label, event->type,
               event->domain, AVAHI_PROTO_UNSPEC, 0, on_resolved, browser) != NULL;
}

static void on_browsed(AvahiServiceBrowser *services, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiBrowserEvent event, const char *label,
                       const char *type, const char *domain, AvahiLookupResultFlags flags,
                       void *context)
{
    struct daemon_browser *browser = context;
    const struct hearing_event heard = {event, interface, protocol, label, type, domain};
    (void)services;
    (void)flags;
    hearing_take(&browser->hearing, &heard);
}

static void on_client_state(AvahiClient *client, AvahiClientState state, void *context)
{
    struct daemon_browser *browser = context;
    if (state == AVAHI_CLIENT_FAILURE) {
        hearing_break(&browser->hearing, browser->avahi->client_errno(client));
    }
}

// Asks, listens, and gathers what was heard; false when it could not until the end.
static bool browse(struct daemon_browser *browser, AvahiSimplePoll *poll)
{
    const struct daemon_library *avahi = browser->avahi;
    browser->client =
        avahi->client_new(avahi->common.simple_poll_get(poll), 0, on_client_state, browser, NULL);
    if (!browser->client) {
        return false;
    }
    bool is_asked = avahi->service_browser_new(browser->client, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                               DISCOVER_SERVICE, NULL, 0, on_browsed, browser);
    bool is_heard = is_asked && advance(browser, PROGRESS_LISTENING) &&
                    hearing_listen(&browser->hearing, poll, &browser->times, NULL) == OK;
    avahi->client_free(browser->client); // With it all browsers and resolvers end.
    return is_heard;
}

static void run(void *context)
{
    struct daemon_browser *browser = context;
    bool is_heard = false;
    if (daemon_library_get(&browser->avahi, NULL) == OK) {
        const struct avahi_common *common = &browser->avahi->common;
        browser->hearing.avahi = common;
        browser->hearing.resolve = resolve;
        browser->hearing.listener = browser;
        AvahiSimplePoll *poll = common->simple_poll_new();
        if (poll) {
            is_heard = browse(browser, poll);
            common->simple_poll_free(poll);
        }
    }
    if (is_heard) {
        errand_lock(browser->errand);
        hearing_gather(&browser->hearing, &browser->browsed);
        browser->browsed.by = RESPONDER_DAEMON;
        errand_unlock(browser->errand);
    }
    (void)advance(browser, is_heard ? PROGRESS_DONE : PROGRESS_FAILED);
}

// It ends by itself, unless it hangs.
static void wake(void *context)
{
    (void)context;
}

static void discard(void *context)
{
    free(context);
}

static const struct errand_work WORK = {"avahi-daemon", run, wake, discard};

static void wait_while(struct daemon_browser *browser, enum progress progress, int64_t until_us)
{
    while (browser->progress == progress && errand_wait(browser->errand, until_us)) {
    }
}

bool browse_by_daemon(const struct browse_times *times, struct browsed *out)
{
    if (!daemon_has_bus() || !daemon_is_of_this_network()) {
        return false;
    }
    struct daemon_browser *browser = NEW(struct daemon_browser);
    browser->times = *times;
    if (errand_start(&WORK, browser, &browser->errand, NULL) != OK) {
        free(browser);
        return false;
    }
    int64_t start_us = clock_steady_us();
    errand_lock(browser->errand);
    wait_while(browser, PROGRESS_ASKING, start_us + ANSWER_US);
    wait_while(browser, PROGRESS_LISTENING, start_us + ANSWER_US + times->patience_us + ANSWER_US);
    bool is_done = browser->progress == PROGRESS_DONE;
    if (is_done) {
        *out = browser->browsed;
    }
    errand_unlock(browser->errand);
    errand_leave(browser->errand, LEAVE_US);
    return is_done;
}
