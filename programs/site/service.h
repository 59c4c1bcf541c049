// What a service manager hands over and wants to hear: sockets (LISTEN_FDS) and readiness (NOTIFY_SOCKET), as systemd has them.
#ifndef LODE_PROGRAMS_SITE_SERVICE_H
#define LODE_PROGRAMS_SITE_SERVICE_H

#include <stddef.h>

enum { SERVICE_FDS_MAX = 16 };

// The listening sockets that were handed to this process (sd_listen_fds(3)); returns how many. They become close-on-exec.
size_t service_take_sockets(int fds[SERVICE_FDS_MAX]);

// Tells the manager, if there is one: "READY=1", "STOPPING=1" (sd_notify(3)).
void service_notify(const char *state);

#endif
