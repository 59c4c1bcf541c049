#include "discover/hearing.h"

#include "base/memory.h"
#include "os/address.h"
#include "os/clock.h"

#include <stdio.h>

static enum heard_rank rank_of(const AvahiAddress *address)
{
    const uint8_t *bytes = address->data.data;
    bool is_ipv4 = address->proto == AVAHI_PROTO_INET;
    if (address_bytes_are_loopback(is_ipv4 ? AF_INET : AF_INET6, bytes)) {
        return RANK_LOOPBACK;
    }
    bool is_link_local = !is_ipv4 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    return is_ipv4 ? RANK_IPV4 : is_link_local ? RANK_NONE : RANK_IPV6;
}

static struct heard *find_heard(struct hearing *hearing, int interface, int protocol,
                                const char *label)
{
    for (size_t i = 0; i < hearing->count; i++) {
        struct heard *heard = &hearing->heard[i];
        if (heard->interface == interface && heard->protocol == protocol &&
            strcmp(heard->label, label) == 0) {
            return heard;
        }
    }
    return NULL;
}

static void drop(struct hearing *hearing, struct heard *heard)
{
    *heard = hearing->heard[--hearing->count];
}

// Takes what a service says; false when it is no site's announcement.
static bool take_announcement(struct hearing *hearing, AvahiStringList *list,
                              struct browsed_site *out)
{
    char bytes[ANNOUNCED_TXT_MAX + 1];
    size_t size = hearing->avahi->string_list_serialize(list, NULL, 0);
    if (size > ANNOUNCED_TXT_MAX) {
        return false;
    }
    size = hearing->avahi->string_list_serialize(list, bytes, sizeof bytes);
    return announcement_read((struct text){bytes, size}, &out->said, NULL) == OK;
}

void hearing_resolved(struct hearing *hearing, const struct hearing_answer *answer)
{
    struct heard *heard = find_heard(hearing, answer->interface, answer->protocol, answer->label);
    char text[AVAHI_ADDRESS_STR_MAX];
    if (!heard) { // It has said goodbye since.
        return;
    }
    if (!take_announcement(hearing, answer->txt, &heard->site)) {
        hearing->ignored++;
        drop(hearing, heard);
        return;
    }
    (void)hearing->avahi->address_snprint(text, sizeof text, answer->address);
    (void)snprintf(heard->site.url, sizeof heard->site.url,
                   answer->address->proto == AVAHI_PROTO_INET ? "https://%s:%u" : "https://[%s]:%u",
                   text, (unsigned)answer->port);
    heard->rank = answer->port > 0 ? rank_of(answer->address) : RANK_NONE;
}

static void take_new(struct hearing *hearing, const struct hearing_event *event)
{
    if (hearing->count == HEARD_MAX || strlen(event->label) >= HEARD_LABEL_SIZE) {
        hearing->ignored++;
        return;
    }
    if (find_heard(hearing, event->interface, event->protocol, event->label)) {
        return;
    }
    struct heard *heard = &hearing->heard[hearing->count];
    *heard = (struct heard){.interface = event->interface, .protocol = event->protocol};
    (void)snprintf(heard->label, sizeof heard->label, "%s", event->label);
    // It is heard of before the question is asked, as the answer may be known at once.
    hearing->count++;
    if (!hearing->resolve(hearing->listener, event)) {
        hearing->ignored++;
    }
}

void hearing_take(struct hearing *hearing, const struct hearing_event *event)
{
    if (event->event == AVAHI_BROWSER_NEW) {
        take_new(hearing, event);
    } else if (event->event == AVAHI_BROWSER_REMOVE) {
        struct heard *heard = find_heard(hearing, event->interface, event->protocol, event->label);
        if (heard) {
            drop(hearing, heard);
        }
    } else if (event->event == AVAHI_BROWSER_FAILURE) {
        hearing_break(hearing, AVAHI_OK);
    }
}

void hearing_break(struct hearing *hearing, int failure)
{
    hearing->broken = failure != AVAHI_OK ? failure : AVAHI_ERR_FAILURE;
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

void hearing_gather(struct hearing *hearing, struct browsed *out)
{
    *out = (struct browsed){.ignored = hearing->ignored};
    qsort(hearing->heard, hearing->count, sizeof hearing->heard[0], compare_heard);
    for (size_t i = 0; i < hearing->count; i++) {
        const struct heard *heard = &hearing->heard[i];
        bool is_again = i > 0 && strcmp(heard->label, hearing->heard[i - 1].label) == 0;
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

static bool has_heard(const struct hearing *hearing)
{
    for (size_t i = 0; i < hearing->count; i++) {
        if (hearing->heard[i].rank != RANK_NONE) {
            return true;
        }
    }
    return false;
}

static enum status listen_until(struct hearing *hearing, AvahiSimplePoll *poll, int64_t until_us,
                                bool is_enough_to_hear, struct error *error)
{
    for (;;) {
        int64_t left_us = until_us - clock_steady_us();
        if (hearing->broken != AVAHI_OK) {
            return error_set(error, UNAVAILABLE, "listening for sites broke off: %s",
                             hearing->avahi->strerror(hearing->broken));
        }
        bool is_over = left_us <= 0 || (is_enough_to_hear && has_heard(hearing));
        if (is_over || hearing->avahi->simple_poll_iterate(poll, (int)(left_us / 1000) + 1) != 0) {
            return OK;
        }
    }
}

enum status hearing_listen(struct hearing *hearing, AvahiSimplePoll *poll,
                           const struct browse_times *times, struct error *error)
{
    int64_t start_us = clock_steady_us();
    TRY(listen_until(hearing, poll, start_us + times->wait_us, false, error));
    return listen_until(hearing, poll, start_us + times->patience_us, true, error);
}
