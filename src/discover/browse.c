#include "discover/browse.h"

#include "base/memory.h"
#include "discover/avahi_library.h"
#include "os/clock.h"

#include <stdio.h>

enum {
    RESOLVERS_MAX = 256, // Services times networks that are asked about at once.
    LABEL_SIZE = 64,
    LOOPBACK_NET = 127,
};

// Among the addresses of a site the one with the highest rank is taken.
enum rank { RANK_NONE, RANK_LOOPBACK, RANK_IPV6, RANK_IPV4 };

struct heard {
    char label[LABEL_SIZE]; // The service's name, by which it says goodbye.
    int interface;
    int protocol;
    enum rank rank; // RANK_NONE: not resolved yet.
    struct browsed_site site;
};

struct browser {
    const struct avahi_library *avahi;
    AvahiServer *server;
    struct heard heard[RESOLVERS_MAX];
    size_t count;
    size_t ignored;
    bool is_broken;
};

static enum rank rank_of(const AvahiAddress *address)
{
    const uint8_t *bytes = address->data.data;
    if (address->proto == AVAHI_PROTO_INET) {
        return bytes[0] == LOOPBACK_NET ? RANK_LOOPBACK : RANK_IPV4;
    }
    static const uint8_t LOOPBACK[16] = {[15] = 1};
    bool is_link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    return is_link_local                                   ? RANK_NONE
           : memcmp(bytes, LOOPBACK, sizeof LOOPBACK) == 0 ? RANK_LOOPBACK
                                                           : RANK_IPV6;
}

static struct heard *find_heard(struct browser *browser, int interface, int protocol,
                                const char *label)
{
    for (size_t i = 0; i < browser->count; i++) {
        struct heard *heard = &browser->heard[i];
        if (heard->interface == interface && heard->protocol == protocol &&
            strcmp(heard->label, label) == 0) {
            return heard;
        }
    }
    return NULL;
}

static void drop(struct browser *browser, struct heard *heard)
{
    *heard = browser->heard[--browser->count];
}

// Takes what a service says; false when it is no site's announcement.
static bool take_announcement(struct browser *browser, AvahiStringList *list,
                              struct browsed_site *out)
{
    char bytes[ANNOUNCED_TXT_MAX + 1];
    size_t size = browser->avahi->string_list_serialize(list, NULL, 0);
    if (size > ANNOUNCED_TXT_MAX) {
        return false;
    }
    size = browser->avahi->string_list_serialize(list, bytes, sizeof bytes);
    return announcement_read((struct text){bytes, size}, &out->said, NULL) == OK;
}

static void on_resolved(AvahiSServiceResolver *resolver, AvahiIfIndex interface,
                        AvahiProtocol protocol, AvahiResolverEvent event, const char *label,
                        const char *type, const char *domain, const char *host,
                        const AvahiAddress *address, uint16_t port, AvahiStringList *txt,
                        AvahiLookupResultFlags flags, void *context)
{
    struct browser *browser = context;
    struct heard *heard = find_heard(browser, interface, protocol, label);
    char text[AVAHI_ADDRESS_STR_MAX];
    (void)resolver;
    (void)type;
    (void)domain;
    (void)host;
    (void)flags;
    // It may have said goodbye since, and its resolver lives until the end.
    if (!heard || event != AVAHI_RESOLVER_FOUND) {
        return;
    }
    enum rank rank = port > 0 ? rank_of(address) : RANK_NONE;
    if (!take_announcement(browser, txt, &heard->site)) {
        browser->ignored++;
        drop(browser, heard);
        return;
    }
    (void)browser->avahi->address_snprint(text, sizeof text, address);
    (void)snprintf(heard->site.url, sizeof heard->site.url,
                   address->proto == AVAHI_PROTO_INET ? "https://%s:%u" : "https://[%s]:%u", text,
                   (unsigned)port);
    heard->rank = rank;
}

static void on_new(struct browser *browser, AvahiIfIndex interface, AvahiProtocol protocol,
                   const char *label, const char *type, const char *domain)
{
    if (browser->count == RESOLVERS_MAX || strlen(label) >= LABEL_SIZE) {
        browser->ignored++;
        return;
    }
    if (find_heard(browser, interface, protocol, label)) {
        return;
    }
    struct heard *heard = &browser->heard[browser->count];
    *heard = (struct heard){.interface = interface, .protocol = protocol};
    (void)snprintf(heard->label, sizeof heard->label, "%s", label);
    // It is heard of before the question is asked, as the answer may be known at once. All resolvers end with the server.
    browser->count++;
    if (!browser->avahi->s_service_resolver_new(browser->server, interface, protocol, label, type,
                                                domain, AVAHI_PROTO_UNSPEC, 0, on_resolved,
                                                browser)) {
        browser->ignored++;
    }
}

