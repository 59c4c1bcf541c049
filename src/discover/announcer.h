// Says on the local network that a site is here, for as long as it serves. A thread of its own does it.
//
// Where an avahi-daemon runs, that does it for us, and Avahi's core within this program where none does. When the daemon goes or comes while the site is announced, the other takes
// over: at once when it goes, and when it comes after a goodbye that others hear for a second or two.
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

// By what a site is announced, or others are heard.
enum responder {
    RESPONDER_CORE,   // Avahi's core, within this program.
    RESPONDER_DAEMON, // The avahi-daemon of this machine.
};

struct announcer_options {
    struct announcement announcement;
    struct sockaddr_storage bound[ANNOUNCER_SOCKETS_MAX]; // What the site's sockets are bound to.
    size_t bound_count;
    int port;
    // Called on the announcer's thread when the state, or by whom, has changed; `problem` is of ANNOUNCER_FAILING, else NULL. May be NULL.
    void (*report)(void *context, enum announcer_state state, enum responder by,
                   const struct error *problem);
    void *context;
};

struct announcer;

// Starts it; returns before anything was said. What fails from then on is a state, not an error.
enum status announcer_start(const struct announcer_options *options, struct announcer **out,
                            struct error *error);

// How it is now, and by what; *problem is set for ANNOUNCER_FAILING. Any thread.
enum announcer_state announcer_look(struct announcer *announcer, enum responder *by,
                                    struct error *problem);

// "lode" or "avahi-daemon".
const char *responder_word(enum responder responder);

// Says goodbye and ends the thread, within a second even where the bus to the daemon hangs. NULL is allowed.
void announcer_stop(struct announcer *announcer);

// Frees one that was stopped, when nobody looks at it any more. NULL is allowed.
void announcer_free(struct announcer *announcer);

#endif
