// What a site announces, kept true: the records of its service under the addresses that this machine has at present, given to a responder.
//
// There are two responders, and who looks at the network cannot tell them apart: Avahi's core within this program (announce_core.h) and the avahi-daemon of this machine
// (announce_daemon.h). Names that others have already, addresses that come and go, and what is told are the same for both, and are here.
#ifndef LODE_DISCOVER_PUBLICATION_H
#define LODE_DISCOVER_PUBLICATION_H

#include "discover/addresses.h"
#include "discover/announcer.h"
#include "discover/avahi_common.h"

// A group of records of one responder. What returns an int returns a negative error number of Avahi when it fails; AVAHI_ERR_COLLISION says that a name is taken.
struct responder_ops {
    bool (*is_ready)(void *responder); // May records be given to it?
    int (*clear)(
        void *responder); // The group has no records from now on; it may be the first call.
    // `host` ends with ".local". There is to be no way back from the address to the name.
    int (*add_address)(void *responder, int interface, const char *host,
                       const AvahiAddress *address);
    int (*add_service)(void *responder, int interface, const char *label, const char *host,
                       AvahiStringList *txt);
    int (*commit)(
        void *responder); // What was added is announced; publication_hear says what comes of it.
};

struct publication {
    const struct announcer_options *options;
    const struct avahi_common *avahi;
    const struct responder_ops *ops;
    void *responder;
    // Called on the responder's thread: how it goes (starting or announced); is it to end?
    void (*tell)(void *context, enum announcer_state state);
    bool (*is_to_end)(void *context);
    void *context;
    // Its own.
    struct host_address addresses[HOST_ADDRESSES_MAX]; // Those that are announced.
    size_t address_count;
    unsigned attempt;
    bool is_to_publish;
    int broken; // The error number of what ended it, or 0.
};

// The responder's words about the group, and that it cannot go on.
void publication_hear(struct publication *publication, AvahiEntryGroupState state);
void publication_break(struct publication *publication, int failure);

// Announces until it is to end (OK), waiting in `poll`. CONFLICT when others have all the names that were tried; DENIED when the responder's operator does not allow it;
// else UNAVAILABLE or INTERNAL.
enum status publication_keep(struct publication *publication, AvahiSimplePoll *poll,
                             struct error *error);

#endif