static void on_browsed(AvahiSServiceBrowser *services, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiBrowserEvent event, const char *label,
                       const char *type, const char *domain, AvahiLookupResultFlags flags,
                       void *context)
{
    struct browser *browser = context;
    (void)services;
    (void)flags;
    if (event == AVAHI_BROWSER_NEW) {
        on_new(browser, interface, protocol, label, type, domain);
    } else if (event == AVAHI_BROWSER_REMOVE) {
        struct heard *heard = find_heard(browser, interface, protocol, label);
        if (heard) {
            drop(browser, heard);
        }
    } else if (event == AVAHI_BROWSER_FAILURE) {
        browser->is_broken = true;
    }
}

static void on_server_state(AvahiServer *server, AvahiServerState state, void *context)
{
    struct browser *browser = context;
    (void)server;
    browser->is_broken = browser->is_broken || state == AVAHI_SERVER_FAILURE;
}

static int compare_sites(const void *left, const void *right)
{
    const struct browsed_site *a = left;
    const struct browsed_site *b = right;
    int order = strcmp(a->said.name, b->said.name);
    order = order == 0 ? strcmp(a->said.fingerprint.text, b->said.fingerprint.text) : order;
    return order == 0 ? strcmp(a->url, b->url) : order;
}

static int compare_heard(const void *left, const void *right)
{
    const struct heard *a = left;
    const struct heard *b = right;
    int order = strcmp(a->label, b->label);
    if (order == 0 && a->rank != b->rank) {
        return a->rank > b->rank ? -1 : 1;
    }
    return order == 0 ? strcmp(a->site.url, b->site.url) : order;
}

// One site for each service: at the best of the addresses that were heard.
static void gather(struct browser *browser, struct browsed *out)
{
    *out = (struct browsed){.ignored = browser->ignored};
    qsort(browser->heard, browser->count, sizeof browser->heard[0], compare_heard);
    for (size_t i = 0; i < browser->count; i++) {
        const struct heard *heard = &browser->heard[i];
        bool is_again = i > 0 && strcmp(heard->label, browser->heard[i - 1].label) == 0;
        if (is_again || heard->rank == RANK_NONE) {
            continue;
        }
        if (out->count == BROWSED_SITES_MAX) {
            out->ignored++;
            continue;
        }
        out->sites[out->count++] = heard->site;
    }
    qsort(out->sites, out->count, sizeof out->sites[0], compare_sites);
}

static bool has_heard(const struct browser *browser)
{
    for (size_t i = 0; i < browser->count; i++) {
        if (browser->heard[i].rank != RANK_NONE) {
            return true;
        }
    }
    return false;
}

static enum status start_listening(struct browser *browser, struct error *error)
{
    const struct avahi_library *avahi = browser->avahi;
    if (!avahi->s_service_browser_new(browser->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                      DISCOVER_SERVICE, NULL, 0, on_browsed, browser)) {
        return error_set(error, UNAVAILABLE, "cannot ask the network for sites: %s",
                         avahi->strerror(avahi->server_errno(browser->server)));
    }
    return OK;
}

static enum status listen_until(struct browser *browser, AvahiSimplePoll *poll, int64_t until_us,
                                bool is_enough_to_hear, struct error *error)
{
    const struct avahi_library *avahi = browser->avahi;
    for (;;) {
        int64_t left_us = until_us - clock_steady_us();
        if (browser->is_broken) {
            return error_set(error, UNAVAILABLE, "listening for sites broke off: %s",
                             avahi->strerror(avahi->server_errno(browser->server)));
        }
        bool is_over = left_us <= 0 || (is_enough_to_hear && has_heard(browser));
        if (is_over || avahi->simple_poll_iterate(poll, (int)(left_us / 1000) + 1) != 0) {
            return OK;
        }
    }
}

static enum status listen_for(struct browser *browser, AvahiSimplePoll *poll, int64_t wait_us,
                              int64_t patience_us, struct error *error)
{
    int64_t start_us = clock_steady_us();
    TRY(start_listening(browser, error));
    TRY(listen_until(browser, poll, start_us + wait_us, false, error));
    return listen_until(browser, poll, start_us + patience_us, true, error);
}

enum status browse_sites(int64_t wait_us, int64_t patience_us, struct browsed *out,
                         struct error *error)
{
    const struct avahi_library *avahi = NULL;
    TRY(avahi_library_get(&avahi, error));
    AvahiSimplePoll *poll = avahi->simple_poll_new();
    if (!poll) {
        return error_set(error, INTERNAL, "no loop for multicast DNS can be made");
    }
    AUTO_FREE struct browser *browser = NEW(struct browser);
    browser->avahi = avahi;
    enum status status =
        avahi_server_open(avahi, poll, on_server_state, browser, &browser->server, error);
    if (status == OK) {
        status = listen_for(browser, poll, wait_us, patience_us, error);
        avahi->server_free(browser->server);
    }
    avahi->simple_poll_free(poll);
    if (status == OK) {
        gather(browser, out);
    }
    return status;
}
