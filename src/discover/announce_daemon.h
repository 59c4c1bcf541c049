// A site is announced by the avahi-daemon of this machine, for as long as there is one.
//
// A thread of its own holds the conversation, since it may hang (daemon_library.h), and hears at once when a daemon comes or goes. It begins to announce only when it is let: until
// then the owner may have somebody else do it.
#ifndef LODE_DISCOVER_ANNOUNCE_DAEMON_H
#define LODE_DISCOVER_ANNOUNCE_DAEMON_H

#include "discover/announcer.h"

enum daemon_word {
    DAEMON_LOOKED_FOR,
    DAEMON_ABSENT, // There is none, or none that takes what is to be announced: somebody else is to do it.
    DAEMON_READY,      // It waits to be let.
    DAEMON_ANNOUNCING, // It does what it can: the state says how that goes.
};

struct daemon_said {
    enum daemon_word word;
    enum announcer_state state; // Of DAEMON_ANNOUNCING.
    struct error problem;       // Of ANNOUNCER_FAILING.
};

struct daemon_announcement;

// Starts to look for the daemon. `wake` is called on another thread, with a lock held, when there is something new to look at, and never after announce_daemon_leave.
enum status announce_daemon_start(const struct announcer_options *options,
                                  void (*wake)(void *context), void *context,
                                  struct daemon_announcement **out, struct error *error);

void announce_daemon_look(struct daemon_announcement *daemon, struct daemon_said *out);

// Nobody else announces the site any more: it may, until it says that it is absent.
void announce_daemon_let(struct daemon_announcement *daemon);

// Says goodbye and ends it; within a second, even if the bus hangs. It is not to be used after this.
void announce_daemon_leave(struct daemon_announcement *daemon);

#endif
