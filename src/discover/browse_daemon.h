// Sites are heard by the avahi-daemon of this machine.
#ifndef LODE_DISCOVER_BROWSE_DAEMON_H
#define LODE_DISCOVER_BROWSE_DAEMON_H

#include "discover/hearing.h"

// As browse_sites. False when no daemon answers in time, or it goes while we listen: then somebody else is to be asked.
bool browse_by_daemon(const struct browse_times *times, struct browsed *out);

#endif
