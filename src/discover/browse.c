#include "discover/browse.h"

#include "discover/browse_core.h"
#include "discover/browse_daemon.h"

enum status browse_sites(int64_t wait_us, int64_t patience_us, struct browsed *out,
                         struct error *error)
{
    const struct browse_times times = {.wait_us = wait_us, .patience_us = patience_us};
    return browse_by_daemon(&times, out) ? OK : browse_by_core(&times, out, error);
}
