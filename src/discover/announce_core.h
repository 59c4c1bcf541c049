// A site is announced by Avahi's core within this program.
#ifndef LODE_DISCOVER_ANNOUNCE_CORE_H
#define LODE_DISCOVER_ANNOUNCE_CORE_H

#include "discover/publication.h"

struct core_announcement {
    const struct announcer_options *options;
    // As in struct publication. `wait_in` is told of the loop before anything waits there, and of NULL before it is freed: the owner wakes it with simple_poll_wakeup from any thread.
    void (*tell)(void *context, enum announcer_state state);
    bool (*is_to_end)(void *context);
    void (*wait_in)(void *context, const struct avahi_common *avahi, AvahiSimplePoll *poll);
    void *context;
};

// Announces until it is to end (OK), and says goodbye then, however it ends. Else as publication_keep; UNAVAILABLE when this machine cannot take part in multicast DNS.
enum status announce_by_core(const struct core_announcement *announcement, struct error *error);

#endif
