// Says on the local network that a site is here, for as long as it serves. A thread of its own does it.
//
// The service is announced on each interface under the addresses that the interface has, so nobody is told of an address that
// is of no use to him. Addresses that come and go are followed within some seconds.
#ifndef LODE_DISCOVER_ANNOUNCER_H
#define LODE_DISCOVER_ANNOUNCER_H

#include "discover/announcement.h"

#include <sys/socket.h>

enum { ANNOUNCER_SOCKETS_MAX = 16 };

enum announcer_state {
    ANNOUNCER_STARTING, // Its name is being claimed, or this machine has no address at which the site answers.
    ANNOUNCER_ANNOUNCED, // Who asks is told.
    ANNOUNCER_FAILING,   // It cannot, and tries again from time to time.
};

struct announcer_options {
    struct announcement announcement;
    struct sockaddr_storage bound[ANNOUNCER_SOCKETS_MAX]; // What the site's sockets are bound to.
    size_t bound_count;
    int port;
    // Called on the announcer's thread when the state has changed; `problem` is of ANNOUNCER_FAILING, else NULL. May be NULL.
    void (*report)(void *context, enum announcer_state state, const struct error *problem);
    void *context;
};

struct announcer;

// Starts it; returns before anything was said. What fails from then on is a state, not an error.
enum status announcer_start(const struct announcer_options *options, struct announcer **out,
                            struct error *error);

// How it is now; *problem is set for ANNOUNCER_FAILING. Any thread.
enum announcer_state announcer_look(struct announcer *announcer, struct error *problem);

// Says goodbye and ends the thread. NULL is allowed.
void announcer_stop(struct announcer *announcer);

// Frees one that was stopped, when nobody looks at it any more. NULL is allowed.
void announcer_free(struct announcer *announcer);

#endif
