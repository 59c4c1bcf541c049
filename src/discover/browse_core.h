// Sites are heard by Avahi's core within this program.
#ifndef LODE_DISCOVER_BROWSE_CORE_H
#define LODE_DISCOVER_BROWSE_CORE_H

#include "discover/hearing.h"

// As browse_sites.
enum status browse_by_core(const struct browse_times *times, struct browsed *out,
                           struct error *error);

#endif
