// A site that any worker may join (--open) serves people nearby only.
#ifndef LODE_PROGRAMS_SITE_OPENNESS_H
#define LODE_PROGRAMS_SITE_OPENNESS_H

#include "base/status.h"

#include <stddef.h>

// Are all addresses that the site listens at private? DENIED with the way out. `fds`: sockets that were handed over, instead of `address`.
enum status openness_check(const char *address, const int *fds, size_t fd_count,
                           struct error *error);

#endif
