// What is heard of sites on the network, whoever listens for us: each service on each network, resolved, and one site made of them.
//
// Two listen: Avahi's core within this program (browse_core.h) and the avahi-daemon of this machine (browse_daemon.h).
#ifndef LODE_DISCOVER_HEARING_H
#define LODE_DISCOVER_HEARING_H

#include "discover/avahi_common.h"
#include "discover/browse.h"

#include <stdbool.h>

enum {
    HEARD_MAX = 256, // Services times networks that are asked about at once.
    HEARD_LABEL_SIZE = 64,
};

// Among the addresses of a site the one with the highest rank is taken.
enum heard_rank { RANK_NONE, RANK_LOOPBACK, RANK_IPV6, RANK_IPV4 };

struct heard {
    char label[HEARD_LABEL_SIZE]; // The service's name, by which it says goodbye.
    int interface;
    int protocol;
    enum heard_rank rank; // RANK_NONE: not resolved yet.
    struct browsed_site site;
};

// A service was heard, or said goodbye. What is no such event is nothing.
struct hearing_event {
    AvahiBrowserEvent event;
    int interface;
    int protocol;
    const char *label;
    const char *type;
    const char *domain;
};

// The answer about a service.
struct hearing_answer {
    int interface;
    int protocol;
    const char *label;
    const AvahiAddress *address;
    uint16_t port;
    AvahiStringList *txt;
};

struct browse_times {
    int64_t wait_us;
    int64_t patience_us;
};

struct hearing {
    const struct avahi_common *avahi;
    // Asks for the address of a service that was heard, all of whose answers go to hearing_resolved; false when it cannot.
    bool (*resolve)(void *listener, const struct hearing_event *event);
    void *listener;
    struct heard heard[HEARD_MAX];
    size_t count;
    size_t ignored;
    int broken; // The error number of Avahi of what ended it, or 0.
};

void hearing_take(struct hearing *hearing, const struct hearing_event *event);
void hearing_resolved(struct hearing *hearing, const struct hearing_answer *answer);

// Who listens cannot go on; `failure` is an error number of Avahi, or AVAHI_OK where none is known.
void hearing_break(struct hearing *hearing, int failure);

// Listens as browse_sites says, waiting in `poll`. UNAVAILABLE when it broke off.
enum status hearing_listen(struct hearing *hearing, AvahiSimplePoll *poll,
                           const struct browse_times *times, struct error *error);

// One site for each service: at the best of the addresses that were heard.
void hearing_gather(struct hearing *hearing, struct browsed *out);

#endif
